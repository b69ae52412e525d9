"""Why a connection is not made or is lost, in words, with what to do: names, routes, TLS.

Pure: it translates what the operating system and OpenSSL report. What the broker itself says is in
`reasons.py`.
"""

import errno
import re
import socket
import ssl

from agent.errors import cut_reason
from agent.sync.broker import Address

# OpenSSL's word in an error -> what it means and what to do
_TLS_WORDS = {
    "ALERT_CERTIFICATE_EXPIRED": "the broker says that our certificate has expired; make a new one"
    " (docs/broker), or correct the broker's clock",
    "ALERT_CERTIFICATE_REVOKED": "our certificate is revoked; make a new one (docs/broker)",
    "ALERT_UNKNOWN_CA": "the broker does not know the authority of our certificate; make one with"
    " the broker's CA (docs/broker)",
    "CERTIFICATE_REQUIRED": "the broker wants a certificate; write certificate_file and key_file"
    " (central: --certificate, --key)",
    "ALERT_BAD_CERTIFICATE": "the broker refuses our certificate; make one for a client"
    " (docs/broker)",
    "ALERT_CERTIFICATE_UNKNOWN": "the broker refuses our certificate; make one for a client"
    " (docs/broker)",
    "ALERT_HANDSHAKE_FAILURE": "TLS: no common settings with the broker, or it wants a certificate;"
    " write certificate_file and key_file",
    "ALERT_PROTOCOL_VERSION": "TLS: the broker knows only versions older than 1.2; upgrade it",
    "WRONG_VERSION_NUMBER": "the broker speaks no TLS on this port; correct the port, or write"
    " mqtt:// for a broker without TLS",
}
# OpenSSL's number of a failed verification -> what it means and what to do
_VERIFY_CODES = {
    9: "the broker's certificate is not valid yet; check this machine's clock",
    10: "the broker's certificate has expired; renew it at the broker (docs/broker), or correct"
    " this machine's clock",
    18: "the broker's certificate is signed by itself; write its file as ca_file",
    19: "the broker's certificate is of an authority that ca_file does not hold; write the right"
    " ca_file",
    20: "the broker's certificate is of an authority that ca_file does not hold; write the right"
    " ca_file",
    62: "the broker's certificate is for another name; write that name into the broker url",
    64: "the broker's certificate is for another address; write its name into the broker url",
}
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)


def of_connect(error: Exception, address: Address) -> str:
    """Return the sentence for an attempt to connect that failed."""
    place = f"broker {address.host}:{address.port}"
    match error:
        case socket.gaierror():
            return (
                f"the name {address.host} does not resolve ({error.strerror}); check the name in"
                " the broker url, and this network's DNS"
            )
        case ssl.SSLCertVerificationError():
            words = _VERIFY_CODES.get(error.verify_code)
            return f"{place}: {words or f'its certificate is refused: {error.verify_message}'}"
        case ssl.SSLError():
            return f"{place}: {of_text(str(error)) or f'TLS failed: {error}'}"
        case ConnectionRefusedError():
            return f"{place}: nothing listens there; start the broker, or correct host and port"
        case TimeoutError():
            return f"{place}: no answer; check the network, and firewalls before the broker"
        case ConnectionError():
            return f"{place}: it hangs up at once; correct the port, or write mqtts:// or mqtt://"
        case OSError(errno=number) if number in _NO_ROUTE:
            return f"{place}: no route there; check cable, Wi-Fi and router"
        case _:
            return f"{place}: not reached: {cut_reason(str(error))}"


def of_text(text: str) -> str | None:
    """Return the sentence for an error that OpenSSL put into a text, None if there is none."""
    known = re.sub(r"[^A-Z]+", "_", text.upper())
    return next((words for word, words in _TLS_WORDS.items() if word in known), None)
