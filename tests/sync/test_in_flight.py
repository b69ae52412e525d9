"""Which message an answer is about, also when the answer comes first."""

from agent.sync.in_flight import InFlight


def test_an_answer_names_the_topic_of_its_message_once() -> None:
    in_flight = InFlight()
    assert in_flight.sent(1, "a") is None
    assert in_flight.answered(1, 0) == "a"
    assert in_flight.answered(1, 0) is None


def test_an_answer_that_comes_before_its_number_is_kept_for_it() -> None:
    in_flight = InFlight()
    assert in_flight.answered(7, 135) is None
    assert in_flight.sent(7, "a") == 135
    assert in_flight.sent(7, "b") is None
