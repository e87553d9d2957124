"""`--graph`: the graph that autograd recorded, as a tree for the terminal or as text for Graphviz
and Mermaid.

Arrows and branches follow the gradient: from the result to the inputs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gradcli.evaluate.recorded import GraphNode, Picture, pictures
from gradcli.results import Result
from gradcli.show import numbers

SMALL = 6
"""Elements up to which a tensor is shown."""
DIGITS = 6


def graph(result: Result, form: str, *, ascii_only: bool) -> str:
    """The graphs of all that was differentiated, one after another, as `tree`, `dot` or `mermaid`.

    Raises UsageError if there is none, and SizeError if one has too many nodes.
    """
    graphs = pictures(result)
    if form in _LANGUAGES:
        return _text(graphs, _LANGUAGES[form])
    trees = (_tree(picture, ascii_only=ascii_only) for picture in graphs)
    return "\n".join("".join(f"{line}\n" for line in tree) for tree in trees)


def _labels(node: GraphNode) -> list[str]:
    """The lines of a node: its title, its function and shape, its value and its gradient.

    Numbers are shown of small tensors only, and if there is only one gradient.
    """
    gradients = [gradient for gradient in node.gradients if gradient is not None]
    shaped = gradients[0] if gradients else node.value
    shape = "" if shaped is None else numbers.shape_text(shaped)
    labels = [node.title, f"{node.pytorch} {shape}".strip()]
    if len(node.gradients) <= 1:
        for label, tensor in (("= ", node.value), *(("grad ", gradient) for gradient in gradients)):
            if tensor is not None and (text := _short(tensor.detach())):
                labels.append(label + text)
    return labels


def _short(tensor: Tensor) -> str:
    """A small tensor of any shape as nested lists; empty for a larger one."""
    if tensor.numel() > SMALL or tensor.layout != torch.strided:
        return ""
    cells = [numbers.significant(number, DIGITS) for number in numbers.flat(tensor.cpu())]
    return numbers.bracketed(cells, tensor.shape)


# --- a tree for the terminal --------------------------------------------------------------------


def _tree(picture: Picture, *, ascii_only: bool) -> Iterator[str]:
    """The lines of one tree. An operation that is used several times is numbered and drawn once."""
    first, last, below_first = ("|- ", "`- ", "|  ") if ascii_only else ("├─ ", "└─ ", "│  ")
    if picture.name:
        yield picture.name
    uses = Counter(operand for node in picture.nodes for operand in node.operands)
    shared = [node for node in picture.nodes if uses[node] > 1 and node.pytorch]
    tags = {node: f" #{number}" for number, node in enumerate(shared, 1)}
    seen: set[GraphNode] = set()
    stack = [(picture.nodes[0], "", "")]
    while stack:
        node, front, below = stack.pop()
        title = f"{front}{node.title}{tags.get(node, '')}"
        if node in seen:
            yield f"{title}, as above"
            continue
        seen.add(node)
        yield "  ".join([title, *_labels(node)[1:]])
        branch, rest = last, "   "
        for operand in reversed(node.operands):
            stack.append((operand, below + branch, below + rest))
            branch, rest = first, below_first


# --- text for other programs --------------------------------------------------------------------


class _Language(NamedTuple):
    """How a language writes a graph: `opening` and `closing` are its first and last lines, the others
    formats for lines. Inputs are rounded, operations boxes.
    """

    opening: tuple[str, ...]
    operation: str
    input: str
    edge: str
    group: str
    group_end: str
    line_end: str
    escapes: Mapping[int, str]
    closing: tuple[str, ...] = ()


_LANGUAGES = {
    "dot": _Language(
        opening=("digraph gradcli {", '  node [shape=box, fontname="monospace"];'),
        operation='{key} [label="{label}"];',
        input='{key} [label="{label}", shape=ellipse];',
        edge="{start} -> {end};",
        group='subgraph cluster_{number} {{\n  label="{name}";',
        group_end="}",
        line_end="\\n",
        escapes=str.maketrans({"\\": "\\\\", '"': '\\"'}),
        closing=("}",),
    ),
    "mermaid": _Language(
        opening=("flowchart TD",),
        operation='{key}["{label}"]',
        input='{key}(["{label}"])',
        edge="{start} --> {end}",
        group='subgraph g{number}["{name}"]',
        group_end="end",
        line_end="<br/>",
        escapes=str.maketrans({char: f"#{ord(char)};" for char in '#"<>&'}),
    ),
}


def _text(graphs: Sequence[Picture], language: _Language) -> str:
    lines = [*language.opening]
    for number, picture in enumerate(graphs):
        keys = {node: f"g{number}n{i}" for i, node in enumerate(picture.nodes)}
        inner = []
        for node, key in keys.items():
            label = language.line_end.join(
                line.translate(language.escapes) for line in _labels(node)
            )
            shape = language.operation if node.pytorch else language.input
            inner.append(shape.format(key=key, label=label))
        for node, key in keys.items():
            inner += [language.edge.format(start=key, end=keys[to]) for to in node.operands]
        if picture.name:
            name = picture.name.translate(language.escapes)
            head = language.group.format(number=number, name=name).split("\n")
            inner = [*head, *(f"  {line}" for line in inner), language.group_end]
        lines += [f"  {line}" for line in inner]
    return "".join(f"{line}\n" for line in (*lines, *language.closing))
