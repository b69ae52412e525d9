"""The technician's commands: profiles, devices, traces, and cards by their printed numbers."""

import json
import re
import time
from pathlib import Path

import pytest

from agent.readers.profile_rules import all_profiles
from agent.terminal.cli_readers import RECORD_S_MAX
from tests.parts.pcsc import READER_NAME, Namespace, Pcscd, VirtualCard, escape_driver
from tests.parts.process import AGENT, Process, wait_for
from tests.parts.profiles import PATHS, TEXTS, edited
from tests.parts.record_traces import TRACES, configure
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, TOWN, run_agent, run_central

NEW = ("--id", "my-reader", "--vendor", "Nobody", "--model", "Model 1")
UID = bytes.fromhex("010063e9ae")


def test_every_profile_is_listed_with_its_support_and_signals() -> None:
    rows = json.loads(run_agent("profile", "list", "--json"))
    assert {row["id"] for row in rows} == {profile.id for profile in all_profiles()}
    assert {row["support"] for row in rows} <= {"untested", "fixtures", "bench", "field"}
    assert {row["id"]: row["signals"] for row in rows}["yhy632"] == "ok, deny"
    assert "acs-acr122u" in run_agent("profile", "list")


def test_a_profile_is_shown_with_its_sources_and_the_results_of_its_selftests() -> None:
    output = run_agent("profile", "show", "rdm6300")
    assert "source: Seeed 113020002" in output
    assert "self-test: Seeed datasheet: 62e3086ced" in output
    assert output == run_agent("profile", "show", PATHS["rdm6300"])
    assert "there are 7941e" in run_agent("profile", "show", "nothing", code=78)


def test_all_profiles_are_checked_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert run_agent("profile", "check").count(": correct, ") == len(all_profiles())
    bad = edited(tmp_path, "rdm6300", "baud ", "boud ")
    output = run_agent("profile", "check", bad, PATHS["em-18"], code=1)
    assert "unknown key 'serial.boud'; did you mean 'baud'" in output
    assert "em-18.toml: correct" in output


def test_a_profile_that_matches_an_installed_ones_device_fails_its_check(tmp_path: Path) -> None:
    text = TEXTS["acs-acr122u"].replace('id        = "acs-acr122u"', 'id = "rival"')
    (tmp_path / "rival.toml").write_text(text, encoding="utf-8")
    output = run_agent("profile", "check", tmp_path / "rival.toml", code=1)
    assert "both match 072f:2200" in output


def test_a_new_profile_is_begun_once_and_fails_its_check(tmp_path: Path) -> None:
    words = ("profile", "new", *NEW, "--kind", "serial", "-o", tmp_path)
    assert "profile check" in run_agent(*words)
    file = tmp_path / "my-reader.toml"
    output = run_agent("profile", "check", file, code=1)
    assert "'selftest': write at least one with uid and one with error" in output
    assert "exists already" in run_agent(*words, code=1)
    absent = ("profile", "new", *NEW, "--kind", "serial", "-o", tmp_path / "absent")
    assert "cannot be written" in run_agent(*absent, code=1)


def test_a_name_that_a_profile_cannot_contain_is_refused(tmp_path: Path) -> None:
    words = ("profile", "new", "--id", "../x", "--vendor", "x", "--model", "m", "--kind", "pcsc")
    assert "an id has" in run_agent(*words, "-o", tmp_path, code=78)


def test_a_reader_with_a_profile_of_ones_own_can_be_recorded(tmp_path: Path) -> None:
    text = TEXTS["rdm6300"].replace('id        = "rdm6300"', 'id = "mine"')
    folder = tmp_path / "terminal"
    config = configure(folder, f'profile = "mine.toml"\nport = "{tmp_path}/nothing"\n')
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    words = ("readers", "record", "-c", config, "--seconds", "1")
    assert "no reader 'left'; there are counter" in run_agent(*words, "left", code=1)
    assert "No such file" in run_agent(*words, "counter", code=1)
    (folder / "old.trace").touch()
    output = run_agent(*words, "-o", folder / "old.trace", "counter", code=1)
    assert "exists already" in output


def test_a_recording_lasts_an_hour_at_most() -> None:
    output = run_agent("readers", "record", "--seconds", str(RECORD_S_MAX + 1), "counter", code=2)
    assert f"1<=x<={RECORD_S_MAX}" in output


def recording(folder: Path, option: str) -> str:
    """Record an RDM6300 with one card to `out.trace`; return all output of the command."""
    line = SerialLine(folder / "line")
    line.plug()
    config = configure(folder / "terminal", f'profile = "rdm6300"\nport = "{line.path}"\n')
    words: list[str | Path] = ["readers", "record", "-c", config, "--seconds", "3"]
    with Process(
        [AGENT, option, *words, "-o", folder / "out.trace", "counter"], folder / "log"
    ) as process:
        wait_for(lambda: "hold cards" in process.output(), "the recording to begin")
        ends = time.monotonic() + 10
        while process.is_running and time.monotonic() < ends:
            line.hold(UID)
        wait_for(lambda: not process.is_running, "the recording")
        output = process.output()
    line.unplug()
    return output


def test_a_recording_prints_and_writes_no_card_number(tmp_path: Path) -> None:
    output = recording(tmp_path, "-v")
    assert "out.trace: " in output and ", 1 taps" in output
    text = (tmp_path / "out.trace").read_text(encoding="utf-8")
    assert "em:04" in text
    on_wire = UID.hex().upper().encode("ascii")
    for number in (UID.hex(), on_wire.hex(" ").upper(), on_wire.hex(" ")):
        assert number not in output and number not in text


def test_vv_logs_the_raw_bytes_and_says_so_first(tmp_path: Path) -> None:
    output = recording(tmp_path, "-vv")
    raw = UID.hex().upper().encode("ascii").hex(" ")
    assert 0 < output.lower().index("raw bytes") < output.index(raw)


def test_a_trace_is_replayed_and_a_difference_is_reported(tmp_path: Path) -> None:
    trace = TRACES / "rdm6300.trace"
    assert "rdm6300, 3 taps, the same as in the recording" in run_agent("readers", "replay", trace)
    other = tmp_path / "other.trace"
    other.write_text(re.sub(r"= em:\w+", "= em:0000000001", trace.read_text(), count=1))
    output = run_agent("readers", "replay", other, code=1)
    assert "the recording had other taps: checksum, em:0000000001" in output
    own = edited(tmp_path, "rdm6300", 'byte_order = "wire"', 'byte_order = "wire" # mine')
    assert "3 taps, the same" in run_agent("readers", "replay", "--profile", own, trace)


def test_pcsc_readers_are_listed_with_profile_reason_and_obstacles(tmp_path: Path) -> None:
    card = VirtualCard()
    driver, _ = escape_driver(tmp_path / "driver", allowed=False)
    with Pcscd(tmp_path / "pcscd", card.port, driver=driver) as pcscd:
        as_json = _listed(pcscd.namespace, tmp_path / "0.log", "--json")
        text = _listed(pcscd.namespace, tmp_path / "1.log")
    rows = [row for row in json.loads(as_json) if row["device"] == "PC/SC"]
    row, _ = rows  # vpcd has two slots
    assert row["location"].startswith(READER_NAME) and row["profile"] == "acs-acr122u"
    assert "ACS ACR122U*" in row["reason"]
    (obstacle,) = row["obstacles"]
    assert obstacle["problem"].endswith("no escape commands: the reader keeps its own beep")
    assert "ifdDriverOptions" in obstacle["fix"]
    assert f"    problem: {obstacle['problem']}\n      fix: {obstacle['fix']}\n" in text


def test_without_pcscd_the_list_says_so_and_how_to_fix_it(tmp_path: Path) -> None:
    namespace = Namespace(tmp_path / "namespace")
    text = _listed(namespace, tmp_path / "log")
    namespace.close()
    assert "pcscd is not running" in text and "systemctl enable --now pcscd.socket" in text


def _listed(namespace: Namespace, log: Path, *words: str) -> str:
    """Return what `canteen-agent readers` prints inside a namespace."""
    with Process(namespace.command(AGENT, "readers", *words), log) as process:
        wait_for(lambda: not process.is_running, "the list")
    return log.read_text(encoding="utf-8")


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A central's database with three accounts; two cards have the same printed number."""
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", TOWN)
    roster = tmp_path / "roster.csv"
    cards = {"a-1": "em:010063e9ae", "a-2": "em:020063e9ae", "a-3": "em:7200944c78"}
    lines = [f"{account},{SITE},lunch 2026-01-01 3.66,{card}" for account, card in cards.items()]
    roster.write_text("\n".join(["account,site,prices,cards", *lines, ""]), encoding="utf-8")
    run_central("--db", path, "service", SITE, "lunch", "--opens", "12:00", "--closes", "14:15")
    run_central("--db", path, "import-roster", roster)
    return path


def test_a_printed_number_finds_every_card_that_carries_it(books: Path) -> None:
    def cards(*numbers: str) -> list[tuple[str, str]]:
        output = run_central("--db", books, "card", "find", "--json", *numbers)
        return [(row["card"], row["account"]) for row in json.loads(output)]

    both = [("em:010063e9ae", "a-1"), ("em:020063e9ae", "a-2")]
    assert cards("0006547886", "099,59822") == both
    assert cards("09718904") == [("em:7200944c78", "a-3")]
    run_central("--db", books, "card", "find", "12", code=1)
