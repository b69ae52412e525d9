"""Finds entries in raw bytes of a ledger's file or log, whatever became of the pages around them.

A row of `entry` keeps its hash directly before its body (`schema.py`), so a text that looks like a
body has its hash in the 32 bytes before it. Nothing is proved here: `proof.py` follows the hashes.
An entry that is longer than a page is not found: SQLite keeps it in pieces.
"""

import re
from collections.abc import Iterator

import msgspec

from agent.domain.ledger import Entry
from agent.store.rows import SealedBody

HASH_BYTES = 32
# JSON with at most one object inside, the meal that a storno undoes. No value has a brace in it.
# A lookahead, so that a chance match cannot swallow the body behind it.
_BODY = re.compile(rb'(?=(\{"[^{}]*(?:\{[^{}]*\}[^{}]*)?\}))')
_EPOCH = re.compile(rb"(?<![0-9a-f])[1-9][0-9]{0,8}-[0-9a-f]{16}(?![0-9a-f])")
_entry = msgspec.json.Decoder(Entry)


def entries_in(content: bytes) -> Iterator[SealedBody]:
    """Yield what looks like an entry with its hash, in the order of the bytes, each once."""
    seen = set()
    for match in _BODY.finditer(content):
        digest = content[max(0, match.start() - HASH_BYTES) : match.start()]
        try:
            _entry.decode(match[1])
            sealed = SealedBody(digest, match[1].decode())
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if len(digest) == HASH_BYTES and sealed not in seen:
            seen.add(sealed)
            yield sealed


def epochs_in(content: bytes) -> set[str]:
    """Return every text that may be the id of an epoch."""
    return {match.decode() for match in _EPOCH.findall(content)}
