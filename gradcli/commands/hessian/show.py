"""The tables of `hessian`: inputs with their gradients, and the joint matrix."""

from gradcli.commands.hessian.result import HessianResult, ProductResult, joint
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
    shown = numbers.flat(result.eigenvalues[:20])
    eigenvalues = ", ".join(numbers.significant(number, digits) for number in shown) or "none"
    more = ", ..." if result.eigenvalues.numel() > 20 else ""
    caption = f"eigenvalues {eigenvalues}{more}; {_point(result)}"
    matrix = matrix_table("d/d", places, places, joint(result.hessian), "Hessian", caption)
    return [without_csv(gradients, "input"), matrix]


def _point(result: HessianResult) -> str:
    """The kind of the point, and what is known of the gradient there."""
    zero = not any(bool(slope.any()) for slope in result.gradients.values())
    if not result.stationary:
        reason = "the value is not finite" if zero else "the gradient is not zero"
        return f"not a stationary point: {reason}"
    within = "" if zero else " within 1e-6 (1 + |value|)"
    return f"{result.kind or 'a stationary point of unknown kind'}: the gradient is zero{within}"
