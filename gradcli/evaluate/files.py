"""Files as tensors: a table {suffix: reader}, each of which checks what a file claims before it
reads the numbers.
"""

import io
import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gradcli.errors import FileError, GradcliError, SizeError
from gradcli.evaluate import columns
from gradcli.language.file_names import FromFile, check_file
from gradcli.language.limits import ELEMENTS, LITERAL_TEXT
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Numbers, parse_stream, read_json
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean

Found = Tensor | Numbers | Made
_Item = TypeVar("_Item")

_PRINTED = re.compile(r"\s*(\[|\(|Parameter containing|((torch|np|numpy)\.)?(tensor|array)\()")
"""How a text file begins that contains a pasted tensor instead of columns."""

_OBJECT = re.compile(r":? *<[^<>]* object at 0x\w+>")
"""What Python calls an object of its own, in a message that is not meant for users."""

_WHERE_IN_PYTORCH = re.compile(r"\[enforce fail at [^]]*\] \. ")

_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What NumPy writes, and all that Python unpacks a bounded piece at a time."""

_HEADER = 16_384
"""Bytes at the head of an array that are looked at; NumPy's own headers stay below 10,000."""

_NOT_NUMBERS = {
    "O": ("Python objects", "save an array of floats: a.astype(float)"),
    **dict.fromkeys("US", ("text", "save an array of floats: a.astype(float)")),
    "V": ("records, or a type unknown to NumPy", "save each field as an array of floats"),
    "M": ("dates", "save an array of floats"),
    "m": ("time differences", "save an array of floats"),
    "c": ("complex numbers", "save its .real and .imag"),
}
"""What arrays hold instead of numbers, by NumPy's letter for the kind, with the hint."""


def read(literal: FromFile) -> Found:
    """What the file holds, as it is stored: a tensor on the CPU, or for text the literal that it
    stands for.

    Raises FileError where the file is missing, not a regular one, or not what its suffix says;
    SizeError for too much.
    """
    check_file(literal)
    try:
        with warnings.catch_warnings(action="ignore"):
            return READERS[literal.suffix](literal)
    except SizeError as error:
        error.span = error.span or literal.span
        raise
    except GradcliError as error:
        raise FileError(error.message, span=error.span, hint=error.hint) from None
    except UnicodeDecodeError:
        raise _fault(literal, "the file is not UTF-8 text", "save it as UTF-8") from None
    except (
        Exception
    ) as error:  # whatever NumPy, zipfile, pickle and PyTorch raise at a broken or hostile file
        raise _unreadable(literal, _reason(error)) from None


def _fault(literal: FromFile, message: str, hint: str) -> FileError:
    return FileError(message, span=literal.span, hint=hint)


def _unreadable(literal: FromFile, reason: str) -> FileError:
    return _fault(
        literal, f"this cannot be read as {literal.suffix} ({reason})", "write the file again"
    )


def _reason(error: Exception) -> str:
    """The first sentence of an error that a library raised, less PyTorch's word for where in its
    source that was.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    sentence = _OBJECT.sub("", _WHERE_IN_PYTORCH.sub("", lines[0])).split(". ")[0]
    return sentence.encode("ascii", "replace").decode()[:150]


def _npy(literal: FromFile) -> Tensor:
    with open(literal.path, "rb") as stream:
        _check_header(literal, stream, os.path.getsize(literal.path))
    # Mapped copy-on-write, the numbers are read where they are used, and never twice.
    return _tensor(np.lib.format.open_memmap(literal.path, mode="c"))


def _npz(literal: FromFile) -> Tensor:
    with zipfile.ZipFile(literal.path) as archive:
        members = {
            info.filename[:-4]: info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        member = _pick(literal, members)
        if member.compress_type not in _PACKINGS:
            raise _unreadable(literal, "NumPy does not use this compression")
        with archive.open(member) as stream:
            _check_header(literal, stream, member.file_size)
        with archive.open(member) as stream:
            return _tensor(np.lib.format.read_array(stream, allow_pickle=False))


def _check_header(literal: FromFile, stream: IO[bytes], size: int) -> None:
    """Raise unless the array that begins here, in `size` bytes, holds numbers, all of them and not
    too many.
    """
    head = io.BytesIO(stream.read(_HEADER))
    version = np.lib.format.read_magic(head)
    reader = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    try:
        shape, _, dtype = reader(head)
    except (
        Exception
    ):  # what NumPy says of it quotes the whole header, or an object of Python's by its address
        raise _unreadable(literal, "its header does not describe an array") from None
    if dtype.kind in _NOT_NUMBERS:
        held, hint = _NOT_NUMBERS[dtype.kind]
        raise _fault(literal, f"the array contains {held}, not real numbers", hint)
    if any(side < 0 for side in shape):
        raise _fault(literal, "the array has a negative dimension", "write the file again")
    ELEMENTS.check(math.prod(shape), "the array", hint="save part of it")
    if head.tell() + math.prod(shape) * dtype.itemsize > size:
        message = "the file is truncated: it has fewer numbers than its header says"
        raise _fault(literal, message, "copy or write it again")


def _tensor(array: "np.ndarray[Any, Any]") -> Tensor:
    """The array as a tensor, without a copy where PyTorch knows its type."""
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _pick(literal: FromFile, members: Mapping[str, _Item]) -> _Item:
    """The member that the key names, or the only one."""
    shown = _listed(members)
    if not members:
        raise _fault(literal, "the file contains no arrays", "check the program that wrote it")
    if literal.key in members:
        return members[literal.key]
    if literal.key:
        raise _fault(
            literal,
            "the file has no array of this name",
            did_you_mean(literal.key, members) or shown,
        )
    if len(members) > 1:
        raise _fault(
            literal, f"the file contains {len(members)} arrays", f"name one after a colon; {shown}"
        )
    return next(iter(members.values()))


def _listed(names: Iterable[str]) -> str:
    """The first names, as far as a terminal can show them."""
    known = sorted(
        name for name in names if name.isascii() and name.isprintable() and len(name) <= 60
    )
    return f"it contains {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"


def _pt(literal: FromFile) -> Tensor:
    mapped = zipfile.is_zipfile(literal.path)
    if mapped:
        with zipfile.ZipFile(literal.path) as archive:
            if sum(info.file_size for info in archive.infolist()) > os.path.getsize(literal.path):
                raise _fault(
                    literal,
                    "the file is compressed, which PyTorch never does",
                    "write it with torch.save",
                )
    try:
        found = torch.load(literal.path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        if "weights_only" not in str(error):
            raise
        raise _fault(
            literal, "the file contains more than tensors", "save only tensors: torch.save(x, PATH)"
        ) from None
    if isinstance(found, dict):
        found = _pick(
            literal, {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
        )
    elif literal.key:
        raise _fault(
            literal,
            "the file is a single tensor without a name",
            "leave out the colon and the name",
        )
    if not isinstance(found, Tensor):
        message = f"the file contains a {type(found).__name__}, not a tensor or a dict of tensors"
        raise _fault(literal, message, "save only tensors: torch.save(x, PATH)")
    return _strided(literal, found.detach())


def _strided(literal: FromFile, tensor: Tensor) -> Tensor:
    """`tensor` where it is one of plain numbers that are there."""
    if tensor.is_complex():
        raise _fault(literal, "the tensor is complex", "save its .real and .imag")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        message = "the tensor is sparse, quantized, nested or without data"
        raise _fault(literal, message, "save x.to_dense() or x.dequantize()")
    ELEMENTS.check(tensor.numel(), "the tensor", hint="save part of it")
    try:
        torch.empty(1, dtype=tensor.dtype).float()
    except RuntimeError:
        message = f"the tensor is {tensor.dtype}, which PyTorch cannot convert to real numbers"
        raise _fault(literal, message, "save x.float()") from None
    return tensor


def _safetensors(literal: FromFile) -> Tensor:
    try:
        from safetensors import safe_open
    except ImportError:
        hint = "pip install 'gradcli[safetensors]'"
        raise _fault(
            literal, "reading .safetensors requires the package safetensors", hint
        ) from None
    with safe_open(literal.path, framework="pt") as archive:
        names = archive.keys()
        name = _pick(literal, {name: name for name in names})
        ELEMENTS.check(
            math.prod(archive.get_slice(name).get_shape()), "the tensor", hint="save part of it"
        )
        return _strided(literal, archive.get_tensor(name))


def _text(literal: FromFile) -> str:
    """The whole text of a file, where it is not too long."""
    LITERAL_TEXT.check(os.path.getsize(literal.path), "the file", hint="save it as .npy")
    with open(literal.path, encoding="utf-8-sig") as stream:
        return stream.read()


def _json(literal: FromFile) -> Numbers:
    text = _text(literal)
    try:
        return read_json(text, Source(text, literal.source.label))
    except json.JSONDecodeError as error:
        message = f"line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        raise _fault(literal, message, "the file must be one JSON number or list") from None
    except GradcliError as error:
        raise type(error)(error.message, span=literal.span, hint=error.hint) from None


def _columns(literal: FromFile) -> Tensor:
    try:
        return torch.from_numpy(columns.read(literal.path, literal.suffix))
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise _fault(
            literal, str(error), "columns must be numbers, after at most one line of names"
        ) from None


def _txt(literal: FromFile) -> Found:
    with open(literal.path, encoding="utf-8-sig") as stream:
        printed = _PRINTED.match(stream.read(1000))
    return (
        parse_stream(Source(_text(literal), literal.source.label)) if printed else _columns(literal)
    )


READERS: Mapping[str, Callable[[FromFile], Found]] = {
    ".npy": _npy, ".npz": _npz, ".csv": _columns, ".tsv": _columns, ".txt": _txt, ".json": _json, ".pt": _pt,
    ".safetensors": _safetensors,
}  # fmt: skip
"""How each kind of file is read; the suffixes are those of
`gradcli.language.file_names.SUFFIXES`."""
