"""The shapes in a run: of every part of the expression that computes a tensor."""

import ast
from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from gradcli.evaluate.machine import Before
from gradcli.evaluate.run import Run
from gradcli.evaluate.trace import replay
from gradcli.language.expressions.expression import places
from gradcli.language.expressions.precedence import one_line
from gradcli.language.expressions.program import Step
from gradcli.language.limits import PARTS_TEXT
from gradcli.language.source import Source, Span


class ShapedPart(NamedTuple):
    """A part of an expression, its shape, its place in the text, and that of its statement."""

    text: str
    shape: list[int]
    place: Span
    statement: Span


def shaped_parts(done: Run, before: Before) -> list[ShapedPart]:
    """The parts of a run that compute a tensor, in the order computed, by running it again.

    A part that is bound to one name is the whole assignment. The layers of a network stand before the
    statement that calls it, in a text of their own: `net[0] -> net[1]`. Raises SizeError for parts that are
    too long together, and what running the expression raises.
    """
    program, place = done.program, places(done.program)
    written = set(map(id, ast.walk(program.tree)))  # a layer of a called network is not
    pairs = zip(program.steps, program.origins, strict=True)
    origins = {id(step): node for step, node in pairs if id(node) in written}
    statements = [place(node) for node in program.tree.body]
    stops = [statement.stop for statement in statements]
    shapes: list[dict[Span, list[int]]] = [{} for _ in statements]
    layers: list[list[ShapedPart]] = [[] for _ in statements]
    chain: list[tuple[str, Any]] = []

    def after(step: Step, value: Any) -> None:
        if title := program.layers.get(id(step)):
            chain.append((title, value))
        if id(step) not in origins or not (title or isinstance(value, Tensor)):
            return
        part = place(origins[id(step)])
        statement = bisect(stops, part.start)
        if title:  # the last layer makes the value of the call
            layers[statement] += _layers(chain)
            chain.clear()
        if isinstance(value, Tensor):
            shapes[statement].pop(part, None)  # the last of several steps makes a call's value
            shapes[statement][part] = list(value.shape)

    bound = replay(program, done.inputs, done.state, before, after).bound
    last = {name.id: name for name in _stored(program.tree)}
    parts: list[ShapedPart] = []
    length = 0
    per_statement = zip(program.tree.body, statements, shapes, layers, strict=True)
    for node, statement, inside, called in per_statement:
        length += sum(len(layer.text) for layer in called)
        parts += called
        if isinstance(node, ast.Assign):
            whole = all(isinstance(target, ast.Name) for target in node.targets)
            if whole and (part := place(node.value)) in inside:
                inside[statement] = inside.pop(part)
            else:
                for name in _stored(node):
                    value = bound.get(name.id)
                    if last[name.id] is name and isinstance(value, Tensor):
                        inside[statement if whole else place(name)] = list(value.shape)
        length += sum(part.stop - part.start for part in inside)
        PARTS_TEXT.check(length, "--shapes: the parts of the expression are too long together")
        found = inside.items()
        parts += [ShapedPart(one_line(p.text), shape, p, statement) for p, shape in found]
    return parts


def _layers(chain: Sequence[tuple[str, Any]]) -> list[ShapedPart]:
    """The layers of one call, by name, with their values; none if it has only one."""
    text = Source(" -> ".join(title for title, _ in chain))
    parts, start = [], 0
    for title, value in chain if len(chain) > 1 else ():
        if isinstance(value, Tensor):
            here = text.span(start, start + len(title))
            parts.append(ShapedPart(title, list(value.shape), here, text.whole))
        start += len(title) + 4
    return parts


def _stored(tree: ast.AST) -> Iterator[ast.Name]:
    """The names that a tree binds, in the order of the text."""
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return (name for name in names if isinstance(name.ctx, ast.Store))
