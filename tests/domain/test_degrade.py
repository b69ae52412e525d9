"""A value of a later version costs its field alone, and the field then serves everybody."""

import json
from typing import Any

import msgspec
import pytest

from agent.domain.canteen import (
    CENTS_MAX,
    AccountRecord,
    AccountStatus,
    CardRecord,
    CardStatus,
    Category,
    PolicyRecord,
    Price,
    ServiceRecord,
    Shortage,
    UnknownCard,
)
from agent.domain.degrade import KnownRecord, read_known

ACCOUNT = {"k": "account", "id": "a-1", "p": 3, "balance": 5}
CARD = {"k": "card", "id": "0" * 32, "p": 3, "account": "a-1"}
POLICY = {"k": "policy", "from": "2026-09-01", "p": 3, "shortage": "refuse"}
FORMS: dict[str, type[KnownRecord]] = {
    "account": AccountRecord,
    "card": CardRecord,
    "policy": PolicyRecord,
    "service": ServiceRecord,
}
SERVICE = {"k": "service", "id": "lunch", "p": 1, "name": "x", "opens": "12:00", "closes": "14:00"}


def read(form: type[KnownRecord], members: dict[str, Any], **more: object) -> tuple[Any, list[str]]:
    return read_known(form, json.dumps(members | more).encode())


# C90
@pytest.mark.parametrize(
    ("members", "field", "value", "serves"),
    [
        (ACCOUNT, "status", "paused", AccountStatus.ACTIVE),
        (ACCOUNT, "category", "nun", Category.PUPIL),
        (ACCOUNT, "group", 7, None),
        (ACCOUNT, "last_meal", {"day": "today"}, None),
        (CARD, "status", "melted", CardStatus.ACTIVE),
        (POLICY, "shortage", "ask", Shortage.SERVE),
        (POLICY, "unknown_card", "ask", UnknownCard.SERVE),
        (POLICY, "floor", "-10.00", -CENTS_MAX),
        (POLICY, "stale_after_h", 0, 1),
        (POLICY, "labels", "full", "none"),
        (POLICY, "keep_days", None, 60),
        (SERVICE, "weekdays", [1, 8, 5], [1, 5]),
        (SERVICE, "weekdays", "daily", [1, 2, 3, 4, 5]),
        (SERVICE, "closed_days", ["x", "2026-12-08"], ["2026-12-08"]),
    ],
)
def test_a_field_with_an_unknown_value_falls_back(
    members: dict[str, Any], field: str, value: object, serves: object
) -> None:
    form = FORMS[members["k"]]
    record, unknown = read(form, members, **{field: value})
    assert (getattr(record, field), unknown) == (serves, [field])
    rest = msgspec.structs.asdict(read(form, members)[0])
    assert {**msgspec.structs.asdict(record), field: None} == {**rest, field: None}


# C90
def test_an_unknown_end_of_serving_everybody_does_not_end_it() -> None:
    record, _ = read(PolicyRecord, POLICY, serve_all_until="when the snow melts")
    assert record.serve_all_until > "2199"


# C90
def test_of_several_prices_those_that_can_be_read_stay() -> None:
    price = {"from": "2026-09-01", "service": "lunch", "cents": 366}
    record, unknown = read(AccountRecord, ACCOUNT, prices=[price, {**price, "cents": "4.00"}])
    assert record.prices == [Price(from_day="2026-09-01", service="lunch", cents=366)]
    assert unknown == ["prices"]


@pytest.mark.parametrize("change", [{"balance": "5"}, {"id": "a 1"}, {"p": -1}, {"balance": None}])
def test_a_record_without_a_required_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"at `\$\."):
        read(AccountRecord, ACCOUNT, status="paused", **change)
    with pytest.raises(msgspec.ValidationError, match="required field `balance`"):
        read_known(AccountRecord, b'{"k":"account","id":"a-1","p":3,"status":"paused"}')
