"""Why a broker refuses, ends or denies something, in words, with what to do about it. Pure.

One table: the reason codes of MQTT 5. Codes of MQTT 3.1.1 are translated by the wall.
"""

TAKEN_OVER = 142
KEEP_ALIVE_TIMEOUT = 141
UNSUPPORTED_VERSION = 132
RETAIN_NOT_SUPPORTED = 154
QOS_NOT_SUPPORTED = 155
FAILURE_MIN = 128  # codes from here on are failures

# code -> (what it means, what to do)
_CODES: dict[int, tuple[str, str]] = {
    128: ("the broker refuses and gives no reason", "look into the broker's log"),
    129: ("the broker cannot read our packet", "look into the broker's log, and report it"),
    130: ("the broker sees a breach of the protocol", "look into the broker's log, and report it"),
    131: ("the broker refuses for a reason of its own", "look into the broker's log"),
    132: ("the broker does not know this MQTT version", "nothing: the other version is tried"),
    133: (
        "the broker does not take this client id",
        "allow TOWN/t/TERMINAL and TOWN/central as client ids at the broker (docs/broker)",
    ),
    134: (
        "wrong user name or password",
        "compare username and password_file with the broker's accounts",
    ),
    135: (
        "not authorised",
        "compare the broker's access list with docs/broker, and the identity with the"
        " certificate or user name",
    ),
    136: ("the broker is not available", "look whether the broker starts, and into its log"),
    137: ("the broker is busy", "nothing, if it ends; else look at the load of the broker"),
    138: ("the broker has banned this client", "remove the ban at the broker"),
    139: ("the broker is shutting down", "start the broker again"),
    140: ("the broker wants another kind of authentication", "allow certificates or passwords"),
    141: (
        "no sign of life within the keep-alive time",
        "look at the network between here and the broker",
    ),
    142: (
        "another client connected with this identity",
        "look for a second machine with this terminal's agent.toml or a copy of its card,"
        " or a second canteen-central serve",
    ),
    143: ("the broker does not take this subscription", "allow it in the broker's settings"),
    144: ("the broker does not take this topic", "allow the topics canteen/v1/# at the broker"),
    145: ("the packet's number is in use", "nothing: the connection is made again"),
    146: ("the packet's number is not known", "nothing: the connection is made again"),
    147: ("more messages at a time than the broker takes", "report it"),
    148: ("a topic alias that the broker does not take", "report it"),
    149: (
        "the packet is too large for the broker",
        "set the broker's largest packet to 524288 bytes (mosquitto: max_packet_size)",
    ),
    150: ("too many messages for the broker's rate limit", "raise the rate limit at the broker"),
    151: ("a quota of the broker is used up", "raise the quota at the broker, or free its disk"),
    152: ("an administrator ended the connection", "ask who runs the broker"),
    153: ("the broker checks payloads and does not take this one", "switch the check off"),
    154: ("the broker keeps no retained messages", "nothing: the agent does without"),
    155: ("the broker does not take this quality of service", "nothing: the agent takes a lower"),
    156: ("the broker asks to use another server", "write that server into the broker url"),
    157: ("the broker has moved", "write its new name into the broker url"),
    158: ("the broker knows no shared subscriptions", "look into the broker's settings"),
    159: ("too many connections at a time", "raise the connection rate at the broker"),
    160: ("the broker limits how long a connection lasts", "nothing: it is made again"),
    161: ("the broker knows no subscription identifiers", "report it"),
    162: (
        "the broker allows no wildcards in subscriptions",
        "allow them: the central reads canteen/v1/TOWN/t/+/…",
    ),
}


def sentence(code: int, broker_text: str = "") -> str:
    """Return what a reason code means, with its number and what to do.

    `broker_text` is the reason string that the broker sent.
    """
    meaning, remedy = _CODES.get(code, ("an unknown reason", "look into the broker's log"))
    quoted = f" ('{broker_text}')" if broker_text else ""
    return f"{meaning} ({code}){quoted}; {remedy}"
