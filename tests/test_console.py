"""How a program ends: sentences and exit codes."""

import pytest

from agent.console import run_guarded
from agent.errors import ConfigError


def test_our_own_bug_is_3_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> int:
        raise KeyError("ours")

    def no() -> int:
        raise ConfigError("agent.toml: a sentence")

    assert run_guarded(bug) == 3 and "Traceback" in caplog.text
    assert run_guarded(no) == 78
    assert run_guarded(lambda: 0) == 0
