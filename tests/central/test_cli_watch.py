"""The watched folder as a process: files come while it runs, and kill -9 loses none."""

import json
from pathlib import Path

import pytest

from tests.parts.payment_messages import CREDITOR, Receipt, soap_receipt
from tests.parts.process import CENTRAL, ROOT, Process, wait_for
from tests.parts.town import run_central

SETTINGS = (
    f'name = "Borgofiorito"\ncreditor = "{CREDITOR}"\nsegregation = "47"\n'
    'public_url = "https://mensa.example"\n'
)
ACCOUNTS = [f"a-{n}" for n in range(1001, 1013)]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", path, "service", "primaria", "lunch", *hours)
    run_central("--db", path, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    path.with_name("central.db.payments.toml").write_text(SETTINGS)
    return path


def receipt_of(db: Path, account: str) -> bytes:
    notice = json.loads(run_central("--db", db, "payments", "notice", f"{account}=20.00", "--json"))
    return soap_receipt(Receipt(notice["iuv"], receipt=f"receipt-{account}"))


def watcher(db: Path, folder: Path) -> Process:
    command: list[str | Path] = [CENTRAL, "--db", db, "watch-folder", folder, "--settled-s", "0"]
    return Process(command, folder.with_name("watch.log"))


def test_a_killed_watcher_loses_and_doubles_nothing(db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for account in ACCOUNTS:
        (folder / f"{account}.xml").write_bytes(receipt_of(db, account))
    done = folder / "done"

    def count() -> int:
        return len(list(done.glob("*.xml"))) if done.exists() else 0

    for number in range(1, len(ACCOUNTS) + 1):
        with watcher(db, folder) as process:
            wait_for(lambda least=number: count() >= least, "a file more")  # type: ignore[misc]
            process.kill()
    assert count() == len(ACCOUNTS) and not list(folder.glob("*.xml"))
    payments = json.loads(run_central("--db", db, "payments", "list", "--json"))
    assert sorted(payment["state"] for payment in payments) == ["credited"] * len(ACCOUNTS)
    for account in ACCOUNTS:
        (line,) = json.loads(run_central("--db", db, "statement", account, "--json"))
        assert line["amount_cents"] == 2_000
    assert "all correct" in run_central("--db", db, "check")


def test_files_are_taken_as_they_come_until_a_signal(db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    with watcher(db, folder) as process:
        wait_for(lambda: (folder / "refused").exists(), "its folders")
        (folder / "part").write_bytes(receipt_of(db, "a-1001"))
        (folder / "part").rename(folder / "r.xml")
        wait_for(lambda: (folder / "done" / "r.xml").exists(), "the file in done")
        printed = run_central("--db", db, "watch-folder", folder, "--once", code=1)
        assert "another watch-folder takes its files" in printed
        assert process.stop() == 0
    assert "r.xml: credited" in process.output()


def test_a_look_ends_with_1_if_a_file_is_refused(db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    words = ("watch-folder", folder, "--once", "--settled-s", "0")
    assert run_central("--db", db, *words) == ""
    (folder / "x.xml").write_bytes(b"<a/>")
    assert "x.xml: moved to refused" in run_central("--db", db, *words, code=1)
    assert "watched folder, x.xml" in run_central("--db", db, "incidents")


def test_a_look_names_the_files_that_it_leaves(db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "x.xml").write_bytes(b"<")
    (folder / "y.xml.part").write_bytes(b"<")
    shown = run_central("--db", db, "watch-folder", folder, "--once", "--settled-s", "3600")
    assert shown.startswith("2 files stay: they changed in the last 3600 s, or have the name")
