"""The line that caused the error that ended a program, from its message and what was remembered."""

import ast
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn

from gradcli.language import matching
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.operands import Operand, odd_dtype, odd_shape, shape_text, source, syntax_tree
from gradcli.watch.record import (
    Cut,
    Left,
    Made,
    Pass,
    Write,
    made_by,
    storage_of,
    walk,
)
from gradcli.watch.watcher import Failure, Watcher

Node = TypeVar("Node", bound=ast.AST)


class Diagnosis:
    """Finds what caused the error of one program."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._record = watcher.record
        watcher.failed_backward = self._look_at_graph

    def of(self, error: BaseException) -> Finding | None:
        """The finding that explains an error; None if it has nothing to do with PyTorch."""
        raised = self._watcher.places.raised(error.__traceback__)
        if not raised or isinstance(error, (SyntaxError, KeyboardInterrupt)):
            return None
        failure = self._watcher.failure
        if failure is not None and failure.error != id(error):
            failure = None
        message = str(error)
        for pattern, find in _CAUSES:
            if re.search(pattern, message):
                case = Case(self._watcher, error, message, raised, failure)
                if finding := find(case):
                    return finding
        entry = _entry(error)
        if entry is None:
            return None
        place = failure.place if failure and failure.place else raised[-1]
        return Finding(entry, place, _sentence(message))

    def _look_at_graph(self, roots: Sequence[Tensor], failure: Failure) -> None:
        """Find out what only the graph knows, before it is gone."""
        nodes = [root.grad_fn for root in roots if root.grad_fn is not None]
        saved = None
        freed: list[tuple[Made, Made | None]] = []
        effective: dict[Any, Made | None] = {None: None}
        users: dict[Any, Made | None] = {None: None}
        for node, user in walk(nodes):
            made = effective[node] = made_by(node) or effective[user]
            same = made is not None and _tick(made) == _tick(effective[user])
            users[node] = users[user] if same else effective[user]
            for name in _saved_names(node):
                try:
                    getattr(node, name)
                except RuntimeError as error:
                    if "modified by an inplace operation" in str(error):
                        saved = saved or (node, user, name)
                    elif "already been freed" in str(error) and made:
                        freed.append((made, users[node]))
                        break
        if saved:
            failure.details["saved"] = self._overwritten(*saved)
        failure.details["freed"] = freed
        failure.details["roots"] = [made.tick for node in nodes if (made := made_by(node))]

    def _overwritten(self, node: Any, user: Any, name: str) -> tuple[Made | None, Write | None]:
        """Who saved the overwritten tensor, and who wrote to it."""
        found: list[Tensor] = []
        raw: Any = getattr(node, name.replace("_saved_", "_raw_saved_"), None)
        several: list[Any] = list(raw) if isinstance(raw, (tuple, list)) else [raw]
        for saved in several:
            try:
                saved.register_hooks(found.append, lambda packed: packed)
            except (AttributeError, RuntimeError, TypeError):
                continue
        made = made_by(node) or (made_by(user) if user is not None else None)
        made_at = made.tick if made else 0
        for tensor in found:
            storage = storage_of(tensor)
            for write in self._record.writes:
                if write.storage == storage and write.tick >= made_at and storage:
                    return made, write
        del found
        return made, None


class Case:
    """One error, and what is known about it."""

    def __init__(
        self,
        watcher: Watcher,
        error: BaseException,
        message: str,
        raised: list[Place],
        failure: Failure | None,
    ) -> None:
        self.watcher = watcher
        self.record = watcher.record
        self.error = error
        self.message = message
        self.failure = failure
        self.place = failure.place if failure and failure.place else raised[-1]
        """The line that raised the error."""

    @property
    def modules(self) -> list[nn.Module]:
        """The modules that a variable of the user's holds where the error was raised."""
        entry = self.error.__traceback__
        found = {}
        while entry is not None:
            frame = entry.tb_frame
            if self.watcher.places.users(frame.f_code.co_filename):
                for value in (*frame.f_globals.values(), *frame.f_locals.values()):
                    if isinstance(value, nn.Module):
                        found[id(value)] = value
            entry = entry.tb_next
        return list(found.values())

    @property
    def operands(self) -> list[Operand]:
        """The tensors that the function which failed was given."""
        return self.failure.operands if self.failure else []

    def finding(self, entry: str, place: Place | None, text: str, *also: Also | None) -> Finding:
        """A finding at `place`, or at the line that raised the error if that was not seen. The line
        that raised it is always among the lines.
        """
        place = place or self.place
        others = [each for each in also if each and each.place.address != place.address]
        if self.place.address not in {place.address, *(each.place.address for each in others)}:
            others.append(Also(self.place, f"here PyTorch reports the error: {self.short}"))
        return Finding(entry, place, text, tuple(others))

    def nodes(self, kind: type[Node]) -> Iterator[tuple[str, Node]]:
        """The nodes of one kind in the syntax trees of the user's files, in order, with the file."""
        for file in self.watcher.places.files():
            for node in ast.walk(syntax_tree(file)):
                if isinstance(node, kind):
                    yield file, node

    @property
    def short(self) -> str:
        """The first sentence of the message."""
        return _sentence(self.message)

    def entry(self, *choices: str) -> str | None:
        """The entry that explains the message, the first of `choices` if any of them does."""
        names = _entries(self.error)
        return next((name for name in choices if name in names), names[0] if names else None)


def _also(place: Place | None, text: str) -> Also | None:
    return Also(place, text) if place else None


def _sentence(message: str) -> str:
    """The first line of a message, cut at its first sentence where it is long."""
    line = message.strip().split("\n")[0]
    if len(line) > 120:
        line = re.split(r"(?<=[a-z)\]])[.:;] ", line)[0]
    return line if len(line) <= 240 else f"{line[:237]}..."


def _entries(error: BaseException) -> list[str]:
    lines = traceback.format_exception(error)
    return [mistake.name for mistake in matching.by_text("".join(lines)[-20_000:])]


def _entry(error: BaseException) -> str | None:
    return next(iter(_entries(error)), None)


def _saved_names(node: Any) -> Iterator[str]:
    yield from (name for name in dir(type(node)) if name.startswith("_saved_"))


def _tick(made: Made | None) -> int:
    return made.tick if made else 0


# --- the loss has no graph ------------------------------------------------------------------------

_CUT = {
    "detached": "{name} took a value of shape {shape} out of the graph: nothing before it gets a gradient",
    "tensor-copy": "{name}() copied a value of shape {shape}; the copy has no graph",
    "no-grad-block": "what is computed while recording is off has no graph",
    "inference-mode": "what is computed in inference mode has no graph",
    "not-differentiable": "{name} gives whole numbers or booleans, which have no gradient, so the graph ends here",
    "second-derivative": "this gradient was computed without create_graph=True, so it has no graph of its own",
    "sampled": "sample() draws without a graph; rsample() draws by a differentiable formula",
}  # fmt: skip


def _no_graph(case: Case) -> Finding | None:
    root = case.operands[0].made if case.operands else None
    if root is None:
        return case.finding(
            "no-grad", None, "the loss has no graph; where it was made was not seen"
        )
    if root.cut is not None:
        return _cut(case, root.cut)
    for made in root.ancestors():
        if made.flag is not None and not made.flagged:
            text = f"requires_grad of {made.owner or 'a tensor'} was switched off here"
            return case.finding(
                "frozen", made.flag, text + ", and nothing else requires a gradient"
            )
        if made.flag is not None and made.flagged and made.flag.last > root.tick:
            text = "requires_grad is set here, after the loss had been computed without a graph"
            return case.finding(
                "late-flag", made.flag, text, _also(root.place, "the loss is made here")
            )
    return _numbers(case, root) or _misspelt(case) or _nothing_required(case, root)


def _misspelt(case: Case) -> Finding | None:
    """An attribute that looks like requires_grad was set on a tensor."""
    lines = [
        (Place(file, node.lineno), node.attr)
        for file, node in case.nodes(ast.Attribute)
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
    return case.finding(
        "flag-typo", place, text, *(_also(each, "so does this") for each, _ in rest)
    )


def _cut(case: Case, cut: Cut) -> Finding:
    kind, place = cut.kind, cut.place
    line = place.text if place else ""
    if kind == "no-grad-block":
        if place and ".sample(" in line and (cut.off is None or cut.off.address == place.address):
            kind = "sampled"
        else:
            place = cut.off or place
    text = _CUT[kind].format(name=cut.name.strip("_."), shape=shape_text(cut.shape))
    if kind == "inference-mode":
        place = cut.off or place
    also = _also(cut.place, f"{cut.name.strip('_.')} runs here, while recording is off")
    return case.finding(kind, place, text, also if place is not cut.place else None)


def _numbers(case: Case, root: Made) -> Finding | None:
    """The loss was made from a number or an array that had left the graph."""
    for made in root.ancestors():
        if made.name not in ("tensor", "as_tensor", "asarray", "from_numpy", "scalar_tensor"):
            continue
        left = [each for each in case.record.left if each.tick < made.tick]
        same = [each for each in left if each.number is not None and each.number == made.number]
        if made.number is None:
            same = [each for each in left if each.name in ("numpy", "__array__")]
        since = _last_pass(case.record.passes)
        found = same or [each for each in left if each.tick > since]
        if found:
            return _left(case, found[-1], _also(made.place, "here a new tensor is made of it"))
    return None


def _last_pass(passes: Sequence[Pass]) -> int:
    return passes[-1].tick if passes else 0


def _left(case: Case, left: Left, *also: Also | None) -> Finding:
    if left.number is None:
        entry = "detached" if left.cut and left.cut.kind == "detached" else "numpy-on-grad"
        text = f"an array of shape {shape_text(left.shape)} leaves the graph here: NumPy records nothing"
    else:
        entry = "item-breaks"
        what = "float" if left.name == "__float__" else left.name.strip("_")
        text = f"{what}() gives {left.number:g}, a Python number, which has no graph"
    return case.finding(entry, left.place, text, *also)


def _nothing_required(case: Case, root: Made) -> Finding:
    """No tensor that the loss was computed from requires a gradient."""
    sources = [made for made in root.ancestors() if not made.parents and made.place]
    floats = [
        made for made in sources if made.dtype.is_floating_point and made.name != "from_numpy"
    ]
    wanted = [made for made in floats if _gradient_is_read(made)] or floats[-1:]
    if not wanted:
        return case.finding("no-grad", root.place, "no tensor in this loss requires a gradient")
    first, *rest = wanted
    text = f"this tensor of shape {shape_text(first.shape)} does not require a gradient, and neither does any other in the loss"
    return case.finding(
        "no-grad", first.place, text, *(_also(each.place, "nor this one") for each in rest)
    )


def _gradient_is_read(made: Made) -> bool:
    """Whether the program reads the grad of the variable that the line of `made` assigns."""
    assert made.place
    assigned = re.match(r"(\w+)\s*(?::[^=]+)?=[^=]", made.place.text)
    if not assigned:
        return False
    with open(made.place.file, encoding="utf-8", errors="replace") as file:
        return bool(re.search(rf"\b{assigned[1]}\.grad\b", file.read()))


# --- numbers in place of tensors --------------------------------------------------------------------


def _plain_number(case: Case) -> Finding | None:
    """A tensor's attribute was asked of a number or an array."""
    value = getattr(case.error, "obj", None)
    left = [each for each in case.record.left if (each.number is None) == hasattr(value, "dtype")]
    if not left:
        return None
    same = [each for each in left if each.number is not None and each.number == value]
    finding = _left(case, (same or left)[-1])
    return Finding("item-breaks", finding.place, finding.text, finding.also)


def _no_gradient(case: Case) -> Finding | None:
    """The grad of a tensor was None."""
    if case.watcher.none_grad is None:
        return None
    made, place, details = case.watcher.none_grad
    if place is None or place.address != case.place.address:
        return None
    if not details["requires_grad"]:
        if made and made.cut and made.cut.kind == "no-grad-block":
            return case.finding(
                "reassigned-leaf",
                made.place,
                "this makes a new tensor, which does not require a gradient and has no grad",
            )
        return case.finding(
            "grad-none",
            made.place if made else None,
            "this tensor does not require a gradient, so its grad stays None",
        )
    if not details["is_leaf"]:
        assert made is None or made.place is None or made.place
        name = made.name if made else ""
        text = f"{name.strip('_')} makes a new tensor here, and only leaves keep their grad"
        is_update = name in ("sub", "__sub__", "add", "__add__", "__rsub__")
        again = made is not None and made.place is not None and ".grad" in made.place.text
        entry = "reassigned-leaf" if is_update and again else "non-leaf-grad"
        return case.finding(entry, made.place if made else None, text)
    passes = [each for each in case.record.passes if each.fills]
    if not passes:
        return case.finding(
            "grad-none", None, "no backward pass has run yet, so every grad is None"
        )
    zeroed = case.watcher.last_zeroed
    if zeroed is not None and zeroed.last > passes[-1].tick:
        text = "zero_grad() sets every grad to None, also what backward has just stored"
        return case.finding("grad-none", zeroed, text, _also(passes[-1].place, "the backward pass"))
    for cut in reversed(case.record.cuts.values()):
        if details["id"] in cut.leaves:
            finding = _cut(case, cut)
            return Finding(
                "grad-none",
                finding.place,
                f"{finding.text}; so the grad of {made.owner if made else 'the tensor'} stays None",
                finding.also,
            )
    text = "the last backward pass did not reach this tensor, so its grad is None"
    return case.finding(
        "grad-none",
        made.place if made else None,
        text,
        _also(passes[-1].place, "the backward pass"),
    )


# --- changed in place, backward again ---------------------------------------------------------------


def _overwritten(case: Case) -> Finding | None:
    saved, write = (case.failure.details.get("saved") if case.failure else None) or (None, None)
    kept = _also(
        saved.place if saved else None,
        f"{saved.name.strip('_') if saved else ''} saved the value for backward here",
    )
    if write is None or write.place is None:
        return case.finding(
            "inplace-saved",
            saved.place if saved else None,
            "a value that backward needs was overwritten; the write was not seen",
        )
    if write.stepped:
        passes = [each for each in case.record.passes if each.fills and each.tick < write.tick]
        before = _also(passes[-1].place if passes else None, "the backward pass before the step")
        text = (
            "step() changes weights that the next backward pass still needs with their old values"
        )
        return case.finding("step-before-backward", write.place, text, kept, before)
    text = f"{write.name.strip('_')} writes into a value that backward still needs (version {write.before} became {write.after})"
    if write.module is not None:
        return case.finding(
            "inplace-saved",
            write.module,
            "this module works in place and overwrites a value that backward still needs",
            _also(write.place, "it is called here"),
            kept,
        )
    return case.finding("inplace-saved", write.place, text, kept)


def _second_time(case: Case) -> Finding | None:
    """A graph was freed by one backward pass and is needed by another."""
    details = case.failure.details if case.failure else {}
    passes = case.record.passes
    used = [
        (old, user, first)
        for old, user in details.get("freed", ())
        if (first := next((each for each in passes if each.tick > old.tick), None))
    ]  # the nodes that this pass itself has freed are younger than any earlier one
    if not used:
        return case.finding(
            "backward-twice",
            None,
            "an earlier backward pass freed this graph; which one was not seen",
        )
    edges = [(old, user, first) for old, user, first in used if user and user.tick > first.tick]
    old, user, first = max(edges or used, key=lambda each: each[0].tick)
    freed = _also(first.place, "the first backward pass, which freed the graph")
    again = old.place and old.place.last > first.tick
    if edges and user and (again or (user.place and user.place.first > first.tick)):
        text = (
            f"the state of shape {shape_text(old.shape)} that is made here carries its graph on into "
            "the next step, but the last backward pass has freed it"
        )
        return case.finding(
            "carried-state", old.place, text, _also(user.place, "it is used again here"), freed
        )
    if edges and user:
        text = (
            f"{old.name.strip('_')} is computed once, and every backward pass goes through its graph; "
            "the first frees it"
        )
        return case.finding(
            "backward-twice", old.place, text, _also(user.place, "it is used here"), freed
        )
    entry = "backward-twice" if {*first.roots} & {*details["roots"]} else "shared-graph"
    text = "this backward pass frees the graph that a later one needs too"
    if first.place and first.place.address == case.place.address:
        return case.finding(
            "backward-twice",
            old.place,
            "this is computed once, and backward runs through it again and again",
            freed,
        )
    return case.finding(entry, first.place, text)


# --- shapes and types ---------------------------------------------------------------------------------


_SHAPES = ("class-shape", "batch-size", "target-size", "shape-mismatch", "size-mismatch")
_TYPES = ("class-target", "bce-dtype", "one-hot-target", "dtype-mix", "integer-mean")


def _shapes(case: Case, entry: str | None = None) -> Finding | None:
    entry = entry or case.entry(*_SHAPES)
    if not case.operands or entry is None:
        return None
    name = case.failure.name if case.failure else ""
    maker, text, also = odd_shape(name, case.operands, entry, case.place)
    return case.finding(entry, maker, text, *(_also(place, what) for place, what in also))


def _types(case: Case, entry: str | None = None) -> Finding | None:
    entry = entry or case.entry(*_TYPES)
    if not case.operands or entry is None:
        return None
    place, text = odd_dtype(entry, case.operands)
    return case.finding(entry, place, text)


def _out_of_range(case: Case) -> Finding | None:
    indices = [each for each in case.operands if not each.dtype.is_floating_point]
    entry = (
        "index-range"
        if case.failure and "embedding" in case.failure.name
        else case.entry("class-range", "index-range")
    )
    if not indices or entry is None:
        return case.finding(entry, None, case.short) if entry else None
    others = [each.made for each in case.operands if each.dtype.is_floating_point and each.made]
    return case.finding(
        entry,
        source(indices[0]),
        f"the indices of shape {shape_text(indices[0].shape)} are made here: {case.short}",
        *(
            _also(
                each.place,
                f"{each.owner or each.name.strip('_')} of shape {shape_text(each.shape)}",
            )
            for each in others
        ),
    )


# --- leaves, functions, and the rest ------------------------------------------------------------------


def _plain_input(case: Case) -> Finding | None:
    return case.finding(
        "grad-of-plain-input",
        None,
        "a tensor that this line differentiates by does not require a gradient",
    )


def _own_function(case: Case) -> Finding | None:
    """A backward of the user's that returns the wrong number, shape or type of gradients."""
    entry = case.entry(
        "function-shape" if "shape" in case.message else "custom-function", "custom-function"
    )
    name = re.search(r"[Ff]unction (\w+?)(?:Backward)? returned", case.message)
    place = _return_of_backward(name[1], case) if name else None
    return case.finding(entry or "custom-function", place, case.short)


def _return_of_backward(name: str, case: Case) -> Place | None:
    """The return statement of the method `backward` of a class of the program."""
    for file, node in case.nodes(ast.ClassDef):
        for method in node.body:
            if (
                node.name == name
                and isinstance(method, ast.FunctionDef)
                and method.name == "backward"
            ):
                lines = [each.lineno for each in ast.walk(method) if isinstance(each, ast.Return)]
                return Place(file, max(lines, default=method.lineno))
    return None


def _no_parameters(case: Case) -> Finding | None:
    """The optimizer of a module whose parts are in a list of Python, which PyTorch does not search."""
    for module in case.modules:
        for name, value in vars(module).items():
            parts = value.values() if isinstance(value, dict) else value
            if (
                name[0] != "_"
                and isinstance(value, (list, tuple, dict))
                and any(isinstance(each, nn.Module) for each in parts)
            ):
                place = next(
                    (
                        Place(file, node.lineno)
                        for file, node in case.nodes(ast.Attribute)
                        if node.attr == name and isinstance(node.ctx, ast.Store)
                    ),
                    None,
                )
                text = f"{name} of {type(module).__name__} is a plain {type(value).__name__}: PyTorch does not find the modules in it"
                return case.finding("plain-list", place, text)
    return case.finding("empty-optimizer", None, "these parameters are empty")


def _expanded(case: Case) -> Finding | None:
    made = case.operands[0].made if case.operands else None
    found = (
        next(
            (
                each
                for each in made.ancestors()
                if each.name in ("expand", "expand_as", "broadcast_to", "expand_copy")
            ),
            made,
        )
        if made
        else None
    )
    return case.finding(
        "inplace-expanded",
        found.place if found else None,
        "the elements of this expanded tensor share one place in memory",
    )


def _non_leaf_parameter(case: Case) -> Finding | None:
    """An optimizer was given the result of an operation."""
    entry = case.error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    tensor = entry.tb_frame.f_locals.get("param") if entry else None
    made = case.watcher.origin(tensor) if isinstance(tensor, Tensor) else None
    if made is None:
        return None
    text = f"{made.name.strip('_.')} makes a result of an operation, not a leaf that an optimizer can update"
    return case.finding("optimizer-leaf", made.place, text)


def _inference_tensor(case: Case) -> Finding | None:
    """A tensor made in inference mode met autograd."""
    block = case.watcher.grad_off
    if block is None or "inference" not in block.text:
        return None
    return case.finding(
        "inference-mode",
        block,
        "tensors that are made in inference mode cannot enter a graph later",
    )


def _not_one_number(case: Case) -> Finding | None:
    made = case.operands[0].made if case.operands else None
    shape = shape_text(case.operands[0].shape) if case.operands else "several"
    return case.finding(
        "non-scalar",
        made.place if made else None,
        f"a loss of shape {shape} is made here; backward needs one number",
    )


_CAUSES: tuple[tuple[str, Callable[[Case], Finding | None]], ...] = (
    (r"does not require grad and does not have a grad_fn", _no_graph),
    (r"'(float|int|numpy\.\w+|ndarray)' object has no attribute '(backward|detach|requires_grad|requires_grad_|retain_grad|grad_fn|clone|item|grad)'", _plain_number),
    (r"'NoneType'", _no_gradient),
    (r"modified by an inplace operation", _overwritten),
    (r"[Bb]ackward through the graph a second time|already been freed", _second_time),
    (r"grad can be implicitly created only for scalar", _not_one_number),
    (r"returned an (incorrect number of|invalid) gradient", _own_function),
    (r"One of the differentiated Tensors does not require grad", _plain_input),
    (r"refers to a single memory location", _expanded),
    (r"to have \d+ channels", partial(_shapes, entry="conv-channels")),
    (r"multi-target not supported", partial(_shapes, entry="class-shape")),
    (r"'indices' to have one of the following scalar types|used as indices must be", partial(_types, entry="index-dtype")),
    (r"can't optimize a non-leaf Tensor", _non_leaf_parameter),
    (r"Inference tensors cannot|inference tensor", _inference_tensor),
    (r"optimizer got an empty parameter list", _no_parameters),
    (r"out of (bounds|range)|class_index|Class values must be", _out_of_range),
    (r"expected scalar type|[Ee]xpected .*(dtype|type|Long|Float)|same dtype|must have the same dtype|result type|floating point|Found dtype|Could not infer|mean\(\): could not", _types),
    (r"shape|size|dimension|channels|batch_size", _shapes),
)  # fmt: skip
"""Pieces of PyTorch's messages, and what looks for the cause. One that finds none leaves the error
to the line that raised it."""
