"""`--out FILE`: what each suffix writes. `.npz` holds every array of the result, `.npy` the main
one.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.errors import UsageError
from gradcli.results import Result, part
from gradcli.show import csv, json

_HEADER = frozenset({"command", "dtype", "inputs", "defaults", "notes"})


def write(result: Any, suffix: str, file: BinaryIO) -> None:
    """Write `result` to `file` in the form of `suffix`.

    Raises UsageError where `.npy` is asked for and no array is the main one.
    """
    _WRITERS[suffix](result, file)


def _write_npz(result: Result, file: BinaryIO) -> None:
    np.savez(file, **arrays(result))  # type: ignore[arg-type]


def _write_npy(result: Result, file: BinaryIO) -> None:
    np.save(file, _array(_main(result)))


def arrays(result: Result) -> dict[str, npt.NDArray[np.generic]]:
    """Every tensor of the result but its inputs, under its `--get` path; a single function's prefix
    is left out.

    Of a list of rows each column is one array: numbers and text too, without which its tensors
    would lose what they are of.
    """
    body = {name: value for name, value in result_paths.tree(result).items() if name not in _HEADER}
    rows = {each.name: body.pop(each.name) for each in fields(result) if each.metadata.get("rows")}
    found = {path: leaf for path, leaf in result_paths.leaves(body) if isinstance(leaf, Tensor)}
    prefix = f"{result_paths.lone(body)}." if len(body) == 1 else ""
    arrays = {path.removeprefix(prefix): _array(leaf) for path, leaf in found.items()}
    for name, each in rows.items():
        arrays |= _columns(name, each)
    return arrays


def _columns(name: str, rows: list[Any]) -> dict[str, npt.NDArray[np.generic]]:
    """The columns of a list of rows as arrays; tensors whose shapes differ, or that some rows lack,
    each by themselves.
    """
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for path, leaf in result_paths.leaves(row):
            columns.setdefault(path, []).append(leaf)
    found: dict[str, npt.NDArray[np.generic]] = {}
    for path, column in columns.items():
        whole = result_paths.stacked(column)
        if isinstance(whole, Tensor):
            found[f"{name}.{path}"] = _array(whole)
        elif not any(isinstance(leaf, Tensor | None) for leaf in column):
            found[f"{name}.{path}"] = np.array(column)
        else:
            found |= {
                f"{name}.{i}.{path}": _array(leaf)
                for i, leaf in enumerate(column)
                if isinstance(leaf, Tensor)
            }
    return found


def _main(result: Result) -> Tensor:
    """The one array that stands for the whole result.

    Raises UsageError where several could.
    """
    candidates = result.main()
    if len(candidates) != 1:
        raise UsageError(
            f"--out: a .npy file holds one array, but this result has {len(candidates)} to choose from",
            hint="write .npz, which holds them all, or choose one with --wrt or one name",
        )
    return candidates[0]


def _array(tensor: Tensor) -> npt.NDArray[np.generic]:
    """A tensor as a NumPy array without a copy; bfloat16, which NumPy lacks, as float32, which
    holds it exactly.
    """
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


_WRITERS: dict[str, Callable[[Any, BinaryIO], None]] = {
    ".json": json.write,
    ".csv": csv.write,
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".png": lambda result, file: part(result, "picture").write(
        result, "png", file
    ),  # matplotlib is loaded only then
    ".svg": lambda result, file: part(result, "picture").write(result, "svg", file),
}
