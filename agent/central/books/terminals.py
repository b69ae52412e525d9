"""Terminals: their site, their newest messages, and the order that waits for each."""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant


class Terminal(NamedTuple):
    """A terminal. `site` is None for a retired one; `orders` is the number of its newest order."""

    id: str
    site: str | None
    orders: int
    order_id: str | None
    order_do: str | None


class Contact(NamedTuple):
    """What a terminal sent last: the time of its newest hello, and its newest state as JSON."""

    terminal: str
    site: str | None
    hello_at: Instant | None
    state: str | None


def contacts(books: Books, terminal: str | None = None) -> list[Contact]:
    """Return what all terminals sent last, or that of a single terminal."""
    rows = books.rows(
        "SELECT id, site, hello_at, state FROM terminal WHERE id = coalesce(?, id) ORDER BY id",
        (terminal,),
    )
    return [Contact(*row) for row in rows]


def find(books: Books, terminal: str) -> Terminal | None:
    """Return a terminal, None if it was never added."""
    row = books.row(
        "SELECT id, site, orders, order_id, order_do FROM terminal WHERE id = ?", (terminal,)
    )
    return Terminal(*row) if row else None


def add(books: Books, terminal: str, site: str) -> None:
    """Add a terminal at a site."""
    books.sql.execute("INSERT INTO terminal (id, site) VALUES (?, ?)", (terminal, site))


def set_site(books: Books, terminal: str, site: str | None) -> None:
    """Move a terminal to another site; None retires it."""
    books.sql.execute("UPDATE terminal SET site = ? WHERE id = ?", (site, terminal))


def set_forked(books: Books, terminal: str) -> None:
    """Mark a terminal as one that has sent two entries of the same number."""
    books.sql.execute("UPDATE terminal SET forked = 1 WHERE id = ?", (terminal,))


def hello(books: Books, terminal: str) -> str | None:
    """Return a terminal's newest hello, as JSON; None if it never sent one."""
    row = books.row("SELECT hello FROM terminal WHERE id = ?", (terminal,))
    return row[0] if row else None


def is_wiped(books: Books, terminal: str) -> bool:
    """Return whether a terminal's newest hello says that it is wiped."""
    row = books.row("SELECT hello ->> '$.wiped' FROM terminal WHERE id = ?", (terminal,))
    return bool(row and row[0])


def set_hello(books: Books, terminal: str, hello: bytes, *, at: Instant) -> None:
    """Keep a terminal's newest hello, as JSON."""
    books.sql.execute(
        "UPDATE terminal SET hello_at = ?, hello = ? WHERE id = ?", (at, hello.decode(), terminal)
    )


def set_state(books: Books, terminal: str, state: bytes) -> None:
    """Keep a terminal's newest state, as JSON."""
    books.sql.execute("UPDATE terminal SET state = ? WHERE id = ?", (state.decode(), terminal))


def set_offline(books: Books, terminal: str) -> None:
    """Note that the broker has lost a terminal. What its state had before is kept beside that."""
    books.sql.execute(
        "UPDATE terminal SET state = json_set(coalesce(state, '{}'), '$.online', json('false'))"
        " WHERE id = ?",
        (terminal,),
    )


# -- the order that waits ----------------------------------------------------------------------


def waiting_orders(books: Books) -> list[str]:
    """Return the ids of all orders that wait, by terminal."""
    rows = books.rows("SELECT order_id FROM terminal WHERE order_id IS NOT NULL ORDER BY id")
    return [row[0] for row in rows]


def set_order(books: Books, terminal: str, order_id: str, do: str, *, then_resync: bool) -> None:
    """Let an order wait, with the next number. `then_resync`: it replaces a resync."""
    books.sql.execute(
        "UPDATE terminal SET orders = orders + 1, order_id = ?, order_do = ?,"
        " then_resync = max(then_resync, ?) WHERE id = ?",
        (order_id, do, then_resync, terminal),
    )


def clear_order(books: Books, terminal: str, order_id: str) -> bool:
    """Remove the order that waits, if it is this one; return whether it was."""
    cursor = books.sql.execute(
        "UPDATE terminal SET order_id = NULL, order_do = NULL WHERE id = ? AND order_id = ?",
        (terminal, order_id),
    )
    return cursor.rowcount > 0


def postpone_resync(books: Books, terminal: str) -> None:
    """Let a resync follow the order that waits."""
    books.sql.execute("UPDATE terminal SET then_resync = 1 WHERE id = ?", (terminal,))


def take_postponed_resync(books: Books, terminal: str) -> bool:
    """Return whether a resync was postponed for another order, and forget it."""
    cursor = books.sql.execute(
        "UPDATE terminal SET then_resync = 0 WHERE id = ? AND then_resync", (terminal,)
    )
    return cursor.rowcount > 0


def raise_order_number(books: Books, terminal: str, number: int) -> None:
    """Let a terminal's next order have a number above this one."""
    books.sql.execute(
        "UPDATE terminal SET orders = max(orders, ?) WHERE id = ?", (number, terminal)
    )


def renumber_orders(books: Books, terminal: str | None = None) -> None:
    """Give the orders that wait, of one terminal or of all, the next number of this generation."""
    books.sql.execute(
        "UPDATE terminal SET orders = orders + 1, order_id = 'o-'"
        " || (SELECT substr(generation, -8) FROM central) || '-' || (orders + 1)"
        " WHERE order_id IS NOT NULL AND id = coalesce(?, id)",
        (terminal,),
    )
