"""Programs that use a card on the first PC/SC reader beside the agent, for `python -c`."""

# For each card: twenty connections, with `reset` or `exclusive` as its argument.
OTHER_PROGRAM = """
import sys, time
from smartcard import scard as s
resets = sys.argv[1] == "reset"
share = s.SCARD_SHARE_SHARED if resets else s.SCARD_SHARE_EXCLUSIVE
disposition = s.SCARD_RESET_CARD if resets else s.SCARD_LEAVE_CARD
_, c = s.SCardEstablishContext(s.SCARD_SCOPE_USER)
_, names = s.SCardListReaders(c, [])
known, ends = s.SCARD_STATE_UNAWARE, time.monotonic() + 20
while time.monotonic() < ends:
    code, states = s.SCardGetStatusChange(c, 100, [(names[0], known)])
    if code != 0:
        continue
    came, known = states[0][1] & s.SCARD_STATE_PRESENT, states[0][1] & ~s.SCARD_STATE_CHANGED
    for n in range(20 if came else 0):
        code, h, p = s.SCardConnect(c, names[0], share, 3)
        if code == 0:
            s.SCardStatus(h) if resets else s.SCardGetStatusChange(c, 20, [(names[0], known)])
            s.SCardDisconnect(h, disposition)
    if came:
        print("left alone", flush=True)
"""
# Holds the first card that it can connect to until it is ended.
HOLDER = """
import time
from smartcard import scard as s
_, c = s.SCardEstablishContext(s.SCARD_SCOPE_USER)
_, names = s.SCardListReaders(c, [])
print("ready", flush=True)
while s.SCardConnect(c, names[0], s.SCARD_SHARE_EXCLUSIVE, 3)[0] != 0:
    pass
print("held", flush=True)
time.sleep(60)
"""
