"""The program of `flow`: the stack, drawn once, and the gradient in it under each activation; or the
user's network, and the gradient in it.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from gradcli.commands.flow.made import BATCH
from gradcli.commands.flow.network import INITS
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import FlowResult, NetLayer
from gradcli.language.expressions.expression import statements
from gradcli.language.source import Source
from gradcli.show.program.script import Script


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
            f'    print(number, "{call.text}", norm.item(), h.mean().item(), h.std().item(), saturated.item())',
        )


def _init(request: Flow) -> str:
    """The call that draws a weight anew."""
    function, options = INITS[request.init]
    arguments = "".join(f', {name}="{value}"' for name, value in options.items())
    return f"nn.init.{function}(layer.weight{arguments})"


def _net(script: Script, request: Flow, result: FlowResult) -> None:
    """The layers one after another, and a line for each."""
    rows, (net,) = result.layers, result.factors
    _make(script, request, result)
    names = [row.name for row in rows]
    layers = ", ".join(f'("{name}", {name})' for name in names)
    if result.plain:
        layers = f'(f"{net}[{{i}}]", layer) for i, layer in enumerate({net})'
    slopes = {row.name: result.flat[row.name] for row in rows if _share(row) is not None}
    script.add(
        f"layers = [{layers}]",
        "",
        "h, passed = x, []",
        "for name, layer in layers:",
        "    z, h = h, layer(h)",
        *(["    h = h[0] if isinstance(h, tuple) else h"] if result.several else []),
        "    passed.append((name, layer, z, h))",
        f"loss = (h * torch.randn(h.shape{script.on_cpu}){script.moved}).mean()",
        "",
        "",
        "def norm(*tensors):",
        "    gradients = torch.autograd.grad(loss, tensors, retain_graph=True)",
        "    return torch.stack([gradient.double().norm() for gradient in gradients]).norm()",
        "",
        "",
        *([f"flat = {slopes}".replace("'", '"')] if slopes else []),
        "for name, layer, z, h in passed:",
        *(f"    {line}" for line in _numbers(result)),
        "    print(name, list(h.shape), *(number.item() for number in numbers))",
    )


def _numbers(result: FlowResult) -> list[str]:
    """The lines that collect the numbers of one layer, without conditions that always hold."""
    rows = result.layers
    lines = ["if not h.requires_grad:", "    continue"]
    if all(row.gradient_norm is not None for row in rows):
        lines = []
    weighted, several = "p.dim() > 1", "y.numel() > 1"
    if any("Norm" in row.module for row in rows):
        weighted += ' and "Norm" not in type(layer).__name__'
    lines += [
        "numbers = [norm(h)]",
        *_added("norm(z) / numbers[0]", "z.requires_grad", [row.factor for row in rows]),
        f"weights = [p for p in layer.parameters() if {weighted}]",
        *_added("norm(*weights)", "weights", [row.weight_gradient_norm for row in rows]),
        "y = h.double()",
        "numbers.append(y.mean())",
        *_added("y.std()", several, [row.std for row in rows]),
    ]
    active = [row for row in rows if _share(row) is not None]
    if active:
        dead = "slope.dim() > 1 and len(slope) > 1"
        inner = [
            "slope = torch.autograd.grad(h.sum(), z, retain_graph=True)[0].abs()",
            "numbers.append((slope <= flat[name]).double().mean())",
            *_added("(slope == 0).all(0).double().mean()", dead, [row.dead for row in active]),
        ]
        lines += ["if name in flat:", *(f"    {line}" for line in inner)]
    return lines


def _added(number: str, condition: str, column: Sequence[Tensor | None]) -> list[str]:
    """The lines that add a number where there is one."""
    add = f"numbers.append({number})"
    if all(cell is None for cell in column):
        return []
    if any(cell is None for cell in column):
        return [f"if {condition}:", f"    {add}"]
    return [add]


def _make(script: Script, request: Flow, result: FlowResult) -> None:
    """The lines that make the input and the network."""
    x, (net,) = result.inputs["x"], result.factors
    script.inputs(result.inputs, request.literals, ["x"] if x.is_floating_point() else [])
    *before, last = (source.text.strip() for source in statements(Source(result.source)))
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


def _share(row: NetLayer) -> Tensor | None:
    """The share of the outputs of an activation at which its slope is flat."""
    return row.off if row.saturated is None else row.saturated
