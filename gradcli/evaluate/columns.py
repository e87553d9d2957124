"""Columns of numbers in text files: the delimiter, a line of names, and the place of an error."""

import math
import os
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from gradcli.language.limits import COLUMNS_TEXT, LITERAL_TEXT

_DELIMITERS = {".csv": ",;\t", ".tsv": "\t", ".txt": ",;\t"}
"""The delimiters by suffix, the likeliest first; if the first line has none, it is white space."""
_PIECE = 1 << 20
_IN_NUMBERS = (*"0123456789", "inf", "nan")
"""What a line with a number contains: a quick search, as a line may hold a million names."""


def read(path: str, suffix: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The numbers of a file of columns; one row or one column is 1-D, a single number 0-d.

    Lines that begin with `#` and a first line without any number are skipped. Raises OSError,
    UnicodeDecodeError, SizeError for a file or a line that is too long, and ValueError with the
    line and column of what is wrong.
    """
    with open(path, "rb", buffering=0) as raw:
        _check_lines(raw)
    with open(path, encoding="utf-8-sig") as stream:
        return _read(stream, _DELIMITERS[suffix])


def _check_lines(raw: IO[bytes]) -> None:
    """Raise unless the file is text in lines of bounded length: NumPy reads whole lines."""
    COLUMNS_TEXT.check(os.fstat(raw.fileno()).st_size, "the file", hint="save it as .npy")
    length = 0
    while piece := raw.read(_PIECE):
        if (place := piece.find(b"\0")) >= 0:
            raise UnicodeDecodeError("utf-8", piece, place, place + 1, "a NUL byte")
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        length = len(piece) - end - 1 if end >= 0 else length + len(piece)
        LITERAL_TEXT.check(length, "a line of the file", hint="save it as .npy")


def _read(stream: IO[str], delimiters: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    numbered = ((number, line) for number, line in enumerate(stream, 1) if _bare(line))
    number, first = next(numbered, (0, ""))
    delimiter = next((sign for sign in delimiters if sign in first), None)
    lower = first.lower()
    likely = any(sign in lower for sign in _IN_NUMBERS)
    has_numbers = likely and any(map(_is_number, _cells(first, delimiter)))
    skipped = number - 1 if has_numbers else number
    stream.seek(0)
    try:
        table = np.loadtxt(stream, delimiter=delimiter, skiprows=skipped, quotechar='"', ndmin=2)
        fault = "" if table.size else "the file contains no numbers"
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        fault = str(error)
    # NumPy counts lines differently, and reads a number too large for 64 bits as infinite.
    if fault or np.isinf(table).any():
        stream.seek(0)
        fault = next(_faults(stream, delimiter, skipped), fault)
    if fault:
        raise ValueError(fault)
    return table.reshape(() if table.size == 1 else -1 if 1 in table.shape else table.shape)


def _bare(line: str) -> str:
    """A line without its comment."""
    return line.split("#", 1)[0].strip()


def _cells(line: str, delimiter: str | None) -> list[str]:
    bare = _bare(line)
    return [cell.strip().strip('"') for cell in bare.split(delimiter)] if bare else []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and cell.isascii()


def _faults(stream: IO[str], delimiter: str | None, skipped: int) -> Iterator[str]:
    """What is wrong with the lines after the first `skipped` ones."""
    width = 0
    for number, line in enumerate(stream, 1):
        if number <= skipped or not (cells := _cells(line, delimiter)):
            continue
        for column, cell in enumerate(cells, 1):
            place = f"line {number}, column {column}"
            if not _is_number(cell):
                yield f"{place}: {f'{cell[:40]!a} is not a number' if cell else 'the cell is empty'}"
            elif math.isinf(float(cell)) and any(char.isdigit() for char in cell):
                yield f"{place}: {cell[:40]!a} is too large for a 64-bit float"
        width = width or len(cells)
        if len(cells) != width:
            yield f"line {number}: the number of columns changes from {width} to {len(cells)}"
