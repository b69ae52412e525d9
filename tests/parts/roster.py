"""A roster's way into the books of a town in memory, as the command takes it."""

from pathlib import Path

from agent.central.corrections import book_waiting_meals
from agent.central.office.roster import Complaints, read_roster
from agent.central.office.roster_apply import apply_plan, read_standing
from agent.central.office.roster_plan import Plan, make_plan
from agent.domain.canteen import ServiceRecord
from tests.parts.wire import KEY, TODAY, Wire


def plan_roster(wire: Wire, path: Path, text: str | None = None) -> Plan:
    """Return what a file would change. Write `text` into it first, if given."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    lines = read_roster(path, KEY)
    complaints = Complaints(path)
    plan = make_plan(lines, read_standing(wire.central.books, lines), TODAY, complaints)
    complaints.raise_any()
    return plan


def load_roster(wire: Wire, path: Path, text: str | None = None) -> Plan:
    """Import a file, whatever must be allowed. Write `text` into it first, if given."""
    plan = plan_roster(wire, path, text)
    lines = read_roster(path, KEY)
    apply_plan(wire.central.books, lines, plan, read_standing(wire.central.books, lines))
    book_waiting_meals(wire.central.books, at=wire.clock.instant)
    return plan


def lunch() -> ServiceRecord:
    """Return the serving time of a second school."""
    return ServiceRecord(id="lunch", p=0, name="Pranzo", opens="12:00", closes="14:15")
