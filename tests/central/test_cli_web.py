"""The command `web`: where it listens, and what it needs."""

from pathlib import Path

from agent.central.cli_web import LOOPBACK
from tests.parts.bank import Bank
from tests.parts.pay_site import pay_site
from tests.parts.town import run_central


def test_it_listens_on_loopback_and_says_where(tmp_path: Path) -> None:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", "borgofiorito")
    with Bank() as bank, pay_site(db, bank) as site:
        assert f"payments: {site.url}/" in db.with_name("web.log").read_text()
        assert site.url.startswith(f"http://{LOOPBACK}:")


def test_without_settings_it_does_not_start(tmp_path: Path) -> None:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", "borgofiorito")
    assert "payments.toml: cannot be read" in run_central("--db", db, "web", code=78)


def test_damaged_books_are_shown_to_nobody(tmp_path: Path) -> None:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", "borgofiorito")
    with Bank() as bank, pay_site(db, bank):
        pass
    pages = bytearray(db.read_bytes())
    pages[8_192:16_384] = b"\xff" * 8_192
    db.write_bytes(pages)
    assert "damaged" in run_central("--db", db, "web", "--port", "18099", code=1)
