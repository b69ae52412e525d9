"""Prints the overdraft bound of a town that refuses meals without credit, with worked numbers.

`python -m docs.bound` writes the table into docs/CONSISTENCY.md; `--check` ends with 1 when the
page has other numbers.
"""

import sys
from dataclasses import dataclass

from agent.domain.canteen import PolicyRecord
from agent.domain.money import format_euro
from docs import printed

PAGE = printed.ROOT / "docs" / "CONSISTENCY.md"
BEGIN, END = "<!-- printed by python -m docs.bound -->", "<!-- end -->"
COLUMNS = ("floor", "price", "isolated terminals", "services a day", "days", "lowest balance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town's rules, and how many of its terminals are isolated from each other."""

    floor_cents: int
    price_cents: int
    terminals: int
    services: int


TOWNS = (
    Town(floor_cents=0, price_cents=366, terminals=1, services=1),
    Town(floor_cents=0, price_cents=366, terminals=2, services=1),
    Town(floor_cents=-1_000, price_cents=366, terminals=1, services=2),
    Town(floor_cents=0, price_cents=550, terminals=6, services=1),
)


def lowest_cents(town: Town, days: int) -> int:
    """Return the lowest balance, in cents, after `days` days without contact.

    No terminal goes below the floor by the meals that it sees. So one of them takes the account to
    the floor, and each other one adds at most one meal for each service and day.
    """
    unseen = max(0, town.terminals - 1) * town.services * days
    return town.floor_cents - unseen * town.price_cents


def table() -> str:
    # 24 hours without contact touch two days, and so two lunches
    days = 1 + PolicyRecord(from_day="2026-09-01", p=0).stale_after_h // 24
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for town in TOWNS:
        cells = (
            format_euro(town.floor_cents),
            format_euro(town.price_cents),
            str(town.terminals),
            str(town.services),
            str(days),
            format_euro(lowest_cents(town, days)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(check: bool) -> int:
    return printed.finish({PAGE: printed.part(PAGE, BEGIN, END, table())}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
