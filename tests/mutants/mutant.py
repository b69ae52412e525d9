"""A mutant: a module's text with one change. cosmic-ray makes the changes."""

import difflib
import re
from collections.abc import Iterator
from typing import NamedTuple

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from tests.mutants.rooms import OPERATORS
from tests.simulation.planted_bug import ROOT

# These options of a class are no behaviour: mypy checks what they promise.
_DECLARED = re.compile(r"\b(frozen|kw_only|slots)=(True|False)")


class Mutant(NamedTuple):
    """The module `file` with line `line` changed. `was` and `becomes` are that line, stripped."""

    file: str
    line: int
    was: str
    becomes: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.was}  ->  {self.becomes}"


def mutants_of(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of the operators."""
    text = (ROOT / file).read_text(encoding="utf-8")
    for name in OPERATORS:
        operator, occurrence = get_operator(name)(), 0
        while (mutated := mutate_code(text, operator, occurrence)) is not None:
            occurrence += 1
            if (mutant := _mutant(file, text, mutated)) is not None:
                yield mutant


def _mutant(file: str, text: str, mutated: str) -> Mutant | None:
    """Return a mutant, None where the text is the same or only a declaration differs."""
    before, after = text.splitlines(), mutated.splitlines()
    for tag, start, end, other, other_end in difflib.SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            was = " ".join(line.strip() for line in before[start:end])
            becomes = " ".join(line.strip() for line in after[other:other_end])
            if _DECLARED.sub("", was) == _DECLARED.sub("", becomes):
                return None
            return Mutant(file, start + 1, was, becomes, mutated)
    return None
