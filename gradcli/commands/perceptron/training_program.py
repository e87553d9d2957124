"""The program of `perceptron --train`: the perceptron rule row by row, or gradient descent on the whole data."""

from gradcli.commands.perceptron.request import Perceptron
from gradcli.results import PerceptronTraining
from gradcli.show.program.script import Script


def training(script: Script, request: Perceptron, result: PerceptronTraining) -> None:
    """Write the program that prints one line for each epoch."""
    x, target = result.inputs["x"], result.inputs["target"]
    last = result.history[-1]
    script.inputs(result.inputs, {}, [])
    rule = request.activation.entry.derivative is None
    leaf = "" if rule else ", requires_grad=True"
    script.add(f"w = torch.zeros({x.shape[1]}{leaf})", f"b = torch.zeros((){leaf})")
    values = {
        "x": x,
        "target": target,
        "w": last.w,
        "b": last.b,
        "row": x[0],
        "t": target[0],
        "output": target,
        "z": target,
    }
    lr = 1.0 if request.lr is None else request.lr
    step = "" if lr == 1 else f"{lr!r} * "

    def output(of: str) -> str:
        return script.read(request.activation.applied(f"{of} @ w + b"), values).value

    loss = script.read(request.loss.applied("output", "target"), values).value
    script.add(f"for epoch in range(1, {result.epochs + 1}):")
    if rule:
        script.add(
            "    for row, t in zip(x, target):",
            f"        error = t - {output('row')}",
            f"        w, b = w + {step}error * row, b + {step}error",
        )
    else:
        script.add(
            f"    output = {output('x')}",
            f"    d_w, d_b = torch.autograd.grad({loss}, [w, b])",
            f"    w = (w - {step}d_w).detach().requires_grad_()",
            f"    b = (b - {step}d_b).detach().requires_grad_()",
        )
    script.add(
        f"    output = {output('x')}",
        "    errors = int((~((output - target).abs() < 0.5)).sum())",
        f"    print(epoch, errors, ({loss}).tolist(), w.tolist(), b.tolist())",
    )
