"""The wall to PC/SC: the only file that imports pyscard, and of it only `scard`.

Its own status-change loop: pyscard's CardMonitor dies at the first pcscd restart and says so to nobody. One context a
life, one card handle at a time, always released with LEAVE_CARD. Knows no money and stores nothing.
"""

import logging
from collections.abc import Callable

from msgspec import UNSET
from smartcard import scard

from agent.domain.card import CardId, UidFault
from agent.errors import ReaderError
from agent.readers.apdu import matches, parse_hex, strip_status
from agent.readers.events import CardPresented, CardUnreadable, Signal
from agent.readers.framing import Fault
from agent.readers.presence import Presence
from agent.readers.profile import Profile, card_of, find_reader
from agent.readers.thread import Line

STATUS_WAIT_MS = 1_000  # how often the loop looks up without an event; SCardCancel would race with the call's start
SIGNAL_SOON_S = 0.3  # the main loop answers in milliseconds; after this the child sees that it is to wait
SIGNAL_WAIT_S = 5.0  # as long as a slow SD card may take to flush; then the card may leave without a signal
TRAFFIC = 5  # raw bytes identify a child: only on demand, and said when it is switched on

log = logging.getLogger("agent.readers.pcsc")


class PcscDevice:
    """One PC/SC reader. `device` is a glob over PC/SC names, None for what the profile says."""

    def __init__(self, name: str, profile: Profile, device: str | None) -> None:
        self._name = name
        self._profile = profile
        self._device = device
        self._presence = Presence(gone_after_ms=0, debounce_ms=profile.presence.debounce_ms)

    def serve(self, line: Line) -> None:
        """Read cards until `line.stopping`. Raise `ReaderError` when the reader, its driver or pcscd goes."""
        code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        self._check(code, "connecting to pcscd")
        try:
            reader = self._find(context)
            self._run_init(context, reader)
            line.up(reader)
            self._watch(context, reader, line)
        finally:
            scard.SCardReleaseContext(context)

    def _find(self, context: int) -> str:
        code, names = scard.SCardListReaders(context, [])
        if code == scard.SCARD_E_NO_READERS_AVAILABLE:
            names = []
        else:
            self._check(code, "listing readers")
        found = find_reader(self._profile, names, self._device)
        if found is None:
            raise self._error("not plugged in" + (f"; there are {', '.join(names)}" if names else ""))
        return found

    def _watch(self, context: int, reader: str, line: Line) -> None:
        known = scard.SCARD_STATE_UNAWARE
        while not line.stopping:
            code, states = scard.SCardGetStatusChange(context, STATUS_WAIT_MS, [(reader, known)])
            if code == scard.SCARD_E_TIMEOUT:
                continue
            self._check(code, "waiting for a card")
            now = states[0][1]
            if now & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
                raise self._error("unplugged")
            came = now & scard.SCARD_STATE_PRESENT and not known & scard.SCARD_STATE_PRESENT
            # the upper half of the state counts insertions: a card swapped between two looks is a new card
            swapped = known & scard.SCARD_STATE_PRESENT and now & scard.SCARD_STATE_PRESENT and (now ^ known) >> 16
            if (came or swapped) and not now & scard.SCARD_STATE_MUTE:
                self._read(context, reader, line)
            known = now & ~scard.SCARD_STATE_CHANGED

    def _read(self, context: int, reader: str, line: Line) -> None:
        """Ask a card that has come for its UID, report it, and show the answer while it is there."""
        code, handle, protocol = scard.SCardConnect(
            context, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        )
        if code in _CARD_WENT:
            return  # taken away again: it will come back
        self._check(code, "connecting to the card")
        try:
            found = self._identify(handle, protocol)
            if found is None or not self._presence.is_tap(found, line.now_ms()):
                return
            tap = line.next_tap()
            if isinstance(found, CardId):
                line.report(CardPresented(reader=self._name, card=found, tap=tap))
            else:
                line.report(CardUnreadable(reader=self._name, fault=found.value, tap=tap))
            signal = line.signal(tap, SIGNAL_SOON_S)
            if signal is None:  # the main loop is busy: say so, and go on waiting
                self._show(handle, protocol, Signal.WAIT)
                signal = line.signal(tap, SIGNAL_WAIT_S)
            if signal is not None:
                self._show(handle, protocol, signal)
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def _identify(self, handle: int, protocol: int) -> CardId | UidFault | Fault | None:
        assert self._profile.uid.send is not UNSET
        answer = self._transmit(handle, protocol, self._profile.uid.send)
        if answer is None:
            return None
        try:
            return card_of(self._profile, strip_status(answer, self._profile.uid.status, asked="the UID"))
        except ReaderError as error:
            log.debug("reader '%s' (%s): %s", self._name, self._profile.device.model, error)
            return Fault.STATUS

    def _show(self, handle: int, protocol: int, signal: Signal) -> None:
        """Send a signal, if the reader can show it. One that fails is a pity, not a fault: the meal is recorded."""
        step = self._profile.step_for(signal)
        if step is None:
            return
        answer = self._transmit(handle, protocol, step.send)
        if answer is not None and not matches(step.expect, answer):
            log.warning("reader '%s' (%s): SW=%s while showing the signal", self._name, self._profile.device.model, answer.hex())

    def _run_init(self, context: int, reader: str) -> None:
        steps = [step for step in self._profile.init if step.via == "escape"]
        if not steps:
            return None
        assert self._profile.pcsc is not UNSET and self._profile.pcsc.escape is not UNSET
        control = scard.SCARD_CTL_CODE(self._profile.pcsc.escape.control_code)
        code, handle, _ = scard.SCardConnect(context, reader, scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED)
        if code != scard.SCARD_S_SUCCESS:
            return log.debug("reader '%s': no direct connection for its init steps: %s", self._name, _text(code))
        try:
            for step in steps:
                code, answer = scard.SCardControl(handle, control, list(parse_hex(step.send)))
                if code != scard.SCARD_S_SUCCESS or not matches(step.expect, bytes(answer)):
                    log.debug("reader '%s': init step %s not taken (%s)", self._name, step.send, _text(code))
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def _transmit(self, handle: int, protocol: int, send: str) -> bytes | None:
        """Return the answer, or None when the card has gone meanwhile."""
        log.log(TRAFFIC, "reader '%s' > %s", self._name, send)
        code, answer = scard.SCardTransmit(handle, _pci(protocol), list(parse_hex(send)))
        if code in _CARD_WENT:
            return None
        self._check(code, "talking to the card")
        received = bytes(byte & 0xFF for byte in answer)
        log.log(TRAFFIC, "reader '%s' < %s", self._name, received.hex(" "))
        return received

    def _check(self, code: int, doing: str) -> None:
        if code != scard.SCARD_S_SUCCESS:
            raise self._error(f"{_text(code)} while {doing}")

    def _error(self, what: str) -> ReaderError:
        return ReaderError(f"reader '{self._name}' ({self._profile.device.model}): {what}")


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
    }
)


def _pci(protocol: int) -> int:
    pci: Callable[..., int] | int = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
    assert isinstance(pci, int)
    return pci


def _text(code: int) -> str:
    return f"{scard.SCardGetErrorMessage(code).strip().rstrip('.')} (0x{code & 0xFFFFFFFF:08X})"
