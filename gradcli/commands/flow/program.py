"""The program of `flow`: the stack, drawn once, and the gradient in it under each activation; or the
user's network, and the gradient in it.
"""

import re

import torch

from gradcli.commands.flow.made import BATCH
from gradcli.commands.flow.network import INIT_FUNCTIONS
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import FlowResult
from gradcli.language.expressions.expression import statements
from gradcli.language.source import Source
from gradcli.show.program.script import Script, string_code


def program(script: Script, request: Flow, result: FlowResult) -> None:
    """Write the program that prints a line of statistics for each activation and layer, or for each
    layer of the user's network.
    """
    if result.expression:
        _net(script, request, result)
    else:
        _stack(script, request, result)


def _stack(script: Script, request: Flow, result: FlowResult) -> None:
    width, on_cpu, moved = request.width, script.on_cpu, script.moved
    script.add(f"layers = [nn.Linear({width}, {width}{on_cpu}) for _ in range({request.layers})]")
    if request.init != "default":
        script.add(
            "for layer in layers:",
            f"    {_init(request)}",
            "    nn.init.zeros_(layer.bias)",
        )
    if moved:
        script.add(f"layers = [layer{moved} for layer in layers]")
    drawn = f"torch.randn({BATCH}, {width}{on_cpu}){moved}"
    script.add(f"x, upstream = {drawn}, {drawn}")
    for call in request.activations:
        activation = script.read(call.applied("z"), {"z": torch.zeros(1)}).value
        script.add(
            "",
            "h, passed = x, []",
            "for layer in layers:",
            "    z = layer(h)",
            f"    h = {activation}",
            "    passed.append((z, h))",
            "loss = (h * upstream).mean()",
            "for number, (z, h) in enumerate(passed, 1):",
            "    norm = torch.autograd.grad(loss, z, retain_graph=True)[0].double().norm()",
            "    slope = torch.autograd.grad(h.sum(), z, retain_graph=True)[0]",
            f"    saturated = (slope.abs() <= {result.flat[call.text]!r}).double().mean()",
            "    h = h.double()",
            f"    print(number, {string_code(call.text)}, norm.item(), h.mean().item(), h.std().item(), saturated.item())",
        )


def _init(request: Flow) -> str:
    """The call that draws a weight again."""
    function, options = INIT_FUNCTIONS[request.init]
    arguments = "".join(f', {name}="{value}"' for name, value in options.items())
    return f"nn.init.{function}(layer.weight{arguments})"


def _net(script: Script, request: Flow, result: FlowResult) -> None:
    """The layers one after another, and a line for each."""
    rows, (net,) = result.layers, result.factors
    _make(script, request, result)
    layers = ", ".join(f'("{row.name}", {row.name})' for row in rows)
    if result.plain:
        layers = f'(f"{net}[{{i}}]", layer) for i, layer in enumerate({net})'
    script.add(f"layers = [{layers}]", "", "h, passed = x, []", "for name, layer in layers:")
    script.add("    z, h = h, layer(h)")
    if result.several:
        script.add("    h = h[0] if isinstance(h, tuple) else h")
    script.add("    passed.append((name, layer, z, h))")
    script.add(f"loss = (h * torch.randn(h.shape{script.on_cpu}){script.moved}).mean()")
    flat = f"{result.flat}".replace("'", '"')
    script.add(*_NUMBERS.replace("FLAT", flat).splitlines())


_NUMBERS = """

def norm(*tensors):
    gradients = torch.autograd.grad(loss, tensors, retain_graph=True)
    return torch.stack([gradient.double().norm() for gradient in gradients]).norm()


flat = FLAT
for name, layer, z, h in passed:
    if not h.requires_grad:
        continue
    numbers, y = [norm(h)], h.double()
    if z.requires_grad:
        numbers.append(norm(z) / numbers[0])
    if weights := [p for p in layer.parameters() if p.dim() > 1 and "Norm" not in type(layer).__name__]:
        numbers.append(norm(*weights))
    numbers += [y.mean(), y.std()] if y.numel() > 1 else [y.mean()]
    if name in flat and z.requires_grad:
        slope = torch.autograd.grad(h.sum(), z, retain_graph=True)[0].abs()
        numbers.append((slope <= flat[name]).double().mean())
        if slope.dim() > 1 and len(slope) > 1:
            numbers.append((slope == 0).all(0).double().mean())
    print(name, list(h.shape), *(number.item() for number in numbers))"""


def _make(script: Script, request: Flow, result: FlowResult) -> None:
    """The lines that make the input and the network."""
    assert result.expression
    x, (net,) = result.inputs["x"], result.factors
    script.inputs(result.inputs, request.literals, ["x"] if x.is_floating_point() else [])
    *before, last = (source.text.strip() for source in statements(Source(result.expression)))
    if not re.match(rf"{net}\s*=", last):
        last = f"{net} = {last}"
    lines = script.read("\n".join([*before, last, "x"]), result.inputs).lines
    if request.init != "default":
        kinds = dict.fromkeys(
            ["Linear", *(row.module for row in result.layers if "Conv" in row.module)]
        )
        classes = ", ".join(f"nn.{kind}" for kind in kinds)
        lines += [
            f"for layer in {net}.modules():",
            f"    if isinstance(layer, {f'({classes})' if len(kinds) > 1 else classes}):",
            f"        {_init(request)}",
            "        if layer.bias is not None:",
            "            nn.init.zeros_(layer.bias)",
        ]
    script.add(*lines)
