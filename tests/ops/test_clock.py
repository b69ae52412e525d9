"""The machine's clocks."""

from datetime import UTC, datetime

from agent.ops.clock import boot_id, read_clock


def test_a_reading_has_the_wall_time_and_the_time_since_boot() -> None:
    boot = boot_id()
    first, second = read_clock(boot), read_clock(boot)
    assert len(boot) == 36 and first.boot == boot
    assert 0 < first.mono_ms <= second.mono_ms
    assert abs((datetime.now(UTC) - second.wall).total_seconds()) < 60
