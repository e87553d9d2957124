"""`activate`: value and elementwise derivative of each activation at x."""

from torch import Tensor

from gradcli import core
from gradcli.commands.activate.request import Activate
from gradcli.commands.activate.result import ActivateResult, FunctionValue
from gradcli.evaluate import implementations
from gradcli.evaluate.curves import NO_DERIVATIVE
from gradcli.evaluate.job import Job
from gradcli.evaluate.refusals import translated
from gradcli.evaluate.watched import of_activation
from gradcli.language.calls import Call
from gradcli.results import Subject


def compute(request: Activate, job: Job) -> ActivateResult:
    """The activations of `request`, each with its value and dy_i/dx_i in the shape of x."""
    x = job.floating("x", request.x)
    values = [_evaluate(call, x, job) for call in request.names]
    several = len(values) > 1
    subjects: list[Subject] = []
    underived: list[Subject] = []
    for call, value in zip(request.names, values, strict=True):
        subject = Subject(
            call.text if several else "", call.applied("x"), {"x": x}, ("x",), x.new_ones(()).expand_as(x), call,
            kind="diagonal" if call.entry.mixes else "gradient",
        )  # fmt: skip
        (underived if value.derivative is None else subjects).append(subject)
    header = job.header("activate", {"x": x}, subjects=subjects)
    return ActivateResult(**header, functions=values, underived=tuple(underived))


def _evaluate(call: Call, x: Tensor, job: Job) -> FunctionValue:
    function = implementations.activation(call)
    if call.entry.mixes:
        job.note("diagonal", f"{call.entry.name} mixes its inputs: the derivative is only the diagonal of the Jacobian; "
                 "softmax-jacobian shows all of it")  # fmt: skip
    with translated(call.text, {"x": x}):
        try:
            value, slope = (core.diagonal_slopes if call.entry.mixes else core.slopes)(function, x)
        except core.NoDerivativeError:
            job.note("no-derivative", NO_DERIVATIVE.format(call.entry.name))
            return FunctionValue(call.text, function(x), None)
    job.watched.append(of_activation(call, core.require_grad({"x": x}, ["x"])["x"], value, "x"))
    return FunctionValue(call.text, value, slope)
