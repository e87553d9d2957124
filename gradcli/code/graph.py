"""`--graph`: the graph that autograd recorded, as a tree for the terminal or as text for Graphviz and Mermaid.

Arrows and branches lead the way of the gradient: from the result back to the inputs.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.compute.job import DTYPES
from gradcli.compute.origin import run_again
from gradcli.errors import UsageError
from gradcli.results import Result, Subject
from gradcli.show import numbers
from gradcli.text.limits import GRAPH_NODES
from gradcli.text.program import Step

SMALL = 6
"""Elements up to which a tensor is shown whole."""
DIGITS = 6


@dataclass(eq=False)
class Node:
    """One node as it is drawn. `detail` is PyTorch's name for an operation, and empty for an input."""

    title: str
    detail: str
    shape: str
    numbers: tuple[str, ...]
    operands: list["Node"]


@dataclass(frozen=True)
class Picture:
    """The graph of one subject: its root, and all its nodes in the order in which they are met."""

    name: str
    root: Node
    nodes: list[Node]


def graph(result: Result, form: str, *, ascii_only: bool) -> str:
    """The graphs of everything that was differentiated, one behind the other, as `tree`, `dot` or `mermaid`.

    Raises UsageError where there is none, and SizeError where one has too many nodes.
    """
    if not result.subjects:
        raise UsageError(
            "--graph: there is no graph, or one for each point, behind this result",
            cure="one gradient has one: gradcli grad EXPR NAME=T --graph tree, without --each and --train",
        )
    default = torch.get_default_dtype()
    torch.set_default_dtype(DTYPES[result.dtype])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were notes already
            pictures = [_picture(subject) for subject in result.subjects]
    finally:
        torch.set_default_dtype(default)
    return _FORMS[form](pictures, ascii_only)


def _picture(subject: Subject) -> Picture:
    live = core.leaves(subject.inputs, subject.by)
    values: dict[Any, Tensor] = {}

    def after(step: Step, value: Any) -> None:
        for tensor in value if isinstance(value, tuple | list) else (value,):
            if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                values[tensor.grad_fn] = tensor

    done = run_again(subject, live, lambda step, operands: None, after)
    recorded = core.graph(done.value, subject.upstream)
    GRAPH_NODES.check(len(recorded), "--graph: the graph is too large", cure="draw a part of the expression")
    names = {id(tensor): name for name, tensor in (*done.intermediates.items(), *live.items())}
    nodes = {node: _node(node, names, values) for node in recorded}
    for node, drawn in nodes.items():
        drawn.operands = [nodes[operand] for operand in node.operands]
    return Picture(subject.name, nodes[recorded[0]], list(nodes.values()))


def _node(node: core.Node, names: Mapping[int, str], values: Mapping[Any, Tensor]) -> Node:
    """One node of PyTorch's in words. What has several outputs is shown without numbers."""
    value = values.get(node.function) if node.leaf is None else node.leaf
    found = [gradient for gradient in node.gradients if gradient is not None]
    shapes = [found[0]] if len(found) == 1 else [value] if value is not None and len(found) != 1 else found
    several = len(node.gradients) > 1
    said = [] if several else [("= ", value), ("grad ", found[0] if found else None)]
    name = names.get(id(value), "")
    return Node(
        title=name if node.leaf is not None else f"{name and name + ' = '}{re.sub(r'Backward[0-9]*$', '', node.name)}",
        detail=node.name if node.leaf is None else "",
        shape=" ".join(numbers.shape_text(tensor) for tensor in shapes),
        numbers=tuple(
            label + text for label, tensor in said if tensor is not None and (text := _short(tensor.detach()))
        ),
        operands=[],
    )


def _short(tensor: Tensor) -> str:
    """A small tensor as nested lists; a larger one is empty."""
    if tensor.numel() > SMALL or tensor.layout != torch.strided:
        return ""
    cells = [numbers.significant(number, DIGITS) for number in numbers.flat(tensor.cpu())]
    for size in reversed(tensor.shape):
        cells = [f"[{', '.join(cells[i : i + size])}]" for i in range(0, len(cells), max(1, size))] or ["[]"]
    return cells[0]


# --- a tree for the terminal ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lines:
    """The strokes of a tree: in front of a branch, of the last one, and of what hangs below either."""

    branch: str
    last: str
    below: str
    clear: str = "   "


_BOX = _Lines("├─ ", "└─ ", "│  ")
_ASCII = _Lines("|- ", "`- ", "|  ")


def _trees(pictures: Sequence[Picture], ascii_only: bool) -> str:
    lines = _ASCII if ascii_only else _BOX
    parts = []
    for picture in pictures:
        head = f"{picture.name}\n" if picture.name else ""
        parts.append(head + "".join(f"{line}\n" for line in _tree(picture, lines)))
    return "\n".join(parts)


def _tree(picture: Picture, lines: _Lines) -> Iterator[str]:
    """The lines of one tree. An operation that several others need is numbered, and drawn where it is met first."""
    met: dict[Node, int] = {}
    for node in picture.nodes:
        for operand in node.operands:
            met[operand] = met.get(operand, 0) + 1
    shared = [node for node in picture.nodes if met.get(node, 0) > 1 and node.operands]
    tags = {node: f" #{number}" for number, node in enumerate(shared, 1)}
    seen: set[Node] = set()
    agenda = [(picture.root, "", "")]
    while agenda:
        node, front, below = agenda.pop()
        title = f"{front}{node.title}{tags.get(node, '')}"
        if node in seen:
            yield f"{title}, as above"
            continue
        seen.add(node)
        yield "  ".join([title, *filter(None, (node.detail, node.shape)), *node.numbers])
        rows = []
        for number, operand in enumerate(node.operands):
            last = number == len(node.operands) - 1
            rows.append(
                (
                    operand,
                    below + (lines.last if last else lines.branch),
                    below + (lines.clear if last else lines.below),
                )
            )
        agenda.extend(reversed(rows))


# --- text for other programs ----------------------------------------------------------------------------------------


def _dot(pictures: Sequence[Picture], ascii_only: bool) -> str:
    """Graphviz: inputs are ellipses, operations boxes."""
    lines = ["digraph gradcli {", '  node [shape=box, fontname="monospace"];']
    for number, picture in enumerate(pictures):
        ids = {node: f"g{number}n{i}" for i, node in enumerate(picture.nodes)}
        inner = []
        for node, key in ids.items():
            shape = "" if node.detail else ", shape=ellipse"
            label = "\\n".join(text.replace("\\", "\\\\").replace('"', '\\"') for text in _words(node))
            inner.append(f'{key} [label="{label}"{shape}];')
        inner += [f"{key} -> {ids[operand]};" for node, key in ids.items() for operand in node.operands]
        if picture.name:
            name = picture.name.replace("\\", "\\\\").replace('"', '\\"')
            inner = [f"subgraph cluster_{number} {{", f'  label="{name}";', *(f"  {line}" for line in inner), "}"]
        lines += [f"  {line}" for line in inner]
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid(pictures: Sequence[Picture], ascii_only: bool) -> str:
    """Mermaid: inputs are rounded, operations boxes."""
    lines = ["flowchart TD"]
    for number, picture in enumerate(pictures):
        ids = {node: f"g{number}n{i}" for i, node in enumerate(picture.nodes)}
        inner = []
        for node, key in ids.items():
            opening, closing = ("[", "]") if node.detail else ("([", "])")
            inner.append(f'{key}{opening}"{"<br/>".join(map(_escaped, _words(node)))}"{closing}')
        inner += [f"{key} --> {ids[operand]}" for node, key in ids.items() for operand in node.operands]
        if picture.name:
            inner = [f'subgraph g{number}["{_escaped(picture.name)}"]', *(f"  {line}" for line in inner), "end"]
        lines += [f"  {line}" for line in inner]
    return "\n".join(lines) + "\n"


def _words(node: Node) -> list[str]:
    """The lines of a node's label."""
    return [node.title, " ".join(filter(None, (node.detail, node.shape))), *node.numbers]


def _escaped(text: str) -> str:
    """Text for a quoted label of Mermaid, which has its own codes for what it would read."""
    return text.translate({ord(char): f"#{ord(char)};" for char in '#"<>&'})


_FORMS: Mapping[str, Callable[[Sequence[Picture], bool], str]] = {"tree": _trees, "dot": _dot, "mermaid": _mermaid}
