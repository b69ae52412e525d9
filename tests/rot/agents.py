"""Opens damaged files with a real agent: the process starts, answers, and is stopped."""

from contextlib import closing
from pathlib import Path

from agent.errors import AgentError, StoreError
from agent.ops.control_client import ask
from agent.store.database import Database
from tests.parts.process import AGENT, Process, wait_for
from tests.rot.victim import Files, Found, Victim, look
from tests.store.disk import TERMINAL, TOWN

CONFIG = (
    f'town = "{TOWN}"\nterminal = "{TERMINAL}"\nstate_dir = "state"\ncard_key_file = "key"\n'
    '[broker]\nurl = "mqtt://127.0.0.1:1"\n'
    '[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "nowhere"\n'
)


def open_with_agent(files: Files, folder: Path, victim: Victim) -> Found:
    """Start an agent on damaged files, and compare what it made of them.

    Raise `StoreError` where it stays out of order.
    """
    state = folder / "state"
    state.mkdir()
    (folder / "key").write_text("00112233445566778899aabbccddeeff", encoding="ascii")
    (folder / "agent.toml").write_text(CONFIG, encoding="utf-8")
    for end, content in files.items():
        (state / f"terminal.db{end}").write_bytes(content)
    command: list[str | Path] = [AGENT, "run", "-c", folder / "agent.toml"]
    with Process(command, folder / "agent.log") as process:
        wait_for(lambda: _answers(state / "control.sock"), "the agent's answer", 30)
        try:
            ask(state / "control.sock", "status")
        except AgentError as error:  # it answers with its fault
            raise StoreError(str(error)) from error
        assert process.stop() == 0, process.output()
    with closing(Database(state / "terminal.db")) as db:
        exported = b"".join(path.read_bytes() for path in state.glob("*.ledger"))
        return look(db, exported, victim)


def _answers(socket: Path) -> bool:
    try:
        ask(socket, "status")
    except AgentError as error:
        return "no agent answers" not in str(error)
    return True
