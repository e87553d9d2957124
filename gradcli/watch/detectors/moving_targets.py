"""A target that the network which is trained computes itself, with its graph (Q-learning)."""

from collections.abc import Iterator
from typing import Any

from gradcli.watch.detector import Call, Detector
from gradcli.watch.detectors.loss_calls import EACH, VIEWS
from gradcli.watch.finding import also_at
from gradcli.watch.record import leaves_under, made_by, node_of

_LARGEST = frozenset(["MaxBackward0", "AmaxBackward0"])
_CHOSEN = frozenset(["GatherBackward0", "IndexBackward0"])
_AROUND = VIEWS.union(f"{name}Backward0" for name in ("Add", "Sub", "Mul", "Where")) | {
    "RsubBackward1"
}
"""What a target does with the largest value: adds the reward, discounts, masks the last state."""


class MovingTargets(Detector):
    """Compares the graphs of prediction and target."""

    functions = EACH

    def called(self, call: Call) -> None:
        """A loss of a prediction and a target was computed."""
        place = call.place
        if place is None or ("moving-target", place) in self.found or len(call.operands) < 2:
            return
        prediction, target = call.operands[:2]
        if not (prediction.requires_grad and target.requires_grad):
            return
        chosen = next(_first(node_of(prediction), _CHOSEN, VIEWS - _CHOSEN), None)
        largest = [*_first(node_of(target), _LARGEST, _AROUND)] if chosen is not None else []
        if same := [node for node in largest if _same_network(chosen, node)]:
            made = made_by(same[-1])
            also = also_at(made.place if made else None, "the target is computed here")
            text = (
                "the target has a graph that leads to the weights of the prediction, so the "
                "step moves the target too: compute it under torch.no_grad()"
            )
            self.report("moving-target", place, text, also)


def _same_network(chosen: Any, largest: Any) -> bool:
    """Whether two outputs of one network are compared, not two values of one output."""
    first, second = chosen.next_functions[0][0], largest.next_functions[0][0]
    if first is None or second is None or first is second:
        return False
    mine = {id(leaf) for leaf in leaves_under(first)}
    return any(id(leaf) in mine for leaf in leaves_under(second))


def _first(node: Any, wanted: frozenset[str], through: frozenset[str]) -> Iterator[Any]:
    """The nodes of a kind that are reached through nodes of other kinds only."""
    waiting = [(node, 0)]
    while waiting:
        node, depth = waiting.pop()
        if node is None:
            continue
        if node.name() in wanted:
            yield node
        elif node.name() in through and depth < 12:
            waiting += [(each, depth + 1) for each, _ in node.next_functions]
