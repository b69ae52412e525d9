"""Mutants that may survive, each with the reason. Data only."""

from typing import NamedTuple


class Accepted(NamedTuple):
    """A mutant by its file and its changed line, and why no test can or need notice it."""

    file: str
    was: str
    becomes: str
    reason: str


ACCEPTED: tuple[Accepted, ...] = ()
