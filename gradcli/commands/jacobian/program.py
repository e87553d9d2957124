"""The program of `jacobian`, by torch.func.jacrev."""

from gradcli.commands.jacobian.request import Jacobian
from gradcli.commands.jacobian.result import JacobianResult
from gradcli.show.program.script import Script


def program(script: Script, request: Jacobian, result: JacobianResult) -> None:
    """Write the program that prints the value and each block."""
    chosen = [name for name, block in result.jacobian.items() if block is not None]
    script.inputs(result.inputs, request.literals, [])
    lines, function = script.read(result.expression, result.inputs).as_function(chosen)
    script.add(*lines)
    if lines:
        script.add(f'print("value", {function}({", ".join(chosen)}).tolist())')
    else:
        script.show("value", f"({function.partition(': ')[2]})")
    places = f", argnums={tuple(range(len(chosen)))}" if len(chosen) > 1 else ""
    jacobian = script.fresh("jacobian")
    script.add(f"{jacobian} = torch.func.jacrev({function}{places})({', '.join(chosen)})")
    for position, name in enumerate(chosen):
        script.show(f"by {name}", f"{jacobian}[{position}]" if places else jacobian)
