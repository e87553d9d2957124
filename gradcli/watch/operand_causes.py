"""Causes of errors about what a function was given: shapes, types, indices, leaves, and what a
function of the user's returned.
"""

import ast
import re

from torch import Tensor, nn

from gradcli.watch.case import Case
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.operands import odd_dtype, odd_shape, source
from gradcli.watch.torch_functions import LEAVING

_SHAPES = (
    "class-shape", "batch-size", "target-size", "shape-mismatch", "size-mismatch", "conv-channels", "cat-sizes", "rnn-sizes",
)  # fmt: skip
"""Entries about several shapes, of which the odd one was made before. Of others, such as a view that
does not fit, the line that raised the error is the cause."""
_TYPES = ("class-target", "bce-dtype", "one-hot-target", "dtype-mix", "integer-mean")


def shapes(case: Case, entry: str | None = None) -> Finding | None:
    """Shapes that do not fit: the line that made the odd one."""
    entry = entry or case.entry(*_SHAPES)
    if not case.operands or entry not in _SHAPES:
        return None
    name = case.failure.name if case.failure else ""
    maker, text, also = odd_shape(name, case.operands, entry, case.place)
    return case.finding(entry, maker, text, *also)


def types(case: Case, entry: str | None = None) -> Finding | None:
    """Types that do not fit: the line from which on a tensor has the odd one."""
    entry = entry or case.entry(*_TYPES)
    if not case.operands or entry is None:
        return None
    place, text = odd_dtype(entry, case.operands)
    return case.finding(entry, place, text)


def out_of_range(case: Case) -> Finding | None:
    """An index or a class that is too large: the line that made the indices."""
    indices = [each for each in case.operands if not each.dtype.is_floating_point]
    entry = case.entry("class-range", "index-range")
    if case.failure and "embedding" in case.failure.name:
        entry = "index-range"
    if not indices or entry is None:
        return case.finding(entry, None, case.short) if entry else None
    others = [each.made for each in case.operands if each.dtype.is_floating_point and each.made]
    also = (
        Also(each.place, f"{each.owner or each.name.strip('_')} of shape {list(each.shape)}")
        for each in others
        if each.place
    )
    text = f"the indices of shape {list(indices[0].shape)} are made here: {case.short}"
    return case.finding(entry, source(indices[0]), text, *also)


def not_probabilities(case: Case) -> Finding | None:
    """A binary cross-entropy was given numbers outside 0 to 1: the line that made them."""
    what = "target" if "of target" in case.message else "input"
    given = case.operands[what == "target" :][:1]
    if not given:
        return None
    text = f"the {what} of shape {list(given[0].shape)} is made here; binary_cross_entropy takes probabilities"
    return case.finding("bce-range", source(given[0]) or given[0].place, text)


# --- leaves, functions, and the rest ------------------------------------------------------------------


def plain_input(case: Case) -> Finding | None:
    """A tensor that is differentiated by does not require a gradient."""
    text = "this line asks for the gradient of a tensor that does not require one"
    return case.finding("grad-of-plain-input", None, text)


def own_function(case: Case) -> Finding | None:
    """A backward of the user's that returns the wrong number, shape or type of gradients."""
    name = re.search(r"[Ff]unction (\w+?)(?:Backward)? returned", case.message)
    place = _return_of_backward(name[1], case) if name else None
    entry = "custom-function" if "incorrect number" in case.message else "function-shape"
    return case.finding(entry, place, case.short)


def _return_of_backward(name: str, case: Case) -> Place | None:
    """The return statement of the method `backward` of a class of the program."""
    for file, node in case.watcher.places.nodes(ast.ClassDef):
        for method in node.body if node.name == name else ():
            if isinstance(method, ast.FunctionDef) and method.name == "backward":
                lines = [each.lineno for each in ast.walk(method) if isinstance(each, ast.Return)]
                return Place(file, max(lines, default=method.lineno))
    return None


def no_parameters(case: Case) -> Finding | None:
    """The optimizer of a module whose parts are in a list of Python, which PyTorch does not search, or
    whose weight is a plain tensor.
    """
    for module in case.modules:
        for name, value in vars(module).items():
            plain = isinstance(value, Tensor) and value.requires_grad
            if name[0] == "_" or not (plain or isinstance(value, (list, tuple, dict))):
                continue
            parts = value.values() if isinstance(value, dict) else value
            if plain or any(isinstance(each, nn.Module) for each in parts):
                stores = (
                    Place(file, node.lineno)
                    for file, node in case.watcher.places.nodes(ast.Attribute)
                    if node.attr == name and isinstance(node.ctx, ast.Store)
                )
                kind = "tensor" if plain else type(value).__name__
                text = (
                    f"{name} of {type(module).__name__} is a plain {kind}: PyTorch does not find "
                    f"{'what is not an nn.Parameter' if plain else 'the modules in it'}"
                )
                return case.finding("plain-list", next(stores, None), text)
    return case.finding("empty-optimizer", None, "these parameters are empty")


def expanded(case: Case) -> Finding | None:
    """A write to an expanded tensor: the line that expanded it."""
    made = case.made
    for each in made.ancestors() if made else ():
        if each.name in ("expand", "expand_as", "broadcast_to", "expand_copy"):
            made = each
            break
    text = "the elements of this expanded tensor share one place in memory"
    return case.finding("inplace-expanded", made.place if made else None, text)


def non_leaf_parameter(case: Case) -> Finding | None:
    """An optimizer was given the result of an operation."""
    tensor = case.frames[-1].f_locals.get("param")
    made = case.watcher.origin(tensor) if isinstance(tensor, Tensor) else None
    if made is None:
        return None
    text = f"{made.name.strip('_.')} makes a result of an operation, not a leaf that an optimizer can update"
    return case.finding("optimizer-leaf", made.place, text)


def inference_tensor(case: Case) -> Finding | None:
    """A tensor made in inference mode met autograd."""
    block = case.watcher.grad_off
    if block is None or "inference" not in block.text:
        return None
    text = "tensors that are made in inference mode cannot enter a graph later"
    return case.finding("inference-mode", block, text)


def not_one_number(case: Case) -> Finding | None:
    """A loss of several elements: the line that made it."""
    shape = list(case.operands[0].shape) if case.operands else "several"
    text = f"a loss of shape {shape} is made here; backward needs one number"
    return case.finding("non-scalar", case.made.place if case.made else None, text)


def not_one_number_of_function(case: Case) -> Finding | None:
    """What torch.func differentiates returned several elements: the line that made them."""
    computed = [each for each in case.operands if each.shape and each.made and each.made.name]
    if not computed:
        return None
    text = f"the result of shape {list(computed[0].shape)} is made here; torch.func.grad needs one number"
    return case.finding("func-grad-scalar", computed[0].place, text)


def number_under_vmap(case: Case) -> Finding | None:
    """A function that makes a Python number of a tensor was called under vmap."""
    name = case.failure.name if case.failure else ""
    if name not in LEAVING:
        return None
    text = f"{name.strip('_')}() makes a Python number, but under vmap the tensor has one for each sample"
    return case.finding("vmap-item", None, text)
