"""`check`: the user's code called, its gradients compared, and each difference put into a sentence."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.check import kinds, slips
from gradcli.commands.check.arguments import Arguments, as_tensor
from gradcli.commands.check.calling import Calls, RefusedError
from gradcli.commands.check.kinds import Own, Pair, Recorded, WithGradient
from gradcli.commands.check.probe import OwnProbe, SecondProbe, upstream_of
from gradcli.commands.check.request import Check
from gradcli.commands.check.result import CheckedInput, CheckResult
from gradcli.errors import CodeError, GradcliError, MathError, UsageError
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.evidence.check.compare import FAILED, Comparison
from gradcli.evidence.check.probes import evenly
from gradcli.language.suggest import did_you_mean
from gradcli.results import Checked, element
from gradcli.show import numbers

SAME = 1e-7
"""How close the value must be to that of --like, relative to the largest element."""


def compute(request: Check, job: Job) -> CheckResult:
    """The check of the user's code. Raises CodeError for what it raises, UsageError for its inputs."""
    calls = Calls(request.target.module, request.seed)
    inputs = {item.name: job.tensor(item.literal) for item in request.inputs}
    own = _own(request, calls, inputs)
    own.by = _by(request, own, job)
    outputs = [output.detach() for output in own.outputs(own.inputs)]
    total = sum(output.numel() for output in outputs)
    weighted = not isinstance(own, WithGradient)
    upstream = upstream_of(total) if weighted else None if total == 1 else torch.ones(total, dtype=torch.float64)
    faults: dict[str, tuple[str, Any]] = {}
    reason, finding = None, ""
    given: dict[str, Any] = {}
    try:
        given = own.gradients(own.inputs, upstream)
    except RefusedError as refused:
        reason, finding, given, faults = _refusal(own, refused, upstream)
    calls.quiet = True
    checks: dict[str, CheckedInput] = {}
    like: dict[str, Tensor | None] = {}
    if request.like is not None and reason is None:
        reason, finding, like = _like(request, own, outputs, upstream, job)
    if reason in (None, "forward"):
        checks = _Checks(own, upstream, given, faults, like, outputs).all(request.second)
    for name, function in own.mutated.items():
        text = f"{function} changes {name} in place: copy it first, or write an operation that makes a new one"
        if name not in checks:
            reason, finding = reason or "mutates", finding or text
        elif checks[name].ok:
            checks[name] = _of(checks[name], ok=False, reason="mutates", finding=text)
    made = "yours" if not (isinstance(own, Recorded) and own.plain) else "autograd"
    return CheckResult(
        **job.header("check", own.inputs | _numbers(own)),
        target=request.target.given.text,
        value=outputs[0] if len(outputs) == 1 else outputs,
        check=checks,
        ok=reason is None and all(each.ok for each in checks.values()),
        reason=reason,
        finding=finding,
        headings={"autograd": made, "closed form": "--like" if like else "autograd"},
    )


def _numbers(own: Own) -> dict[str, Tensor]:
    """The inputs that are Python numbers."""
    values = own.arguments.values
    return {n: torch.tensor(v) for n, v in values.items() if not isinstance(v, Tensor)}


# --- what is checked ----------------------------------------------------------------------------


def _own(request: Check, calls: Calls, inputs: Mapping[str, Tensor]) -> Own:
    """What the names of the file mean. Raises UsageError for anything that cannot be checked."""
    module = calls.load()
    found = [_find(module, name, request) for name in request.target.names]
    name, target = request.target.names[0], found[0]
    arrays = not _imports_torch(request)
    if len(found) == 2 or request.with_gradient:
        for each, function in zip(request.target.names, found, strict=True):
            if not callable(function):
                raise UsageError(f"{each} is no function", span=_place(request, each))
        arguments = Arguments(target, inputs, request.wrt, name=name)
        if len(found) == 1:
            return WithGradient(calls, target, arguments, name, arrays=arrays)
        return Pair(
            calls, target, arguments, name,
            arrays=arrays, backward=found[1], backward_name=request.target.names[1],
        )  # fmt: skip
    if isinstance(target, type) and issubclass(target, torch.nn.Module):
        needed = [
            p.name
            for p in inspect.signature(target).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if needed:
            hint = f"write net = {name}(...) into {request.target.path}, and check net"
            raise UsageError(f"{name} needs {', '.join(needed)} to be made", span=_place(request, name), hint=hint)
        target = calls(target)
    if isinstance(target, torch.nn.Module):
        target.double()
        parameters = {each: p.detach() for each, p in target.named_parameters()}
        arguments = Arguments(
            target.forward, inputs, request.wrt, name=f"{name}.forward", others=list(parameters)
        )
        for each, value in inputs.items():
            if each in parameters and each not in arguments.values:
                if value.shape != parameters[each].shape:
                    text = f"{each} has shape {list(parameters[each].shape)}, not {list(value.shape)}"
                    raise UsageError(text, hint="give it in its own shape")
                parameters[each].copy_(value)
        return Recorded(calls, target, arguments, name, module=target)
    if isinstance(target, type) and hasattr(target, "apply") and hasattr(target, "_backward_cls"):
        old = "setup_context" not in {key for kind in target.__mro__[:-3] for key in vars(kind)}
        arguments = Arguments(
            target.forward, inputs, request.wrt, name=f"{name}.forward", skip=1 if old else 0
        )
        return Recorded(calls, target.apply, arguments, name, positional=True)
    if not callable(target):
        what = f"{name} is a {type(target).__name__}, not a function, autograd.Function or module"
        raise UsageError(what, span=_place(request, name))
    arguments = Arguments(target, inputs, request.wrt, name=name)
    return Recorded(calls, target, arguments, name)


def _find(module: ModuleType, name: str, request: Check) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [each for each in dir(found) if not each.startswith("_")])
            message = f"{request.target.path} has no {name!r}"
            raise UsageError(message, span=_place(request, name), hint=hint)
        found = getattr(found, part)
    return found


def _place(request: Check, name: str) -> Any:
    start = request.target.given.text.rfind(name)
    return request.target.given.span(start, start + len(name))


def _imports_torch(request: Check) -> bool:
    from gradcli.commands.check.request import imported

    return "torch" in imported(request.target.module)


def _by(request: Check, own: Own, job: Job) -> list[str]:
    """The inputs that need a gradient. Raises UsageError, MathError."""
    try:
        return job.wrt(request.wrt, own.inputs, kinds.chosen(own, request.wrt))
    except MathError as error:
        if own.inputs:
            raise
        takes = [*own.arguments.signature.parameters]
        example = " ".join(f"{name}=..." for name in takes) or "NAME=T"
        hint = f"give its inputs: gradcli check {request.target.given.text} {example}"
        raise MathError(f"{own.name} has no input to differentiate by", hint=hint) from error


# --- what is found ------------------------------------------------------------------------------


def _of(checked: Checked, **changed: Any) -> CheckedInput:
    """The check of an input with further fields."""
    return CheckedInput(**{each.name: getattr(checked, each.name) for each in fields(checked)} | changed)


def _refusal(
    own: Own, refused: RefusedError, upstream: Tensor | None
) -> tuple[str | None, str, dict[str, Any], dict[str, tuple[str, Any]]]:
    """Reason and finding for the whole, or else gradients and refusals for each input.

    A refused shape is one input's: each is then differentiated by alone, so that the others count.
    """
    whole = refused.text.replace("{name}", "its input")
    direct = isinstance(own, Recorded) and own.positional
    if refused.reason == "count" or not (direct or len(own.by) == 1):
        return refused.reason, whole, {}, {}
    if refused.index is None and len(own.by) > 1:
        return refused.reason, whole, {}, {}
    given, faults, by = {}, {}, own.by
    for name in by:
        own.by = [name]
        try:
            given |= own.gradients(own.inputs, upstream)
        except RefusedError as error:
            given[name] = None
            faults[name] = (error.text.replace("{name}", name), None)
    own.by = by
    return None, "", given, faults


def _like(
    request: Check, own: Own, outputs: list[Tensor], upstream: Tensor | None, job: Job
) -> tuple[str | None, str, dict[str, Tensor | None]]:
    """Reason and finding if the value is not that of --like; else its gradients, by name."""
    program = job.program
    missing = [name for name in program.names if name not in own.inputs]
    if missing:
        hint = did_you_mean(missing[0], own.inputs) or f"the inputs are {', '.join(own.inputs)}"
        raise UsageError(f"--like: there is no input {missing[0]!r}", hint=hint)
    by = [name for name in own.by if name in program.names]
    live = core.require_grad({name: own.inputs[name] for name in program.names}, by)
    expected = evaluate(program, live, job.before).value
    mine = torch.cat([output.reshape(-1) for output in outputs])
    shapes = [list(output.shape) for output in outputs]
    if len(outputs) == 1 and shapes[0] != list(expected.shape) or mine.numel() != expected.numel():
        shape = shapes[0] if len(shapes) == 1 else shapes
        text = f"{own.name} returns shape {shape}, and the expression has shape {list(expected.shape)}"
        return "forward", text, {}
    flat = expected.detach().reshape(-1).double()
    size = float(flat[flat.isfinite()].abs().max()) if bool(flat.isfinite().any()) else 0.0
    same = torch.isclose(mine, flat, SAME, SAME * size, equal_nan=True)
    if not bool(same.all()):
        at = int((~same).int().argmax())
        place = element("value", at, expected if len(outputs) == 1 else mine)
        text = f"{place} is {_text(mine[at])}, and the expression gives {_text(flat[at])}"
        return "forward", text + _share(int((~same).sum()), len(flat)), {}
    if not by or not expected.requires_grad:
        return None, "", dict.fromkeys(own.by)
    output = expected.reshape(-1)
    output = output.reshape(()) if upstream is None else output
    slopes = core.gradients(output, {name: live[name] for name in by}, upstream=upstream)
    return None, "", {name: slopes.get(name) for name in own.by}


def _text(number: Any) -> str:
    return str(numbers.significant(float(number), 6))


def _share(wrong: int, total: int) -> str:
    return f" ({wrong} of {total} elements are wrong)" if total > 1 else ""


class _Checks:
    """The checks of all inputs of one piece of code."""

    def __init__(
        self, own: Own, upstream: Tensor | None, given: dict[str, Any],
        faults: dict[str, tuple[str, Any]], like: dict[str, Tensor | None], outputs: list[Tensor],
    ) -> None:  # fmt: skip
        self.own, self.upstream, self.given, self.faults = own, upstream, given, faults
        self.outputs, self.like = outputs, bool(like)
        self.references = like or own.reference(upstream)
        self.probe = OwnProbe(own, upstream)
        self._ones: dict[str, Tensor | None] = {}

    def all(self, second: bool) -> dict[str, CheckedInput]:
        """The check of each input, with --second of the second derivatives too."""
        checks = {name: self._checked(name) for name in self.own.by}
        if second and isinstance(self.own, Recorded):
            for name, checked in checks.items():
                if checked.ok:
                    checks[name] = self._second(self.own, name, checked)
        if all(checked.ok for checked in checks.values()) and self.upstream is None:
            checks = self._scaled(checks)
        return checks

    def _checked(self, name: str) -> CheckedInput:
        tensor, given = self.own.inputs[name], self.given.get(name)
        mine = as_tensor(given)
        text = self.faults.get(name, ("", None))[0]
        if not text and given is not None and mine is None:
            text = f"the gradient is a {type(given).__name__}, not a tensor"
        if not text and mine is not None and mine.shape != tensor.shape:
            text = f"the gradient has shape {list(mine.shape)}, but {name} has shape {list(tensor.shape)}"
        if text:
            right = self._compared(name, torch.zeros(tensor.numel()), None).difference
            slip, advice = None, ""
            if mine is not None and right.numel() == tensor.numel():
                slip, advice = slips.of_shape(mine.detach(), self._right(name, right))
            blank = torch.full((0,), math.nan)
            return CheckedInput(
                None, None, False, blank, None, blank, [], [], blank, blank, blank, blank, [],  # type: ignore[arg-type]
                reason="shape", slip=slip, finding=_joined(text, advice), compared=False,
            )  # fmt: skip
        slopes = torch.zeros(tensor.numel(), dtype=torch.float64) if mine is None else mine.detach().reshape(-1)
        checked = self._compared(name, slopes, self.references.get(name))
        if checked.ok and not self.like and checked.closed is not None and checked.max_rel_error > 1e-4:
            checked = self._compared(name, slopes, None)  # autograd cannot follow the code
        return self._judged(name, checked, missing=mine is None)

    def _compared(self, name: str, slopes: Tensor, closed: Tensor | None) -> Checked:
        pairs = self.probe.pairs(name)
        places = [place for _, place in pairs]
        reference = None if closed is None else closed.detach().reshape(-1)[places]
        trusted = reference
        if reference is not None and not self.like and not torch.allclose(reference, slopes[places], 1e-5, 1e-7):
            trusted = None  # what differences say counts, and autograd is shown beside them
        checked = Comparison(self.probe, name, pairs, slopes[places], trusted).checked()
        if reference is not None and trusted is None and not checked.ok:
            checked = _of(checked, closed=reference)
        return checked

    def _judged(self, name: str, checked: Checked, *, missing: bool) -> CheckedInput:
        """The check with a reason, and its sentence."""
        nan = checked.slopes.isnan()
        wrong = [at for at, verdict in enumerate(checked.verdicts) if verdict in FAILED]
        if missing and wrong:
            text = f"no gradient reaches {name}, but {self._changes(checked, wrong[0])}"
            return _of(checked, ok=False, reason="none", finding=text)
        if bool(nan.any()):
            at = int(nan.int().argmax())
            text = f"the gradient by {checked.places[at]} is NaN" + _share(int(nan.sum()), len(nan)).replace("wrong", "NaN")
            verdicts = ["wrong" if bad else verdict for bad, verdict in zip(nan.tolist(), checked.verdicts, strict=True)]
            return _of(checked, ok=False, reason="nan", finding=text, verdicts=verdicts)
        if not wrong:
            return _of(checked)
        worst = max(wrong, key=lambda at: float(checked.absolute[at].nan_to_num(0.0)))
        due = self._due(checked, worst)
        text = f"by {checked.places[worst]} it is {_text(checked.slopes[worst])}, and should be {_text(due)}"
        text += _share(len(wrong), len(checked.places))
        slip, advice = self._slip(name, checked)
        return _of(checked, reason="value", slip=slip, finding=_joined(text, advice))

    def _due(self, checked: Checked, at: int) -> float:
        """The right slope."""
        due = float(checked.difference[at])
        return due if checked.closed is None or not self.like else float(checked.closed[at])

    def _changes(self, checked: Checked, at: int) -> str:
        return f"the value depends on it: by {checked.places[at]} the slope is {_text(self._due(checked, at))}"

    def _slip(self, name: str, checked: Checked) -> tuple[str | None, str]:
        tensor = self.own.inputs[name]
        right = checked.closed if self.like and checked.closed is not None else checked.difference
        if right.numel() != tensor.numel() or not bool(right.isfinite().all()):
            return None, ""
        sizes = {size for each in (*self.outputs, *self.own.inputs.values()) for size in (each.numel(), *each.shape)}
        upstream = torch.ones(1) if self.upstream is None else self.upstream
        if len(self.outputs) == 1:
            upstream = upstream.reshape(self.outputs[0].shape)
        return slips.slip(
            checked.slopes.reshape(tensor.shape), self._right(name, right), upstream,
            sorted(size for size in sizes if size > 2), self._unweighted(name),
        )  # fmt: skip

    def _right(self, name: str, right: Tensor) -> Tensor:
        return right.reshape(self.own.inputs[name].shape)

    def _unweighted(self, name: str) -> Tensor | None:
        """The gradient by an input for an upstream gradient of ones, by differences."""
        if self.upstream is None or isinstance(self.own, WithGradient):
            return None
        probe = OwnProbe(self.own, torch.ones_like(self.upstream))
        places = evenly(self.own.inputs[name].numel(), probe.affordable)
        if len(places) < self.own.inputs[name].numel():
            return None
        zeros = torch.zeros(len(places), dtype=torch.float64)
        checked = Comparison(probe, name, probe.pairs(name), zeros, None).checked()
        return self._right(name, checked.difference)

    def _scaled(self, checks: dict[str, CheckedInput]) -> dict[str, CheckedInput]:
        """The checks of a value of one number, whose upstream gradient was 1, after another one."""
        if isinstance(self.own, WithGradient) or isinstance(self.own, Recorded) and self.own.plain:
            return checks
        factor = torch.tensor([1.5], dtype=torch.float64)
        again = self.own.gradients(self.own.inputs, factor)
        for name, checked in checks.items():
            once, now = as_tensor(self.given.get(name)), as_tensor(again.get(name))
            if once is None or now is None or torch.allclose(once * 1.5, now, 1e-6, 1e-12, equal_nan=True):
                continue
            text = "the gradient does not grow with the upstream gradient: with 1.5 instead of 1 it is "
            text += f"{_text(now.reshape(-1)[0])}, and should be {_text(1.5 * once.reshape(-1)[0])}"
            checks[name] = _of(
                checked, ok=False, reason="value", slip="upstream", finding=_joined(text, "multiply it in")
            )
        return checks

    def _second(self, own: Recorded, name: str, checked: CheckedInput) -> CheckedInput:
        """The check of the second derivative, if that is wrong; else the first."""
        for bent in (False, True):
            try:
                probe = SecondProbe(own, self.upstream, bent=bent)
                pairs = probe.pairs(name)
                found = Comparison(probe, name, pairs, probe.slopes(own.inputs, name, pairs), None).checked()
            except (GradcliError, RefusedError) as error:
                text = f"the gradient has no derivative of its own: {getattr(error, 'message', error)}"
                return _of(checked, ok=False, reason="second", finding=text)
            wrong = [at for at, verdict in enumerate(found.verdicts) if verdict in FAILED]
            if wrong or bool(found.slopes.isnan().any()):
                at = wrong[0] if wrong else 0
                text = f"the second derivative by {found.places[at]} is {_text(found.slopes[at])}, and should be {_text(found.difference[at])}"
                if bent:
                    text += ": the backward pass is differentiable, but not by its upstream gradient"
                return _of(checked, ok=False, reason="second", finding=text)
        return checked


def _joined(text: str, advice: str) -> str:
    return f"{text}; {advice}" if advice else text


