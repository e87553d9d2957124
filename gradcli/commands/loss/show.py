"""The tables of `loss`: the values, and the elements beside the gradients."""

import math

from gradcli.commands.loss.result import LossResult, LossValue
from gradcli.evaluate.job import together
from gradcli.show.pieces import FilledColumn, beside, one_number, shapes_text, table_of
from gradcli.show.table import Column, Places, Table


def tables(result: LossResult, digits: int) -> list[Table]:
    """Each loss as one number, and a row for each element of pred, or of what pred and target
    broadcast to.
    """
    pred, target = result.inputs["pred"], result.inputs["target"]
    by_sample = [
        each.elements is not None and each.elements.ndim < pred.ndim for each in result.losses
    ]
    shape = pred.shape if all(by_sample) else together(pred.shape, target.shape)
    columns: list[FilledColumn] = [
        (Column("index" if shape else "", "index"), Places(shape)),
        ("pred", beside(pred, shape)),
        ("target", beside(target, shape, by_sample=any(by_sample))),
    ]
    for loss in result.losses:
        elements = "" if loss.elements is None else beside(loss.elements, shape, by_sample=True)
        heading = Column(f"d {loss.name}/d pred", f"d_{loss.name}")
        columns += [(loss.name, elements), (heading, beside(loss.gradient, shape))]
    title, caption = "Elements and gradient", shapes_text(result)
    rows = table_of(math.prod(shape), columns, title, caption, keys=2)
    return [_values(result.losses, digits), rows]


def _values(losses: list[LossValue], digits: int) -> Table:
    """Each loss as one number; with reduction none the values are beside the elements of pred."""
    columns = [
        ("loss", [loss.name for loss in losses]),
        ("reduction", [loss.reduction for loss in losses]),
        ("value", [_value(loss, digits) for loss in losses]),
    ]
    return table_of(len(losses), columns, "Loss" if len(losses) == 1 else "Losses", csv=False)


def _value(loss: LossValue, digits: int) -> str:
    return one_number(loss.value, digits) if loss.value.numel() == 1 else "(elements below)"
