"""The program of `hessian`, by torch.autograd.functional."""

from collections.abc import Sequence

from torch import Tensor

from gradcli.commands.hessian.request import Hessian
from gradcli.commands.hessian.result import HessianResult
from gradcli.show.program.script import Script


def program(script: Script, request: Hessian, result: HessianResult) -> None:
    """Write the program that prints the value, first and second derivatives and eigenvalues."""
    chosen = list(result.hessian)
    if any("." in name for name in result.inputs):
        _joined(script, request, result)
        return
    script.inputs(result.inputs, request.literals, [])
    lines, function = script.read(result.expression, result.inputs).as_function(chosen)
    script.add(*lines or [f"f = {function}"])
    several, arguments = len(chosen) > 1, ", ".join(chosen)
    point = f"({arguments})" if several else arguments
    slopes, second = script.fresh("gradient"), script.fresh("hessian")
    script.show("value", f"f({arguments})")
    script.add(f"{slopes} = torch.autograd.functional.jacobian(f, {point})")
    script.add(f"{second} = torch.autograd.functional.hessian(f, {point})")
    for i, name in enumerate(chosen):
        script.show(f"d/d{name}", f"{slopes}[{i}]" if several else slopes)
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


def _joined(script: Script, request: Hessian, result: HessianResult) -> None:
    """Write the program of an expression with modules: the function of their parameters is the module
    itself, so its gradient by all of them is differentiated number by number.
    """
    script.inputs(result.inputs, request.literals, result.hessian)
    kept = script.kept(result.expression, result.inputs, result.hessian)
    value = script.formula(result.expression, result.inputs, "value", "result")
    leaves, slopes, second = map(script.fresh, ("leaves", "gradient", "hessian"))
    script.show("value", value)
    script.add(
        f"{leaves} = {script.listed([*kept.values()])}",
        f"{slopes} = torch.autograd.grad({value}, {leaves}, create_graph=True, materialize_grads=True)",
        f"{slopes} = torch.cat([part.reshape(-1) for part in {slopes}])",
    )
    script.show("gradient", slopes)
    parts = f"torch.autograd.grad(slope, {leaves}, retain_graph=True, materialize_grads=True)"
    row = f"torch.cat([part.reshape(-1) for part in {parts}])"
    if not any(
        bool(block.any()) for blocks in result.hessian.values() for block in blocks.values()
    ):
        row = f"{row} if slope.requires_grad else torch.zeros_like({slopes})"
    script.add(f"{second} = torch.stack([{row} for slope in {slopes}])")
    script.show("hessian", second)
    script.show("eigenvalues", f"torch.linalg.eigvalsh({second}.double())")
