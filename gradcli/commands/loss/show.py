"""The tables of `loss`: each loss as one number, and a row for each element of pred."""

from typing import Any

from gradcli.commands.loss.result import LossResult, LossValue
from gradcli.show.pieces import beside, one_number, shapes_text
from gradcli.show.table import Block, Column, Places, Table


def tables(result: LossResult, digits: int) -> list[Table]:
    """Each loss as one number, and a row for each element of pred."""
    pred, target = result.inputs["pred"], result.inputs["target"]
    columns = [Column("" if pred.ndim == 0 else "index", "index"), Column("pred"), Column("target")]
    cells: list[Any] = [Places(pred.shape), pred.reshape(-1), beside(target, pred)]
    for loss in result.losses:
        columns += [Column(loss.name), Column(f"d {loss.name}/d pred", f"d_{loss.name}")]
        cells += [
            "" if loss.elements is None else beside(loss.elements, pred),
            loss.gradient.reshape(-1),
        ]
    elements = Table(
        tuple(columns),
        (Block(pred.numel(), tuple(cells)),),
        "Elements and gradient",
        shapes_text(result),
        keys=2,
    )
    return [_loss_values(result.losses, digits), elements]


def _loss_values(losses: list[LossValue], digits: int) -> Table:
    """Each loss as one number; with reduction none its value has the elements' shape, and is shown
    beside them.
    """
    values = [
        one_number(loss.value, digits) if loss.value.numel() == 1 else "(elements below)"
        for loss in losses
    ]
    cells = ([loss.name for loss in losses], [loss.reduction for loss in losses], values)
    title = "Loss" if len(losses) == 1 else "Losses"
    return Table(
        (Column("loss"), Column("reduction"), Column("value")),
        (Block(len(losses), cells),),
        title,
        csv=False,
    )
