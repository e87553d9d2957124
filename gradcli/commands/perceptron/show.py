"""The tables of `perceptron`: one layer and its gradient, or a row for each epoch."""

from dataclasses import replace

import torch
from torch import Tensor

from gradcli.commands.perceptron.result import PerceptronResult, PerceptronTraining
from gradcli.show.pieces import (
    FilledColumn,
    beside,
    by_element,
    inputs_table,
    one_number,
    shapes_text,
    table_of,
)
from gradcli.show.table import Block, Cell, Places, Table

EPOCHS = 11
"""Epochs on the screen."""


def tables(result: PerceptronResult | PerceptronTraining, digits: int) -> list[Table]:
    """The tables of one layer, or of its training."""
    return _training(result) if isinstance(result, PerceptronTraining) else _layer(result, digits)


def _layer(result: PerceptronResult, digits: int) -> list[Table]:
    z = result.z
    columns: list[FilledColumn] = [
        ("output", Places(z.shape, "O")),
        ("z", z.reshape(-1)),
        ("O", result.output.reshape(-1)),
        ("target", beside(result.inputs["target"], z.shape, by_sample=True)),
    ]
    title = f"{result.layer} = {one_number(result.loss, digits)}"
    inputs = {name: tensor for name, tensor in result.inputs.items() if name != "target"}
    layer = table_of(z.numel(), columns, title, csv=False)
    title, caption = "Gradient of the loss", shapes_text(result, {"z": z})
    return [layer, inputs_table(inputs, result.gradients, result.defaults, title, caption)]


def _training(result: PerceptronTraining) -> list[Table]:
    history = result.history
    columns: list[FilledColumn] = [
        ("epoch", [row.epoch for row in history]),
        ("errors", [row.errors for row in history]),
        ("loss", torch.stack([row.loss for row in history])),
        *by_element("w", [row.w for row in history]),
        ("b", torch.stack([row.b for row in history])),
    ]
    table = table_of(len(history), columns)
    wrong = [i for i, row in enumerate(history) if row.errors]
    solved = wrong[-1] + 1 if wrong else 0  # no errors from this row on
    count = f"{result.epochs} epochs" if result.epochs > 1 else "1 epoch"
    verdict = f"{'converged' if result.converged else 'not converged'} after {count}"
    if solved < len(history) - 1:
        first = history[solved].epoch
        verdict = f"converged, without errors since epoch {first} of {result.epochs}"
    shown = replace(
        table,
        blocks=(_merge_equal_rows(table.blocks[0], solved),),
        title=f"{result.layer}: {verdict}",
        caption=shapes_text(result),
        csv=False,
        rows=EPOCHS,
    )
    return [shown, replace(table, screen=False)]


def _merge_equal_rows(block: Block, place: int) -> Block:
    """The block with each run of equal rows as one, the first column, a count from 1, as `3 to 7`.

    The row that `place` becomes part of is kept on the screen.
    """
    rest = block.cells[1:]
    state = torch.stack([torch.as_tensor(cells).double() for cells in rest], 1)
    changed = (state[1:] != state[:-1]) & ~(state[1:].isnan() & state[:-1].isnan())
    starts = [0, *(changed.any(1).nonzero().reshape(-1) + 1).tolist()]
    ends = [start - 1 for start in starts[1:]] + [block.rows - 1]
    spans = list(zip(starts, ends, strict=True))
    epochs: list[Cell] = [a + 1 if a == b else f"{a + 1} to {b + 1}" for a, b in spans]
    left = [
        cells[starts] if isinstance(cells, Tensor) else [cells[i] for i in starts] for cells in rest
    ]
    kept = tuple(i for i, (a, b) in enumerate(spans) if a <= place <= b)
    return Block(len(starts), (epochs, *left), kept)
