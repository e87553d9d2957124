"""The verdict on the gradient for each input, with a reason and a sentence."""

import math
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli.commands.check import slips
from gradcli.commands.check.arguments import as_tensor, is_complex
from gradcli.commands.check.calling import COMPLEX, RefusedError
from gradcli.commands.check.kinds import Own, Recorded, WithGradient, flattened
from gradcli.commands.check.probe import OwnProbe, SecondProbe
from gradcli.commands.check.result import CheckedInput
from gradcli.errors import GradcliError
from gradcli.evidence.check.compare import FAILED, Comparison
from gradcli.results import Checked
from gradcli.show import numbers

DRIFT = 2**10
"""How many machine epsilons of its size a value may differ by from one call to the next."""

Faults: TypeAlias = dict[str, tuple[str, Tensor | None]]
"""What PyTorch says of a gradient that it refuses, by input, and that gradient if it is known."""


class Verdicts:
    """The checks of all inputs of one piece of code."""

    def __init__(
        self, own: Own, upstream: Tensor | None, given: dict[str, Any],
        faults: Faults, like: dict[str, Tensor | None], outputs: list[Tensor],
    ) -> None:  # fmt: skip
        self.own, self.upstream, self.given, self.faults = own, upstream, given, faults
        self.outputs, self.like = outputs, bool(like)
        self.references = like or own.reference(upstream)
        self.probe = OwnProbe(own, upstream)

    def check_drift(self) -> None:
        """Raise a RefusedError if the value differs from that of the first call."""
        first, now = flattened(self.outputs), self.probe.base
        if first.shape != now.shape:
            text = f"{len(first)} numbers, then {len(now)}"
        else:
            scale = float(first[first.isfinite()].abs().sum())
            same = torch.isclose(first, now, 0, DRIFT * self.probe.epsilon * scale, equal_nan=True)
            if bool(same.all()):
                return
            at = int((~same).int().argmax())
            text = f"value[{at}] is {text_of(first[at])}, then {text_of(now[at])}"
        raise RefusedError(
            "state",
            f"calls with the same inputs return different values: {text}; keep nothing from one call to the "
            "next, and seed each random generator of your own in the function",
        )

    def all(self, second: bool) -> dict[str, CheckedInput]:
        """The check of each input, with --second of the second derivatives too."""
        checks = {name: self._checked(name) for name in self.own.by}
        if second and isinstance(self.own, Recorded):
            for name, checked in checks.items():
                if checked.ok:
                    checks[name] = self._second(self.own, name, checked)
        if all(checked.ok for checked in checks.values()) and self.upstream is None:
            self._scale(checks)
        return checks

    def _checked(self, name: str) -> CheckedInput:
        tensor, given = self.own.inputs[name], self.given.get(name)
        text, mine = self.faults.get(name, ("", as_tensor(given)))
        if not text and given is not None and mine is None:
            text = f"the gradient is a {type(given).__name__}, not a tensor"
            if is_complex(given):
                text = COMPLEX.format(name=name)
        if not text and mine is not None and mine.shape != tensor.shape:
            text = f"the gradient has shape {list(mine.shape)}, but {name} has shape {list(tensor.shape)}"
        if text:
            slip, advice = None, ""
            if mine is not None and (right := self.probe.differences(name)) is not None:
                slip, advice = slips.of_shape(mine.detach(), right)
            blank = torch.full((0,), math.nan)
            return CheckedInput(
                None, None, False, blank, None, blank, [], [], blank, blank, blank, blank, [],  # type: ignore[arg-type]
                reason="shape", slip=slip, finding=joined(text, advice), compared=False,
            )  # fmt: skip
        slopes = (torch.zeros_like(tensor) if mine is None else mine.detach()).reshape(-1)
        checked = self._compared(name, slopes, self.references.get(name))
        trusted = self.like or checked.closed is None or checked.max_rel_error <= 1e-4
        if checked.ok and not trusted:
            checked = self._compared(name, slopes, None)  # autograd cannot follow the code
        return self._judged(name, checked, missing=mine is None)

    def _compared(self, name: str, slopes: Tensor, closed: Tensor | None) -> Checked:
        pairs = self.probe.pairs(name)
        if len(pairs) < len(slopes) and (place := self.probe.suspect(name, slopes)) is not None:
            pairs = sorted({*pairs, (None, place)}, key=lambda pair: pair[1])
        places = [place for _, place in pairs]
        reference = None if closed is None else closed.detach().reshape(-1)[places]
        own = slopes[places]
        # Where autograd disagrees, what differences say counts, and it is shown beside them.
        agreed = reference is not None and (self.like or torch.allclose(reference, own, 1e-5, 1e-7))
        checked = Comparison(self.probe, name, pairs, own, reference if agreed else None).checked()
        return checked if agreed or checked.ok else of(checked, closed=reference)

    def _judged(self, name: str, checked: Checked, *, missing: bool) -> CheckedInput:
        """The check with a reason, and its sentence."""
        nan = checked.slopes.isnan()
        wrong = [at for at, verdict in enumerate(checked.verdicts) if verdict in FAILED]
        if missing and wrong:
            place, slope = checked.places[wrong[0]], text_of(self._due(checked, wrong[0]))
            text = f"no gradient reaches {name}, but the value depends on it: for {place} the slope is {slope}"
            return of(checked, ok=False, reason="none", finding=text)
        if bool(nan.any()):
            text = f"the gradient for {checked.places[int(nan.int().argmax())]} is NaN"
            text += share(int(nan.sum()), len(nan), "NaN")
            both = zip(nan.tolist(), checked.verdicts, strict=True)
            verdicts = ["wrong" if bad else verdict for bad, verdict in both]
            return of(checked, ok=False, reason="nan", finding=text, verdicts=verdicts)
        if not wrong:
            return of(checked)
        worst = max(wrong, key=lambda at: float(checked.absolute[at].nan_to_num(0.0)))
        due = self._due(checked, worst)
        text = f"the gradient {_off(checked, worst, due)}"
        text += share(len(wrong), len(checked.places))
        slip, advice = self._slip(name, checked)
        return of(checked, reason="value", slip=slip, finding=joined(text, advice))

    def _due(self, checked: Checked, at: int) -> float:
        """The right slope."""
        due = float(checked.difference[at])
        return due if checked.closed is None or not self.like else float(checked.closed[at])

    def _slip(self, name: str, checked: Checked) -> tuple[str | None, str]:
        tensor = self.own.inputs[name]
        right = checked.closed if self.like and checked.closed is not None else checked.difference
        if right.numel() != tensor.numel() or not bool(right.isfinite().all()):
            return None, ""
        known = (*self.outputs, *self.own.inputs.values())
        sizes = {size for each in known for size in (each.numel(), *each.shape)}
        upstream = torch.ones(1) if self.upstream is None else self.upstream
        if len(self.outputs) == 1:
            upstream = upstream.reshape(self.outputs[0].shape)
        unweighted = None  # the gradient for an upstream gradient of ones, by differences
        if self.upstream is not None and not isinstance(self.own, WithGradient):
            unweighted = OwnProbe(self.own, torch.ones_like(self.upstream)).differences(name)
        return slips.slip(
            checked.slopes.reshape(tensor.shape), right.reshape(tensor.shape), upstream,
            sorted(size for size in sizes if size > 2), unweighted,
        )  # fmt: skip

    def _scale(self, checks: dict[str, CheckedInput]) -> None:
        """Check a value of one number, whose upstream gradient was 1, with another one too."""
        if isinstance(self.own, WithGradient) or self.own.plain:
            return
        factor = torch.tensor([1.5], dtype=torch.float64)
        again = self.own.gradients(self.own.inputs, factor)
        for name, checked in checks.items():
            once, now = as_tensor(self.given.get(name)), as_tensor(again.get(name))
            if once is None or now is None:
                continue
            due = once * 1.5
            if not torch.allclose(due, now, 1e-6, 1e-12, equal_nan=True):
                text = (
                    "the gradient does not grow with the upstream gradient: with 1.5 instead of 1 it is "
                    f"{text_of(now.reshape(-1)[0])}, and should be {text_of(due.reshape(-1)[0])}; multiply it in"
                )
                checks[name] = of(checked, ok=False, reason="value", slip="upstream", finding=text)

    def _second(self, own: Recorded, name: str, checked: CheckedInput) -> CheckedInput:
        """The check of the second derivative, if that is wrong; else the first."""
        for bent in (False, True):
            try:
                probe = SecondProbe(own, self.upstream, bent=bent)
                pairs = probe.pairs(name)
                slopes = probe.slopes(own.inputs, name, pairs)
                found = Comparison(probe, name, pairs, slopes, None).checked()
            except (GradcliError, RefusedError) as error:
                text = (
                    f"the gradient has no derivative of its own: {getattr(error, 'message', error)}"
                )
                return of(checked, ok=False, reason="second", finding=text)
            wrong = [at for at, verdict in enumerate(found.verdicts) if verdict in FAILED]
            if wrong or bool(found.slopes.isnan().any()):
                at = wrong[0] if wrong else 0
                text = f"the second derivative {_off(found, at, float(found.difference[at]))}"
                if bent:
                    text += (
                        ": the backward pass is differentiable, but not by its upstream gradient"
                    )
                return of(checked, ok=False, reason="second", finding=text)
        return checked


def of(checked: Checked, **changed: Any) -> CheckedInput:
    """The check of an input with further fields."""
    return CheckedInput(**vars(checked) | changed)


def text_of(number: Any) -> str:
    """A number as sentences show it."""
    return numbers.significant(float(number), 6)


def _off(checked: Checked, at: int, due: float) -> str:
    slope = text_of(checked.slopes[at])
    return f"for {checked.places[at]} is {slope}, and should be {text_of(due)}"


def share(count: int, total: int, what: str = "wrong") -> str:
    """How many elements are wrong, or NaN; nothing for one number."""
    return f" ({count} of {total} elements {what})" if total > 1 else ""


def joined(text: str, advice: str) -> str:
    """A sentence and what follows from it."""
    return f"{text}; {advice}" if advice else text
