"""A TOML file decoded into frozen types; what is wrong with it said for people: file, key, and what to write instead."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import TypeVar, get_args

import msgspec

from agent.errors import ConfigError

_Form = TypeVar("_Form")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def load_toml(path: Path, form: type[_Form], error: type[ConfigError]) -> _Form:
    """Return the file as `form`. Raise `error` with one sentence that names file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{path}: cannot be read: {cause}") from cause
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as cause:  # TOMLDecodeError is a ValueError; others: numbers and nesting beyond Python's limits
        raise error(f"{path}: is not TOML: {cause}") from cause
    try:
        return msgspec.convert(tables, type=form)
    except msgspec.ValidationError as cause:
        raise error(f"{path}: {_for_people(str(cause), form)}") from cause


def _for_people(message: str, form: type) -> str:
    where = _PATH.search(message)
    path = where["path"].lstrip(".") if where else ""
    what = _PATH.sub("", message)
    unknown = _UNKNOWN.search(what)
    if unknown is None:
        return f"key {path!r}: {what}" if path else what
    key = f"{path}.{unknown['key']}" if path else unknown["key"]
    close = difflib.get_close_matches(unknown["key"], sorted(_names(form)), n=1)
    return f"unknown key {key!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def _names(form: object) -> set[str]:
    """Return every key that may stand anywhere in a form."""
    names: set[str] = set()
    if isinstance(form, type) and issubclass(form, msgspec.Struct):
        for field in msgspec.structs.fields(form):
            names.add(field.encode_name)
            names |= _names(field.type)
    for part in get_args(form):
        names |= _names(part)
    return names
