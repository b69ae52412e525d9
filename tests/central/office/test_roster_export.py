"""What is exported can be imported again, and then changes nothing, here and in a new central."""

import resource
import stat
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.central.books import accounts, cards, town
from agent.central.books.accounts import Account, AccountPrice
from agent.central.books.cards import Card
from agent.central.office.cards import block_card
from agent.central.office.roster_export import EXPORT_MODE, FAULTS_SHOWN_MAX, export_roster
from agent.central.office.roster_plan import Plan
from agent.central.office.roster_text import checked_text
from agent.central.office.rules import set_service
from agent.domain.canteen import PRICE_CENTS_MAX, Price
from agent.domain.card import Token, card_token, parse_card_id
from agent.errors import AgentError, CentralError
from tests.parts.roster import load_roster, lunch, plan_roster
from tests.parts.wire import KEY, SITE, Wire

NAMES = ("r.csv", "r.xlsx")


def is_allowed(column: str, text: str | None) -> bool:
    """Return whether a text may be in a roster, in this spelling."""
    try:
        return text is None or checked_text(column, text) == text
    except AgentError:
        return False


def texts(column: str) -> st.SearchStrategy[str | None]:
    letters = st.text(st.characters(categories=["L", "M", "Nd", "Zs"], include_characters=".'-/"),
                      max_size=8)  # fmt: skip
    known = st.sampled_from([None, "1A", "0012", "De Luca M.", "d'Anna", "Città", "一", "veg"])
    return (
        (letters | known)
        .map(lambda text: text or None)
        .filter(lambda text: is_allowed(column, text))
    )


PRICES = st.builds(
    Price,
    from_day=st.dates().map(str),
    service=st.sampled_from(["lunch", "snack"]),
    cents=st.integers(0, PRICE_CENTS_MAX),
)
ROSTERS = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9._-]{1,6}", fullmatch=True),
    st.fixed_dictionaries({
        "site": st.sampled_from([SITE, "media"]),
        "category": st.sampled_from(["pupil", "staff", "guest"]),
        "status": st.sampled_from(["active", "closed"]),
        "group": texts("class"),
        "label": texts("label"),
        "dish": texts("dish"),
        "family": st.sampled_from([None, "f-1", "0012"]),
        "prices": st.lists(PRICES, max_size=3, unique_by=lambda p: (p.service, p.from_day)),
        "cards": st.integers(0, 3),
    }),
    max_size=6,
)  # fmt: skip


def new_town(stack: ExitStack) -> Wire:
    wire = stack.enter_context(closing(Wire(Path(stack.enter_context(TemporaryDirectory())))))
    for site in (SITE, "media"):
        for service in ("lunch", "snack"):
            record = type(lunch())(id=service, p=0, name="x", opens="12:00", closes="14:15")
            set_service(wire.central.books, site, record)
    return wire


def roster_of(wire: Wire) -> list[tuple[object, ...]]:
    """Return all that a roster says, as the books have it."""
    books = wire.central.books
    return [
        *books.rows("SELECT id, site, category, status, class, label, dish, family FROM account"),
        *books.rows("SELECT * FROM price"),
        *books.rows("SELECT token, account, status FROM card"),
    ]


@settings(max_examples=60, deadline=None)
@given(roster=ROSTERS, name=st.sampled_from(NAMES))
def test_an_exported_roster_changes_nothing_here_and_makes_a_new_town_equal(
    roster: dict[str, dict[str, object]], name: str
) -> None:
    with ExitStack() as stack:
        here, there = new_town(stack), new_town(stack)
        books = here.central.books
        with books.transaction():
            for number, (account, particulars) in enumerate(roster.items()):
                rest = dict(particulars)
                prices, count = rest.pop("prices"), rest.pop("cards")
                assert isinstance(prices, list) and isinstance(count, int)
                accounts.add(books, Account(id=account, **rest))  # type: ignore[arg-type]
                accounts.set_prices(books, [AccountPrice(account, price) for price in prices])
                tokens = [Token(f"{number:030x}{n:02x}") for n in range(count)]
                cards.add_all(books, [Card(token, account, "active") for token in tokens])
        path = here.central.path.with_name(name)
        assert export_roster(books, path) == len(roster)
        position = town.standing(books).position
        plan = load_roster(here, path)
        assert plan == Plan(read=len(roster)) and town.standing(books).position == position
        load_roster(there, path)
        assert roster_of(there) == roster_of(here)
        again = path.with_stem("again")
        export_roster(there.central.books, again)
        assert plan_roster(here, again) == Plan(read=len(roster))


@pytest.mark.parametrize("name", NAMES)
def test_a_blocked_card_is_not_exported_and_stays_blocked(
    wire: Wire, tmp_path: Path, name: str
) -> None:
    token = card_token(KEY, parse_card_id("a:04a1b2c3d4e5f6"))
    block_card(wire.central.books, token)
    export_roster(wire.central.books, tmp_path / name)
    assert token.encode() not in (tmp_path / name).read_bytes()
    load_roster(wire, tmp_path / name)
    assert cards.find(wire.central.books, token) == Card(token, "a-1", "blocked")


def test_a_csv_file_opens_in_excel_and_is_its_owners_alone(wire: Wire, tmp_path: Path) -> None:
    export_roster(wire.central.books, tmp_path / "r.csv")
    data = (tmp_path / "r.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfaccount;") and b"\r\na-1;primaria;" in data
    assert stat.S_IMODE((tmp_path / "r.csv").stat().st_mode) == EXPORT_MODE


def test_a_file_that_exists_is_not_overwritten(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("mine")
    with pytest.raises(CentralError, match="already exists"):
        export_roster(wire.central.books, tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("r.ods", "write a name that ends with .csv or .xlsx"), ("no/r.csv", "cannot be written")],
)
def test_a_name_that_cannot_be_written_is_a_sentence(
    wire: Wire, tmp_path: Path, name: str, sentence: str
) -> None:
    with pytest.raises(CentralError, match=sentence):
        export_roster(wire.central.books, tmp_path / name)


def test_a_full_disk_leaves_no_part_of_a_roster(wire: Wire, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(CentralError, match="cannot be written: File too large"):
            export_roster(wire.central.books, tmp_path / "r.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "r.csv").exists()


def test_a_text_of_an_older_program_is_named_and_shows_no_card_number(
    wire: Wire, tmp_path: Path
) -> None:
    """Excel would run the formula, and a card number would reach the file."""
    with wire.central.books.transaction():
        accounts.update_all(
            wire.central.books,
            [
                Account("a-1", SITE, "pupil", "active", "=1+1"),
                Account("a-2", SITE, "pupil", "active", "04a1b2c3d4e5f6"),
            ],
        )
    with pytest.raises(CentralError) as raised:
        export_roster(wire.central.books, tmp_path / "r.csv")
    sentence = str(raised.value)
    assert "account a-1: class '=1+1': write letters" in sentence
    assert "account a-2: class looks like a card number" in sentence
    assert "04a1b2c3" not in sentence and not (tmp_path / "r.csv").exists()


def test_of_many_such_texts_the_first_are_named(wire: Wire, tmp_path: Path) -> None:
    rows = [Account(f"b-{n}", SITE, "pupil", "active", "#N/D") for n in range(FAULTS_SHOWN_MAX)]
    with wire.central.books.transaction():
        accounts.add_all(wire.central.books, [*rows, rows[0]._replace(id="b-x")])
    with pytest.raises(CentralError) as raised:
        export_roster(wire.central.books, tmp_path / "r.csv")
    assert str(raised.value).count("account b-") == FAULTS_SHOWN_MAX
    assert "and 1 more" in str(raised.value)
