"""The program of `value`."""

from gradcli.commands.value.request import Value
from gradcli.commands.value.result import ValueResult
from gradcli.show.program.script import Script


def program(script: Script, request: Value, result: ValueResult) -> None:
    """Write the program that prints the value and the steps, and their shapes if these are wanted."""
    script.inputs(result.inputs, request.literals, [])
    script.make_modules(result.expression, result.inputs)
    whole = result.subjects[0].expression
    layers = (p.expression for p in result.shapes or () if p.place.source.text != whole)
    for layer in dict.fromkeys(layers):
        shown = f'print("{layer} shape", list(made.shape))'
        script.add(f"{layer}.register_forward_hook(lambda layer, given, made: {shown})")
    value = script.formula(result.expression, result.inputs, "value", "result")
    steps = result.intermediates.items()
    names = [name for name, step in steps if name != value and not step.is_complex()]
    for name in (*names, value):
        script.show(name, name)
    if request.shapes:
        script.add(*(f'print("{name} shape", list({name}.shape))' for name in (*names, value)))
