"""What is said to a serial reader and when: nothing here has a port or a clock."""

import pytest

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.dialogue import ACK_TRIES, FAULTS_MAX, FIRST_ACK_MS, Dialogue
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.framing import Frame
from agent.readers.profile_rules import load_profile

ACK = bytes.fromhex("0000FF00FF00")
NONE = bytes.fromhex("0000FF03FDD54B00E000")
ONE = bytes.fromhex("0000FF0CF4D54B01010004080 49D4B2F01B600".replace(" ", ""))
POLL = bytes.fromhex("0000FF04FCD44A0200E000")
STARTED = [
    bytes.fromhex(text)
    for text in ("0000FF02FED5151600", "0000FF06FAD50332010607E800", "0000FF02FED533F800")
]


def pn532() -> tuple[Dialogue, int]:
    """Return a PN532's dialogue after its start-up, and the time."""
    dialogue = Dialogue(load_profile("pn532-hsu"), 0)
    assert dialogue.send(0).startswith(b"\x55\x55")
    for n, answer in enumerate(STARTED):
        assert dialogue.send(10 * n)
        assert dialogue.receive(ACK + answer, 10 * n + 5) == []
    assert dialogue.is_ready
    return dialogue, 100


def test_a_reader_is_asked_at_its_interval_and_one_question_at_a_time() -> None:
    dialogue, now_ms = pn532()
    assert dialogue.send(now_ms) == POLL
    assert dialogue.send(now_ms + 1) == b""
    assert dialogue.receive(ACK, now_ms + 2) == [] and dialogue.receive(NONE, now_ms + 9) == [None]
    assert dialogue.send(now_ms + 10) == b""
    assert dialogue.wake_ms(now_ms + 10) == 240
    assert dialogue.send(now_ms + 250) == POLL
    (seen,) = dialogue.receive(ACK + ONE, now_ms + 260)
    assert isinstance(seen, CardId) and seen.uid.hex() == "9d4b2f01"


def test_a_question_that_is_not_acknowledged_is_asked_again_and_then_given_up() -> None:
    dialogue = Dialogue(load_profile("pn532-hsu"), 0)
    dialogue.send(0)
    asked = dialogue.send(0)
    for n in range(1, ACK_TRIES):
        assert dialogue.send(n * FIRST_ACK_MS - 1) == b""
        assert dialogue.send(n * FIRST_ACK_MS) == asked
    with pytest.raises(
        ReaderError, match="no answer to 00 00 ff 05 fb d4 14 01 14 01 02 00 at start-up"
    ):
        dialogue.send(ACK_TRIES * FIRST_ACK_MS)


def test_an_answer_that_comes_too_late_is_not_taken_for_another() -> None:
    dialogue, now_ms = pn532()
    dialogue.send(now_ms)
    dialogue.receive(ACK, now_ms + 1)
    assert dialogue.send(now_ms + 252) == POLL  # the first was given up
    assert dialogue.receive(NONE, now_ms + 253) == [None]  # before its ACK: of the first
    assert (
        dialogue.receive(ACK + ONE, now_ms + 254) == []
    )  # and the second's then belongs to no question


def test_a_signal_goes_before_the_next_poll() -> None:
    dialogue = Dialogue(load_profile("elatec-twn4-simple"), 0)
    assert dialogue.send(0) == b"0004FF\r"
    dialogue.receive(b"001D54\r", 5)
    assert dialogue.send(6) == b"050010\r"
    dialogue.show(Signal.SERVED)
    assert dialogue.send(7) == b""
    dialogue.receive(b"0000\r", 10)
    assert dialogue.send(10) == b"0407646009640" + b"00A00\r"
    dialogue.receive(b"00\r", 15)
    assert dialogue.failures() == []
    dialogue.show(Signal.REFUSED)
    assert dialogue.send(16).startswith(b"0407642003")
    dialogue.receive(b"04\r", 20)
    assert dialogue.failures() == [
        "another answer than expected to 30 34 30 37 36 34 32 30 30 33 43 38 30 30 36 34 30 30 0d"
    ]
    assert dialogue.failures() == []


def test_a_poll_of_two_questions_ends_at_the_first_when_there_is_no_card() -> None:
    dialogue = Dialogue(load_profile("yhy632"), 0)
    dialogue.send(0)
    dialogue.receive(bytes.fromhex("AABB0600FFFF04010005"), 5)
    assert dialogue.send(6)[6:8] == b"\x01\x02"
    assert dialogue.receive(bytes.fromhex("AABB0600FFFF01021417"), 10) == [None]
    assert dialogue.send(256)[6:8] == b"\x01\x02"
    assert dialogue.receive(bytes.fromhex("AABB0800FFFF010200040007"), 260) == []
    assert dialogue.send(261)[6:8] == b"\x02\x02"
    (seen,) = dialogue.receive(bytes.fromhex("AABB0A00FFFF0202004CD9008015"), 265)
    assert isinstance(seen, CardId) and seen.uid.hex() == "4cd90080"


def test_a_reader_that_answers_nothing_but_faults_is_given_up() -> None:
    dialogue = Dialogue(load_profile("elatec-twn4-simple"), 0)
    dialogue.send(0)
    dialogue.receive(b"00\r", 5)
    for n in range(1, FAULTS_MAX):
        dialogue.send(300 * n)
        assert dialogue.receive(b"01\r", 300 * n + 5) == [Fault.DEVICE]
    dialogue.send(300 * FAULTS_MAX)
    with pytest.raises(ReaderError, match="answered 10 questions in a row with what is no answer"):
        dialogue.receive(b"01\r", 300 * FAULTS_MAX + 5)


def test_silence_is_followed_by_the_keepalive_and_its_failure_by_a_new_opening() -> None:
    dialogue, now_ms = pn532()
    asked: list[bytes] = []
    with pytest.raises(ReaderError, match="silent for 2 questions"):
        for at_ms in range(now_ms, now_ms + 10_000, 10):
            asked.append(dialogue.send(at_ms))
    sent = [bytes_ for bytes_ in asked if bytes_]
    assert sent.count(bytes.fromhex("0000FF02FED4022A00")) == 2 * ACK_TRIES
    assert POLL in sent


def test_a_reader_that_pushes_is_asked_nothing_and_sleeps() -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    assert dialogue.is_ready and dialogue.send(0) == b"" and dialogue.wake_ms(0) is None
    dialogue.show(Signal.SERVED)
    assert dialogue.send(0) == b""


def test_no_number_of_a_card_stands_in_what_is_said_of_a_reader() -> None:
    late = bytes.fromhex(
        "AABB0A00FFFF0202004CD9008015"
    )  # anticollision's answer, after it was given up
    dialogue = Dialogue(load_profile("yhy632"), 0)
    with pytest.raises(ReaderError) as told:
        dialogue.send(0)
        dialogue.receive(late, 5)
    dialogue = Dialogue(load_profile("yhy632"), 0)
    dialogue.send(0)
    dialogue.receive(bytes.fromhex("AABB0600FFFF04010005"), 5)
    dialogue.send(6)
    dialogue.show(Signal.SERVED)
    dialogue.send(600)  # the poll was given up, the signal goes out
    dialogue.receive(late, 605)
    (failure,) = dialogue.failures()
    assert "4c d9" not in failure and "4c d9" not in str(told.value)


def test_a_signal_that_waits_is_not_sent_to_the_next_card() -> None:
    dialogue = Dialogue(load_profile("elatec-twn4-simple"), 0)
    dialogue.send(0)
    dialogue.receive(b"00\r", 5)
    assert dialogue.send(6) == b"050010\r"
    dialogue.show(Signal.SERVED)
    dialogue.receive(b"00018020041C78F2BF\r", 10)  # another card
    dialogue.forget_signals()
    assert dialogue.send(11) == b""


def test_a_frame_that_ends_with_the_byte_that_is_stuffed_is_read() -> None:
    body = bytes.fromhex("FFFF0202004CD9013E")
    frame = bytes.fromhex("AABB0A00") + body + bytes([0xAA])
    (found,) = load_profile("yhy632").framer(0).feed(frame, 1_000)
    assert isinstance(found, Frame) and found.payload == frame
    (again,) = load_profile("yhy632").framer(0).feed(frame + b"\0", 1_000)
    assert isinstance(again, Frame) and again.payload == frame


def test_half_a_frame_is_not_kept_alive_by_looking_for_more() -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    frame = b"\x02010063E9AE25\x03"
    assert dialogue.receive(frame[:7], 1_000) == [] and dialogue.receive(b"", 1_040) == []
    assert dialogue.receive(frame[7:], 1_080) == []
