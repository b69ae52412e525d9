"""Policies and serving times. Both are stored as the JSON of their record, without `k` and `p`."""

from typing import NamedTuple

import msgspec

from agent.central.books.file import Books
from agent.central.books.town import next_position
from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import Day

GIVE_BACK = "give_back"
"""The rule for double meals where no policy is set."""


class Rules(NamedTuple):
    """A policy, and the rule for double meals, which stays at the central: give_back or keep."""

    policy: PolicyRecord
    double_meal: str


def put_policy(books: Books, rules: Rules) -> None:
    """Write the rules that hold from the policy's day on."""
    books.sql.execute(
        "INSERT OR REPLACE INTO policy VALUES (?, ?, ?, ?)",
        (
            rules.policy.from_day,
            _body(rules.policy),
            rules.double_meal,
            next_position(books),
        ),
    )


def rules_on(books: Books, day: Day) -> Rules:
    """Return the rules in effect on a day. The policy's own day is `day`, its position 0."""
    row = books.row(
        "SELECT body, double_meal FROM policy WHERE from_day <= ? ORDER BY from_day DESC LIMIT 1",
        (day,),
    )
    if row is None:
        return Rules(PolicyRecord(from_day=day, p=0), GIVE_BACK)
    members = {**msgspec.json.decode(row[0]), "from": day, "p": 0}
    return Rules(msgspec.convert(members, PolicyRecord), row[1])


def double_meal_rules(books: Books) -> list[tuple[Day, str]]:
    """Return the rules for double meals with the day from which each holds, the newest first."""
    rows = books.rows("SELECT from_day, double_meal FROM policy ORDER BY from_day DESC")
    return [(day, rule) for day, rule in rows]


def put_service(books: Books, site: str, service: ServiceRecord) -> None:
    """Write a serving time of a site."""
    books.sql.execute(
        "INSERT OR REPLACE INTO service VALUES (?, ?, ?, ?)",
        (site, service.id, _body(service), next_position(books)),
    )


def services(books: Books) -> dict[str, list[str]]:
    """Return the ids of the services of each site that has any."""
    sites: dict[str, list[str]] = {}
    for site, service in books.rows("SELECT site, id FROM service ORDER BY site, id"):
        sites.setdefault(site, []).append(service)
    return sites


def site_services(books: Books, site: str) -> list[ServiceRecord]:
    """Return the services of a site. Their position is 0."""
    rows = books.rows("SELECT body FROM service WHERE site = ? ORDER BY id", (site,))
    return [
        msgspec.convert({**msgspec.json.decode(body), "k": "service", "p": 0}, ServiceRecord)
        for (body,) in rows
    ]


def _body(record: PolicyRecord | ServiceRecord) -> str:
    members = msgspec.to_builtins(record)
    return msgspec.json.encode(
        {name: value for name, value in members.items() if name not in ("k", "p")}, order="sorted"
    ).decode()
