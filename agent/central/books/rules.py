"""Policies and serving times. Both are stored as the JSON of their record, without `k` and `p`."""

from typing import NamedTuple

import msgspec
from sqlalchemy import select

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, put, value
from agent.central.books.town import next_position
from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import Day

GIVE_BACK = "give_back"
"""The rule for double meals where no policy is set."""

_P, _S = tables.policy.c, tables.service.c
_PUT_POLICY = put(tables.policy)
_PUT_SERVICE = put(tables.service)
_RULES = Query(
    select(_P.body, _P.double_meal)
    .where(_P.from_day <= value("day"))
    .order_by(_P.from_day.desc())
    .limit(1)
)
_DOUBLE_MEAL_RULES = Query(select(_P.from_day, _P.double_meal).order_by(_P.from_day.desc()))
_SERVICES = Query(select(_S.site, _S.id).order_by(_S.site, _S.id))
_SITE_SERVICES = Query(select(_S.body).where(_S.site == value("site")).order_by(_S.id))


class Rules(NamedTuple):
    """A policy, and the rule for double meals, which stays at the central: give_back or keep."""

    policy: PolicyRecord
    double_meal: str


def put_policy(books: Books, rules: Rules) -> None:
    """Write the rules that hold from the policy's day on."""
    books.run(
        _PUT_POLICY,
        from_day=rules.policy.from_day,
        body=_body(rules.policy),
        double_meal=rules.double_meal,
        p=next_position(books),
    )


def rules_on(books: Books, day: Day) -> Rules:
    """Return the rules in effect on a day. The policy's own day is `day`, its position 0."""
    row = books.first(_RULES, day=day)
    if row is None:
        return Rules(PolicyRecord(from_day=day, p=0), GIVE_BACK)
    members = {**msgspec.json.decode(row[0]), "from": day, "p": 0}
    return Rules(msgspec.convert(members, PolicyRecord), row[1])


def double_meal_rules(books: Books) -> list[tuple[Day, str]]:
    """Return the rules for double meals with the day from which each holds, the newest first."""
    return [(day, rule) for day, rule in books.all(_DOUBLE_MEAL_RULES)]


def put_service(books: Books, site: str, service: ServiceRecord) -> None:
    """Write a serving time of a site."""
    books.run(_PUT_SERVICE, site=site, id=service.id, body=_body(service), p=next_position(books))


def services(books: Books) -> dict[str, list[str]]:
    """Return the ids of the services of each site that has any."""
    sites: dict[str, list[str]] = {}
    for site, service in books.all(_SERVICES):
        sites.setdefault(site, []).append(service)
    return sites


def site_services(books: Books, site: str) -> list[ServiceRecord]:
    """Return the services of a site. Their position is 0."""
    return [
        msgspec.convert({**msgspec.json.decode(body), "k": "service", "p": 0}, ServiceRecord)
        for (body,) in books.all(_SITE_SERVICES, site=site)
    ]


def _body(record: PolicyRecord | ServiceRecord) -> str:
    members = msgspec.to_builtins(record)
    return msgspec.json.encode(
        {name: value for name, value in members.items() if name not in ("k", "p")}, order="sorted"
    ).decode()
