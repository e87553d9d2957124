r"""Expressions as display mathematics for LaTeX: `2*x/y` is `\frac{2 x}{y}`. It needs amsmath alone.

A syntax tree is walked from its leaves up, without recursion: a sum of a thousand terms is deep.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from gradcli.catalogue.operators import SPACES
from gradcli.language.assignment import in_expression
from gradcli.language.expressions.corrections import GREEK
from gradcli.language.expressions.expression import deep_trees

OR, AND, NOT, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SHIFT = range(8)
ADD, NEG, MOD, SUM, ODOT, PRODUCT, FRAC, POWER, ATOM = range(8, 17)
"""How strongly a piece holds together: one that holds less than its place asks for is bracketed."""


class Piece(NamedTuple):
    """A part of a formula: its LaTeX, how it holds together, and its dimensions, None if unknown."""

    text: str
    bond: int = ATOM
    rank: int | None = 0

    def at_least(self, bond: int) -> str:
        """The LaTeX for a place that asks for `bond`."""
        return self.text if self.bond >= bond else brackets(self.text)


_TALL = re.compile(r"\\(?:frac|sum|prod|left|begin|sqrt)(?![A-Za-z])")
_ESCAPES = {char: f"\\{char}" for char in "{}$&#%_"} | {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": "$<$", ">": "$>$", "|": "$|$", '"': r"\texttt{\char34}",
}  # fmt: skip
"""What is another character in the font of words, and what TeX reads as its own."""
_LETTERS = {name: f"\\{name}" for name in GREEK.values() if name != "omicron"} | {
    "lam": r"\lambda", "lambda_": r"\lambda", "eps": r"\varepsilon", "omicron": "o", "ell": r"\ell",
    "inf": r"\infty", "nan": r"\text{NaN}", "pi": r"\pi",
}  # fmt: skip
_NAME = re.compile(r"([A-Za-z]+?)_?(\d*|(?<=_)\w+)", re.ASCII)
"""A letter or a word, and its index: `W1`, `x_0`, `h_prev`."""

_OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.BitAnd: (r"\land", BIT_AND), ast.BitOr: (r"\lor", BIT_OR), ast.BitXor: (r"\oplus", BIT_XOR),
    ast.LShift: (r"\ll", SHIFT), ast.RShift: (r"\gg", SHIFT), ast.Mod: (r"\bmod", MOD),
    ast.And: (r"\land", AND), ast.Or: (r"\lor", OR), ast.Lt: ("<", COMPARE), ast.LtE: (r"\le", COMPARE),
    ast.Gt: (">", COMPARE), ast.GtE: (r"\ge", COMPARE), ast.Eq: ("=", COMPARE), ast.NotEq: (r"\ne", COMPARE),
}  # fmt: skip

_INLINE = re.compile(r"\\frac\{(\w+)\}\{(\w+)\}$")
"""A fraction that is written on one line in an exponent."""
_HEAD = re.compile(r"\\(?:sin|cos|tan|log)h?(?=\(|\\left)")
"""A function whose power is written `\\sin^{2}(x)`."""
_ELEMENTWISE = {name: f"\\{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")} | {
    "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "arcsin": r"\arcsin", "arccos": r"\arccos",
    "arctan": r"\arctan", "log": r"\log", "log2": r"\log_{2}", "log10": r"\log_{10}", "exp": r"\exp",
    "sigmoid": r"\sigma", "expit": r"\sigma", "relu": r"\operatorname{ReLU}", "sign": r"\operatorname{sgn}",
    "sgn": r"\operatorname{sgn}", "digamma": r"\psi", "lgamma": r"\log\Gamma", "maximum": r"\max", "minimum": r"\min",
    "softmax": r"\operatorname{softmax}", "log_softmax": r"\log\operatorname{softmax}",
}  # fmt: skip
_NUMBERS = {
    "det": r"\det", "logdet": r"\log\det", "trace": r"\operatorname{tr}", "max": r"\max", "min": r"\min",
    "amax": r"\max", "amin": r"\min", "argmax": r"\arg\max", "argmin": r"\arg\min", "sum": r"\sum", "prod": r"\prod",
}  # fmt: skip
"""Functions whose result is one number, or has one dimension less where they are given one."""
_REDUCING = {"mean", "var", "std", "logsumexp", "norm", "median", "all", "any", *_NUMBERS}
_SOFTMAXES = {"softmax", "log_softmax", "softmin"}
_DROPPED = {"dim", "axis", "keepdim"}
_COUNTS = {"len", "numel", "ndim", "size", "shape", *LOSSES}
_HEADS = _ELEMENTWISE | _NUMBERS | {"one_hot": r"\operatorname{onehot}"}
_AROUND = {
    "abs": r"\lvert %s \rvert", "floor": r"\lfloor %s \rfloor", "ceil": r"\lceil %s \rceil", "sqrt": r"\sqrt{%s}",
    "rsqrt": r"\frac{1}{\sqrt{%s}}", "reciprocal": r"\frac{1}{%s}", "conj": r"\overline{%s}",
}  # fmt: skip
_RAISED = {
    "T": r"\top", "mT": r"\top", "t": r"\top", "transpose": r"\top", "adjoint": "H", "mH": "H", "H": "H",
    "inv": "-1", "inverse": "-1", "pinv": "+", "square": "2",
}  # fmt: skip
_FILLED = {"zeros_like": "0", "zeros": "0", "ones_like": "1", "ones": "1", "eye": "I"}
_BINARY: dict[str, type[ast.operator]] = {
    "add": ast.Add, "sub": ast.Sub, "subtract": ast.Sub, "mul": ast.Mult, "multiply": ast.Mult, "div": ast.Div,
    "divide": ast.Div, "pow": ast.Pow, "matrix_power": ast.Pow, "matmul": ast.MatMult, "mm": ast.MatMult,
    "mv": ast.MatMult, "bmm": ast.MatMult, "dot": ast.MatMult, "inner": ast.MatMult, "vdot": ast.MatMult,
}  # fmt: skip
_SHORT = 24
"""The longest exponent of e; beyond that the exponential is written exp."""


def brackets(text: str, opening: str = "(", closing: str = ")") -> str:
    """LaTeX in brackets, which grow where the text is tall."""
    if _TALL.search(text):
        return rf"\left{opening}{text}\right{closing}"
    return f"{opening}{text}{closing}"


def display(equation: str) -> str:
    r"""LaTeX between \[ and \], ended by a line feed."""
    return f"\\[\n{equation}\n\\]\n"


def escaped(text: str) -> str:
    """Plain text for LaTeX."""
    return "".join(_ESCAPES.get(char, char) for char in text)


class Mathematics:
    """Writes expressions as LaTeX. `ranks` are the dimensions of the names, 0 where one is missing:
    vectors and matrices are bold. `symbols` are names' own LaTeX.
    """

    def __init__(
        self, ranks: Mapping[str, int], symbols: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._ranks: dict[str, int | None] = dict(ranks)
        self._symbols = symbols
        self._parameters = {in_expression(name): name for name in ranks if "." in name}
        self._modules = {name.partition(".")[0] for name in self._parameters.values()}

    def symbol(self, name: str) -> str:
        """A name: Greek letters, an index below, words in italics, vectors and matrices bold."""
        if own := self._symbols.get(name):
            return own
        bold = bool(self._ranks.get(name))
        if "." in name:
            return self._parameter(*name.split("."), bold=bold)
        letter, index = name, ""
        if name not in _LETTERS and (found := _NAME.fullmatch(name)):
            letter, index = found[1], found[2]
        if letter in _LETTERS:
            text = _LETTERS[letter]
            text = rf"\boldsymbol{{{text}}}" if bold else text
        elif len(letter) > 1 or bold:
            text = rf"\{'mathbf' if bold else 'mathit'}{{{escaped(letter)}}}"
        else:
            text = escaped(letter)
        if index and not index.isdigit():
            index = _LETTERS.get(index) or (
                index if len(index) == 1 else rf"\mathit{{{escaped(index)}}}"
            )
        return f"{text}_{{{index}}}" if index else text

    def _parameter(self, module: str, *path: str, bold: bool) -> str:
        """A parameter of a module: W or b, and the place of its layer below it."""
        letter = {"weight": "W", "bias": "b"}.get(path[-1], "")
        name = letter or path[-1]
        text = rf"\{'mathbf' if bold else 'mathit'}{{{escaped(name)}}}"
        alone = len(self._modules) == 1 and (len(path) > 1 or name not in self._ranks)
        below = [*(() if alone else [rf"\mathit{{{escaped(module)}}}"]), *map(escaped, path[:-1])]
        return f"{text}_{{{', '.join(below)}}}" if below else text

    def partial(self, output: str, name: str) -> str:
        """The partial derivative of one name by another."""
        return rf"\frac{{\partial {self.symbol(output)}}}{{\partial {self.symbol(name)}}}"

    def equation(self, left: str, text: str) -> str:
        """Display mathematics without its delimiters: `left`, if there is one, equals the value of an
        expression, after the names that the expression binds; several statements are aligned.
        """
        with deep_trees():
            body = ast.parse(text).body
        lines = [self._statement(node) for node in body]
        if left:
            lines[-1] = (left, "=", lines[-1][2])
        if len(lines) == 1:
            return " ".join(filter(None, lines[0]))
        rows = " \\\\\n".join(f"{name} &{sign} {value}".lstrip() for name, sign, value in lines)
        return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"

    def _statement(self, node: ast.stmt) -> tuple[str, str, str]:
        """What a statement binds, its sign, and the value."""
        if isinstance(node, ast.AugAssign):
            assert isinstance(node.target, ast.Name)
            value = self._piece(ast.BinOp(ast.Name(node.target.id), node.op, node.value))
            targets: Sequence[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            value, targets = self._piece(node.value), node.targets
        else:
            assert isinstance(node, ast.Expr)
            return "", "", self._piece(node.value).text
        sign = r"\leftarrow" if isinstance(node, ast.AugAssign) else "="
        for target in targets:
            if isinstance(target, ast.Name):
                self._ranks[target.id] = value.rank
        return " = ".join(self._piece(target).text for target in targets), sign, value.text

    def _piece(self, root: ast.expr) -> Piece:
        nodes: list[ast.AST] = [root]
        for node in nodes:  # it grows
            nodes += ast.iter_child_nodes(node)
        done: dict[ast.AST, Piece] = {}
        for node in reversed(nodes):
            if rule := _RULES.get(type(node)):
                done[node] = rule(self, node, done)
        return done[root]

    # --- a rule for each kind of node -------------------------------------------------------------

    def _constant(self, node: ast.Constant, done: Any) -> Piece:
        value = node.value
        if value is Ellipsis:
            return Piece(r"\dots")
        if value is None or isinstance(value, str | bytes | bool):
            return Piece(rf"\text{{{escaped(str(value))}}}")
        text, exponent = str(value).replace("j", "i"), ""
        if value == float("inf"):
            return Piece(r"\infty")
        if re.fullmatch(r"[\d.]+e[-+]?\d+", text):
            text, _, exponent = text.partition("e")
        if not exponent:
            return Piece(text)
        power = f"10^{{{int(exponent)}}}"
        return Piece(power, POWER) if text == "1" else Piece(rf"{text} \cdot {power}", PRODUCT)

    def _name(self, node: ast.Name, done: Any) -> Piece:
        return Piece(self.symbol(node.id), ATOM, self._ranks.get(node.id, 0))

    def _attribute(self, node: ast.Attribute, done: Any) -> Piece:
        if name := self._parameters and self._parameters.get(ast.unparse(node)):
            return Piece(self.symbol(name), ATOM, self._ranks[name])
        if self._is_space(node.value):
            return Piece(_LETTERS.get(node.attr) or rf"\text{{{escaped(node.attr)}}}")
        return self._function(node.attr, [done[node.value]], {})

    def _binary(self, node: ast.BinOp, done: Any) -> Piece:
        left, right = done[node.left], done[node.right]
        if isinstance(node.op, ast.Pow):
            return self._power(node, left, done)
        return _combined(type(node.op), left, right)

    def _power(self, node: ast.BinOp, base: Piece, done: Any) -> Piece:
        exponent = _INLINE.sub(r"\1/\2", done[node.right].text)
        if exponent in ("0.5", "1/2"):
            return Piece(rf"\sqrt{{{base.text}}}", ATOM, base.rank)
        if isinstance(node.left, ast.Call) and (head := _HEAD.match(base.text)):
            return Piece(f"{head[0]}^{{{exponent}}}{base.text[head.end() :]}", POWER, base.rank)
        return _raised(base, exponent)

    def _unary(self, node: ast.UnaryOp, done: Any) -> Piece:
        operand: Piece = done[node.operand]
        if isinstance(node.op, ast.Not | ast.Invert):
            return Piece(rf"\lnot {operand.at_least(POWER)}", NOT, operand.rank)
        sign = "-" if isinstance(node.op, ast.USub) else "+"
        return Piece(f"{sign}{operand.at_least(SUM)}", NEG, operand.rank)

    def _boolean(self, node: ast.BoolOp, done: Any) -> Piece:
        symbol, bond = _OPERATORS[type(node.op)]
        return Piece(
            f" {symbol} ".join(done[each].at_least(bond + 1) for each in node.values), bond
        )

    def _compare(self, node: ast.Compare, done: Any) -> Piece:
        text = done[node.left].at_least(BIT_OR)
        for op, operand in zip(node.ops, node.comparators, strict=True):
            text += f" {_OPERATORS[type(op)][0]} {done[operand].at_least(BIT_OR)}"
        return Piece(text, COMPARE, done[node.left].rank)

    def _subscript(self, node: ast.Subscript, done: Any) -> Piece:
        value, index = done[node.value], node.slice
        items = index.elts if isinstance(index, ast.Tuple) else [index]
        base = value.at_least(ATOM)
        base = f"{{{base}}}" if "_" in base else base
        kept = sum(isinstance(item, ast.Slice) for item in items) - len(items)
        plain = all(isinstance(item, ast.Slice | ast.UnaryOp) or _is_number(item) for item in items)
        rank = value.rank and (max(0, value.rank + kept) if plain else None)
        return Piece(f"{base}_{{{', '.join(done[item].text for item in items)}}}", ATOM, rank)

    def _slice(self, node: ast.Slice, done: Any) -> Piece:
        bounds = [node.lower, node.upper, *([node.step] if node.step else [])]
        return Piece("{:}".join(done[bound].text if bound else "" for bound in bounds))

    def _sequence(self, node: ast.List | ast.Tuple, done: Any) -> Piece:
        opening, closing = "[]" if isinstance(node, ast.List) else "()"
        return Piece(
            brackets(", ".join(done[item].text for item in node.elts), opening, closing), ATOM, None
        )

    def _call(self, node: ast.Call, done: Any) -> Piece:
        given = [done[each] for each in node.args]
        named = {each.arg or "**": done[each.value] for each in node.keywords}
        match node.func:
            case ast.Attribute(attr=name, value=own) if not self._is_space(own):
                return self._function(name, [done[own], *given], named)
            case ast.Attribute(attr=name):
                return self._function(name, given, named)
            case ast.Name(id=name) if name not in self._ranks or name in _HEADS:
                return self._function(name, given, named)
        return Piece(done[node.func].at_least(ATOM) + _arguments(given, named), ATOM, None)

    def _is_space(self, node: ast.expr) -> bool:
        """Whether a name is that of a namespace, and not an input's."""
        text = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        return text in SPACES and text.partition(".")[0] not in self._ranks

    def _function(self, name: str, given: list[Piece], named: dict[str, Piece]) -> Piece:
        """A function of these arguments, of which a method's object is the first."""
        rank = _rank(name, given, named)
        head = _HEADS.get(name, rf"\operatorname{{{escaped(name)}}}")
        match name, given:
            case _, [base, exponent] if _BINARY.get(name) is ast.Pow:
                return _raised(base, exponent.text)
            case _, [left, right] if name in _BINARY and not named:
                return _combined(_BINARY[name], left, right)
            case "where", [condition, one, other]:
                return _cases(condition, one, other)
            case "outer" | "ger", [left, right]:
                row = _raised(right, r"\top")._replace(rank=2)
                return _combined(ast.MatMult, left._replace(rank=2), row)
            case "log1p", [x]:
                return self._function("log", [_combined(ast.Add, Piece("1"), x)], {})
            case "expm1", [x]:
                return _combined(ast.Sub, self._function("exp", [x], {}), Piece("1"))
            case "eye", [size]:
                return Piece(rf"\mathbf{{I}}_{{{size.text}}}", ATOM, 2)
            case _, [_, *_] if name in _FILLED:
                return Piece(rf"\mathbf{{{_FILLED[name]}}}" if rank else _FILLED[name], ATOM, rank)
            case (("transpose" | "permute" | "swapaxes"), [x, _, _]) if x.rank in (0, 2):
                return _raised(x, r"\top")
            case _, [x] if name in _RAISED and not named:
                return _raised(x, _RAISED[name])
            case _, [x] if name in _AROUND and not named:
                return Piece(
                    _AROUND[name] % x.text, FRAC if "frac" in _AROUND[name] else ATOM, rank
                )
            case "norm" | "vector_norm" | "matrix_norm", [x, *order] if (
                len(order) < 2 and not named
            ):
                below = order[0].text if order else "F" if x.rank == 2 else "2"
                return Piece(rf"\lVert {x.text} \rVert_{{{below}}}", ATOM, rank)
            case "exp", [Piece(text)] if not (
                "e" in self._ranks or len(text) > _SHORT or _TALL.search(text)
            ):
                return Piece(f"e^{{{text}}}", POWER, rank)
            case "one_hot", [x, _]:
                return Piece(head + brackets(x.text), ATOM, rank)
        if dims := _dimension(name, given, named):
            last = str((given[0].rank or 0) - 1)
            head += "" if name in _SOFTMAXES and dims in ("-1", last) else rf"_{{\dim {dims}}}"
            given = given[:1]
            named = {key: value for key, value in named.items() if key not in _DROPPED}
        if name in ("sum", "prod") and len(given) == 1 and not named:
            return Piece(f"{head} {given[0].at_least(ODOT)}", SUM, rank)
        return Piece(head + _arguments(given, named), ATOM, rank)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


# --- pieces of pieces ---------------------------------------------------------------------------


def _combined(op: type[ast.operator], left: Piece, right: Piece) -> Piece:
    """Two operands and the operator between them."""
    rank = None if left.rank is None or right.rank is None else max(left.rank, right.rank)
    if issubclass(op, ast.Add | ast.Sub):
        sign = "+" if op is ast.Add else "-"
        return Piece(f"{left.at_least(ADD)} {sign} {right.at_least(MOD)}", ADD, rank)
    if issubclass(op, ast.Div | ast.FloorDiv):
        sign = "-" if left.bond == NEG and left.text.startswith("-") else ""
        text = rf"\frac{{{left.text.removeprefix(sign)}}}{{{right.text}}}"
        if op is ast.FloorDiv:
            return Piece(rf"\left\lfloor {sign}{text} \right\rfloor", ATOM, rank)
        return Piece(sign + text, NEG if sign else FRAC, rank)
    if issubclass(op, ast.MatMult):
        if left.rank == 1:
            left = _raised(left, r"\top")
        rank = _MATRIX_PRODUCT.get((left.rank, right.rank), rank)
        return Piece(_joined(left.at_least(PRODUCT), right.at_least(PRODUCT)), PRODUCT, rank)
    if issubclass(op, ast.Mult):
        if left.rank != 0 and right.rank != 0:
            bond = NEG if left.bond == NEG else ODOT
            return Piece(rf"{left.at_least(bond)} \odot {right.at_least(ODOT)}", bond, rank)
        bond = NEG if left.bond == NEG else PRODUCT
        text = _joined(left.at_least(bond), right.at_least(SUM if right.bond == SUM else PRODUCT))
        return Piece(text, min(bond, right.bond) if right.bond == SUM else bond, rank)
    symbol, bond = _OPERATORS[op]
    return Piece(f"{left.at_least(bond)} {symbol} {right.at_least(bond + 1)}", bond, rank)


_WORD_FIRST = re.compile(r"\\math(?:it|bf)\{\w{2,}\}")
_WORD_LAST = re.compile(_WORD_FIRST.pattern + r"\S*$")
_MATRIX_PRODUCT: dict[Any, int | None] = {(1, 1): 0, (1, 2): 1, (2, 1): 1, (2, 2): 2}


def _joined(left: str, right: str) -> str:
    """A product without a sign, where two numbers cannot be taken for one, nor two words."""
    if right[0].isdigit() or (left[-1].isdigit() and right.startswith(r"\frac")):
        return rf"{left} \cdot {right}"
    thin = r" \," if _WORD_LAST.search(left) or _WORD_FIRST.match(right) else ""
    return f"{left}{thin} {right}"


def _raised(piece: Piece, exponent: str) -> Piece:
    """A transposed, an inverse, a square; the transposed inverse has one exponent."""
    if exponent == r"\top" and piece.text.endswith("^{-1}"):
        return Piece(piece.text.removesuffix("1}") + r"\top}", POWER, piece.rank)
    return Piece(f"{piece.at_least(ATOM)}^{{{exponent}}}", POWER, piece.rank)


def _cases(condition: Piece, one: Piece, other: Piece) -> Piece:
    # A bracket after a line break would be its optional argument.
    rows = rf"{one.text} & \text{{if }} {condition.text} \\ {{}}{other.text} & \text{{otherwise}}"
    return Piece(rf"\begin{{cases}} {rows} \end{{cases}}", ATOM, one.rank or other.rank)


def _arguments(given: Sequence[Piece], named: Mapping[str, Piece]) -> str:
    """The arguments of a call in brackets."""
    texts = [piece.text for piece in given]
    texts += [rf"\mathrm{{{escaped(name)}}} = {piece.text}" for name, piece in named.items()]
    return brackets(", ".join(texts))


def _dimension(name: str, given: Sequence[Piece], named: Mapping[str, Piece]) -> str:
    """The dimensions along which a function reduces or normalises; empty if it takes all."""
    if name not in _REDUCING and name not in _SOFTMAXES:
        return ""
    dims = named.get("dim", named.get("axis", given[1] if len(given) > 1 else None))
    return dims.text if dims and re.fullmatch(r"[-\d(\[][-\d, )\]]*", dims.text) else ""


def _rank(name: str, given: Sequence[Piece], named: Mapping[str, Piece]) -> int | None:
    """The dimensions of what a function returns."""
    if name in _COUNTS or not given:
        return 0 if given else None
    ranks = [piece.rank for piece in given]
    if name in _REDUCING:
        if not (dims := _dimension(name, given, named)):
            return 0
        lost = 0 if "keepdim" in named else len(re.findall(r"\d+", dims))
        return None if ranks[0] is None else max(0, ranks[0] - lost)
    if name in _ELEMENTWISE or name in ACTIVATIONS or name in _AROUND or name in _RAISED:
        return None if None in ranks else max(filter(None, ranks), default=0)
    if name in ("zeros_like", "ones_like", "zeros", "ones", "clamp", "diagonal"):
        return ranks[0] if name.endswith(("like", "clamp")) else 1
    return None if any(rank != 0 for rank in ranks) else 0


_RULES: dict[type[ast.AST], Callable[[Mathematics, Any, Any], Piece]] = {
    ast.Constant: Mathematics._constant, ast.Name: Mathematics._name, ast.Attribute: Mathematics._attribute,
    ast.BinOp: Mathematics._binary, ast.UnaryOp: Mathematics._unary, ast.BoolOp: Mathematics._boolean,
    ast.Compare: Mathematics._compare,
    ast.IfExp: lambda _, node, done: _cases(done[node.test], done[node.body], done[node.orelse]),
    ast.Subscript: Mathematics._subscript,
    ast.Slice: Mathematics._slice, ast.List: Mathematics._sequence, ast.Tuple: Mathematics._sequence,
    ast.Starred: lambda self, node, done: Piece(f"{{*}}{done[node.value].text}"), ast.Call: Mathematics._call,
}  # fmt: skip
