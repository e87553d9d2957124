"""The program of `jacobian`, by torch.func.jacrev."""

from collections.abc import Sequence

from gradcli.commands.jacobian.request import Jacobian
from gradcli.commands.jacobian.result import JacobianResult
from gradcli.show.program.script import Script


def program(script: Script, request: Jacobian, result: JacobianResult) -> None:
    """Write the program that prints the value and each block."""
    chosen = [name for name, block in result.jacobian.items() if block is not None]
    if any("." in name for name in result.inputs):
        _by_rows(script, request, result, chosen)
        return
    script.inputs(result.inputs, request.literals, [])
    function, _ = script.function(result.expression, result.inputs, chosen)
    _, is_lambda, value = function.partition(": ")
    script.show("value", f"({value})" if is_lambda else f"{function}({', '.join(chosen)})")
    places = f", argnums={tuple(range(len(chosen)))}" if len(chosen) > 1 else ""
    jacobian = script.fresh("jacobian")
    script.add(f"{jacobian} = torch.func.jacrev({function}{places})({', '.join(chosen)})")
    for position, name in enumerate(chosen):
        script.show(f"by {name}", f"{jacobian}[{position}]" if places else jacobian)


def _by_rows(
    script: Script, request: Jacobian, result: JacobianResult, chosen: Sequence[str]
) -> None:
    """Write the program of an expression with modules: the function of their parameters is the module
    itself, so it is differentiated row by row.
    """
    script.inputs(result.inputs, request.literals, chosen)
    kept = script.kept(result.expression, result.inputs, chosen)
    value = script.formula(result.expression, result.inputs, "value", "result")
    script.show("value", value)
    name, by, rows = map(script.fresh, ("name", "by", "rows"))
    given = ", ".join(f'"{each}": {script.code(name)}' for each, name in kept.items())
    row = f"torch.autograd.grad(v, {by}, retain_graph=True, materialize_grads=True)[0]"
    script.add(
        f"for {name}, {by} in {{{given}}}.items():",
        f"    {rows} = torch.stack([{row} for v in {value}.reshape(-1)])",
        f'    print("by", {name}, {rows}.reshape({value}.shape + {by}.shape).tolist())',
    )
