"""The user's code as what `--check` probes: a vector at any inputs, and its slopes."""

import math
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gradcli.commands.check import kinds
from gradcli.commands.check.arguments import as_tensor
from gradcli.commands.check.calling import RefusedError
from gradcli.commands.check.kinds import Own, Recorded
from gradcli.evaluate.rerun import Held
from gradcli.evidence.check.differences import usual_step
from gradcli.evidence.check.probes import CHECKED, Pair, Probe
from gradcli.results import Inputs

SECONDS = 20.0
"""What the differences for all inputs may take, as far as one call tells."""
CALLS = 4
"""Calls for one slope, on average: two, and hundreds for the few that are looked at closely."""
SEED = 20_061
"""The seed of upstream gradients: no seed that a user is likely to draw inputs with."""
QUICK = 0.01
"""Seconds of a call that gains nothing from several threads."""
FAR = 1e-3
"""A slope that is off by this part of the largest one is looked for among many."""


@contextmanager
def few_threads(own: Own) -> Iterator[None]:
    """One thread of PyTorch's while a call is quick: on a busy machine several of them wait for one
    another for longer than they compute, at each of a thousand calls.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        started = time.monotonic()
        own.value(own.inputs)
        if time.monotonic() - started > QUICK:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(threads)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


class _Names(TorchFunctionMode):
    """The names of the operations of a run, and the coarsest machine epsilon."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.epsilon = torch.finfo(torch.float64).eps

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(getattr(func, "__name__", "").removeprefix("linalg_"))
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.is_floating_point():
            self.epsilon = max(self.epsilon, torch.finfo(made.dtype).eps)
        return made


class OwnProbe(Probe):
    """The value of the user's code, weighted by an upstream gradient, [n], if it is several numbers.
    `operations` are the PyTorch functions that were called.
    """

    patience = 2
    upstream: Tensor | None = None  # found by running the code, where other probes have properties
    operations: Set[str] = frozenset()
    epsilon = 0.0

    def __init__(self, own: Own, upstream: Tensor | None) -> None:
        self.own, self.upstream = own, upstream
        started = time.monotonic()
        with _Names() as seen:
            self.base = self.value(own.inputs)
        self._seconds = time.monotonic() - started
        self.operations, self.epsilon = seen.names, seen.epsilon

    @property
    def inputs(self) -> Inputs:
        """The inputs in float64, each in its shape."""
        return self.own.inputs

    def at_kink(self) -> bool:
        """Whether autograd's own operations may be at a kink: a gradient written by hand is right."""
        return self.own.plain

    def held(self) -> Held:
        """Nothing is held constant: what cuts a gradient may be the mistake."""
        return None

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The vector, flat: shape [n]."""
        return self.own.value(inputs)

    def slopes(self, inputs: Inputs, name: str, pairs: Sequence[Pair]) -> Tensor:
        """The user's slopes for the pairs at `inputs`, [pairs]; 0 without a gradient."""
        try:
            gradient = as_tensor(self.own.gradients(inputs, self.upstream)[name])
        except RefusedError:
            gradient = None
        if gradient is not None and gradient.numel() != self.inputs[name].numel():
            gradient = None
        return _chosen(gradient, pairs)

    def differences(self, name: str) -> Tensor | None:
        """The slopes by an input, in its shape, as differences at one step alone; None for more
        than are affordable.
        """
        x = self.inputs[name].reshape(-1)
        if len(self.pairs(name)) < len(x):
            return None
        slopes = torch.empty_like(x)
        for place, number in enumerate(x.tolist()):
            one = torch.zeros_like(x)
            one[place] = 1
            slopes[place] = self._along(name, one, usual_step(number, self.epsilon))
        return slopes.reshape(self.inputs[name].shape)

    def suspect(self, name: str, slopes: Tensor) -> int | None:
        """The place of one slope that is far off, where differences along random directions show one
        among all `slopes` by an input, [n]; None if they show none.

        Half of the places that hold it is kept until one is left (bisection).
        """
        x = self.inputs[name].reshape(-1)
        step = usual_step(float(x.abs().max()), self.epsilon)
        direction = torch.randn(len(x), generator=_generator(), dtype=torch.float64)
        places = torch.arange(len(x))

        def off(kept: Tensor) -> bool:
            along = torch.zeros_like(direction).index_copy(0, kept, direction[kept])
            expected, most = float(slopes @ along), float((slopes * along).abs().max())
            return abs(self._along(name, along, step) - expected) > FAR * most + 1e-6

        while len(places):
            if not off(places):
                return None
            if len(places) == 1:
                return int(places[0])
            half = places[: len(places) // 2]
            places = half if off(half) else places[len(half) :]
        return None

    def _along(self, name: str, along: Tensor, step: float) -> float:
        """The central difference of the value along a direction of an input, [n]."""
        tensor = self.inputs[name]
        moved = (tensor + (sign * step * along).reshape(tensor.shape) for sign in (1, -1))
        sides = [self.value({**self.inputs, name: each}) for each in moved]
        return self.change(sides[0], sides[1], None)[0] / (2 * step)

    @property
    def affordable(self) -> int:
        """How many slopes by one input can be checked in some seconds."""
        each = self._seconds * CALLS * max(1, len(self.own.by))
        return max(8, min(CHECKED, int(SECONDS / max(each, 1e-9))))


class SecondProbe(OwnProbe):
    """The user's gradient, weighted by random numbers: its slopes are second derivatives.

    If `bent`, the value is squared first, so that the upstream gradient of the user's backward
    depends on the inputs too.
    """

    def __init__(self, own: Recorded, outer: Tensor | None, *, bent: bool) -> None:
        self._recorded, self._outer, self._bent = own, outer, bent
        super().__init__(own, None)
        chance = _generator()
        self._weights = {
            name: torch.randn(self.inputs[name].shape, generator=chance, dtype=torch.float64)
            for name in own.by
        }
        self.upstream = kinds.flattened([*self._weights.values()])

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The gradient for all inputs, flat: shape [n]."""
        return kinds.flattened([*self._recorded.twice(inputs, self._outer, self._bent)[0].values()])

    def slopes(self, inputs: Inputs, name: str, pairs: Sequence[Pair]) -> Tensor:
        """The second derivatives for the pairs at `inputs`, [pairs]; 0 without any."""
        found = self._recorded.twice(inputs, self._outer, self._bent, self._weights)[1][name]
        return _chosen(found, pairs)


def _chosen(gradient: Tensor | None, pairs: Sequence[Pair]) -> Tensor:
    """The slopes for the pairs, float64 [pairs]; 0 without a gradient."""
    if gradient is None:
        return torch.zeros(len(pairs), dtype=torch.float64)
    return gradient.detach().reshape(-1)[[place for _, place in pairs]].double()


def upstream_of(size: int) -> Tensor | None:
    """One fixed random upstream gradient for `size` numbers, [size]; None for one number.

    No element is near 0, so that each counts.
    """
    if size == 1:
        return None
    drawn = torch.randn(size, generator=_generator(), dtype=torch.float64)
    return drawn + drawn.sign() / math.pi
