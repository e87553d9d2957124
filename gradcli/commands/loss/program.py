"""The program of `loss`."""

from gradcli.commands.loss.request import Loss
from gradcli.commands.loss.result import LossResult
from gradcli.show.program.script import Script


def program(script: Script, request: Loss, result: LossResult) -> None:
    """Write lines for the value, the gradient and the elements of each loss."""
    inputs = result.inputs
    script.inputs(inputs, request.literals, ["pred"])
    for call, loss in zip(request.names, result.losses, strict=True):
        script.add(f"loss = {script.read(call.compared(loss.reduction), inputs).value}")
        script.show(call.text, "loss")
        total = "loss.sum()" if loss.value.ndim else "loss"
        script.show(f"d {call.text}/d pred", f"torch.autograd.grad({total}, pred)[0]")
        if loss.elements is not None:
            elements = script.read(call.compared("none"), inputs).value
            value = f"({elements})" if " * " in elements else elements
            script.show(f"{call.text}, elements", value)
