"""What the tensors of one run are called: inputs and assigned names as the user did, others by
their text, else v1, v2, ...
"""

import ast
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from gradcli.evaluate.trace import TAKING_APART, ExecutedOp, Trace
from gradcli.language.expressions.program import Step
from gradcli.language.expressions.substitution import spelled

_TEXT = 20
"""Characters of the user's text that may name a result."""
NAMELESS = "..."


class Names:
    """The names of one run's tensors. Every name is an expression, and no two tensors share one."""

    def __init__(self, trace: Trace) -> None:
        self._program = trace.program
        self._number = {id(step): number for number, step in enumerate(trace.program.steps)}
        self._reserved = {*trace.inputs, *trace.program.assigned}
        self._used = set(trace.inputs)
        self._names = {id(tensor): name for name, tensor in trace.inputs.items()}
        self._counted = 0
        self._labels = {}
        for one in trace.operations:
            if one.results:
                self._labels[id(one)] = self._give(
                    one.step, one.results, several=not isinstance(one.value, Tensor)
                )
            elif one.step.kind in TAKING_APART and not one.computes:
                self._take(one.step, one.value)
        self._close(trace.value)

    def together(self, operation: ExecutedOp) -> str:
        """What the results of an operation are called together."""
        return self._labels[id(operation)]

    def operands(self, operation: ExecutedOp) -> list[str]:
        """What the operands of an operation are called, by place."""
        originals = {id(use.alias): use.tensor for use in operation.uses}
        return [self.of(originals.get(id(operand), operand)) for operand in operation.arguments]

    def of(self, value: Any) -> str:
        """What a value is called: a tensor by its name, a number by itself."""
        if isinstance(value, Tensor):
            return self._names.get(id(value), NAMELESS)
        return repr(value) if isinstance(value, bool | int | float | complex) else NAMELESS

    def _give(self, step: Step, results: Sequence[Tensor], *, several: bool) -> str:
        """Name the results of a step, and say what they are called together."""
        bound = self._bound(step)
        whole = "" if bound and not several else self._described(step)
        for i, result in enumerate(results):
            if id(result) not in self._names:
                name = (
                    self._distinct(bound[i])
                    if i < len(bound)
                    else f"{whole}[{i}]"
                    if several
                    else whole
                )
                self._names[id(result)] = name
        return whole or self.of(results[0])

    def _take(self, step: Step, value: Any) -> None:
        """Name what a step took out of several results as its text or the assignment behind it
        does.
        """
        bound, text = self._bound(step), self._text(step)
        parts = [value] if isinstance(value, Tensor) else value if step.kind == "unbind" else []
        for i, part in enumerate(parts):
            if isinstance(part, Tensor) and self.of(part).endswith("]"):
                if i < len(bound):
                    self._names[id(part)] = self._distinct(bound[i])
                elif text and part is value:
                    self._names[id(part)] = text

    def _close(self, value: Tensor) -> None:
        """Call the value of the whole expression `result` where it is nothing better than v and a
        number.
        """
        last = f"v{self._counted}"
        if (
            self._names.get(id(value)) == last
            and last not in self._reserved
            and "result" not in self._reserved
        ):
            self._names[id(value)] = "result"

    def function(self, step: Step) -> str:
        """The function that a step calls as the user spelt it, without its namespace; empty where
        it calls none.
        """
        node = self._program.origins[self._number[id(step)]]
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                step.kind != "apply"
            ):
                return name
        return ""

    def _bound(self, step: Step) -> list[str]:
        """The names that the value of a step is assigned to: one, or for a value that is taken
        apart one per part.
        """
        steps, at = self._program.steps, self._number[id(step)] + 1
        while at < len(steps) and steps[at].kind == "jump":
            at = steps[at].value  # type: ignore[assignment]
        found = []
        if at < len(steps) and steps[at].kind == "unpack":
            at += 1
            while at < len(steps) and steps[at].kind == "store":
                found.append(steps[at].name)
                at += 2
        elif at < len(steps) and steps[at].kind == "store":
            found.append(steps[at].name)
        return found

    def _distinct(self, name: str) -> str:
        """An assigned name; where it was bound before, by a number behind it."""
        number, found = 1, name
        while found in self._used or (number > 1 and found in self._reserved):
            number += 1
            found = f"{name}_{number}"
        self._used.add(found)
        return found

    def _described(self, step: Step) -> str:
        """The text of an operation where it is short and new, else the next v."""
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
        if (
            node.end_col_offset or 0
        ) - node.col_offset > _TEXT:  # a long one may be too deep to be written
            return ""
        return spelled(node)
