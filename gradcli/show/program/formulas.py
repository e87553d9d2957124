"""An expression as PyTorch code: full names of functions, and arguments that gradcli fills in."""

import ast
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import count
from typing import Any

import torch
from torch import Tensor

from gradcli.catalogue.functions import CATALOGUE, Activation, Loss
from gradcli.catalogue.operators import (
    CONSTANTS,
    LAST_DIMENSION,
    PYTHON_TYPES,
    RANDOM,
    SPACES,
    in_space,
)
from gradcli.evaluate import library
from gradcli.evaluate.implementations import index_target
from gradcli.evaluate.machine import evaluate
from gradcli.language.calls import TENSOR_PARAMETERS, Call
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.expressions.substitution import filled, parsed
from gradcli.language.source import Source
from gradcli.show.program.made_modules import Making, Parameters, random

_SECTIONS = {
    "special": "torch.special",
    "linalg": "torch.linalg",
    "fft": "torch.fft",
    "masked": "torch.masked",
}
"""Sections of the allow-list that a program writes by another name."""


class WrittenExpression:
    """An expression as part of a PyTorch program: `lines` of statements, and `value`, an expression
    or name of its result. `codes` are the names of its modules in the program; `draws` says whether
    it draws random numbers, `plain` whether it is a plain number of Python's or a size.

    With `apart`, the lines that make modules are in `modules` instead, and read none of the others.
    """

    def __init__(
        self,
        text: str,
        inputs: Mapping[str, Tensor],
        device: str = "cpu",
        parameters: Parameters = lambda name, code, module: [],
        *,
        apart: bool = False,
    ) -> None:
        program = expression.parse(Source(text), tuple(inputs))
        operands: dict[int, list[Any]] = {}
        made: dict[int, Any] = {}
        state = torch.get_rng_state()
        outcome = evaluate(
            program,
            inputs,
            lambda step, values: operands.__setitem__(id(step), list(values)),
            lambda step, value: made.__setitem__(id(step), value) if program.modules else None,
        )
        self.plain = not isinstance(outcome.computed, Tensor)
        self.draws = not torch.equal(state, torch.get_rng_state())
        bound = Counter(step.name for step in program.steps if step.kind == "store")
        bound.update(inputs)
        self.codes = {name: f"{name}_" if bound[name] > 1 else name for name in program.modules}
        titles = {id(step): name for name, step in program.modules.items() if id(step) in made}
        writer = _Writer(program, operands, set(inputs), device, apart=apart)
        statements = writer.written()
        calls = {
            call: (titles[id(step)], made[id(step)]) if id(step) in titles else None
            for call, step in writer.computed.items()
            if id(step) in titles or (writer.draws(step) and not apart)
        }
        lines = Making(self.codes, parameters, device).lines(statements, calls)
        last = statements[-1]
        if isinstance(last, ast.Assign):
            self.value = ast.unparse(last.targets[0])
        else:
            self.value = lines.pop()[0]
        self._rebound = [name for name in program.assigned if name in inputs]
        self.lines = [line for line, makes in lines if not (makes and apart)]
        self.modules = [line for line, makes in lines if makes]

    def as_function(
        self, parameters: Sequence[str], also: Sequence[str] = (), before: Sequence[str] = ()
    ) -> tuple[list[str], str]:
        """The lines that define a function of `parameters`, and its name; or just a lambda.

        It returns the values of the names in `also` too; `before` are its first lines.
        """
        given = [f"{name}={name}" for name in self._rebound if name not in parameters]
        arguments = ", ".join([*parameters, *given])
        if not self.lines and not before:
            return [], f"lambda {arguments}: {self.value}"
        lines = [*before, *self.lines, f"return {', '.join([self.value, *also])}"]
        return [f"def f({arguments}):", *(f"    {line}" for line in lines)], "f"


class _Writer(ast.NodeTransformer):
    """Rewrites a copy of the checked tree; `operands` are those of each step when it was run."""

    def __init__(
        self, program: Expression, operands: Mapping[int, list[Any]], inputs: set[str], device: str,
        *, apart: bool,
    ) -> None:  # fmt: skip
        self._device = device
        self._apart = apart
        copies: dict[int, Any] = {}
        self._tree = deepcopy(program.tree, copies)
        self._held = {name: deepcopy(value, copies) for name, value in program.held.items()}
        calls = program.calls.items()
        self._calls: dict[ast.AST, Step] = {copies[id(node)]: step for node, step in calls}
        self._operands = operands
        self._scope = inputs | set(program.assigned)
        self._made = {copies[id(node)] for node in program.made if id(node) in copies}
        self.computed: dict[ast.AST, Step] = {}
        """The steps of the calls that were rewritten, in the order in which they are computed."""

    def written(self) -> list[ast.stmt]:
        """The statements, rewritten."""
        tree: ast.Module = self.visit(self._tree)
        for name, value in self._held.items():  # a later value may be part of an earlier one
            uses = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
            tree = _Substitution(name, self.visit(value), once=uses == 1).visit(tree)
        return tree.body

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """A choice that gradcli made is replaced by the branch that was computed."""
        if node not in self._made:
            self.generic_visit(node)
            return node
        return self.visit(node.body if self._ran(node.body) else node.orelse)  # type: ignore[no-any-return]

    def _ran(self, node: ast.expr) -> bool:
        """Whether the first call of gradcli's in a part of the tree was computed."""
        nodes = (part for part in ast.walk(node) if part in self._made)
        calls = (self._calls[part] for part in nodes if part in self._calls)
        return id(next(calls, None)) in self._operands

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """`n += v` means `n = n + v`: in PyTorch it would change the tensor in place."""
        assert isinstance(node.target, ast.Name)
        before = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, self.visit(node.value))
        return ast.fix_missing_locations(ast.Assign([node.target], before, lineno=node.lineno))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Constants and dtypes belong to torch."""
        name = PYTHON_TYPES.get(node.id, node.id)
        if node.id in self._scope or not (name in CONSTANTS or in_space("dtypes", name)):
            return node
        return parsed(f"torch.{name}")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """`math.pi`, `np.float32` and other constants and dtypes belong to torch."""
        prefix, _, name = ast.unparse(node).rpartition(".")
        space = SPACES.get(prefix)
        if space == "np":
            name = PYTHON_TYPES.get(name, name)
        is_constant = name in CONSTANTS or in_space("dtypes", name)
        if is_constant and space in ("torch", "np", "math"):
            return parsed(f"torch.{name}")
        if space == "np" and name == "newaxis":
            return parsed("None")
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A function under PyTorch's name, on the device where it is computed."""
        step, written = self._calls.get(node), self._call(node)
        if step is None or not isinstance(written, ast.Call):
            return written
        if self._apart and step.name.startswith("nn."):
            self._fill_in(written, step)
        self.computed[written] = step
        return written if self._device == "cpu" else self._on_device(written, step)

    def _fill_in(self, node: ast.Call, step: Step) -> None:
        """Write the settings of a module as numbers in place of names."""

        def number(part: ast.expr, value: Any) -> ast.expr:
            plain = isinstance(value, int | float | tuple) and library.plain([value])
            reads = any(isinstance(inner, ast.Name) for inner in ast.walk(part))
            return parsed(repr(value)) if plain and reads else part

        if (values := self._values(step)) is not None:
            _rewrite(node, values, number)

    def _values(self, step: Step) -> list[Any] | None:
        """The operands of a call; None if it was not run, or if a star gives some of them."""
        return None if "*" in step.keywords else self._operands.get(id(step))

    def draws(self, step: Step) -> bool:
        """Whether a call draws random numbers."""
        if step.kind == "apply":
            return any(map(random, self._operands.get(id(step), [])[:1]))
        return step.name.rpartition(".")[2] in RANDOM and not step.name.startswith("nn.")

    def _on_device(self, node: ast.Call, step: Step) -> ast.expr:
        """A call that draws random numbers does so on the CPU, as in gradcli, and moves them."""
        if (operands := self._values(step)) is None or not self.draws(step):
            return node
        if isinstance(node.func, ast.Attribute) and step.kind == "method":
            node.func.value = _on_cpu(node.func.value)
        _rewrite(
            node,
            operands[step.kind in ("method", "apply") :],
            lambda part, value: _on_cpu(part) if isinstance(value, Tensor) else part,
        )
        if not any(isinstance(value, Tensor) for value in operands):
            node.keywords.append(ast.keyword("device", ast.Constant("cpu")))
        return ast.Call(ast.Attribute(node, "to", ast.Load()), [ast.Constant(self._device)], [])

    def _call(self, node: ast.Call) -> ast.expr:
        """A function under PyTorch's name, with the arguments that gradcli filled in."""
        step = self._calls.get(node)
        named = isinstance(node.func, ast.Name)  # a module that the user made
        function = node.func if named or (step and step.kind == "call") else self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.func = function
        if step is None:
            return node
        if step.kind == "apply":
            self._fit_module(node, step)
            return node
        if "dim" in step.keywords and step.name in LAST_DIMENSION and not _given(node, "dim"):
            node.keywords.append(ast.keyword("dim", parsed("-1")))
        if step.kind == "method":
            self._fit(node, step)
            return node
        section, _, name = step.name.partition(".")
        if section == "catalogue":
            return _composed(node, CATALOGUE[name])
        prefix = "" if section == "python" else f"{_SECTIONS.get(section, section)}."
        node.func = parsed(prefix + name)
        self._fit(node, step)
        return node

    def _fit(self, node: ast.Call, step: Step) -> None:
        """Write class indices as int64, and plain numbers as tensors if PyTorch requires it."""
        elsewhere = step.name.startswith(("nn.", "python.", "math.", "Module."))
        if (values := self._values(step)) is None or elsewhere:
            return
        if isinstance(step.value, str) and library.plain(values):
            node.func = parsed(step.value)
            return
        arguments, keywords = step.split(values)
        if entry := library.INDEXED.get(step.name):
            self._fit_target(node, library.index_call(entry, keywords), arguments, keywords)
            return
        function = library.pytorch_function(step.name)
        required = _tensors_required(function, arguments, keywords)

        def fitted(place: int | str | None, part: ast.expr) -> ast.expr:
            if place in required:
                is_float = library.compares_values(function)
                number = repr(float(required[place])) if is_float else ast.unparse(part)
                return parsed(f"torch.tensor({number})")
            return part

        node.args = list(map(fitted, count(step.kind == "method"), node.args))
        for keyword in node.keywords:
            keyword.value = fitted(keyword.arg, keyword.value)

    def _fit_module(self, node: ast.Call, step: Step) -> None:
        """Write the class indices that a module takes as int64."""
        if (values := self._values(step)) is None:
            return
        (module, *arguments), keywords = step.split(values)
        if call := library.index_module(module):
            self._fit_target(node, call, arguments, keywords)

    def _fit_target(
        self, node: ast.Call, call: Call, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        """Write the target of a loss of class indices as PyTorch takes it."""
        values = {**dict(zip(("input", "target"), arguments, strict=False)), **keywords}
        logits, given = values.get("input"), values.get("target")
        if not (isinstance(logits, Tensor) and isinstance(given, Tensor | int | float)):
            return
        target = given if isinstance(given, Tensor) else torch.tensor(given)
        named = next((keyword for keyword in node.keywords if keyword.arg == "target"), None)
        typed = named.value if named else node.args[1]
        fitted = index_target(call, logits, target)
        text = ast.unparse(typed) if isinstance(typed, ast.Name) else f"({ast.unparse(typed)})"
        if target is not given:
            text = f"torch.tensor({ast.unparse(typed)})"
        if fitted.dtype != target.dtype:
            text += ".long()"
        if fitted.shape != target.shape:
            text += ".reshape(1)"
        if named:
            named.value = parsed(text)
        else:
            node.args[1] = parsed(text)


def _composed(node: ast.Call, entry: Activation | Loss) -> ast.expr:
    """A call of an entry with its own code, with the arguments filled in; PyTorch's function if an
    activation has settings.
    """
    if isinstance(entry, Activation) and (len(node.args) > 1 or node.keywords):
        node.func = parsed(entry.torch)
        return node
    defaults: dict[str, ast.expr | str] = {}
    for parameter in entry.parameters:
        default = repr(parameter.default)
        is_tensor = parameter.name in TENSOR_PARAMETERS
        defaults[parameter.name] = f"torch.tensor({default})" if is_tensor else default
    if isinstance(entry, Loss):
        defaults["reduction"] = repr(entry.reduction)
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            # How many operands a star gives is known only when the program runs.
            body = ast.unparse(filled(entry.code, defaults))
            node.func = parsed(f"lambda {', '.join(entry.operands)}: {body}")
            return node
    keywords = {keyword.arg or "**": keyword.value for keyword in node.keywords}
    arguments = dict(zip(entry.operands, node.args, strict=False))
    return filled(entry.code, {**defaults, **arguments, **keywords})


class _Substitution(ast.NodeTransformer):
    """Replaces a name that is used once by its value, else its first use by `name := value`."""

    def __init__(self, name: str, value: ast.expr, *, once: bool) -> None:
        self._name = name
        assigned = value if once else ast.NamedExpr(ast.Name(name, ast.Store()), value)
        self._first: ast.expr | None = assigned

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id != self._name or self._first is None:
            return node
        first, self._first = self._first, None
        return first


def _rewrite(
    node: ast.Call, values: Sequence[Any], change: Callable[[ast.expr, Any], ast.expr]
) -> None:
    """Put what `change` makes of each argument and its value in the place of the argument."""
    named = values[len(node.args) :]
    node.args = [*map(change, node.args, values)]
    for keyword, value in zip(node.keywords, named, strict=False):
        keyword.value = change(keyword.value, value)


def _on_cpu(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(node, "cpu", ast.Load()), [], [])


def _tensors_required(
    function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> dict[int | str, Any]:
    """The plain numbers that PyTorch takes only as tensors, by position or name, found by trying."""
    lifted = [*library.lifted(function, arguments, keywords)]
    for listed, named in [(arguments, keywords), *lifted] if lifted else ():
        try:
            function(*map(_recording, listed), **{k: _recording(v) for k, v in named.items()})
        except (TypeError, AttributeError, RuntimeError):
            continue
        pairs = zip((*arguments, *keywords.values()), (*listed, *named.values()), strict=True)
        places = (*range(len(arguments)), *keywords)
        return {p: old for p, (old, new) in zip(places, pairs, strict=True) if old is not new}
    return {}


def _recording(value: Any) -> Any:
    """The value; a 0-d tensor of floats recorded, since PyTorch may read another one as a number."""
    single = isinstance(value, Tensor) and not value.ndim and value.is_floating_point()
    return value.detach().requires_grad_() if single else value


def _given(node: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in node.keywords)
