"""A plan names what an import would change, and what a person must allow."""

from pathlib import Path

import pytest

from agent.central.office.cards import block_card
from agent.central.office.roster_plan import (
    LEADING_ZEROS,
    MOVE_CARDS,
    NAMES_LISTED_MAX,
    PAST_PRICES,
    Change,
    Plan,
)
from agent.central.office.rules import set_service
from agent.domain.canteen import PRICES_MAX, ServiceRecord
from agent.domain.card import card_token, parse_card_id
from agent.errors import CentralError
from tests.parts.roster import load_roster, lunch, plan_roster
from tests.parts.wire import KEY, Wire

PRICE = "lunch 2026-09-01 3.66"
KNOWN = (
    "account,site,category,status,class,label,dish,cards,prices\n"
    f"a-10,primaria,staff,closed,1A,Nora K.,veg,em:0100000001,{PRICE}\n"
    f"0012,primaria,pupil,active,1A,,,em:0100000002,{PRICE}\n"
)


@pytest.fixture
def path(wire: Wire, tmp_path: Path) -> Path:
    """A file to write to, after a first roster was imported."""
    set_service(wire.central.books, "media", lunch())
    load_roster(wire, tmp_path / "r.csv", KNOWN)
    return tmp_path / "r.csv"


def complaint(wire: Wire, path: Path, text: str) -> str:
    """Return why a roster is refused."""
    with pytest.raises(CentralError) as raised:
        plan_roster(wire, path, text)
    return str(raised.value)


def change(field: str, before: str | None, after: str | None) -> Change:
    return Change(account="a-10", place="line 2", field=field, before=before, after=after)


def test_the_same_file_again_changes_nothing(wire: Wire, path: Path) -> None:
    assert plan_roster(wire, path) == Plan(read=2)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("account,prices\na-10,lunch 2026-09-01 3.66\n", []),
        (f"account,site,prices\na-10,primaria,{PRICE}\n", []),
        ("account\na-10\n", []),
        ("account,class\na-10,2A\n", [change("class", "1A", "2A")]),
        ("account,class\na-10,\n", [change("class", "1A", None)]),
        ("account,label,dish\na-10,,\n", [change("label", "Nora K.", None),
                                          change("dish", "veg", None)]),
        ("account,status\na-10,active\n", [change("status", "closed", "active")]),
        ("account,category\na-10,pupil\n", [change("category", "staff", "pupil")]),
        ("account,site\na-10,media\n", [change("site", "primaria", "media")]),
        ("account,prices\na-10,lunch 2027-01-01 3.80\n",
         [change("lunch 2027-01-01", None, "3.80")]),
        ("account,prices\na-10,lunch 2026-09-01 4.00\n",
         [change("lunch 2026-09-01", "3.66", "4.00")]),
        ("account,cards\na-10,\n", []),
    ],
)  # fmt: skip
def test_only_what_a_file_states_changes(
    wire: Wire, path: Path, text: str, changes: list[Change]
) -> None:
    plan = plan_roster(wire, path, text)
    assert plan.changes == changes
    assert (plan.new, [account.id for account in plan.changed]) == ([], ["a-10"] * bool(changes))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"account,site,prices\nb-1,Primaria,{PRICE}\n",
         "site 'Primaria' does not exist; did you mean 'primaria'?; sites are media, primaria"),
        (f"account,site,prices\na-10,Primaria,{PRICE}\n", "site 'Primaria' does not exist"),
        ("account,site,prices\nb-1,primaria,pranzo 2026-09-01 3.66\n",
         "site 'primaria' has no service 'pranzo'; its services are lunch"),
        ("account,prices\na-10,Lunch 2027-09-01 3.66\n", "did you mean 'lunch'?"),
        (f"account,prices\nb-1,{PRICE}\n", "this account is new, but the file has no column site"),
        ("account,site\nb-1,primaria\n", "is new, but the file has no column prices"),
        ("account\nb-1\n", "is new, but the file has no column site and no prices"),
        ("account,prices\na-10,none\n", "prices says none, but the account has prices"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_a_bad_line(
    wire: Wire, path: Path, text: str, sentence: str
) -> None:
    printed = complaint(wire, path, text)
    assert "\n  line 2: " in printed and sentence in printed


def test_a_new_card_of_a_known_account_is_a_change_and_of_a_new_one_is_not(
    wire: Wire, path: Path
) -> None:
    plan = plan_roster(wire, path, "account,cards\na-10,em:0100000009\n")
    assert [(row.field, row.before) for row in plan.changes] == [("card", None)]
    assert (plan.changed_count, plan.changed) == (1, [])
    text = f"account,site,cards,prices\nb-1,primaria,em:0100000009,{PRICE}\n"
    assert plan_roster(wire, path, text).changes == []


def test_of_many_sites_the_first_are_named(wire: Wire, path: Path) -> None:
    for n in range(NAMES_LISTED_MAX):
        set_service(wire.central.books, f"a-{n}", lunch())
    printed = complaint(wire, path, f"account,site,prices\nb-1,zzz,{PRICE}\n")
    assert printed.count(" a-") == NAMES_LISTED_MAX and "a-9, …;" in printed


def test_a_known_account_at_a_site_without_services_may_stay(wire: Wire, path: Path) -> None:
    wire.central.add_account("a-50", site="old")
    assert plan_roster(wire, path, f"account,site,prices\na-50,old,{PRICE}\n") == Plan(read=1)


def test_a_price_may_be_unknown_and_then_is_listed(wire: Wire, path: Path) -> None:
    text = (
        "account,site,status,prices\n"
        "b-1,primaria,active,none\n"
        "b-2,primaria,active,lunch 2027-01-01 3.66\n"
        "b-3,primaria,closed,none\n"
        "b-4,primaria,active,lunch 2026-09-01 0.00\n"
    )
    plan = plan_roster(wire, path, text)
    assert plan.without_price == ["b-1", "b-2"]
    assert plan.risks() == {}


def test_a_move_to_a_site_where_no_price_counts_is_listed(wire: Wire, path: Path) -> None:
    dinner = ServiceRecord(id="dinner", p=0, name="Cena", opens="19:00", closes="20:00")
    set_service(wire.central.books, "collegio", dinner)
    plan = plan_roster(wire, path, "account,site,status\na-10,collegio,active\n")
    assert plan.without_price == ["a-10"]


def test_a_card_that_moves_must_be_allowed_and_shows_no_number(wire: Wire, path: Path) -> None:
    plan = plan_roster(wire, path, "account,cards\na-10,em:0100000002\n")
    (move,) = plan.card_moves
    assert (move.place, move.before, move.after) == ("line 2", "0012", "a-10")
    assert plan.changes == [change("card", None, move.card)]
    assert len(move.card) == 9 and "0100000002" not in move.card
    assert list(plan.risks()) == [MOVE_CARDS]
    assert "--move-cards" in plan.risks()[MOVE_CARDS]


def test_a_blocked_card_moves_to_nobody(wire: Wire, path: Path) -> None:
    block_card(wire.central.books, card_token(KEY, parse_card_id("em:0100000002")))
    text = complaint(wire, path, "account,cards\na-10,em:0100000002\n")
    assert "line 2: a card is blocked and belonged to account 0012; give this account" in text
    assert plan_roster(wire, path, "account,cards\n0012,em:0100000002\n") == Plan(read=1)


def test_zeros_that_excel_dropped_must_be_allowed(wire: Wire, path: Path) -> None:
    text = f"account,site,cards,prices\n12,primaria,em:0100000002,{PRICE}\n"
    plan = plan_roster(wire, path, text)
    (likeness,) = plan.likenesses
    assert (likeness.account, likeness.place, likeness.like) == ("12", "line 2", "0012")
    assert list(plan.risks()) == [MOVE_CARDS, LEADING_ZEROS]


def test_new_accounts_that_differ_by_zeros_are_compared_with_each_other(
    wire: Wire, path: Path
) -> None:
    rows = "".join(f"{name},primaria,{PRICE}\n" for name in ("b-007", "b-7", "b-70", "0", "00"))
    plan = plan_roster(wire, path, f"account,site,prices\n{rows}")
    assert [(row.account, row.like) for row in plan.likenesses] == [("b-7", "b-007"), ("00", "0")]


def test_two_known_accounts_that_differ_by_zeros_are_no_surprise(wire: Wire, path: Path) -> None:
    load_roster(wire, path, f"account,site,prices\n12,primaria,{PRICE}\n")
    assert plan_roster(wire, path, "account,class\n12,2A\n0012,2A\n").likenesses == []


@pytest.mark.parametrize(
    ("price", "is_past"),
    [
        ("lunch 2026-09-01 4.00", True),
        ("lunch 2026-10-01 4.00", True),
        ("lunch 2026-11-22 4.00", True),
        ("lunch 2026-10-01 3.66", False),  # the price of that day already
        ("lunch 2026-11-23 4.00", False),  # today
        ("lunch 2026-08-01 4.00", False),  # no price was known on that day
    ],
)
def test_a_price_of_past_days_must_be_allowed(
    wire: Wire, path: Path, price: str, is_past: bool
) -> None:
    plan = plan_roster(wire, path, f"account,prices\na-10,{price}\n")
    assert len(plan.past_prices) == is_past
    assert list(plan.risks()) == [PAST_PRICES] * is_past


def test_an_account_has_as_many_prices_as_a_record_allows(wire: Wire, path: Path) -> None:
    def prices(number: int, year: int) -> str:
        return " | ".join(f"lunch {year + n}-01-01 3.66" for n in range(number))

    load_roster(wire, path, f"account,prices\na-10,{prices(PRICES_MAX - 1, 2030)}\n")
    text = complaint(wire, path, f"account,prices\na-10,{prices(1, 2200)}\n")
    assert f"line 2: the account would have more than {PRICES_MAX} prices" in text
