"""The state of reading an expression: its names, the places in its text, and its errors."""

import ast
import re
from collections.abc import Callable, Iterable, Sized
from dataclasses import replace
from string import digits
from typing import Any

from gradcli.catalogue import operators
from gradcli.catalogue.operators import find_function
from gradcli.errors import ExpressionError, quoted
from gradcli.installed import torch_version
from gradcli.language.expressions.corrections import SYNONYMS, correction
from gradcli.language.expressions.precedence import Extent
from gradcli.language.expressions.program import Step, StepKind
from gradcli.language.expressions.refused import IN_PLACE, KEYWORDS, NODES, Refusal, refusal
from gradcli.language.limits import MODULE_DEPTH
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean

_DEEPEST = 16
"""Attributes after a name, from which on the name is not that of a namespace."""
_PYTORCHS = ("torch.", "F.", "nn.", "special.", "linalg.", "fft.", "masked.")
"""The prefixes of names that can only be PyTorch's, so that another version may have them."""


def is_not_false(node: ast.expr) -> bool:
    """Whether an argument is anything but False, its default."""
    return not (isinstance(node, ast.Constant) and node.value is False)


def starred(values: list[ast.expr]) -> tuple[int, ...]:
    """The places of the values with `*`."""
    return tuple([place for place, value in enumerate(values) if isinstance(value, ast.Starred)])


_LETTERS = "\u13a0\u13a1\u13a2\u13a3\u13a4\u13a5\u13a6\u13a7\u13a8\u13a9"
"""Letters in the place of digits, one for each, so that Python parses `net.0.weight` and every place
in the text stays where it is.
"""
_AS_LETTERS, _AS_DIGITS = str.maketrans(digits, _LETTERS), str.maketrans(_LETTERS, digits)


def with_paths(source: Source, inputs: Iterable[str]) -> Source:
    """The source, with a code in which `net.0.weight` is a path of names if `inputs` has `net.`."""
    if not (modules := "|".join(re.escape(name[:-1]) for name in inputs if name.endswith("."))):
        return source

    path, number = rf"(?<![\w.])(?:{modules})(?:\.\w+)+", r"(?<=\.)\d+(?=\.)"

    def letters(found: re.Match[str]) -> str:
        return re.sub(number, lambda place: place[0].translate(_AS_LETTERS), found[0])

    return replace(source, code=re.sub(path, letters, source.code or source.text, flags=re.ASCII))


class Reader:
    """One expression being read: its text, its names, and what the steps of it are.

    `inputs` may hold paths of parameters, `net.0.weight`, and the beginning of such paths, `net.`;
    with `net()`, the input `net` is a module. `reads` says whether a text is an expression over the
    same names, `free` whether a name that has no meaning becomes an input.
    """

    def __init__(
        self, source: Source, inputs: tuple[str, ...], extent: Extent,
        reads: Callable[[str], bool], *, free: bool
    ) -> None:  # fmt: skip
        self.source = source
        self.extent = extent
        self.reads = reads
        self.free = free
        self.has_paths = any("." in name for name in inputs)
        # The names bound so far, and whether each is a module of torch.nn or a sequence of modules.
        self.scope = {name: f"{name}()" in inputs for name in inputs}
        self.used: dict[str, None] = {}  # the inputs that were read
        self.assigned: dict[str, None] = {}  # the names that the expression binds
        self.modules: set[ast.AST] = set()  # the names in assignments that become modules
        self.are_modules: dict[ast.AST, bool] = {}  # whether the value of a node is a module
        self.made_modules: dict[ast.AST, Step] = {}  # what makes one that is not a part of another
        self.inner_modules: set[ast.AST] = set()  # the calls within these
        self.titles: dict[ast.AST, str] = {}  # the names that these are given
        self.notes: dict[tuple[str, str], None] = {}  # (code, text) of defaults that were added
        self.calls: dict[ast.AST, Step] = {}  # the step of each call
        self.origins: list[ast.AST] = []  # the node of each step
        self.expanded: dict[ast.AST, ast.expr] = {}  # calls of NumPy and Python by their meaning
        self.made: dict[ast.AST, Span] = {}  # the nodes of meanings, not typed, and their place
        self.held: dict[str, ast.expr] = {}  # the arguments that a meaning reads by a name
        self.pythons: dict[ast.AST, str] = {}  # calls of which Python computes plain numbers
        self.nodes = 0  # the number of nodes read so far

    def span(self, place: Span | ast.AST) -> Span:
        """The place of a node of the tree, or a place itself."""
        if isinstance(place, Span):
            return place
        return self.made.get(place) or self.source.span(*self.extent(place))

    def between(self, left: ast.expr, right: ast.expr, symbol: str) -> Span:
        """The place of the operator between two operands."""
        start = self.source.text.find(symbol, self.extent(left)[1], self.extent(right)[0])
        return self.source.span(start, start + len(symbol)) if start >= 0 else self.span(right)

    def step(self, kind: StepKind, place: Span | ast.AST, **parts: Any) -> Step:
        """A step at a place of the text."""
        return Step(kind, self.span(place), **parts)

    def call(
        self, kind: StepKind, node: ast.Call, place: Span | ast.AST, arguments: Sized,
        keywords: tuple[str, ...], **parts: Any
    ) -> Step:  # fmt: skip
        """The step of a call; of a method or a module, which the step takes too."""
        take = len(arguments) + (kind != "call")
        step = self.calls[node] = self.step(kind, place, take=take, keywords=keywords, **parts)
        return step

    def error(self, message: str, place: Span | ast.AST, hint: str = "") -> ExpressionError:
        """An error at a place of the text."""
        return ExpressionError(message, span=self.span(place), hint=hint)

    def replaced(self, place: Span, text: str) -> str:
        """The whole expression with other text in one place, as a hint."""
        whole = self.source.text
        return f"write {whole[: place.start]}{text}{whole[place.stop :]}"

    def refused_node(self, node: Any) -> ExpressionError:
        """The error of a kind of syntax that is not allowed."""
        why, hint = NODES.get(type(node).__name__, Refusal(f"{type(node).__name__} is not allowed"))
        if isinstance(node, ast.Set):
            message, corrected = correction(self.source.text, self.reads)
            why, hint = message or why, f"write {corrected}" if corrected else hint
        return self.error(why, node, hint)

    def check_name(self, name: str, place: Span, *, twin: bool = False) -> None:
        """Raise the error of a name that is refused everywhere; `twin` for a method or function. Any
        other name like `lambda_` may be that of an input.
        """
        if refused := refusal(name):
            hint, pure = refused.hint, name.rstrip("_")
            known = find_function(pure) or operators.in_space("Tensor", pure)
            if refused is IN_PLACE and not twin and not known:
                return
            if twin and refused is IN_PLACE and known:
                hint = f"write {pure}(...), which makes a new tensor"
            raise self.error(f"{name} is not allowed: it {refused.why}", place, hint)

    def check_keyword(self, keyword: ast.keyword) -> None:
        """Raise the error of an argument that no call may have."""
        if keyword.arg is None:
            message = "unpacking with ** is not allowed"
            raise self.error(message, keyword.value, "write out the arguments")
        harmless = keyword.arg in ("inplace", "requires_grad") and not is_not_false(keyword.value)
        if (keyword.arg in KEYWORDS and not harmless) or keyword.arg.startswith("_"):
            message = f"{keyword.arg}= is not allowed: it {KEYWORDS.get(keyword.arg, 'is private')}"
            raise self.error(message, self.keyword(keyword), "leave it out")

    def unknown(
        self, name: str, place: Span, kind: str, candidates: Iterable[str], prefix: str = ""
    ) -> ExpressionError:
        """The error of a name that does not exist; `prefix` is the namespace before it."""
        text = self.source.text
        if synonym := SYNONYMS.get(prefix + name):
            hint = f"write {correction(text, self.reads)[1] or synonym}"
        elif name.isascii():
            names = (each for each in candidates if each[-1] != ".")  # `net.` begins parameters
            hint = did_you_mean(name, sorted(names), prefix)
            if kind == "name":
                hint += f"{' or ' if hint else ''}give it a value: {quoted(name)}=1"
        else:
            message, corrected = correction(text, self.reads)
            hint = f"write {corrected}" if corrected else message or "write names in ASCII"
        only_pytorch = not hint or kind == "method" or prefix.startswith(_PYTORCHS)
        if kind != "name" and name.isascii() and only_pytorch:
            version = f"PyTorch {torch_version()} is installed"
            hint = f"{hint} ({version})" if hint else version
        return self.error(f"unknown {kind} {quoted(prefix + name)}", place, hint)

    def no_such(self, path: str, node: ast.Attribute) -> ExpressionError:
        """The error of a name that a namespace does not have."""
        place, section = self.tail(node), operators.SPACES[path]
        spelt = section in operators.SPELT
        if f"{section}.{node.attr}" not in SYNONYMS:
            self.check_name(node.attr, place, twin=True)
            if spelt and (twin := find_function(node.attr)):
                hint = f"write {twin.path}, PyTorch's function"
                return self.error(f"unknown function {path}.{node.attr}", place, hint)
        prefix = f"{section if spelt else path}."
        return self.unknown(node.attr, place, "function", operators.sections()[section], prefix)

    def input_path(self, node: ast.AST) -> str:
        """The name of the input that `net[0].weight` means; empty if it means none."""
        parts: list[str] = []
        properties = operators.sections()["properties"] if self.has_paths else {}
        while self.has_paths and len(parts) < MODULE_DEPTH.value:
            match node:
                case ast.Attribute(value=value, attr=part) if part not in properties:
                    parts.insert(0, part.translate(_AS_DIGITS))
                case ast.Subscript(value=value, slice=ast.Constant(value=int(number))):
                    parts.insert(0, str(number))
                case ast.Name(id=name):
                    path = ".".join([name, *parts])
                    known = path in self.scope or (f"{name}." in self.scope and parts)
                    return path if known else ""
                case _:
                    break
            node = value
        return ""

    def module_names(self) -> dict[str, Step]:
        """The modules that the expression makes, by name: as assigned, or else after their class;
        none if no part of them may have parameters.
        """
        named: dict[str, Step] = {}
        layers = operators.sections()["layers"] if self.made_modules else {}
        if not any(step.name.removeprefix("nn.") in layers for step in self.calls.values()):
            return named
        for node, step in self.made_modules.items():
            title = self.titles.get(node, "")
            name = base = title or step.name.rpartition(".")[2].lower()
            taken = named if title else {*named, *self.used, *self.assigned}
            number = 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            named[name] = step
        return named

    def namespace(self, node: ast.AST) -> tuple[str, list[ast.Attribute]] | None:
        """The longest namespace that a dotted name begins with, and the rest; None for a value."""
        chain: list[ast.Attribute] = []
        while isinstance(node, ast.Attribute) and len(chain) < _DEEPEST:
            chain.append(node)
            node = node.value
        chain.reverse()
        path = node.id if isinstance(node, ast.Name) else ""
        if path in self.scope or path not in operators.SPACES:
            return None
        while chain and f"{path}.{chain[0].attr}" in operators.SPACES:
            path += f".{chain.pop(0).attr}"
        return path, chain

    def keyword(self, node: ast.keyword) -> Span:
        """The place of the name before `=`."""
        start = self.span(node).start
        return self.source.span(start, start + len(node.arg or ""))

    def tail(self, node: ast.Attribute) -> Span:
        """The place of the name after the dot."""
        stop = self.span(node).stop
        return self.made.get(node) or self.source.span(stop - len(node.attr), stop)
