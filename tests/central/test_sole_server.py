"""Two servers on one database: the second is refused with a sentence."""

from pathlib import Path

import pytest

from agent.central.sole_server import sole_server
from agent.errors import AgentError
from tests.parts.broker import Mosquitto
from tests.parts.process import wait_for
from tests.parts.town import Access, Central, run_central


def test_the_second_of_two_servers_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        central = Central(tmp_path / "central", Access(broker.url))
        central.start()
        assert central.process is not None
        process = central.process
        wait_for(lambda: "Connected to the broker." in process.output(), "the connection")
        link = tmp_path / "the-same.db"
        link.symlink_to(central.db)
        for name in (central.db, link):
            printed = run_central("--db", name, "serve", "--broker", broker.url, code=1)
            assert "another canteen-central serve runs on this database" in printed
        central.office("credit", "--help")
        assert process.is_running and "lost" not in process.output()
        process.kill()  # the lock ends with the process
        central.start()
        assert central.process is not None
        again = central.process
        wait_for(lambda: again.output().count("Connected to the broker.") == 2, "the next server")
        central.stop()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(AgentError, match="cannot be locked"),
        sole_server(tmp_path / "none" / "central.db"),
    ):
        raise AssertionError("not reached")
