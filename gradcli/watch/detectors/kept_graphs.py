"""A running total that holds the graph of every loss which was added to it."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from gradcli.core import walk
from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Finding, Place, also_at
from gradcli.watch.record import made_by, made_under, node_of

_FEW = 3
"""How many losses a total must hold."""
_NEAR = 4
"""How many nodes lie between a loss and what of it is added, such as a division by a count."""


class KeptGraphs(Detector):
    """Follows sums of losses whose backward pass has already run."""

    functions = frozenset(["add", "add_", "__add__", "__iadd__", "__radd__"])

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._passed: deque[int] = deque(maxlen=256)
        """When each root of a finished backward pass was made."""
        self._totals: dict[Place, int] = {}
        self._wanted: set[Place] = set()
        """Totals that a backward pass needed."""
        self._last: Place | None = None

    def called(self, call: Call) -> None:
        """Something was added: count it if it is a finished loss, and the other the total so far."""
        if not self._passed or not isinstance(call.result, Tensor):
            return
        node, place = node_of(call.result), call.place
        terms = [term for term, _ in node.next_functions if term] if node is not None else []
        if len(terms) == 2:
            for total, loss in (terms, terms[::-1]):
                made = made_by(total)
                if made is not None and made.place is place and self._is_finished(loss):
                    self._totals[place] = self._totals.get(place, 1) + 1
                    return

    def _is_finished(self, node: Any) -> bool:
        made = (made_by(each) for each, _ in walk([node], _NEAR))
        return any(each is not None and each.tick in self._passed for each in made)

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """A total that is needed for a backward pass is kept on purpose."""
        if self._totals:
            made = (each for _, each in made_under(roots, 50))
            self._wanted.update(each.place for each in made if each.place in self._totals)

    def after_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """Remember which losses are finished."""
        self._last = place
        self._passed.extend(made.tick for root in roots if (made := self.watcher.origin(root)))

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The totals that hold several graphs."""
        for place, count in self._totals.items():
            if count >= _FEW and place not in self._wanted:
                also = also_at(self._last, "the backward pass had already run")
                text = (
                    f"this total kept the graphs of {count} losses that were no longer needed: "
                    "memory grows with each; add loss.item()"
                )
                yield Finding("graph-kept", place, text, also)
