"""The program of `hessian`, by torch.autograd.functional."""

from collections.abc import Sequence
from itertools import product

from torch import Tensor

from gradcli.commands.hessian.request import Hessian
from gradcli.commands.hessian.result import HessianResult, ProductResult
from gradcli.show.program.script import Script


def program(script: Script, request: Hessian, result: HessianResult | ProductResult) -> None:
    """Write the program that prints the value, first and second derivatives and eigenvalues."""
    chosen = list(result.gradients)
    script.inputs(result.inputs, request.literals, [])
    directions = script.directions(request.hvp, result.subjects[0].directions)
    script.make_modules(result.expression, result.inputs)
    function, leaves = script.function(result.expression, result.inputs, chosen)
    if function.startswith("lambda"):
        script.add(f"f = {function}")
    several, arguments = len(chosen) > 1, ", ".join(leaves)
    point = f"({arguments})" if several else arguments
    if any("." in name for name in chosen):  # the function sets these itself
        script.add(f"{(given := script.fresh('point'))} = {point}")
        point = given
    slopes = script.fresh("gradient")
    script.show("value", f"f({arguments})")
    script.add(f"{slopes} = torch.autograd.functional.jacobian(f, {point})")
    at = [f"[{i}]" for i in range(len(chosen))] if several else [""]
    shown = [(f"d/d{name}", f"{slopes}{i}") for name, i in zip(chosen, at, strict=True)]
    if isinstance(result, ProductResult):
        along = [directions.get(n, f"torch.zeros_like({x})") for n, x in zip(chosen, leaves, strict=True)]  # fmt: skip
        second = script.fresh("hvp")
        given = f"({', '.join(along)})" if several else along[0]
        script.add(f"{second} = torch.autograd.functional.hvp(f, {point}, {given})[1]")
        shown += [(f"hvp {name}", f"{second}{i}") for name, i in zip(chosen, at, strict=True)]
    else:
        second = script.fresh("hessian")
        # Otherwise PyTorch stacks the rows of each input, which takes at least one.
        empty = not all(result.inputs[name].numel() for name in chosen)
        how = ", vectorize=True" if empty else ""
        script.add(f"{second} = torch.autograd.functional.hessian(f, {point}{how})")
        pairs = product(zip(chosen, at, strict=True), repeat=2)
        shown += [(f"d2/d{a}d{b}", f"{second}{i}{j}") for (a, i), (b, j) in pairs]
        joint = _joint(second, [result.inputs[name] for name in chosen])
        shown.append(("eigenvalues", f"torch.linalg.eigvalsh({joint}.double())"))
    for label, code in shown:
        script.show(label, code)


def _joint(blocks: str, inputs: Sequence[Tensor]) -> str:
    """The blocks of a Hessian as one matrix."""
    if len(inputs) == 1:
        return f"{blocks}.reshape({inputs[0].numel()}, {inputs[0].numel()})"
    if all(tensor.ndim == 0 for tensor in inputs):
        return f"torch.stack([torch.stack(row) for row in {blocks}])"
    sizes = [tensor.numel() for tensor in inputs]
    row = f"torch.cat([block.reshape(n, m) for m, block in zip({sizes}, row)], 1)"
    return f"torch.cat([{row} for n, row in zip({sizes}, {blocks})])"
