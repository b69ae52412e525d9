"""The temperature of the machine: the hottest sensor that shows a plausible one."""

from pathlib import Path

from agent.ops.temperature import temperature_c


def plant(root: Path, *texts: str) -> None:
    for number, text in enumerate(texts):
        zone = root / "sys/class/thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(text, encoding="ascii")


def test_the_hottest_place_counts_in_whole_degrees(tmp_path: Path) -> None:
    plant(tmp_path, "47774\n", "51003\n")
    assert temperature_c(tmp_path) == 51


def test_a_sensor_that_is_not_there_or_shows_nonsense_is_left_out(tmp_path: Path) -> None:
    plant(tmp_path, "255000\n", "-273150\n", "?", "40000\n")
    assert temperature_c(tmp_path) == 40


def test_a_machine_without_a_sensor_has_no_temperature(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
