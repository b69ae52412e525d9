"""The vocabulary of a link can be used without a broker and its library."""

import dataclasses
import subprocess
import sys
from typing import get_args

import pytest

from agent.sync import events
from agent.sync.events import Acknowledge, Arrived, LinkEffect, LinkEvent, LinkUp

VALUES = [*get_args(LinkEvent), *get_args(LinkEffect)]


def test_the_vocabulary_needs_no_mqtt_library() -> None:
    """The core and the simulator import it where no broker is."""
    program = f"import sys, {events.__name__}; sys.exit('paho' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_every_event_and_effect_is_a_frozen_value(value: type) -> None:
    parameters = value.__dataclass_params__  # type: ignore[attr-defined]
    assert parameters.frozen and parameters.eq and "__slots__" in vars(value)


def test_every_class_of_the_vocabulary_is_an_event_or_an_effect() -> None:
    own = [value for value in vars(events).values() if dataclasses.is_dataclass(value)]
    classes = {value for value in own if value.__module__ == events.__name__}
    assert classes == set(VALUES)


def test_a_receipt_goes_back_as_it_came() -> None:
    receipt = object()
    message = Arrived(topic="in/a", payload=b"1", receipt=receipt)
    assert Acknowledge(message.receipt).receipt is receipt
    assert LinkUp() == LinkUp()
