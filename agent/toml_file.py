"""A TOML file decoded into frozen types; what is wrong with it said for people: file, key, and what to write instead."""

import difflib
import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from agent.errors import ConfigError

_Form = TypeVar("_Form")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_CHOICE = re.compile(r"Invalid enum value '(?P<word>[^']*)'")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def load_toml(path: Path, form: type[_Form], error: type[ConfigError]) -> _Form:
    """Return the file as `form`. Raise `error` with one sentence that names file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:  # ValueError: no UTF-8, or a name with a NUL
        raise error(f"{path}: cannot be read: {cause}") from cause
    try:
        tables = tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as cause:  # TOMLDecodeError is a ValueError; others: numbers and nesting beyond Python's limits
        raise error(f"{path}: is not TOML: {cause}") from cause
    try:
        return msgspec.convert(tables, type=form)
    except msgspec.ValidationError as cause:
        raise error(f"{path}: {_for_people(str(cause), form)}") from cause


def _for_people(message: str, form: type) -> str:
    where = _PATH.search(message)
    path = where["path"].lstrip(".") if where else ""
    what = _PATH.sub("", message)
    unknown, choice = _UNKNOWN.search(what), _CHOICE.search(what)
    if choice is not None and (words := _words(_form_at(form, path))):
        close = difflib.get_close_matches(choice["word"], words, n=1)
        return f"key {path!r}: {choice['word']!r} is none of {', '.join(words)}" + (
            f"; did you mean {close[0]!r}?" if close else ""
        )
    if unknown is None:
        return f"key {path!r}: {what}" if path else what
    key = f"{path}.{unknown['key']}" if path else unknown["key"]
    close = difflib.get_close_matches(
        unknown["key"], sorted(_fields(_form_at(form, path)) or _names(form)), n=1
    )
    return f"unknown key {key!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def _form_at(form: object, path: str) -> list[object]:
    """Return the forms that may stand at a path as msgspec writes it, `a.b[0].c`; `[...]` is a value of a table."""
    forms = _leaves(form)
    for part in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        if part.startswith("["):
            forms = [
                leaf for one in forms for inner in get_args(one)[-1:] for leaf in _leaves(inner)
            ]
        else:
            forms = [
                leaf
                for one in forms
                for field in _struct_fields(one)
                if field.encode_name == part
                for leaf in _leaves(field.type)
            ]
    return forms


def _leaves(form: object) -> list[object]:
    """Return the forms that an annotation or a union stands for."""
    if get_origin(form) is Annotated:
        return _leaves(get_args(form)[0])
    if get_origin(form) in (Union, UnionType):
        return [leaf for one in get_args(form) for leaf in _leaves(one)]
    return [form]


def _words(forms: list[object]) -> list[str]:
    return [str(word) for form in forms if get_origin(form) is Literal for word in get_args(form)]


def _fields(forms: list[object]) -> set[str]:
    return {field.encode_name for form in forms for field in _struct_fields(form)}


def _struct_fields(form: object) -> tuple[msgspec.structs.FieldInfo, ...]:
    return (
        msgspec.structs.fields(form)
        if isinstance(form, type) and issubclass(form, msgspec.Struct)
        else ()
    )


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
