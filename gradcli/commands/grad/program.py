"""The program of `grad`: one gradient, or a loop over points."""

from collections.abc import Iterable, Mapping
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
    slopes = result.gradients or {}
    leaves = [name for name, slope in slopes.items() if slope is not None]
    script.inputs(result.inputs, request.literals, leaves)
    tangents = script.directions(request.jvp, result.directions)
    if tangents:
        script.make_modules(result.expression, result.inputs)
    name_of_value = "loss" if result.value.ndim == 0 else "value"
    if result.gradients is None:
        _forward(script, result, tangents, name_of_value)
        return
    state = script.state(script.read(result.expression, result.inputs)) if tangents else ""
    chosen = script.kept(result.expression, result.inputs, leaves)
    value = script.formula(result.expression, result.inputs, name_of_value, "result")
    named = _steps(result, value)
    steps = [name for name in named if result.intermediates[name].gradient is not None]
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
        found = [f"{script.code(name)}.grad" for name in targets.values()]
    else:
        found = script.gradients(out, list(targets.values()), upstream)
    for label, slope in zip(targets, found, strict=True):
        script.show(label, slope)
    if tangents:
        script.add(*(f"{name} = {given}" for name, given in chosen.items() if given != name))
        _forward(script, result, tangents, state=state)


def _forward(
    script: Script,
    result: GradResult,
    tangents: Mapping[str, str],
    value: str = "",
    state: str = "",
) -> None:
    """Write the lines of --jvp; `value` is a name for the value, empty if it is printed already, and
    `state` that of the generator's state, if the expression was run with it.
    """
    result_name = script.read(result.expression, result.inputs).value
    steps = _steps(result, result_name)
    function, leaves = script.function(result.expression, result.inputs, tangents, steps, state)
    primals, directions = (
        f"({', '.join(names)}{',' * (len(names) == 1)})" for names in (leaves, tangents.values())
    )
    jvp, pushed = script.fresh("jvp"), [script.fresh(f"t_{name}") for name in steps]
    shown = {"jvp": jvp} | {f"jvp of {n} (step)": t for n, t in zip(steps, pushed, strict=True)}
    left = "_"
    if value:
        values = {value: script.fresh(value)} | {name: script.fresh(name) for name in steps}
        left, shown = _together(values.values()), {**values, **shown}
    space = "autograd.functional" if script.keeps_statistics else "func"
    call = f"torch.{space}.jvp({function}, {primals}, {directions})"
    script.add(f"{left}, {_together([jvp, *pushed])} = {call}")
    for label, name in shown.items():
        script.show(label, name)


def _steps(result: GradResult, value: str) -> list[str]:
    """The steps that are printed: real ones, and not the value of that name."""
    named = result.intermediates.items()
    return [name for name, step in named if name != value and not step.value.is_complex()]


def _together(names: Iterable[str]) -> str:
    """Names on the left of an assignment: alone, or in brackets."""
    text = ", ".join(names)
    return f"({text})" if "," in text else text


def _each(script: Script, request: Grad, result: GradEachResult) -> None:
    """A loop over the samples; its other inputs are those of the first one, whose shape a default
    target has.
    """
    names, literals = result.each, request.literals
    first: dict[str, Any] = result.rows[0] if result.rows else {**result.inputs, "gradients": {}}
    whole = result.points[0].at(0).inputs if result.rows else result.inputs
    gradients = [name for name, slope in first["gradients"].items() if slope is not None]
    others = {name: tensor for name, tensor in whole.items() if name not in names}
    script.inputs(others, literals, [name for name in others if name in gradients])
    tensors = [script.tensor(literals[name], result.inputs[name], leaf=False) for name in names]
    samples = tensors[0] if len(names) == 1 else f"zip({', '.join(tensors)})"
    inputs = {**others, **{name: first[name] for name in names}}
    script.make_modules(result.expression, inputs)
    script.add(f"for {', '.join(names)} in {samples}:")
    inner = script.inner()
    leaves = (name for name in names if name in gradients)
    inner.add(*(f"{name} = {name}.clone().requires_grad_()" for name in leaves))
    value = inner.formula(result.expression, inputs, "value", "result")
    if request.via == "backward":
        slopes = [f"{script.code(name)}.grad" for name in gradients]
        kept = zip(gradients, slopes, strict=True)
        inner.add(*(f"{slope} = None" for name, slope in kept if name not in names))
        inner.add(f"{value}.backward()")
    else:
        slopes = inner.gradients(value, gradients)
    inner.show_row(*names, value, *slopes)
    script.nest(inner)
