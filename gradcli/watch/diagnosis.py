"""The line that caused the error that ended a program, from its message and what was remembered."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from gradcli.core import walk
from gradcli.watch import graph_causes, operand_causes
from gradcli.watch.case import Case
from gradcli.watch.finding import Finding, Place
from gradcli.watch.record import Made, Write, made_by, saved_names, storage_of
from gradcli.watch.watcher import Failure, Watcher


class Diagnosis:
    """Finds what caused the error of one program."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._record = watcher.record
        self._failed: Counter[Place | None] = Counter()
        """How often a backward pass failed at a line, before one ended well."""
        self._first: Finding | None = None
        """What explains the first of these errors."""
        watcher.failed_backward = self._failed_backward

    def of(self, error: BaseException) -> Finding | None:
        """The finding that explains an error, or one that it was raised from; None if they have nothing
        to do with PyTorch.
        """
        failure = self._watcher.failure
        errors = list(_chain(error, set()))
        errors.sort(key=lambda each: failure is None or failure.error != id(each))
        return next((found for each in errors if (found := self._explained(each))), None)

    def _explained(self, error: BaseException) -> Finding | None:
        raised = self._watcher.places.raised(error.__traceback__)
        if not raised or isinstance(error, (SyntaxError, KeyboardInterrupt, SystemExit)):
            return None
        failure = self._watcher.failure
        if failure is not None and failure.error != id(error):
            failure = None
        place = failure.place if failure and failure.place else raised[-1]
        return self._cause(Case(self._watcher, error, place, failure))

    def caught(self, status: int) -> Finding | None:
        """The finding that explains why no backward pass ended well, where the program went on after
        the error: again and again in a training loop, or to an exit status of its own. Others may
        be meant.
        """
        trains = self._watcher.last_zeroed is not None
        again = status or (trains and max(self._failed.values(), default=0) > 1)
        return self._first if again and not self._record.backward_passes else None

    def _cause(self, case: Case) -> Finding | None:
        for pattern, find in _CAUSES:
            if re.search(pattern, case.message) and (finding := find(case)):
                return finding
        entry = case.entry()
        return Finding(entry, case.place, case.short) if entry else None

    def _failed_backward(self, roots: Sequence[Tensor], failure: Failure, error: Exception) -> None:
        self._look_at_graph(roots, failure)
        if not self._record.backward_passes and failure.place:
            if not self._failed:
                self._first = self._cause(Case(self._watcher, error, failure.place, failure))
            self._failed[failure.place] += 1

    def _look_at_graph(self, roots: Sequence[Tensor], failure: Failure) -> None:
        """Find out what only the graph knows, before it is gone."""
        nodes = [root.grad_fn for root in roots if root.grad_fn is not None]
        saved = None
        freed: list[tuple[Made, Made | None]] = []
        before = [
            root
            for each in self._record.passes
            for ref in each.tensors
            if (root := ref()) is not None
        ]
        earlier = {node for node, _ in walk([root.grad_fn for root in before], 100_000)}
        shared: list[tuple[Made, Made | None]] = []
        effective: dict[Any, Made | None] = {None: None}
        users: dict[Any, Made | None] = {None: None}
        for node, user in walk(nodes, 100_000):
            made = effective[node] = made_by(node) or effective[user]
            after = effective[user]
            same = made is not None and after is not None and made.tick == after.tick
            users[node] = users[user] if same else effective[user]
            for name in saved_names(node):
                try:
                    getattr(node, name)
                except RuntimeError as error:
                    if expected := re.search(r"expected version (\d+)", str(error)):
                        saved = saved or (node, user, name, int(expected[1]))
                    elif "already been freed" in str(error) and made:
                        (shared if node in earlier else freed).append((made, users[node]))
                        break
        if saved:
            failure.details["saved"] = self._overwritten(*saved)
        failure.details["freed"] = shared or freed  # others may have been freed by this pass itself
        failure.details["roots"] = [made.tick for node in nodes if (made := made_by(node))]

    def _overwritten(
        self, node: Any, user: Any, name: str, version: int
    ) -> tuple[Made | None, Write | None]:
        """Who saved the overwritten tensor, which had that version, and who wrote to it. The hook is
        the only way to the tensor; the backward pass has failed, so nobody needs the graph again.
        """
        found: list[Tensor] = []
        raw: Any = getattr(node, name.replace("_saved_", "_raw_saved_"), None)
        several: list[Any] = list(raw) if isinstance(raw, (tuple, list)) else [raw]
        for saved in several:
            try:
                saved.register_hooks(found.append, lambda packed: packed)
            except (AttributeError, RuntimeError, TypeError):
                continue
        made = made_by(node) or (made_by(user) if user is not None else None)
        for tensor in found:
            storage = storage_of(tensor)
            for write in self._record.writes:
                if write.storage == storage and write.before <= version < write.after and storage:
                    return made, write
        return made, None


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    """An exception and those it was raised from, or while handling: a cause that was given first."""
    seen.add(id(error))
    context = None if error.__suppress_context__ else error.__context__
    if error.__cause__ is not None and id(error.__cause__) not in seen:
        yield from _chain(error.__cause__, seen)
    yield error
    if context is not None and id(context) not in seen:
        yield from _chain(context, seen)


_NUMBER = r"'(float|int|numpy\.\w+|ndarray)' object has no attribute "
_TENSORS = r"'(backward|detach|requires_grad_?|retain_grad|grad_fn|clone|item|grad)'"
_TYPE = (
    r"(scalar|floating point|result|target dtype|desired output) type|[Ee]xpected .*(dtype|type|Long|Float)"
    r"|same dtype|Input type \([\w:]+\) and"
)
_CAUSES: tuple[tuple[str, Callable[[Case], Finding | None]], ...] = (
    (r"does not require grad and does not have a grad_fn", graph_causes.no_graph),
    (_NUMBER + _TENSORS, graph_causes.plain_number),
    (r"'NoneType'", graph_causes.no_gradient),
    (r"modified by an inplace operation", graph_causes.overwritten),
    (r"backward through the graph a second time|already been freed", graph_causes.second_time),
    (r"grad can be implicitly created only for scalar", operand_causes.not_one_number),
    (r"to return a scalar Tensor", operand_causes.not_one_number_of_function),
    (r"calling \.item\(\) on a Tensor", operand_causes.number_under_vmap),
    (r"returned an (incorrect number of|invalid) gradient", operand_causes.own_function),
    (r"One of the differentiated Tensors does not require", operand_causes.plain_input),
    (r"refers to a single memory location", operand_causes.expanded),
    (r"to have \d+ channels", partial(operand_causes.shapes, entry="conv-channels")),
    (r"multi-target not supported", partial(operand_causes.shapes, entry="class-shape")),
    (r"'indices' to have one of|used as indices must be", partial(operand_causes.types, entry="index-dtype")),
    (r"can't optimize a non-leaf Tensor", operand_causes.non_leaf_parameter),
    (r"Inference tensors cannot|inference tensor", operand_causes.inference_tensor),
    (r"optimizer got an empty parameter list", operand_causes.no_parameters),
    (r"elements of (input|target) should be between 0 and 1", operand_causes.not_probabilities),
    (r"out of (bounds|range)|class_index|Class values must be", operand_causes.out_of_range),
    (_TYPE + r"|Found dtype|mean\(\): could not|require gradients", operand_causes.types),
    (r"shape|size|dimension|channels|should contain \d+ elements", operand_causes.shapes),
)  # fmt: skip
"""Pieces of PyTorch's messages, and what looks for the cause. One that finds none leaves the error
to the line that raised it."""
