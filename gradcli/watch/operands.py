"""The tensors that a function refused: which of them is the odd one, and the line that made it."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import FrameType

import torch
from torch import Tensor

from gradcli.watch.finding import Also, Place
from gradcli.watch.record import Made, shape_of, storage_of
from gradcli.watch.user_lines import Places, frames, syntax_tree

_PASSING = frozenset(
    [
        "__getitem__", "index_select", "to", "stack", "contiguous", "clone", "detach", ".data", "cpu", "cuda", "chunk",
        "split", "unbind", "narrow", "pin_memory", "requires_grad_", "as_tensor",
    ]
)  # fmt: skip
"""Functions that choose or copy: what they return is as odd as what they were given."""
RESHAPING = frozenset(
    [
        "view", "reshape", "flatten", "unsqueeze", "squeeze", "t", ".T", ".mT", "transpose", "permute", "cat", "stack",
        "expand", "repeat", "sum", "mean", "unfold", "__getitem__", "chunk", "split", "view_as", "movedim", "swapaxes",
    ]
)  # fmt: skip
"""Functions whose purpose is another shape."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that was given to a function that failed: how it was made, and the variable of the
    user's that held it, with the line where that was read.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    made: Made | None
    variable: str = ""
    read: Place | None = None

    @property
    def owner(self) -> str:
        """The name of the module's parameter that it is; empty for any other tensor."""
        return self.made.owner if self.made else ""

    @property
    def name(self) -> str:
        """What a user calls it: the parameter of a module, or the variable."""
        return self.owner or self.variable or "a tensor"

    @property
    def place(self) -> Place | None:
        """The line that made it, or that assigned its variable."""
        return (self.made.place if self.made else None) or self.assigned

    @property
    def assigned(self) -> Place | None:
        """The line that assigned its variable, if that can be read from the source."""
        if not self.variable or self.read is None:
            return None
        lines = _assignments(self.read.file).get(self.variable, [])
        before = [line for line in lines if line < self.read.line]
        return Place(self.read.file, (before or lines)[-1]) if lines else None

    def first(self, same: Callable[[Made], bool], *, same_dimensions: bool = True) -> Place | None:
        """The line from which on it has been as odd as it is: `same` of a record says so. Batches
        are made by choosing and stacking rows, so only records with as many dimensions count.
        """
        found = made = self.made
        while made is not None:
            made = next((each for each in made.parents if same(each)), None)
            if made is not None and (not same_dimensions or len(made.shape) == len(self.shape)):
                found = made
        unseen = found is None or (found.name in _PASSING and not found.parents)
        return (self.assigned if unseen else None) or (found.place if found else None)


def source(operand: Operand, raised: Place | None = None) -> Place | None:
    """The line that made what an operand was chosen or copied from, or reshaped on the line `raised`
    that refused it.
    """
    passed: set[int] = set()

    def chosen(made: Made) -> bool:
        return id(made) in passed

    for made in operand.made.ancestors() if operand.made else ():
        if made is operand.made or id(made) in passed:
            here = raised and made.place and made.place.address == raised.address
            if made.name in _PASSING or (here and made.name in RESHAPING):
                passed.update(map(id, made.parents[:1]))
    return operand.first(chosen, same_dimensions=raised is None)


def described(
    tensors: Sequence[Tensor], origin: Callable[[Tensor], Made | None], frame: FrameType | None,
    places: Places
) -> list[Operand]:  # fmt: skip
    """The operands of a function that failed below `frame`, eight at most."""
    names = _names(tensors, frame, places)
    return [
        Operand(shape_of(each), each.dtype, origin(each), *names.get(id(each), ("", None)))
        for each in tensors[:8]
    ]


def _names(
    tensors: Sequence[Tensor], frame: FrameType | None, places: Places
) -> dict[int, tuple[str, Place | None]]:
    """The outermost variables of the user's that hold these tensors, or the tensors that they view."""
    wanted = set(map(id, tensors))
    views = {storage_of(tensor): id(tensor) for tensor in tensors}
    names: dict[int, tuple[str, Place | None]] = {}
    held: dict[int, tuple[str, Place | None]] = {}
    for each in frames(frame):
        for name, value in each.f_locals.items() if places.users(each.f_code.co_filename) else ():
            if id(value) in wanted:
                names[id(value)] = name, places.here(each)
            elif isinstance(value, Tensor) and (key := views.get(storage_of(value))):
                held[key] = name, places.here(each)
    return held | names


@cache
def _assignments(file: str) -> dict[str, list[int]]:
    """The lines on which each name is assigned, in order."""
    lines: dict[str, list[int]] = {}
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            lines.setdefault(node.id, []).append(node.lineno)
    return {name: sorted(each) for name, each in lines.items()}


def odd_dtype(entry: str, operands: Sequence[Operand]) -> tuple[Place | None, str]:
    """The line that made the operand whose dtype a function refuses, and what it made."""
    if entry == "index-dtype":  # the table that is indexed is a parameter, or comes first
        odd = [each for each in operands if not each.owner][-1:]
    elif entry == "dtype-mix":
        usual = {each.dtype for each in operands if each.owner} or {torch.get_default_dtype()}
        odd = [each for each in operands if each.dtype not in usual]
        odd.sort(key=lambda each: not each.dtype.is_floating_point)  # a target may be integers
    elif entry == "class-target":
        odd = list(operands[1:])
    else:
        odd = [each for each in operands if not each.dtype.is_floating_point]
    odd = [each for each in odd if not each.owner] or odd
    if not odd:
        return None, "the operands have types that do not fit"
    operand = odd[0]
    labels = not operand.dtype.is_floating_point  # which were right until one_hot, for example
    place = operand.first(lambda made: made.dtype == operand.dtype, same_dimensions=labels)
    return place, f"{operand.name} becomes {str(operand.dtype).removeprefix('torch.')} here"


def odd_shape(
    name: str, operands: Sequence[Operand], entry: str, raised: Place
) -> tuple[Place | None, str, list[Also]]:
    """The line that made the operand whose shape a function refuses, what it made, and the lines
    that made the others.
    """
    odd = _odd(operands, entry)
    made = odd.made
    place = odd.place
    if not odd.owner:
        place = source(odd, raised if entry in ("batch-size", "size-mismatch") else None)
        if place and made and place.code is not raised.code:
            here = made.place is not None and made.place.address == raised.address
            if here or made.name not in RESHAPING:  # it was made in a function called there
                place = odd.assigned or place
    shapes = ", ".join(f"{each.name} {list(each.shape)}" for each in operands[:3])
    text = (
        f"{odd.name} of shape {list(odd.shape)} is made here; {name.strip('_')} was given {shapes}"
    )
    others = [(each.place, each) for each in operands if each is not odd]
    also = [Also(at, f"{it.name} of shape {list(it.shape)}") for at, it in others if at]
    return place, text, also


def _odd(operands: Sequence[Operand], entry: str) -> Operand:
    """The operand that is most likely the wrong one."""
    if entry == "class-shape" and len(operands) > 1:
        return operands[1]
    given = [each for each in operands if not each.owner]
    owned = [each for each in operands if each.owner]
    reshaped = [each for each in given if each.made and each.made.name in RESHAPING]
    if owned and given:  # a layer and what it was given
        value, weight = given[0], owned[0]
        channels_last = entry == "conv-channels" and value.shape[-1:] == weight.shape[1:2]
        no_matrix = entry == "shape-mismatch" and len(value.shape) != 2
        return value if channels_last or no_matrix else weight
    return (reshaped or given[::-1] or operands)[0]
