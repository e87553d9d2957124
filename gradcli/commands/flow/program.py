"""The program of `flow`: the stack, drawn once, and the gradient in it under each activation."""

import torch

from gradcli.commands.flow.compute import BATCH, INITS
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import FlowResult
from gradcli.show.program.script import Script


def program(script: Script, request: Flow, result: FlowResult) -> None:
    """Write the program that prints a line of statistics for each activation and layer."""
    width, on_cpu, moved = request.width, script.on_cpu, script.moved
    script.add(f"layers = [nn.Linear({width}, {width}{on_cpu}) for _ in range({request.layers})]")
    if request.init != "default":
        function, options = INITS[request.init]
        arguments = "".join(f', {name}="{value}"' for name, value in options.items())
        script.add(
            "for layer in layers:",
            f"    nn.init.{function}(layer.weight{arguments})",
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
