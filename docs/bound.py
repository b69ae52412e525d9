"""How deep an account can go in a town that refuses: `python -m docs.bound` prints the worked numbers of docs/CONSISTENCY.md.

`--check` fails when the document has others.
"""

import sys
from pathlib import Path

from agent.domain.canteen import PolicyRecord
from agent.domain.money import format_euro

DOCUMENT = Path(__file__).with_name("CONSISTENCY.md")
# floor in cents, price in cents, terminals out of contact, services a day
TOWNS = ((0, 366, 1, 1), (0, 366, 2, 1), (-1_000, 366, 1, 2), (0, 550, 6, 1))


def lowest_cents(
    *, floor_cents: int, price_cents: int, terminals: int, services: int, days: int
) -> int:
    """Return the lowest balance, in cents, that meals paid for in good faith can leave.

    `terminals` do not know of one another's meals for `days` days: each may serve one meal a service and day that the others do not
    see, and none goes below the floor by what it sees itself. So one of them takes the account to the floor, and each other
    one adds its own meals to that.
    """
    return (
        floor_cents - (terminals - 1) * services * days * price_cents if terminals else floor_cents
    )


def table() -> str:
    days = (
        1 + PolicyRecord(from_day="2026-09-01", p=0).stale_after_h // 24
    )  # a day and night may touch two lunches
    head = (
        "floor",
        "price",
        "terminals that do not hear of each other",
        "services a day",
        "days",
        "lowest balance",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for floor_cents, price_cents, terminals, services in TOWNS:
        lowest = lowest_cents(
            floor_cents=floor_cents,
            price_cents=price_cents,
            terminals=terminals,
            services=services,
            days=days,
        )
        lines.append(
            f"| {format_euro(floor_cents)} | {format_euro(price_cents)} | {terminals} | {services} | {days} | {format_euro(lowest)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        print(table())
    elif table() not in DOCUMENT.read_text(encoding="utf-8"):
        sys.exit("docs/CONSISTENCY.md: its worked numbers are not those of python -m docs.bound")
