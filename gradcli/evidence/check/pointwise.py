"""`--check` of results with many points: those of `--each`, the curves of `plot`, the layers of `flow`, each by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradcli import core
from gradcli import result_paths as addresses
from gradcli.evaluate import functions
from gradcli.evaluate.job import Job, once_more
from gradcli.evidence.check.compare import compare
from gradcli.evidence.check.probes import CHECKED, Probe, evenly
from gradcli.language.calls import Call
from gradcli.results import Checked, FlowResult, GradEachResult, PlotResult, Subject, SurfaceResult


def at_point(subject: Subject, index: Sequence[int]) -> Subject:
    """A subject that is differentiated by whole ranges at one point of them, `index` having a place for each."""
    point = {name: subject.inputs[name][place] for name, place in zip(subject.by, index, strict=True)}
    return subject._replace(inputs={**subject.inputs, **point})


def check_points(result: GradEachResult | PlotResult | SurfaceResult | FlowResult, job: Job) -> dict[str, Checked]:
    """The slopes at the points, or the norms of every activation's layers; of many some, chosen evenly."""
    found: dict[str, Checked] = {}
    if isinstance(result, GradEachResult):
        return _along(result, job)
    if isinstance(result, FlowResult):
        for call in result.calls:
            layers = [each for each in _layers(result, call, job) if each is not None]
            found[call.text] = _joined(layers, len(result.stack.layers), "layers", (_NORM,))
        return found
    for subject in result.pointwise:
        prefix = f"{subject.name}." if subject.name else ""
        shape = [len(subject.inputs[name]) for name in subject.by]
        total = torch.Size(shape).numel()
        by_name: dict[str, list[Checked]] = {}
        for place in evenly(total, Probe(at_point(subject, [0] * len(shape)), job).affordable):
            index = addresses.index(place, shape)
            for name, one in _at(result, at_point(subject, index), job).items():
                by_name.setdefault(name, []).append(replace(one, places=[f"{name}[{','.join(map(str, index))}]"]))
        found |= {prefix + name: _joined(points, total, "points") for name, points in by_name.items()}
    return found


def _along(result: GradEachResult, job: Job) -> dict[str, Checked]:
    """The gradients by each input at the points of `--each`."""
    points, by_name = result.pointwise, dict[str, list[Checked]]()
    for i in evenly(len(points), Probe(points[0], job).affordable) if points else ():
        place = f"{result.each}[{i}]"
        for name, one in _at(result, points[i], job).items():
            places = [place if name == result.each else f"{label} at {place}" for label in one.places]
            by_name.setdefault(name, []).append(replace(one, places=places))
    return {name: _joined(found, len(points), "points") for name, found in by_name.items()}


def _at(result: GradEachResult | PlotResult | SurfaceResult, point: Subject, job: Job) -> dict[str, Checked]:
    """The slopes at one point."""
    looked = Probe(point, job)
    found = {name: compare(result, point, name, looked) for name in point.by}
    return {name: one for name, one in found.items() if one is not None}


def _joined(found: Sequence[Checked], total: int, what: str, remarks: tuple[str, ...] = ()) -> Checked:
    """The verdicts on several points as those on one input."""

    def all_of(name: str) -> Tensor:
        return torch.cat([getattr(one, name) for one in found]) if found else torch.empty(0, dtype=torch.float64)

    said = list(dict.fromkeys(remark for one in found for remark in one.remarks))
    if len(found) < total:
        said.append(f"{len(found)} of {total} {what}, evenly spaced")
    return Checked(
        max_abs_error=max((one.max_abs_error for one in found), default=0.0),
        max_rel_error=max((one.max_rel_error for one in found), default=0.0),
        ok=all(one.ok for one in found),
        slopes=all_of("slopes"),
        closed=None if not found or any(one.closed is None for one in found) else all_of("closed"),
        difference=all_of("difference"),
        verdicts=[verdict for one in found for verdict in one.verdicts],
        places=[place for one in found for place in one.places],
        left=all_of("left"),
        right=all_of("right"),
        absolute=all_of("absolute"),
        relative=all_of("relative"),
        remarks=[*said, *remarks],
    )


# --- the layers of a flow -------------------------------------------------------------------------------------------

_NORM = "each norm is the slope of the loss along the layer's own gradient, computed through the next layer"


def _layers(result: FlowResult, call: Call, job: Job) -> Iterator[Checked | None]:
    """The norm in each layer that is looked at.

    A difference of the loss itself would tell nothing below a few layers: what is left of a vanishing gradient drowns in
    the loss's rounding. So each layer is moved along its gradient, and the one above weighs what comes out of it by the
    gradient that reached that one, made 1 in size.
    """
    layers = result.stack.layers
    weights = [layer.weight.detach().cpu().double() for layer in layers]
    biases = [None if layer.bias is None else layer.bias.detach().cpu().double() for layer in layers]
    upstream = result.stack.upstream.detach().cpu().double()
    with once_more(torch.float64):
        sums = _sums(call, result.stack.x.detach().cpu().double(), weights, biases)
        loss = (functions.activation(call)(sums[-1]) * upstream).mean()
        slopes = core.gradients(loss, {str(i): z for i, z in enumerate(sums)}, keep=True)
    room = Probe(_layer(call, sums[0], slopes["0"], upstream, weights[-1])[0], job).affordable
    for i in evenly(len(layers), min(CHECKED, room)):
        above = (upstream / upstream.numel(), None) if i == len(layers) - 1 else (slopes[str(i + 1)], weights[i + 1])
        subject, size = _layer(call, sums[i], slopes[str(i)], *above)
        looked = Probe(subject, job)
        if (one := compare(result, subject, "t", looked)) is not None:
            yield _scaled(one, size, f"layer {i + 1}")


def _sums(call: Call, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> list[Tensor]:
    """z of every layer, recorded."""
    activation, found = functions.activation(call), []
    h = x.requires_grad_()
    for weight, bias in zip(weights, biases, strict=True):
        z = torch.nn.functional.linear(h, weight, bias)
        found.append(z)
        h = activation(z)
    return found


def _layer(
    call: Call, z: Tensor, slope: Tensor | None, upstream: Tensor | None, weight: Tensor | None
) -> tuple[Subject, float]:
    """One layer as an expression of t, how far z has gone along its gradient, and by what the norm is its slope.

    A step of t is in proportion to z: of numbers as large as 1e40 a step of 1 would be lost.
    """
    d = torch.ones_like(z) if slope is None or not bool(slope.any()) else slope
    u = torch.zeros_like(z) if upstream is None else upstream
    size, reach = float(u.norm()) or 1.0, float(z.detach().abs().max()) or 1.0
    inputs = {"t": z.new_zeros(()), "z": z.detach(), "d": d * (reach / d.norm()), "u": u / size}
    output = call.applied("z + t*d")
    if weight is not None:
        inputs["w"] = weight
        output = f"({output} @ w.T)"
    return Subject("", f"({output}*u).sum()", inputs, ("t",), call=call), size / reach


def _scaled(one: Checked, size: float, place: str) -> Checked:
    """The verdict on a layer with its slope as the norm that it stands for."""
    scaled = {name: getattr(one, name) * size for name in ("slopes", "difference", "left", "right", "absolute")}
    closed = None if one.closed is None else one.closed * size
    return replace(one, **scaled, closed=closed, max_abs_error=one.max_abs_error * size, places=[place])
