"""The program of `perceptron`: one layer, or its training."""

from gradcli.commands.perceptron.request import Perceptron
from gradcli.commands.perceptron.result import PerceptronResult, PerceptronTraining
from gradcli.show.program.script import Script


def program(
    script: Script, request: Perceptron, result: PerceptronResult | PerceptronTraining
) -> None:
    """Write the program of one layer, or of its training."""
    if isinstance(result, PerceptronTraining):
        _training(script, request, result)
    else:
        _layer(script, request, result)


def _layer(script: Script, request: Perceptron, result: PerceptronResult) -> None:
    inputs = result.inputs
    chosen = [name for name, slope in result.gradients.items() if slope is not None]
    script.inputs(inputs, request.literals, chosen)
    script.add("z = x @ w + b" if inputs["w"].ndim == 1 else "z = x @ w.T + b")
    values = {**inputs, "z": result.z, "output": result.output}
    script.add(f"output = {script.read(request.activation.applied('z'), values).value}")
    script.add(f"loss = {script.read(request.loss.applied('output', 'target'), values).value}")
    for name in ("z", "output", "loss"):
        script.show(name, name)
    if chosen:
        script.add("loss.backward()")
    for name in chosen:
        script.show(f"d/d{name}", f"{name}.grad")


def _training(script: Script, request: Perceptron, result: PerceptronTraining) -> None:
    """Write the program that prints one line for each epoch."""
    x, target = result.inputs["x"], result.inputs["target"]
    last = result.history[-1]
    script.inputs(result.inputs, request.literals, [])
    rule = request.activation.entry.derivative is None
    leaf = "" if rule else ", requires_grad=True"
    script.add(f"w = torch.zeros({x.shape[1]}{leaf})", f"b = torch.zeros((){leaf})")
    values = {**result.inputs, "w": last.w, "b": last.b, "row": x[0], "output": target}
    step = "" if request.lr in (None, 1) else f"{request.lr!r} * "

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
