"""`decide`: one column of checks, in their order. The stories test the rest with a real store."""

from msgspec.structs import replace

import pytest

from agent.domain.canteen import (
    AccountRecord,
    AccountStatus,
    CardRecord,
    CardStatus,
    LastMeal,
    PolicyRecord,
    Price,
    ServiceNow,
    Shortage,
    UnknownCard,
)
from agent.domain.card import Token
from agent.domain.clock import ClockTrust, Moment
from agent.domain.ledger import Flag, How, Kind
from agent.domain.tap import AlreadyServed, Facts, Refused, Served, decide

TOKEN = Token("5b0c" * 8)
MOMENT = Moment(at="2026-11-23T11:02:05.331Z", trust=ClockTrust.SYNCED, boot="b", mono_ms=1)
STRICT = PolicyRecord(from_day="2026-09-01", p=1, shortage=Shortage.REFUSE)
ACCOUNT = AccountRecord(
    id="a-1", p=1, balance=0, prices=[Price(from_day="2026-09-01", service="lunch", cents=366)]
)
FACTS = Facts(
    moment=MOMENT,
    how=How.CARD,
    token=TOKEN,
    card=CardRecord(id=TOKEN, p=1, account="a-1"),
    account=ACCOUNT,
    balance_cents=366,
    own_meal=None,
    own_meals=0,
    policy=STRICT,
    service=ServiceNow(service="lunch", day="2026-11-23", outside_hours=False),
    data_age_ms=0,
)


def refusal(facts: Facts) -> str | None:
    outcome = decide(facts)
    return outcome.reason.value if isinstance(outcome, Refused) else None


def test_credit_for_one_meal_serves_it_and_takes_its_price() -> None:
    outcome = decide(FACTS)
    assert isinstance(outcome, Served)
    assert (outcome.entry.kind, outcome.entry.cents, outcome.entry.flags) == (Kind.MEAL, -366, [])


def test_one_cent_short_is_refused_where_the_town_refuses() -> None:
    assert refusal(replace(FACTS, balance_cents=365)) == "no_credit"


@pytest.mark.parametrize(("balance", "served"), [(-1_000 + 366, True), (-1_000 + 365, False)])
def test_the_floor_is_the_lowest_balance_after_the_meal(balance: int, served: bool) -> None:
    policy = PolicyRecord(from_day="2026-09-01", p=1, shortage=Shortage.REFUSE, floor=-1_000)
    outcome = decide(replace(FACTS, balance_cents=balance, policy=policy))
    assert isinstance(outcome, Served) is served
    if isinstance(outcome, Served):
        assert Flag.ON_CREDIT in outcome.entry.flags


def test_the_exempt_are_served_whatever_they_hold() -> None:
    exempt = AccountRecord(
        id="a-1",
        p=1,
        balance=-5_000,
        prices=[Price(from_day="2026-09-01", service="lunch", cents=0)],
    )
    outcome = decide(replace(FACTS, account=exempt, balance_cents=-5_000))
    assert isinstance(outcome, Served) and outcome.entry.cents == 0 and outcome.entry.flags == []


def test_the_first_reason_in_the_order_wins() -> None:
    worst = replace(
        FACTS,
        token=None,
        service=None,
        card=CardRecord(id=TOKEN, p=1, account="a-1", status=CardStatus.BLOCKED),
        balance_cents=-1,
    )
    seen = [refusal(worst)]
    worst = replace(worst, token=TOKEN)
    seen.append(refusal(worst))
    worst = replace(worst, service=FACTS.service)
    seen.append(refusal(worst))
    worst = replace(worst, card=FACTS.card)
    seen.append(refusal(worst))
    assert seen == ["unreadable", "no_service", "blocked", "no_credit"]


def test_a_closed_account_is_blocked() -> None:
    closed = AccountRecord(id="a-1", p=1, balance=0, status=AccountStatus.CLOSED)
    assert refusal(replace(FACTS, account=closed)) == "blocked"


def test_an_unknown_card_is_refused_where_the_town_refuses_but_not_when_all_are_served() -> None:
    unknown = replace(
        FACTS,
        card=None,
        account=None,
        policy=PolicyRecord(from_day="2026-09-01", p=1, unknown_card=UnknownCard.REFUSE),
    )
    assert refusal(unknown) == "unknown_card"
    everyone = PolicyRecord(
        from_day="2026-09-01", p=1, unknown_card=UnknownCard.REFUSE, serve_all_until="2026-11-23T23:00:00.000Z"
    )  # fmt: skip
    outcome = decide(replace(unknown, policy=everyone))
    assert (
        isinstance(outcome, Served)
        and outcome.entry.kind is Kind.UNKNOWN_MEAL
        and outcome.entry.card == TOKEN
    )


@pytest.mark.parametrize(("hours", "served"), [(24, False), (25, True), (None, True)])
def test_stale_data_never_refuses(hours: int | None, served: bool) -> None:
    age_ms = None if hours is None else hours * 3_600_000
    outcome = decide(replace(FACTS, balance_cents=0, data_age_ms=age_ms))
    assert isinstance(outcome, Served) is served
    if isinstance(outcome, Served):
        assert Flag.STALE in outcome.entry.flags


def test_a_meal_at_another_terminal_is_already_served() -> None:
    fed = AccountRecord(
        id="a-1",
        p=1,
        balance=0,
        last_meal=LastMeal(day="2026-11-23", service="lunch", terminal="t-2"),
    )
    outcome = decide(replace(FACTS, account=fed))
    assert isinstance(outcome, AlreadyServed) and outcome.terminal == "t-2"
    assert outcome.entry.reason == "already_served"


def test_a_meal_of_yesterday_elsewhere_is_not() -> None:
    fed = AccountRecord(
        id="a-1",
        p=1,
        balance=0,
        last_meal=LastMeal(day="2026-11-22", service="lunch", terminal="t-2"),
    )
    assert isinstance(decide(replace(FACTS, account=fed)), Served)


def test_a_name_chosen_by_the_staff_is_not_refused_for_credit_or_a_lost_card() -> None:
    outcome = decide(replace(FACTS, how=How.MANUAL, token=None, card=None, balance_cents=-9_999))
    assert isinstance(outcome, Served) and outcome.entry.assurance is None
