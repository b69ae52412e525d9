"""Who is at the other end of a Unix socket, as the kernel says it when the program connects."""

import pwd
import re
import socket
import struct

NAME_CHARACTERS_MAX = 32
"""Linux takes no longer user names (`useradd`)."""
_CREDENTIALS = struct.Struct("iII")  # pid, uid, gid
_UNUSUAL = re.compile(r"[^!-~]")


def user_of(peer: socket.socket) -> str:
    """Return number and name of the user whose program connected: `1000 maria`.

    A user without a name on this machine is only the number.
    """
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    try:
        return user_words(uid, pwd.getpwuid(uid).pw_name)
    except KeyError:
        return user_words(uid, "")


def user_words(uid: int, name: str) -> str:
    """Return number and name as an entry has them: ASCII without control characters."""
    return f"{uid} {_UNUSUAL.sub('?', name[:NAME_CHARACTERS_MAX])}".rstrip()
