"""`--out FILE`: what each suffix writes. `.npz` holds every array of the result, `.npy` the main one."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradcli import result_paths as addresses
from gradcli.errors import UsageError
from gradcli.results import (
    ActivateResult,
    DescendResult,
    FlowResult,
    FunctionsResult,
    GradEachResult,
    GradResult,
    HessianResult,
    JacobianResult,
    LossResult,
    PerceptronResult,
    PerceptronTraining,
    PlotResult,
    Result,
    SoftmaxJacobianResult,
    SurfaceResult,
    WhyResult,
)
from gradcli.show import csv, json

_HEADER = frozenset({"command", "dtype", "inputs", "defaults", "notes"})


def write(result: Result | WhyResult | FunctionsResult, suffix: str, file: BinaryIO) -> None:
    """Write `result` to `file` in the form of `suffix`.

    Raises UsageError where `.npy` is asked for and no array is the main one.
    """
    _WRITERS[suffix](result, file)


def _write_npz(result: Result, file: BinaryIO) -> None:
    np.savez(file, **arrays(result))  # type: ignore[arg-type]


def _write_picture(form: str) -> Callable[[Result, BinaryIO], None]:
    """A writer by matplotlib, which is loaded only then."""

    def write(result: Result, file: BinaryIO) -> None:
        from gradcli.show.pictures import picture

        picture.write(result, form, file)

    return write


def _write_npy(result: Result, file: BinaryIO) -> None:
    np.save(file, _array(main(result)))


def arrays(result: Result) -> dict[str, npt.NDArray[np.generic]]:
    """Every tensor of the result but its inputs, under its `--get` path; a single function's prefix is left out.

    Of a list of rows each column is one array: numbers and text too, without which its tensors would lose what they are of.
    """
    body = {name: value for name, value in addresses.tree(result).items() if name not in _HEADER}
    rows = {each.name: body.pop(each.name) for each in fields(result) if each.metadata.get("rows")}
    found = {path: leaf for path, leaf in addresses.leaves(body) if isinstance(leaf, Tensor)}
    prefix = "" if isinstance(result, PlotResult) else f"{addresses.lone(body)}."  # curves are beside x
    arrays = {path.removeprefix(prefix): _array(leaf) for path, leaf in found.items()}
    for name, each in rows.items():
        arrays |= _columns(name, each)
    return arrays


def _columns(name: str, rows: list[Any]) -> dict[str, npt.NDArray[np.generic]]:
    """The columns of a list of rows as arrays; tensors whose shapes differ, or that some rows lack, each by themselves."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for path, leaf in addresses.leaves(row):
            columns.setdefault(path, []).append(leaf)
    found: dict[str, npt.NDArray[np.generic]] = {}
    for path, column in columns.items():
        whole = addresses.stacked(column)
        if isinstance(whole, Tensor):
            found[f"{name}.{path}"] = _array(whole)
        elif not any(isinstance(leaf, Tensor | None) for leaf in column):
            found[f"{name}.{path}"] = np.array(column)
        else:
            found |= {f"{name}.{i}.{path}": _array(leaf) for i, leaf in enumerate(column) if isinstance(leaf, Tensor)}
    return found


def main(result: Result) -> Tensor:
    """The one array that stands for the whole result.

    Raises UsageError where several could.
    """
    candidates = _MAIN[type(result)](result)
    if len(candidates) != 1:
        raise UsageError(
            f"--out: a .npy file holds one array, but this result has {len(candidates)} to choose from",
            cure="write .npz, which holds them all, or choose one with --wrt or one name",
        )
    return candidates[0]


def _array(tensor: Tensor) -> npt.NDArray[np.generic]:
    """A tensor as a NumPy array without a copy; bfloat16, which NumPy lacks, as float32, which holds it exactly."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _gradients(result: GradResult | PerceptronResult) -> list[Tensor]:
    return [gradient for gradient in result.gradients.values() if gradient is not None]


_MAIN: dict[type[Result], Callable[..., list[Tensor]]] = {
    ActivateResult: lambda result: [function.value for function in result.functions],
    DescendResult: lambda result: list(result.parameters.values()),
    FlowResult: lambda result: [
        torch.stack([row.gradient_norm for row in result.layers]).reshape(len(result.factors), -1)
    ],
    LossResult: lambda result: [loss.gradient for loss in result.losses],
    GradResult: _gradients,
    GradEachResult: lambda result: [torch.stack([row["value"] for row in result.rows])],
    HessianResult: lambda result: [block for row in result.hessian.values() for block in row.values()],
    JacobianResult: lambda result: [block for block in result.jacobian.values() if block is not None],
    SoftmaxJacobianResult: lambda result: [result.jacobian],
    PerceptronResult: lambda result: [result.output],
    PerceptronTraining: lambda result: [result.w],
    PlotResult: lambda result: [curve.value for curve in result.curves],
    SurfaceResult: lambda result: [result.value],
}

_WRITERS: dict[str, Callable[[Any, BinaryIO], None]] = {
    ".json": json.write,
    ".csv": csv.write,
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".png": _write_picture("png"),
    ".svg": _write_picture("svg"),
}
