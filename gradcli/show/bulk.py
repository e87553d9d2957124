"""Many numbers as text: from a tensor's memory, a bounded piece at a time, spelled as in `numbers`.

Numbers are Python objects only within a piece, so that memory stays near the size of the text.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
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
"""The elements from which a tensor counts as many numbers."""
PIECE = 2**17
"""Elements that are turned into text at a time, at most, unless one row of a table has more."""
LEAST, MOST = 1e-4, 1e9
"""Between these sizes orjson spells a number of float32 like the same number in 64 bits."""
_ARRAYS = orjson.OPT_SERIALIZE_NUMPY
_SHORT = (torch.float16, torch.bfloat16)
_HOLE = b"\0"
"""The place of a tensor in unfinished JSON, which never contains this byte."""

Lines = Callable[[range], Sequence[bytes]]
"""Returns the lines of a range of rows of CSV: one column, or several with commas between."""

Words = npt.NDArray[np.bytes_]
BARE: Words = np.array([numbers.spell(number).encode() for number in (np.nan, np.inf, -np.inf)])
"""NaN, infinity and, at -1, minus infinity, in CSV."""
QUOTED: Words = np.array([b'"%b"' % word for word in BARE.tolist()])
"""The same in JSON."""


def encode(tree: Any, end: bytes = b"") -> bytes:
    """A tree of tensors and of whatever orjson writes as JSON, followed by `end`."""
    buffer = io.BytesIO()
    write(tree, buffer, end)
    return buffer.getvalue()  # without a copy, as nothing else refers to the buffer


def write(tree: Any, file: BinaryIO, end: bytes = b"") -> None:
    """Write what `encode` returns to a file, in pieces: the JSON of the tree has a hole for each
    tensor, which is then filled.
    """
    holes: list[Tensor] = []

    def leave_out(value: Any) -> orjson.Fragment:
        if not isinstance(value, Tensor):
            raise TypeError(type(value).__name__)
        holes.append(value)
        return orjson.Fragment(_HOLE)

    first, *others = orjson.dumps(tree, default=leave_out).split(_HOLE)
    file.write(first)
    for tensor, following in zip(holes, others, strict=True):
        file.writelines(pieces(tensor))
        file.write(following)
    file.write(end)


def pieces(tensor: Tensor) -> Iterator[bytes]:
    """The JSON of a tensor of any shape and real dtype: nested lists; strings if not finite."""
    if tensor.numel() <= PIECE:
        text = _text(_raw(tensor), tensor.dtype, QUOTED)
        yield text if tensor.ndim else text[1:-1]
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
    """A function that writes columns [n] of one dtype as CSV, in lines without line ends."""
    arrays = [_raw(column) for column in columns]

    def some(rows: range) -> list[bytes]:
        # By NumPy: for pieces PyTorch's threads cost more than they save.
        matrix = np.stack([array[rows.start : rows.stop] for array in arrays], 1)
        return _text(matrix, columns[0].dtype, BARE)[2:-2].split(b"],[")

    return some


def _raw(tensor: Tensor) -> npt.NDArray[Any]:
    """The memory of a tensor of any shape as an array, 16-bit dtypes as their bits (int16)."""
    tensor = tensor.detach().resolve_neg()
    array: npt.NDArray[Any] = tensor.view(
        torch.int16 if tensor.dtype in _SHORT else tensor.dtype
    ).numpy()
    return array


def _text(array: npt.NDArray[Any], dtype: torch.dtype, words: Words) -> bytes:
    """The JSON of a part of what `_raw` returns, with `words` for numbers that are not finite."""
    array = np.ascontiguousarray(array)
    if dtype == torch.float32:
        size = np.abs(array)
        odd = ~((size >= LEAST) & (size < MOST) | (size == 0))  # also what is not finite
        if not odd.any():
            return orjson.dumps(array, option=_ARRAYS)
        if np.count_nonzero(odd) < array.size / 4:
            text = orjson.dumps(np.where(odd, np.nan, array), option=_ARRAYS)
            return _filled(text, _text(array[odd], dtype, words)[1:-1].split(b","))
    array = _wide(array, dtype)
    return spelled(orjson.dumps(array, option=_ARRAYS), array, words)


def spelled(text: bytes, array: npt.NDArray[Any], words: Words) -> bytes:
    """What orjson wrote for an array of any shape, with `words` in the place of null, which it writes
    for a number that is not finite.
    """
    if b"null" not in text:
        return text
    lost = array[~np.isfinite(array)]
    return _filled(text, words[(lost > 0) * 1 - (lost < 0)].tolist())


def _filled(text: bytes, numbers: Iterable[bytes]) -> bytes:
    """The JSON `text` with numbers in the places of its nulls."""
    pairs = zip(text.split(b"null"), [*numbers, b""], strict=True)
    return b"".join(chain.from_iterable(pairs))


def _wide(array: npt.NDArray[Any], dtype: torch.dtype) -> npt.NDArray[Any]:
    """Numbers as float64 whose shortest digits are the shortest in `dtype`; integers unchanged."""
    if dtype in _SHORT:
        return _look_up(array.view(np.uint16), dtype)
    if dtype != torch.float32:
        return array
    text = orjson.dumps(array.reshape(-1), option=_ARRAYS)
    wide = np.array(orjson.loads(text), np.float64).reshape(array.shape)  # None becomes NaN
    if b"null" in text:
        infinite = np.isinf(array)
        wide[infinite] = array[infinite]
    return wide


def _look_up(bits: npt.NDArray[np.uint16], dtype: torch.dtype) -> npt.NDArray[np.float64]:
    """Numbers of a 16-bit dtype, which has 65,536 values: each is shortened once."""
    table = _table(dtype)
    shortened: npt.NDArray[np.float64] = table[bits]
    if (unknown := shortened == _UNKNOWN).any():
        new = np.unique(bits[unknown])
        table[new] = numbers.flat(torch.from_numpy(new.view(np.int16)).view(dtype))
        shortened = table[bits]
    return shortened


_UNKNOWN = 1e300
"""A number that no 16-bit dtype has."""


@cache
def _table(dtype: torch.dtype) -> npt.NDArray[np.float64]:
    """The values of a 16-bit dtype by their bits, as far as they were needed."""
    return np.full(2**16, _UNKNOWN)
