"""The wall to PC/SC: the only file that imports pyscard, and of it only `scard`.

Its own status-change loop: pyscard's CardMonitor dies at the first pcscd restart and says so to nobody. One context a
life, one card handle at a time, always released with LEAVE_CARD. Knows no money and stores nothing.
"""

import logging
from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from smartcard import scard

from agent.errors import ReaderError
from agent.readers.apdu import begins, parse_hex
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.identity import Seen, card_of_answer
from agent.readers.match import find_reader
from agent.readers.profile import Profile, given
from agent.readers.thread import SIGNAL_LATE_MS, SIGNAL_SOON_MS, Channel

STATUS_WAIT_MS = 1_000  # how often the loop looks up without an event; SCardCancel would race with the call's start
BUSY_WAIT_MS = 50  # the same while a tap waits for its signal, or a card is to be asked again
TRIES = 3  # how often a card that lies there and does not answer to the end is asked at once; then once a second
OWED_MS_MAX = SIGNAL_LATE_MS
FEATURE_REQUEST = 3400  # PC/SC part 10: CM_IOCTL_GET_FEATURE_REQUEST is SCARD_CTL_CODE(3400)
FEATURE_CCID_ESC_COMMAND = 0x13

log = logging.getLogger("agent.readers.pcsc")


class PcscReader:
    """One PC/SC reader. `device` is a glob over PC/SC names, None for what the profile says."""

    def __init__(self, profile: Profile, device: str | None) -> None:
        self._profile = profile
        self._device = device

    def serve(self, channel: Channel) -> None:
        """Read cards until `channel.stopping`. Raise `ReaderError` when the reader, its driver or pcscd goes."""
        talk = _Talk(self._profile, channel)
        code, context = talk.call(scard.SCardEstablishContext, scard.SCARD_SCOPE_USER)
        talk.check(code, "connecting to pcscd")
        try:
            code, names = _list(talk.call, context)
            talk.check(code, "listing readers")
            reader = find_reader(self._profile, names, self._device)
            if reader is None:
                raise talk.error(
                    "not plugged in" + (f"; there are {', '.join(names)}" if names else "")
                )
            talk.begin(context, reader)
            channel.up(reader)
            talk.watch()
        finally:
            talk.leave()
            talk.call(scard.SCardReleaseContext, context)


def escape_code_of(features: bytes) -> int | None:
    """Return the driver's own control code for escape commands, None if it lets none pass (PC/SC part 10: tag, length, value).

    libccid names one only with bit 0 of ifdDriverOptions; ACS's driver has another one. So nobody needs to know them.
    """
    at = 0
    while at + 6 <= len(features):
        tag, length = features[at], features[at + 1]
        if tag == FEATURE_CCID_ESC_COMMAND and length == 4:
            return int.from_bytes(features[at + 2 : at + 6], "big")
        at += 2 + length
    return None


class _Talk:
    """What goes on between one context and one reader."""

    def __init__(self, profile: Profile, channel: Channel) -> None:
        self._profile = profile
        self._channel = channel
        self._context: Any = None
        self._reader = ""
        self._started = (
            False  # the driver was asked for its escape code, and the start-up steps are done
        )
        self._escape_code: int | None = None
        self._card: tuple[int, int] | None = None  # handle and protocol
        self._unread = False  # a card lies there and has not been read
        self._seen: Seen = None  # what lies there, as far as it was read
        self._tapped: Seen = None  # what the newest tap was
        self._tapped_ms = 0
        self._owed: Signal | None = (
            None  # the light for it, that the card's going away kept from being shown
        )
        self._tries = 0
        self._atr = b""

    def begin(self, context: int, reader: str) -> None:
        """Do what needs no card. Where another program holds the reader, it is done with the first card."""
        self._context, self._reader = context, reader
        steps = [*self._profile.init, *self._profile.feedback.steps()]
        self._started = not any(step.via == "escape" for step in steps)
        if self._started:
            return
        code, handle, _ = self.call(
            scard.SCardConnect,
            context,
            reader,
            scard.SCARD_SHARE_DIRECT,
            scard.SCARD_PROTOCOL_UNDEFINED,
        )
        if code == scard.SCARD_S_SUCCESS:
            self._start(handle)
            self.call(scard.SCardDisconnect, handle, scard.SCARD_LEAVE_CARD)

    def _start(self, handle: int) -> None:
        """Ask for the escape code, and do the start-up steps: good to have, the reader reads all the same without."""
        self._started = True
        self._escape_code = _escape_code_by(self.call, handle)
        for step in self._profile.init if self._escape_code is not None else ():
            for send in step.sends:
                self._channel.note(">", parse_hex(send))
                code, answer = self.call(
                    scard.SCardControl, handle, self._escape_code, list(parse_hex(send))
                )
                if code != scard.SCARD_S_SUCCESS or (
                    step.expect is not UNSET and not begins(step.expect, bytes(answer))
                ):
                    log.info(
                        "reader '%s': start-up step %s not taken (%s)",
                        self._channel.name,
                        send,
                        _text(code),
                    )

    def watch(self) -> None:
        known = scard.SCARD_STATE_UNAWARE
        while not self._channel.stopping:
            is_busy = self._channel.is_waiting or (self._unread and self._tries < TRIES)
            wait_ms = BUSY_WAIT_MS if is_busy else STATUS_WAIT_MS
            code, states = self.call(
                scard.SCardGetStatusChange, self._context, wait_ms, [(self._reader, known)]
            )
            if code != scard.SCARD_E_TIMEOUT:
                self.check(code, "waiting for a card")
                _, now, atr = states[0]
                if now & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
                    raise self.error("unplugged")
                self._changed(known, now, bytes(atr))
                known = now & ~scard.SCARD_STATE_CHANGED
            self._go_on()

    def leave(self) -> None:
        """Let go of the card, powered as it is."""
        if self._card is not None:
            handle, self._card = self._card[0], None
            self.call(scard.SCardDisconnect, handle, scard.SCARD_LEAVE_CARD)

    def _changed(self, known: int, now: int, atr: bytes) -> None:
        lay, lies = known & scard.SCARD_STATE_PRESENT, now & scard.SCARD_STATE_PRESENT
        # the upper half of the state counts insertions: a card swapped between two looks is a new card
        came = lies and (not lay or (now ^ known) >> 16)
        if lay and (came or not lies):
            self._channel.note("gone")
            self.leave()
            self._unread = False
        if came:
            self._channel.note("card", atr)
            self._atr = atr
            self._unread, self._tries = True, 0
        if came and now & scard.SCARD_STATE_MUTE:
            self._channel.note("mute")
            if self._channel.saw(Fault.MUTE):
                self._tapped, self._tapped_ms, self._owed = Fault.MUTE, self._channel.now_ms(), None

    def _go_on(self) -> None:
        """Ask a card that has come, and show the signal for it while it is there."""
        if self._unread:
            self._tries += 1
            connected = self._connect()
            seen = self._identify() if connected else None
            if seen is None and connected and self._tries > TRIES:
                seen = Fault.STATUS  # still there a second later, and no answer: it is laid badly
            if seen is None:
                return self.leave()  # gone again: asked anew as long as something lies there
            self._unread, self._seen = False, seen
            if self._channel.saw(seen):
                self._tapped, self._tapped_ms, self._owed = seen, self._channel.now_ms(), None
                self._show(self._channel.signal(SIGNAL_SOON_MS / 1000))
            elif self._owed is not None:
                self._show(self._owed)
        else:
            self._show(self._channel.signal())
        if not self._channel.is_waiting:
            self.leave()
        return None

    def _connect(self) -> bool:
        """Connect to the card. Return False when it has gone."""
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, handle, protocol = self.call(
            scard.SCardConnect, self._context, self._reader, scard.SCARD_SHARE_SHARED, protocols
        )
        if code in _CARD_WENT:
            return False
        self.check(code, "connecting to the card")
        self._card = handle, protocol
        if not self._started:
            self._start(handle)
        return True

    def _identify(self) -> Seen:
        answer = self._transmit(given(self._profile.uid.send))
        if answer is None or len(answer) < 2:  # without even a status: pulled in the middle
            return None
        return card_of_answer(self._profile, answer, self._atr)

    def _show(self, signal: Signal | None) -> None:
        """Send a signal, if the reader can show it, while the card it is for lies there. One that fails is a pity: the meal is recorded.

        A card that went before its light gets it when it is back at once; later it may have been tapped elsewhere.
        """
        if signal is None:
            return
        self._owed = None
        step = self._profile.step_for(signal)
        is_another = self._card is not None and self._seen != self._tapped
        if step is None or is_another or self._channel.now_ms() - self._tapped_ms > OWED_MS_MAX:
            return
        if self._card is None:
            self._owed = signal
            return
        for send in step.sends:
            answer = (
                self._escape(send, self._card[0]) if step.via == "escape" else self._transmit(send)
            )
            if answer is None:
                self._owed = signal if self._unread else None
                return
            if step.expect is not UNSET and not begins(step.expect, answer):
                self._channel.signal_failed(f"{send}: answered {answer.hex(' ') or 'nothing'}")

    def _escape(self, send: str, handle: int) -> bytes | None:
        if self._escape_code is None:
            self._channel.signal_failed(
                "the driver lets no escape commands pass: canteen-agent readers says how to allow them"
            )
            return None
        self._channel.note(">", parse_hex(send))
        code, answer = self.call(
            scard.SCardControl, handle, self._escape_code, list(parse_hex(send))
        )
        if code != scard.SCARD_S_SUCCESS:
            self._channel.signal_failed(f"{send}: {_text(code)}")
            return None
        received = bytes(answer)
        self._channel.note("<", received)
        return received

    def _transmit(self, send: str) -> bytes | None:
        """Return the answer, or None when the card has gone meanwhile."""
        assert self._card is not None
        handle, protocol = self._card
        self._channel.note(">", parse_hex(send))
        code, answer = self.call(scard.SCardTransmit, handle, _pci(protocol), list(parse_hex(send)))
        if code == scard.SCARD_W_RESET_CARD:  # another program has reset it: begin anew, once
            code, protocol = self.call(
                scard.SCardReconnect,
                handle,
                scard.SCARD_SHARE_SHARED,
                protocol,
                scard.SCARD_LEAVE_CARD,
            )
            if code == scard.SCARD_S_SUCCESS:
                code, answer = self.call(
                    scard.SCardTransmit, handle, _pci(protocol), list(parse_hex(send))
                )
        if code in _CARD_WENT:
            self._unread, self._tries = (
                True,
                self._tries if self._unread else 0,
            )  # another may lie there already
            return None
        self.check(code, "talking to the card")
        received = bytes(answer)
        self._channel.note("<", received)
        return received

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call into PC/SC."""
        return self._channel.call(_safely, function, *arguments)

    def check(self, code: int, doing: str) -> None:
        if code != scard.SCARD_S_SUCCESS:
            raise self.error(f"{_text(code)} while {doing}")

    def error(self, what: str) -> ReaderError:
        return ReaderError(f"{self._profile.device.model}: {what}")


def reader_names() -> list[str]:
    """Return the names of all PC/SC readers. Raise `ReaderError` with what pcscd says."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        raise ReaderError(f"pcscd: {_text(code)}")
    try:
        code, names = _list(_safely, context)
        if code != scard.SCARD_S_SUCCESS:
            raise ReaderError(f"pcscd: {_text(code)}")
        return names
    finally:
        scard.SCardReleaseContext(context)


def lets_escape_pass(reader: str) -> bool | None:
    """Return whether a reader's driver takes escape commands, None where it cannot be asked just now."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        return None
    try:
        code, handle, _ = scard.SCardConnect(
            context, reader, scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED
        )
        if code != scard.SCARD_S_SUCCESS:
            return None
        found = _escape_code_by(_safely, handle)
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        return found is not None
    finally:
        scard.SCardReleaseContext(context)


Call = Callable[..., Any]


def _safely(function: Call, *arguments: Any) -> Any:
    """Call into PC/SC. Raise `ReaderError` for what the binding trips over: a name that is no UTF-8, a lost client (pyscard #248)."""
    try:
        return function(*arguments)
    except (SystemError, UnicodeError, ValueError) as error:
        raise ReaderError(f"pyscard: {error.__cause__ or error}") from error


def _list(call: Call, context: int) -> tuple[int, list[str]]:
    code, names = call(scard.SCardListReaders, context, [])
    return (
        (scard.SCARD_S_SUCCESS, [])
        if code == scard.SCARD_E_NO_READERS_AVAILABLE
        else (code, list(names or []))
    )


def _escape_code_by(call: Call, handle: int) -> int | None:
    code, features = call(scard.SCardControl, handle, scard.SCARD_CTL_CODE(FEATURE_REQUEST), [])
    return escape_code_of(bytes(features)) if code == scard.SCARD_S_SUCCESS else None


# A card that is taken away answers with any of these before pcscd's next look, every 0.4 s.
_CARD_WENT = frozenset(
    {
        scard.SCARD_E_NO_SMARTCARD,
        scard.SCARD_W_REMOVED_CARD,
        scard.SCARD_E_NOT_TRANSACTED,
        scard.SCARD_W_RESET_CARD,
        scard.SCARD_W_UNPOWERED_CARD,
        scard.SCARD_W_UNRESPONSIVE_CARD,
        scard.SCARD_E_PROTO_MISMATCH,
        scard.SCARD_E_SHARING_VIOLATION,  # another program holds the card alone: asked again while it lies there
    }
)


def _pci(protocol: int) -> int:
    pci: Callable[..., int] | int = (
        scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
    )
    assert isinstance(pci, int)
    return pci


def _text(code: int) -> str:
    return f"{scard.SCardGetErrorMessage(code).strip().rstrip('.')} (0x{code & 0xFFFFFFFF:08X})"
