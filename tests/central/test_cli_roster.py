"""The roster's commands as an office uses them: a small town, its mistakes, and what is printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.central.cli_roster import ACCOUNTS_NAMED_MAX, ROWS_SHOWN_MAX
from agent.central.office.roster_xlsx import write_xlsx
from tests.parts.process import ROOT
from tests.parts.town import run_central

HOURS = ("--opens", "12:00", "--closes", "14:15")
PRICE = "lunch 2020-01-01 3.66"
FIRST = (
    "account;site;category;status;class;label;dish;cards;prices\n"
    f"0012;primaria;pupil;active;1A;Anna B.;veg;em:0100000012;{PRICE}\n"
    f"a-2;primaria;staff;closed;2A;De Luca M.;;em:0100000002;{PRICE}\n"
)


class Office:
    """A town's office: its database, and a file that it imports."""

    def __init__(self, folder: Path) -> None:
        self.db = folder / "central.db"
        self.file = folder / "roster.csv"

    def __call__(self, *words: str | Path, code: int = 0) -> str:
        return run_central("--db", self.db, *words, code=code)

    def load(self, text: str, *options: str, code: int = 0) -> str:
        self.file.write_text(text, encoding="utf-8")
        return self("import-roster", self.file, *options, code=code)

    def plan(self, text: str) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads(self.load(text, "--dry-run", "--json"))
        return plan

    def accounts(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in json.loads(self("accounts", "--json"))}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """A town with two schools and two accounts."""
    office = Office(tmp_path)
    office("init", "--town", "borgofiorito")
    office("service", "primaria", "lunch", *HOURS)
    office("service", "media", "lunch", *HOURS)
    office.load(FIRST)
    return office


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a-3;primaria;", "line 2: prices is empty; write a price, 0.00 for a free meal, none"),
        ("a-3;primaria;pranzo 2020-01-01 3.66", "no service 'pranzo'; its services are lunch"),
        (f"a-3;Primaria;{PRICE}", "site 'Primaria' does not exist; did you mean 'primaria'?"),
    ],
)
def test_a_a_missing_price_a_wrong_service_and_a_wrong_site_import_nothing(
    office: Office, line: str, sentence: str
) -> None:
    printed = office.load(f"account;site;prices\n{line}\n", code=1)
    assert sentence in printed and "nothing imported" in printed
    assert list(office.accounts()) == ["0012", "a-2"]


def test_a_a_first_price_next_year_is_named(office: Office) -> None:
    printed = office.load("account;site;prices\na-3;primaria;lunch 2099-01-01 3.66\n")
    assert "1 new" in printed and "accounts without a price today: 1 (a-3)" in printed


def test_of_many_accounts_without_a_price_the_first_are_named(office: Office) -> None:
    rows = "".join(f"b-{n:02};primaria;none\n" for n in range(ACCOUNTS_NAMED_MAX + 1))
    printed = office.load(f"account;site;prices\n{rows}", "--dry-run")
    assert f"accounts without a price today: {ACCOUNTS_NAMED_MAX + 1} (b-00" in printed
    end = printed.splitlines()[-1]
    assert end.count("b-") == ACCOUNTS_NAMED_MAX and end.endswith(", …)")


def test_b_next_years_fares_in_three_columns_change_the_fares_only(office: Office) -> None:
    text = "account;site;prices\na-2;primaria;lunch 2099-09-01 4.00\n"
    changed = {"account": "a-2", "place": "line 2", "field": "lunch 2099-09-01"}
    assert office.plan(text)["changed"] == [{**changed, "before": None, "after": "4.00"}]
    before = office.accounts()
    assert "1 changed" in office.load(text)
    assert office.accounts() == before and before["a-2"]["status"] == "closed"
    assert office.load(text) == "1 accounts read: 0 new, 0 changed\n"


def test_c_two_stray_quotes_import_nothing_and_show_no_card(office: Office) -> None:
    text = (
        "account;class;cards\n"
        '0012;"1A;em:0100000012\n'
        'a-2;2A";em:0100000002\n'
    )  # fmt: skip
    printed = office.load(text, code=1)
    assert "lines 2 to 3: a quote of line 2 is closed on line 3" in printed
    assert "em:01" not in printed and "01000000" not in printed


def test_d_dropped_zeros_move_no_card(office: Office) -> None:
    text = f"account;site;cards;prices\n12;primaria;em:0100000012;{PRICE}\n"
    plan = office.plan(text)
    assert plan["leading_zeros"] == [{"account": "12", "place": "line 2", "like": "0012"}]
    assert [(row["before"], row["after"]) for row in plan["cards_moved"]] == [("0012", "12")]
    assert set(plan["to_allow"]) == {"move-cards", "leading-zeros"}
    for options in ([], ["--move-cards"], ["--allow", "leading-zeros"]):
        printed = office.load(text, *options, code=1)
        assert "nothing imported" in printed and "new accounts that differ only by zeros" in printed
        assert "0100000012" not in printed
    assert list(office.accounts()) == ["0012", "a-2"]
    printed = office.load(text, "--move-cards", "--allow", "leading-zeros")
    assert "cards that move: 1" in printed and "1 new" in printed
    assert "account 12" in office("card", "block", "em:0100000012")


@pytest.mark.parametrize(
    "data",
    [
        "sep=;\nACCOUNT ; Class;\n0012;Città 1ª;\n;;\n".encode(),
        "account\tclass\n0012\tCittà 1ª\n".encode("utf-16"),
        "account,class\n0012,Città 1ª\n".encode("cp1252"),
        write_xlsx([["Account", "class"], ["0012", "Città 1ª"]]),
    ],
)
def test_e_files_as_offices_save_them_are_read(office: Office, data: bytes) -> None:
    office.file.write_bytes(data)
    assert "1 changed" in office("import-roster", office.file)
    assert office.accounts()["0012"]["class"] == "Città 1ª"


@pytest.mark.parametrize("label", ["De Luca M.", "Anna-Maria", "d'Anna"])
def test_e_labels_of_people_are_labels(office: Office, label: str) -> None:
    assert "1 accounts read" in office.load(f"account;label\na-2;{label}\n")


@pytest.mark.parametrize("text", ["#N/D", "=1+1", "01-mar"])
def test_e_what_excel_makes_is_no_class(office: Office, text: str) -> None:
    assert f"line 2: class {text!r}" in office.load(f"account;class\na-2;{text}\n", code=1)
    assert office.accounts()["a-2"]["class"] == "2A"


def test_a_price_of_past_days_is_shown_and_must_be_allowed(office: Office) -> None:
    text = "account;prices\n0012;lunch 2021-01-01 4.00\n"
    printed = office.load(text, code=1)
    assert "prices of past days: 1" in printed and "--allow past-prices" in printed
    assert "the import would be refused" in office.load(text, "--dry-run")
    assert "1 changed" in office.load(text, "--allow", "past-prices")


def test_a_dry_run_shows_all_and_writes_nothing(office: Office) -> None:
    text = (
        "account;site;class;prices\n"
        f"0012;media;3A;{PRICE}\n"
        f"a-3;primaria;1B;{PRICE}\n"
    )  # fmt: skip
    before = office("accounts", "--json")
    printed = office.load(text, "--dry-run")
    assert "new accounts: 1" in printed and "changes: 2" in printed
    assert "2 accounts read: 1 would be new, 1 would be changed" in printed
    assert office("accounts", "--json") == before


def test_of_many_changes_the_first_are_shown_and_the_others_counted(office: Office) -> None:
    rows = "".join(f"b-{n};primaria;{PRICE}\n" for n in range(ROWS_SHOWN_MAX + 1))
    printed = office.load(f"account;site;prices\n{rows}", "--dry-run")
    assert printed.count("│ b-") == ROWS_SHOWN_MAX
    assert "and 1 more; --json lists all" in printed
    assert len(office.plan(f"account;site;prices\n{rows}")["new"]) == ROWS_SHOWN_MAX + 1


@pytest.mark.parametrize("name", ["r.csv", "r.xlsx"])
def test_an_exported_roster_changes_nothing(office: Office, name: str) -> None:
    office("import-roster", ROOT / "demo" / "borgofiorito.csv")
    path = office.file.with_name(name)
    assert "44 accounts" in office("export-roster", path)
    assert office("import-roster", path) == "44 accounts read: 0 new, 0 changed\n"
    assert "already exists" in office("export-roster", path, code=1)
