"""The wall to PC/SC, with `pcsc_calls.py`: a reader and the card on it.

It has its own status-change loop, because pyscard's CardMonitor dies silently when pcscd restarts.
One context for each connection to a reader, one card handle at a time, always released with
LEAVE_CARD. Knows no money and stores nothing.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from msgspec import UNSET
from smartcard import scard

from agent.errors import ReaderError
from agent.readers.apdu import begins, parse_hex
from agent.readers.channel import SIGNAL_SOON_MS, Channel
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.identity import Detection, card_of_answer
from agent.readers.match import find_reader
from agent.readers.pcsc_calls import (
    escape_code_by,
    list_readers,
    pci,
    safely,
    slots_of,
    text,
)
from agent.readers.pending_signal import PendingSignal
from agent.readers.profile import Profile, Step, given

# How often the loop wakes without an event. SCardCancel would race with the start of a call.
STATUS_WAIT_MS = 1_000
# The same while a tap waits for its signal, or while a card must be asked again.
BUSY_WAIT_MS = 50
# A present card that cannot be read is reported after this time, and asked once a second from then
# on. Longer than pcscd takes to notice a removal: it looks every 0.4 s.
UNREAD_MS = 700
# How often one exchange is repeated: another program may reset a card each time it connects to it.
RESETS_MAX = 30
# ISO 7816-4: an answer ends with SW1 and SW2.
STATUS_BYTES = 2

# The codes of a card that was removed, until pcscd notices it: it looks every 0.4 s.
_CARD_REMOVED = frozenset(
    {
        scard.SCARD_E_NO_SMARTCARD,
        scard.SCARD_W_REMOVED_CARD,
        scard.SCARD_E_NOT_TRANSACTED,
        scard.SCARD_W_RESET_CARD,
    }
)
# The codes of a card that is present, or may be.
_CARD_FAULTS = {
    scard.SCARD_E_SHARING_VIOLATION: Fault.TAKEN,
    scard.SCARD_W_UNPOWERED_CARD: Fault.MUTE,
    scard.SCARD_W_UNRESPONSIVE_CARD: Fault.MUTE,
    scard.SCARD_W_UNSUPPORTED_CARD: Fault.MUTE,
    scard.SCARD_E_CARD_UNSUPPORTED: Fault.MUTE,
    scard.SCARD_E_PROTO_MISMATCH: Fault.MUTE,
}

log = logging.getLogger("agent.readers.pcsc")

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


class PcscReader:
    """One PC/SC reader. `device` is a glob over PC/SC names; None means the profile's glob."""

    def __init__(self, profile: Profile, device: str | None) -> None:
        self._profile = profile
        self._device = device

    def run(self, channel: Channel) -> None:
        """Read cards until `channel.stopping`.

        Raise `ReaderError` when the reader, its driver or pcscd is lost.
        """
        connection = _Connection(self._profile, channel)
        code, context = connection.call(scard.SCardEstablishContext, scard.SCARD_SCOPE_USER)
        connection.check(code, "connecting to pcscd")
        try:
            code, names = list_readers(connection.call, context)
            connection.check(code, "listing readers")
            slots = slots_of(connection.call, context, names)
            try:
                reader = find_reader(self._profile, slots, self._device)
            except ReaderError as error:
                raise connection.error(str(error)) from error
            if reader is None:
                others = f"; pcscd has {', '.join(names)}" if names else ""
                raise connection.error(f"no contactless slot that fits is plugged in{others}")
            connection.begin(context, reader)
            channel.up(reader)
            connection.watch()
        finally:
            connection.leave()
            connection.call(scard.SCardReleaseContext, context)


class _Card(NamedTuple):
    """A connection to a card."""

    handle: int
    protocol: int


class _Connection:
    """The use of one reader through one context."""

    def __init__(self, profile: Profile, channel: Channel) -> None:
        self._profile = profile
        self._channel = channel
        self._context: Any = None
        self._reader = ""
        self._started = False  # the escape code is known, and the start-up steps are done
        self._escape_code: int | None = None
        self._card: _Card | None = None
        self._unread = False  # a card is present and has not been read
        self._unread_ms = 0  # since when
        self._unread_fault: Fault | None = None  # of the last try
        self._has_fault = False  # reported for this card
        self._atr = b""
        self._pending = PendingSignal()

    def begin(self, context: int, reader: str) -> None:
        """Do what needs no card.

        When another program holds the reader, this is done with the first card instead.
        """
        self._context, self._reader = context, reader
        steps = [*self._profile.init, *self._profile.feedback.steps()]
        self._started = not any(step.via == "escape" for step in steps)
        if self._started:
            return
        share, protocol = scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED
        code, handle, _ = self.call(scard.SCardConnect, context, reader, share, protocol)
        if code == scard.SCARD_S_SUCCESS:
            self._start(handle)
            self.call(scard.SCardDisconnect, handle, scard.SCARD_LEAVE_CARD)

    def _start(self, handle: int) -> None:
        """Ask for the escape code and do the start-up steps. A reader also reads without them."""
        self._started = True
        self._escape_code = escape_code_by(self.call, handle)
        for step in self._profile.init if self._escape_code is not None else ():
            for send in step.sends:
                self._channel.trace(">", parse_hex(send))
                code, answer = self._control(send, handle)
                fault = "unexpected answer" if code == scard.SCARD_S_SUCCESS else text(code)
                if code != scard.SCARD_S_SUCCESS or not _is_expected(step, bytes(answer)):
                    name = self._channel.name
                    log.info("Reader '%s': start-up step %s failed: %s", name, send, fault)

    def watch(self) -> None:
        """Read cards until the reader must stop."""
        known = scard.SCARD_STATE_UNAWARE
        while not self._channel.stopping:
            wait_ms = BUSY_WAIT_MS if self._is_busy() else STATUS_WAIT_MS
            code, states = self.call(
                scard.SCardGetStatusChange, self._context, wait_ms, [(self._reader, known)]
            )
            if code != scard.SCARD_E_TIMEOUT:
                self.check(code, "waiting for a card")
                _, state, atr = states[0]
                if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
                    raise self.error("unplugged")
                self._changed(known, state, bytes(atr))
                known = state & ~scard.SCARD_STATE_CHANGED
            self._go_on()

    def _is_busy(self) -> bool:
        """Return whether a signal is due, or a card that came a moment ago is still unread."""
        is_new = self._channel.now_ms() - self._unread_ms < 2 * UNREAD_MS
        return self._channel.is_waiting or (self._unread and not self._has_fault and is_new)

    def leave(self) -> None:
        """Release the card, and leave it powered."""
        if self._card is not None:
            handle, self._card = self._card.handle, None
            self.call(scard.SCardDisconnect, handle, scard.SCARD_LEAVE_CARD)

    def _changed(self, known: int, state: int, atr: bytes) -> None:
        was_present = known & scard.SCARD_STATE_PRESENT
        is_present = state & scard.SCARD_STATE_PRESENT
        # The upper half of the state counts insertions: a card that was exchanged between two
        # looks is a new card.
        is_new = is_present and (not was_present or (state ^ known) >> 16)
        if was_present and (is_new or not is_present):
            self._channel.trace("gone")
            self.leave()
            self._unread = False
            self._pending.detected(None)
            self._channel.report(None)
        if is_new:
            self._channel.trace("card", atr)
            self._atr = atr
            self._begin_card()

    def _begin_card(self) -> None:
        self._unread, self._unread_ms = True, self._channel.now_ms()
        self._unread_fault, self._has_fault = None, False

    def _go_on(self) -> None:
        """Read a new card, or show the signal while its card is present."""
        if self._unread and not (self._has_fault and self._channel.is_waiting):
            self._read()
        if self._has_fault or not self._unread:
            self._show(self._channel.next_signal())
        if not self._channel.is_waiting:
            self.leave()

    def _read(self) -> None:
        detection = self._identify() if self._connect() else None
        self._unread = detection is None
        detection = detection or self._fault_to_report()
        if detection is None:
            self.leave()  # removed; while a card is present, it is asked again
            return
        self._pending.detected(detection)
        if self._channel.report(detection):
            self._pending.due(self._channel.now_ms())
        self._show(self._channel.next_signal(SIGNAL_SOON_MS / 1000))

    def _fault_to_report(self) -> Fault | None:
        """Return once, after `UNREAD_MS`, why a card that is present cannot be read."""
        since_ms = self._channel.now_ms() - self._unread_ms
        if self._unread_fault is None or self._has_fault or since_ms < UNREAD_MS:
            return None
        self._has_fault = True
        if self._unread_fault is Fault.MUTE:
            self._channel.trace("mute")
        return self._unread_fault

    def _connect(self) -> bool:
        """Connect to the card. Return False when it was removed, or cannot be connected."""
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, handle, protocol = self.call(
            scard.SCardConnect, self._context, self._reader, scard.SCARD_SHARE_SHARED, protocols
        )
        self._unread_fault = _CARD_FAULTS.get(code)
        if code in _CARD_REMOVED or self._unread_fault is not None:
            return False
        self.check(code, "connecting to the card")
        self._card, self._unread_fault = _Card(handle, protocol), Fault.STATUS
        if not self._started:
            self._start(handle)
        return True

    def _identify(self) -> Detection:
        answer = self._transmit(given(self._profile.uid.send))
        return None if answer is None else card_of_answer(self._profile, answer, self._atr)

    def _show(self, signal: Signal | None) -> None:
        """Send a signal while its card is present, if the reader can show it.

        A signal that fails is reported and not repeated: the meal is recorded.
        """
        if signal is None:
            return
        step = self._profile.step_for(signal)
        if step is None:
            return
        can_show = self._card is not None or step.via == "escape"
        if not can_show or not self._pending.may_show(self._channel.now_ms()):
            return
        self._pending.shown()
        for send in step.sends:
            answer = self._escape(send) if step.via == "escape" else self._transmit(send)
            if answer is None:
                return
            if not _is_expected(step, answer):
                # The length only: the answer may contain a card's number.
                self._channel.signal_failed(
                    f"{send}: expected {step.expect}, received {len(answer)} other bytes"
                )

    def _escape(self, send: str) -> bytes | None:
        """Return the answer to an escape command, or None after reporting why there is none."""
        if self._card is not None:
            return self._escape_by(self._card.handle, send)
        # a card that cannot be connected: its light needs the reader only
        share, protocol = scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED
        code, handle, _ = self.call(
            scard.SCardConnect, self._context, self._reader, share, protocol
        )
        if code != scard.SCARD_S_SUCCESS:
            self._channel.signal_failed(f"{send}: {text(code)}")
            return None
        if not self._started:
            self._start(handle)
        answer = self._escape_by(handle, send)
        self.call(scard.SCardDisconnect, handle, scard.SCARD_LEAVE_CARD)
        return answer

    def _escape_by(self, handle: int, send: str) -> bytes | None:
        if self._escape_code is None:
            self._channel.signal_failed(
                "the driver allows no escape commands; canteen-agent readers shows the fix"
            )
            return None
        self._channel.trace(">", parse_hex(send))
        code, answer = self._control(send, handle)
        if code != scard.SCARD_S_SUCCESS:
            self._channel.signal_failed(f"{send}: {text(code)}")
            return None
        received = bytes(answer)
        self._channel.trace("<", received)
        return received

    def _control(self, send: str, handle: int) -> tuple[int, list[int]]:
        command = list(parse_hex(send))
        code, answer = self.call(scard.SCardControl, handle, self._escape_code, command)
        return code, answer

    def _transmit(self, send: str) -> bytes | None:
        """Return the answer to an APDU, or None when the card was removed."""
        assert self._card is not None
        handle, protocol = self._card
        apdu = list(parse_hex(send))
        self._channel.trace(">", bytes(apdu))
        code, answer = self.call(scard.SCardTransmit, handle, pci(protocol), apdu)
        for _ in range(RESETS_MAX):
            if code != scard.SCARD_W_RESET_CARD:
                break
            share, disposition = scard.SCARD_SHARE_SHARED, scard.SCARD_LEAVE_CARD
            code, protocol = self.call(scard.SCardReconnect, handle, share, protocol, disposition)
            if code == scard.SCARD_S_SUCCESS:
                code, answer = self.call(scard.SCardTransmit, handle, pci(protocol), apdu)
        # An answer ends with two status bytes. Without them the card was removed, and the driver
        # has not noticed it: an exchange of two cards would give no event.
        is_removed = code in _CARD_REMOVED or code in _CARD_FAULTS
        if is_removed or (code == scard.SCARD_S_SUCCESS and len(answer) < STATUS_BYTES):
            if not self._unread:  # another card may be present already: look again
                self._begin_card()
            return None
        self.check(code, "talking to the card")
        received = bytes(answer)
        self._channel.trace("<", received)
        return received

    def call(self, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
        """Call into PC/SC, which may block."""
        return self._channel.call(safely, function, *arguments)

    def check(self, code: int, doing: str) -> None:
        """Raise `ReaderError` for any code but success."""
        if code != scard.SCARD_S_SUCCESS:
            raise self.error(f"{text(code)} while {doing}")

    def error(self, what: str) -> ReaderError:
        return ReaderError(f"{self._profile.device.model}: {what}")


def _is_expected(step: Step, answer: bytes) -> bool:
    return step.expect is UNSET or begins(step.expect, answer)
