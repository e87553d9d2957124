"""The program of `derive`: the number of each formula beside autograd's."""

from gradcli.commands.derive.request import Derive
from gradcli.commands.derive.result import DeriveResult
from gradcli.language.assignment import in_expression
from gradcli.show.program.script import Script


def program(script: Script, request: Derive, result: DeriveResult) -> None:
    """Write the program that prints what each formula and autograd give, for a random upstream
    gradient if the result is not one number.
    """
    formulas = {name: text for name, text in result.formulas.items() if text is not None}
    zeros = {name: f"zeros_like({in_expression(name)})" for name in result.formulas}
    reached = [name for name, text in result.formulas.items() if text != zeros[name]]
    script.inputs(result.inputs, request.literals, reached)
    script.make_modules(result.expression, result.inputs)
    inputs, upstream = dict(result.inputs), ""
    if result.upstream:
        upstream = script.fresh(result.upstream)
        size = ", ".join(map(str, result.shape))
        script.add(f"{upstream} = torch.randn({size}{script.on_cpu}){script.moved}")
        inputs[upstream] = next(iter(inputs.values())).new_ones(result.shape)
    # First the formulas, because the expression may bind the name of an input again.
    values = {
        name: script.formula(text, inputs, f"formula_{name.replace('.', '_')}")
        for name, text in formulas.items()
    }
    given = script.kept(result.expression, result.inputs, reached)
    out = script.formula(result.expression, result.inputs, result.output, "result")
    targets = [name for line in {*script.lines} for name in line.partition(" = ")[0].split(", ")]
    if len(targets) == len({*targets}):  # no name is bound to two things, so once is enough
        lines = script.lines
        script.lines = [
            line for i, line in enumerate(lines) if " = " not in line or line not in lines[:i]
        ]
    slopes = dict(zip(given, script.gradients(out, [*given.values()], upstream), strict=True))
    for name in result.formulas:
        if name in values:
            script.show(f"d{result.loss}/d{name} by the formula", values[name])
        if name in slopes:
            script.show(f"d{result.loss}/d{name} by autograd", slopes[name])
