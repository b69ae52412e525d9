"""Back-off and dialects: tables, without a broker or a clock."""

import pytest

from agent.sync.attempts import (
    BACK_OFF_FIRST_S,
    BACK_OFF_MAX_S,
    STOOD_S,
    VERSION_5_AGAIN_FIRST_S,
    VERSION_5_AGAIN_MAX_S,
    BackOff,
    Dialect,
    Dialects,
)
from agent.sync.limits import Limits


@pytest.mark.parametrize("stood_s", [0.0, 0.5, STOOD_S - 0.1])
def test_the_pause_grows_to_back_off_max_s_however_often_a_connection_comes_up(
    stood_s: float,
) -> None:
    back_off = BackOff(lambda: 1.0)
    pauses = [back_off.pause_s(stood_s) for _ in range(10)]
    assert pauses[:4] == [BACK_OFF_FIRST_S * 2**n for n in range(4)]
    assert pauses[-1] == BACK_OFF_MAX_S


def test_a_connection_that_stood_ends_the_back_off() -> None:
    back_off = BackOff(lambda: 0.0)
    for _ in range(6):
        back_off.pause_s(0.0)
    assert back_off.pause_s(STOOD_S) == BACK_OFF_FIRST_S / 2


def test_a_broker_without_an_answer_is_tried_with_each_dialect_in_turn() -> None:
    dialects = Dialects()
    tried = []
    for _ in range(4):
        tried.append(dialects.present(0.0))
        dialects.no_answer()
    assert tried == [
        Dialect(True, True, 1),
        Dialect(False, True, 1),
        Dialect(False, False, 1),
        Dialect(True, True, 1),
    ]


def test_a_retained_or_qos_1_will_that_is_refused_is_not_sent_again() -> None:
    dialects = Dialects()
    dialects.without_retained_will()
    dialects.without_qos_1()
    assert dialects.present(0.0) == Dialect(True, False, 0)


def test_what_the_broker_announces_later_replaces_what_it_refused_before() -> None:
    dialects = Dialects()
    dialects.without_retained_will()
    dialects.came_up(0.0, Limits())
    assert dialects.present(0.0).retains_will


def test_mqtt_5_is_tried_again_after_a_fallback_at_growing_intervals() -> None:
    dialects = Dialects()
    now_s, waits = 0.0, []
    for _ in range(12):
        dialects.present(now_s)
        dialects.no_answer()  # to MQTT 5
        dialects.came_up(now_s, Limits(version=4))
        began_s = now_s
        while not dialects.is_version_5_due(now_s):
            now_s += 60.0
        waits.append(now_s - began_s)
        assert dialects.present(now_s).is_version_5
    assert waits[:3] == [VERSION_5_AGAIN_FIRST_S * 2**n for n in range(3)]
    assert waits[-1] == VERSION_5_AGAIN_MAX_S


def test_a_broker_that_speaks_5_again_is_not_disconnected_for_it() -> None:
    dialects = Dialects()
    dialects.no_answer()
    dialects.came_up(0.0, Limits(version=4))
    dialects.present(VERSION_5_AGAIN_FIRST_S)
    dialects.came_up(VERSION_5_AGAIN_FIRST_S, Limits())
    assert not dialects.is_version_5_due(10 * VERSION_5_AGAIN_MAX_S)
