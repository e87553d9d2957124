"""`--graph`: the graph that autograd recorded, as a tree for the terminal or as text for Graphviz
and Mermaid.

Arrows and branches follow the gradient: from the result to the inputs.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    return _FORMS[form](pictures(result), ascii_only)


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
    for size in reversed(tensor.shape):
        starts = range(0, len(cells), max(1, size))
        cells = [f"[{', '.join(cells[i : i + size])}]" for i in starts] or ["[]"]
    return cells[0]


# --- a tree for the terminal --------------------------------------------------------------------


@dataclass(frozen=True)
class _Strokes:
    """What is drawn before a branch, before the last branch, and before the lines below either."""

    branch: str
    last: str
    below: str
    clear: str = "   "


_BOX = _Strokes("├─ ", "└─ ", "│  ")
_ASCII = _Strokes("|- ", "`- ", "|  ")


def _trees(graphs: Sequence[Picture], ascii_only: bool) -> str:
    strokes = _ASCII if ascii_only else _BOX
    parts = []
    for picture in graphs:
        head = [picture.name] if picture.name else []
        parts.append("".join(f"{line}\n" for line in (*head, *_tree(picture, strokes))))
    return "\n".join(parts)


def _tree(picture: Picture, strokes: _Strokes) -> Iterator[str]:
    """The lines of one tree. An operation that is used several times is numbered and drawn once."""
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
        branch, rest = strokes.last, strokes.clear
        for operand in reversed(node.operands):
            stack.append((operand, below + branch, below + rest))
            branch, rest = strokes.branch, strokes.below


# --- text for other programs --------------------------------------------------------------------


def _dot(graphs: Sequence[Picture], ascii_only: bool) -> str:
    """Graphviz: inputs are ellipses, operations boxes."""

    def escape(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    lines = ["digraph gradcli {", '  node [shape=box, fontname="monospace"];']
    for number, picture in enumerate(graphs):
        ids = _ids(picture, number)
        inner = []
        for node, key in ids.items():
            shape = "" if node.pytorch else ", shape=ellipse"
            label = "\\n".join(map(escape, _labels(node)))
            inner.append(f'{key} [label="{label}"{shape}];')
        inner += [f"{ids[start]} -> {ids[end]};" for start, end in _edges(picture)]
        if picture.name:
            head = [f"subgraph cluster_{number} {{", f'  label="{escape(picture.name)}";']
            inner = [*head, *(f"  {line}" for line in inner), "}"]
        lines += [f"  {line}" for line in inner]
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid(graphs: Sequence[Picture], ascii_only: bool) -> str:
    """Mermaid: inputs are rounded, operations boxes."""

    def escape(text: str) -> str:  # by Mermaid's codes for characters that it would interpret
        return text.translate({ord(char): f"#{ord(char)};" for char in '#"<>&'})

    lines = ["flowchart TD"]
    for number, picture in enumerate(graphs):
        ids = _ids(picture, number)
        inner = []
        for node, key in ids.items():
            opening, closing = ("[", "]") if node.pytorch else ("([", "])")
            inner.append(f'{key}{opening}"{"<br/>".join(map(escape, _labels(node)))}"{closing}')
        inner += [f"{ids[start]} --> {ids[end]}" for start, end in _edges(picture)]
        if picture.name:
            head = f'subgraph g{number}["{escape(picture.name)}"]'
            inner = [head, *(f"  {line}" for line in inner), "end"]
        lines += [f"  {line}" for line in inner]
    return "\n".join(lines) + "\n"


def _ids(picture: Picture, number: int) -> dict[GraphNode, str]:
    return {node: f"g{number}n{i}" for i, node in enumerate(picture.nodes)}


def _edges(picture: Picture) -> list[tuple[GraphNode, GraphNode]]:
    return [(node, operand) for node in picture.nodes for operand in node.operands]


_FORMS: Mapping[str, Callable[[Sequence[Picture], bool], str]] = {
    "tree": _trees, "dot": _dot, "mermaid": _mermaid,
}  # fmt: skip
