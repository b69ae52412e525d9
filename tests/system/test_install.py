"""Each product installs alone and starts; systemd accepts the unit; the wheel has its profiles."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.central.office.roster_xlsx import write_xlsx
from tests.parts.broker import Listener, Mosquitto, free_port
from tests.parts.process import AGENT, ROOT, Process, require, wait_for
from tests.parts.serial_line import SerialLine

UNIT = ROOT / "systemd" / "canteen-agent.service"
WHEELS = ROOT / ".make" / "wheels"
TERMINAL_ONLY = {"evdev", "pyscard", "pyserial"}
CENTRAL_ONLY = {
    *("defusedxml", "et_xmlfile", "fonttools", "fpdf2", "openpyxl", "pillow"),
    *("prometheus_client", "segno"),
    *("alembic", "mako", "psycopg", "psycopg-binary", "sqlalchemy"),
}
# The systemd that knows PrivateUsers=identity; that of Debian 12 would warn at each start.
IDENTITY_SINCE = 257
# Of the pages that a screen and a central serve.
WEB = {"anyio", "babel", "h11", "idna", "jinja2", "markupsafe", "starlette", "uvicorn"}
# The modules by which those packages are imported.
TERMINAL_MODULES = ("evdev", "smartcard", "serial")
CENTRAL_MODULES = (
    *("alembic", "defusedxml", "fpdf", "openpyxl", "prometheus_client", "psycopg", "segno"),
    "sqlalchemy",
)
SCREEN_MODULES = ("starlette", "uvicorn", "jinja2", "babel")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with one product and nothing else."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def run(self, name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(self.program(name)), *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, cwd=self.folder, env=_environ()
        )

    def packages(self) -> set[str]:
        code = (
            "from importlib.metadata import distributions as d; print(*(one.name for one in d()))"
        )
        return set(self.run("python", "-c", code).stdout.lower().split())

    def can_import(self, module: str) -> bool:
        return self.run("python", "-c", f"import {module}").returncode == 0


def _environ() -> dict[str, str]:
    """Return our environment without the variables that would let Python see this project."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy of the sources that is gone afterwards."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(ROOT, source, ignore=ignored)
    build = ["wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir"]
    subprocess.run([sys.executable, "-m", "pip", *build, folder, source], check=True, timeout=100)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _installed(folder: Path, wheel: Path, extra: str) -> Environment:
    """Return a new environment with the project and one extra, from the wheels of `make setup`."""
    if not WHEELS.is_dir():
        raise RuntimeError(f"{WHEELS} is missing: run make setup")
    venv.create(folder, with_pip=False)
    environment = Environment(folder)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment.python),
        "install",
        "--no-compile",
    ]
    pip += ["--quiet", "--isolated", "--no-index", "--find-links", str(WHEELS), f"{wheel}[{extra}]"]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=100, env=_environ())
    assert done.returncode == 0, done.stdout + done.stderr
    return environment


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder beside the wheels: three environments take 300 MB, which /tmp may not have."""
    with tempfile.TemporaryDirectory(dir=WHEELS.parent, prefix="installed-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def terminal(wheel: Path, folder: Path) -> Environment:
    return _installed(folder / "terminal", wheel, "terminal")


@pytest.fixture(scope="module")
def screen(wheel: Path, folder: Path) -> Environment:
    return _installed(folder / "screen", wheel, "screen")


@pytest.fixture(scope="module")
def central(wheel: Path, folder: Path) -> Environment:
    return _installed(folder / "central", wheel, "central")


def test_neither_product_installs_what_only_the_other_needs(
    terminal: Environment, central: Environment
) -> None:
    assert terminal.packages() - central.packages() == TERMINAL_ONLY
    # Python before 3.13 needs typing_extensions for the web
    more = central.packages() - terminal.packages() - {"typing_extensions"}
    assert more == CENTRAL_ONLY | WEB
    for module in TERMINAL_MODULES:
        assert terminal.can_import(module) and not central.can_import(module)
    for module in CENTRAL_MODULES:
        assert central.can_import(module) and not terminal.can_import(module)


def test_a_central_starts_without_the_packages_of_a_terminal(
    central: Environment, tmp_path: Path
) -> None:
    helped = central.run("canteen-central", "--help")
    assert (helped.returncode, helped.stderr) == (0, "") and "serve" in helped.stdout
    db = tmp_path / "central.db"
    made = central.run("canteen-central", "--db", db, "init", "--town", "borgofiorito")
    assert made.returncode == 0, made.stderr
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Listener(broker.port, "canteen/v1/borgofiorito/central/state") as listener,
    ):
        program = str(central.program("canteen-central"))
        command = [program, "--db", str(db), "serve", "--broker", broker.url]
        with Process(command, tmp_path / "central.log") as process:
            wait_for(lambda: b'"online":true' in b"".join(listener.on("/state")), "its state")
            assert process.stop() == 0, process.output()


def test_an_installed_central_shows_the_payers_page(central: Environment, tmp_path: Path) -> None:
    """The wheel has its templates, words and styles."""
    db, port = tmp_path / "central.db", free_port()
    assert central.run("canteen-central", "--db", db, "init", "--town", "x").returncode == 0
    db.with_name("central.db.payments.toml").write_text(
        'name = "Borgofiorito"\ncreditor = "80012345678"\nsegregation = "47"\n'
        'public_url = "https://mensa.example"\n',
        encoding="utf-8",
    )
    program = str(central.program("canteen-central"))
    command = [program, "--db", str(db), "web", "--port", str(port)]
    with Process(command, tmp_path / "web.log"):
        wait_for(lambda: _page_of(port), "the page")
        assert "Numero dell&#39;avviso" in _page_of(port) and "/static/page.css" in _page_of(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/static/page.css", timeout=5) as style:
            assert style.status == 200


def test_a_terminal_starts_without_the_packages_of_a_central(
    terminal: Environment, tmp_path: Path
) -> None:
    helped = terminal.run("canteen-agent", "--help")
    assert (helped.returncode, helped.stderr) == (0, "") and "status" in helped.stdout
    line = SerialLine(tmp_path / "reader")
    line.plug()
    (tmp_path / "card.key").write_text("00" * 32, encoding="ascii")
    config = tmp_path / "agent.toml"
    config.write_text(
        'town = "borgofiorito"\nterminal = "t-1"\nstate_dir = "state"\n'
        'card_key_file = "card.key"\n[broker]\nurl = "mqtt://no-such-host.invalid:1883"\n'
        f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n',
        encoding="utf-8",
    )

    def is_ready() -> bool:
        assert process.is_running, process.output()
        answer = terminal.run("canteen-agent", "status", "--json", "-c", config)
        return answer.returncode == 0 and '"counter":"ready"' in answer.stdout.replace(" ", "")

    command = [str(terminal.program("canteen-agent")), "run", "-c", str(config)]
    with Process(command, tmp_path / "agent.log") as process:
        wait_for(is_ready, "the terminal's reader")
        assert process.stop() == 0, process.output()
    line.unplug()


def test_a_screen_starts_without_the_packages_of_a_terminal(
    screen: Environment, terminal: Environment, tmp_path: Path
) -> None:
    for module in SCREEN_MODULES:
        assert screen.can_import(module) and not terminal.can_import(module)
    for module in (*TERMINAL_MODULES, *CENTRAL_MODULES):
        assert not screen.can_import(module)
    port = free_port()
    (tmp_path / "agent.toml").write_text(f"[screen]\nport = {port}\n", encoding="utf-8")
    command = [str(screen.program("canteen-agent")), "screen", "-c", str(tmp_path / "agent.toml")]
    with Process(command, tmp_path / "screen.log") as process:
        wait_for(lambda: _page_of(port), "the page")
        text = _page_of(port)
        assert "Il terminale sta partendo" in text and "/static/screen.js" in text
        assert process.stop() == -signal.SIGTERM, process.output()  # systemd takes it as success


def _page_of(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_a_terminal_without_its_extra_names_the_extra(central: Environment) -> None:
    done = central.run("canteen-agent", "--help")
    assert (done.returncode, done.stdout) == (78, "")
    (line,) = done.stderr.splitlines()
    assert "is not installed" in line and "pip install 'canteen-agent[terminal]'" in line


def test_a_central_without_its_extra_names_the_extra(terminal: Environment) -> None:
    done = terminal.run("canteen-central", "--help")
    assert (done.returncode, done.stdout) == (78, "")
    (line,) = done.stderr.splitlines()
    assert "is not installed" in line and "pip install 'canteen-agent[central]'" in line


def test_an_installed_central_reads_a_workbook(central: Environment, tmp_path: Path) -> None:
    path = tmp_path / "central.db"
    (tmp_path / "r.xlsx").write_bytes(write_xlsx([["account", "class"]]))
    assert central.run("canteen-central", "--db", path, "init", "--town", "x").returncode == 0
    done = central.run("canteen-central", "--db", path, "import-roster", tmp_path / "r.xlsx")
    assert done.returncode == 0, done.stderr


def test_an_installed_terminal_finds_its_profiles(terminal: Environment) -> None:
    code = (
        "from agent.readers.profile import profiles_dir;"
        "from agent.readers.profile_rules import load_profile;"
        "print(profiles_dir(), load_profile('rdm6300').id)"
    )
    done = terminal.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    folder, profile = done.stdout.split()
    assert Path(folder).is_relative_to(terminal.folder) and profile == "rdm6300"


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("canteen-agent", "/opt/canteen-agent/bin/canteen-agent"),
        ("canteen-screen", "/opt/canteen-agent/bin/canteen-agent"),
        ("canteen-kiosk", "/usr/bin/cage"),
        ("canteen-agent-renew", "/opt/canteen-agent/bin/canteen-agent"),
        ("canteen-central", "/opt/canteen-central/bin/canteen-central"),
        ("canteen-central-enrol", "/opt/canteen-central/bin/canteen-central"),
        ("canteen-central-web", "/opt/canteen-central/bin/canteen-central"),
    ],
)
def test_systemd_accepts_the_unit(name: str, program: str, tmp_path: Path) -> None:
    unit = tmp_path / f"{name}.service"
    text = UNIT.with_name(unit.name).read_text(encoding="utf-8")
    assert f"ExecStart={program} " in text
    if systemd_version() < IDENTITY_SINCE:
        text = text.replace("PrivateUsers=identity\n", "")  # as packaging/install-venv.sh does
    unit.write_text(text.replace(program, str(AGENT)), encoding="utf-8")
    command = [require("systemd-analyze"), "verify", str(unit)]
    if os.geteuid() != 0:
        # systemd-analyze 257 (Debian 13) writes to /run/systemd, which only root may make.
        run = 'mount -t tmpfs none /run && exec "$@"'
        namespace = [require("unshare"), "--user", "--map-root-user", "--mount"]
        command = [*namespace, "sh", "-c", run, "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def systemd_version() -> int:
    command = [require("systemd-analyze"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return int(done.stdout.split()[1])


def test_the_unit_has_the_settings_that_the_agent_relies_on() -> None:
    unit = UNIT.read_text(encoding="utf-8")
    for line in (
        "Type=notify",
        "WatchdogSec=30",
        "User=canteen-agent",
        "StateDirectory=canteen-agent",
        "LoadCredential=card-key:/etc/canteen-agent/card-key",
        "RestartPreventExitStatus=78 203 216 217 243",
        "Restart=always",
        "StateDirectoryMode=0711",
        "UMask=0027",
    ):
        assert line in unit.splitlines()


def test_the_kiosk_starts_at_boot_again_and_again_and_reaches_this_machine_only() -> None:
    unit = UNIT.with_name("canteen-kiosk.service").read_text(encoding="utf-8").splitlines()
    for line in (
        "Restart=always",
        "StartLimitIntervalSec=0",
        "WantedBy=multi-user.target",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        "InaccessiblePaths=-/var/lib/canteen-agent -/etc/canteen-agent",
    ):
        assert line in unit


def test_the_server_of_payments_has_its_own_user_and_reaches_this_machine_only() -> None:
    text = UNIT.with_name("canteen-central-web.service").read_text(encoding="utf-8")
    for line in (
        "User=canteen-central",
        "StateDirectory=canteen-central",
        "StateDirectoryMode=0700",
        "Restart=always",
        "RestartPreventExitStatus=78 203 216 217",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        "UMask=0077",
    ):
        assert line in text.splitlines()


def test_the_unit_allows_the_system_calls_that_read_the_clock_status() -> None:
    unit = UNIT.read_text(encoding="utf-8").splitlines()
    assert "ProtectClock=yes" not in unit
    allowed: set[str] = set()
    for line in unit:
        if line.startswith("SystemCallFilter="):
            words = line.removeprefix("SystemCallFilter=")
            calls = {call for word in words.lstrip("~").split() for call in _system_calls(word)}
            allowed = allowed - calls if words.startswith("~") else allowed | calls
    assert {"adjtimex", "clock_adjtime", "fdatasync", "flock", "connect", "ppoll"} <= allowed


def _system_calls(name: str) -> set[str]:
    """Return the system calls of a systemd group, with those of the groups in it."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        [require("systemd-analyze"), "syscall-filter", name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [
        line.strip()
        for line in listed.splitlines()[1:]
        if line.strip() and not line.strip().startswith("#")
    ]
    return {call for word in words for call in _system_calls(word)}
