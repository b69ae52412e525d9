"""Prints docs/reference/configuration.md: every key of agent.toml with its type and default.

`python -m docs.configuration` writes the page, `--check` ends with 1 when it differs. Keys, types
and defaults come from the types that decode the file. The meanings are here, and a key without a
meaning is an error.
"""

import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from agent.ops.screen_settings import ScreenTable
from agent.terminal.config import BrokerTable, EnrolmentTable, File, ReaderTable
from docs import printed

PAGE = printed.ROOT / "docs" / "reference" / "configuration.md"
HEAD = """# agent.toml

```toml
town = "borgofiorito"
terminal = "t-1"
card_key_file = "credential:card-key"

[broker]
url = "mqtts://broker.example.org:8883"
ca_file = "ca.crt"
certificate_file = "t-1.crt"
key_file = "tls.key"

[[reader]]
name = "counter"
profile = "acs-acr122u"
```

One file configures a terminal: `/etc/canteen-agent/agent.toml`, or the file that `-c` names.
An unknown key is an error.
The agent then ends with 78 and a sentence that names the key and the nearest known one.
A file name is relative to the folder of agent.toml.
`credential:NAME` is the credential NAME that systemd gives the unit with `LoadCredential`.
Prices, rules and serving times are not configuration: the central sends them.

This page is printed from the types that decode the file, by `python -m docs.configuration`.
"""
TABLES: tuple[tuple[str, type, dict[str, str]], ...] = (
    (
        "Top level",
        File,
        {
            "town": "The town's id. It must be the town of the central.",
            "terminal": "The terminal's id, as the central registers it with `terminals add`.",
            "broker": "The table `[broker]`.",
            "reader": "One table `[[reader]]` for each reader, at least one.",
            "zone": "The town's time zone. It decides day and service.",
            "state_dir": "The folder of the database, the lock and the control socket.",
            "card_key_file": "The town's card key, a copy of the file that the central writes.",
            "mirror": "A folder on another medium, for a second copy of the ledger.",
            "screen": "The table `[screen]`, where staff have a page.",
            "enrolment": "The table `[enrolment]`, which `canteen-agent enrol` writes.",
            "watch_group": "The group whose programs may look at the terminal, over `watch.sock`.",
        },
    ),
    (
        "[broker]",
        BrokerTable,
        {
            "url": "`mqtts://host:8883`, or `mqtt://host:1883` without TLS.",
            "ca_file": "The CA of the broker's certificate, PEM, besides the system's CAs.",
            "certificate_file": "The terminal's certificate, PEM. Common name: `TOWN/t/TERMINAL`.",
            "key_file": "The key of that certificate, PEM. All files are read at each connection.",
            "username": "The user name, for a broker that wants one.",
            "password_file": "The file with its password. A password in the url is an error.",
        },
    ),
    (
        "[enrolment]",
        EnrolmentTable,
        {
            "address": "Where the terminal renews its certificate: `HOST:PORT` of the central.",
        },
    ),
    (
        "[[reader]]",
        ReaderTable,
        {
            "name": "The reader's name in logs, `status` and `state`: lower case, digits, `-`.",
            "profile": "A profile's id, or the name of a `.toml` file of your own.",
            "port": "Serial and keyboard readers: the device, by a path that stays.",
            "device": "PC/SC readers: a pattern for the name, for two of one model.",
        },
    ),
    (
        "[screen]",
        ScreenTable,
        {
            "port": "The page's port on this machine.",
            "language": "The page's first language: `it` or `en`.",
            "help": "Whom to call, shown beside a fault that lasts.",
            "unlock": "`none`, or `staff_card`: who corrects taps a staff card first.",
        },
    ),
)


def text() -> str:
    """Return the page. Raise `ValueError` when keys and meanings differ."""
    parts = [HEAD]
    for title, form, meanings in TABLES:
        fields = msgspec.structs.fields(form)
        if (names := {field.encode_name for field in fields}) != set(meanings):
            differing = ", ".join(sorted(names ^ set(meanings)))
            raise ValueError(
                f"docs/configuration.py: {title}: key without meaning, or the reverse: {differing}"
            )
        parts.append(f"\n## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n")
        for field in fields:
            cells = (
                f"`{field.encode_name}`",
                _kind(field.type),
                _default(field),
                meanings[field.encode_name],
            )
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def _kind(annotation: Any) -> str:
    """Return a key's type in TOML's words."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    if get_origin(annotation) is Literal:
        return "text"
    if get_origin(annotation) is list:
        return "list of tables"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return "table"
    return {str: "text", int: "number", bool: "true or false"}[annotation]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    is_absent = field.default is None or isinstance(field.default, msgspec.Struct)
    return "absent" if is_absent else f"`{field.default}`"


def main(check: bool) -> int:
    return printed.finish({PAGE: text()}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
