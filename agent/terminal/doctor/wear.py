"""How worn the memory card is. An eMMC tells it, and a few SD cards do."""

from collections.abc import Iterator
from pathlib import Path

from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning

CHECK = "machine.wear"
USED_WARN, USED_OVER = 0x9, 0xB
"""Steps of a tenth of the life that the maker expects (JEDEC JESD84-B51, EXT_CSD 268 and 269)."""
SPARE_WARN, SPARE_OVER = 2, 3
"""Of the blocks kept as spare: 80 % are used; nearly all are used (EXT_CSD 267)."""
_MEND = "put a new card in: docs/operate/replace.md"


def look_at_wear(root: Path = Path("/")) -> Iterator[Finding]:
    """Yield a finding about each card that tells its wear."""
    cards = sorted((root / "sys/block").glob("mmcblk*/device"))
    telling = [
        (card.parent.name, numbers) for card in cards if (numbers := _numbers(card)) is not None
    ]
    if not telling:
        yield hidden(CHECK, "no disk of this machine tells its wear")
    for name, (tenths, spare) in telling:
        yield judge(name, tenths, spare)


def judge(name: str, tenths: int, spare: int) -> Finding:
    """Return what the numbers of a card mean: the tenths of its life, and spare blocks. Pure."""
    if tenths >= USED_OVER or spare >= SPARE_OVER:
        return fault(CHECK, f"{name} is worn out: it may lose what is written", _MEND)
    if tenths >= USED_WARN or spare >= SPARE_WARN:
        return warning(CHECK, f"{name} has used {(tenths - 1) * 10} % of its life or more", _MEND)
    return ok(CHECK, f"{name} has used less than {max(tenths, 1) * 10} % of its life")


def _numbers(card: Path) -> tuple[int, int] | None:
    """Return the worse of both kinds of memory, and the state of the spare blocks."""
    try:
        kinds = (card / "life_time").read_text(encoding="ascii").split()
        spare = (card / "pre_eol_info").read_text(encoding="ascii")
        return max(int(kind, 16) for kind in kinds), int(spare, 16)
    except (OSError, ValueError):
        return None
