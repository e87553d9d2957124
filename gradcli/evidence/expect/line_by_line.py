"""A whole backward pass, line by line: each with autograd's numbers for the lines above it."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.errors import ExpressionError, GradcliError, UsageError
from gradcli.evaluate.job import Job, dtype_name, in_float64
from gradcli.evaluate.machine import assigned
from gradcli.evaluate.rerun import Seen
from gradcli.evidence.expect import claims
from gradcli.evidence.expect.claims import POINTS, Claim
from gradcli.evidence.expect.guesses import FEWEST
from gradcli.evidence.expect.misses import close
from gradcli.evidence.points import Sampler
from gradcli.options.backward_pass import BackwardPass, Line, bound_name
from gradcli.results import ExpectedLine, Origin, Result, Subject, step_key


def judged(
    backward: BackwardPass, tolerance: float, result: Result, job: Job, next_step: str
) -> dict[str, ExpectedLine]:
    """The verdict on each gradient that a line binds last, in the order of the lines.

    Raises UsageError if the result has no single gradient, or a line is the gradient for something
    that has none, and what a line raises at the given point.
    """
    passes = _Pass(backward, _subject(result), job)
    found: dict[str, ExpectedLine] = {}
    for line, name in passes.gradients():
        claim = passes.claim(line, name, tolerance, result)
        item = claims.compare(claim, f"no known slip gives this line: {next_step}", job)
        own = not item.ok and passes.right_with_own(claim)
        found[name] = ExpectedLine(
            **vars(item), line=line.number, own=own, place=line.span, unread=backward.unread
        )
    return found


def _subject(result: Result) -> Subject:
    """The one subject of a result, differentiated by all its inputs of floats."""
    match result.subjects:
        case [Subject(kind="gradient") as only] if result.of_one_gradient:
            floats = (name for name, tensor in only.inputs.items() if tensor.is_floating_point())
            return only._replace(by=tuple(floats))
    hint = "gradcli grad EXPR NAME=T --expect @backward.py"
    message = f"--expect: {result.command} has no single backward pass to compare with"
    raise UsageError(message, hint=hint)


class _Pass:
    """The lines of a backward pass, run at the points where autograd has run."""

    def __init__(self, backward: BackwardPass, subject: Subject, job: Job) -> None:
        self.lines, self.subject, self.job = backward.lines, subject, job
        self.last = {name: line for line in self.lines for name in line.gradients}
        self._reads: set[str] = set()  # before a line binds the name
        bound: set[str] = set()
        for line in self.lines:
            claims.check_parameters(line.program, subject)
            self._reads |= {*line.program.names} - bound
            bound |= {*line.program.assigned}
        self._classes = claims.classes_of(subject)
        self._runs: dict[tuple[int, bool], tuple[Seen, dict[str, Any]]] = {}
        self._samplers: dict[frozenset[str], Sampler] = {}

    def gradients(self) -> Iterator[tuple[Line, str]]:
        """The lines that bind a gradient last, and its name as it is written."""
        for line in self.lines:
            for name in line.gradients:
                if self.last[name] is line:
                    yield line, name

    def key(self, name: str) -> str:
        """What a d-name is the gradient by, as in `Seen.gradients`."""
        of = self.last[name].gradients[name]
        return of if of in self.subject.inputs else step_key(of)

    def claim(self, line: Line, name: str, tolerance: float, result: Result) -> Claim:
        """The claim that a line makes. Raises UsageError if there is no such gradient."""
        origin = Origin(self.subject, "gradient", self.key(name))

        def side(seen: Seen) -> Tensor:
            return _tensor(self._run(seen)[name], line)

        computed = self._computed(name, result)
        sampler = claims.sampler_of(origin, result, self.job, self._reads)
        sampler = self._samplers.setdefault(sampler.keeping, sampler)
        return Claim(name, line.text, origin, computed, side, sampler, tolerance)

    def _computed(self, name: str, result: Result) -> Tensor:
        """The gradient in the job's result; where that does not show it, in float64."""
        key, of = self.key(name), self.last[name].gradients[name]
        shown = {step_key(n): path for n, path in result.step_paths().items()}
        shown |= result.gradient_paths()
        if key in shown and isinstance(found := result_paths.find(result, shown[key]), Tensor):
            return found.detach().cpu()
        given = Sampler(self.subject, self.job, ()).given()
        if key not in given.gradients:
            if "." in of:
                raise claims.no_such(of, self.subject, self.last[name].span)
            known = given.steps.get(of, given.inputs.get(of))
            kind = dtype_name(known) if isinstance(known, Tensor) else type(known).__name__
            reason = f"it is {kind}, or does not depend on an input of floats"
            hint = f"rename {name} if it is a helper"
            message = f"{of} has no gradient: {reason}"
            raise UsageError(message, span=self.last[name].span, hint=hint)
        return _truth(given, key)

    def _run(self, seen: Seen, *, own: bool = False) -> dict[str, Any]:
        """What each gradient is bound to last; the lines below read autograd's number instead, or
        the line's own. Raises GradcliError for what PyTorch refuses.
        """
        if (kept := self._runs.get((id(seen), own))) is not None:
            return kept[1]
        values: dict[str, Any] = {}
        names = claims.scope(seen, self._classes)
        with in_float64():
            for line in self.lines:
                names |= assigned(line.program, names, self.job.before)
                for name in line.gradients:
                    if self.last[name] is line:
                        values[name] = names[bound_name(name)]
                        if not own and self.key(name) in seen.gradients:
                            names[bound_name(name)] = _truth(seen, self.key(name))
        self._runs[id(seen), own] = seen, values  # `seen` is kept, so that its id stays unique
        return values

    def right_with_own(self, claim: Claim) -> bool:
        """Whether a line that is off is right with the numbers of the lines above it."""
        right = 0
        for seen in islice(claim.sampler.points(), POINTS):
            try:
                value = self._run(seen, own=True)[claim.key]
            except GradcliError:
                return False
            truth = _truth(seen, claim.origin.name)
            same = isinstance(value, Tensor) and value.shape == truth.shape
            if not same or not bool(close(value.double(), truth, claim.tolerance).all()):
                return False
            right += 1
        return right >= FEWEST


def _truth(seen: Seen, key: str) -> Tensor:
    """Autograd's gradient; zeros for something that is not on the path."""
    found = seen.gradients[key]
    if found is not None:
        return found
    value: Tensor = seen.inputs[key] if key in seen.inputs else seen.steps[key[:-1]]
    return torch.zeros_like(value)


def _tensor(value: Any, line: Line) -> Tensor:
    """A gradient as a tensor in float64. Raises ExpressionError for anything but numbers."""
    if isinstance(value, Tensor) and not value.is_complex() and not value.is_sparse:
        return value.detach().double()
    if isinstance(value, bool | int | float):
        return torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, Tensor) and value.is_complex():
        hint = "write .real or .imag where this line should become real"
        raise ExpressionError("a gradient must be real", span=line.span, hint=hint)
    raise ExpressionError("a gradient must be one tensor", span=line.span)
