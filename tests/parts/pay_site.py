"""`canteen-central web` as a process, with its settings and a bank."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.bank import ALIAS, Bank
from tests.parts.broker import free_port
from tests.parts.payment_messages import CREDITOR, SECRET
from tests.parts.process import CENTRAL, Process, listens, wait_for
from tests.parts.town import run_central


@dataclass(frozen=True)
class PaySite:
    """The running web server of a central."""

    db: Path
    url: str
    bank: Bank

    def notice(self, *shares: str) -> dict[str, str]:
        """Give out a notice; return its number, IUV and link."""
        words = ("payments", "notice", *shares, "--json")
        notice: dict[str, str] = json.loads(run_central("--db", self.db, *words))
        return notice


@contextmanager
def pay_site(db: Path, bank: Bank) -> Iterator[PaySite]:
    """Run the web server of a central's database, with the contract of a bank."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    db.with_name("bank-key").write_text(SECRET)
    db.with_name(f"{db.name}.payments.toml").write_text(
        f'name = "Comune di Borgofiorito"\ncreditor = "{CREDITOR}"\nsegregation = "47"\n'
        f'public_url = "{url}"\n[pos]\nalias = "{ALIAS}"\nurl = "{bank.url}"\n'
        'secret_file = "bank-key"\n'
    )
    command: list[str | Path] = [CENTRAL, "--db", db, "web", "--port", str(port)]
    with Process(command, db.with_name("web.log")) as process:
        wait_for(lambda: listens(port) or not process.is_running, "the web server")
        assert process.is_running, process.output()
        yield PaySite(db, url, bank)
