"""The books: the central's database. The only room of the central with SQL."""
