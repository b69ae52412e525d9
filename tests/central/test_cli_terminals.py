"""The list of terminals: as a table, as JSON, and watched by a person."""

import json
from pathlib import Path

import click.testing
import pytest

from agent.central.cli import cli
from tests.parts.person import Person
from tests.parts.process import CENTRAL
from tests.parts.wire import Wire


def run(db: Path, *words: str, code: int = 0) -> str:
    done = click.testing.CliRunner().invoke(cli, ["--db", str(db), *words])
    assert done.exit_code == code, done.output
    return done.output


def state(wire: Wire, **members: object) -> None:
    payload = json.dumps({"online": True, **members}).encode()
    wire.central.exchange.receive(
        "canteen/v1/borgofiorito/t/t-1/state", payload, wire.clock.instant
    )


def test_a_snapshot_in_json_has_every_member(wire: Wire) -> None:
    state(wire, pending=0, faults=[{"id": "disk", "words": "full"}])
    (row,) = json.loads(run(wire.central.path, "terminals", "--json"))
    assert (row["id"], row["site"], row["condition"]) == ("t-1", "primaria", "fault")
    assert row["faults"]["disk"] == "full"
    assert row["booked"] == 0 and row["pending"] == 0


def test_the_table_says_in_words_how_each_terminal_is(wire: Wire) -> None:
    state(wire, pending=2, oldest_pending_at="2020-01-01T00:00:00.000Z", readers={"door": "down"})
    run(wire.central.path, "terminals", "add", "t-2", "primaria")
    run(wire.central.path, "terminals", "add", "t-3", "primaria")
    run(wire.central.path, "terminals", "retire", "t-3")
    printed = run(wire.central.path, "terminals")
    for words in ("2, oldest", "door down", "new: no hello yet", "retired", "0 of 0", "wipe"):
        assert words in " ".join(printed.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_only_a_person_may_watch(wire: Wire, option: str) -> None:
    assert "prints a snapshot" in run(wire.central.path, "terminals", "--watch", option, code=2)
    assert "prints a snapshot" in run(wire.central.path, "terminals", "--watch", code=2)


def test_a_watched_list_renews_itself_while_the_central_writes_until_ctrl_c(wire: Wire) -> None:
    state(wire, faults=[{"id": "disk", "words": "nearly full"}])
    with Person([CENTRAL, "--db", wire.central.path, "terminals", "--watch"]) as person:
        person.sees("t-1")
        person.sees("nearly full")
        state(wire, faults=[{"id": "reader", "subject": "door", "words": "unplugged"}])
        person.sees("reader door")
        person.presses(b"\x03")
        assert person.exit_code() == 0
