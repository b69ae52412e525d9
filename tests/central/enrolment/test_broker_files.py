"""What is written for mosquitto: complete, and for its user alone where it is secret."""

import os
import pwd
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.central.enrolment.authority import Authority
from agent.central.enrolment.broker_files import BrokerPlace, access_list, write_broker_files
from agent.errors import CentralError
from tests.parts.broker import free_port
from tests.parts.certificates import make_authority
from tests.parts.process import Process, listens, require, wait_for
from tests.parts.town import TOWN

NOW = datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


def written(folder: Path, authority: Authority, *, user: str | None = None) -> dict[str, Path]:
    settings = folder / "conf.d"
    place = BrokerPlace(
        settings=settings,
        host="127.0.0.1",
        port=free_port(),
        user=user,
        installed_as=settings.resolve(),
    )
    return {
        path.name: path
        for path in write_broker_files(place, authority, TOWN, authority.revocations([], NOW), NOW)
    }


def test_mosquitto_starts_with_the_files_from_any_folder(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = written(Path("."), authority)  # a relative name
    port = int(files["canteen.conf"].read_text().partition("listener ")[2].split()[0])
    main = tmp_path / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    main.write_text(f"{user}include_dir {tmp_path}/conf.d\n")
    monkeypatch.chdir("/")
    with Process([require("mosquitto"), "-c", main], tmp_path / "log") as broker:
        wait_for(lambda: listens(port) or not broker.is_running, "mosquitto")
        assert broker.is_running, broker.output()


def test_secrets_are_for_the_brokers_user_alone(tmp_path: Path, authority: Authority) -> None:
    owner = pwd.getpwnam("mosquitto") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    files = written(tmp_path, authority, user=owner.pw_name)
    modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in files.items()}
    assert modes == {
        "ca.crt": 0o644,
        "canteen.conf": 0o644,
        "broker.pem": 0o600,
        "acl": 0o600,
        "revoked.pem": 0o600,
    }
    for name in ("broker.pem", "acl", "revoked.pem"):
        assert files[name].stat().st_uid == owner.pw_uid


def test_a_second_call_replaces_all_files(tmp_path: Path, authority: Authority) -> None:
    before = {name: path.read_bytes() for name, path in written(tmp_path, authority).items()}
    after = {name: path.read_bytes() for name, path in written(tmp_path, authority).items()}
    assert before["ca.crt"] == after["ca.crt"] and before["acl"] == after["acl"]
    assert before["broker.pem"] != after["broker.pem"]
    names = sorted(os.listdir(tmp_path / "canteen"))
    assert names == ["acl", "broker.pem", "ca.crt", "revoked.pem"]


def test_a_folder_that_cannot_be_written_or_a_user_that_is_missing_is_named(
    tmp_path: Path, authority: Authority
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CentralError, match=r"mosquitto\.conf includes"):
        written(tmp_path / "file", authority)
    if os.geteuid() == 0:
        with pytest.raises(CentralError, match="no user nobody-here"):
            written(tmp_path, authority, user="nobody-here")


def test_mosquitto_reads_its_folder_whatever_the_umask_was(
    tmp_path: Path, authority: Authority
) -> None:
    before = os.umask(0o077)
    try:
        files = written(tmp_path, authority)
    finally:
        os.umask(before)
    assert stat.S_IMODE(files["acl"].parent.stat().st_mode) == 0o755


def test_a_second_town_has_a_block_of_its_own() -> None:
    text = access_list(["borgofiorito", "valfiorita"])
    for town in ("borgofiorito", "valfiorita"):
        block = text[text.index(f"user {town}/central") :].partition("\n\n")[0]
        assert block.count(f"canteen/v1/{town}/t/+/") == 4
        assert block.count("topic write") == 1
