"""Fixtures for the tests of the web server."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books.file import FileBooks
from tests.invariants import the_books_are_consistent
from tests.parts.bank import Bank
from tests.parts.pay_site import PaySite, pay_site
from tests.parts.process import ROOT
from tests.parts.town import run_central


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PaySite]:
    """The web server of a new central with a roster; its books must be right at the end."""
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", db, "service", "primaria", "lunch", *hours)
    run_central("--db", db, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    with Bank() as bank, pay_site(db, bank) as site:
        yield site
    with closing(FileBooks(db)) as books:
        the_books_are_consistent(books)


@pytest.fixture
def books(site: PaySite) -> Iterator[FileBooks]:
    """The books of that central, as another process has them open."""
    with closing(FileBooks(site.db)) as books:
        yield books
