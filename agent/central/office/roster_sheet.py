"""`Row`: what the readers of CSV and of Excel's files both make of a line."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line of a file. `place` names it for people: line 5, lines 5 to 9, row 5.

    A line that cannot be read has no cells and a `fault`: a sentence without the cells' text.
    """

    place: str
    cells: Sequence[str]
    fault: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.fault and not any(cell.strip() for cell in self.cells)

    def padded(self, width: int) -> "Row":
        """Return the row with empty cells behind it: a row of Excel ends with its last text."""
        return self._replace(cells=[*self.cells, *[""] * (width - len(self.cells))])
