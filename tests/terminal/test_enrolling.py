"""A box becomes a terminal: its files, in which order, and what a power cut leaves."""

import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.central.books.file import FileBooks
from agent.errors import AgentError, ConfigError
from agent.readers.plugged import Device
from agent.readers.profile_rules import load_profile
from agent.sync.certificate import valid_until
from agent.sync.enrolment import parse_code
from agent.terminal.config import load_config
from agent.terminal.enrolling import PROFILE_DEFAULT, Box, enrol, forget_key, renew
from agent.terminal.renewal import RENEW_DAYS, failed_tries
from tests.parts.enrolment import EnrolmentSite, enrol_box, enrolment_site
from tests.parts.process import AGENT, Process, wait_for

NOW = datetime.now(UTC)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[EnrolmentSite]:
    with enrolment_site(tmp_path / "central") as site:
        yield site


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    folder = tmp_path / "etc"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return Box(config=folder / "agent.toml", state_dir=tmp_path / "state", user=None)


def enrol_with(site: EnrolmentSite, box: Box, *devices: Device) -> None:
    enrol(parse_code(site.new_code()), box, list(devices))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Enrolment


def test_the_files_are_a_terminals_and_the_secrets_are_for_their_owner(
    site: EnrolmentSite, box: Box
) -> None:
    enrol_with(site, box)
    config = load_config(box.config)
    assert (config.town, config.terminal) == ("borgofiorito", "t-1")
    config.broker.tls_context()  # key and certificate fit
    assert config.card_key.hex() == site.db.with_name("central.db.card-key").read_text().strip()
    assert mode(box.state_dir / "terminal.pem") == mode(box.config.parent / "card-key") == 0o600
    assert mode(box.config) == mode(box.state_dir / "ca.crt") == 0o644
    assert mode(box.state_dir) == 0o710
    names = sorted(os.listdir(box.state_dir)) + sorted(os.listdir(box.config.parent))
    assert names == ["ca.crt", "terminal.key", "terminal.pem", "agent.toml", "card-key"]
    forget_key(box)
    assert "terminal.key" not in os.listdir(box.state_dir)


def test_readers_that_are_plugged_in_are_in_the_configuration(
    site: EnrolmentSite, box: Box
) -> None:
    pcsc, serial = load_profile("acs-acr1281u"), load_profile("rdm6300")
    enrol_with(
        site,
        box,
        Device("a USB device", None, pcsc, "by USB id"),
        Device("first slot", "ACR1281 00 00", pcsc, "by name"),
        Device("second slot", "ACR1281 00 01", pcsc, "by name"),
        Device("a port", '/dev/serial/by-path/"x"', serial, "by USB id"),
        Device("a stranger", "/dev/ttyUSB1", None, "no profile"),
    )
    tables = tomllib.loads(box.config.read_text())["reader"]
    assert tables == [
        {"name": "counter", "profile": "acs-acr1281u"},
        {"name": "counter-2", "profile": "rdm6300", "port": '/dev/serial/by-path/"x"'},
    ]
    load_config(box.config)


def test_without_a_reader_the_configuration_is_right_and_waits_for_one(
    site: EnrolmentSite, box: Box
) -> None:
    enrol_with(site, box)
    assert [reader.profile.id for reader in load_config(box.config).readers] == [PROFILE_DEFAULT]


def test_a_terminal_that_is_enrolled_again_keeps_its_configuration(
    site: EnrolmentSite, box: Box
) -> None:
    """Its certificate has ended, or was taken back. Readers and mirror are as before."""
    enrol_with(site, box)
    forget_key(box)
    box.config.write_text(box.config.read_text() + "\n[screen]\nport = 8081\n")
    before = box.config.read_text(), (box.state_dir / "terminal.pem").read_text()
    enrol_with(site, box)
    after = box.config.read_text(), (box.state_dir / "terminal.pem").read_text()
    assert after[0] == before[0] and after[1] != before[1]
    load_config(box.config).broker.tls_context()


def test_a_terminal_does_not_become_another_and_the_code_stays_good(
    site: EnrolmentSite, box: Box
) -> None:
    enrol_with(site, box)
    forget_key(box)
    before = (box.state_dir / "terminal.pem").read_text()
    code = parse_code(site.new_code("t-2"))
    with pytest.raises(AgentError, match="the code is for t-2"):
        enrol(code, box, [])
    assert (box.state_dir / "terminal.pem").read_text() == before
    box.config.rename(box.config.with_suffix(".before"))
    enrol(code, box, [])
    assert load_config(box.config).terminal == "t-2"


def test_a_power_cut_before_the_service_is_started_leaves_a_good_code(
    site: EnrolmentSite, box: Box
) -> None:
    code = parse_code(site.new_code())
    first = enrol(code, box, [])
    assert enrol(code, box, []) == first


@pytest.mark.parametrize("rest", [b"", b"\xff", b"-----BEGIN"])
def test_a_key_that_a_power_cut_left_unreadable_is_replaced(
    site: EnrolmentSite, box: Box, rest: bytes
) -> None:
    box.state_dir.mkdir()
    (box.state_dir / "terminal.key").write_bytes(rest)
    enrol_with(site, box)
    load_config(box.config).broker.tls_context()
    assert (box.state_dir / "terminal.key").read_bytes().startswith(b"-----BEGIN")


def test_a_refused_box_has_no_configuration(site: EnrolmentSite, box: Box) -> None:
    code = parse_code(site.new_code())
    site.new_code()
    with pytest.raises(AgentError, match="the central refuses: no such code"):
        enrol(code, box, [])
    assert not box.config.exists()


def test_a_folder_that_cannot_be_written_is_named(site: EnrolmentSite, box: Box) -> None:
    box.config.parent.parent.joinpath("etc").write_text("a file")
    with pytest.raises(AgentError, match="etc: File exists"):
        enrol_with(site, box)


def test_a_user_that_does_not_exist_stops_it_before_the_code_is_used(
    site: EnrolmentSite, box: Box
) -> None:
    stranger = Box(config=box.config, state_dir=box.state_dir, user="no-such-user")
    with pytest.raises(AgentError, match="install the package canteen-agent"):
        enrol_with(site, stranger)
    assert '"serial": null' in site.office("enrol", "list", "--json")


@pytest.mark.parametrize(
    "written", ["state/terminal.key", "state/ca.crt", "state/terminal.pem", "card-key"]
)
def test_after_a_kill_at_each_step_the_same_code_makes_the_terminal(
    site: EnrolmentSite, tmp_path: Path, written: str
) -> None:
    """And the central has made one certificate for it."""
    code, folder = site.new_code(), tmp_path / "box"
    box = ("-c", folder / "agent.toml", "--state-dir", folder / "state", "--no-start")
    process = Process([AGENT, "enrol", *box, code], tmp_path / "log")
    wait_for((folder / written).exists, written)
    process.kill()
    if not (folder / "agent.toml").exists():
        enrol_box(folder, code, exit_code=1)  # 1: faults of this machine's readers
    assert valid_until((folder / "state" / "terminal.pem").read_text()) > NOW
    assert (folder / "card-key").read_text() == site.db.with_name("central.db.card-key").read_text()
    with closing(FileBooks(site.db)) as books:
        assert books.rows("SELECT count(*) FROM certificate") == [(1,)]


# Renewal


def test_a_certificate_is_renewed_when_its_end_is_near_and_not_before(
    site: EnrolmentSite, box: Box
) -> None:
    enrol_with(site, box)
    path = box.state_dir / "terminal.pem"
    before = path.read_text()
    until = valid_until(before)
    early = until - timedelta(days=RENEW_DAYS, seconds=1)
    assert "nothing to do yet" in renew(box.config, early)
    assert path.read_text() == before
    assert "renewed" in renew(box.config, early + timedelta(seconds=2))
    assert path.read_text() != before and mode(path) == 0o600
    load_config(box.config).broker.tls_context()
    assert before.partition("-----BEGIN CERT")[0] not in path.read_text()  # a new key, too


def test_a_clock_that_is_not_set_renews_nothing(site: EnrolmentSite, box: Box) -> None:
    enrol_with(site, box)
    (box.state_dir / "ca.crt").write_text("no certificate")
    with pytest.raises(AgentError):
        renew(box.config, valid_until((box.state_dir / "terminal.pem").read_text()))
    before = failed_tries(box.state_dir)
    assert before is not None
    assert "clock is not set" in renew(box.config, datetime(1970, 1, 1, tzinfo=UTC))
    assert failed_tries(box.state_dir) == before


def test_a_refused_renewal_leaves_the_certificate_and_is_counted(
    site: EnrolmentSite, box: Box
) -> None:
    enrol_with(site, box)
    before = (box.state_dir / "terminal.pem").read_text()
    site.office("enrol", "revoke", "t-1")
    for days in (3, 2):
        with pytest.raises(AgentError, match="taken back"):
            renew(box.config, valid_until(before) - timedelta(days=days))
    assert (box.state_dir / "terminal.pem").read_text() == before
    tries = failed_tries(box.state_dir)
    assert tries is not None and tries.days == 2 and "taken back" in tries.reason
    forget_key(box)
    enrol_with(site, box)
    assert "nothing to do yet" in renew(box.config, NOW)
    assert failed_tries(box.state_dir) is None


@pytest.mark.parametrize(
    ("file", "words"), [("ca.crt", "put the authority's there"), ("terminal.pem", "certificate")]
)
def test_a_file_that_is_no_certificate_is_a_sentence(
    site: EnrolmentSite, box: Box, file: str, words: str
) -> None:
    enrol_with(site, box)
    end = valid_until((box.state_dir / "terminal.pem").read_text())
    (box.state_dir / file).write_bytes(b"\xff rest of a power cut")
    with pytest.raises(AgentError, match=words):
        renew(box.config, end - timedelta(days=1))


def test_a_terminal_that_was_not_enrolled_is_a_sentence(site: EnrolmentSite, box: Box) -> None:
    enrol_with(site, box)
    text = box.config.read_text()
    box.config.write_text(text.replace(text[text.index("[enrolment]") : text.index("[[")], ""))
    with pytest.raises(ConfigError, match="was not enrolled"):
        renew(box.config, NOW)
    box.config.write_text(text.replace('address = "127', 'address = "https://127'))
    with pytest.raises(ConfigError, match=r"enrolment\.address"):
        renew(box.config, NOW)


def test_a_key_in_another_file_is_not_renewed_beside_it(site: EnrolmentSite, box: Box) -> None:
    """Else the new certificate would never be used."""
    enrol_with(site, box)
    text = box.config.read_text()
    own = f'key_file = "{box.state_dir}/terminal.pem"'
    box.config.write_text(text.replace(own, 'key_file = "credential:tls-key"'))
    with pytest.raises(ConfigError, match="the same file as certificate_file"):
        renew(box.config, NOW)
