"""The mirror and the index of a machine are read from its own settings."""

import os
from pathlib import Path

import pytest

from tests.debian13 import host

STANZAS = """\
# a comment
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
"""
LINES = """\
# deb http://old.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian bookworm main
"""


def _mirror(folder: Path, file: str, text: str, system: str = "debian") -> str | None:
    (folder / "sources.list.d").mkdir()
    (folder / file).write_text(text, encoding="utf-8")
    release = folder / "os-release"
    release.write_text(f'ID={system}\nVERSION_CODENAME="bookworm"\n', encoding="utf-8")
    return host.mirror(folder, release)


@pytest.mark.parametrize(
    ("file", "text"),
    [("sources.list.d/debian.sources", STANZAS), ("sources.list", LINES)],
)
def test_the_mirror_is_the_one_of_the_release_itself(tmp_path: Path, file: str, text: str) -> None:
    assert _mirror(tmp_path, file, text) == "http://mirror.example/debian"


def test_without_a_mirror_of_debian_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert _mirror(tmp_path, "sources.list", LINES.splitlines()[1]) is None
    assert _mirror(tmp_path / "other", "sources.list", LINES, system="another") is None


def test_an_index_on_the_disk_of_the_host_is_left_out(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        "echo \"global.extra-index-url='file:///srv/index https://index.example/simple'\"\n"
        "echo \"global.cert='/etc/ssl/own.pem'\"\n"
        "echo \"global.constraint='/etc/constraints.txt'\"\n",
        encoding="ascii",
    )
    python.chmod(0o755)
    assert host.pip_settings(str(python)).splitlines() == [
        "[global]",
        "extra-index-url = https://index.example/simple",
        "cert = /etc/ssl/certs/ca-certificates.crt",
    ]


def test_a_missing_tool_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(host.PACKAGE_OF, "no-such-tool", "its-package")
    assert "its-package" in host.missing_packages()


def test_only_a_run_of_arm64_needs_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(host.EMULATOR, "no-such-emulator", "its-package")
    assert "its-package" not in host.missing_packages()
    is_emulated = os.uname().machine != "aarch64"
    assert ("its-package" in host.missing_packages(emulated=True)) == is_emulated
