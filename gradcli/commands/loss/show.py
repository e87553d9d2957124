"""The tables of `loss`: each loss as one number, and a row for each element of pred."""

from gradcli.commands.loss.result import LossResult, LossValue
from gradcli.show.pieces import FilledColumn, beside, one_number, shapes_text, table_of
from gradcli.show.table import Column, Places, Table


def tables(result: LossResult, digits: int) -> list[Table]:
    """Each loss as one number, and a row for each element of pred."""
    pred, target = result.inputs["pred"], result.inputs["target"]
    columns: list[FilledColumn] = [
        (Column("" if pred.ndim == 0 else "index", "index"), Places(pred.shape)),
        ("pred", pred.reshape(-1)),
        ("target", beside(target, pred)),
    ]
    for loss in result.losses:
        elements = "" if loss.elements is None else beside(loss.elements, pred)
        heading = Column(f"d {loss.name}/d pred", f"d_{loss.name}")
        columns += [(loss.name, elements), (heading, loss.gradient.reshape(-1))]
    title, caption = "Elements and gradient", shapes_text(result)
    rows = table_of(pred.numel(), columns, title, caption, keys=2)
    return [_values(result.losses, digits), rows, *_broadcast(result.losses, pred.numel())]


def _broadcast(losses: list[LossValue], count: int) -> list[Table]:
    """The elements of each loss that has more of them than pred has, `count`."""
    return [
        table_of(
            loss.elements.numel(),
            [("index", Places(loss.elements.shape)), (loss.name, loss.elements.reshape(-1))],
            "Elements of pred and target broadcast together",
            csv=False,
        )
        for loss in losses
        if loss.elements is not None and loss.elements.numel() > count
    ]


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
