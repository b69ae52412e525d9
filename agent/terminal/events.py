"""The public vocabulary of a terminal: what can happen to it, and what it wants done."""

from agent.readers.events import ReaderEvent, Show
from agent.sync.events import Arrived, LinkEffect, LinkState
from agent.terminal.control import Request

Event = ReaderEvent | LinkState | Arrived | Request
Effect = Show | LinkEffect
