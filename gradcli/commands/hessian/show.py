"""The tables of `hessian`: inputs with their gradients, and the joint matrix."""

import torch
from torch import Tensor

from gradcli.commands.hessian.result import HessianResult
from gradcli.show import numbers
from gradcli.show.pieces import inputs_table, matrix_table, one_number, shapes_text, without_csv
from gradcli.show.table import Places, Table


def tables(result: HessianResult, digits: int) -> list[Table]:
    """The inputs with their gradients, and the joint Hessian."""
    value = one_number(result.value, digits)
    title = f"{result.expression} = {value}"
    gradients: dict[str, Tensor | None] = {**result.gradients}
    by = {name: result.inputs[name] for name in result.hessian}
    first = without_csv(inputs_table(by, gradients, [], title, shapes_text(result)), "input")
    places = [place for name in by for place in Places(by[name].shape, name)]
    joint = torch.cat(
        [
            torch.cat([b.reshape(by[name].numel(), -1) for b in row.values()], 1)
            for name, row in result.hessian.items()
        ]
    )
    steepest = "the gradient is zero" if result.stationary else "the gradient is not zero"
    verdict = f"{result.kind}: {steepest}" if result.kind else f"not a stationary point: {steepest}"
    values = ", ".join(
        numbers.significant(number, digits) for number in numbers.flat(result.eigenvalues[:20])
    )
    more = ", ..." if result.eigenvalues.numel() > 20 else ""
    return [
        first,
        matrix_table(places, places, joint, "Hessian", f"eigenvalues {values}{more}; {verdict}"),
    ]
