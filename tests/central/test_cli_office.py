"""The office's commands: what they print, and what an option that is not given leaves alone."""

import csv
import json
from pathlib import Path

import click.testing
import pytest

from agent.central.cli import cli
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import KEY, Wire


@pytest.fixture
def office(wire: Wire) -> "Office":
    wire.central.path.with_name("central.db.card-key").write_text(KEY.hex(), encoding="ascii")
    return Office(wire.central.path)


class Office:
    """Runs commands on a central's database, in this process."""

    def __init__(self, db: Path) -> None:
        self._db = db

    def run(self, *words: str) -> str:
        """Return what a command prints."""
        done = click.testing.CliRunner().invoke(cli, ["--db", str(self._db), *words])
        assert done.exit_code == 0, done.output
        return done.output

    def rules(self, *words: str) -> dict[str, str]:
        """Return the rules that `policy` prints."""
        cells = [line.split("│") for line in self.run("policy", *words).splitlines()]
        return {row[1].strip(): row[2].strip() for row in cells if len(row) == 4}


def test_a_rule_that_is_not_given_stays_as_it_was(office: Office) -> None:
    office.run("policy", "--from", "2027-01-01", "--shortage", "refuse", "--floor", "-10.00")
    office.run("policy", "--from", "2027-02-01", "--double-meal", "keep", "--undo-min", "5")
    rules = office.rules("--from", "2027-02-01")
    assert (rules["shortage"], rules["floor"]) == ("refuse", "-1000")
    assert (rules["double_meal"], rules["undo_min"]) == ("keep", "5")
    assert office.rules("--from", "2027-01-31")["double_meal"] == "give_back"


def test_looking_at_the_rules_changes_nothing(wire: Wire, office: Office) -> None:
    before = wire.central.value("SELECT position FROM central")
    assert office.rules("--from", "2027-01-01")["unknown_card"] == "serve"
    assert wire.central.value("SELECT position FROM central") == before


def test_a_time_of_serve_all_is_stored_in_utc(office: Office) -> None:
    rules = office.rules("--from", "2027-01-01", "--serve-all-until", "2027-01-03T12:00")
    assert rules["serve_all_until"] == "2027-01-03T12:00:00.000Z"


def test_a_card_is_found_by_its_printed_number_and_shown_with_its_account(office: Office) -> None:
    printed = str(int(OTHER_CARD.removeprefix("em:")[2:], 16)).zfill(10)
    found = json.loads(office.run("card", "find", printed, "--json"))
    assert {"card": OTHER_CARD, "account": "a-2", "status": "active"} in found


def test_assigning_a_card_says_how_many_earlier_meals_are_booked(
    wire: Wire, office: Office
) -> None:
    wire.box.tap("a:04010203040506")
    wire.settle()
    printed = office.run("card", "assign", "a:04010203040506", "a-1")
    assert printed == "assigned to account a-1; 1 earlier meals booked\n"
    assert office.run("card", "assign", CARD, "a-1") == "assigned to account a-1\n"


def test_no_list_prints_a_card_id(wire: Wire, office: Office) -> None:
    wire.box.tap("a:04010203040506")
    wire.settle()
    printed = "".join(
        office.run(words, "--json") for words in ("terminals", "accounts", "incidents")
    )
    assert "unknown_card" in printed
    assert "04010203040506" not in printed and CARD.partition(":")[2] not in printed


def test_lists_are_tables_json_or_csv(office: Office) -> None:
    assert "│ a-1" in office.run("accounts") and "0.00" in office.run("accounts")
    rows = list(csv.DictReader(office.run("accounts", "--csv").splitlines()))
    assert [(row["id"], row["class"], row["balance_cents"]) for row in rows] == [
        ("a-1", "1A", "0"),
        ("a-2", "1A", "0"),
    ]
    for name in ("terminals", "incidents"):
        printed = csv.DictReader(office.run(name, "--csv").splitlines())
        assert len(list(printed)) == len(json.loads(office.run(name, "--json")))


def test_a_terminal_is_registered_moved_ordered_and_retired(office: Office) -> None:
    assert office.run("terminals", "add", "t-2", "primaria") == "terminal t-2 at site primaria\n"
    assert "resync" in office.run("terminals", "order", "t-2", "resync")
    assert office.run("terminals", "retire", "t-2") == "terminal t-2 retired\n"
    rows = {row["id"]: row for row in json.loads(office.run("terminals", "--json"))}
    assert (rows["t-2"]["site"], rows["t-2"]["waiting_order"]) == (None, "wipe")
