"""The books: the central's database, and the only room of the central with SQL.

Every function takes `Books` first. One that writes needs a transaction, which its caller begins
with `Books.transaction`; one that reads needs none. Rows leave as named values. Nothing here
decides what becomes of an entry.
"""
