"""Everything a terminal keeps on disk: one SQLite file.

Only this room and the central's ledger know SQL.
"""
