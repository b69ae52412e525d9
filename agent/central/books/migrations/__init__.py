"""The steps from each schema of the books to the next, as revisions of Alembic."""
