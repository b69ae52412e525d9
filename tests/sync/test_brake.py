"""Brakes and reminders: bursts, refills and growing intervals, without a clock."""

import itertools

from agent.sync.brake import REMIND_FIRST_MS, REMIND_MAX_MS, Brake, Reminder


def test_a_brake_allows_its_burst_and_then_one_in_each_interval() -> None:
    brake = Brake(3, 1_000)
    assert [brake.take(5_000) for _ in range(4)] == [True, True, True, False]
    assert brake.wait_ms(5_000) == 1_000 and not brake.take(5_999)
    assert [brake.take(6_000), brake.take(6_000)] == [True, False]


def test_a_brake_that_rested_allows_its_whole_burst_again_and_no_more() -> None:
    brake = Brake(2, 1_000)
    for _ in range(2):
        brake.take(0)
    assert [brake.take(60_000) for _ in range(3)] == [True, True, False]


def test_a_fault_that_lasts_is_reported_at_once_and_at_growing_intervals() -> None:
    reminder = Reminder()
    reported = [now_ms for now_ms in range(0, 20_000_000, 1_000) if reminder.is_due(now_ms)]
    waits = [later - earlier for earlier, later in itertools.pairwise(reported)]
    assert reported[0] == 0 and waits[0] == REMIND_FIRST_MS and waits[-1] == REMIND_MAX_MS
    assert waits == sorted(waits)


def test_a_fault_that_ended_is_reported_at_once_when_it_comes_again() -> None:
    reminder = Reminder()
    assert reminder.is_due(0) and not reminder.is_due(1)
    reminder.reset()
    assert reminder.is_due(2)
