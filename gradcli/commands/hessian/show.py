"""The tables of `hessian`: inputs with their gradients, and the joint matrix."""

import torch

from gradcli.commands.hessian.result import HessianResult
from gradcli.show import numbers
from gradcli.show.pieces import inputs_table, matrix_table, one_number, shapes_text, without_csv
from gradcli.show.table import Places, Table


def tables(result: HessianResult, digits: int) -> list[Table]:
    """The inputs with their gradients, and the joint Hessian."""
    title = f"{result.expression} = {one_number(result.value, digits)}"
    by = {name: result.inputs[name] for name in result.hessian}
    gradients = inputs_table(by, result.gradients, [], title, shapes_text(result))
    places = [place for name in by for place in Places(by[name].shape, name)]
    rows = [
        torch.cat([block.reshape(by[name].numel(), -1) for block in row.values()], 1)
        for name, row in result.hessian.items()
    ]
    shown = numbers.flat(result.eigenvalues[:20])
    eigenvalues = ", ".join(numbers.significant(number, digits) for number in shown)
    more = ", ..." if result.eigenvalues.numel() > 20 else ""
    slope = "the gradient is zero" if result.stationary else "the gradient is not zero"
    caption = f"eigenvalues {eigenvalues}{more}; {result.kind or 'not a stationary point'}: {slope}"
    matrix = matrix_table("d/d", places, places, torch.cat(rows), "Hessian", caption)
    return [without_csv(gradients, "input"), matrix]
