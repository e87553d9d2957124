"""An expression in PyTorch's own words: every function under its full name, and what gradcli fills
in written out.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from torch import Tensor

from gradcli.catalogue.functions import CATALOGUE, Activation, Loss
from gradcli.catalogue.operators import (
    CONSTANTS,
    LAST_DIMENSION,
    PYTHON_TYPES,
    RANDOM,
    RANDOM_MODULES,
    SPACES,
    in_space,
)
from gradcli.evaluate import library
from gradcli.evaluate.implementations import index_target
from gradcli.evaluate.machine import evaluate
from gradcli.language.calls import TENSOR_PARAMETERS, Call
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.expressions.substitution import filled
from gradcli.language.source import Source

_SECTIONS = {
    "special": "torch.special",
    "linalg": "torch.linalg",
    "fft": "torch.fft",
    "masked": "torch.masked",
}
"""How a section of the allow-list is written in a program, where that is not its own name."""


class WrittenExpression:
    """An expression as a piece of a PyTorch program: `lines` of statements, and `value`, its result
    or the name of it.
    """

    def __init__(self, text: str, inputs: Mapping[str, Tensor], device: str = "cpu") -> None:
        program = expression.parse(Source(text), tuple(inputs))
        operands: dict[int, list[Any]] = {}
        evaluate(program, inputs, lambda step, values: operands.__setitem__(id(step), list(values)))
        *before, last = _Writer(program, operands, set(inputs), device).written()
        self.lines = [ast.unparse(node) for node in before]
        if isinstance(last, ast.Assign):
            self.lines.append(ast.unparse(last))
            self.value = ast.unparse(last.targets[0])
        else:
            self.value = ast.unparse(last)

    def as_function(self, parameters: Sequence[str]) -> tuple[list[str], str]:
        """Lines that define it as a function of `parameters`, and what to call it; a lambda needs
        no lines.
        """
        arguments = ", ".join(parameters)
        if not self.lines:
            return [], f"lambda {arguments}: {self.value}"
        return [
            f"def f({arguments}):",
            *(f"    {line}" for line in self.lines),
            f"    return {self.value}",
        ], "f"


class _Writer(ast.NodeTransformer):
    """Rewrites a copy of the checked tree; `operands` are those that each step of the expression
    had when it was run.
    """

    def __init__(
        self, program: Expression, operands: Mapping[int, list[Any]], inputs: set[str], device: str
    ) -> None:
        self._device = device
        copies: dict[int, Any] = {}
        self._tree = deepcopy(program.tree, copies)
        self._held = {name: deepcopy(value, copies) for name, value in program.held.items()}
        self._calls: dict[ast.AST, Step] = {
            copies[id(node)]: step for node, step in program.calls.items()
        }
        self._operands = operands
        self._scope = inputs | set(program.assigned)
        self._made = {copies[id(node)] for node in program.made if id(node) in copies}

    def written(self) -> list[ast.stmt]:
        """The statements, rewritten."""
        found: ast.Module = self.visit(self._tree)
        for (
            name,
            value,
        ) in self._held.items():  # one may be part of an earlier one, and so comes later
            uses = [
                node for node in ast.walk(found) if isinstance(node, ast.Name) and node.id == name
            ]
            found = _Holder(name, self.visit(value), once=len(uses) == 1).visit(found)
        return found.body

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """A choice that nobody typed is made already: of the two calls one was computed."""
        if node not in self._made:
            self.generic_visit(node)
            return node
        return self.visit(node.body if self._ran(node.body) else node.orelse)  # type: ignore[no-any-return]

    def _ran(self, node: ast.expr) -> bool:
        """Whether the first call in a part of the tree was computed."""
        calls = (
            self._calls[part]
            for part in ast.walk(node)
            if part in self._made and part in self._calls
        )
        return id(next(calls, None)) in self._operands

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """`n += v` binds n again; written as it is, PyTorch would change the tensor in place."""
        assert isinstance(node.target, ast.Name)
        before = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, self.visit(node.value))
        return ast.fix_missing_locations(ast.Assign([node.target], before, lineno=node.lineno))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Constants and dtypes are torch's."""
        name = PYTHON_TYPES.get(node.id, node.id)
        if node.id in self._scope or not (name in CONSTANTS or in_space("dtypes", name)):
            return node
        return _parsed(f"torch.{name}")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """`math.pi`, `np.float32` and their kin are torch's."""
        dotted = ast.unparse(node)
        space, _, name = dotted.rpartition(".")
        if SPACES.get(space) == "np":
            name = PYTHON_TYPES.get(name, name)
        if SPACES.get(space) in ("torch", "np", "math") and (
            name in CONSTANTS or in_space("dtypes", name)
        ):
            return _parsed(f"torch.{name}")
        if SPACES.get(space) == "np" and name == "newaxis":
            return _parsed("None")
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A function under PyTorch's name, on the device where it is computed."""
        step, written = self._calls.get(node), self._call(node)
        if step is None or self._device == "cpu" or not isinstance(written, ast.Call):
            return written
        return self._drawn(written, step)

    def _drawn(self, node: ast.Call, step: Step) -> ast.expr:
        """A call that draws random numbers does so on the CPU, as gradcli does; any other as it
        is.
        """
        operands, bound = self._operands.get(id(step), []), step.kind in ("method", "apply")
        module = step.kind == "apply" and bool(operands)
        name = type(operands[0]).__name__ if module else step.name.rpartition(".")[2]
        if (
            name not in (RANDOM_MODULES if module else RANDOM)
            or step.name.startswith("nn.")
            or "*" in step.keywords
        ):
            return node
        if isinstance(node.func, ast.Attribute) and step.kind == "method":
            node.func.value = _on_cpu(node.func.value)
        given = operands[bound:]
        node.args = [
            _on_cpu(arg) if isinstance(value, Tensor) else arg
            for arg, value in zip(node.args, given, strict=False)
        ]
        for keyword, value in zip(node.keywords, given[len(node.args) :], strict=False):
            keyword.value = _on_cpu(keyword.value) if isinstance(value, Tensor) else keyword.value
        if not any(isinstance(value, Tensor) for value in operands):
            node.keywords.append(ast.keyword("device", ast.Constant("cpu")))
        return ast.Call(ast.Attribute(node, "to", ast.Load()), [ast.Constant(self._device)], [])

    def _call(self, node: ast.Call) -> ast.expr:
        """A function under PyTorch's name, with the arguments that gradcli filled in."""
        step = self._calls.get(node)
        named = isinstance(node.func, ast.Name)  # a module of the user's
        function = node.func if named or (step and step.kind == "call") else self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.func = function
        if step is None or step.kind == "apply":
            return node
        if "dim" in step.keywords and step.name in LAST_DIMENSION and not _given(node, "dim"):
            node.keywords.append(ast.keyword("dim", _parsed("-1")))
        if step.kind == "method":
            return node
        section, _, name = step.name.partition(".")
        if section == "catalogue":
            return _composed(node, CATALOGUE[name])
        node.func = _parsed(
            name if section == "python" else f"{_SECTIONS.get(section, section)}.{name}"
        )
        self._fit(node, step)
        return node

    def _fit(self, node: ast.Call, step: Step) -> None:
        """Class indices as int64, and plain numbers as tensors where PyTorch insists on them."""
        values = self._operands.get(id(step))
        if (
            values is None
            or step.name.startswith(("nn.", "python.", "math."))
            or "*" in step.keywords
        ):
            return
        if isinstance(step.value, str) and library.plain(values):
            node.func = _parsed(step.value)
            return
        arguments, keywords = step.split(values)
        if entry := library.INDEXED.get(step.name):
            self._fit_target(node, entry, arguments, keywords)
            return
        for place in _insisted(library.pytorch_function(step.name), arguments, keywords):
            node.args[place] = _parsed(f"torch.tensor({ast.unparse(node.args[place])})")

    def _fit_target(
        self, node: ast.Call, entry: Loss, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        """The target of an index loss as PyTorch takes it."""
        given = {**dict(zip(("input", "target"), arguments, strict=False)), **keywords}
        logits, target = given.get("input"), given.get("target")
        if not (isinstance(logits, Tensor) and isinstance(target, Tensor)):
            return
        named = next((keyword for keyword in node.keywords if keyword.arg == "target"), None)
        typed = named.value if named else node.args[1]
        settings = {name: value for name, value in keywords.items() if name == "ignore_index"}
        fitted = index_target(Call(entry.name, entry, settings), logits, target)
        text = ast.unparse(typed) if isinstance(typed, ast.Name) else f"({ast.unparse(typed)})"
        if fitted.dtype != target.dtype:
            text += ".long()"
        if fitted.shape != target.shape:
            text += ".reshape(1)"
        if named:
            named.value = _parsed(text)
        else:
            node.args[1] = _parsed(text)


def _composed(node: ast.Call, entry: Activation | Loss) -> ast.expr:
    """A call of an entry that has its own code, in which the arguments are put; an activation with
    more is PyTorch's own.
    """
    if isinstance(entry, Activation) and (len(node.args) > 1 or node.keywords):
        node.func = _parsed(entry.torch)
        return node
    meaning: dict[str, ast.expr | str] = {
        each.name: f"torch.tensor({each.default!r})"
        if each.name in TENSOR_PARAMETERS
        else repr(each.default)
        for each in entry.parameters
    }
    if isinstance(entry, Loss):
        meaning["reduction"] = repr(entry.reduction)
    words = {word.arg or "**": word.value for word in node.keywords}
    given = {**dict(zip(entry.operands, node.args, strict=False)), **words}
    if isinstance(entry, Activation) or not any(
        isinstance(each, ast.Starred) for each in node.args
    ):
        return filled(entry.code, {**meaning, **given})
    # How many operands a star gives is known only when the program runs.
    node.func = _parsed(
        f"lambda {', '.join(entry.operands)}: {ast.unparse(filled(entry.code, meaning))}"
    )
    return node


class _Holder(ast.NodeTransformer):
    """Puts a value into the places of its name: as it is where there is one, else by `:=` in the
    first.
    """

    def __init__(self, name: str, value: ast.expr, *, once: bool) -> None:
        self._name = name
        self._first: ast.expr | None = (
            value if once else ast.NamedExpr(ast.Name(name, ast.Store()), value)
        )

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id != self._name or self._first is None:
            return node
        first, self._first = self._first, None
        return first


def _on_cpu(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(node, "cpu", ast.Load()), [], [])


def _insisted(
    function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> Sequence[int]:
    """The places of plain numbers that PyTorch takes as tensors alone: found by asking it."""
    for places in [[], *library.liftable(arguments)]:
        try:
            function(*library.lifted(arguments, places), **keywords)
        except (TypeError, AttributeError):
            continue
        return places
    return []


def _given(node: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in node.keywords)


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
