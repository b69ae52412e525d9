"""A bundle has what support needs, and nothing of a child, a person or a secret."""

import gzip
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest

from agent.central.books import accounts
from agent.central.books.accounts import Account
from agent.central.office.rules import set_policy
from agent.domain.card import card_token, parse_card_id
from agent.terminal.bundle import PART_BYTES_MAX, Part, bundle, withheld
from tests.conftest import CARD, OTHER_CARD
from tests.parts.disks import fill, run_again_as_namespace_root, tmpfs_at
from tests.parts.process import AGENT
from tests.parts.town import run_agent
from tests.parts.wire import KEY, POLICY, SITE, Wire

UNKNOWN = "a:04ffffff112233"
LABELS = ("Rossi M.", "Bianchi A.")
PERSON, HELP, PASSWORD = "gianni.verdi", "call Anna Neri 0883 000000", "open-sesame"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A terminal that was used, its agent stopped."""
    (tmp_path / "wire").mkdir()
    wire = Wire(tmp_path / "wire")
    policy = msgspec.structs.replace(POLICY, labels="short")
    set_policy(wire.central.books, policy, "give_back", at=wire.clock.instant)
    for card, account, label in zip((CARD, OTHER_CARD), ("a-1", "a-2"), LABELS, strict=True):
        with wire.central.books.transaction():
            new = Account(account, SITE, "pupil", "active", "1A", label)
            accounts.add(wire.central.books, new)
        wire.central.assign(card, account)
    wire.connect()
    for card in (CARD, OTHER_CARD, UNKNOWN, CARD):
        wire.box.tap(card)
    wire.settle()
    state = wire.box.path
    wire.close()
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "card.key").write_text(KEY.hex() + "\n")
    (folder / "password").write_text(PASSWORD)
    (folder / "agent.toml").write_text(
        f'town = "borgofiorito"\nterminal = "t-1"\nstate_dir = "state"\n'
        f'card_key_file = "card.key"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n'
        f'username = "{PERSON}"  # {PERSON} knows\npassword_file = "password"\n'
        f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "/dev/null"\n'
        f'[screen]\nhelp = "{HELP}"\n'
    )
    (folder / "state").mkdir()
    state.rename(folder / "state" / "terminal.db")
    return folder / "agent.toml"


def files_of(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def test_a_bundle_has_no_child_no_person_and_no_secret(config: Path, tmp_path: Path) -> None:
    printed = run_agent("bundle", "-c", config, "-o", tmp_path / "bundle.tar.gz")
    archive = (tmp_path / "bundle.tar.gz").read_bytes()
    assert f"bundle.tar.gz: {len(archive):,} bytes" in printed
    assert (tmp_path / "bundle.tar.gz").stat().st_mode & 0o777 == 0o600
    files = files_of(archive)
    text = "\n".join(files.values()) + "\n".join(files)
    forbidden = [*LABELS, PERSON, HELP, "Anna Neri", PASSWORD, KEY.hex(), "SQLite format"]
    for card in map(parse_card_id, (CARD, OTHER_CARD, UNKNOWN)):
        forbidden += [card_token(KEY, card), card.uid.hex(), card.uid.hex(":"), card.uid.hex(" ")]
    lowered = text.lower()
    assert [word for word in forbidden if word.lower() in lowered] == []
    assert '"town": "borgofiorito"' in files["canteen-bundle/agent.toml.json"]


JOURNALCTL = """#!/bin/sh
echo "ready"
case " $* " in *" -p info "*) ;; *) echo "raw bytes 02 04 A1 B2 C3" ;; esac
"""


def test_lines_with_raw_bytes_of_a_reader_are_left_out(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the priority debug. Here a program answers that prints such a line if asked."""
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    run_agent("bundle", "-c", config, "-o", tmp_path / "bundle.tar.gz")
    files = files_of((tmp_path / "bundle.tar.gz").read_bytes())
    for boot in ("this", "last"):
        assert files[f"canteen-bundle/journal-{boot}-boot.txt"] == "ready\n"


def test_a_bundle_has_the_doctors_findings_and_a_reason_for_what_is_missing(config: Path) -> None:
    done = subprocess.run(
        [AGENT, "bundle", "-c", config, "-o", "-"], capture_output=True, timeout=120, check=True
    )
    files = files_of(done.stdout)
    findings = json.loads(files["canteen-bundle/doctor.json"])
    assert {"configuration.file", "storage.database"} <= {finding["id"] for finding in findings}
    assert files["canteen-bundle/status.json"].startswith("not made: ")
    assert "no agent answers" in files["canteen-bundle/status.json"]
    assert json.loads(files["canteen-bundle/incidents.json"]) is not None
    assert "collecting" in done.stderr.decode() or gzip.decompress(done.stdout)


def test_a_file_that_is_there_is_not_overwritten(config: Path, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    output = run_agent("bundle", "-c", config, "-o", tmp_path / "there", code=1)
    assert "exists already" in output


def test_a_full_disk_has_a_sentence_with_another_way_and_keeps_no_half_file(
    config: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder):
        fill(folder, 0)
        output = run_agent("bundle", "-c", config, "-o", folder / "b.tar.gz", code=1)
        assert "No space left on device" in output and "canteen-agent bundle -o -" in output
        assert not (folder / "b.tar.gz").exists()


def test_a_part_has_at_most_part_bytes_max_and_its_end() -> None:
    *_, archive = bundle([Part("long.txt", lambda: "x" * PART_BYTES_MAX + "end")])
    text = files_of(archive)["canteen-bundle/long.txt"]
    assert len(text) == PART_BYTES_MAX and text.endswith("xend")


@pytest.mark.parametrize(
    "toml",
    [
        '[broker]\nurl = "mqtt://h" # ask Anna\n  username = "anna"',
        '[broker]\nurl = "mqtt://h"\n"username" = "anna"',
        'broker = { url = "mqtt://h", username = "anna" }',
        'broker.url = "mqtt://h"\nbroker.username = """an\nna"""',
    ],
)
def test_values_that_name_a_person_and_comments_are_withheld(toml: str) -> None:
    broker = {"url": "mqtt://h", "username": "(withheld)"}
    assert json.loads(withheld(toml)) == {"broker": broker}


def test_nothing_of_a_text_that_is_no_toml_is_sent() -> None:
    *_, archive = bundle([Part("agent.toml.json", lambda: withheld('help = "Anna'))])
    text = files_of(archive)["canteen-bundle/agent.toml.json"]
    assert text.startswith("not made: ") and "Anna" not in text
