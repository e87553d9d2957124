"""A subject recomputed in float64, with the same random numbers every time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.machine import After
from gradcli.evaluate.trace import Trace, program_of, pushed, replay
from gradcli.evaluate.watched import WatchedOp, used, watching
from gradcli.language.expressions.program import Step
from gradcli.results import Inputs, Subject, step_key

Held: TypeAlias = Mapping[Step, Sequence[Any]] | None
"""Operands that replace those of some steps."""


def widened(tensor: Tensor) -> Tensor:
    """The same numbers and shape in float64 on the CPU; integers and bools keep their dtype."""
    dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype, copy=True, memory_format=torch.contiguous_format)


class Seen(NamedTuple):
    """One run at some inputs: its value, what it assigned, and autograd's gradients.

    All tensors are detached, in float64 and of the shapes that the inputs give them. `gradients`
    are by inputs and, under `step_key`, by steps; there are none if the value is not one number
    and has no upstream gradient.
    """

    inputs: Inputs
    value: Tensor
    steps: Mapping[str, Any]
    gradients: Mapping[str, Tensor | None]
    upstream: Tensor | None


class Rerun:
    """One subject in float64: its value at any inputs, and its gradients.

    `coarsest` is the largest machine epsilon that the expression itself computes with: `x.half()`
    makes it float16's, in a job in float32.
    """

    def __init__(self, subject: Subject, job: Job) -> None:
        self.program = program_of(subject)
        self.inputs = {name: widened(tensor) for name, tensor in subject.inputs.items()}
        self.by = subject.by
        self.upstream = None if subject.upstream is None else widened(subject.upstream)
        self.coarsest = torch.finfo(torch.float64).eps
        self._before = job.before
        self._state = torch.Generator().manual_seed(torch.initial_seed()).get_state()

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The value, of any shape, at `inputs`, with the operands in `held`. Raises GradcliError."""

        def before(step: Step, operands: list[Any]) -> None:
            self._before(step, operands)
            if held is not None and step in held:
                operands[:] = held[step]

        with in_float64():
            return replay(self.program, inputs, self._state, before, self._watch).value

    def trace(self, inputs: Inputs, *, uses: bool = False) -> Trace:
        """The operations of a run at `inputs`, of any shapes. Raises GradcliError."""
        with in_float64():
            return Trace(self.program, inputs, self._state, self._before, uses=uses)

    def observe(self, inputs: Inputs, upstream: Tensor | None, after: After | None = None) -> Seen:
        """One run at `inputs`; `upstream` has the value's shape, and `after` is called after each
        operation. Raises GradcliError.
        """
        live = core.require_grad(inputs, self.by)
        with in_float64():
            outcome = replay(self.program, live, self._state, self._before, after)
        value, by = outcome.value, {name: live[name] for name in self.by}
        by |= {step_key(n): t for n, t in outcome.intermediates.items() if t.requires_grad}
        fits = value.numel() == 1 if upstream is None else upstream.shape == value.shape
        if not fits:
            found: dict[str, Tensor | None] = {}
        elif value.requires_grad:
            found = core.gradients(value, by, upstream=upstream)
        else:
            found = dict.fromkeys(by)
        steps = {n: s.detach() if isinstance(s, Tensor) else s for n, s in outcome.bound.items()}
        return Seen(inputs, value.detach(), steps, found, upstream)

    def operands(
        self, names: frozenset[str], inputs: Inputs | None = None
    ) -> dict[Step, list[Any]]:
        """The operands of the steps with one of these names, at `inputs` or at the subject's own."""
        inputs = self.inputs if inputs is None else inputs
        trace = self.trace(inputs)
        return {op.step: op.sources for op in trace.operations if short(op.step) in names}

    def watched(self) -> list[WatchedOp]:
        """The operations for notes, from a run at the subject's own inputs."""
        operations: list[WatchedOp] = []
        before, after = watching(self.program, self._before, operations)
        live = core.require_grad(self.inputs, self.by)
        with in_float64():
            value = replay(self.program, live, self._state, before, after).value
        return used(operations, value)

    def gradients(
        self, inputs: Inputs, upstream: Tensor | None = None, held: Held = None
    ) -> dict[str, Tensor | None]:
        """Autograd's gradients in the inputs' shapes; `upstream` has the value's shape."""
        return self.rows(inputs, [upstream], held)[0]

    def rows(
        self, inputs: Inputs, upstreams: Sequence[Tensor | None], held: Held = None
    ) -> list[dict[str, Tensor | None]]:
        """The same for several upstream gradients, in the shape of the value, from one run."""
        live = core.require_grad(inputs, self.by)
        value = self.value(live, held)
        chosen = {name: live[name] for name in self.by}
        if not value.requires_grad:
            return [dict.fromkeys(chosen) for _ in upstreams]
        return [core.gradients(value, chosen, upstream=up, keep=True) for up in upstreams]

    def _one_number(self, inputs: Inputs) -> tuple[Tensor, dict[str, Tensor]]:
        """The value of a subject that is one number, and the leaves that it depends on."""
        live = core.require_grad(inputs, self.by)
        value = self.value(live)
        core.check_recorded(value)
        return value.reshape(()), {name: live[name] for name in self.by}

    def hessian(self, inputs: Inputs) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """Gradient and Hessian of a subject that is one number, in the shapes of `core.hessian`."""
        return core.hessian(*self._one_number(inputs))

    def jvp(self, inputs: Inputs, along: Inputs) -> Tensor:
        """The derivative of the value in the direction `along`, in its shape, by forward mode."""
        with in_float64():
            return pushed(self.program, inputs, along, self._state, self._before)[0]

    def hvp(self, inputs: Inputs, along: Inputs) -> dict[str, Tensor]:
        """The Hessian's product with `along`, in the inputs' shapes, of a subject of one number."""
        slopes, products = core.hessian_product(*self._one_number(inputs), along)
        return {n: torch.zeros_like(slopes[n]) if p is None else p for n, p in products.items()}

    def _watch(self, step: Step, value: Any) -> None:
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            self.coarsest = max(self.coarsest, torch.finfo(value.dtype).eps)


def short(step: Step) -> str:
    """The last part of the name of a step: `detach` for `torch.detach` and `Tensor.detach`."""
    return step.name.rpartition(".")[2]
