"""The temperature of the machine, from what the kernel shows."""

from pathlib import Path

PLAUSIBLE_C = range(-60, 151)
"""What a sensor shows that is there; others show 255 or -273."""


def temperature_c(root: Path = Path("/")) -> int | None:
    """Return the hottest place in whole degrees Celsius, None where the kernel shows none."""
    places = []
    for zone in root.glob("sys/class/thermal/thermal_zone*/temp"):
        try:
            degrees = int(zone.read_text(encoding="ascii")) // 1000
        except (OSError, ValueError):
            continue  # a sensor that is switched off
        if degrees in PLAUSIBLE_C:
            places.append(degrees)
    return max(places, default=None)
