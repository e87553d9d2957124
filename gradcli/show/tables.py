"""The tables of each command: a table {result type: function from the result to its tables}."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gradcli.commands import steps
from gradcli.results import (
    ActivateResult,
    DescendResult,
    FlowResult,
    GradEachResult,
    GradResult,
    HessianResult,
    JacobianResult,
    LossResult,
    LossValue,
    PerceptronResult,
    PerceptronTraining,
    PlotResult,
    Result,
    SoftmaxJacobianResult,
    SurfaceResult,
)
from gradcli.show import numbers
from gradcli.show.table import Block, Cell, Cells, Column, Curve, Places, Table


def tables(result: Result, digits: int) -> Sequence[Table | Curve]:
    """The tables and curves that show `result`; numbers in titles and captions have `digits` significant digits."""
    return _TABLES[type(result)](result, digits)


def _shapes(result: Result, more: Mapping[str, Tensor] = MappingProxyType({})) -> str:
    """The dtype and the shapes of the inputs and of `more`, as a caption."""
    tensors = {**result.inputs, **more}
    return f"{result.dtype}, shapes: " + "  ".join(f"{name} {numbers.shape_text(t)}" for name, t in tensors.items())


def _one(tensor: Tensor, digits: int) -> str:
    """A tensor of one element as a number."""
    return numbers.significant(numbers.flat(tensor)[0], digits)


def _activate(result: ActivateResult, digits: int) -> list[Table]:
    x = result.inputs["x"]
    columns = [Column("" if x.ndim == 0 else "index", "index"), Column("x")]
    cells: list[Any] = [Places(x.shape), x.reshape(-1)]
    for function in result.functions:
        columns += [Column(function.name), Column(f"{function.name}'", f"d_{function.name}")]
        cells += [function.value.reshape(-1), "" if function.derivative is None else function.derivative.reshape(-1)]
    title = ", ".join(f.name for f in result.functions) + " and derivative at x"
    return [Table(tuple(columns), (Block(x.numel(), tuple(cells)),), title, _shapes(result), keys=2)]


def _loss(result: LossResult, digits: int) -> list[Table]:
    pred, target = result.inputs["pred"], result.inputs["target"]
    columns = [Column("" if pred.ndim == 0 else "index", "index"), Column("pred"), Column("target")]
    cells: list[Any] = [Places(pred.shape), pred.reshape(-1), _beside(target, pred)]
    for loss in result.losses:
        columns += [Column(loss.name), Column(f"d {loss.name}/d pred", f"d_{loss.name}")]
        cells += ["" if loss.elements is None else _beside(loss.elements, pred), loss.gradient.reshape(-1)]
    elements = Table(
        tuple(columns), (Block(pred.numel(), tuple(cells)),), "Elements and gradient", _shapes(result), keys=2
    )
    return [_loss_values(result.losses, digits), elements]


def _loss_values(losses: list[LossValue], digits: int) -> Table:
    """Each loss as one number; with reduction none its value has the elements' shape, and is shown beside them."""
    values = [_one(loss.value, digits) if loss.value.numel() == 1 else "(elements below)" for loss in losses]
    cells = ([loss.name for loss in losses], [loss.reduction for loss in losses], values)
    title = "Loss" if len(losses) == 1 else "Losses"
    return Table((Column("loss"), Column("reduction"), Column("value")), (Block(len(losses), cells),), title, csv=False)


def _beside(values: Tensor, pred: Tensor) -> Tensor | list[Cell]:
    """`values` laid beside the elements of `pred`. What a sample has once stands on the row of its first class."""
    if values.shape == pred.shape:
        return values.reshape(-1)
    if not 0 < values.numel() <= pred.numel():  # of a loss that broadcast there are more than rows
        return [None] * pred.numel()
    first = torch.zeros(pred.shape, dtype=torch.bool)
    class_dim = 1 if pred.ndim > 1 else 0
    first = first.movedim(class_dim, 0) if pred.ndim else first
    if pred.ndim and values.shape == first.shape[1:]:
        first[0] = True
        first = first.movedim(0, class_dim)
    else:
        first = torch.arange(pred.numel()) < values.numel()
    found = iter(numbers.flat(values))
    return [next(found, None) if here else None for here in first.reshape(-1).tolist()]


def _inputs_table(
    inputs: Mapping[str, Tensor], gradients: Mapping[str, Tensor | None], defaults: list[str], title: str, caption: str
) -> Table:
    """One row per element of every input, its gradient beside it: what `grad` and `perceptron` share."""
    columns = [
        Column("input", ""),
        Column("", "name"),
        Column("", "index"),
        Column("value", "input"),
        Column("gradient"),
    ]
    if defaults:
        columns.append(Column(" ", ""))
    blocks = []
    for name, value in inputs.items():
        gradient = gradients.get(name)
        cells: list[Any] = [Places(value.shape, name), name, Places(value.shape), value.reshape(-1)]
        cells.append("" if gradient is None else gradient.reshape(-1))
        if defaults:
            cells.append("default" if name in defaults else "")
        blocks.append(Block(value.numel(), tuple(cells)))
    return Table(tuple(columns), tuple(blocks), title, caption)


def _grad(result: GradResult, digits: int) -> list[Table]:
    value = result.value
    single = value.numel() == 1
    title = f"{result.expression} = {_one(value, digits)}" if single else result.expression
    found = [_inputs_table(result.inputs, result.gradients, result.defaults, title, _shapes(result, {"result": value}))]
    if result.intermediates:
        steps = {name: step.value for name, step in result.intermediates.items()}
        slopes = {name: step.gradient for name, step in result.intermediates.items()}
        found.append(_without_csv(_inputs_table(steps, slopes, [], "Steps", ""), "step"))
    if not single or result.upstream is not None:
        columns = [Column("result"), Column("value")]
        cells: list[Cells] = [Places(value.shape, "result"), value.reshape(-1)]
        if result.upstream is not None:
            columns.append(Column("upstream"))
            cells.append(result.upstream.reshape(-1))
        block = Block(value.numel(), tuple(cells))
        found.append(Table(tuple(columns), (block,), f"Result; gradient of {result.seed}", csv=False))
    return found


def _without_csv(table: Table, first_heading: str) -> Table:
    columns = (Column(first_heading), *table.columns[1:])
    return Table(columns, table.blocks, table.title, table.caption, table.keys, csv=False)


def _grad_each(result: GradEachResult, digits: int) -> list[Table]:
    """One row per point; gradients of inputs with several elements take a column each."""
    columns = [Column(result.each), Column("value")]
    cells: list[Cells] = [_stacked(result, result.each), _stacked(result, "value")]
    for name in result.rows[0]["gradients"] if result.rows else ():
        rows = [row["gradients"][name] for row in result.rows]
        if any(row is None for row in rows):
            columns.append(Column(f"d/d{name}", f"d_{name}"))
            cells.append([None if row is None else _one_number(row) for row in rows])
            continue
        stacked = torch.stack(rows).reshape(len(rows), -1)
        columns += [Column(f"d/d{place}", f"d_{place}") for place in Places(rows[0].shape, name)]
        cells += list(stacked.unbind(1))
    caption = _shapes(result)
    return [Table(tuple(columns), (Block(len(result.rows), tuple(cells)),), result.expression, caption)]


def _one_number(tensor: Tensor) -> Cell:
    return numbers.flat(tensor)[0] if tensor.numel() == 1 else None


def _stacked(result: GradEachResult, key: str) -> Tensor:
    return torch.stack([row[key] for row in result.rows]) if result.rows else torch.empty(0)


def _matrix(
    rows: Sequence[str], columns: Sequence[str], matrix: Tensor, title: str, caption: str, *, csv: bool = True
) -> Table:
    """A matrix with a name for each row and each column."""
    heads = (Column("output" if title.startswith("Jacobian") else "d/d"), *(Column(name) for name in columns))
    return Table(heads, (Block(len(rows), (rows, *matrix.unbind(1))),), title, caption, csv=csv)


def _jacobian(result: JacobianResult, digits: int) -> list[Table]:
    """The blocks of all inputs side by side: one row per output element, one column per input element."""
    rows = Places(result.value.shape, result.output)
    blocks = {name: block for name, block in result.jacobian.items() if block is not None}
    columns = [place for name in blocks for place in Places(result.inputs[name].shape, name)]
    joint = [block.reshape(len(rows), -1) for block in blocks.values()]
    matrix = torch.cat(joint, 1) if len(joint) > 1 else joint[0] if joint else torch.empty(len(rows), 0)
    value = Table(
        (Column("output"), Column("value")),
        (Block(len(rows), (rows, result.value.reshape(-1))),),
        result.expression,
        csv=False,
    )
    shapes = "  ".join(f"by {name} {numbers.shape_text(block)}" for name, block in blocks.items())
    caption = f"rows: outputs, columns: inputs; {result.dtype}, {shapes}"
    return [value, _matrix(rows, columns, matrix, "Jacobian", caption)]


def _hessian(result: HessianResult, digits: int) -> list[Table]:
    value = _one(result.value, digits)
    title = f"{result.expression} = {value}"
    gradients: dict[str, Tensor | None] = {**result.gradients}
    by = {name: result.inputs[name] for name in result.hessian}
    first = _without_csv(_inputs_table(by, gradients, [], title, _shapes(result)), "input")
    places = [place for name in by for place in Places(by[name].shape, name)]
    joint = torch.cat(
        [torch.cat([b.reshape(by[name].numel(), -1) for b in row.values()], 1) for name, row in result.hessian.items()]
    )
    steepest = "the gradient is zero" if result.stationary else "the gradient is not zero"
    verdict = f"{result.kind}: {steepest}" if result.kind else f"not a stationary point: {steepest}"
    values = ", ".join(numbers.significant(number, digits) for number in numbers.flat(result.eigenvalues[:20]))
    more = ", ..." if result.eigenvalues.numel() > 20 else ""
    return [first, _matrix(places, places, joint, "Hessian", f"eigenvalues {values}{more}; {verdict}")]


def _softmax_jacobian(result: SoftmaxJacobianResult, digits: int) -> list[Table]:
    x, p = result.inputs["x"], result.probabilities
    n = p.numel()
    mark = ["label" if i == result.label else "" for i in range(n)] if n <= 1000 else ""
    probabilities = Table(
        (Column("i"), Column("x_i"), Column("p_i"), Column(" ", "")),
        (Block(n, (Places((n,)), x, p, mark)),),
        f"softmax(x), predicted label {result.label}",
        csv=False,
    )
    shown = [result.row_index] if result.row_index is not None else list(range(n))
    columns = (Column("output"), *(Column(f"x[{j}]") for j in range(n)))
    rows = result.jacobian if result.row is None else result.row.unsqueeze(0)
    block = Block(len(shown), ([f"p[{i}]" for i in shown], *rows.unbind(1)))
    title = "Jacobian: p_i (1 - p_j) for i = j, -p_i p_j elsewhere"
    caption = f"rows: outputs p_i, columns: inputs x_j; {result.dtype}, jacobian {numbers.shape_text(result.jacobian)}"
    return [probabilities, Table(columns, (block,), title, caption)]


def _perceptron(result: PerceptronResult, digits: int) -> list[Table]:
    z = result.z
    block = Block(
        z.numel(), (Places(z.shape, "O"), z.reshape(-1), result.output.reshape(-1), _beside(result.inputs["target"], z))
    )
    title = f"{result.layer} = {_one(result.loss, digits)}"
    columns = (Column("output"), Column("z"), Column("O"), Column("target"))
    caption = _shapes(result, {"z": z})
    layer = {name: t for name, t in result.inputs.items() if name != "target"}
    gradients = _inputs_table(layer, result.gradients, result.defaults, "Gradient of the loss", caption)
    return [Table(columns, (block,), title, csv=False), gradients]


def _training(result: PerceptronTraining, digits: int) -> list[Table]:
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
    cells += [torch.stack([epoch.loss for epoch in history]), *w.unbind(1), torch.stack([epoch.b for epoch in history])]
    every = Block(len(history), tuple(cells))
    since = next((i for i in range(len(history), 0, -1) if history[i - 1].errors), 0)  # no errors from here on
    count = f"{result.epochs} epochs" if result.epochs > 1 else "1 epoch"
    verdict = f"{'converged' if result.converged else 'not converged'} after {count}"
    if since < len(history) - 1:
        verdict = f"converged, without errors since epoch {history[since].epoch} of {result.epochs}"
    return [
        Table(
            tuple(columns),
            (_equal_rows_once(every, since),),
            f"{result.layer}: {verdict}",
            _shapes(result),
            csv=False,
            rows=steps.ROWS,
        ),
        Table(tuple(columns), (every,), screen=False),
    ]


def _equal_rows_once(block: Block, place: int) -> Block:
    """The block with rows that equal the one before left out, the first column, which counts from 1, then from one to another.

    The row that stands for the one at `place` is kept on the screen.
    """
    rest = block.cells[1:]
    state = torch.stack([torch.as_tensor(cells).double() for cells in rest], 1)
    changed = (state[1:] != state[:-1]) & ~(state[1:].isnan() & state[:-1].isnan())
    starts = [0, *(changed.any(1).nonzero().reshape(-1) + 1).tolist()]
    ends = [start - 1 for start in starts[1:]] + [block.rows - 1]
    spans: list[Cell] = [a + 1 if a == b else f"{a + 1} to {b + 1}" for a, b in zip(starts, ends, strict=True)]
    left = [cells[starts] if isinstance(cells, Tensor) else [cells[i] for i in starts] for cells in rest]
    kept = tuple(i for i, (a, b) in enumerate(zip(starts, ends, strict=True)) if a <= place <= b)
    return Block(len(starts), (spans, *left), kept)


def _plot(result: PlotResult, digits: int) -> list[Table]:
    """One row per point; drawn as a picture, and a table in CSV alone."""
    columns: list[Column] = [Column(result.along)]
    cells: list[Cells] = [result.x]
    for curve in result.curves:
        columns += [Column(curve.name), Column(f"d_{curve.name}")]
        cells += [curve.value, "" if curve.derivative is None else curve.derivative]
    return [Table(tuple(columns), (Block(len(result.x), tuple(cells)),))]


def _surface(result: SurfaceResult, digits: int) -> list[Table]:
    """One row per pair of points; drawn as a picture, and a table in CSV alone."""
    grid = torch.meshgrid(*result.x.values(), indexing="ij")
    columns = [*map(Column, result.x), Column("value"), *(Column(f"d_{name}") for name in result.gradients)]
    slopes = ("" if slope is None else slope.reshape(-1) for slope in result.gradients.values())
    cells = (*(axis.reshape(-1) for axis in grid), result.value.reshape(-1), *slopes)
    return [Table(tuple(columns), (Block(result.value.numel(), cells),))]


_TABLES: dict[type[Result], Callable[[Any, int], Sequence[Table | Curve]]] = {
    ActivateResult: _activate,
    DescendResult: steps.descent,
    FlowResult: steps.flow,
    LossResult: _loss,
    GradResult: _grad,
    GradEachResult: _grad_each,
    HessianResult: _hessian,
    JacobianResult: _jacobian,
    SoftmaxJacobianResult: _softmax_jacobian,
    PerceptronResult: _perceptron,
    PerceptronTraining: _training,
    PlotResult: _plot,
    SurfaceResult: _surface,
}
