"""Letters about low balances: a family gets one, with its own accounts only."""

from pathlib import Path

from agent.central.office.letters import Letter, letters
from tests.parts.roster import load_roster
from tests.parts.wire import Wire

ROSTER = """account,site,family,label,prices
a-10,primaria,f-1,Nora K.,none
a-11,primaria,f-1,Ivo K.,none
a-12,primaria,f-2,Ada B.,none
a-13,primaria,,Leo C.,none
a-14,primaria,,Mia D.,none
"""


def summary(letter: Letter) -> tuple[str | None, int, int, list[str]]:
    accounts = [account.account for account in letter.accounts]
    return (letter.family, letter.owed_cents, letter.balance_cents, accounts)


def test_a_family_gets_one_letter_with_all_its_accounts(wire: Wire, tmp_path: Path) -> None:
    load_roster(wire, tmp_path / "r.csv", ROSTER)
    wire.central.credit("a-1", 1, "a-1")
    wire.central.credit("a-2", 1, "a-2")
    for account, cents in (("a-10", -500), ("a-11", 300), ("a-12", 1), ("a-13", -600), ("a-14", 0)):
        wire.central.credit(account, cents, account)
    assert [summary(letter) for letter in letters(wire.central.books, 0)] == [
        (None, 600, -600, ["a-13"]),
        ("f-1", 500, -200, ["a-10", "a-11"]),
    ]


def test_accounts_without_a_family_are_never_in_one_letter(wire: Wire, tmp_path: Path) -> None:
    load_roster(wire, tmp_path / "r.csv", ROSTER)
    alone = [letter for letter in letters(wire.central.books, 1) if letter.family is None]
    assert sorted(summary(letter)[3] for letter in alone) == [["a-1"], ["a-13"], ["a-14"], ["a-2"]]


def test_a_closed_account_is_in_a_letter_only_if_it_owes(wire: Wire, tmp_path: Path) -> None:
    load_roster(wire, tmp_path / "r.csv", ROSTER)
    wire.central.credit("a-10", -500, "1")
    wire.central.credit("a-11", 300, "2")
    closed = "account,status\na-10,closed\na-11,closed\n"
    load_roster(wire, tmp_path / "s.csv", closed)
    assert [summary(letter) for letter in letters(wire.central.books, 0)] == [
        ("f-1", 500, -500, ["a-10"])
    ]
