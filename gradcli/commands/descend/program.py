"""The program of `descend`: torch.optim in a loop that prints step, value and parameters."""

from gradcli.commands.descend.optimizers import needs_closure
from gradcli.commands.descend.request import Descend
from gradcli.commands.descend.result import DescendResult
from gradcli.show.program.script import Script


def program(script: Script, request: Descend, result: DescendResult) -> None:
    """Write the program that prints one line for the start and each step.

    The loop takes one step more than it prints: avoiding it would make the program longer.
    """
    inputs = result.inputs
    given = script.outlasting(result.expression, inputs, inputs)
    literals = {
        given[name]: literal for name, literal in request.literals.items() if name in inputs
    }
    leaves = [given[name] for name in result.parameters]
    script.inputs({given[name]: tensor for name, tensor in inputs.items()}, literals, leaves)
    script.make_modules(result.expression, inputs)
    optimizer, step = script.fresh("optimizer"), script.fresh("step")
    kind, _, arguments = result.optimizer.partition("(")
    parameters = [script.code(name) for name in leaves]
    script.add(f"{optimizer} = torch.optim.{kind}({script.read_once(leaves)}, {arguments}")
    formula = script.read(result.expression, inputs)
    compute = [f"{name} = {own}" for name, own in given.items() if own != name] + list(
        formula.lines
    )
    value = formula.value
    if not value.isidentifier():
        value = script.fresh("loss", "value")
        compute.append(f"{value} = {formula.value}")
    zero, backward = f"{optimizer}.zero_grad()", f"{value}.backward()"
    shown = ", ".join(f"{name}.tolist()" for name in parameters)
    loop = f"for {step} in range({result.steps[-1].step + 1}):"
    if needs_closure(kind):
        closure, before = script.fresh("closure"), script.fresh("before")
        body = (zero, *compute, backward, f"return {value}")
        script.add("", f"def {closure}():", *(f"    {line}" for line in body), "")
        body = (
            f"{before} = [{shown}]",
            f"{value} = {optimizer}.step({closure})",
            f"print({step}, {value}.item(), *{before})",
        )
    else:
        printed = f"print({step}, {value}.item(), {shown})"
        body = (*compute, printed, zero, backward, f"{optimizer}.step()")
    script.add(loop, *(f"    {line}" for line in body))
