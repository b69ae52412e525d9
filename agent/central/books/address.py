"""Where a town's books are: what `--db` names."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from agent.central.books.database import Books, shown
from agent.central.books.file import FileBooks
from agent.errors import CentralError, ConfigError


class Database(NamedTuple):
    """The books of a town. `files` is the path beside which its keys and settings are.

    `server` is the URL of a PostgreSQL server, None for a SQLite file. `town` is None where a
    server is named without one.
    """

    text: str
    files: Path
    server: str | None = None
    town: str | None = None

    def __str__(self) -> str:
        return self.text

    def open(self) -> Books:
        """Open the books. Raise `CentralError`."""
        if self.server is None:
            return FileBooks(self.files)
        # imported here: only PostgreSQL needs the driver
        from agent.central.books.postgres import Server, TownBooks

        town = self.required_town()
        server = Server(self.server)
        try:
            return TownBooks(server, town)
        except CentralError:
            server.close()
            raise

    def required_town(self) -> str:
        """Return the town of a server. Raise `CentralError` where none is named."""
        if self.town is None:
            raise CentralError(f"{self.text}: names no town; append ?town= and its id")
        return self.town

    def of_town(self, town: str) -> "Database":
        """Return the books of a town of this server."""
        return Database(f"{self.text}, town {town}", Path(town), self.server, town)


def parse(text: str) -> Database:
    """Return what a path, sqlite:///PATH or postgresql://…/?town=… names. Raise `ConfigError`."""
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        return Database(text, Path(text))
    match scheme:
        case "sqlite" if rest.startswith("/") and len(rest) > 1:
            return Database(rest[1:], Path(rest[1:]))
        case "postgresql" | "postgres":
            return _of_server(text)
        case _:  # the rest may have a password
            raise ConfigError(
                f"--db: {scheme}:// is no database for books; write a path, sqlite:///PATH or"
                " postgresql://USER@HOST/DATABASE?town=TOWN"
            )


def _of_server(text: str) -> Database:
    # all but the town is for the driver, which also takes several hosts
    head, _, query = text.partition("?")
    parts = parse_qsl(query, keep_blank_values=True)
    named = [value for name, value in parts if name == "town"]
    if len(named) > 1:
        raise ConfigError("--db: names several towns")
    if any(name == "options" for name, _ in parts):
        raise ConfigError("--db: options are set by this program; leave them out")
    rest = urlencode([part for part in parts if part[0] != "town"], quote_via=quote)
    server = f"{head}?{rest}" if rest else head
    town = named[0] if named else None
    if town is None:
        return Database(shown(server), Path("towns"), server)
    return Database(f"{shown(server)}, town {town}", Path(town), server, town)
