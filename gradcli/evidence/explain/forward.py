"""`--explain` of `--jvp`: the chain rule in forward mode, a row per operation and operand.

Tangents are those of one run of PyTorch's forward mode. What an operand adds to the tangent of a
value is the jvp of that operation alone, with a tangent in this operand only.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue import derivative_rules
from gradcli.evaluate.job import Job
from gradcli.evaluate.naming import NAMELESS, Names
from gradcli.evaluate.trace import ExecutedOp, Trace, Use, program_of, pushed, tensors
from gradcli.evidence.explain import local_rules
from gradcli.evidence.explain.ledger import note_complex, operands_of, shown
from gradcli.evidence.explain.local_formulas import LONGEST, formula
from gradcli.evidence.explain.local_rules import Local, in_words, is_elementwise, known_as, slope
from gradcli.results import ForwardRow, Subject

DRAWS = 4
"""Random tangents, each with both signs, that show whether an operation is linear: a median or a
maximum of few numbers may pick the same one for some of them."""


def forward_ledger(subject: Subject, job: Job) -> list[ForwardRow]:
    """The rows of a subject in a direction: its inputs, every operation in order, the jvp.

    Raises AssertionError, a fault of gradcli, if the rows do not add up to what forward mode
    computes without them.
    """
    program, along = program_of(subject), subject.directions
    state = torch.get_rng_state() if subject.state is None else subject.state
    inputs = {name: tensor.detach() for name, tensor in subject.inputs.items()}
    plain = pushed(program, inputs, along, state, job.before)[0]
    rows = [
        ForwardRow(n, "input", t, None, along.get(n), None, kind="input", subject=subject)
        for n, t in inputs.items()
    ]
    live = core.require_grad(inputs, subject.by)
    with core.forward_mode() as mode:
        trace = Trace(program, mode.duals(live, along), state, job.before, uses=True)
        run = _Run(subject, mode, trace)
        note_complex(run.names, trace.followed, job)
        for operation in trace.followed:
            rows += run.rows(operation)
        jvp = mode.tangent(trace.value)
    assert _adds_up([jvp], plain), "the forward ledger's jvp is not forward mode's"
    value = trace.value.detach()
    rows.append(ForwardRow("jvp", "jvp", value, None, None, jvp, kind="jvp", subject=subject))
    return rows


class _Run:
    """One run of a subject in forward mode, in which each operation can be tried alone."""

    def __init__(self, subject: Subject, mode: core.ForwardMode, trace: Trace) -> None:
        self._subject, self._mode, self._trace = subject, mode, trace
        self.names = Names(trace)
        self._chance = torch.Generator().manual_seed(0)

    def rows(self, operation: ExecutedOp) -> list[ForwardRow]:
        """One row for each use of a tensor that has a tangent."""
        moving = {id(r) for r in operation.results if self._mode.unpack(r)[1] is not None}
        ended = not any(result.requires_grad for result in operation.results)
        name, result = shown(self.names, operation, moving)
        value = None if result is None else result.detach().to_dense()
        result = None if ended else result
        function = self.names.function(operation.step) or operation.name
        rows: list[ForwardRow] = []
        for use, operand in zip(operation.uses, operands_of(self.names, operation), strict=True):
            tangent = self._mode.tangent(use.tensor).to_dense()
            product, local = None, in_words(derivative_rules.ENDED.replace("gradient", "tangent"))
            if result is not None:
                product = self._alone(operation, use, result, tangent).to_dense()
                local = self._local(operation, use, result, tangent, product)
            elif not ended:
                local = in_words(_moved(known_as(operation)) or f"jvp of {operation.name}")
            rows.append(ForwardRow(
                name, f"{operand} -> {function}", value, local.value, tangent, product, local.rule,
                operand=operand, subject=self._subject,
            ))  # fmt: skip
        if result is not None and self._trace.complete:
            total = self._mode.tangent(result).to_dense()
            parts = tuple(row.product for row in rows if row.product is not None)
            assert _adds_up(parts, total), "the products do not add up to the tangent"
            if len(parts) > 1:
                rows[-1] = replace(rows[-1], paths=parts, total=total)
        return rows

    def _local(
        self, operation: ExecutedOp, use: Use, result: Tensor, tangent: Tensor, product: Tensor
    ) -> Local:
        """The local derivative in numbers if tangent * local is the product, else a rule in words."""
        name = known_as(operation)
        if result.is_complex() or use.tensor.is_complex():  # of whose rules few hold both ways
            words = self._linear(operation, use, result) or f"jvp of {operation.name}"
            return in_words(f"{words}: {list(tangent.shape)} -> {list(product.shape)}")
        one_by_one = len(operation.results) == 1 and name not in derivative_rules.MOVES
        if one_by_one and (not result.ndim or is_elementwise(operation)):
            rule = formula(self.names, operation, use, result, name)
            rule = rule or re.sub(r"^tangent ?\* ?", "", self._backward(operation, use, name))
            if not rule or "tangent" in rule:
                rule = self._linear(operation, use, result) or f"d {operation.name} / d operand"
            local = local_rules.in_numbers(operation, use, result, tangent, product)
            words = rule if "tangent" in rule else f"tangent * ({rule})"
            return in_words(words) if local is None else Local(local, rule)
        words = (
            local_rules.by_role(derivative_rules.FORWARD, operation, use, name)
            or self._linear(operation, use, result)
            or self._reduced(operation, use, result, name)
            or self._symmetric(operation, use, result, name)
            or _moved(name)
            or f"jvp of {operation.name}"
        )
        return in_words(f"{words}: {list(tangent.shape)} -> {list(product.shape)}")

    def _backward(self, operation: ExecutedOp, use: Use, name: str) -> str:
        """The rule by which the operation passes a gradient on, with the tangent instead of it."""
        rule = local_rules.rule_for(self.names, operation, use, name)
        return rule.replace("upstream", "tangent")

    def _linear(self, operation: ExecutedOp, use: Use, result: Tensor) -> str:
        """The operation applied to the tangent, if that is the rule: one that is linear in the operand,
        up to a constant. Random tangents of both signs show whether it is.
        """
        several = len(operation.results) > 1
        if several or operation.state is not None or operation.step.kind == "index":
            return ""
        try:
            zero = self._result(operation, use, result, torch.zeros_like(use.tensor.detach()))
            for _ in range(DRAWS):
                drawn = self._drawn(use.tensor)
                moved = self._alone(operation, use, result, drawn)
                for sign in (1, -1):
                    there = self._result(operation, use, result, sign * drawn)
                    if not _alike(there - zero, sign * moved):
                        return ""
        except Exception:  # whatever PyTorch raises for another operand
            return ""
        if len(use.place) > 1:
            return f"{operation.name} of the tangent, with 0 for the others"
        text = self._applied(operation, use, "tangent")
        without = f" - {self._applied(operation, use, '0')}" if bool(zero.any()) else ""
        if text and len(text + without) <= LONGEST:
            return text + without
        return f"{operation.name} of the tangent{' without its constant' if without else ''}"

    def _applied(self, operation: ExecutedOp, use: Use, operand: str) -> str:
        """The operation as text, with another operand in the place of one use; empty without a name
        for every operand.
        """
        name, kind = operation.name, operation.step.kind
        texts, place = self.names.operands(operation), use.place[0] - (kind == "apply")
        if kind == "attribute":
            return f"{operand}.{name}"
        if place >= len(texts):
            return ""
        texts[place] = operand
        more = [f"{key}={self.names.of(value)}" for key, value in operation.keywords.items()]
        infix = kind == "operator" and len(texts) == 2
        text = f" {name} ".join(texts) if infix else f"{name}({', '.join([*texts, *more])})"
        return "" if NAMELESS in text else text

    def _reduced(self, operation: ExecutedOp, use: Use, result: Tensor, name: str) -> str:
        """The rule of one that makes a number of each row: a sum over what it passes back."""
        if name not in (*derivative_rules.ALONG, "norm") or result.numel() >= use.tensor.numel():
            return ""
        return f"{self._backward(operation, use, name)}, summed along the dimension"

    def _symmetric(self, operation: ExecutedOp, use: Use, result: Tensor, name: str) -> str:
        """The rule of one with a symmetric Jacobian at any operands: that of a gradient."""
        drawn = self._drawn(use.tensor)
        if result.shape != drawn.shape or len(operation.results) > 1 or len(use.place) > 1:
            return ""
        operation = replace(operation, operands=[*map(self._drawn, operation.operands)])
        use = replace(use, tensor=operation.operands[use.place[0]])
        back = slope(operation, use, drawn.shape, drawn)
        if back is None or not _alike(back, self._alone(operation, use, result, drawn)):
            return ""
        rule = self._backward(operation, use, name)
        return rule if "tangent" in rule or not rule else f"tangent * ({rule})"

    def _drawn(self, like: Any) -> Any:
        """A random tangent of an operand, or another operand like it; whole numbers stay."""
        if not (isinstance(like, Tensor) and (like.is_floating_point() or like.is_complex())):
            return like
        dtype = torch.complex128 if like.is_complex() else torch.float64
        drawn = torch.randn(like.shape, generator=self._chance, dtype=dtype)
        return drawn.to(like.device, like.dtype)

    def _alone(self, operation: ExecutedOp, use: Use, result: Tensor, tangent: Tensor) -> Tensor:
        """The tangent of one result if this operand alone has a tangent."""
        dual = self._mode.dual(use.tensor.detach(), tangent)
        return self._mode.tangent(self._result(operation, use, result, dual))

    def _result(self, operation: ExecutedOp, use: Use, result: Tensor, operand: Tensor) -> Tensor:
        """One result of the operation with another operand in the place of one use."""
        place = next(i for i, each in enumerate(operation.results) if each is result)
        return list(tensors(operation.again({use.place: operand})))[place]


def _moved(name: str) -> str:
    """The rule of an operation that moves numbers and changes none; empty for any other."""
    return "the tangent of each number, moved with it" if name in derivative_rules.MOVES else ""


def _adds_up(parts: Sequence[Tensor], total: Tensor) -> bool:
    """Whether the sum of tensors of one shape is `total` where all are finite, up to rounding: a
    product that an operation adds up of many terms is rounded as the largest of them.
    """
    every = torch.stack([total, *parts])
    finite = every.isfinite().all(0)
    size = float(every[:, finite].abs().max()) if bool(finite.any()) else 0.0
    off = (sum(parts, torch.zeros_like(total)) - total)[finite].abs()
    return bool((off <= torch.finfo(total.dtype).eps ** 0.5 * size).all())


def _alike(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors of one shape are equal up to rounding, and finite."""
    return left.shape == right.shape and bool(right.isfinite().all()) and _adds_up([left], right)
