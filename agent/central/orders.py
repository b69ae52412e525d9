"""Orders to terminals: `resync`, `new_epoch`, `wipe`. One waits for each terminal.

An order's id names the generation and has a number that counts up: `o-<generation>-<n>`. A terminal
does no order whose number is not above the number of the order it did last. A central restored from
a backup may count from a lower number; `confirm` then raises it to what the terminal has done.
"""

from agent.central.books import terminals, town
from agent.central.books.database import Books
from agent.central.books.terminals import Terminal
from agent.domain.ledger import SEQ_MAX
from agent.errors import CentralError
from agent.sync.messages import is_done


def give_order(books: Books, terminal: str, do: str) -> str:
    """Give a terminal an order and return its id.

    The same order is not given twice while it waits. A new one takes the place of another, but
    never of a wipe; a resync that was replaced, or that must wait for a wipe, comes afterwards. A
    wipe ends all that was ordered before: a resync after it gives the terminal work again.
    """
    known = _find(books, terminal)
    if do == "wipe":
        terminals.take_postponed_resync(books, terminal)
    if known.order_id is not None and known.order_do in (do, "wipe"):
        if do == "resync" and known.order_do == "wipe":
            terminals.postpone_resync(books, terminal)
        return known.order_id
    order_id = f"o-{town.standing(books).generation[-8:]}-{known.orders + 1}"
    gives_way = known.order_do == "resync" and do != "wipe"
    terminals.set_order(books, terminal, order_id, do, then_resync=gives_way)
    return order_id


def waits_for_new_epoch(books: Books, terminal: str) -> bool:
    """Return whether a new epoch is ordered and not done yet."""
    return _find(books, terminal).order_do == "new_epoch"


def give_new_epoch(books: Books, terminal: str) -> bool:
    """Order a new epoch; return False if that order waits already."""
    waits = waits_for_new_epoch(books, terminal)
    if not waits:
        give_order(books, terminal, "new_epoch")
    return not waits


def confirm(books: Books, terminal: str, done: str) -> None:
    """Take note that a terminal has done an order: `order_done` of its hello."""
    number = _number(done)
    if number is not None:
        terminals.raise_order_number(books, terminal, number)
    if terminals.clear_order(books, terminal, done) and terminals.take_postponed_resync(
        books, terminal
    ):
        give_order(books, terminal, "resync")
    waiting = _find(books, terminal).order_id
    if waiting is not None and is_done(waiting, done):
        # its number was done before this database was restored: the terminal would not do it
        terminals.renumber_orders(books, terminal)


def _number(order_id: str) -> int | None:
    digits = order_id.rpartition("-")[2]
    if not digits.isascii() or not digits.isdigit() or len(digits) > len(str(SEQ_MAX)):
        return None
    return int(digits) if int(digits) <= SEQ_MAX else None


def _find(books: Books, terminal: str) -> Terminal:
    known = terminals.find(books, terminal)
    if known is None:
        raise CentralError(
            f"terminal {terminal!r} does not exist; add it with: canteen-central terminals add"
        )
    return known
