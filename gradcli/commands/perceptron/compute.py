"""`perceptron`: one layer forward with its gradient, or trained from zeros."""

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import Loss
from gradcli.commands.perceptron.request import Perceptron
from gradcli.commands.perceptron.result import Epoch, PerceptronResult, PerceptronTraining
from gradcli.errors import ShapeError
from gradcli.evaluate import implementations
from gradcli.evaluate.job import Job
from gradcli.evaluate.refusals import translated
from gradcli.evaluate.watched import of_activation, of_loss
from gradcli.language.literals import literal
from gradcli.language.source import Source
from gradcli.results import Subject

_CORNERS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
_TRUTH = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "xor": [0, 1, 1, 0], "nand": [1, 1, 1, 0]}
EPOCHS = 100


def compute(request: Perceptron, job: Job) -> PerceptronResult | PerceptronTraining:
    """The layer of `request`, forward and backward, or its training."""
    return _train(request, job) if request.train else _forward(request, job)


def _forward(request: Perceptron, job: Job) -> PerceptronResult:
    inputs = {
        name: job.number(0) if literal is None else job.tensor(literal)
        for name, literal in request.literals.items()
    }
    _check_shapes(inputs["x"], inputs["w"], inputs["b"])
    chosen = job.wrt(request.wrt, inputs, ("w", "b", "x"))
    live = core.require_grad(inputs, chosen)
    with translated("perceptron", inputs):
        z = live["x"] @ live["w"].movedim(-1, 0) + live["b"]
        output = implementations.activation(request.activation)(z)
        target = implementations.index_target(request.loss, output, live["target"])
        _check_target(output, target, request)
        loss = implementations.loss(request.loss, None)(output, target)
        job.watched += [
            of_activation(request.activation, z, output, "z"),
            of_loss(request.loss, output, target, loss, "O"),
        ]
        try:
            gradients = core.gradients(loss, {name: live[name] for name in chosen})
        except core.NoDerivativeError:
            reason = f"PyTorch has no derivative of {request.activation.entry.name}"
            result = "so there is no gradient; --train uses the perceptron rule instead"
            job.note("no-derivative", f"{reason}, {result}")
            gradients = dict.fromkeys(chosen)
    product = "x @ w + b" if inputs["w"].ndim == 1 else "x @ w.T + b"
    text = f"z = {product}; O = {request.activation.applied('z')}; {request.loss.applied('O', 'target')}"
    by = tuple(name for name, slope in gradients.items() if slope is not None)
    subjects = [Subject("", text, inputs, by)] if by else []
    return PerceptronResult(
        **job.header("perceptron", inputs, ["b"] if request.b is None else [], subjects),
        z=z,
        output=output,
        loss=loss,
        gradients=gradients,
        layer=f"O = {request.activation.text}(x @ w.T + b), {request.loss.text}(O, target)",
        calls=(request.activation, request.loss),
    )


def _check_shapes(x: Tensor, w: Tensor, b: Tensor) -> None:
    """Raise ShapeError unless x is [in] or [batch, in], w [in] or [out, in], b [] or [out]."""
    shapes = f"x {list(x.shape)}, w {list(w.shape)}, b {list(b.shape)}"
    if x.ndim not in (1, 2) or w.ndim not in (1, 2) or x.shape[-1] != w.shape[-1]:
        raise ShapeError(
            f"the last dimension of x and of w must be the number of inputs: {shapes}",
            hint="x is [in] or [batch, in]; w is [in] for one output, or [out, in]",
        )
    if b.ndim and (w.ndim == 1 or b.shape != w.shape[:1]):
        message = f"b must be one number, or one per output: {shapes}"
        raise ShapeError(message, hint="give b one number for each row of w")
    if not all(tensor.is_floating_point() for tensor in (x, w, b)):
        message = "x, w and b must be floating-point numbers"
        raise ShapeError(message, hint="write 1.0, not tensor(1) or True")


def _check_target(output: Tensor, target: Tensor, request: Perceptron) -> None:
    entry = request.loss.entry
    elementwise = isinstance(entry, Loss) and entry.target not in ("class", "labels")
    if elementwise and output.shape != target.shape:
        raise ShapeError(
            f"the target must have the shape of the output: target {list(target.shape)}, output {list(output.shape)}",
            hint="give one target for each output",
        )


def _train(request: Perceptron, job: Job) -> PerceptronTraining:
    """Full-batch gradient descent on E, or the perceptron rule if the activation has no derivative.

    The rule is w += lr (t - O) x for one row after the other (F. Rosenblatt, The Perceptron, 1958).
    It stops when no row is misclassified: from then on it changes nothing.
    """
    x, target = _data(request, job)
    lr = 1.0 if request.lr is None else request.lr
    rule = request.activation.entry.derivative is None
    activation = implementations.activation(request.activation)
    compared = implementations.loss(request.loss, None)

    def loss(output: Tensor) -> Tensor:
        with translated(request.loss.text, {"output": output, "target": target}):
            return compared(output, target)

    if rule and not bool(((target == 0) | (target == 1)).all()):
        message = "the perceptron rule needs targets of 0 and 1"
        raise ShapeError(message, hint="use --activation sigmoid or other targets")
    w, b = x.new_zeros(x.shape[1]), x.new_zeros(())
    history: list[Epoch] = []
    total = request.epochs or EPOCHS
    for epoch in range(1, total + 1):
        job.begin_step(epoch, total)
        if rule:
            for row, t in zip(x, target, strict=True):
                error = t - activation(row @ w + b)
                w, b = w + lr * error * row, b + lr * error
        else:
            live = core.require_grad({"w": w, "b": b}, ["w", "b"])
            slopes = core.gradients(loss(activation(x @ live["w"] + live["b"])), live)
            w, b = (
                old if slope is None else old - lr * slope
                for old, slope in zip((w, b), slopes.values(), strict=True)
            )
        output = activation(x @ w + b)
        errors = int((~((output - target).abs() < 0.5)).sum())  # NaN is an error too
        history.append(Epoch(epoch, errors, loss(output), w, b))
        if rule and not errors:
            break
    last = history[-1]
    return PerceptronTraining(
        **job.header("perceptron", {"x": x, "target": target}),
        epochs=last.epoch,
        converged=not last.errors,
        w=w,
        b=b,
        history=history,
        layer=f"learning {request.train} with {request.activation.text}",
    )


def _data(request: Perceptron, job: Job) -> tuple[Tensor, Tensor]:
    """The rows to learn, [rows, in], and their targets, [rows]."""
    if request.train in _TRUTH:
        table = torch.tensor(_CORNERS, dtype=job.dtype, device=job.device)
        return table, torch.tensor(_TRUTH[request.train], dtype=job.dtype, device=job.device)
    table = job.tensor(literal.parse(Source(request.train, "--train")))
    if table.ndim != 2 or table.shape[1] < 2 or not table.shape[0]:
        raise ShapeError(
            f"--train needs rows of inputs with the target in the last column, got shape {list(table.shape)}",
            hint="a CSV file with lines such as 0,1,1",
        )
    table = table.to(job.dtype)
    return table[:, :-1], table[:, -1]
