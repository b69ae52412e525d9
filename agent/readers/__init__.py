"""Card readers: from a card to `CardPresented`, and from a `Signal` back to the reader.

Knows no money.
"""
