"""The command `canteen-agent bundle`; test_bundle.py has what is in the file."""

from pathlib import Path

from tests.parts.town import run_agent


def test_without_a_terminal_a_bundle_is_made_all_the_same(tmp_path: Path) -> None:
    output = tmp_path / "bundle.tar.gz"
    printed = run_agent("bundle", "-c", tmp_path / "none.toml", "-o", output)
    assert f"{output}: " in printed and "bytes" in printed and output.stat().st_size > 500
