"""A reader with several slots, on a real pcscd: which one holds the children's cards."""

from pathlib import Path

from tests.parts.pcsc_bench import UID, bench_of


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
