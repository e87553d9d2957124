"""Causes of errors about the graph: where it was cut, overwritten, freed, or never made."""

import ast
import re
from dataclasses import replace
from difflib import get_close_matches

from torch import Tensor

from gradcli.watch.case import Case
from gradcli.watch.finding import Also, Finding, Place, also_at
from gradcli.watch.record import Cut, Left, Made
from gradcli.watch.torch_functions import FACTORIES, REENTRANT, UNRECORDED
from gradcli.watch.user_lines import syntax_tree

# --- the loss has no graph ------------------------------------------------------------------------

_CUT = {
    "detached": "{name} took a value of shape {shape} out of the graph: nothing before it gets a gradient",
    "tensor-copy": "{name}() copied a value of shape {shape}; the copy has no graph",
    "no-grad-block": "what is computed while recording is off has no graph",
    "inference-mode": "what is computed in inference mode has no graph",
    "checkpoint-inputs": REENTRANT,
    "not-differentiable": "{name} gives whole numbers or booleans, which have no gradient, so the graph ends here",
    "second-derivative": "this gradient was computed without create_graph=True, so it has no graph of its own",
    "sampled": "sample() draws without a graph; rsample() draws by a differentiable formula",
}  # fmt: skip


def no_graph(case: Case) -> Finding | None:
    """The loss has no graph: where it was cut, or what should have required a gradient."""
    root = case.made
    if root is None:
        text = "the loss has no graph; where it was made was not seen"
        return case.finding("no-grad", None, text)
    if root.cut is not None:
        return _cut(case, root.cut)
    for made in root.ancestors():
        if made.flag is not None and not made.flagged:
            text = f"requires_grad of {made.owner or 'a tensor'} was switched off here, and nothing else requires a gradient"
            return case.finding("frozen", made.flag, text)
        if made.flag is not None and made.flag.last > root.tick:
            text = "requires_grad is set here, after the loss had been computed without a graph"
            also = also_at(root.place, "the loss is made here")
            return case.finding("late-flag", made.flag, text, *also)
    return _numbers(case, root) or _misspelt(case) or _nothing_required(case, root)


def _misspelt(case: Case) -> Finding | None:
    """An attribute that looks like requires_grad was set on a tensor."""
    lines = [
        (Place(file, node.lineno), node.attr)
        for file, node in case.watcher.places.nodes(ast.Attribute)
        if isinstance(node.ctx, ast.Store)
        and node.attr not in dir(Tensor)
        and get_close_matches(node.attr, ["requires_grad"], cutoff=0.75)
    ]
    if not lines:
        return None
    (place, name), *rest = lines
    text = (
        f"this sets an attribute {name}, which means nothing to PyTorch; the flag is requires_grad"
    )
    return case.finding("flag-typo", place, text, *(Also(each, "so does this") for each, _ in rest))


def _cut(case: Case, cut: Cut) -> Finding:
    kind, place = cut.kind, cut.place
    line = place.text if place else ""
    if kind == "no-grad-block":
        if place and ".sample(" in line and (cut.off is None or cut.off.address == place.address):
            kind = "sampled"
        elif place and re.match(r"(\w+) = \1 -.*\.grad", line):
            text = (
                "this makes a new tensor, without a graph and no longer the leaf that it replaces"
            )
            return case.finding("reassigned-leaf", place, text)
    name = cut.name.strip("_.")
    text = _CUT[kind].format(name=name, shape=list(cut.shape))
    if kind in UNRECORDED:
        place = cut.off or place
    also = also_at(cut.place, f"{name} runs here, while recording is off")
    return case.finding(kind, place, text, *(also if place is not cut.place else ()))


def _numbers(case: Case, root: Made) -> Finding | None:
    """The loss was made from a number or an array that had left the graph."""
    for made in root.ancestors():
        if made.name not in FACTORIES:
            continue
        left = [each for each in case.record.left if each.tick < made.tick]
        same = [each for each in left if each.number is not None and each.number == made.number]
        if made.number is None:
            same = [each for each in left if each.name in ("numpy", "__array__")]
        since = case.record.passes[-1].tick if case.record.passes else 0
        found = same or [each for each in left if each.tick > since]
        if found:
            return _left(case, found[-1], *also_at(made.place, "here a new tensor is made of it"))
    return None


def _left(case: Case, left: Left, *also: Also) -> Finding:
    if left.number is None:
        entry = "detached" if left.cut and left.cut.kind == "detached" else "numpy-on-grad"
        text = f"an array of shape {list(left.shape)} leaves the graph here: NumPy records nothing"
    else:
        entry = "item-breaks"
        text = f"{left.function}() gives {left.number:g}, a Python number, which has no graph"
    return case.finding(entry, left.place, text, *also)


def _nothing_required(case: Case, root: Made) -> Finding:
    """No tensor that the loss was computed from requires a gradient."""
    sources = [made for made in root.ancestors() if not made.parents and made.place]
    floats = [it for it in sources if it.dtype.is_floating_point and it.name != "from_numpy"]
    wanted = [made for made in floats if _gradient_is_read(made)] or floats[-1:]
    if not wanted:
        return case.finding("no-grad", root.place, "no tensor in this loss requires a gradient")
    first, *rest = wanted
    text = f"this tensor of shape {list(first.shape)} does not require a gradient, and neither does any other in the loss"
    also = (Also(each.place, "nor this one") for each in rest if each.place)
    return case.finding("no-grad", first.place, text, *also)


def _gradient_is_read(made: Made) -> bool:
    """Whether the program reads the grad of the variable that the line of `made` assigns."""
    assert made.place
    assigned = re.match(r"(\w+)\s*(?::[^=]+)?=[^=]", made.place.text)
    if not assigned:
        return False
    with open(made.place.file, encoding="utf-8", errors="replace") as file:
        return bool(re.search(rf"\b{assigned[1]}\.grad\b", file.read()))


# --- numbers in place of tensors --------------------------------------------------------------------


def plain_number(case: Case) -> Finding | None:
    """A tensor's attribute was asked of a number or an array."""
    value = getattr(case.error, "obj", None)
    left = [each for each in case.record.left if (each.number is None) == hasattr(value, "dtype")]
    if not left:
        return None
    same = [each for each in left if each.number is not None and each.number == value]
    return replace(_left(case, (same or left)[-1]), entry="item-breaks")


def no_gradient(case: Case) -> Finding | None:
    """The grad of a tensor was None."""
    made, place, details = case.watcher.none_grad or (None, None, {})
    if place is None or place.address != case.place.address:
        return _no_return(case)
    where = made.place if made else None
    if not details["requires_grad"]:
        if made and made.cut and made.cut.kind == "no-grad-block":
            text = "this makes a new tensor, which does not require a gradient and has no grad"
            return case.finding("reassigned-leaf", where, text)
        text = "this tensor does not require a gradient, so its grad stays None"
        return case.finding("grad-none", where, text)
    if not details["is_leaf"]:
        name = made.name if made else ""
        text = f"{name.strip('_')} makes a new tensor here, and only leaves keep their grad"
        is_update = name in ("sub", "__sub__", "add", "__add__", "__rsub__")
        again = is_update and where is not None and ".grad" in where.text
        return case.finding("reassigned-leaf" if again else "non-leaf-grad", where, text)
    passes = [each for each in case.record.passes if each.fills]
    if not passes:
        text = "no backward pass has run yet, so every grad is None"
        return case.finding("grad-none", None, text)
    last = also_at(passes[-1].place, "the backward pass")
    zeroed = case.watcher.last_zeroed
    if zeroed is not None and zeroed.last > passes[-1].tick:
        text = "zero_grad() sets every grad to None, also what backward has just stored"
        return case.finding("grad-none", zeroed, text, *last)
    for cut in reversed(case.record.cuts.values()):
        if details["id"] in cut.leaves:
            found = _cut(case, cut)
            owner = made.owner if made else "the tensor"
            return replace(
                found, entry="grad-none", text=f"{found.text}; so the grad of {owner} stays None"
            )
    if made and made.flag and made.flagged and (used := _used_before(made.flag)):
        text = "requires_grad is set here, after the loss had been computed without it"
        return case.finding("late-flag", made.flag, text, Also(used, "it is used here"))
    text = "the last backward pass did not reach this tensor, so its grad is None"
    return case.finding("grad-none", where, text, *last)


def _used_before(flag: Place) -> Place | None:
    """The last line before `flag` that gives a function the variable whose flag is set there; None
    if a later line but that of its grad uses it too, so that the flag may have come in time.
    """
    flagged = re.match(r"(\w+)\.requires_grad", flag.text)
    uses = [
        (node.lineno, isinstance(above, ast.Call))
        for above in ast.walk(syntax_tree(flag.file))
        for node in ast.iter_child_nodes(above)
        if isinstance(node, ast.Name)
        and flagged
        and node.id == flagged[1]
        and isinstance(node.ctx, ast.Load)
        and getattr(above, "attr", "") != "grad"
    ]
    if any(line > flag.line for line, _ in uses):
        return None
    before = [line for line, given in uses if given and line < flag.line]
    return Place(flag.file, max(before)) if before else None


def _no_return(case: Case) -> Finding | None:
    """A module whose forward returns nothing."""
    names = {
        *(type(module).__name__ for module in case.modules),
        *re.findall(r"\w+", case.place.text),
    }
    for file, node in case.watcher.places.nodes(ast.ClassDef):
        for method in node.body if node.name in names else ():
            if isinstance(method, ast.FunctionDef) and method.name == "forward":
                inside = list(ast.walk(method))
                if not any(isinstance(each, (ast.Return, ast.Yield)) for each in inside):
                    last = Place(file, method.body[-1].lineno)
                    text = f"forward of {node.name} ends here without a return, so it returns None"
                    return case.finding("forward-returns-none", last, text)
    return None


# --- changed in place, backward again ---------------------------------------------------------------


def overwritten(case: Case) -> Finding | None:
    """A value that backward needs was changed in place."""
    saved, write = (case.failure.details.get("saved") if case.failure else None) or (None, None)
    where = saved.place if saved else None
    if write is None or write.place is None:
        text = "a value that backward needs was overwritten; the write was not seen"
        return case.finding("inplace-saved", where, text)
    name = saved.name.strip("_") if saved else ""
    kept = also_at(where, f"{name} saved the value for backward here")
    if write.stepped:
        passes = [each for each in case.record.passes if each.fills and each.tick < write.tick]
        before = also_at(passes[-1].place if passes else None, "the backward pass before the step")
        text = (
            "step() changes weights that the next backward pass still needs with their old values"
        )
        return case.finding("step-before-backward", write.place, text, *kept, *before)
    if write.module is not None:
        text = "this module works in place and overwrites a value that backward still needs"
        called = Also(write.place, "it is called here")
        return case.finding("inplace-saved", write.module, text, called, *kept)
    what = "the assignment" if write.name == "__setitem__" else write.name
    text = f"{what} writes into a value that backward still needs as it was"
    return case.finding("inplace-saved", write.place, text, *kept)


def second_time(case: Case) -> Finding | None:
    """A graph was freed by one backward pass and is needed by another."""
    details = case.failure.details if case.failure else {}
    passes = case.record.passes
    used = [
        (old, user, first)
        for old, user in details.get("freed", ())
        if (first := next((each for each in passes if each.tick > old.tick), None))
    ]  # the nodes that this pass itself has freed are younger than any earlier one
    if not used:
        text = "an earlier backward pass freed this graph; which one was not seen"
        return case.finding("backward-twice", None, text)
    edges = [(old, user, first) for old, user, first in used if user and user.tick > first.tick]
    old, user, first = max(edges or used, key=lambda each: each[0].tick)
    freed = also_at(first.place, "the first backward pass, which freed the graph")
    again = old.place is not None and old.place.last > first.tick
    repeated = first.place is not None and first.place.address == case.place.address
    later = user is not None and user.place is not None and user.place.first > first.tick
    if edges and user and (again or (later and repeated)):
        text = (
            f"the state of shape {list(old.shape)} that is made here carries its graph on into "
            "the next step, but the last backward pass has freed it"
        )
        used_again = also_at(user.place, "it is used again here")
        return case.finding("carried-state", old.place, text, *used_again, *freed)
    if edges and user and not later:
        text = (
            f"{old.name.strip('_')} is computed once, and every backward pass goes through its graph; "
            "the first frees it"
        )
        used_here = also_at(user.place, "it is used here")
        return case.finding("backward-twice", old.place, text, *used_here, *freed)
    same = not details["roots"] or bool({*first.roots} & {*details["roots"]})
    if repeated and (again or same or max(details["roots"]) > first.tick):
        text = "this is computed once, and backward runs through it again and again"
        if again:
            text = "what this line computed before is still part of the loss, but its graph was freed then"
        return case.finding("backward-twice", old.place, text, *freed)
    if repeated:
        text = "several backward passes go through what is computed here, and the first frees its graph"
        return case.finding("shared-graph", old.place, text, *freed)
    entry = "backward-twice" if same else "shared-graph"
    text = "this backward pass frees the graph that a later one needs too"
    also = also_at(old.place, "both need what is computed here")
    return case.finding(entry, first.place, text, *also)
