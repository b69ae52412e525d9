"""A TOML file decoded into frozen types. An error names the file, the key and what to write."""

import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from agent.errors import ConfigError
from agent.spelling import did_you_mean

_Shape = TypeVar("_Shape")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>[^`]*)`")
_CHOICE = re.compile(r"Invalid (?:enum )?value '(?P<word>[^']*)'")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def load_toml(path: Path, shape: type[_Shape], error: type[ConfigError]) -> _Shape:
    """Return the file as `shape`. Raise `error` with one sentence that names file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:  # ValueError: no UTF-8, or a name with a NUL
        raise error(f"{path}: cannot be read: {cause}") from cause
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as cause:
        # TOMLDecodeError is a ValueError; others: numbers and nesting beyond Python's limits
        raise error(f"{path}: is not TOML: {cause}") from cause
    try:
        return msgspec.convert(tables, type=shape)
    except msgspec.ValidationError as cause:
        raise error(f"{path}: {_sentence(str(cause), shape)}") from cause


def _sentence(message: str, shape: type) -> str:
    """Return msgspec's message with the key first, and with a word that was meant."""
    where = _PATH.search(message)
    path = where["path"].lstrip(".") if where else ""
    complaint = _PATH.sub("", message)
    unknown, choice = _UNKNOWN.search(complaint), _CHOICE.search(complaint)
    if missing := _MISSING.search(complaint):
        return f"key {_joined(path, missing['key'])!r}: missing"
    if choice is not None and (words := _words(_shapes_at(shape, path)) or _tags(shape, path)):
        return (
            f"key {path!r}: {choice['word']!r} is none of {', '.join(words)}"
            f"{did_you_mean(choice['word'], words)}"
        )
    if unknown is None:
        return f"key {path!r}: {complaint}" if path else complaint
    key, shapes = _joined(path, unknown["key"]), _shapes_at(shape, path)
    keys = _keys(shapes) or _all_keys(shape)
    if unknown["key"] in keys:  # of another kind
        kind = " or ".join({tag.field for tag in map(_tag, shapes) if tag is not None})
        return f"key {key!r}: has no meaning for this {kind}; remove it"
    return f"unknown key {key!r}{did_you_mean(unknown['key'], sorted(keys))}"


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shapes_at(shape: object, path: str) -> list[object]:
    """Return the types allowed at a path as msgspec writes it: `a.b[0].c`, `[...]` in a table."""
    shapes = _leaves(shape)
    for part in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        if part.startswith("["):
            inner = [element for outer in shapes for element in get_args(outer)[-1:]]
        else:
            fields = [field for outer in shapes for field in _struct_fields(outer)]
            inner = [field.type for field in fields if field.encode_name == part]
        shapes = [leaf for element in inner for leaf in _leaves(element)]
    return shapes


def _leaves(shape: object) -> list[object]:
    """Return the types of an annotation or a union."""
    if get_origin(shape) is Annotated:
        return _leaves(get_args(shape)[0])
    if get_origin(shape) in (Union, UnionType):
        return [leaf for member in get_args(shape) for leaf in _leaves(member)]
    return [shape]


def _words(shapes: list[object]) -> list[str]:
    choices = [shape for shape in shapes if get_origin(shape) is Literal]
    return [str(word) for choice in choices for word in get_args(choice)]


class _Tag(NamedTuple):
    """The key by which the kinds of a table differ, and its word for one kind."""

    field: str
    word: str


def _tag(shape: object) -> _Tag | None:
    if not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
        return None
    config = shape.__struct_config__
    return None if config.tag_field is None else _Tag(config.tag_field, str(config.tag))


def _tags(shape: object, path: str) -> list[str]:
    """Return the words for the kinds of a table, if a path is the key by which they differ."""
    table, _, field = path.rpartition(".")
    tags = map(_tag, _shapes_at(shape, table))
    return [tag.word for tag in tags if tag is not None and tag.field == field]


def _keys(shapes: list[object]) -> set[str]:
    return {field.encode_name for shape in shapes for field in _struct_fields(shape)}


def _struct_fields(shape: object) -> tuple[msgspec.structs.FieldInfo, ...]:
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return msgspec.structs.fields(shape)
    return ()


def _all_keys(shape: object) -> set[str]:
    """Return every key of a type and of the types in it."""
    keys: set[str] = set()
    for field in _struct_fields(shape):
        keys |= {field.encode_name} | _all_keys(field.type)
    for part in get_args(shape):
        keys |= _all_keys(part)
    return keys
