"""One exception for each room; a process ends with the exit code of its exception."""

import pytest

from agent import errors
from agent.errors import AgentError, ConfigError, RecordError, StoreError, UncertainCommitError

ALL = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, Exception)
]


@pytest.mark.parametrize("error", ALL)
def test_only_a_wrong_configuration_ends_with_78(error: type[AgentError]) -> None:
    assert issubclass(error, AgentError)
    assert error.exit_code == (78 if issubclass(error, ConfigError) else 1)


def test_an_uncertain_commit_names_its_entry() -> None:
    error = UncertainCommitError("the disk failed", epoch="1-a", seq=7, digest="ff")
    assert isinstance(error, StoreError) and str(error) == "the disk failed"
    assert (error.epoch, error.seq, error.digest) == ("1-a", 7, "ff")


def test_an_unreadable_record_names_kind_and_id() -> None:
    error = RecordError("account", "a-1", ValueError("no JSON"))
    assert isinstance(error, StoreError) and (error.kind, error.id) == ("account", "a-1")
    assert str(error) == "the record of account a-1 cannot be read: no JSON"
