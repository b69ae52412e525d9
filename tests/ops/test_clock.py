"""The machine's clocks."""

from datetime import UTC, datetime

from agent.ops.clock import boot_id, read_clock


def test_the_machine_tells_its_time_and_its_boot() -> None:
    boot = boot_id()
    first, second = read_clock(boot), read_clock(boot)
    assert len(boot) == 36 and first.boot == boot
    assert 0 < first.mono_ms <= second.mono_ms
    assert abs((datetime.now(UTC) - second.wall).total_seconds()) < 60
