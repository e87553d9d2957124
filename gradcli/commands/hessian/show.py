"""The tables of `hessian`: inputs with their gradients, and the joint matrix."""

import torch

from gradcli.commands.hessian.result import HessianResult, ProductResult
from gradcli.show import numbers
from gradcli.show.pieces import inputs_table, matrix_table, one_number, shapes_text, without_csv
from gradcli.show.table import Places, Table


def tables(result: HessianResult | ProductResult, digits: int) -> list[Table]:
    """The inputs with their gradients, and the joint Hessian or its product with a direction."""
    title = f"{result.expression} = {one_number(result.value, digits)}"
    if isinstance(result, ProductResult):
        by = {name: result.inputs[name] for name in result.hvp}
        columns = {"direction": result.directions, "gradient": result.gradients, "hvp": result.hvp}
        return [inputs_table(by, None, [], title, shapes_text(result), columns)]
    by = {name: result.inputs[name] for name in result.hessian}
    gradients = inputs_table(by, result.gradients, [], title, shapes_text(result))
    places = [place for name in by for place in Places(by[name].shape, name)]
    rows = [
        torch.cat([row[n].reshape(by[name].numel(), x.numel()) for n, x in by.items()], 1)
        for name, row in result.hessian.items()
    ]
    shown = numbers.flat(result.eigenvalues[:20])
    eigenvalues = ", ".join(numbers.significant(number, digits) for number in shown) or "none"
    more = ", ..." if result.eigenvalues.numel() > 20 else ""
    slope = "the gradient is zero" if result.stationary else "the gradient is not zero"
    caption = f"eigenvalues {eigenvalues}{more}; {result.kind or 'not a stationary point'}: {slope}"
    matrix = matrix_table("d/d", places, places, torch.cat(rows), "Hessian", caption)
    return [without_csv(gradients, "input"), matrix]
