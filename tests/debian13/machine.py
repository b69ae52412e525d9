"""A minimal Debian in a folder, in which commands run under systemd-nspawn.

systemd-nspawn runs the command without booting: there is no systemd and no system bus inside.
That is the harder case for pcscd, which asks polkit over the system bus. With `--register=no` and
`--keep-unit` it also works on a machine where systemd does not run.
The root shares this machine's network. It needs only the package mirror and the Python index.
"""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.debian13 import host

ROOT = Path(__file__).resolve().parent.parent.parent
USER = "tester"
PROJECT = "canteen-agent"
PACKAGES = "ca-certificates,git,make,sudo"
# /tmp of the root is a tmpfs of this size: the README's commands must not need more.
TMP_MB = 500
# The README's commands end within a quarter of an hour on two cores.
COMMAND_S = 3600.0
NSPAWN = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2"]


class MachineError(Exception):
    """A Debian root could not be made or started; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one command ended. `tmp_mb` is the most that /tmp held, in MB."""

    user: str
    command: str
    code: int
    seconds: float
    tmp_mb: int
    log: Path


@dataclass(frozen=True, slots=True)
class Release:
    """One release of Debian, for this machine's architecture or a foreign one, and its folder."""

    codename: str
    foreign: str = ""

    @property
    def folder(self) -> Path:
        name = f"{self.codename}-{self.foreign}" if self.foreign else self.codename
        return ROOT / ".make" / "debian" / name

    @property
    def base(self) -> Path:
        return self.folder / "base"

    def prepare(self) -> None:
        """Make the minimal root that every machine is copied from, unless it exists."""
        ready = self.folder / "ready"
        if not ready.exists():
            shutil.rmtree(self.base, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            print(f"making a minimal Debian {self.codename} in {self.base}", flush=True)
            options = ["--variant=minbase", f"--include={PACKAGES}"]
            options += [f"--arch={self.foreign}"] if self.foreign else []
            where = [self.codename, str(self.base), *filter(None, [host.mirror()])]
            _checked(["debootstrap", *options, *where], self.folder / "debootstrap.log")
            _add_user(self.base)
            ready.touch()
        _checked(_inside(self.base, {}, "true"), self.folder / "systemd-nspawn.log")

    def machine(self, user: str) -> "Machine":
        """Return a fresh copy of the root with the host's settings and a clone of the project."""
        machine = Machine(self, user)
        shutil.rmtree(machine.root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.base, machine.root], check=True)
        _copy_settings(machine.root)
        _clone(machine.root / machine.home.lstrip("/") / PROJECT)
        owned = _inside(machine.root, {}, f"chown -R {user}: {machine.home}/{PROJECT}")
        _checked(owned, self.folder / "systemd-nspawn.log")
        return machine


@dataclass(frozen=True, slots=True)
class Machine:
    """A Debian root with the project in the home of `user`."""

    release: Release
    user: str

    @property
    def root(self) -> Path:
        return self.release.folder / self.user

    @property
    def home(self) -> str:
        return "/root" if self.user == "root" else f"/home/{self.user}"

    def run(self, command: str) -> Result:
        """Run a command in the project's folder as the user, and show and log its output."""
        log = self.release.folder / f"{self.user}-{command.replace(' ', '-').replace('/', '-')}.log"
        words = f"cd {PROJECT} && {command}"
        archives = self.release.folder / "archives"
        archives.mkdir(exist_ok=True)
        started = time.monotonic()
        with _tmp(self.release.folder / "tmp") as tmp, open(log, "w", encoding="utf-8") as output:
            binds = {archives: "/var/cache/apt/archives", tmp.folder: "/tmp"}
            login = ["su", "--login", self.user, "--command", words]
            child = subprocess.Popen(
                _inside(self.root, binds, *login),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            limit = threading.Timer(COMMAND_S, child.terminate)
            limit.start()
            for line in child.stdout or ():
                print(line, end="", flush=True)
                output.write(line)
            code = child.wait()
            limit.cancel()
        return Result(self.user, command, code, time.monotonic() - started, tmp.peak_mb, log)

    def remove(self) -> None:
        """Delete the root; the log files stay."""
        shutil.rmtree(self.root)


def _inside(root: Path, binds: dict[Path, str], *words: str) -> list[str]:
    """Return the command that runs `words` in a root; one word is a shell's command."""
    options = ["--hostname=debian", "--console=pipe", "--directory", str(root)]
    options += [f"--bind={source}:{target}" for source, target in binds.items()]
    options += [f"--setenv={name}={value}" for name, value in host.proxies().items()]
    return [*NSPAWN, *options, *(words if len(words) > 1 else ("/bin/sh", "-c", *words))]


def _checked(command: list[str], log: Path) -> None:
    """Run a command quietly. Raise `MachineError` with the end of its output if it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": host.SEARCH_PATH},
    )
    log.write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-5:])
        raise MachineError(f"{command[0]} ended with {done.returncode}; see {log}:\n{end}")


def _add_user(root: Path) -> None:
    """Add an ordinary user who may use sudo without a password."""
    sudoers = root / "etc" / "sudoers.d" / USER
    sudoers.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n", encoding="ascii")
    sudoers.chmod(0o440)
    # Without flushes dpkg is several times faster, and this root need not survive a power cut.
    (root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n", encoding="ascii")
    # sudo looks up the host's name.
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost debian\n", encoding="ascii")
    make_user = f"useradd --create-home --shell /bin/bash {USER}"
    _checked(_inside(root, {}, make_user), root.parent / "useradd.log")


def _copy_settings(root: Path) -> None:
    """Give a root this machine's proxies, certificate authorities and Python index."""
    (root / "etc/apt/apt.conf.d/90host").write_text(host.apt_settings(), encoding="utf-8")
    (root / "etc/pip.conf").write_text(host.pip_settings("/usr/bin/python3"), encoding="utf-8")
    for certificate in host.certificates():
        shutil.copy(certificate, root / "usr/local/share/ca-certificates" / certificate.name)
    _checked(_inside(root, {}, "update-ca-certificates"), root.parent / "certificates.log")


def _clone(target: Path) -> None:
    """Clone the project as a newcomer does, and add the changes that are not yet committed."""
    # The repository may belong to another user than root.
    trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
    environment = {**os.environ, **trust, "GIT_CONFIG_VALUE_0": "*"}

    def git(folder: Path, *words: str, given: bytes = b"") -> bytes:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(
            command, check=True, input=given, stdout=subprocess.PIPE, env=environment
        ).stdout

    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(target))
    if changes := git(ROOT, "diff", "--binary", "HEAD"):
        git(target, "apply", "--whitespace=nowarn", given=changes)
    for name in git(ROOT, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0"):
        if name:
            path = target / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / os.fsdecode(name), path)


class _Tmp:
    """A tmpfs for /tmp, and the most that it has held so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peak_mb = 0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._measure, name="tmp", daemon=True)

    def start(self) -> None:
        self._watch.start()

    def stop(self) -> None:
        self._over.set()
        self._watch.join()

    def _measure(self) -> None:
        while not self._over.wait(0.5):
            held = os.statvfs(self.folder)
            used_mb = (held.f_blocks - held.f_bfree) * held.f_frsize // 1_000_000
            self.peak_mb = max(self.peak_mb, used_mb)


@contextmanager
def _tmp(folder: Path) -> Iterator[_Tmp]:
    """Mount a tmpfs of TMP_MB, watch how full it gets, and unmount it."""
    folder.mkdir(exist_ok=True)
    options = f"mode=1777,size={TMP_MB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    tmp = _Tmp(folder)
    try:
        tmp.start()
        yield tmp
        tmp.stop()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
