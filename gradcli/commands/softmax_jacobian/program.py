"""The program of `softmax-jacobian`."""

from gradcli.commands.softmax_jacobian.request import SoftmaxJacobian
from gradcli.commands.softmax_jacobian.result import SoftmaxJacobianResult
from gradcli.show.program.script import Script


def program(script: Script, request: SoftmaxJacobian, result: SoftmaxJacobianResult) -> None:
    """Write the program that prints probabilities, label and Jacobian."""
    x = result.inputs["x"]
    script.inputs({"x": x}, {"x": request.vector}, ["x"])
    script.add("p = F.softmax(x, dim=-1)")
    script.show("p", "p")
    script.add('print("label", p.argmax().item())')
    if result.row_index is not None:
        element = f"p[{result.row_index}]"
        script.show(f"d {element}/d x", f"torch.autograd.grad({element}, x)[0]")
    else:
        row = "torch.autograd.grad(p_i, x, retain_graph=True)[0]"
        script.show("jacobian", f"torch.stack([{row} for p_i in p])")
