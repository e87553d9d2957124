"""`--out FILE`: the format of each suffix; `.npz` has all arrays of a result, `.npy` one."""

import zipfile
from collections.abc import Callable
from dataclasses import fields
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.errors import UsageError
from gradcli.options.shared import PICTURE_FORMS, OutputOptions
from gradcli.results import Result
from gradcli.show import csv, json

Arrays = dict[str, npt.NDArray[np.generic]]
PIECE = 2**20
"""Bytes of an array that are written at a time: they are still in the cache after their checksum."""
_HEADER = frozenset({"command", "dtype", "inputs", "defaults", "notes"})


def write(result: Any, shown: OutputOptions, file: BinaryIO) -> None:
    """Write `result` to `file` in the format of its suffix.

    Raises UsageError if `.npy` is requested and the result has no single main array.
    """
    if shown.out_suffix in PICTURE_FORMS:
        from gradcli.show.pictures import figure  # matplotlib

        figure.write(result, shown.out_suffix[1:], file, shown.title, shown.size)
    else:
        _WRITERS[shown.out_suffix](result, file)


def _write_npz(result: Result, file: BinaryIO) -> None:
    """Write the bytes that np.savez writes, in two thirds of the time: it copies each piece first."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays(result).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if array.nbytes < PIECE or not array.flags.c_contiguous:
                    np.lib.format.write_array(member, array)
                    continue
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_1_0(member, header)
                content = array.reshape(-1).view(np.uint8).data
                for start in range(0, len(content), PIECE):
                    member.write(content[start : start + PIECE])


def _write_npy(result: Result, file: BinaryIO) -> None:
    candidates = result.main()
    if len(candidates) != 1:
        raise UsageError(
            f"--out: a .npy file holds one array, but this result has {len(candidates)} to choose from",
            hint="write .npz, which holds them all, or choose one with --wrt or one name",
        )
    np.save(file, _array(candidates[0]))


def arrays(result: Result) -> Arrays:
    """All tensors of the result except its inputs, any shape, by `--get` path without the prefix of
    a single function.

    Each column of a list of rows is one array, names and numbers too: tensors alone would not show
    what they belong to.
    """
    body = {name: value for name, value in result_paths.tree(result).items() if name not in _HEADER}
    rows = [field.name for field in fields(result) if field.metadata.get("rows")]
    columns = [_columns(name, body.pop(name)) for name in rows]
    prefix = f"{result_paths.lone(body)}." if len(body) == 1 else ""
    arrays = {
        path.removeprefix(prefix): _array(leaf)
        for path, leaf in result_paths.leaves(body)
        if isinstance(leaf, Tensor)
    }
    for more in columns:
        arrays |= more
    return arrays


def _columns(name: str, rows: list[Any]) -> Arrays:
    """The columns of a list of rows as arrays; the tensors of a column separately if their shapes
    differ or some rows have none.
    """
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for path, leaf in result_paths.leaves(row):
            columns.setdefault(path, []).append(leaf)
    arrays: Arrays = {}
    for path, column in columns.items():
        stacked = result_paths.stacked(column)
        if isinstance(stacked, Tensor):
            arrays[f"{name}.{path}"] = _array(stacked)
        elif not any(isinstance(leaf, Tensor | None) for leaf in column):
            arrays[f"{name}.{path}"] = np.array(column)
        else:
            tensors = [(i, leaf) for i, leaf in enumerate(column) if isinstance(leaf, Tensor)]
            arrays |= {f"{name}.{i}.{path}": _array(tensor) for i, tensor in tensors}
    return arrays


def _array(tensor: Tensor) -> npt.NDArray[np.generic]:
    """A tensor of any shape as an array without a copy; bfloat16, which NumPy lacks, as float32."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


_WRITERS: dict[str, Callable[[Any, BinaryIO], object]] = {
    ".json": json.write,
    ".csv": csv.write,
    ".npz": _write_npz,
    ".npy": _write_npy,
}
