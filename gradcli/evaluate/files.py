"""Files as tensors: a table {suffix: reader}. Each reader checks a file before it reads numbers."""

import contextlib
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
import orjson
import torch
from torch import Tensor

from gradcli.errors import FileError, GradcliError, LiteralError, SizeError
from gradcli.evaluate import columns
from gradcli.language.file_names import FromFile, check_file
from gradcli.language.limits import ELEMENTS, LITERAL_TEXT
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Held, Numbers, from_json, parse_stream, read_json
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean

Found = Tensor | Numbers | Made
_Item = TypeVar("_Item")

_PRINTED = re.compile(r"\s*(\[|\(|Parameter containing|((torch|np|numpy)\.)?(tensor|array)\()")
"""The beginning of a text file that contains a pasted tensor instead of columns."""

_OBJECT = re.compile(r":? *<[^<>]* object at 0x\w+>")
"""Python's repr of an object, in a message that is not meant for users."""

_MINUS_ZERO = re.compile(r"-0(?![.0-9eE])")

_WHERE_IN_PYTORCH = re.compile(r"\[enforce fail at [^]]*\] \. ")

_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What NumPy writes, and all that Python unpacks in pieces of bounded size."""

_HEADER = 16_384
"""Bytes at the head of an array that are read; NumPy's own headers stay below 10,000."""

_NOT_NUMBERS = {
    "O": ("Python objects", "make it an array of floats: a.astype(float)"),
    **dict.fromkeys("US", ("text", "make it an array of floats: a.astype(float)")),
    "V": ("records, or a type unknown to NumPy", "make each field an array of floats"),
    "M": ("dates", "make it an array of floats"),
    "m": ("time differences", "make it an array of floats"),
    "c": ("complex numbers", "use its .real and .imag"),
}
"""What arrays hold instead of numbers, by NumPy's letter for the kind, with the hint."""


def read(literal: FromFile) -> Found:
    """The contents of the file: a tensor on the CPU as it is stored, or for text the literal.

    Raises FileError if the file is missing, not a regular one, or not what its suffix says;
    SizeError if it is too large.
    """
    return _guarded(literal, READERS[literal.suffix])


def read_all(literal: FromFile) -> dict[str, Tensor]:
    """Every tensor of a file of several, of any shape, on the CPU as it is stored, by its name.

    Raises FileError for a type of file that holds one array, and what `read` raises.
    """
    if literal.suffix not in _ALL:
        message, hint = f"a {literal.suffix} file holds one array", f"use {' or '.join(_ALL)}"
        raise _fault(literal, message, hint)
    return _guarded(literal, _ALL[literal.suffix])


def _guarded(literal: FromFile, reader: Callable[[FromFile], _Item]) -> _Item:
    check_file(literal)
    try:
        with warnings.catch_warnings(action="ignore"):
            return reader(literal)
    except SizeError as error:
        error.span = error.span or literal.span
        raise
    except GradcliError as error:
        raise FileError(error.message, span=error.span, hint=error.hint) from None
    except UnicodeDecodeError:
        raise _fault(literal, "the file is not UTF-8 text", "save it as UTF-8") from None
    except Exception as error:  # whatever NumPy, zipfile, pickle and PyTorch raise for a bad file
        raise _unreadable(literal, _reason(error)) from None


def held(literal: Held) -> Tensor:
    """The array or the tensor of a caller, of any shape, detached, on its device as it is stored, in
    the same memory where PyTorch has its type.

    Raises LiteralError if it does not hold real numbers, SizeError if it is too large.
    """
    if isinstance(literal.value, Tensor):
        tensor = _strided(literal, literal.value.detach()).as_subclass(Tensor)
        return tensor.clone() if tensor.is_inference() else tensor  # which autograd refuses
    array = np.asarray(literal.value)
    _check_numbers(literal, array.dtype)
    if any(step < 0 for step in array.strides):  # which a tensor cannot have
        array = array.copy()
    with warnings.catch_warnings(action="ignore"):  # that it is read-only: it is only read
        return _strided(literal, _tensor(array))


def _fault(literal: FromFile | Held, message: str, hint: str) -> GradcliError:
    kind = FileError if isinstance(literal, FromFile) else LiteralError
    return kind(message, span=literal.span, hint=hint)


def _unreadable(literal: FromFile, reason: str) -> GradcliError:
    message = f"this cannot be read as {literal.suffix} ({reason})"
    return _fault(literal, message, "write the file again")


def _reason(error: Exception) -> str:
    """The first sentence of a library's error, without the place in PyTorch's sources."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    sentence = _OBJECT.sub("", _WHERE_IN_PYTORCH.sub("", lines[0])).split(". ")[0]
    return sentence.encode("ascii", "replace").decode()[:150]


def _npy(literal: FromFile) -> Tensor:
    with open(literal.path, "rb") as stream:
        _check_header(literal, stream, os.path.getsize(literal.path))
    # Mapped copy-on-write: the numbers are read when they are used, and only once.
    return _tensor(np.lib.format.open_memmap(literal.path, mode="c"))


def _npz(literal: FromFile) -> Tensor:
    with zipfile.ZipFile(literal.path) as archive:
        arrays = (info for info in archive.infolist() if info.filename.endswith(".npy"))
        member = _pick(literal, {info.filename[:-4]: info for info in arrays})
        if member.compress_type not in _PACKINGS:
            raise _unreadable(literal, "NumPy does not use this compression")
        with archive.open(member) as stream:
            _check_header(literal, stream, member.file_size)
        with archive.open(member) as stream:
            return _tensor(np.lib.format.read_array(stream, allow_pickle=False))


def _check_header(literal: FromFile, stream: IO[bytes], size: int) -> None:
    """Raise unless the array in `stream`, of `size` bytes, is complete, numeric and bounded."""
    head = io.BytesIO(stream.read(_HEADER))
    header = np.lib.format
    first = header.read_magic(head) == (1, 0)
    reader = header.read_array_header_1_0 if first else header.read_array_header_2_0
    try:
        shape, _, dtype = reader(head)
    except Exception:  # NumPy's message quotes the whole header, or an object by its address
        raise _unreadable(literal, "its header does not describe an array") from None
    _check_numbers(literal, dtype)
    if any(side < 0 for side in shape):
        raise _fault(literal, "the array has a negative dimension", "write the file again")
    ELEMENTS.check(math.prod(shape), "the array", hint="save part of it")
    if head.tell() + math.prod(shape) * dtype.itemsize > size:
        message = "the file is truncated: it has fewer numbers than its header says"
        raise _fault(literal, message, "copy or write it again")


def _check_numbers(literal: FromFile | Held, dtype: "np.dtype[Any]") -> None:
    if dtype.kind in _NOT_NUMBERS:
        contents, hint = _NOT_NUMBERS[dtype.kind]
        raise _fault(literal, f"the array contains {contents}, not real numbers", hint)


def is_foreign(literal: FromFile) -> bool:
    """Whether the array in a file of NumPy is of a type or a byte order that PyTorch refuses."""
    found = np.load(literal.path, mmap_mode="r")
    dtype = (found[literal.key] if literal.key else found).dtype
    return dtype == np.longdouble or not dtype.isnative


def _tensor(array: "np.ndarray[Any, Any]") -> Tensor:
    """The array as a tensor, without a copy if PyTorch has its type."""
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _pick(literal: FromFile, members: Mapping[str, _Item]) -> _Item:
    """The member that the key names, or the only one."""
    if not members:
        raise _fault(literal, "the file contains no arrays", "check the program that wrote it")
    if literal.key in members:
        return members[literal.key]
    if literal.key:
        hint = did_you_mean(literal.key, members) or _listed(members)
        raise _fault(literal, "the file has no array of this name", hint)
    if len(members) > 1:
        hint = f"name one after a colon; {_listed(members)}"
        raise _fault(literal, f"the file contains {len(members)} arrays", hint)
    return next(iter(members.values()))


def _listed(names: Iterable[str]) -> str:
    """The first names that a terminal can show."""
    fit = sorted(n for n in names if n.isascii() and n.isprintable() and len(n) <= 60)
    return f"it contains {', '.join(fit[:10])}{', ...' if len(fit) > 10 else ''}"


_SAVE_TENSORS = "save only tensors: torch.save(x, PATH)"


def _unpickled(literal: FromFile) -> Any:
    mapped = zipfile.is_zipfile(literal.path)
    if mapped:
        with zipfile.ZipFile(literal.path) as archive:
            if sum(info.file_size for info in archive.infolist()) > os.path.getsize(literal.path):
                message = "the file is compressed, which PyTorch never does"
                raise _fault(literal, message, "write it with torch.save")
    try:
        return torch.load(literal.path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        if "weights_only" not in str(error):
            raise
        raise _fault(literal, "the file contains more than tensors", _SAVE_TENSORS) from None


def _inside(contents: Any) -> dict[str, tuple[tuple[Any, ...], Any]]:
    """Each value of a dict and of the dicts in it, with its keys from the outside in, by these keys
    joined by dots.
    """
    found: dict[str, tuple[tuple[Any, ...], Any]] = {}
    entered = {id(contents)}  # a dict of a hostile file may contain itself
    dicts: list[tuple[tuple[Any, ...], Any]] = [((), contents)]
    for keys, each in dicts:
        for key, value in each.items() if isinstance(each, dict) else ():
            path = (*keys, key)
            found.setdefault(".".join(map(str, path)), (path, value))
            if isinstance(value, dict) and id(value) not in entered:
                entered.add(id(value))
                dicts.append((path, value))
    return found


def subscripts(literal: FromFile) -> str:
    """The code that picks what the key names in the file, which can be read; empty without a key."""
    keys: tuple[Any, ...] = (literal.key,) if literal.key else ()
    if literal.key and literal.suffix == ".pt":
        keys, _ = _inside(_unpickled(literal))[literal.key]
    return "".join(f"[{key!r}]" for key in keys)


def _tensors(contents: Any) -> dict[str, Tensor]:
    items = contents.items() if isinstance(contents, dict) else ()
    return {str(name): value for name, value in items if isinstance(value, Tensor)}


def _pt_all(literal: FromFile) -> dict[str, Tensor]:
    contents = _unpickled(literal)
    inside = {name: _tensors(value) for name, (_, value) in _inside(contents).items()}
    dicts = {name: tensors for name, tensors in inside.items() if tensors}
    found = dicts.get(literal.key) if dicts or literal.key else _tensors(contents)
    if not found:
        what = f"{literal.key!r} in the file" if literal.key else "the file"
        hint = "save the parameters: torch.save(net.state_dict(), PATH)"
        if dicts:
            first = f"name a dict of tensors in it: @{literal.path}:{next(iter(dicts))}"
            hint = did_you_mean(literal.key, dicts) or first
        raise _fault(literal, f"{what} is not a dict of tensors", hint)
    return {name: _strided(literal, tensor.detach()) for name, tensor in found.items()}


def _pt(literal: FromFile) -> Tensor:
    contents = _unpickled(literal)
    if isinstance(contents, dict):
        tensors = _tensors({name: value for name, (_, value) in _inside(contents).items()})
        if contents and not tensors:
            message = "none of the values in the file is a tensor"
            raise _fault(literal, message, f"{_listed(map(str, contents))}; {_SAVE_TENSORS}")
        contents = _pick(literal, tensors)
    elif literal.key:
        message = "the file is a single tensor without a name"
        raise _fault(literal, message, "leave out the colon and the name")
    if not isinstance(contents, Tensor):
        kind = type(contents).__name__
        message = f"the file contains a {kind}, not a tensor or a dict of tensors"
        raise _fault(literal, message, _SAVE_TENSORS)
    return _strided(literal, contents.detach())


def _strided(literal: FromFile | Held, tensor: Tensor) -> Tensor:
    """`tensor`, if it is dense and real. Raises FileError or LiteralError, and SizeError."""
    if tensor.is_complex():
        raise _fault(literal, "the tensor is complex", "use its .real and .imag")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        message = "the tensor is sparse, quantized, nested or without data"
        raise _fault(literal, message, "use x.to_dense() or x.dequantize()")
    ELEMENTS.check(tensor.numel(), "the tensor", hint="use a part of it")
    try:
        torch.empty(1, dtype=tensor.dtype).float()
    except RuntimeError:
        message = f"the tensor is {tensor.dtype}, which PyTorch cannot convert to real numbers"
        raise _fault(literal, message, "use x.float()") from None
    return tensor


def _safe_open(literal: FromFile) -> Any:
    try:
        from safetensors import safe_open
    except ImportError:
        message = "reading .safetensors requires the package safetensors"
        raise _fault(literal, message, "pip install safetensors") from None
    return safe_open(literal.path, framework="pt")


def _stored(literal: FromFile, archive: Any, name: str) -> Tensor:
    shape = archive.get_slice(name).get_shape()
    ELEMENTS.check(math.prod(shape), "the tensor", hint="save part of it")
    try:
        return _strided(literal, archive.get_tensor(name))
    except AttributeError:  # safetensors takes the type from torch by its name
        message = f"this PyTorch has no numbers of type {archive.get_slice(name).get_dtype()}"
        raise _fault(literal, message, "save them as F32") from None


def _safetensors_all(literal: FromFile) -> dict[str, Tensor]:
    if literal.key:
        message = "a module takes all tensors of the file"
        raise _fault(literal, message, "leave out the colon and the name")
    with _safe_open(literal) as archive:
        return {name: _stored(literal, archive, name) for name in archive.keys()}  # noqa: SIM118


def _safetensors(literal: FromFile) -> Tensor:
    with _safe_open(literal) as archive:
        name = _pick(literal, {name: name for name in archive.keys()})  # noqa: SIM118
        return _stored(literal, archive, name)


def _text(literal: FromFile) -> str:
    """The whole text of a file, if it is not too long."""
    LITERAL_TEXT.check(os.path.getsize(literal.path), "the file", hint="save it as .npy")
    with open(literal.path, encoding="utf-8-sig") as stream:
        return stream.read()


def _json(literal: FromFile) -> Numbers:
    text = _text(literal)
    source = Source(text, literal.source.label)
    try:
        # orjson is ten times as fast, but refuses NaN, and reads -0 as 0.
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(text)
            if not _MINUS_ZERO.search(text):
                return from_json(value, source)
        return read_json(text, source)
    except json.JSONDecodeError as error:
        message = f"line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        raise _fault(literal, message, "the file must be one JSON number or list") from None
    except ValueError as error:  # for a number: what is wrong, and what to do
        raise _fault(literal, *error.args) from None
    except GradcliError as error:
        raise type(error)(error.message, span=literal.span, hint=error.hint) from None


def _columns(literal: FromFile) -> Tensor:
    try:
        return torch.from_numpy(columns.read(literal.path, literal.suffix))
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        hint = "columns must be numbers, after at most one line of names"
        raise _fault(literal, str(error), hint) from None


def _txt(literal: FromFile) -> Found:
    with open(literal.path, encoding="utf-8-sig") as stream:
        printed = _PRINTED.match(stream.read(1000))
    if not printed:
        return _columns(literal)
    return parse_stream(Source(_text(literal), literal.source.label))


READERS: Mapping[str, Callable[[FromFile], Found]] = {
    ".npy": _npy, ".npz": _npz, ".csv": _columns, ".tsv": _columns, ".txt": _txt, ".json": _json, ".pt": _pt,
    ".safetensors": _safetensors,
}  # fmt: skip
"""The reader of each kind of file; the suffixes are `gradcli.language.file_names.SUFFIXES`."""
_ALL: Mapping[str, Callable[[FromFile], dict[str, Tensor]]] = {
    ".pt": _pt_all, ".safetensors": _safetensors_all,
}  # fmt: skip
"""The readers of all tensors of a file."""
