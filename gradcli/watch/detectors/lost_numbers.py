"""A number that left the graph by item() and comes back into the loss, where it has no gradient."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.record import places_below

_ADDING = frozenset(["add", "__add__", "__radd__", "__iadd__"])
_OTHERS = frozenset(
    ["sub", "__sub__", "__rsub__", "mul", "__mul__", "__rmul__", "div", "__truediv__", "__rtruediv__"]
)  # fmt: skip
_FEW = 3
"""In how many backward passes a number must be the same multiple of what left."""
_TOLERANCE = 1e-12
_MOST = 200
_LOOKS = 50
"""In how many backward passes the numbers are compared."""


class LostNumbers(Detector):
    """Compares each Python number that is added to a loss with the sum of the numbers which left the
    graph at one line since the last backward pass. A penalty is a fixed multiple of such a sum.
    """

    functions = _ADDING | _OTHERS

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._used: dict[tuple[Place, bool], float] = {}
        """In this pass: numbers by the line that used them, and whether it added them."""
        self._pairs: dict[tuple[Place, Place, bool], list[tuple[float, float]]] = defaultdict(list)
        """The sums that left at one line, and the numbers used at another, of each pass."""
        self._tick = 0
        self._looks = 0

    def called(self, call: Call) -> None:
        """A number met a tensor of the graph."""
        if not isinstance(call.result, Tensor) or not call.result.requires_grad:
            return
        if len(self._used) < _MOST and self._looks < _LOOKS:
            number = next((each for each in call.args[:2] if type(each) is float), None)
            if number:
                self._used[call.place, call.name in _ADDING] = number

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """Pair what left with what was used; of what was added, only what the loss is a sum of."""
        record = self.watcher.record
        if self._used and record.left:
            self._looks += 1
            sums: dict[Place, float] = defaultdict(float)
            for left in record.left:
                if left.tick > self._tick and left.number and left.place and left.cut is None:
                    sums[left.place] += left.number
            added = places_below(roots, "AddBackward0", ("AddBackward0",))
            for source, total in sums.items():
                for (where, adds), number in self._used.items():
                    if total and (where in added or not adds) and len(self._pairs) < 10 * _MOST:
                        self._pairs[source, where, adds].append((total, number))
        self._used.clear()
        self._tick = record.tick

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The lines where a penalty left the graph. A number that is used otherwise too, such as the
        largest value that is subtracted and added again, is meant as a constant.
        """
        same = [key for key, pairs in self._pairs.items() if _is_multiple(pairs)]
        for source, where, adds in same:
            if adds and [each[0] for each in same].count(source) == 1:
                text = (
                    "the number that leaves the graph here is added to the loss: it changes the "
                    "loss, but gives no gradient"
                )
                yield Finding("item-breaks", source, text, (Also(where, "it is added here"),))


def _is_multiple(pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether the second number of each pair is the first times a constant, and not constant."""
    if len(pairs) < _FEW or len({total for total, _ in pairs}) < _FEW:
        return False
    factors = [number / total for total, number in pairs]
    return max(factors) - min(factors) <= _TOLERANCE * abs(factors[0])
