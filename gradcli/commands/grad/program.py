"""The program of `grad`: one gradient, or a loop over points."""

from typing import Any

from gradcli.commands.grad.request import Grad
from gradcli.commands.grad.result import GradEachResult, GradResult
from gradcli.show.program.script import Script


def program(script: Script, request: Grad, result: GradResult | GradEachResult) -> None:
    """Write the program of one gradient, or of those at many points."""
    if isinstance(result, GradEachResult):
        _each(script, request, result)
    else:
        _whole(script, request, result)


def _whole(script: Script, request: Grad, result: GradResult) -> None:
    chosen = {name: name for name, slope in result.gradients.items() if slope is not None}
    script.inputs(result.inputs, request.literals, chosen)
    rebound = [name for name in chosen if name in result.intermediates]
    for name in rebound:
        chosen[name] = script.fresh(f"{name}_given")
        script.add(f"{chosen[name]} = {name}")
    name_of_value = "loss" if result.value.ndim == 0 else "value"
    value = script.formula(result.expression, result.inputs, name_of_value, "result")
    named = {
        name: step
        for name, step in result.intermediates.items()
        if name != value and not step.value.is_complex()
    }
    steps = [name for name, step in named.items() if step.gradient is not None]
    backward = request.via == "backward"
    if backward:
        script.add(*(f"{name}.retain_grad()" for name in steps))
    for name in (value, *named):
        script.show(name, name)
    targets = {f"d/d{name}": given for name, given in chosen.items()}
    targets |= {f"d/d{name} (step)": name for name in steps}
    out, upstream = value, ""
    if request.row is not None:
        out = f"{value}[{', '.join(map(str, request.row))}]"
    elif result.upstream is not None:
        upstream = script.tensor(request.vjp, result.upstream, leaf=False)
    if backward:
        script.add(f"{out}.backward({upstream})")
        slopes = [f"{script.code(name)}.grad" for name in targets.values()]
    else:
        slopes = script.gradients(out, list(targets.values()), upstream)
    for label, slope in zip(targets, slopes, strict=True):
        script.show(label, slope)


def _each(script: Script, request: Grad, result: GradEachResult) -> None:
    name, points, literals = result.each, result.inputs[result.each], request.literals
    first: dict[str, Any] = result.rows[0] if result.rows else {name: points, "gradients": {}}
    point = first[name]
    gradients = [other for other, slope in first["gradients"].items() if slope is not None]
    others = {other: tensor for other, tensor in result.inputs.items() if other != name}
    if request.fn is not None and request.y is None and "y" in others:
        others["y"] = point.new_ones(())
    script.inputs(others, literals, [other for other in others if other in gradients])
    script.make_modules(result.expression, {**others, name: point})
    script.add(f"for {name} in {script.tensor(literals[name], points, leaf=False)}:")
    inner = script.inner()
    if name in gradients:
        inner.add(f"{name} = {name}.clone().requires_grad_()")
    value = inner.formula(result.expression, {**others, name: point}, "value", "result")
    if request.via == "backward":
        inner.add(*(f"{script.code(other)}.grad = None" for other in gradients if other != name))
        inner.add(f"{value}.backward()")
        slopes = [f"{script.code(other)}.grad" for other in gradients]
    else:
        slopes = inner.gradients(value, gradients)
    inner.show_row(name, value, *slopes)
    script.nest(inner)
