"""The layers of modules as named steps: `net(x)` is `z1 = net[0](x); a1 = net[1](z1); net[2](a1)`."""

import ast
import re
from collections.abc import Collection
from copy import deepcopy
from typing import Any

from gradcli.language.expressions.program import Expression
from gradcli.language.expressions.substitution import parsed
from gradcli.show.program.made_modules import Replaced


def unfolded(source: Expression, linked: Expression, taken: Collection[str]) -> str:
    """The text of an expression with a statement for each layer, where that can be written.

    `linked` is the same expression after its modules were made; the names in `taken` are not used.
    """
    if source.made:  # what NumPy's names mean is not in the text
        return source.source.text
    copies: dict[int, Any] = {}
    tree: ast.Module = deepcopy(source.tree, copies)
    calls = {copies[id(call)]: chain for call, chain in _chains(source, linked).items()}
    nodes: dict[int, Any] = {id(step): copies[id(call)] for call, step in source.calls.items()}
    makers = {nodes[id(step)]: name for name, step in source.modules.items()}
    names = _Names({*taken, *source.assigned, *source.names})
    statements: list[ast.stmt] = []
    for statement in tree.body:
        inside = {*ast.walk(statement)}
        called = {call.func for call in calls if call in inside}
        statements += [_assigned(name, call) for call, name in makers.items() if call in called]
        for call in filter(inside.__contains__, calls):
            chain = calls[call]
            own = makers.get(call.func) or _root(ast.unparse(call.func))
            if any(_root(title) != own for title, _ in chain):
                continue  # the module has another name here, or a layer has none
            kept = getattr(statement, "value", None) is call  # it is then that of the last layer
            arguments = call.args, call.keywords
            for title, has_parameters in chain[:-1] if kept else chain:
                name = names.next(has_parameters)
                made = ast.Call(parsed(title), *arguments)
                statements.append(_assigned(name, made))
                arguments = [ast.Name(name, ast.Load())], []
            if kept:
                call.func, (call.args, call.keywords) = parsed(chain[-1][0]), arguments
            else:
                Replaced(call, name).visit(statement)
        statements.append(statement)
    return "; ".join(map(ast.unparse, statements))


def _chains(source: Expression, linked: Expression) -> dict[ast.AST, list[tuple[str, bool]]]:
    """The layers that each call of a module applies: their names, and whether they have parameters."""
    found: dict[ast.AST, list[tuple[str, bool]]] = {}
    chain: list[tuple[str, bool]] = []
    read = False
    for step, origin in zip(linked.steps, linked.origins, strict=True):
        read |= step.kind == "load" and "." in step.name
        if title := linked.layers.get(id(step)):
            chain.append((title, read))
            if origin in source.calls:
                found[origin], chain = chain, []
        read &= step.kind in ("load", "constant")
    return found


class _Names:
    """Names for the values of layers: z1 with parameters, a1 for a function of z1."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._count = 0

    def next(self, has_parameters: bool) -> str:
        self._count += has_parameters
        name = f"{'z' if has_parameters else 'a'}{self._count}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _root(text: str) -> str:
    return re.split(r"\W", text, maxsplit=1)[0]


def _assigned(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value, lineno=0)
