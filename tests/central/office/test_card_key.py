"""The town's card key: random, for its owner alone, and never overwritten."""

import os
import stat
from pathlib import Path

import pytest

from agent.central.office.card_key import (
    CARD_KEY_BYTES,
    card_key_path,
    create_card_key,
    read_card_key,
)
from agent.errors import CardError, CentralError, ConfigError


def test_only_the_owner_may_read_the_key_whatever_the_umask(tmp_path: Path) -> None:
    path = card_key_path(tmp_path / "central.db")
    before = os.umask(0)
    try:
        create_card_key(path)
    finally:
        os.umask(before)
    assert path.name == "central.db.card-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_town_has_a_key_of_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        create_card_key(tmp_path / name)
    keys = [read_card_key(tmp_path / name) for name in ("a", "b")]
    assert len(set(keys)) == 2 and {len(key) for key in keys} == {CARD_KEY_BYTES}


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """With another key no card of the town would be known any more."""
    create_card_key(tmp_path / "key")
    key = read_card_key(tmp_path / "key")
    with pytest.raises(CentralError, match="already exists"):
        create_card_key(tmp_path / "key")
    assert read_card_key(tmp_path / "key") == key


def test_a_key_that_cannot_be_written_or_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CentralError, match="cannot be written"):
        create_card_key(tmp_path / "missing" / "key")
    with pytest.raises(ConfigError, match="restore the file from a backup"):
        read_card_key(tmp_path / "key")
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        read_card_key(tmp_path / "key")
    (tmp_path / "key").write_text("ab\n")
    with pytest.raises(CardError, match="at least"):
        read_card_key(tmp_path / "key")
