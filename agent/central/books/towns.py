"""The towns of a PostgreSQL database: a schema and a role for each, and their copies as files.

An exported town is the SQLite file that its central would have had. So a town moves between
servers, and between PostgreSQL and a file, by the same two commands.
"""

from contextlib import suppress

from psycopg import Error, errors, sql
from sqlalchemy import select

from agent.central.books import town as town_row
from agent.central.books.database import Books
from agent.central.books.postgres import PREFIX, Server, TownBooks, schema_of
from agent.central.books.query import Query
from agent.central.books.tables import METADATA
from agent.errors import CentralError

# the largest number of each table whose rows are numbered, so that the next row has another
_NUMBERED = ("posting", "set_aside", "incident", "payment", "arrival")


def names(server: Server) -> list[str]:
    """Return the towns of a database, by name."""
    server.leave()
    rows = server.sql.execute(
        "SELECT substr(nspname, %s) FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY 1",
        (len(PREFIX) + 1, PREFIX),
    )
    return [str(row[0]) for row in rows]


def add(server: Server, town: str) -> TownBooks:
    """Make the schema and the role of a town; return its books, which are empty.

    What a killed command left without its first row is taken over.
    """
    schema = schema_of(town)
    name = sql.Identifier(schema)
    server.leave()
    try:
        with server.sql.transaction():
            # roles are of the whole server: another database of it may have the town
            if not _exists(server, "pg_roles", "rolname", schema):
                server.sql.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
            server.sql.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
            if not _exists(server, "pg_namespace", "nspname", schema):
                server.sql.execute(sql.SQL("CREATE SCHEMA {0} AUTHORIZATION {0}").format(name))
    except Error as error:
        raise server.fault(f"town {town!r} is not added", error) from error
    books = TownBooks(server, town)
    if town_row.is_made(books):
        raise CentralError(f"{server.name}: has a town {town!r} already")
    return books


def _exists(server: Server, catalogue: str, column: str, name: str) -> bool:
    rows = server.sql.execute(
        sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(
            sql.Identifier(catalogue), sql.Identifier(column)
        ),
        (name,),
    )
    return rows.fetchone() is not None


def remove(server: Server, town: str) -> None:
    """Delete a town with all that it has. Raise `CentralError` for one that does not exist."""
    name = sql.Identifier(schema_of(town))
    server.leave()
    try:
        with server.sql.transaction():
            server.sql.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))
            # another database of this server may have the town
            with suppress(errors.DependentObjectsStillExist), server.sql.transaction():
                server.sql.execute(sql.SQL("DROP ROLE {}").format(name))
    except errors.InvalidSchemaName:
        raise CentralError(f"{server.name}: has no town {town!r}") from None
    except Error as error:
        raise server.fault(f"town {town!r} is not removed", error) from error


def copy(source: Books, target: Books) -> None:
    """Copy a whole town into empty books, within a transaction of the caller."""
    with source.reading():
        for table in METADATA.sorted_tables:
            target.add_all(table, tuple(table.columns.keys()), source.each(Query(select(table))))
    town_row.lead(target, None)
    if isinstance(target, TownBooks):
        _count_on(target)


def _count_on(target: TownBooks) -> None:
    """Let numbers go on behind the copied ones, and the planner know the new tables."""
    target.server.sql.execute("ANALYZE")
    for table in _NUMBERED:
        target.server.sql.execute(
            sql.SQL(
                "SELECT setval(pg_get_serial_sequence({0}, 'n'), max(n)) FROM {1}"
                " HAVING max(n) IS NOT NULL"
            ).format(sql.Literal(table), sql.Identifier(table))
        )


def name_of(books: Books) -> str:
    """Return the town of books."""
    return town_row.find(books).name
