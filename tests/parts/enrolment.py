"""A central's enrolment server as a real process, and the boxes that call it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.broker import free_port
from tests.parts.process import CENTRAL, Process, listens, wait_for
from tests.parts.town import SITE, TOWN, run_agent, run_central


@dataclass(frozen=True, slots=True)
class EnrolmentSite:
    """A central with an authority. `broker_port` is where its broker is to be, `port` its own."""

    db: Path
    port: int
    broker_port: int
    log: Path

    @property
    def authority(self) -> Path:
        return self.db.with_name(self.db.name + ".ca")

    def office(self, *words: str | Path, code: int = 0) -> str:
        return run_central("--db", self.db, *words, code=code)

    def new_code(self, terminal: str = "t-1") -> str:
        """Return a new code for a terminal."""
        printed = self.office("enrol", "new", terminal, "--site", SITE)
        return printed.partition("canteen-agent enrol ")[2].split()[0]


@contextmanager
def enrolment_site(folder: Path) -> Iterator[EnrolmentSite]:
    """Yield a new central whose server runs."""
    site = new_site(folder)
    with enrolment_server(site):
        yield site


def new_site(folder: Path) -> EnrolmentSite:
    """Return a new central with an authority, whose server does not run yet."""
    folder.mkdir(parents=True, exist_ok=True)
    site = EnrolmentSite(folder / "central.db", free_port(), free_port(), folder / "enrol.log")
    site.office("init", "--town", TOWN)
    broker = f"mqtts://127.0.0.1:{site.broker_port}"
    site.office("ca", "init", "--enrol", f"127.0.0.1:{site.port}", "--broker", broker)
    return site


@contextmanager
def enrolment_server(site: EnrolmentSite) -> Iterator[Process]:
    """Run the server of a central."""
    command: list[str | Path] = [CENTRAL, "--db", site.db, "enrol", "serve", "--host", "127.0.0.1"]
    with Process(command, site.log) as process:
        wait_for(lambda: listens(site.port) or not process.is_running, "the enrolment server")
        assert process.is_running, process.output()
        yield process


def enrol_box(folder: Path, code: str, *, exit_code: int = 0) -> str:
    """Call `canteen-agent enrol` for a box whose files are in a folder. Return what it printed."""
    box = ("-c", folder / "agent.toml", "--state-dir", folder / "state", "--no-start")
    return run_agent("enrol", *box, code, code=exit_code)
