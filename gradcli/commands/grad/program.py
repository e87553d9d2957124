"""The program of `grad`: one gradient, or a loop over points."""

from collections.abc import Sequence

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
    for name in set(chosen) & set(
        result.intermediates
    ):  # the expression binds the name of an input again
        chosen[name] = script.fresh(f"{name}_given")
        script.add(f"{chosen[name]} = {name}")
    value = script.formula(
        result.expression, result.inputs, "loss" if result.value.ndim == 0 else "value", "result"
    )
    named = {
        name: step
        for name, step in result.intermediates.items()
        if name != value and not step.value.is_complex()
    }
    steps = {name: name for name, step in named.items() if step.gradient is not None}
    out, upstream = value, ""
    if request.row is not None:
        out = f"{value}[{', '.join(map(str, request.row))}]"
    elif result.upstream is not None:
        upstream = script.tensor(request.vjp, result.upstream, leaf=False)
    if request.via == "backward":
        script.add(*(f"{name}.retain_grad()" for name in steps))
    for name in (value, *named):
        script.show(name, name)
    targets = {
        **{f"d/d{name}": given for name, given in chosen.items()},
        **{f"d/d{name} (step)": name for name in steps},
    }
    if request.via == "backward":
        script.add(f"{out}.backward({upstream})")
        slopes = [f"{name}.grad" for name in targets.values()]
    else:
        slopes = _grad_line(script, out, list(targets.values()), upstream)
    for label, slope in zip(targets, slopes, strict=True):
        script.show(label, slope)


def _grad_line(script: Script, out: str, targets: Sequence[str], upstream: str = "") -> list[str]:
    """The line that calls autograd.grad, and the names of what it returns."""
    slopes = [script.fresh(f"d_{name}") for name in targets]
    given = f", {upstream}" if upstream else ""
    if len(slopes) == 1:
        script.add(f"{slopes[0]} = torch.autograd.grad({out}, {targets[0]}{given})[0]")
    elif slopes:
        script.add(
            f"{', '.join(slopes)} = torch.autograd.grad({out}, [{', '.join(targets)}]{given})"
        )
    return slopes


def _each(script: Script, request: Grad, result: GradEachResult) -> None:
    name = result.each
    gradients = (
        [other for other, slope in result.rows[0]["gradients"].items() if slope is not None]
        if result.rows
        else []
    )
    literals = request.literals
    others = {other: tensor for other, tensor in result.inputs.items() if other != name}
    point = result.rows[0][name] if result.rows else result.inputs[name]
    if request.fn is not None and request.y is None and "y" in others:
        others["y"] = point.new_ones(())
    script.inputs(others, literals, [other for other in others if other in gradients])
    script.add(f"for {name} in {script.tensor(literals[name], result.inputs[name], leaf=False)}:")
    inner = Script(request, {*result.inputs})
    if name in gradients:
        inner.add(f"{name} = {name}.clone().requires_grad_()")
    value = inner.formula(result.expression, {**others, name: point}, "value", "result")
    if request.via == "backward":
        inner.add(
            *(f"{other}.grad = None" for other in gradients if other != name), f"{value}.backward()"
        )
        slopes = [f"{other}.grad" for other in gradients]
    else:
        slopes = _grad_line(inner, value, gradients)
    printed = [f"{name}.tolist()", f"{value}.tolist()"]
    printed += [f"{slope}.tolist()" for slope in slopes]
    inner.add(f"print({', '.join(printed)})")
    script.add(*(f"    {line}" for line in inner.lines))
