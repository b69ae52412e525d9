"""The second copy of the ledger on another medium, which the central imports if the box is lost."""

from pathlib import Path

from tests.parts.broker import Mosquitto
from tests.parts.canteen import canteen
from tests.parts.process import wait_for


def test_the_copy_follows_the_ledger_and_the_central_imports_it(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        canteen(
            tmp_path, central_url=broker.url, terminal_url=broker.url, terminals=1, start=False
        ) as town,
    ):
        (terminal,) = town.terminals
        medium = tmp_path / "usb"
        medium.mkdir()
        config = terminal.config.read_text(encoding="utf-8")
        terminal.config.write_text(f'mirror = "{medium}"\n{config}', encoding="utf-8")
        town.central.start()
        town.start(terminal)
        terminal.wait_for_account("a-1")
        copy = medium / "t-1.ledger"
        town.tap(0)
        wait_for(lambda: copy.exists() and copy.read_bytes().count(b'"hash":') == 1, "the copy")
        town.central.stop()
        broker.stop()  # from now on only the copy can bring entries to the central
        medium.rename(tmp_path / "pulled")
        town.tap(0)
        wait_for(
            lambda: terminal.status()["mirror"].endswith("No such file or directory"), "the fault"
        )
        town.tap(0)  # a failing copy does not stop a tap
        (tmp_path / "pulled").rename(medium)
        wait_for(lambda: copy.read_bytes().count(b'"hash":') == 3, "the complete copy", 40)
        assert terminal.process is not None
        terminal.process.kill()
        with open(copy, "ab") as torn:
            torn.write(b'{"terminal":"t-1","le')
        printed = town.central.office("import-ledger", copy, code=1)
        assert "the lines before it were read" in printed
        assert [town.central.balance(f"a-{n}") for n in range(3)] == [-366] * 3
