"""CSV as offices save it: several encodings and separators, but quotes are read strictly.

A quote in the wrong place would join two children's lines to one. So a cell ends on its own line,
and a record that a stray quote stretches over lines is a fault that names the first and the last.
"""

import re
from collections.abc import Iterator, Sequence

from agent.central.office.roster_sheet import Row
from agent.errors import CentralError

_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Bytes that mean the same in Windows-1252 and in ISO 8859-1 and -15: ª, º and the letters with
# accents. The apostrophe of Word is added. DOS and the old Mac write such letters with other bytes.
_PLAIN_BYTES = frozenset({0x92, 0xAA, 0xBA, *range(0xC0, 0x100)} - {0xD7, 0xF7})
SEPARATORS = (";", "\t", ",")
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(?P<separator>.)"?[;,\t ]*', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_LINE_END = re.compile(r"\r\n|\r|\n")


def read_csv(data: bytes) -> list[Row]:
    """Return the lines of a CSV file, the header first. Raise `CentralError` for other bytes."""
    lines = _LINE_END.split(_text(data))
    named = _SEPARATOR_LINE.fullmatch(lines[0])
    if named is None:
        return list(_rows(lines, 0, _separator(lines)))
    if named["separator"] not in SEPARATORS:
        raise CentralError("line 1: sep= names a separator that is no ; and no tab or comma")
    return list(_rows(lines, 1, named["separator"]))


def _text(data: bytes) -> str:
    encoding = next(
        (name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None
    )
    if encoding is None and b"\0" in data[:2]:
        # the header is ASCII: of each of its characters one byte is zero
        encoding = "utf-16-be" if data.startswith(b"\0") else "utf-16-le"
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is None and all(byte < 0x80 or byte in _PLAIN_BYTES for byte in set(data)):
            return data.decode("cp1252")
        number = data[: error.start].count(b"\n") + 1
        raise CentralError(
            f"line {number}: a letter is neither UTF-8 nor plainly Windows-1252;"
            " save the file as CSV UTF-8 or as .xlsx"
        ) from None


def _separator(lines: Sequence[str]) -> str:
    header = next((line for line in lines if line.strip()), "")
    plain = _QUOTED.sub("", header)
    return max(SEPARATORS, key=plain.count)


def _rows(lines: Sequence[str], first: int, separator: str) -> Iterator[Row]:
    cell = re.compile(rf'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^"{separator}]*))({separator}|$)')
    index = first
    while index < len(lines):
        line, number = lines[index], index + 1
        index += 1
        if '"' not in line:
            yield Row(f"line {number}", line.split(separator))
        elif line.count('"') % 2 == 0:
            cells = _quoted_cells(line, cell)
            fault = "" if cells else "a quote is inside a cell; remove it, or write it as two"
            yield Row(f"line {number}", cells, fault)
        else:
            index = _end_of_quote(lines, index)
            yield _torn(number, index)


def _quoted_cells(line: str, cell: re.Pattern[str]) -> list[str]:
    """Return the cells of a line with quotes, none if a quote is neither first nor last in one."""
    cells, position = [], 0
    while match := cell.match(line, position):
        quoted = match["quoted"]
        cells.append(match["plain"] if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if not match[3]:
            return cells
    return []


def _end_of_quote(lines: Sequence[str], index: int) -> int:
    """Return the index after the line that closes a quote opened before `index`.

    Where none does, return `index`: the lines after the quote are read for themselves.
    """
    for later in range(index, len(lines)):
        if lines[later].count('"') % 2:
            return later + 1
    return index


def _torn(first: int, last: int) -> Row:
    if first == last:
        return Row(f"line {first}", (), "a quote is not closed; remove it, or close it")
    return Row(
        f"lines {first} to {last}",
        (),
        f"a quote of line {first} is closed on line {last}, so these lines are one record;"
        " a cell ends on its own line: remove both quotes, or close the first",
    )
