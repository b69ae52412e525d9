"""`[screen]` of agent.toml, for the terminal that checks the file and the screen that uses it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from msgspec import Meta, Struct

from agent.errors import ConfigError
from agent.toml_file import load_toml

Language = Literal["it", "en"]
Unlock = Literal["none", "staff_card"]
HELP_CHARACTERS_MAX = 200


class ScreenTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[screen]`: the staff's page. `help` is whom to call, shown beside a fault that lasts.

    `unlock`: with `staff_card`, corrections, meals by hand, closing and credit need a staff card.
    The terminal sees to it, for its commands, too.
    """

    port: Annotated[int, Meta(ge=1024, le=65_535)] = 8080
    language: Language = "it"
    help: Annotated[str, Meta(max_length=HELP_CHARACTERS_MAX)] = ""
    unlock: Unlock = "none"


class _File(Struct, frozen=True, kw_only=True):
    """What the screen reads of agent.toml. The terminal checks the rest."""

    state_dir: str = "/var/lib/canteen-agent"
    zone: str = "Europe/Rome"
    screen: ScreenTable = ScreenTable()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSettings:
    """What a screen is. `staff_socket` and `zone` are the terminal's."""

    staff_socket: Path
    zone: str
    port: int
    language: Language
    help: str


def load_screen(path: Path) -> ScreenSettings:
    """Return the screen's settings. Raise `ConfigError`."""
    file = load_toml(path, _File, ConfigError)
    if file.zone not in available_timezones():
        raise ConfigError(
            f"{path}: key 'zone': no time zone {file.zone!r}; write one like Europe/Rome"
        )
    return ScreenSettings(
        zone=file.zone,
        staff_socket=path.parent / file.state_dir / "staff.sock",
        port=file.screen.port,
        language=file.screen.language,
        help=file.screen.help,
    )
