"""Many numbers as text: straight from a tensor's memory, a bounded piece at a time, spelled as
`numbers` spells each.

No number becomes a Python object for longer than its piece, so memory stays near that of the text.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson
import torch
from torch import Tensor

from gradcli.show import numbers

FROM = 4096
"""Elements from which a tensor is many numbers."""
PIECE = 2**17
"""Elements at most that are turned into text at a time, unless a single row of a table has more."""
_SHORT = (torch.float16, torch.bfloat16)
_HOLE = b"\0"
"""Stands for a tensor in JSON that is being written; no text of JSON holds this byte."""

Lines = Callable[[range], Sequence[bytes]]
"""One column of CSV, or several with commas between: given a range of rows, their lines."""

Words = Mapping[float, bytes]
BARE: Words = {number: numbers.spell(number).encode() for number in (np.nan, np.inf, -np.inf)}
"""What is not finite, in CSV."""
QUOTED: Words = {number: b'"%b"' % word for number, word in BARE.items()}
"""What is not finite, in JSON."""


def is_many(value: Any) -> bool:
    """Whether `value` is a tensor that this file should write."""
    return isinstance(value, Tensor) and value.numel() >= FROM and not value.is_complex()


def encode(tree: Any, end: bytes = b"") -> bytes:
    """A tree as JSON, and `end` behind it. It may hold whatever orjson writes, and tensors, in any
    place.
    """
    text, holes = _skeleton(tree)
    if not holes:
        return text + end
    buffer = io.BytesIO()
    _fill(text, holes, buffer)
    buffer.write(end)
    return buffer.getvalue()  # without a copy, since nobody else holds the buffer


def write(tree: Any, file: BinaryIO, end: bytes = b"") -> None:
    """Write what `encode` returns to a file, without holding the whole of it."""
    _fill(*_skeleton(tree), file)
    file.write(end)


def _fill(text: bytes, holes: Sequence[Tensor], file: BinaryIO) -> None:
    """Write a skeleton with its tensors in their holes."""
    first, *others = text.split(_HOLE)
    file.write(first)
    for tensor, following in zip(holes, others, strict=True):
        file.writelines(pieces(tensor))
        file.write(following)


def _skeleton(tree: Any) -> tuple[bytes, list[Tensor]]:
    """The JSON of a tree with a hole for each tensor in it, and these in their order."""
    holes: list[Tensor] = []

    def leave_out(value: Any) -> orjson.Fragment:
        if not isinstance(value, Tensor):
            raise TypeError(type(value).__name__)
        holes.append(value)
        return orjson.Fragment(_HOLE)

    return orjson.dumps(tree, default=leave_out), holes


def pieces(tensor: Tensor) -> Iterator[bytes]:
    """The JSON of a tensor of one dimension or more, of any dtype: nested lists, not-finite numbers
    as strings.
    """
    if tensor.numel() <= PIECE:
        yield _text(_raw(tensor), tensor.dtype, QUOTED)
        return
    yield b"["
    rows = max(1, PIECE * len(tensor) // tensor.numel())
    for start in range(0, len(tensor), rows):
        part = tensor[start : start + rows]
        if start:
            yield b","
        if part.numel() <= PIECE:
            yield _text(_raw(part), part.dtype, QUOTED)[1:-1]
        else:
            yield from pieces(part[0])
    yield b"]"


def lines(columns: Sequence[Tensor]) -> Lines:
    """What writes columns of one dtype in CSV: for some rows their lines, without line ends."""
    arrays = [_raw(column) for column in columns]

    def some(rows: range) -> list[bytes]:
        matrix = np.stack(
            [array[rows.start : rows.stop] for array in arrays], 1
        )  # by NumPy: threads are dear for pieces
        return _text(matrix, columns[0].dtype, BARE)[2:-2].split(b"],[")

    return some


def _raw(tensor: Tensor) -> npt.NDArray[Any]:
    """The memory of a tensor as an array, dtypes of 16 bits as their bits."""
    tensor = tensor.detach().resolve_neg()
    found: npt.NDArray[Any] = (
        tensor.view(torch.int16) if tensor.dtype in _SHORT else tensor
    ).numpy()
    return found


def _text(array: npt.NDArray[Any], dtype: torch.dtype, words: Words) -> bytes:
    """The JSON of a piece that `_raw` gave, with these words for what is not finite."""
    array = _wide(np.ascontiguousarray(array), dtype)
    text = orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    if array.dtype != np.float64 or b"null" not in text:  # orjson's word for what is not finite
        return text
    lost = array[~np.isfinite(array)]
    spelled = np.select(
        [lost == np.inf, lost == -np.inf], [words[np.inf], words[-np.inf]], words[np.nan]
    ).tolist()
    return b"".join(chain.from_iterable(zip(text.split(b"null"), [*spelled, b""], strict=True)))


def _wide(array: npt.NDArray[Any], dtype: torch.dtype) -> npt.NDArray[Any]:
    """Numbers whose shortest digits in 64 bits are the shortest digits in their own dtype; whole
    ones as they are.
    """
    if dtype in _SHORT:
        return _looked_up(array.view(np.uint16), dtype)
    if dtype != torch.float32:
        return array
    text = orjson.dumps(array.reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)
    wide = np.array(orjson.loads(text), np.float64).reshape(array.shape)  # None becomes NaN
    if b"null" in text:
        infinite = np.isinf(array)
        wide[infinite] = array[infinite]
    return wide


def _looked_up(bits: npt.NDArray[np.uint16], dtype: torch.dtype) -> npt.NDArray[np.float64]:
    """A dtype of 16 bits has 65,536 numbers: each is shortened once."""
    table = _table(dtype)
    new = np.unique(bits[np.isnan(table[bits])])
    if new.size:
        table[new] = numbers.flat(torch.from_numpy(new.view(np.int16)).view(dtype))
    found: npt.NDArray[np.float64] = table[bits]
    return found


@cache
def _table(dtype: torch.dtype) -> npt.NDArray[np.float64]:
    """The numbers of a dtype by their bits, as far as they were met."""
    return np.full(2**16, np.nan)
