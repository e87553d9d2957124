"""`--explain`: the chain rule in numbers, a row per operation and path, from PyTorch's own run."""

from collections.abc import Container, Sequence

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue import derivative_rules
from gradcli.evaluate.job import Job
from gradcli.evaluate.naming import Names
from gradcli.evaluate.trace import ExecutedOp, Trace, Use, program_of, replay
from gradcli.evidence.explain.local_rules import Local, close, in_words, local_rule
from gradcli.language.expressions.program import Expression
from gradcli.results import LedgerRow, Subject

_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


def ledger(subject: Subject, job: Job) -> list[LedgerRow]:
    """The rows of a subject: its inputs, every operation and path from the result back, gradients.

    Raises AssertionError, a fault of gradcli, if the paths do not add up to what autograd computes
    without them.
    """
    return _Ledger(subject, job).rows()


def shown(
    names: Names, operation: ExecutedOp, reached: Container[int]
) -> tuple[str, Tensor | None]:
    """The name of an operation's rows, and the one result, of any shape, that they show, or None.

    `reached` holds the ids of the tensors that a gradient reached.
    """
    results = [result for result in operation.results if id(result) in reached]
    candidates = results if len(results) == 1 else operation.results
    if len(candidates) == 1:
        return names.of(candidates[0]), candidates[0]
    return names.together(operation), None


def operands_of(names: Names, operation: ExecutedOp) -> list[str]:
    """The names of the tensors used, numbered if one is used several times."""
    texts = [names.of(use.tensor) for use in operation.uses]
    numbers = [texts[: i + 1].count(text) for i, text in enumerate(texts)]
    return [
        f"{text} ({_ORDINALS.get(number, f'{number}th')})" if texts.count(text) > 1 else text
        for text, number in zip(texts, numbers, strict=True)
    ]


def note_complex(names: Names, operations: Sequence[ExecutedOp], job: Job) -> None:
    """Note the steps of a ledger that are complex."""
    for operation in operations:
        if any(result.is_complex() for result in operation.results):
            step = f"the step {names.together(operation)} is complex"
            job.note("complex-step", f"{step}: the table shows it, JSON has null")


class _Ledger:
    """One subject, run with every use kept apart, and autograd's gradient for every tensor."""

    def __init__(self, subject: Subject, job: Job) -> None:
        self._subject = subject
        self._prefix = f"{subject.name}: " if subject.name else ""
        self._state = torch.get_rng_state() if subject.state is None else subject.state
        program = program_of(subject)
        self._plain = self._without_uses(program, job)
        live = core.require_grad(subject.inputs, subject.by)
        self._trace = Trace(program, live, self._state, job.before, uses=True)
        self._operations = self._trace.followed
        self._names = Names(self._trace)
        self._leaves = {name: live[name] for name in subject.by}
        leaves = self._leaves.values()
        self._reached = self._trace.reached(leaves, subject.upstream) if leaves else {}
        self._passed: dict[int, list[Tensor]] = {}
        for operation in self._operations:
            for use in operation.uses:
                if (product := self._reached.get(id(use.alias))) is not None:
                    self._passed.setdefault(id(use.tensor), []).append(product)
        note_complex(self._names, self._operations, job)

    def rows(self) -> list[LedgerRow]:
        """All rows, in the order of the JSON."""
        rows = [
            LedgerRow(
                self._prefix + name, "input", tensor, None, None, None, kind="input",
                label=name, subject=self._subject,
            )
            for name, tensor in self._subject.inputs.items()
        ]  # fmt: skip
        for operation in reversed(self._operations):
            rows += self._operation(operation)
        return rows + [self._gradient(name) for name in self._leaves]

    def _without_uses(self, program: Expression, job: Job) -> dict[str, Tensor | None]:
        """The gradients of the expression as it is."""
        live = core.require_grad(self._subject.inputs, self._subject.by)
        value = replay(program, live, self._state, job.before).value
        leaves = {name: live[name] for name in self._subject.by}
        upstream = self._subject.upstream
        found = core.gradients(value, leaves, upstream=upstream) if leaves else {}
        return {name: None if g is None else g.to_dense() for name, g in found.items()}

    def _operation(self, operation: ExecutedOp) -> list[LedgerRow]:
        """One row for each use of a tensor by an operation."""
        reached = [result for result in operation.results if id(result) in self._reached]
        name, result = shown(self._names, operation, self._reached)
        value, upstream, paths = None, None, None
        if result is not None:
            value, upstream = result.to_dense(), self._reached.get(id(result))
            paths = None if upstream is None else self._paths(result, upstream)
        function = self._names.function(operation.step) or operation.name
        rows: list[LedgerRow] = []
        for use, operand in zip(operation.uses, operands_of(self._names, operation), strict=True):
            product = self._reached.get(id(use.alias))
            local = self._local(operation, use, reached, product)
            rows.append(LedgerRow(
                self._prefix + name, f"{function} -> {operand}", value, local.value, upstream,
                product, local.rule, None if rows else paths, operand=operand, label=name,
                subject=self._subject,
            ))  # fmt: skip
        return rows

    def _local(
        self, operation: ExecutedOp, use: Use, reached: list[Tensor], product: Tensor | None
    ) -> Local:
        if product is None:
            unused = not reached and any(result.requires_grad for result in operation.results)
            return in_words(derivative_rules.UNUSED if unused else derivative_rules.ENDED)
        upstreams = [(result, self._reached[id(result)]) for result in reached]
        return local_rule(self._names, operation, use, upstreams, product)

    def _paths(self, tensor: Tensor, gradient: Tensor) -> tuple[Tensor, ...] | None:
        """What reached a tensor by each of several uses, asserted to add up to its gradient."""
        paths = self._passed.get(id(tensor), [])
        if not self._trace.complete or tensor is self._trace.value:
            return None
        total = sum(paths, torch.zeros_like(gradient))
        assert _same(total, gradient, paths), "the paths do not add up to the gradient"
        return tuple(paths) if len(paths) > 1 else None

    def _gradient(self, name: str) -> LedgerRow:
        """The gradient for an input, asserted equal to autograd's without the paths."""
        leaf = self._leaves[name]
        gradient, plain = self._reached.get(id(leaf)), self._plain[name]
        assert (gradient is None) == (plain is None), f"the ledger loses the gradient for {name}"
        paths = None
        if gradient is not None and plain is not None:
            paths = self._paths(leaf, gradient)
            terms = self._passed.get(id(leaf), [plain])
            same = _same(gradient, plain, terms)
            assert same, f"the ledger's gradient for {name} is not autograd's"
        return LedgerRow(
            self._prefix + name, "gradient", None, None, None, gradient, None, paths, "gradient",
            label=name, subject=self._subject,
        )  # fmt: skip


def _same(left: Tensor, right: Tensor, terms: Sequence[Tensor]) -> bool:
    """Whether two sums of `terms` agree where all are finite: elsewhere their order decides."""
    finite = torch.stack([term.isfinite() for term in terms]).all(0) if terms else left.isfinite()
    return close(left[finite], right[finite], [term[finite] for term in terms])
