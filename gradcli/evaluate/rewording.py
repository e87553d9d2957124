"""PyTorch's messages about shapes, sizes and arguments, in our words: which sizes must agree, which argument is missing."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeAlias

from torch import Tensor

from gradcli.language.expressions.program import Step

_PRODUCTS = ("@", "matmul", "bmm", "baddbmm")

Shapes: TypeAlias = Sequence[list[int]]
"""The shapes of the tensors among the operands, in order."""


def reworded(said: str, step: Step, operands: Sequence[object]) -> str:
    """What `said` means for these operands; `said` itself where no rule is about it."""
    shapes = [list(tensor.shape) for tensor in _tensors(operands)]
    for pattern, worded in _RULES:
        if (found := re.search(pattern, said)) and (text := worded(found, step, shapes)):
            return text
    return said


def signature(function: Callable[..., object] | None) -> str:
    """How a function of PyTorch is called, as it says itself; empty where it does not say."""
    first = (getattr(function, "__doc__", "") or "").strip().split("\n")[0]
    if found := re.match(r"\w+(\(.*?\))(?: ->.*)?$", first):
        return f"{getattr(function, '__name__', '')}{found[1]}"
    try:
        known = inspect.signature(function) if function else None
    except (TypeError, ValueError):
        return ""
    if known is None:
        return ""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in known.parameters.values()]
    return f"{getattr(function, '__name__', '')}{known.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"


def _tensors(operands: Sequence[object]) -> Iterator[Tensor]:
    """The tensors among the operands, and in their lists, as `cat` takes them; what a list nests deeper has no say."""
    for operand in operands:
        for value in operand if isinstance(operand, list | tuple) else (operand,):
            if isinstance(value, Tensor):
                yield value


def _product(found: re.Match[str], step: Step, shapes: Shapes) -> str:
    """Which sizes of a matrix product must agree."""
    if len(shapes) < 2:
        return ""
    name = step.name.rpartition(".")[2]
    left, right = shapes[-2:] if name in ("addmm", "addmv", "baddbmm", "addbmm") else shapes[:2]
    if not left or not right:
        return f"{'the left' if not left else 'the right'} operand is a single number: write the product with *"
    if name == "linear":
        return _must(left[-1], right[-1], "the last size of the input", "the last size of the weight")
    if len(right) == 1 or name == "dot":
        return _must(left[-1], right[0], "the last size of the left operand", "the size of the right one")
    if inner := _must(left[-1], right[-2], "the last size of the left operand", "the first size of the right one"):
        return inner if len(right) == 2 else inner.replace("the first size", "the second-last size")
    return _broadcast(found, step, [left, right])


def _must(left: int, right: int, this: str, that: str) -> str:
    return f"{this} ({left}) must equal {that} ({right})" if left != right else ""


def _broadcast(found: re.Match[str], step: Step, shapes: Shapes) -> str:
    """The last dimension in which shapes do not broadcast, counted from the end as broadcasting does."""
    if step.name.rpartition(".")[2] in _PRODUCTS:
        shapes = [shape[:-2] for shape in shapes]
    for place, sizes in enumerate(zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1), 1):
        if len(set(sizes) - {1}) > 1:
            where = "last dimension" if place == 1 else f"dimension {place} from the end"
            listed = " and ".join(str(size) for size in dict.fromkeys(sizes) if size != 1)
            what = "batch sizes" if step.name.rpartition(".")[2] in _PRODUCTS else "shapes"
            return f"the {what} do not broadcast: {listed} in the {where} must be equal, or one of them 1"
    return ""


def _reshape(found: re.Match[str], step: Step, shapes: Shapes) -> str:
    wanted, count = [int(size) for size in found[1].split(",") if size.strip()], int(found[2])
    held = 1
    for size in wanted:
        held *= size
    if -1 in wanted:
        return f"{count} elements cannot be arranged as {wanted}: {-held} does not divide {count}" if held else ""
    return f"{count} elements cannot be arranged as {wanted}, which has {held}"


def _dimension(found: re.Match[str], step: Step, shapes: Shapes) -> str:
    first, last, got = map(int, found.groups())
    if not last:
        return f"there is no dimension {got}: the tensor has one dimension, numbered 0 or -1"
    return f"there is no dimension {got}: the tensor has {last + 1} dimensions, numbered 0 to {last} or {first} to -1"


def _missing(found: re.Match[str], step: Step, shapes: Shapes) -> str:
    names = re.findall(r"[\"'](\w+)[\"']", found[1])
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing" if names else ""


_RULES: tuple[tuple[str, Callable[[re.Match[str], Step, Shapes], str]], ...] = (
    (
        r"shapes cannot be multiplied|^size mismatch, got|arguments to \w+ need to be at least 1D"
        r"|inconsistent tensor size, expected tensor|Expected size for first two dimensions of batch2"
        r"|1D tensors expected, but got|input and mat2 must be the same|Expected batch2? tensor",
        _product,
    ),
    (r"size of tensor a \(\d+\) must match|are not broadcastable|shape mismatch: ", _broadcast),
    (r"shape '\[(.*?)\]' is invalid for input of size (\d+)", _reshape),
    (r"Dimension out of range \(expected to be in range of \[(-?\d+), (-?\d+)\], but got (-?\d+)\)", _dimension),
    (r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)", _missing),
    (
        r"same dtype, but (?:found|got):? (?:\w+, )?(\w+),? (?:and|!=) (\w+)|expected scalar type (\w+) but found (\w+)",
        lambda found, step, shapes: (
            "both operands must have the same dtype, but they have "
            + " and ".join(name.lower() for name in found.groups() if name)
        ),
    ),
    (
        r"expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)",
        lambda found, step, shapes: (
            f"only a dimension of size 1 can be expanded to {found[1]}, but this one has size {found[2]}"
        ),
    ),
    (
        r"Incompatible shapes of A and B for the equation AX = B \((.*?) and (.*?)\)",
        lambda found, step, shapes: (
            f"the rows of A ({found[1].split('x')[-2]}) must equal those of B ({found[2].split('x')[-2]})"
        ),
    ),
    (
        r"Sizes of tensors must match except in dimension (-?\d+)",
        lambda found, step, shapes: (
            f"all sizes except that of dimension {found[1]} must be equal: " + " and ".join(map(str, shapes))
        ),
    ),
    (
        r"expects each tensor to be equal size",
        lambda found, step, shapes: f"all shapes must be equal: {' and '.join(map(str, shapes))}",
    ),
    (
        r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)",
        lambda found, step, shapes: f"index {found[1]} is outside dimension {found[2]}, which has size {found[3]}",
    ),
    (
        r"too many indices for tensor of dimension (\d+)",
        lambda found, step, shapes: f"there are more indices than dimensions: the tensor has {found[1]}",
    ),
    (
        r"must be batches of square matrices, but they are (\d+) by (\d+)",
        lambda found, step, shapes: f"the matrix must be square, but it is {found[1]} by {found[2]}",
    ),
    (
        r"The input tensor A? ?must have at least 2 dimensions|expected a tensor with 2 or more dimensions"
        r"|expected a matrix",
        lambda found, step, shapes: f"expected a matrix, got shape {shapes[0]}" if shapes else "",
    ),
    (
        r"input matrix is singular|solver failed because the input matrix is singular",
        lambda found, step, shapes: "the matrix is singular: it has no inverse",
    ),
    (
        r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)",
        lambda found, step, shapes: (
            f"there are {found[1]} rows of logits and {found[2]} targets: each row needs one class"
            if shapes[-1:] != [[]]
            else f"there are {found[1]} rows of logits and one class index: each row needs one class, such as y=0,1"
        ),
    ),
    (
        r"Using a target size \(torch\.Size\((\[.*?\])\)\) that is different to the input size \(torch\.Size\((\[.*?\])\)\)",
        lambda found, step, shapes: f"the target has shape {found[1]} and the input {found[2]}: they must be equal",
    ),
    (
        r"weight of size (\[.*?\]), expected input(\[.*?\]) to have (\d+) channels, but got (\d+)",
        lambda found, step, shapes: (
            f"the weight {found[1]} is for {found[3]} input channels, but the input {found[2]} has {found[4]}"
        ),
    ),
)
"""What PyTorch says, and what it means: a pattern, and a function of the match, the step and the shapes."""
