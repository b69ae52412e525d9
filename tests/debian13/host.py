"""What a new Debian takes over from this machine: mirror, proxies, certificates, pip's index.

The repository names no mirror and no index. They are read here each time.
"""

import os
import shutil
import subprocess
from pathlib import Path

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
PACKAGE_OF = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "git": "git"}
EMULATOR = {"qemu-aarch64-static": "qemu-user-static"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
ARM64 = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing_packages(*, emulated: bool = False) -> list[str]:
    """Return the Debian packages of this machine that a run needs and that are not installed."""
    needed = PACKAGE_OF | (EMULATOR if emulated and os.uname().machine != "aarch64" else {})
    return sorted(
        package for tool, package in needed.items() if not shutil.which(tool, path=SEARCH_PATH)
    )


def enable_arm64() -> None:
    """Let the kernel run programs of arm64 under qemu, as its package does where systemd runs."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    if not (BINFMT / ARM64.stem).exists():
        (BINFMT / "register").write_text(ARM64.read_text(encoding="ascii"), encoding="ascii")


def mirror(apt: Path = APT, os_release: Path = OS_RELEASE) -> str | None:
    """Return the mirror of this machine's Debian, or None if its apt sources name none."""
    system = _assignments(os_release.read_text(encoding="utf-8"))
    if system.get("ID") != "debian":
        return None
    codename = system.get("VERSION_CODENAME", "stable")
    for file in sorted([*apt.glob("sources.list"), *apt.glob("sources.list.d/*")]):
        text = file.read_text(encoding="utf-8")
        for uri, suites in _stanzas(text) if file.suffix == ".sources" else _lines(text):
            if codename in suites:
                return uri
    return None


def _assignments(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def _stanzas(text: str) -> list[tuple[str, list[str]]]:
    """Return (URI, suites) of each stanza of a .sources file."""
    sources = []
    for stanza in text.split("\n\n"):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        if "deb" in fields.get("Types", []) and fields.get("URIs"):
            sources.append((fields["URIs"][0], fields.get("Suites", [])))
    return sources


def _lines(text: str) -> list[tuple[str, list[str]]]:
    """Return (URI, suites) of each line of a sources.list."""
    sources = []
    for line in text.splitlines():
        words = line.partition("#")[0].partition("]")
        kind, *rest = (words[0].partition("[")[0] + " " + words[2]).split() or [""]
        if kind == "deb" and len(rest) >= 2:
            sources.append((rest[0], [rest[1]]))
    return sources


def apt_settings() -> str:
    """Return this machine's apt proxies as lines of an apt.conf."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy")
    return "".join(f"{line}\n" for line in dump.splitlines() if line.startswith(wanted))


def pip_settings(python: str) -> str:
    """Return this machine's Python index as a pip.conf, without indexes on its own disk."""
    command = [python, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout
    lines = ["[global]"]
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        urls = " ".join(word for word in value.strip("'\"").split() if "file:" not in word)
        if key in PIP_KEYS and urls:
            lines.append(f"{key} = {urls}")
        if key == "cert":
            lines.append("cert = /etc/ssl/certs/ca-certificates.crt")
    return "\n".join([*dict.fromkeys(lines), ""])


def certificates() -> list[Path]:
    """Return the certificate authorities that somebody added to this machine."""
    return sorted(OWN_CERTIFICATES.glob("**/*.crt"))


def proxies() -> dict[str, str]:
    """Return the environment's proxy variables."""
    return {name: os.environ[name] for name in PROXIES if name in os.environ}
