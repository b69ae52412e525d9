"""A row cannot be changed between its transaction and its reader."""

import dataclasses
import inspect

import pytest

from agent.domain.ledger import Place
from agent.store import rows
from agent.store.rows import Incident, KnownPlace
from tests.store.disk import AT

ROWS = [
    member
    for _, member in inspect.getmembers(rows, inspect.isclass)
    if member.__module__ == rows.__name__
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_every_row_is_frozen_and_slotted(row: type) -> None:
    parameters = row.__dataclass_params__  # type: ignore[attr-defined]
    assert dataclasses.is_dataclass(row)
    assert parameters.frozen and parameters.eq and "__slots__" in vars(row)


def test_a_change_of_a_row_raises() -> None:
    incident = Incident(at=AT, kind="wipe", detail="by order o-1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        incident.detail = "nothing"  # type: ignore[misc]


def test_rows_of_equal_content_are_equal() -> None:
    assert KnownPlace(place=Place(1, 2), hash=None) == KnownPlace(place=Place(1, 2), hash=None)
    assert KnownPlace(place=Place(1, 2), hash=None) != KnownPlace(place=Place(1, 2), hash="0")
