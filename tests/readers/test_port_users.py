"""Other programs that have a serial port are named, where they may be seen."""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.readers.port_users import users_of
from tests.parts.process import Process, require, wait_for
from tests.parts.serial_line import SerialLine

LOCK = "import fcntl, sys, signal; f = open(sys.argv[1]); fcntl.flock(f, 2); signal.pause()"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    yield line
    line.unplug()


def test_a_program_that_has_the_port_open_is_named(tmp_path: Path, line: SerialLine) -> None:
    assert users_of(str(line.path)) == []
    with Process([require("cat"), str(line.path)], tmp_path / "cat.log") as cat:
        wait_for(lambda: users_of(str(line.path)), "cat")
        assert users_of(str(line.path)) == [f"cat (pid {cat.pid})"]


def test_this_program_itself_is_not_named(tmp_path: Path) -> None:
    with open(tmp_path / "port", "w") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        assert users_of(own.name) == []


def test_the_holder_of_a_lock_is_named_where_its_files_are_not_visible(tmp_path: Path) -> None:
    port, proc = tmp_path / "port", tmp_path / "proc"
    port.touch()
    with Process([sys.executable, "-c", LOCK, str(port)], tmp_path / "lock.log") as holder:
        wait_for(lambda: users_of(str(port)), "the lock")
        folder = proc / str(holder.pid)
        folder.mkdir(parents=True)
        (folder / "comm").write_text("a\x1bb\n")
        (proc / "locks").write_text(Path("/proc/locks").read_text())
        assert users_of(str(port), proc) == [f"ab (pid {holder.pid})"]
        (folder / "comm").unlink()
        assert users_of(str(port), proc) == [f"a program (pid {holder.pid})"]


def test_a_terminal_of_the_same_name_in_a_container_is_another_one(
    tmp_path: Path, line: SerialLine
) -> None:
    """A process in a mount namespace of its own, where the same name is another terminal."""
    target = os.path.realpath(line.path)
    wait = (
        f"import os, signal\nwhile os.ttyname(os.openpty()[1]) != '{target}': pass\n"
        "print('open', flush=True); signal.pause()"
    )
    script = (
        "mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts && exec"
        f' {sys.executable} -c "{wait}"'
    )
    command = [require("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c", script]
    with Process(command, tmp_path / "container.log") as container:
        wait_for(lambda: "open" in container.output(), "the terminal of the container")
        links = (os.readlink(fd) for fd in Path(f"/proc/{container.pid}/fd").iterdir())
        assert target in links
        assert users_of(str(line.path)) == []


def test_a_port_that_is_not_there_has_no_users(tmp_path: Path) -> None:
    assert users_of(str(tmp_path / "nothing")) == []
    assert users_of(os.devnull, tmp_path) == []
