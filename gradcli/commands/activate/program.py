"""The program of `activate`."""

from gradcli.commands.activate.request import Activate
from gradcli.commands.activate.result import ActivateResult
from gradcli.show.program.script import Script


def program(script: Script, request: Activate, result: ActivateResult) -> None:
    """Write two lines of numbers for each activation."""
    x = result.inputs["x"]
    script.inputs({"x": x}, request.literals, ["x"])
    for call, function in zip(request.names, result.functions, strict=True):
        script.add(f"y = {script.read(call.applied('x'), {'x': x}).value}")
        script.show(call.text, "y")
        if function.derivative is None:
            continue
        if call.entry.mixes and x.ndim:
            rows = "torch.autograd.grad(y[..., i].sum(), x, retain_graph=True)[0][..., i]"
            script.show(f"{call.text}'", f"torch.stack([{rows} for i in range(x.shape[-1])], -1)")
        else:
            script.show(f"{call.text}'", "torch.autograd.grad(y.sum(), x)[0]")
