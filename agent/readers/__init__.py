"""From a card on a plate to `CardPresented`, and from a `Signal` back to the reader. Knows no money."""
