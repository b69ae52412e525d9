"""The command of the screen; tests/system/test_screen.py runs it beside a terminal."""

from tests.parts.town import run_agent


def test_the_command_is_a_part_of_canteen_agent() -> None:
    helped = run_agent("screen", "--help")
    assert "staff's page" in helped and "agent.toml" in helped


def test_a_wrong_table_ends_with_78(tmp_path: object) -> None:
    path = f"{tmp_path}/agent.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("[screen]\nport = 80\n")
    assert "key 'screen.port': Expected `int` >= 1024" in run_agent("screen", "-c", path, code=78)
