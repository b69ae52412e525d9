"""What the daily renewal leaves for the agent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.terminal.renewal import FailedTries, failed_tries, forget_failures, note_failure

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)


def test_each_day_counts_once_however_often_it_is_tried(tmp_path: Path) -> None:
    for hours in (0, 0.2, 24, 24.1):
        note_failure(tmp_path, f"no answer at {hours}", NOW + hours * timedelta(hours=1))
    assert failed_tries(tmp_path) == FailedTries(2, "2026-11-24", "no answer at 24.1")


def test_days_on_which_the_box_was_off_do_not_count(tmp_path: Path) -> None:
    note_failure(tmp_path, "no answer", NOW)
    note_failure(tmp_path, "no answer", NOW + 90 * DAY)
    tries = failed_tries(tmp_path)
    assert tries is not None and tries.days == 2


def test_a_renewal_that_works_forgets_the_tries_before_it(tmp_path: Path) -> None:
    note_failure(tmp_path, "no answer", NOW)
    forget_failures(tmp_path)
    forget_failures(tmp_path)
    assert failed_tries(tmp_path) is None
    note_failure(tmp_path, "no answer", NOW)
    tries = failed_tries(tmp_path)
    assert tries is not None and tries.days == 1


@pytest.mark.parametrize("rest", [b"", b"\xff", b'{"days": "x"}'])
def test_a_file_that_cannot_be_read_is_as_none_and_is_replaced(tmp_path: Path, rest: bytes) -> None:
    note_failure(tmp_path, "no answer", NOW)
    (path,) = tmp_path.iterdir()
    path.write_bytes(rest)
    assert failed_tries(tmp_path) is None
    note_failure(tmp_path, "no answer", NOW)
    assert failed_tries(tmp_path) == FailedTries(1, "2026-11-23", "no answer")


def test_a_folder_that_cannot_be_written_does_not_hide_why_the_try_failed(tmp_path: Path) -> None:
    note_failure(tmp_path / "missing", "no answer", NOW)
    assert failed_tries(tmp_path / "missing") is None
