"""`decide` and its checks in their order; storno, closing. The stories test them with a store."""

import pytest
from msgspec.structs import replace

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
from agent.domain.ledger import Entry, Flag, How, Kind, RefusalReason, seal
from agent.domain.tap import (
    SAME_MEAL_MS,
    AlreadyServed,
    Facts,
    OwnMeal,
    Refused,
    Served,
    decide,
    out_of_order_refusal,
)

DAY = "2026-11-23"
HOUR_MS = 3_600_000
EPOCH = "1-0123456789abcdef"
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
    own_meals=[],
    policy=STRICT,
    service=ServiceNow(service="lunch", day="2026-11-23", outside_hours=False),
    data_age_ms=0,
)


def refusal(facts: Facts) -> str | None:
    outcome = decide(facts)
    return outcome.reason.value if isinstance(outcome, Refused) else None


def test_a_card_with_credit_for_one_meal_is_served_and_debited() -> None:
    outcome = decide(FACTS)
    assert isinstance(outcome, Served)
    assert outcome.entry == Entry(
        kind=Kind.MEAL,
        cents=-366,
        at=MOMENT.at,
        clock=ClockTrust.SYNCED,
        boot="b",
        mono_ms=1,
        how=How.CARD,
        account="a-1",
        card=TOKEN,
        service="lunch",
        day="2026-11-23",
        assurance="uid",
    )


def test_one_cent_too_little_is_refused_where_the_town_refuses() -> None:
    assert refusal(replace(FACTS, balance_cents=365)) == "no_credit"


@pytest.mark.parametrize(("balance", "served"), [(-1_000 + 366, True), (-1_000 + 365, False)])
def test_the_floor_is_the_lowest_balance_after_the_meal(balance: int, served: bool) -> None:
    policy = PolicyRecord(from_day="2026-09-01", p=1, shortage=Shortage.REFUSE, floor=-1_000)
    outcome = decide(replace(FACTS, balance_cents=balance, policy=policy))
    assert isinstance(outcome, Served) is served
    if isinstance(outcome, Served):
        assert Flag.ON_CREDIT in outcome.entry.flags


@pytest.mark.parametrize(
    ("price", "balance", "flags", "is_short"),
    [
        (366, 366, [], False),
        (366, 365, [Flag.ON_CREDIT], True),  # by one cent
        (1, 0, [Flag.ON_CREDIT], True),  # the lowest price that is none
        (0, -1, [], False),
    ],
)
def test_a_meal_is_on_credit_from_the_first_cent(
    price: int, balance: int, flags: list[Flag], is_short: bool
) -> None:
    prices = [Price(from_day="2026-09-01", service="lunch", cents=price)]
    facts = replace(FACTS, account=replace(ACCOUNT, prices=prices), balance_cents=balance)
    assert (refusal(facts) == "no_credit") is is_short
    served = decide(replace(facts, policy=replace(STRICT, shortage=Shortage.SERVE)))
    assert (served.entry.kind, served.entry.cents, served.entry.flags) == (Kind.MEAL, -price, flags)


def test_an_exempt_account_is_served_at_any_balance() -> None:
    exempt = AccountRecord(
        id="a-1",
        p=1,
        balance=-5_000,
        prices=[Price(from_day="2026-09-01", service="lunch", cents=0)],
    )
    outcome = decide(replace(FACTS, account=exempt, balance_cents=-5_000))
    assert isinstance(outcome, Served) and outcome.entry.cents == 0 and outcome.entry.flags == []


# C124
@pytest.mark.parametrize(
    "prices",
    [
        [],
        [Price(from_day="2099-01-01", service="lunch", cents=366)],
        [Price(from_day="2026-09-01", service="snack", cents=366)],
    ],
)
def test_without_a_price_a_child_is_served_and_not_free(prices: list[Price]) -> None:
    """Also where the town refuses, and at any balance: the office wrote no price."""
    facts = replace(FACTS, account=replace(ACCOUNT, prices=prices), balance_cents=-5_000)
    outcome = decide(facts)
    assert isinstance(outcome, Served)
    assert (outcome.entry.cents, outcome.entry.flags) == (0, [Flag.NO_PRICE])


# C46
def test_the_first_check_that_applies_decides() -> None:
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


# C46
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
        from_day="2026-09-01",
        p=1,
        unknown_card=UnknownCard.REFUSE,
        serve_all_until="2026-11-23T23:00:00.000Z",
    )
    outcome = decide(replace(unknown, policy=everyone))
    assert (
        isinstance(outcome, Served)
        and outcome.entry.kind is Kind.UNKNOWN_MEAL
        and outcome.entry.card == TOKEN
        and outcome.entry.cents == 0
    )


@pytest.mark.parametrize(
    ("age_ms", "served"), [(24 * HOUR_MS, False), (24 * HOUR_MS + 1, True), (None, True)]
)
def test_stale_data_never_refuses(age_ms: int | None, served: bool) -> None:
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


@pytest.mark.parametrize(("day", "service"), [("2026-11-22", "lunch"), (DAY, "snack")])
def test_another_meal_at_another_terminal_does_not_count(day: str, service: str) -> None:
    fed = AccountRecord(
        id="a-1",
        p=1,
        balance=0,
        last_meal=LastMeal(day=day, service=service, terminal="t-2"),
    )
    assert isinstance(decide(replace(FACTS, account=fed)), Served)


# C46
def test_a_name_chosen_by_the_staff_is_not_refused_for_credit_or_a_lost_card() -> None:
    outcome = decide(replace(FACTS, how=How.MANUAL, token=None, card=None, balance_cents=-9_999))
    assert isinstance(outcome, Served) and outcome.entry.assurance is None


def test_serve_all_ends_at_its_instant() -> None:
    policy = replace(STRICT, serve_all_until=MOMENT.at)
    assert refusal(replace(FACTS, balance_cents=0, policy=policy)) == "no_credit"
    later = replace(STRICT, serve_all_until="2026-11-23T11:02:05.332Z")
    outcome = decide(replace(FACTS, balance_cents=0, policy=later))
    assert isinstance(outcome, Served)
    assert outcome.entry.flags == [Flag.ON_CREDIT, Flag.SERVE_ALL]


MEAL, _ = seal(decide(FACTS).entry, seq=7, previous="00" * 32)


def own(meal: Entry = MEAL, *, is_undone: bool = False, is_dated: bool = True) -> OwnMeal:
    return OwnMeal(entry=meal, is_undone=is_undone, is_dated=is_dated)


def test_a_second_tap_is_already_served() -> None:
    outcome = decide(replace(FACTS, own_meals=[own()]))
    assert isinstance(outcome, AlreadyServed) and outcome.terminal is None
    assert (outcome.entry.kind, outcome.entry.cents) == (Kind.REFUSAL, 0)


def test_an_undone_meal_may_be_eaten_again_though_the_central_still_knows_it() -> None:
    account = replace(
        ACCOUNT, last_meal=LastMeal(day="2026-11-23", service="lunch", terminal="t-1")
    )
    facts = replace(FACTS, account=account, own_meals=[own(is_undone=True)])
    assert isinstance(decide(facts), Served)


# C121
@pytest.mark.parametrize("trust", [ClockTrust.HELD, ClockTrust.UNSET])
@pytest.mark.parametrize("day", ["2026-11-20", DAY, "2036-01-01"])
def test_within_a_boot_the_monotonic_clock_says_which_meal_it_is(
    trust: ClockTrust, day: str
) -> None:
    """Whatever day a clock that is not trusted gave to the meal and to the tap."""
    meal = replace(MEAL, day=day, clock=trust)
    moment = replace(MOMENT, trust=trust, mono_ms=1 + SAME_MEAL_MS - 1)
    facts = replace(FACTS, moment=moment, own_meals=[own(meal, is_dated=False)])
    assert isinstance(decide(facts), AlreadyServed)
    assert isinstance(
        decide(replace(facts, moment=replace(moment, trust=ClockTrust.SYNCED))), (AlreadyServed)
    )
    assert SAME_MEAL_MS == 3 * HOUR_MS
    later = decide(replace(facts, moment=replace(moment, mono_ms=1 + SAME_MEAL_MS)))
    assert isinstance(later, Served) and later.is_another is (day == DAY)


@pytest.mark.parametrize(("mono_ms", "served"), [(0, True), (1, False), (2, False)])
def test_within_a_boot_a_meal_is_the_same_from_its_own_millisecond_on(
    mono_ms: int, served: bool
) -> None:
    """The meal was at 1 ms. A tap before it asks for another meal."""
    moment = replace(MOMENT, trust=ClockTrust.HELD, mono_ms=mono_ms)
    outcome = decide(replace(FACTS, moment=moment, own_meals=[own(is_dated=False)]))
    assert isinstance(outcome, Served) is served


@pytest.mark.parametrize(("day", "served"), [(DAY, False), ("2026-11-22", True)])
def test_meals_hours_apart_are_one_if_their_confirmed_days_are(day: str, served: bool) -> None:
    """A supper at 21:30 and the next morning's meal of one service of all day are two."""
    later = replace(MOMENT, mono_ms=1 + SAME_MEAL_MS)
    outcome = decide(replace(FACTS, moment=later, own_meals=[own(replace(MEAL, day=day))]))
    assert isinstance(outcome, Served) is served


HELD = replace(MOMENT, trust=ClockTrust.HELD)
UNSET = replace(MOMENT, trust=ClockTrust.UNSET)
STAFF = replace(UNSET, day=DAY)
BEFORE = replace(MEAL, boot="before")


@pytest.mark.parametrize(
    ("moment", "is_dated", "served"),
    [
        (MOMENT, True, False),
        (MOMENT, False, True),  # the meal's day was a guess, or found to be wrong
        (HELD, True, True),  # today is a guess
        (UNSET, True, True),
        (STAFF, True, False),
        (STAFF, False, True),
    ],
)
def test_across_boots_the_day_counts_if_both_are_confirmed(
    moment: Moment, is_dated: bool, served: bool
) -> None:
    outcome = decide(replace(FACTS, moment=moment, own_meals=[own(BEFORE, is_dated=is_dated)]))
    assert isinstance(outcome, Served) is served
    if isinstance(outcome, Served):
        assert outcome.is_another
        assert (Flag.CLOCK_UNSET in outcome.entry.flags) is (moment.trust is ClockTrust.UNSET)


# C122
@pytest.mark.parametrize(("moment", "served"), [(MOMENT, False), (HELD, True), (UNSET, True)])
def test_a_guessed_day_never_refuses(moment: Moment, served: bool) -> None:
    elsewhere = LastMeal(day=DAY, service="lunch", terminal="t-2")
    policy = replace(STRICT, unknown_card=UnknownCard.REFUSE)
    for facts in (
        replace(FACTS, balance_cents=0),
        replace(FACTS, account=replace(ACCOUNT, last_meal=elsewhere)),
        replace(FACTS, account=None, card=None, policy=policy),
    ):
        assert isinstance(decide(replace(facts, moment=moment)), Served) is served


def test_a_meal_typed_in_later_is_of_the_day_that_the_staff_gave() -> None:
    late = replace(FACTS, how=How.LATE)
    typed = own(replace(MEAL, how=How.LATE), is_dated=False)
    yesterday = own(replace(MEAL, how=How.LATE, day="2026-11-22"))
    assert isinstance(decide(replace(late, own_meals=[typed])), AlreadyServed)
    assert isinstance(decide(replace(late, own_meals=[yesterday])), Served)
    # A meal typed in this minute for yesterday is not the meal of now.
    assert isinstance(decide(replace(FACTS, own_meals=[yesterday])), Served)
    assert isinstance(decide(replace(FACTS, own_meals=[typed])), AlreadyServed)
    assert isinstance(decide(replace(FACTS, moment=HELD, own_meals=[typed])), Served)


@pytest.mark.parametrize(
    ("clock", "is_dated", "served"),
    [("synced", True, False), ("held", False, False), ("unset", False, True)],
)
def test_a_late_meal_is_refused_where_the_ledger_has_one_of_that_day(
    clock: str, is_dated: bool, served: bool
) -> None:
    meal = own(replace(MEAL, clock=ClockTrust(clock)), is_dated=is_dated)
    assert isinstance(decide(replace(FACTS, how=How.LATE, own_meals=[meal])), Served) is served


def test_a_tap_outside_hours_is_served_with_a_flag() -> None:
    service = ServiceNow(service="lunch", day=DAY, outside_hours=True)
    outcome = decide(replace(FACTS, service=service))
    assert isinstance(outcome, Served) and outcome.entry.flags == [Flag.OUTSIDE_HOURS]


def test_a_tap_shown_out_of_order_is_recorded_as_no_meal() -> None:
    entry = out_of_order_refusal(FACTS)
    assert (entry.kind, entry.reason) == (Kind.REFUSAL, RefusalReason.OUT_OF_ORDER)
    assert (entry.account, entry.card, entry.at) == ("a-1", TOKEN, MOMENT.at)
