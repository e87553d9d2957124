"""The program of each command: a table {request type: function from a request and its result to a program}."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from gradcli.commands.activate.request import Activate
from gradcli.commands.descend.program import descent
from gradcli.commands.flow.program import flow
from gradcli.commands.grad.request import Grad
from gradcli.commands.hessian.request import Hessian
from gradcli.commands.jacobian.request import Jacobian
from gradcli.commands.loss.request import Loss
from gradcli.commands.perceptron.request import Perceptron
from gradcli.commands.perceptron.training_program import training
from gradcli.commands.plot import program as curves
from gradcli.commands.softmax_jacobian.request import SoftmaxJacobian
from gradcli.evaluate.job import DTYPES, once_more
from gradcli.language.literals.literal import Literal
from gradcli.options.derivatives import OfExpression
from gradcli.options.shared import Numeric
from gradcli.results import (
    ActivateResult,
    DescendResult,
    FlowResult,
    GradEachResult,
    GradResult,
    HessianResult,
    JacobianResult,
    LossResult,
    PerceptronResult,
    PerceptronTraining,
    PlotResult,
    Result,
    SoftmaxJacobianResult,
    SurfaceResult,
)
from gradcli.show.program.script import Script


def program(request: Numeric, result: Result) -> str:
    """The PyTorch program that prints the numbers of `result`, which is that of `request`."""
    script = Script(request, result.inputs)
    with once_more(DTYPES[request.dtype]):  # formulas are run again to see their operands
        _PROGRAMS[type(result)](script, request, result)
    return script.text()


def _activate(script: Script, request: Activate, result: ActivateResult) -> None:
    x = result.inputs["x"]
    script.inputs({"x": x}, {"x": request.x}, ["x"])
    for call, function in zip(request.names, result.functions, strict=True):
        formula = script.read(call.applied("x"), {"x": x})
        script.add(f"y = {formula.value}")
        script.show(call.text, "y")
        if function.derivative is None:
            continue
        if call.entry.mixes and x.ndim:
            rows = "torch.autograd.grad(y[..., i].sum(), x, retain_graph=True)[0][..., i]"
            script.show(f"{call.text}'", f"torch.stack([{rows} for i in range(x.shape[-1])], -1)")
        else:
            script.show(f"{call.text}'", "torch.autograd.grad(y.sum(), x)[0]")


def _loss(script: Script, request: Loss, result: LossResult) -> None:
    inputs = result.inputs
    script.inputs(inputs, {"pred": request.pred, "target": request.target}, ["pred"])
    for call, found in zip(request.names, result.losses, strict=True):
        script.add(f"loss = {script.read(call.compared(found.reduction), inputs).value}")
        script.show(call.text, "loss")
        total = "loss.sum()" if found.value.ndim else "loss"
        script.show(f"d {call.text}/d pred", f"torch.autograd.grad({total}, pred)[0]")
        if found.elements is not None:
            elements = script.read(call.compared("none"), inputs).value
            script.show(f"{call.text}, elements", f"({elements})" if " * " in elements else elements)


def _literals(request: Grad | OfExpression) -> dict[str, Literal | None]:
    if isinstance(request, Grad) and request.fn is not None:
        return {name: getattr(request, name) for name in request.input_names}
    return {item.name: item.literal for item in request.inputs}


def _grad(script: Script, request: Grad, result: GradResult) -> None:
    chosen = {name: name for name, slope in result.gradients.items() if slope is not None}
    script.inputs(result.inputs, _literals(request), chosen)
    for name in set(chosen) & set(result.intermediates):  # the expression binds the name of an input again
        chosen[name] = script.fresh(f"{name}_given")
        script.add(f"{chosen[name]} = {name}")
    value = script.formula(result.expression, result.inputs, "loss" if result.value.ndim == 0 else "value", "result")
    named = {name: step for name, step in result.intermediates.items() if name != value and not step.value.is_complex()}
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
        script.add(f"{', '.join(slopes)} = torch.autograd.grad({out}, [{', '.join(targets)}]{given})")
    return slopes


def _grad_each(script: Script, request: Grad, result: GradEachResult) -> None:
    name = result.each
    gradients = (
        [other for other, slope in result.rows[0]["gradients"].items() if slope is not None] if result.rows else []
    )
    literals = _literals(request)
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
        inner.add(*(f"{other}.grad = None" for other in gradients if other != name), f"{value}.backward()")
        slopes = [f"{other}.grad" for other in gradients]
    else:
        slopes = _grad_line(inner, value, gradients)
    printed = [f"{name}.tolist()", f"{value}.tolist()"]
    printed += [f"{slope}.tolist()" for slope in slopes]
    inner.add(f"print({', '.join(printed)})")
    script.add(*(f"    {line}" for line in inner.lines))


def _jacobian(script: Script, request: Jacobian, result: JacobianResult) -> None:
    chosen = [name for name, block in result.jacobian.items() if block is not None]
    script.inputs(result.inputs, _literals(request), [])
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


def _hessian(script: Script, request: Hessian, result: HessianResult) -> None:
    chosen = list(result.hessian)
    script.inputs(result.inputs, _literals(request), [])
    lines, function = script.read(result.expression, result.inputs).as_function(chosen)
    script.add(*lines or [f"f = {function}"])
    several = len(chosen) > 1
    arguments = ", ".join(chosen)
    given = f"({arguments})" if several else arguments
    slopes, second = script.fresh("gradient"), script.fresh("hessian")
    script.show("value", f"f({arguments})")
    script.add(f"{slopes} = torch.autograd.functional.jacobian(f, {given})")
    script.add(f"{second} = torch.autograd.functional.hessian(f, {given})")
    for i, name in enumerate(chosen):
        script.show(f"d/d{name}", f"{slopes}[{i}]" if several else slopes)
    for i, a in enumerate(chosen):
        for j, b in enumerate(chosen):
            script.show(f"d2/d{a}d{b}", f"{second}[{i}][{j}]" if several else second)
    script.show(
        "eigenvalues", f"torch.linalg.eigvalsh({_joint(second, [result.inputs[name] for name in chosen])}.double())"
    )


def _joint(blocks: str, inputs: Sequence[Tensor]) -> str:
    """The blocks of a Hessian as one matrix."""
    if len(inputs) == 1:
        return f"{blocks}.reshape({inputs[0].numel()}, {inputs[0].numel()})"
    if all(tensor.ndim == 0 for tensor in inputs):
        return f"torch.stack([torch.stack(row) for row in {blocks}])"
    sizes = ", ".join(str(tensor.numel()) for tensor in inputs)
    flat = f"[torch.cat([block.reshape(n, -1) for block in row], 1) for n, row in zip([{sizes}], {blocks})]"
    return f"torch.cat({flat})"


def _softmax_jacobian(script: Script, request: SoftmaxJacobian, result: SoftmaxJacobianResult) -> None:
    x = result.inputs["x"]
    script.inputs({"x": x}, {"x": request.vector}, ["x"])
    script.add("p = F.softmax(x, dim=-1)")
    script.show("p", "p")
    script.add('print("label", p.argmax().item())')
    if result.row_index is not None:
        script.show(f"d p[{result.row_index}]/d x", f"torch.autograd.grad(p[{result.row_index}], x)[0]")
    else:
        script.show("jacobian", "torch.stack([torch.autograd.grad(p_i, x, retain_graph=True)[0] for p_i in p])")


def _perceptron(script: Script, request: Perceptron, result: PerceptronResult) -> None:
    inputs = result.inputs
    literals = {"x": request.x, "w": request.w, "b": request.b, "target": request.target}
    chosen = [name for name, slope in result.gradients.items() if slope is not None]
    script.inputs(inputs, literals, chosen)
    script.add("z = x @ w + b" if inputs["w"].ndim == 1 else "z = x @ w.T + b")
    values = {**inputs, "z": result.z, "output": result.output}
    script.add(f"output = {script.read(request.activation.applied('z'), values).value}")
    script.add(f"loss = {script.read(request.loss.applied('output', 'target'), values).value}")
    for name in ("z", "output", "loss"):
        script.show(name, name)
    if chosen:
        script.add("loss.backward()")
    for name in chosen:
        script.show(f"d/d{name}", f"{name}.grad")


_PROGRAMS: dict[type[Result], Callable[[Script, Any, Any], None]] = {
    ActivateResult: _activate,
    DescendResult: descent,
    FlowResult: flow,
    GradEachResult: _grad_each,
    GradResult: _grad,
    HessianResult: _hessian,
    JacobianResult: _jacobian,
    LossResult: _loss,
    PerceptronResult: _perceptron,
    PerceptronTraining: training,
    PlotResult: curves.curves,
    SoftmaxJacobianResult: _softmax_jacobian,
    SurfaceResult: curves.expression,
}
