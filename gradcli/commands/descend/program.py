"""The program of `descend`: torch.optim in a loop that prints step, value and parameters, the start
first.
"""

from gradcli.commands.descend.optimizers import asks_again
from gradcli.commands.descend.request import Descend
from gradcli.commands.descend.result import DescendResult
from gradcli.language.expressions import expression
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.show.program.script import Script


def program(script: Script, request: Descend, result: DescendResult) -> None:
    """Write the program that prints one line for each step.

    The loop takes one step more than it prints, which costs less to read than a way around it.
    """
    inputs, chosen = result.inputs, list(result.parameters)
    literals: dict[str, Literal] = {item.name: item.literal for item in request.inputs}
    bound = expression.parse(Source(result.expression), tuple(inputs)).assigned
    given = {name: script.fresh(f"{name}_given") if name in bound else name for name in inputs}
    for name, tensor in inputs.items():
        script.add(
            f"{given[name]} = {script.tensor(literals.get(name), tensor, leaf=name in chosen)}"
        )
    optimizer, step = script.fresh("optimizer"), script.fresh("step")
    kind, _, arguments = result.optimizer.partition("(")
    script.add(
        f"{optimizer} = torch.optim.{kind}([{', '.join(given[name] for name in chosen)}], {arguments}"
    )
    again = [
        f"{name} = {given[name]}" for name in bound if name in inputs
    ]  # the expression binds them again
    formula = script.read(result.expression, inputs)
    value = formula.value if formula.value.isidentifier() else script.fresh("loss", "value")
    compute = [
        *again,
        *formula.lines,
        *([] if value == formula.value else [f"{value} = {formula.value}"]),
    ]
    zero, backward = f"{optimizer}.zero_grad()", f"{value}.backward()"
    shown = [f"{given[name]}.tolist()" for name in chosen]
    loop = f"for {step} in range({result.steps[-1].step + 1}):"
    if asks_again(kind):
        closure, before = script.fresh("closure"), script.fresh("before")
        script.add(
            "",
            f"def {closure}():",
            *(f"    {line}" for line in (zero, *compute, backward, f"return {value}")),
            "",
        )
        script.add(
            loop,
            f"    {before} = [{', '.join(shown)}]",
            f"    {value} = {optimizer}.step({closure})",
        )
        script.add(f"    print({step}, {value}.item(), *{before})")
        return
    printed = f"print({step}, {value}.item(), {', '.join(shown)})"
    script.add(
        loop,
        *(f"    {line}" for line in (*compute, printed, zero, backward, f"{optimizer}.step()")),
    )
