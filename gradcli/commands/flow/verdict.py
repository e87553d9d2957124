"""The verdict of `flow`: what becomes of the gradient, why, and what cures it, found by trying."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from gradcli.commands.flow.network import (
    DRAWN,
    FLAT,
    STEADY,
    Change,
    Layer,
    Network,
    Run,
    initialise,
    is_steady,
    run,
    slope_at,
)
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import NetLayer
from gradcli.evaluate.job import Job

TRIED = 2**22
"""Weights, at most, for which cures are tried."""
IN_TURN = ("kaiming", "xavier", "default", "normal")
"""The ways to draw weights, in the order in which they are tried."""


def verdict(
    network: Network, done: Run, rows: Sequence[NetLayer], job: Job
) -> tuple[str, Change | None]:
    """What becomes of the gradient and why, and its change between two layers, if it has one."""
    name, norms = network.name, done.norms
    dtype = str(job.dtype).removeprefix("torch.")
    if zeros := sum(norms.get(i) == 0 for i in network.shown):
        part = f"{zeros} of {len(network.shown)} layers is exactly 0 in {dtype}"
        job.note("vanishing", f"{name}: the gradient of {part}")
    change = network.change(done)
    if not (network.stack and change):
        for i in sorted(norms, reverse=True):
            if not math.isfinite(norms[i]):
                lost = f"the gradient for {rows[i].name} is not finite in {dtype}"
                return f"{name}: exploding, {lost}", None
            if norms[i] == 0:
                return f"{name}: vanishing, {_cut(network.layers, done, i + 1, dtype)}", None
    if change is None:
        return f"{name}: one layer alone, so there is no factor per layer", None
    logs = {
        i: math.log(norms[i - 1]) - math.log(norms[i]) for i in range(change.last, change.first, -1)
    }
    product = _product(network, rows, logs, change)
    text = f"a factor of {change.factor:.3g}"
    if network.stack or change.steps > 1:
        text += " per layer"
    if not network.stack:
        way = f"from {rows[change.last].name} to {rows[change.first].name}"
        whole = f"{norms[change.first] / norms[change.last]:.3g} {way}"
        text += f" {way}" if change.steps == 1 else f" ({whole})"
    if not (network.stack or change.steady) and len(logs) > 3:
        worst = max(logs, key=lambda i: logs[i] / change.log)
        if logs[worst] / change.log > 0.5:
            product += f", most of it in {network.layers[worst].title}"
    return f"{name}: {change.word}, {text}: {product}", change


def _product(
    network: Network, rows: Sequence[NetLayer], logs: Mapping[int, float], change: Change
) -> str:
    """The factor per layer as a product of what each kind of layer gives, and why."""
    shares: dict[str, float] = {}
    for i, log in logs.items():
        part = network.layers[i].part
        shares[part] = shares.get(part, 1.0) * math.exp(log / change.steps)
    layers = [network.layers[i] for i in logs]
    reasons = {
        "the weights": "" if network.stack else _of_weights(layers, shares),
        "the slopes": _of_slopes([rows[i] for i in logs], network.layers),
    }
    return " times ".join(
        f"{share:.3g} from {part}{reasons.get(part, '')}"
        for part, share in shares.items()
        if part in reasons or f"{share:.3g}" != "1"
    )


def _cut(layers: Sequence[Layer], done: Run, i: int, dtype: str) -> str:
    """Why the gradient that layer `i` passes on is exactly 0; behind the last one, why it begins so."""
    if i == len(layers):
        return "the gradient of the result is 0 already"
    layer = layers[i]
    if layer.slopes and not bool(slope_at(done, i).any()):
        return f"no gradient passes {layer.title}: its slope is 0 at every output"
    if layer.weights and not any(bool(weight.any()) for weight in layer.weights):
        return f"no gradient passes {layer.title}: all its weights are 0"
    return f"the gradient that {layer.title} passes on is 0 in {dtype}"


def _of_weights(layers: Sequence[Layer], shares: Mapping[str, float]) -> str:
    """How large the weights are, if they do not keep the gradient as it is: a gradient of random
    direction keeps its size where their standard deviation is 1/sqrt(inputs).
    """
    drawn = [layer.weights[0] for layer in layers if isinstance(layer.module, DRAWN)]
    if is_steady(shares.get("the weights", 1.0)) or not drawn:
        return ""
    squares = [weight.detach().double().pow(2).mean() * weight[0].numel() for weight in drawn]
    size = math.exp(sum(math.log(float(square)) / 2 for square in squares) / len(squares))
    return f" (their root mean square is {size:.3g}/sqrt(inputs))"


def _of_slopes(rows: Sequence[NetLayer], layers: Sequence[Layer]) -> str:
    """Why the slopes are small, if they are: their largest, or how many are flat."""
    largest = max((layer.slopes.flat / FLAT for layer in layers if layer.slopes), default=1.0)
    reasons = [f"at most {largest:.3g}"] if largest < STEADY[0] else []
    for what in ("saturated", "off", "dead"):
        found = [float(share) for row in rows if (share := getattr(row, what)) is not None]
        share = sum(found) / len(found) if found else 0.0
        if share > FLAT and not (reasons and what == "saturated"):
            reasons.append(f"{share:.0%} {what}")
    return f" ({', '.join(reasons)})" if reasons else ""


# --- the cure ------------------------------------------------------------------------------------


def cure(
    network: Network, now: Change | None, trials: Iterable[tuple[str, Network]], job: Job
) -> str:
    """What keeps the gradient steady, found by running the trials, networks and how the user makes
    each. A steady one needs no cure; large networks are not tried, and get no advice.
    """
    size = sum(weight.numel() for layer in network.layers for weight in layer.weights)
    if (now and now.steady) or size > TRIED:
        return ""
    best: tuple[str, Change] | None = None
    nearest = abs(now.log / now.steps) if now else math.inf
    for how, trial in trials:
        change = trial.change(run(trial, job, ends=True))
        if change is None:
            continue
        distance, holds = abs(change.log / change.steps), is_steady(change.factor)
        if holds or distance < nearest:
            best, nearest = (how, change), distance
        if holds:
            break
    none = ", and no other --init keeps it steady" if network.stack else ""
    if best is None:
        return none
    how, change = best
    if change.steady:
        return f", but {how} keeps it steady ({change.factor:.3g})"
    nearest_is = f"the nearest is {how} ({change.factor:.3g})"
    return none or f"; nothing that was tried keeps it steady, {nearest_is}"


def trials(
    request: Flow, before: Network, network: Network, done: Run
) -> Iterator[tuple[str, Network]]:
    """For a network, as PyTorch drew it `before`, and its run: another --init, another activation in place of
    its own, and a normalisation after each layer with weights.
    """
    given = " instead of the given parameters" if len(request.literals) > 1 else ""
    for init in IN_TURN if before.drawn() else ():
        if init != request.init and not (init == "default" and given):
            yield f"--init {init}{given}", redrawn(deepcopy(before), init)
    last = before.counted[-1]
    replaced = [layer for layer in before.layers[:last] if layer.slopes]
    old = " and ".join(dict.fromkeys(f"nn.{layer.kind}" for layer in replaced))
    for new, init in (("ReLU", "kaiming"), ("Tanh", "xavier")):
        if old not in ("", f"nn.{new}"):
            module = getattr(nn, new)()
            layers = [x._replace(module=module) if x in replaced else x for x in before.layers]
            how = f"nn.{new} in place of {old} with --init {init}{given}"
            yield how, redrawn(deepcopy(before._replace(layers=layers)), init)
    if any("Norm" in layer.kind for layer in before.layers):
        return
    layers, added = [], dict[str, None]()
    for i, layer in enumerate(network.layers):
        layers.append(layer)
        if i < last and (norm := _normalisation(layer.module, done.outputs[i])):
            layers.append(Layer(layer.name, norm, span=layer.span))
            added[f"nn.{layers[-1].kind} after each nn.{layer.kind}"] = None
    if added:
        yield f"{' and '.join(added)} but the last", network._replace(layers=layers)


def redrawn(network: Network, init: str) -> Network:
    """A user's network with its weights drawn by `init`, in place."""
    assert network.state is not None
    torch.set_rng_state(network.state)
    initialise(network.drawn(), init)
    return network._replace(state=torch.get_rng_state())


def _normalisation(module: nn.Module, h: Tensor) -> nn.Module | None:
    """The normalisation of each sample that fits behind a layer whose output is `h`, or None."""
    if isinstance(module, nn.Linear):
        return nn.LayerNorm(h.shape[-1])
    if isinstance(module, nn.modules.conv._ConvNd) and h.ndim == module.weight.ndim:
        return nn.GroupNorm(1, h.shape[1])
    return None
