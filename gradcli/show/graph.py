"""`--graph`: the graph that autograd recorded, as a tree for the terminal or as text for Graphviz
and Mermaid.

Arrows and branches lead the way of the gradient: from the result back to the inputs.
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
"""Elements up to which a tensor is shown whole."""
DIGITS = 6


def graph(result: Result, form: str, *, ascii_only: bool) -> str:
    """The graphs of everything that was differentiated, one behind the other, as `tree`, `dot` or
    `mermaid`.

    Raises UsageError where there is none, and SizeError where one has too many nodes.
    """
    return _FORMS[form](pictures(result), ascii_only)


def _words(node: GraphNode) -> list[str]:
    """What is written on a node: its title, what it is, its value and its gradient; numbers only of
    what is small and one.
    """
    found = [gradient for gradient in node.gradients if gradient is not None]
    shapes = found[:1] or ([] if node.value is None else [node.value])
    said = [node.title, " ".join(filter(None, (node.pytorch, *map(numbers.shape_text, shapes))))]
    if len(node.gradients) <= 1:
        numbered = [("= ", node.value), ("grad ", found[0] if found else None)]
        said += [
            label + text
            for label, tensor in numbered
            if tensor is not None and (text := _short(tensor.detach()))
        ]
    return said


def _short(tensor: Tensor) -> str:
    """A small tensor as nested lists; a larger one is empty."""
    if tensor.numel() > SMALL or tensor.layout != torch.strided:
        return ""
    cells = [numbers.significant(number, DIGITS) for number in numbers.flat(tensor.cpu())]
    for size in reversed(tensor.shape):
        cells = [
            f"[{', '.join(cells[i : i + size])}]" for i in range(0, len(cells), max(1, size))
        ] or ["[]"]
    return cells[0]


# --- a tree for the terminal --------------------------------------------------------------------


@dataclass(frozen=True)
class _Lines:
    """The strokes of a tree: in front of a branch, of the last one, and of what hangs below
    either.
    """

    branch: str
    last: str
    below: str
    clear: str = "   "


_BOX = _Lines("├─ ", "└─ ", "│  ")
_ASCII = _Lines("|- ", "`- ", "|  ")


def _trees(found: Sequence[Picture], ascii_only: bool) -> str:
    lines = _ASCII if ascii_only else _BOX
    parts = []
    for picture in found:
        head = f"{picture.name}\n" if picture.name else ""
        parts.append(head + "".join(f"{line}\n" for line in _tree(picture, lines)))
    return "\n".join(parts)


def _tree(picture: Picture, lines: _Lines) -> Iterator[str]:
    """The lines of one tree. An operation that several others need is numbered, and drawn where it
    is met first.
    """
    met = Counter(operand for node in picture.nodes for operand in node.operands)
    shared = [node for node in picture.nodes if met[node] > 1 and node.pytorch]
    tags = {node: f" #{number}" for number, node in enumerate(shared, 1)}
    seen: set[GraphNode] = set()
    agenda = [(picture.nodes[0], "", "")]
    while agenda:
        node, front, below = agenda.pop()
        title = f"{front}{node.title}{tags.get(node, '')}"
        if node in seen:
            yield f"{title}, as above"
            continue
        seen.add(node)
        yield "  ".join([title, *_words(node)[1:]])
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


# --- text for other programs --------------------------------------------------------------------


def _dot(found: Sequence[Picture], ascii_only: bool) -> str:
    """Graphviz: inputs are ellipses, operations boxes."""
    lines = ["digraph gradcli {", '  node [shape=box, fontname="monospace"];']
    for number, picture in enumerate(found):
        ids = {node: f"g{number}n{i}" for i, node in enumerate(picture.nodes)}
        inner = []
        for node, key in ids.items():
            shape = "" if node.pytorch else ", shape=ellipse"
            label = "\\n".join(
                text.replace("\\", "\\\\").replace('"', '\\"') for text in _words(node)
            )
            inner.append(f'{key} [label="{label}"{shape}];')
        inner += [
            f"{key} -> {ids[operand]};" for node, key in ids.items() for operand in node.operands
        ]
        if picture.name:
            name = picture.name.replace("\\", "\\\\").replace('"', '\\"')
            inner = [
                f"subgraph cluster_{number} {{",
                f'  label="{name}";',
                *(f"  {line}" for line in inner),
                "}",
            ]
        lines += [f"  {line}" for line in inner]
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid(found: Sequence[Picture], ascii_only: bool) -> str:
    """Mermaid: inputs are rounded, operations boxes."""
    lines = ["flowchart TD"]
    for number, picture in enumerate(found):
        ids = {node: f"g{number}n{i}" for i, node in enumerate(picture.nodes)}
        inner = []
        for node, key in ids.items():
            opening, closing = ("[", "]") if node.pytorch else ("([", "])")
            inner.append(f'{key}{opening}"{"<br/>".join(map(_escaped, _words(node)))}"{closing}')
        inner += [
            f"{key} --> {ids[operand]}" for node, key in ids.items() for operand in node.operands
        ]
        if picture.name:
            inner = [
                f'subgraph g{number}["{_escaped(picture.name)}"]',
                *(f"  {line}" for line in inner),
                "end",
            ]
        lines += [f"  {line}" for line in inner]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text for a quoted label of Mermaid, which has its own codes for what it would read."""
    return text.translate({ord(char): f"#{ord(char)};" for char in '#"<>&'})


_FORMS: Mapping[str, Callable[[Sequence[Picture], bool], str]] = {
    "tree": _trees,
    "dot": _dot,
    "mermaid": _mermaid,
}
