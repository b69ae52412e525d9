"""`canteen-central town`: what an operator of a server types."""

from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.central.cli import cli
from agent.errors import AgentError
from tests.parts.postgres import Postgres

_numbers = count(1)


@pytest.fixture
def name() -> str:
    return f"comando-{next(_numbers)}"


def run(address: str, *words: str | Path) -> Result:
    """Run a command; its errors are raised."""
    result = CliRunner().invoke(
        cli, ["--db", address, *map(str, words)], catch_exceptions=False, standalone_mode=False
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, where card keys are written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_town(postgres: Postgres, name: str) -> str:
    return f"{postgres.address}?town={name}"


def test_a_town_is_added_and_its_office_works(postgres: Postgres, name: str, folder: Path) -> None:
    added = run(postgres.address, "town", "add", name)
    assert f"town {name}" in added.output and "card key" in added.output
    assert (folder / f"{name}.card-key").stat().st_mode & 0o777 == 0o600
    assert name in run(postgres.address, "town", "list").output.split()
    checked = run(of_town(postgres, name), "check")
    assert checked.output == "0 balances, 0 entries: all correct\n"


def test_a_town_that_is_refused_leaves_no_card_key(
    postgres: Postgres, name: str, folder: Path
) -> None:
    run(postgres.address, "town", "add", name)
    key = folder / f"{name}.card-key"
    before = key.read_text()
    with pytest.raises(AgentError, match="already"):
        run(postgres.address, "town", "add", name)
    assert key.read_text() == before
    key.unlink()
    with pytest.raises(AgentError, match="already"):
        run(postgres.address, "town", "add", name)
    assert not key.exists()


def test_a_town_moves_by_a_file(postgres: Postgres, name: str, folder: Path) -> None:
    run(postgres.address, "town", "add", name)
    run(of_town(postgres, name), "terminals", "add", "t-1", "scuola")
    out = run(postgres.address, "town", "export", name, folder / "moved.db")
    assert "children's names" in out.output
    assert (folder / "moved.db").stat().st_mode & 0o777 == 0o600
    assert "t-1" in run(str(folder / "moved.db"), "terminals", "--csv").output
    run(postgres.address, "town", "remove", name, "--yes")
    assert name not in run(postgres.address, "town", "list").output.split()
    run(postgres.address, "town", "import", folder / "moved.db")
    assert "t-1" in run(of_town(postgres, name), "terminals", "--csv").output
    incidents = run(of_town(postgres, name), "incidents", "--csv")
    assert "imported from moved.db" in incidents.output


def test_a_town_is_not_removed_without_a_yes(postgres: Postgres, name: str) -> None:
    run(postgres.address, "town", "add", name)
    refused = CliRunner().invoke(
        cli, ["--db", postgres.address, "town", "remove", name], input="n\n"
    )
    assert refused.exit_code == 1
    assert name in run(postgres.address, "town", "list").output.split()


def test_an_export_that_fails_leaves_no_file(postgres: Postgres, folder: Path) -> None:
    with pytest.raises(AgentError, match="has no town 'none'"):
        run(postgres.address, "town", "export", "none", folder / "none.db")
    assert not (folder / "none.db").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("town", "add", "a b"), "is not an id"),
        (("town", "add", "x", "--zone", "Europe/Barletta"), "does not exist"),
        (("town", "add", "x" * 60), "write a shorter id"),
        (("town", "list"), "is a file, and has one town"),
        (("serve", "--towns", "all"), "--towns is for a server"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    postgres: Postgres, words: tuple[str, ...], sentence: str
) -> None:
    address = "central.db" if "has one town" in sentence or "--towns" in sentence else ""
    with pytest.raises(AgentError, match=sentence):
        run(address or postgres.address, *words)


def test_init_makes_no_town_on_a_server(postgres: Postgres, name: str) -> None:
    with pytest.raises(AgentError, match="canteen-central town add"):
        run(of_town(postgres, name), "init", "--town", name)
