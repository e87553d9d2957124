"""The tables of `perceptron`: one layer and its gradient, or a row for each epoch."""

from typing import Any

import torch
from torch import Tensor

from gradcli.commands.perceptron.result import PerceptronResult, PerceptronTraining
from gradcli.show.pieces import beside, inputs_table, one_number, shapes_text
from gradcli.show.table import Block, Cell, Column, Places, Table

EPOCHS = 11
"""Epochs that are shown on the screen."""


def tables(result: PerceptronResult | PerceptronTraining, digits: int) -> list[Table]:
    """The tables of one layer, or of its training."""
    return _training(result) if isinstance(result, PerceptronTraining) else _layer(result, digits)


def _layer(result: PerceptronResult, digits: int) -> list[Table]:
    z = result.z
    block = Block(
        z.numel(),
        (
            Places(z.shape, "O"),
            z.reshape(-1),
            result.output.reshape(-1),
            beside(result.inputs["target"], z),
        ),
    )
    title = f"{result.layer} = {one_number(result.loss, digits)}"
    columns = (Column("output"), Column("z"), Column("O"), Column("target"))
    caption = shapes_text(result, {"z": z})
    layer = {name: t for name, t in result.inputs.items() if name != "target"}
    gradients = inputs_table(
        layer, result.gradients, result.defaults, "Gradient of the loss", caption
    )
    return [Table(columns, (block,), title, csv=False), gradients]


def _training(result: PerceptronTraining) -> list[Table]:
    history = result.history
    w = torch.stack([epoch.w for epoch in history])
    columns = [
        Column("epoch"),
        Column("errors"),
        Column("loss"),
        *(Column(f"w[{i}]") for i in range(w.shape[1])),
        Column("b"),
    ]
    cells: list[Any] = [[epoch.epoch for epoch in history], [epoch.errors for epoch in history]]
    cells += [
        torch.stack([epoch.loss for epoch in history]),
        *w.unbind(1),
        torch.stack([epoch.b for epoch in history]),
    ]
    every = Block(len(history), tuple(cells))
    since = next(
        (i for i in range(len(history), 0, -1) if history[i - 1].errors), 0
    )  # no errors from here on
    count = f"{result.epochs} epochs" if result.epochs > 1 else "1 epoch"
    verdict = f"{'converged' if result.converged else 'not converged'} after {count}"
    if since < len(history) - 1:
        verdict = f"converged, without errors since epoch {history[since].epoch} of {result.epochs}"
    return [
        Table(
            tuple(columns),
            (_equal_rows_once(every, since),),
            f"{result.layer}: {verdict}",
            shapes_text(result),
            csv=False,
            rows=EPOCHS,
        ),
        Table(tuple(columns), (every,), screen=False),
    ]


def _equal_rows_once(block: Block, place: int) -> Block:
    """The block with rows that equal the one before left out, the first column, which counts from
    1, then from one to another.

    The row that stands for the one at `place` is kept on the screen.
    """
    rest = block.cells[1:]
    state = torch.stack([torch.as_tensor(cells).double() for cells in rest], 1)
    changed = (state[1:] != state[:-1]) & ~(state[1:].isnan() & state[:-1].isnan())
    starts = [0, *(changed.any(1).nonzero().reshape(-1) + 1).tolist()]
    ends = [start - 1 for start in starts[1:]] + [block.rows - 1]
    spans: list[Cell] = [
        a + 1 if a == b else f"{a + 1} to {b + 1}" for a, b in zip(starts, ends, strict=True)
    ]
    left = [
        cells[starts] if isinstance(cells, Tensor) else [cells[i] for i in starts] for cells in rest
    ]
    kept = tuple(i for i, (a, b) in enumerate(zip(starts, ends, strict=True)) if a <= place <= b)
    return Block(len(starts), (spans, *left), kept)
