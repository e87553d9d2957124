"""The program of `hessian`, by torch.autograd.functional."""

from collections.abc import Sequence

from torch import Tensor

from gradcli.commands.hessian.request import Hessian
from gradcli.commands.hessian.result import HessianResult, ProductResult
from gradcli.show.program.script import Script


def program(script: Script, request: Hessian, result: HessianResult | ProductResult) -> None:
    """Write the program that prints the value, first and second derivatives and eigenvalues."""
    chosen = list(result.gradients)
    if any("." in name for name in result.inputs):
        _joined(script, request, result)
        return
    script.inputs(result.inputs, request.literals, [])
    directions = script.directions(request.hvp, result.subjects[0].directions)
    written = script.read(result.expression, result.inputs)
    lines, function = written.as_function(chosen, state=script.state(written))
    script.add(*lines or [f"f = {function}"])
    several, arguments = len(chosen) > 1, ", ".join(chosen)
    point = f"({arguments})" if several else arguments
    slopes = script.fresh("gradient")
    script.show("value", f"f({arguments})")
    script.add(f"{slopes} = torch.autograd.functional.jacobian(f, {point})")
    if isinstance(result, ProductResult):
        along = ", ".join(directions.get(name, f"torch.zeros_like({name})") for name in chosen)
        second = script.fresh("hvp")
        given = f"({along})" if several else along
        script.add(f"{second} = torch.autograd.functional.hvp(f, {point}, {given})[1]")
    else:
        second = script.fresh("hessian")
        script.add(f"{second} = torch.autograd.functional.hessian(f, {point})")
    for i, name in enumerate(chosen):
        script.show(f"d/d{name}", f"{slopes}[{i}]" if several else slopes)
    if isinstance(result, ProductResult):
        for i, name in enumerate(chosen):
            script.show(f"hvp {name}", f"{second}[{i}]" if several else second)
        return
    for i, a in enumerate(chosen):
        for j, b in enumerate(chosen):
            script.show(f"d2/d{a}d{b}", f"{second}[{i}][{j}]" if several else second)
    joint = _joint(second, [result.inputs[name] for name in chosen])
    script.show("eigenvalues", f"torch.linalg.eigvalsh({joint}.double())")


def _joint(blocks: str, inputs: Sequence[Tensor]) -> str:
    """The blocks of a Hessian as one matrix."""
    if len(inputs) == 1:
        return f"{blocks}.reshape({inputs[0].numel()}, {inputs[0].numel()})"
    if all(tensor.ndim == 0 for tensor in inputs):
        return f"torch.stack([torch.stack(row) for row in {blocks}])"
    sizes = ", ".join(str(tensor.numel()) for tensor in inputs)
    flat = f"[torch.cat([block.reshape(n, -1) for block in row], 1) for n, row in zip([{sizes}], {blocks})]"
    return f"torch.cat({flat})"


def _joined(script: Script, request: Hessian, result: HessianResult | ProductResult) -> None:
    """Write the program of an expression with modules: the function of their parameters is the module
    itself, so its gradient by all of them is differentiated number by number.
    """
    chosen = list(result.gradients)
    script.inputs(result.inputs, request.literals, chosen)
    kept = script.kept(result.expression, result.inputs, chosen)
    value = script.formula(result.expression, result.inputs, "value", "result")
    leaves, slopes = map(script.fresh, ("leaves", "gradient"))
    script.show("value", value)
    script.add(
        f"{leaves} = {script.listed([*kept.values()])}",
        f"{slopes} = torch.autograd.grad({value}, {leaves}, create_graph=True, materialize_grads=True)",
        f"{slopes} = torch.cat([part.reshape(-1) for part in {slopes}])",
    )
    script.show("gradient", slopes)
    if isinstance(result, ProductResult):
        product = script.fresh("hvp")
        along = script.directions(request.hvp, result.subjects[0].directions)
        parts = [along.get(name, f"torch.zeros_like({script.code(kept[name])})") for name in chosen]
        direction = f"torch.cat([part.reshape(-1) for part in [{', '.join(parts)}]])"
        script.add(
            f"{product} = torch.autograd.grad({slopes} @ {direction}, {leaves}, materialize_grads=True)"
        )
        for i, name in enumerate(chosen):
            script.show(f"hvp {name}", f"{product}[{i}]")
        return
    second = script.fresh("hessian")
    each = f"torch.autograd.grad(slope, {leaves}, retain_graph=True, materialize_grads=True)"
    row = f"torch.cat([part.reshape(-1) for part in {each}])"
    if not any(
        bool(block.any()) for blocks in result.hessian.values() for block in blocks.values()
    ):
        row = f"{row} if slope.requires_grad else torch.zeros_like({slopes})"
    script.add(f"{second} = torch.stack([{row} for slope in {slopes}])")
    script.show("hessian", second)
    script.show("eigenvalues", f"torch.linalg.eigvalsh({second}.double())")
