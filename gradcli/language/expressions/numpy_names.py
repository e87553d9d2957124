"""NumPy's and Python's names: a call of `np.std(x)` becomes the tree of its PyTorch expression.

The rest of the program gets this tree. Its nodes have the place of the call, so that errors point
at the user's text. If a meaning uses an argument more than once, all arguments are computed first,
under names that the user cannot type.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from gradcli.catalogue import operators, spellings
from gradcli.catalogue.spellings import Row
from gradcli.errors import ExpressionError
from gradcli.language.expressions.program import Step
from gradcli.language.expressions.reader import Reader, starred
from gradcli.language.source import Span

Given = Mapping[str, ast.expr]
"""Arguments by the names of their parameters."""


def expand(reader: Reader, path: str, node: ast.Call, place: Span) -> list[ast.expr | Step]:
    """The meaning in PyTorch of a call of the function at `path`, such as `np.linalg.norm`.

    Raises ExpressionError if no row of the table takes its arguments.
    """
    section, _, name = path.rpartition(".")
    rows = spellings.rows(section, name)
    if fitting := _fitting(rows, node.args, node.keywords):
        return _Meaning(reader, section, name, node, place).of(*fitting)
    raise _misfit(reader, path, rows, node, place)


def method(reader: Reader, node: ast.Call, place: Span) -> list[ast.expr | Step]:
    """The meaning of a method of NumPy's arrays; empty if the method is PyTorch's own."""
    assert isinstance(node.func, ast.Attribute)
    if node in reader.made or not (rows := spellings.rows("Tensor", node.func.attr)):
        return []
    fitting = _fitting(rows, [node.func.value, *node.args], node.keywords)
    return _Meaning(reader, "Tensor", node.func.attr, node, place).of(*fitting) if fitting else []


def _fitting(
    rows: Sequence[Row], args: Sequence[ast.expr], keywords: Sequence[ast.keyword]
) -> tuple[Row, Given] | None:
    """The first row that takes these arguments, and the argument of each parameter."""
    for row in rows:
        if (given := _bound(row, args, keywords)) is None:
            continue
        # None is NumPy's default of an argument; the row without the parameter then applies.
        first = _parameters(rows[0])
        rest = {name: it for name, it in given.items() if name in first or not _is(it, None)}
        if len(rest) == len(given):
            return row, given
        return next(((other, rest) for other in rows if _takes(other, rest)), None)
    return None


def _parameters(row: Row) -> dict[str, ast.expr | None]:
    """The parameters of a row and their defaults; None for one that must be given."""
    listed = row.arguments
    placed = [*listed.posonlyargs, *listed.args]
    required = [None] * (len(placed) - len(listed.defaults))
    defaults = [*required, *listed.defaults, *listed.kw_defaults]
    names = [parameter.arg for parameter in (*placed, *listed.kwonlyargs)]
    return dict(zip(names, defaults, strict=True))


def _takes(row: Row, given: Given) -> bool:
    """Whether a row has all these parameters, and needs no others."""
    known = _parameters(row)
    complete = all(name in given or default for name, default in known.items())
    return complete and given.keys() <= known.keys()


def _bound(
    row: Row, args: Sequence[ast.expr], keywords: Sequence[ast.keyword]
) -> dict[str, ast.expr] | None:
    """The argument of each parameter of a row; None if the row does not take these arguments."""
    listed = row.arguments
    placed = [parameter.arg for parameter in (*listed.posonlyargs, *listed.args)]
    more = args[len(placed) :]
    named = {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
    given = {**dict(zip(placed, args, strict=False)), **named}
    if (
        (more and not listed.vararg)
        or any(isinstance(value, ast.Starred) for value in args)
        or len(given) < len(args) - len(more) + len(keywords)
        or any(parameter.arg in named for parameter in listed.posonlyargs)
        or not _takes(row, given)
    ):
        return None
    return given | ({listed.vararg.arg: ast.Tuple(list(more), ast.Load())} if listed.vararg else {})


def _misfit(
    reader: Reader, path: str, rows: Sequence[Row], node: ast.Call, place: Span
) -> ExpressionError:
    """The error of a call that no row of its name takes."""
    name = path.rpartition(".")[2]
    known = {parameter for row in rows for parameter in _parameters(row)}
    hint = "write " + " or ".join(dict.fromkeys(f"{path}({row.signature})" for row in rows))
    if operators.in_space("torch", name):
        hint += f"; torch.{name} takes PyTorch's own arguments"
    for keyword in node.keywords:
        if keyword.arg not in known:
            message = f"{path} takes no {keyword.arg}= here"
            return reader.error(message, reader.keyword(keyword), hint)
    return reader.error(f"{path} does not take these arguments here", place, hint)


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


class _Meaning(ast.NodeTransformer):
    """Substitutes the arguments of one call into the meaning of a row."""

    def __init__(
        self, reader: Reader, section: str, name: str, node: ast.Call, place: Span
    ) -> None:
        self._reader, self._section, self._name = reader, section, name
        self._node, self._place = node, place
        self._given: dict[str, ast.expr | None] = {}

    def of(self, row: Row, given: Given) -> list[ast.expr | Step]:
        """The meaning of `row` with these arguments, after the parts from `_held`."""
        numbers = self._section == "math" and all(map(self._is_plain, given.values()))
        for name, default in _parameters(row).items():
            value = given.get(name)
            if default is not None and (value is None or (_is(value, None) and _unset(default))):
                self._given[name] = None if _is(default, ...) else self._made(deepcopy(default))
            elif value is not None:
                self._given[name] = value if numbers else self._read(name, value)
        if more := row.arguments.vararg:
            self._given[more.arg] = given[more.arg]
        meaning = self._made(deepcopy(row.meaning))
        if self._section == "math":
            self._note_pythons(meaning)
        first = self._held(meaning)
        filled: ast.expr = self.visit(meaning)
        self._reader.expanded[self._node] = filled
        return [*first, filled]

    def _held(self, meaning: ast.expr) -> list[ast.expr | Step]:
        """Name all arguments if the meaning uses one twice; the parts that compute them."""
        trees = (meaning, *filter(None, self._given.values()))
        nodes = [node for tree in trees for node in ast.walk(tree) if node in self._reader.made]
        named = [node.id for node in nodes if isinstance(node, ast.Name)]
        computed = {
            name: value for name, value in self._given.items()
            if value and not _is_literal(value) and (self._name, name) not in _CONVERTERS
        }  # fmt: skip
        if all(named.count(name) < 2 for name in computed):
            return []
        first: list[ast.expr | Step] = []
        for name, value in computed.items():
            held = f"{name}1"
            while held in self._reader.scope or held in self._reader.held:
                held += "1"
            self._reader.held[held] = value
            self._given[name] = self._made(ast.Name(held, ast.Load()))
            step = self._reader.step
            first += [value, step("store", self._place, name=held), step("drop", self._place)]
        return first

    def _made(self, tree: ast.expr, typed: ast.expr | None = None) -> ast.expr:
        """The tree with the place of the call, or of `typed` for its nodes without a place."""
        for part in ast.walk(tree):
            if isinstance(part, ast.expr | ast.keyword) and not (typed and hasattr(part, "lineno")):
                ast.copy_location(part, typed or self._node)
                self._reader.made[part] = self._reader.span(typed) if typed else self._place
        return tree

    def _note_pythons(self, meaning: ast.expr) -> None:
        """Record the calls that Python's own functions compute for plain numbers."""
        if isinstance(meaning, ast.Call):
            self._reader.pythons[meaning] = f"math.{self._name}"
            return
        known = spellings.names("math")
        for part in ast.walk(meaning):
            match part:
                case ast.Call(func=ast.Attribute(attr=name)) if name in known:
                    self._reader.pythons[part] = f"math.{name}"

    def _read(self, name: str, value: ast.expr) -> ast.expr:
        """An argument as PyTorch takes it."""
        if converter := _CONVERTERS.get((self._name, name)):
            return self._made(converter(value), value)
        if name == "indices" and isinstance(value, ast.Constant):
            return self._made(_call("tensor", value), value)
        if name == "dtype" and isinstance(value, ast.Constant):
            dtype = str(value.value)
            if operators.in_space("dtypes", dtype):
                return self._made(_torch(dtype), value)
        if name in spellings.ARRAYS or name == "indices":
            return self._made(self._array(value), value)
        return value

    def _array(self, value: ast.expr) -> ast.expr:
        """A list of numbers as a tensor, a list with tensors as their stack."""
        if not isinstance(value, ast.List | ast.Tuple) or starred(value.elts):
            return value
        if self._is_plain(value):
            return _call("tensor", value)
        read = (_call("tensor", it) if self._is_plain(it) else self._array(it) for it in value.elts)
        return _call("stack", ast.List([*read], ast.Load()))

    def _is_plain(self, node: ast.expr) -> bool:
        """Whether the text alone shows that `node` is a number, or lists of numbers."""
        match node:
            case ast.Constant():
                return not isinstance(node.value, str)
            case ast.UnaryOp():
                return self._is_plain(node.operand)
            case ast.BinOp():
                return self._is_plain(node.left) and self._is_plain(node.right)
            case ast.List() | ast.Tuple():
                return all(map(self._is_plain, node.elts))
            case ast.Name():
                return node.id in operators.CONSTANTS and node.id not in self._reader.scope
            case ast.Attribute():
                return self._reader.namespace(node) is not None
        return False

    def visit_Name(self, node: ast.Name) -> ast.expr | None:
        """A parameter becomes its argument, or None, which leaves it out, if that is not given."""
        if node not in self._reader.made or node.id not in self._given:
            return node
        value = self._given[node.id]
        return value if value is None or isinstance(value, ast.Name) else self.visit(value)

    def visit_keyword(self, node: ast.keyword) -> ast.keyword | None:
        """A keyword without its value is left out too."""
        node.value = self.visit(node.value)
        return node if node.value else None

    def visit_Starred(self, node: ast.Starred) -> ast.expr | list[ast.expr]:
        """The arguments of `*` become separate arguments."""
        if node not in self._reader.made or not isinstance(node.value, ast.Name):
            return node
        more = self._given[node.value.id]
        return more.elts if isinstance(more, ast.Tuple) else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Only nodes of the row are visited; arguments contain the user's own names."""
        return super().generic_visit(node) if node in self._reader.made else node


def _is_literal(node: ast.expr) -> bool:
    """Whether `node` can be computed twice, at no cost and with the same result."""
    values = ast.Name | ast.Constant | ast.Tuple | ast.List | ast.UnaryOp
    kinds = values | ast.unaryop | ast.expr_context
    return all(isinstance(part, kinds) for part in ast.walk(node))


def _unset(default: ast.expr) -> bool:
    """Whether None, given for a parameter with this default, means that it is not given."""
    return _is(default, ...) or _is(default, None) or isinstance(default, ast.Tuple)


def _torch(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("torch", ast.Load()), name, ast.Load())


def _call(name: str, argument: ast.expr) -> ast.expr:
    return ast.Call(_torch(name), [argument], [])


def _pads(value: ast.expr) -> ast.expr:
    """NumPy's widths, from the first axis on, as PyTorch's, from the last axis on."""
    if isinstance(value, ast.Tuple | ast.List) and value.elts:
        pairs = [item for item in value.elts if isinstance(item, ast.Tuple | ast.List)]
        if len(pairs) == len(value.elts) > 1:
            return ast.Tuple([side for pair in reversed(pairs) for side in pair.elts], ast.Load())
        both = pairs[0].elts if pairs else value.elts
    else:
        both = [value, value]
    ndim = ast.Attribute(ast.Name("array", ast.Load()), "ndim", ast.Load())
    return ast.BinOp(ast.Tuple(list(both), ast.Load()), ast.Mult(), ndim)


def _shape(value: ast.expr) -> ast.expr:
    """NumPy's shape, which may be one number, as a tuple."""
    return ast.Tuple([value], ast.Load()) if isinstance(value, ast.Constant) else value


_CONVERTERS: Mapping[tuple[str, str], Callable[[Any], ast.expr]]
_CONVERTERS = {("pad", "pad_width"): _pads, ("full", "shape"): _shape}
"""Arguments that PyTorch takes in another form, by function and parameter."""
