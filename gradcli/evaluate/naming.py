"""The names of one run's tensors: the user's, or their text if it is short, or v1, v2, ..."""

import ast
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from torch import Tensor

from gradcli.evaluate.trace import TAKING_APART, ExecutedOp, Trace
from gradcli.language.assignment import in_expression
from gradcli.language.expressions.program import Step
from gradcli.language.expressions.substitution import spelled

_TEXT = 20
"""Characters of the user's text that may name a result."""
NAMELESS = "..."


class Names:
    """The names of one run's tensors. Every name is an expression or a parameter such as
    `net.0.weight`, and no two tensors share one.
    """

    def __init__(self, trace: Trace) -> None:
        self._program = trace.program
        self._number = {id(step): number for number, step in enumerate(trace.program.steps)}
        self._reserved = {*trace.inputs, *trace.program.assigned}
        self._used = set(trace.inputs)
        self._names = {id(tensor): name for name, tensor in trace.inputs.items()}
        self._parameters = {name: in_expression(name) for name in trace.inputs if "." in name}
        self._counted = 0
        self._labels = {}
        for op in trace.operations:
            if op.results:
                several = not isinstance(op.value, Tensor)
                self._labels[id(op)] = self._give(op.step, op.results, several=several)
            elif op.step.kind in TAKING_APART and not op.computes:
                self._take(op.step, op.value)
        self._close(trace.value)

    def together(self, operation: ExecutedOp) -> str:
        """The common name of the results of an operation."""
        return self._labels[id(operation)]

    def operands(self, operation: ExecutedOp) -> list[str]:
        """The operands of an operation as expressions, by place."""
        originals = {id(use.alias): use.tensor for use in operation.uses}
        names = [self.of(originals.get(id(each), each)) for each in operation.arguments]
        return [self._parameters.get(name, name) for name in names]

    def of(self, value: Any) -> str:
        """The name of a tensor, the text of a number."""
        if isinstance(value, Tensor):
            return self._names.get(id(value), NAMELESS)
        return repr(value) if isinstance(value, bool | int | float | complex) else NAMELESS

    def _give(self, step: Step, results: Sequence[Tensor], *, several: bool) -> str:
        """Name the results of a step, and return their common name."""
        bound = self._bound(step)
        whole = "" if bound and not several else self._described(step)
        for i, result in enumerate(results):
            if id(result) not in self._names:
                name = f"{whole}[{i}]" if several else whole
                self._names[id(result)] = self._distinct(bound[i]) if i < len(bound) else name
        return whole or self.of(results[0])

    def _take(self, step: Step, value: Any) -> None:
        """Name the parts that a step takes out of several results, by its text or assignment."""
        bound, text = self._bound(step), self._text(step)
        parts = [value] if isinstance(value, Tensor) else value if step.kind == "unbind" else []
        for i, part in enumerate(parts):
            if isinstance(part, Tensor) and self.of(part).endswith("]"):
                if i < len(bound):
                    self._names[id(part)] = self._distinct(bound[i])
                elif text and part is value:
                    self._names[id(part)] = text

    def _close(self, value: Tensor) -> None:
        """Rename the value of the whole expression to `result` if its name is v and a number."""
        last = f"v{self._counted}"
        if self._names.get(id(value)) == last and self._reserved.isdisjoint((last, "result")):
            self._names[id(value)] = "result"

    def function(self, step: Step) -> str:
        """The name of the function that a step calls, as the user spelt it; empty if none."""
        node = self._program.origins[self._number[id(step)]]
        if self._program.calls.get(node) is not step:
            return ""  # a layer of the module that the user called
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                return "" if step.kind == "apply" else name
        return ""

    def _bound(self, step: Step) -> list[str]:
        """The names that a step's value is assigned to: one, or one per part if it is unpacked."""
        steps, at = self._program.steps, self._number[id(step)] + 1
        while at < len(steps) and steps[at].kind == "jump":
            at = steps[at].value  # type: ignore[assignment]
        unpacked = at < len(steps) and steps[at].kind == "unpack"
        rest = steps[at + 1 :: 2] if unpacked else steps[at : at + 1]  # a drop follows each store
        return [step.name for step in takewhile(lambda step: step.kind == "store", rest)]

    def _distinct(self, name: str) -> str:
        """An assigned name, followed by a number if it was bound before."""
        number, distinct = 1, name
        while distinct in self._used or (number > 1 and distinct in self._reserved):
            number += 1
            distinct = f"{name}_{number}"
        self._used.add(distinct)
        return distinct

    def _described(self, step: Step) -> str:
        """The text of an operation if it is short and new, otherwise the next v."""
        text = self._text(step)
        if text and text not in self._used:
            self._used.add(text)
            return text
        self._counted += 1
        while f"v{self._counted}" in self._reserved:
            self._counted += 1
        return f"v{self._counted}"

    def _text(self, step: Step) -> str:
        node = self._program.origins[self._number[id(step)]]
        if not isinstance(node, ast.expr) or node.end_lineno != node.lineno:
            return ""
        length = (node.end_col_offset or 0) - node.col_offset
        return spelled(node) if length <= _TEXT else ""  # a long one may be too deep to unparse
