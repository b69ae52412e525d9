"""What pcscd says of its readers: names, the cards in their slots, escape commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.pcsc import Pcscd, VirtualCard, escape_driver
from tests.parts.pcsc_bench import UID, bench_of

ASK = """
from agent.readers.pcsc_calls import allows_escape, reader_names
print([(name, allows_escape(name)) for name in reader_names()])
"""


@pytest.mark.parametrize("allowed", [True, False])
def test_the_readers_are_listed_with_what_their_driver_allows(
    tmp_path: Path, allowed: bool
) -> None:
    driver, _ = escape_driver(tmp_path / "driver", allowed=allowed)
    with Pcscd(tmp_path / "pcscd", VirtualCard().port, driver=driver) as pcscd:
        command = pcscd.namespace.command(sys.executable, "-c", ASK)
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert f"('ACS ACR122U PICC Interface 00 00', {allowed})" in listed


def test_the_fallback_asks_which_slot_is_contactless_until_a_card_tells_it(
    tmp_path: Path,
) -> None:
    with bench_of(tmp_path, "counter=pcsc-generic", cards=2, name="Nobody's Reader") as bench:
        down = bench.wait_for("down").text
        assert "Nobody's Reader A" in down and "Nobody's Reader B" in down
        assert "in agent.toml with the key device" in down
        bench.cards[1].present(UID)
        assert "Nobody's Reader B" in bench.wait_for("up").text
        assert bench.wait_for("tap").text == f"a:{UID.hex()}"
