"""From one code to a served child, over TLS with what the central wrote; then renewed, revoked."""

import json
import os
import pwd
import signal
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.sync.certificate import valid_until
from agent.terminal.certificates import LOOK_EVERY_MS
from agent.terminal.process import IDLE_LATEST_MS
from tests.parts.enrolment import EnrolmentSite, enrol_box, enrolment_site
from tests.parts.process import AGENT, CENTRAL, Process, clock_of, listens, require, wait_for
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, run_agent

TAG = bytes.fromhex("010063e9ae")


def write_broker_files(site: EnrolmentSite, folder: Path) -> Path:
    """Let the central write what mosquitto needs, and return the folder of its settings."""
    settings = folder / "conf.d"
    settings.mkdir(parents=True, exist_ok=True)
    site.office("broker-config", settings, "--user", pwd.getpwuid(os.geteuid()).pw_name)
    return settings


def copy_database(source: Path, target: Path) -> None:
    """Copy a whole database, as a backup or a restore of it."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


@contextmanager
def broker_of(site: EnrolmentSite, folder: Path) -> Iterator[Process]:
    """Run a mosquitto with what the central writes for it now."""
    settings = write_broker_files(site, folder)
    main = folder / "mosquitto.conf"
    as_root = "user root\n" if os.geteuid() == 0 else ""
    main.write_text(f"{as_root}include_dir {settings}\n")
    with Process([require("mosquitto"), "-c", main], folder / "log") as broker:
        wait_for(lambda: listens(site.broker_port) or not broker.is_running, "mosquitto")
        assert broker.is_running, broker.output()
        yield broker


@contextmanager
def serving(site: EnrolmentSite, folder: Path) -> Iterator[None]:
    """Run the central with the certificate that `ca init` made."""
    url = f"mqtts://127.0.0.1:{site.broker_port}"
    command: list[str | Path] = [CENTRAL, "--db", site.db, "serve", "--broker", url]
    with Process(command, folder / "serve.log"):
        yield


@contextmanager
def agent_of(config: Path, *, time: str | None = None) -> Iterator[Process]:
    """Run the agent of a box as systemd would, with its credential."""
    environment = {"CREDENTIALS_DIRECTORY": str(config.parent)}
    log = config.with_name("agent.log")
    prefix = [] if time is None else clock_of(time)
    command: list[str | Path] = [*prefix, AGENT, "run", "-c", config]
    with Process(command, log, environment=environment) as agent:
        yield agent


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    """A 125 kHz reader."""
    line = SerialLine(tmp_path / "reader")
    line.plug()
    yield line
    line.unplug()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[EnrolmentSite]:
    """A central with one account, and lunch all day."""
    with enrolment_site(tmp_path / "central") as site:
        hours = ("--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567")
        site.office("service", SITE, "lunch", *hours)
        roster = tmp_path / "roster.csv"
        text = f"account,site,prices,cards\na-1,{SITE},lunch 2026-01-01 3.66,em:{TAG.hex()}\n"
        roster.write_text(text, encoding="utf-8")
        site.office("import-roster", roster)
        yield site


@pytest.fixture
def config(tmp_path: Path, site: EnrolmentSite, line: SerialLine) -> Path:
    """agent.toml of a box that was enrolled, with the reader."""
    config = tmp_path / "box" / "agent.toml"
    enrol_box(config.parent, site.new_code(), exit_code=1)  # 1: no broker runs yet
    reader = f'profile = "rdm6300"\nport = "{line.path}"'
    text = config.read_text(encoding="utf-8").replace('profile = "pcsc-generic"', reader)
    config.write_text(text, encoding="utf-8")
    return config


def renew_in_300_days(config: Path) -> None:
    command = [*clock_of("+300d"), str(AGENT), "renew", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "renewed" in done.stdout, done.stderr


def renewal_on(config: Path, day: str) -> str:
    """Return what the daily renewal prints on a day, as `+300d`."""
    command = [*clock_of(day), str(AGENT), "renew", "-c", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr


def rows(config: Path, table: str) -> int:
    """Return how many rows a terminal's table has."""
    path = config.parent / "state" / "terminal.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


REFUSED_S = 2.0


def is_accepted(site: EnrolmentSite, own: Path) -> bool:
    """Return whether the broker takes a connection with a terminal's certificate."""
    context = ssl.create_default_context(cafile=str(site.authority / "ca.crt"))
    context.load_cert_chain(own)
    with (
        socket.create_connection(("127.0.0.1", site.broker_port), 20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        # With TLS 1.3 the refusal of a client's certificate is in what is read next.
        secured.settimeout(REFUSED_S)
        try:
            secured.recv(1)
        except TimeoutError:
            return True  # the broker waits for a CONNECT
        except ssl.SSLError as error:
            assert "REVOKED" in str(error), error
            return False
        raise AssertionError("the broker hangs up without a reason")


def links(agent: Process) -> int:
    return agent.output().count("Link up")


def test_one_code_leads_to_a_meal_in_the_towns_books(
    tmp_path: Path, site: EnrolmentSite, config: Path, line: SerialLine
) -> None:
    with broker_of(site, tmp_path / "broker"), serving(site, tmp_path), agent_of(config) as agent:
        wait_for(lambda: links(agent), "the link")
        wait_for(lambda: "Reader 'counter' up" in agent.output(), "the reader")
        wait_for(lambda: rows(config, "record WHERE kind = 'account'"), "the roster")
        line.hold(TAG)
        wait_for(lambda: "-366" in site.office("statement", "a-1", "--json"), "the meal")


def test_a_renewed_certificate_is_used_without_a_restart(
    tmp_path: Path, site: EnrolmentSite, config: Path
) -> None:
    with agent_of(config) as agent:
        with broker_of(site, tmp_path / "broker"):
            wait_for(lambda: links(agent) == 1, "the link")
            before = (config.parent / "state" / "terminal.pem").read_text()
            renew_in_300_days(config)
            after = (config.parent / "state" / "terminal.pem").read_text()
            assert after != before
            assert valid_until(after) >= valid_until(before)
        # The broker is started again, and refuses the first certificate from now on.
        with broker_of(site, tmp_path / "broker"):
            wait_for(lambda: links(agent) == 2, "the link with the new certificate")


def test_a_renewal_that_fails_for_a_week_is_named_until_one_works(
    site: EnrolmentSite, config: Path
) -> None:
    """The timer's command under seven dates, and one agent that runs all the time.

    `status` is asked again and again, and housekeeping has its turn all the same.
    """
    within_s = (LOOK_EVERY_MS + IDLE_LATEST_MS) / 1000 + 15
    toml = config.read_text(encoding="utf-8")
    address = f'address = "127.0.0.1:{site.port}"'

    def fault() -> object:
        answer = json.loads(run_agent("status", "-c", config, "--json"))
        return answer["certificate_fault"]

    with agent_of(config, time="+280d") as agent:
        wait_for(lambda: "Serving as" in agent.output(), "the agent")
        config.write_text(toml.replace(address, 'address = "127.0.0.1:1"'), encoding="utf-8")
        for day in range(274, 281):
            assert fault() is None
            assert "no answer" in renewal_on(config, f"+{day}d")
        wait_for(fault, "the fault", within_s)
        assert "its renewal failed on 7 days, last: 127.0.0.1:1: no answer" in str(fault())
        assert "Certificates: its renewal failed on 7 days" in agent.output()
        config.write_text(toml, encoding="utf-8")
        assert renewal_on(config, "+280d") == ""
        wait_for(lambda: fault() is None, "the end of the fault", within_s)
        assert "Certificates: all is well again." in agent.output()


def test_a_terminal_without_the_authoritys_file_serves_and_names_it(
    config: Path, line: SerialLine
) -> None:
    authority = config.parent / "state" / "ca.crt"
    authority.unlink()
    with agent_of(config) as agent:
        wait_for(lambda: "Reader 'counter' up" in agent.output(), "the reader")
        line.hold(TAG)
        wait_for(lambda: rows(config, "entry") == 1, "the meal at the terminal")
        words = f"{authority}: cannot be used as the CA's certificate"
        wait_for(lambda: f"Certificates: {words}" in agent.output(), "the fault")
        assert words in run_agent("status", "-c", config)
        doctor = run_agent("doctor", "-c", config, code=1)
        assert str(authority) in doctor and "canteen-agent enrol" in doctor


def test_a_revocation_reaches_a_certificate_that_the_restored_books_do_not_know(
    tmp_path: Path, site: EnrolmentSite
) -> None:
    backup, own = tmp_path / "backup.db", tmp_path / "box" / "state" / "terminal.pem"
    site.office("terminals", "add", "t-1", SITE)
    copy_database(site.db, backup)
    enrol_box(tmp_path / "box", site.new_code(), exit_code=1)  # 1: no broker runs yet
    copy_database(backup, site.db)
    assert '"serial": null' in site.office("enrol", "list", "--json")
    with broker_of(site, tmp_path / "broker"):
        assert is_accepted(site, own)
    assert "1 certificates of t-1" in site.office("enrol", "revoke", "t-1")
    with broker_of(site, tmp_path / "broker"):
        assert not is_accepted(site, own)


def test_a_broker_that_reads_its_files_again_keeps_a_connection_and_takes_no_new_one(
    tmp_path: Path, site: EnrolmentSite, config: Path
) -> None:
    """So docs/broker names the restart. A new enrolment needs no `enrol revoke`."""
    old, broker = tmp_path / "old.pem", tmp_path / "broker"
    old.write_bytes((config.parent / "state" / "terminal.pem").read_bytes())
    with agent_of(config) as agent, broker_of(site, broker) as mosquitto:
        wait_for(lambda: links(agent), "the link")
        losses = agent.output().count("Link down")
        enrol_box(config.parent, site.new_code(), exit_code=1)  # 1: faults of this machine's reader
        write_broker_files(site, broker)
        os.kill(mosquitto.pid, signal.SIGHUP)
        wait_for(lambda: not is_accepted(site, old), "the list")
        assert is_accepted(site, config.parent / "state" / "terminal.pem")
        assert agent.output().count("Link down") == losses


def test_a_revoked_terminal_goes_on_serving_and_says_why_nothing_is_sent(
    tmp_path: Path, site: EnrolmentSite, config: Path, line: SerialLine
) -> None:
    with agent_of(config) as agent:
        with broker_of(site, tmp_path / "broker"), serving(site, tmp_path):
            wait_for(lambda: links(agent), "the link")
            wait_for(lambda: "Reader 'counter' up" in agent.output(), "the reader")
        site.office("enrol", "revoke", "t-1")
        with broker_of(site, tmp_path / "broker"):
            wait_for(lambda: "certificate is revoked" in agent.output(), "the reason", 60)
            line.hold(TAG)
            wait_for(lambda: rows(config, "entry") == 1, "the meal at the terminal")
        assert links(agent) == 1
