"""A missing tool fails with the name of its package. No test is skipped for it."""

import pytest

from tests.parts.process import require


@pytest.mark.parametrize("tool", ["openssl", "unshare"])
def test_a_missing_tool_names_its_package(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert require(tool).endswith(tool)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="apt-get install"):
        require(tool)
