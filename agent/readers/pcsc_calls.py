"""Calls into PC/SC without a card: which readers there are, and what their drivers allow.

With `pcsc.py` the wall to PC/SC: only these two import pyscard, and of it only `scard`. Every
context that is opened here is released here.
"""

from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

from smartcard import scard

from agent.errors import ReaderError
from agent.readers.apdu import escape_code_of

# PC/SC part 10: CM_IOCTL_GET_FEATURE_REQUEST is SCARD_CTL_CODE(3400).
FEATURE_REQUEST = 3400

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


def reader_names() -> list[str]:
    """Return the names of all PC/SC readers. Raise `ReaderError` with pcscd's error."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        raise ReaderError(f"pcscd: {text(code)}")
    try:
        code, names = list_readers(safely, context)
        if code != scard.SCARD_S_SUCCESS:
            raise ReaderError(f"pcscd: {text(code)}")
        return names
    finally:
        scard.SCardReleaseContext(context)


def allows_escape(reader: str) -> bool | None:
    """Return whether a reader's driver allows escape commands; None when it cannot be asked now."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        return None
    try:
        share, protocol = scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED
        code, handle, _ = scard.SCardConnect(context, reader, share, protocol)
        if code != scard.SCARD_S_SUCCESS:
            return None
        escape_code = escape_code_by(safely, handle)
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        return escape_code is not None
    finally:
        scard.SCardReleaseContext(context)


Call = Callable[..., Any]
"""A way to call into PC/SC: pyscard has no types."""


def safely(function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
    """Call into PC/SC. Raise `ReaderError` for the exceptions of the binding itself.

    These are a name that is not UTF-8, and a lost client (pyscard #248).
    """
    try:
        return function(*arguments)
    except (SystemError, UnicodeError, ValueError) as error:
        raise ReaderError(f"pyscard: {error.__cause__ or error}") from error


def list_readers(call: Call, context: int) -> tuple[int, list[str]]:
    """Return the error code, and the names of all readers."""
    code, names = call(scard.SCardListReaders, context, [])
    if code == scard.SCARD_E_NO_READERS_AVAILABLE:
        return scard.SCARD_S_SUCCESS, []
    return code, list(names or [])


def slots_of(call: Call, context: int, names: list[str]) -> dict[str, bytes]:
    """Return the readers, each with the ATR of the card in it, empty without a card."""
    unknown = [(name, scard.SCARD_STATE_UNAWARE) for name in names]
    code, states = call(scard.SCardGetStatusChange, context, 0, unknown) if names else (0, [])
    atrs = {name: bytes(atr) for name, _, atr in states} if code == scard.SCARD_S_SUCCESS else {}
    return {name: atrs.get(name, b"") for name in names}


def escape_code_by(call: Call, handle: int) -> int | None:
    """Return the code for escape commands that the driver names, None if it allows none."""
    code, features = call(scard.SCardControl, handle, scard.SCARD_CTL_CODE(FEATURE_REQUEST), [])
    return escape_code_of(bytes(features)) if code == scard.SCARD_S_SUCCESS else None


def pci(protocol: int) -> int:
    """Return what SCardTransmit wants for a protocol."""
    header: Callable[..., int] | int = (
        scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
    )
    assert isinstance(header, int)
    return header


def text(code: int) -> str:
    """Return the words and the number of an error code."""
    return f"{scard.SCardGetErrorMessage(code).strip().rstrip('.')} (0x{code & 0xFFFFFFFF:08X})"
