"""What is sent to a serial reader and when. Nothing here has a port or a clock."""

import msgspec
import pytest
from msgspec import UNSET

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.dialogue import (
    ACK_MS,
    ACK_TRIES,
    ANSWER_MS,
    DAMAGED_MAX,
    FAULTS_MAX,
    FIRST_ACK_MS,
    GARBLED_CHUNKS,
    GARBLED_MS,
    Dialogue,
)
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.framing import STALL_MS_MAX
from agent.readers.identity import Detection
from agent.readers.profile import given
from agent.readers.profile_kinds import BRIEF_MS_MAX, Lines
from agent.readers.profile_rules import load_profile

ACK = bytes.fromhex("0000FF00FF00")
NONE = bytes.fromhex("0000FF03FDD54B00E000")
CARD = bytes.fromhex("0000FF0CF4D54B0101000408049D4B2F01B600")
POLL = bytes.fromhex("0000FF04FCD44A0200E000")
KEEPALIVE = bytes.fromhex("0000FF02FED4022A00")
START_UP_ANSWERS = [
    bytes.fromhex(text)
    for text in ("0000FF02FED5151600", "0000FF06FAD50332010607E800", "0000FF02FED533F800")
]
# The answer to yhy632's anticollision, with the card 4CD90080.
LATE = bytes.fromhex("AABB0A00FFFF0202004CD9008015")
LATE_UID = "4c d9"
TWN4_CARD = b"00018020041C78F2BF\r"


def pn532() -> tuple[Dialogue, int]:
    """Return a PN532's dialogue after its start-up, and the time."""
    dialogue = Dialogue(load_profile("pn532-hsu"), 0)
    assert dialogue.send(0).startswith(b"\x55\x55")
    for n, answer in enumerate(START_UP_ANSWERS):
        assert not dialogue.is_ready
        assert dialogue.send(10 * n)
        assert dialogue.receive(ACK + answer, 10 * n + 5) == []
    assert dialogue.is_ready
    return dialogue, 100


def started(profile_id: str, answer: bytes) -> Dialogue:
    """Return a dialogue whose only start-up command was answered at 5 ms."""
    dialogue = Dialogue(load_profile(profile_id), 0)
    assert dialogue.send(0)
    assert dialogue.receive(answer, 5) == [] and dialogue.is_ready
    return dialogue


def twn4() -> Dialogue:
    return started("elatec-twn4-simple", b"001D54\r")


def yhy632() -> Dialogue:
    return started("yhy632", bytes.fromhex("AABB0600FFFF04010005"))


def exchanged(dialogue: Dialogue, answer: bytes, now_ms: int) -> list[Detection]:
    """Return what an answer to the next poll detects. The poll must be due."""
    for _ in range(20):
        if dialogue.send(now_ms):
            return dialogue.receive(answer, now_ms)
        now_ms += 50
    raise AssertionError("the reader is not polled")


def test_a_reader_is_polled_at_its_interval_with_one_request_at_a_time() -> None:
    dialogue, now_ms = pn532()
    assert dialogue.send(now_ms) == POLL
    assert dialogue.send(now_ms + 1) == b""
    assert dialogue.receive(ACK, now_ms + 2) == [] and dialogue.receive(NONE, now_ms + 9) == [None]
    assert dialogue.send(now_ms + 10) == b""
    assert dialogue.wake_ms(now_ms + 10) == 240
    assert dialogue.send(now_ms + 250) == POLL
    assert dialogue.receive(ACK + CARD, now_ms + 260) == []
    assert dialogue.send(now_ms + 260) == POLL  # a card must be in two answers in a row
    detections = dialogue.receive(ACK + CARD, now_ms + 270)
    assert detections == [CardId("a", bytes.fromhex("9d4b2f01"))]
    assert dialogue.send(now_ms + 271) == b""


def test_a_request_without_acknowledgement_is_sent_again_and_then_given_up() -> None:
    dialogue = Dialogue(load_profile("pn532-hsu"), 0)
    dialogue.send(0)
    sent = dialogue.send(0)
    for n in range(1, ACK_TRIES):
        assert dialogue.send(n * FIRST_ACK_MS - 1) == b""
        assert dialogue.send(n * FIRST_ACK_MS) == sent
    with pytest.raises(ReaderError, match="no answer to start-up command 00 00 ff 05 fb d4 14 01"):
        dialogue.send(ACK_TRIES * FIRST_ACK_MS)


def test_only_the_first_acknowledgement_may_take_long() -> None:
    dialogue, now_ms = pn532()
    assert dialogue.send(now_ms) == POLL
    assert dialogue.send(now_ms + ACK_MS - 1) == b""
    assert dialogue.send(now_ms + ACK_MS) == POLL


def test_a_late_answer_is_not_taken_for_the_answer_to_another_request() -> None:
    dialogue, now_ms = pn532()
    dialogue.send(now_ms)
    dialogue.receive(ACK, now_ms + 1)
    assert dialogue.send(now_ms + 252) == POLL  # the first poll was given up
    assert dialogue.receive(NONE, now_ms + 253) == [None]  # before its ACK: of the first poll
    # So the second poll is answered, and its own answer belongs to no request.
    assert dialogue.receive(ACK + CARD, now_ms + 254) == []


def test_a_signal_goes_before_the_next_poll() -> None:
    dialogue = twn4()
    assert dialogue.send(6) == b"050010\r"
    dialogue.show(Signal.SERVED)
    assert (dialogue.send(7), dialogue.has_signals) == (b"", True)
    dialogue.receive(b"0000\r", 10)
    assert (dialogue.send(10), dialogue.has_signals) == (b"040764600964000A00\r", False)
    dialogue.receive(b"00\r", 15)
    assert dialogue.failures() == []


def test_a_signal_with_another_answer_is_a_failure_that_is_reported_once() -> None:
    dialogue = twn4()
    dialogue.show(Signal.REFUSED)
    sent = dialogue.send(16)
    assert sent.startswith(b"0407642003")
    dialogue.receive(b"04\r", 20)
    assert dialogue.failures() == [f"unexpected answer of 1 bytes to {sent.hex(' ')}"]
    assert dialogue.failures() == []


def test_a_signal_without_an_answer_is_a_failure_after_the_time_out() -> None:
    dialogue = yhy632()
    dialogue.show(Signal.SERVED)
    sent = dialogue.send(10)
    assert dialogue.send(9 + ANSWER_MS) == b"" and dialogue.failures() == []
    dialogue.send(10 + ANSWER_MS)
    assert dialogue.failures() == [f"no answer to {sent.hex(' ')}"]


def test_a_poll_of_two_commands_ends_at_the_first_when_there_is_no_card() -> None:
    dialogue = yhy632()
    assert dialogue.send(6)[6:8] == b"\x01\x02"
    assert dialogue.receive(bytes.fromhex("AABB0600FFFF01021417"), 10) == [None]
    assert dialogue.send(256)[6:8] == b"\x01\x02"
    assert dialogue.receive(bytes.fromhex("AABB0800FFFF010200040007"), 260) == []
    assert dialogue.send(261)[6:8] == b"\x02\x02"
    assert dialogue.receive(LATE, 265) == [] and dialogue.send(266)[6:8] == b"\x01\x02"
    assert dialogue.receive(bytes.fromhex("AABB0800FFFF010200040007"), 270) == []
    assert dialogue.send(271)[6:8] == b"\x02\x02"
    assert dialogue.receive(LATE, 275) == [CardId("a", bytes.fromhex("4cd90080"))]


def test_a_reader_that_answers_only_faults_is_given_up() -> None:
    dialogue = twn4()
    for n in range(1, FAULTS_MAX):
        dialogue.send(300 * n)
        assert dialogue.receive(b"01\r", 300 * n + 5) == [Fault.DEVICE]
    dialogue.send(300 * FAULTS_MAX)
    with pytest.raises(ReaderError, match=f"{FAULTS_MAX} invalid answers in a row"):
        dialogue.receive(b"01\r", 300 * FAULTS_MAX + 5)


def test_a_valid_answer_between_faults_starts_their_count_again() -> None:
    dialogue = twn4()
    for n in range(1, 3 * FAULTS_MAX):
        dialogue.send(300 * n)
        dialogue.receive(b"0000\r" if n % FAULTS_MAX == 0 else b"01\r", 300 * n + 5)


def test_a_reader_without_answers_gets_keepalives_and_is_then_given_up() -> None:
    dialogue, now_ms = pn532()
    keepalive = given(load_profile("pn532-hsu").keepalive)
    sent: list[bytes] = []
    with pytest.raises(ReaderError, match=f"no answer to {keepalive.max_failures} keepalives"):
        for at_ms in range(now_ms, now_ms + 10_000, 10):
            sent.append(dialogue.send(at_ms))
    assert sent.count(KEEPALIVE) == keepalive.max_failures * ACK_TRIES
    assert POLL in sent


def test_an_answered_keepalive_forgets_the_missed_ones() -> None:
    dialogue, now_ms = pn532()
    sent = 0
    for at_ms in range(now_ms, now_ms + 60_000, 10):
        if dialogue.send(at_ms) == KEEPALIVE:
            sent += 1
            if sent % (ACK_TRIES + 1) == 0:  # the one before had no answer to any of its tries
                dialogue.receive(ACK + START_UP_ANSWERS[1], at_ms + 1)
    assert sent > 4 * ACK_TRIES


def test_a_reader_that_sends_by_itself_is_sent_nothing() -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    assert dialogue.is_ready and dialogue.send(0) == b"" and dialogue.wake_ms(0) is None
    dialogue.show(Signal.SERVED)
    assert dialogue.send(0) == b""


def test_an_unexpected_answer_at_start_up_is_an_error_without_a_card_number() -> None:
    dialogue = Dialogue(load_profile("yhy632"), 0)
    dialogue.send(0)
    with pytest.raises(
        ReaderError, match="unexpected answer of 14 bytes to start-up command"
    ) as raised:
        dialogue.receive(LATE, 5)
    assert LATE_UID not in str(raised.value)


def test_the_failure_of_a_signal_contains_no_card_number() -> None:
    dialogue = yhy632()
    dialogue.send(6)
    dialogue.show(Signal.SERVED)
    dialogue.send(600)  # the poll was given up, the signal is sent
    dialogue.receive(LATE, 605)
    (failure,) = dialogue.failures()
    assert LATE_UID not in failure


@pytest.mark.parametrize("profile_id", ["yhy632", "elatec-twn4-simple", "pn532-hsu"])
def test_whatever_command_a_card_number_answers_no_message_contains_it(
    profile_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At start-up, for a poll, for the light and for a keepalive, in every reader's framing."""
    caplog.set_level(1)
    profile = load_profile(profile_id)
    card = next(test for test in profile.selftest if test.uid is not UNSET)
    uid, told = bytes.fromhex(given(card.uid)), list[str]()
    is_line = profile_id == "elatec-twn4-simple"
    number = uid.hex().upper().encode() + b"\r" if is_line else bytes.fromhex(card.rx)
    for answers_at_start_up in range(4):
        dialogue, now_ms = Dialogue(profile, 0), 0
        try:
            for n in range(60):
                dialogue.show(Signal.SERVED)
                dialogue.send(now_ms := now_ms + 200)
                good = START_UP_ANSWERS[min(n, 2)] if profile_id == "pn532-hsu" else b"00\r"
                answer = good if n < answers_at_start_up else number
                dialogue.receive((ACK if profile_id == "pn532-hsu" else b"") + answer, now_ms + 5)
                told += dialogue.failures()
        except ReaderError as error:
            told.append(str(error))
    messages = " ".join([*told, caplog.text, repr(dialogue)]).lower()
    assert told and not any(uid.hex(separator) in messages for separator in " :-")
    assert uid.hex() not in messages and str(int.from_bytes(uid, "big")) not in messages


def test_a_waiting_signal_is_not_sent_to_the_next_card() -> None:
    dialogue = twn4()
    assert dialogue.send(6) == b"050010\r"
    dialogue.show(Signal.SERVED)
    dialogue.receive(b"00018020041C78F2BF\r", 10)  # another card
    dialogue.forget_signals()
    assert dialogue.send(11) == b"050010\r"


def test_half_an_answer_is_not_joined_with_the_answer_to_the_next_request() -> None:
    dialogue = twn4()
    assert dialogue.send(6) and dialogue.receive(b"0001802004DEAD", 10) == []
    assert dialogue.send(256) == b"050010\r"
    assert dialogue.receive(TWN4_CARD, 260) == [] and dialogue.send(260)
    assert dialogue.receive(TWN4_CARD, 265) == [CardId("a", b"\x1c\x78\xf2\xbf")]


def test_after_a_damaged_answer_the_reader_is_asked_again_at_once() -> None:
    dialogue = twn4()
    assert dialogue.send(6) and dialogue.receive(b"0Z\r", 10) == []
    assert dialogue.send(10) == b"050010\r"
    assert dialogue.receive(TWN4_CARD, 15) == [] and dialogue.send(15)
    assert dialogue.receive(TWN4_CARD, 20) == [CardId("a", b"\x1c\x78\xf2\xbf")]


def test_a_damaged_answer_with_a_right_checksum_is_no_card() -> None:
    dialogue, other = twn4(), TWN4_CARD.replace(b"BF", b"BE")
    answers = [other, TWN4_CARD, TWN4_CARD, other, TWN4_CARD]
    detections = [exchanged(dialogue, answer, 10 * n) for n, answer in enumerate(answers, 1)]
    card = [CardId("a", b"\x1c\x78\xf2\xbf")]
    assert detections == [[], [], card, [], card]


def test_a_polled_card_that_was_there_too_briefly_gets_a_light_within_a_second() -> None:
    dialogue = twn4()
    assert exchanged(dialogue, TWN4_CARD, 10) == []
    assert exchanged(dialogue, b"0000\r", 20) == [None]
    assert dialogue.repeat_ends_ms is not None and dialogue.repeat_ends_ms - 10 <= BRIEF_MS_MAX
    assert dialogue.receive(b"", dialogue.repeat_ends_ms) == [Fault.SINGLE]


@pytest.mark.parametrize(("damaged", "has_light"), [(DAMAGED_MAX - 1, False), (DAMAGED_MAX, True)])
def test_some_damaged_answers_in_a_row_get_a_light(damaged: int, has_light: bool) -> None:
    dialogue = twn4()
    assert [exchanged(dialogue, b"0Z\r", 10 * n) for n in range(1, damaged + 1)] == [[]] * damaged
    assert exchanged(dialogue, b"0000\r", 100) == [None]
    assert dialogue.receive(b"", 1_000) == ([Fault.CHECKSUM] if has_light else [])


def test_a_reader_whose_answers_are_all_damaged_is_given_up() -> None:
    dialogue = twn4()
    for n in range(1, FAULTS_MAX):
        exchanged(dialogue, b"0Z\r", 10 * n)
    with pytest.raises(ReaderError, match=f"{FAULTS_MAX} damaged answers in a row.*cable"):
        exchanged(dialogue, b"0Z\r", 10 * FAULTS_MAX)


def test_a_good_answer_between_damaged_ones_starts_their_count_again() -> None:
    dialogue = twn4()
    for n in range(1, 3 * FAULTS_MAX):
        exchanged(dialogue, b"0000\r" if n % FAULTS_MAX == 0 else b"0Z\r", 10 * n)


def test_an_empty_read_does_not_keep_half_a_frame_alive() -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    frame = b"\x02010063E9AE25\x03"
    assert dialogue.receive(frame[:7], 1_000) == [] and dialogue.receive(b"", 1_200) == []
    assert dialogue.receive(frame[7:], 1_001 + STALL_MS_MAX) == []


def test_a_typed_text_that_is_too_long_is_a_fault_of_its_form() -> None:
    keyboard = load_profile("keyboard-wedge")
    assert isinstance(keyboard.framing, Lines)
    longest = keyboard.framing.length
    dialogue = Dialogue(keyboard, 0)
    assert dialogue.receive(b"1" * longest + b"\r", 1_000) == [Fault.FORM]  # 32 digits
    assert dialogue.receive(b"1" * (longest + 1), 2_000) == [Fault.FORM]
    assert Dialogue(keyboard, 0).receive(b"1" * longest, 1_000) == []


@pytest.mark.parametrize(
    ("chunks", "every_ms", "is_garbled"),
    [
        (GARBLED_CHUNKS - 1, 100, False),
        (GARBLED_CHUNKS, 100, True),
        (GARBLED_CHUNKS, GARBLED_MS // (GARBLED_CHUNKS - 1) + 1, False),
    ],
)
def test_many_chunks_without_a_frame_within_a_minute_are_garbled(
    chunks: int, every_ms: int, is_garbled: bool
) -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    for n in range(chunks):
        dialogue.receive(b"\xff", 1_000 + n * every_ms)
    assert dialogue.is_garbled is is_garbled


def test_a_frame_ends_the_garbled_state() -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    for n in range(GARBLED_CHUNKS):
        dialogue.receive(b"\xff", 1_000 + 100 * n)
    dialogue.receive(b"\x02010063E9AE25\x03", 60_000)
    assert not dialogue.is_garbled


def test_a_raw_step_is_sent_without_framing_and_waits_for_no_answer() -> None:
    dialogue = Dialogue(load_profile("pn532-hsu"), 0)
    assert dialogue.send(0) == bytes.fromhex("5555") + bytes(14)
    assert dialogue.send(0) == bytes.fromhex("0000FF05FBD4140114010200")


def test_a_step_of_several_commands_sends_each_after_the_answer_to_the_one_before() -> None:
    profile = load_profile("yhy632")
    sends = given(profile.feedback.ok).sends
    dialogue = Dialogue(msgspec.structs.replace(profile, init=[]), 0)
    dialogue.show(Signal.SERVED)
    assert dialogue.send(0) == bytes.fromhex(sends[0])
    assert dialogue.send(1) == b""
    dialogue.receive(bytes.fromhex("AABB0600FFFF07010006"), 5)
    assert dialogue.send(6) == bytes.fromhex(sends[1])
