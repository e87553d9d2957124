"""The grammar of tensor literals: one recursive-descent parser over `tokens`, and its errors.

literal  = made | row {(";" | newline) row}
made     = [sign] constructor "(" [argument {"," argument}] ")"
row      = item {"," item} [","]                    in a stream also blanks between items
item     = list | group | wrapper | product
list     = "[" [item {("," | blanks) item} [","]] "]"
group    = "(" [item {"," item} [","]] ")"          one item without a comma is that item
wrapper  = ("tensor" | "array") "(" item {"," keyword "=" what was printed} ")"
product  = factor {("*" | "/") factor}
factor   = [sign] (number | constant | string | [dtype] "(" product ")")
"""

import math
import re

from gradcli.errors import LiteralError, quoted
from gradcli.language.literals import constructors
from gradcli.language.literals.constructors import CONSTRUCTORS, Argument, Made, Shape
from gradcli.language.literals.tokens import FORMS, Token, tokens
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean

Number = float | int | bool

NOT_FINITE = {
    sign + name: float(sign + name) for sign in ("", "+", "-") for name in ("nan", "inf", "infinity")
}  # fmt: skip
"""Every usual spelling of the not-finite numbers, in lower case."""

_CONSTANTS: dict[str, Number] = {
    "pi": math.pi, "e": math.e,
    **dict.fromkeys(("True", "true", "True_"), True), **dict.fromkeys(("False", "false", "False_"), False),
}  # fmt: skip

INTEGERS = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
"""The integer types that `tensor(..)` keeps, and their ranges."""

_FLOATS = ("float", "double", "half", "float16", "float32", "float64", "bfloat16", "longdouble")
_ALIASES = {"short": "int16", "int": "int64", "long": "int64", "bool": "bool", "bool_": "bool"}
_DTYPES = dict.fromkeys(_FLOATS, "float") | {name: name for name in INTEGERS} | _ALIASES
"""Every type in the print of a tensor or number, as `float`, `bool` or an integer type."""

_WRAPPERS = {"tensor": True, "Tensor": False, "array": False}
"""The words around a printed tensor, and whether whole numbers in them stay integers."""
_IGNORED = ("grad_fn", "requires_grad", "device")
"""What PyTorch prints besides a tensor's numbers, and an input ignores."""

_STARTS = ("number", "name", "call", "string")
"""The kinds of the words that begin a number, besides signs and brackets."""

_MISSING = "leave the input out, or write nan for a missing number"
_NO_NUMBERS = dict.fromkeys(("None", "null", "NA"), _MISSING)
_PRINT = "print the numbers alone: print(x.detach().to_dense())"
_UNREADABLE = ("this argument is not supported", _PRINT)
_EXPRESSION = "give each tensor as a separate input; arithmetic belongs in the expression"
_NO_SUM = "put a comma between two numbers: 1, -2; sums belong in the expression"
_SUM = ("a literal cannot contain a sum", _NO_SUM)
_ON_LISTS = ("a literal cannot contain arithmetic on lists", _EXPRESSION)
_STRAYS = {
    **dict.fromkeys("+-", _SUM),
    **dict.fromkeys("*/,", _ON_LISTS),
    ";": ("; separates rows only outside brackets", "write 1,2;3,4 or [[1,2],[3,4]]"),
    "=": ("= is allowed only after an argument's name", FORMS),
}
"""The message and the hint for a sign that follows an item."""

WORDS = frozenset(
    {*CONSTRUCTORS, *_WRAPPERS, *_CONSTANTS, *_DTYPES, *_IGNORED, *_NO_NUMBERS, "nan", "inf", "infinity", "dtype"}
    | {"torch", "np", "numpy", "math", "Parameter", "containing"}
)  # fmt: skip
"""The names that a literal may contain, right or almost right."""


def bare(name: str) -> str:
    """`name` without its module: `torch.pi` is `pi`; other dots stay."""
    prefix, _, last = name.rpartition(".")
    return last if prefix in ("torch", "np", "numpy", "math") else name


def describe(row: int, shape: Shape) -> str:
    """A row in words: `row 1 has 3 numbers`."""
    if len(shape) > 1:
        return f"row {row} has shape {list(shape)}"
    if not shape:
        return f"row {row} is a bare number"
    return f"row {row} has {'one number' if shape == (1,) else f'{shape[0]} numbers'}"


class Parser:
    """Reads one literal, by a method for each rule of the grammar.

    `token` is the current word, `stop` the end of the one before. Numbers go to `values` and their
    places to `places`, in the order of reading, so that a method returns only the shape of what it
    has read. `lines`: the text is a stream, in which blanks separate and one column is 1-D.
    """

    def __init__(self, source: Source, *, lines: bool) -> None:
        self.source = source
        self.lines = lines
        self.words = tokens(source)
        self.token = next(self.words)
        self.stop = 0
        self.values: list[Number] = []
        self.places: list[tuple[int, int]] = []
        self.dtype = "float"

    # --- words

    def advance(self) -> Token:
        """Go to the next word and return the one just left; the last one stays."""
        token, self.stop = self.token, self.token.stop
        self.token = next(self.words, token)
        return token

    def at(self, *signs: str) -> bool:
        """Whether the current word is one of these signs; the end is an empty one."""
        return self.token.text in signs

    def expect(self, sign: str) -> None:
        """Go past `sign`, which must follow here."""
        if not self.at(sign):
            raise self.stray()
        self.advance()

    def skip_lines(self) -> None:
        """Go past line breaks."""
        while self.at("\n"):
            self.advance()

    # --- the whole text, rows, items

    def literal(self) -> Made | tuple[list[Number], Shape, str]:
        """A constructor, or numbers, shape and dtype. Raises LiteralError, SizeError."""
        self.skip_lines()
        made = re.match(r"[\s\ufeff]*[-+]?\s*([\w.]+)\s*\(", self.source.text)
        if made and bare(made[1]) in CONSTRUCTORS:
            return self.made()
        shape, dtype = self.rows()
        convert = float if dtype == "float" else bool if dtype == "bool" else int
        return list(map(convert, self.values)), shape, dtype

    def rows(self) -> tuple[Shape, str]:
        """Rows up to the end of the text: their common shape, and the dtype."""
        if self.at(""):
            raise self.error("there are no numbers here", FORMS)
        printed = self.token.kind == "call"
        count, semicolons = 0, False
        first: Shape = ()
        while not self.at(""):
            if self.at(";"):
                raise self.error("a row is missing here", "remove one ;")
            start = self.token.start
            items, alone = self.sequence(";", "\n", "", blanks=self.lines)
            row = items[1:] if alone else items
            count += 1
            first = first or row or (1,)
            self.check_row(count, row or (1,), first, start)
            if self.at(";"):
                semicolons = True
                self.advance()
            self.skip_lines()
        numbers = "bool" if self.values and isinstance(self.values[0], bool) else "float"
        if count == 1 and not semicolons:
            return row, self.dtype if printed and alone else numbers
        column = self.lines and not semicolons and items == (1,)
        return (count,) if column else (count, *first), numbers

    def sequence(self, *ends: str, blanks: bool) -> tuple[Shape, bool]:
        """Items up to one of the signs `ends`: their shape, and whether it is one without a comma.

        They are separated by commas or, with `blanks`, by blanks, but not by both.
        """
        count, separator = 0, ""
        first: Shape = ()
        while not self.at(*ends):
            start = self.token.start
            shape = self.item()
            count += 1
            first = shape if count == 1 else first
            self.check_row(count, shape, first, start)
            if self.at(*ends):
                break
            if not self.at(",") and not (blanks and self.token.start > self.stop and self.begins()):
                raise self.stray()
            previous, separator = separator, "," if self.at(",") else " "
            if previous and previous != separator:
                raise self.error("commas and spaces are mixed", "separate all numbers with commas")
            if self.at(","):
                self.advance()
        return (count, *first), count == 1 and separator != ","

    def begins(self) -> bool:
        """Whether the current word begins an item, as a sign does in `1 -2`, but not in `1 - 2`."""
        if self.at("+", "-"):
            return not self.source.text[self.token.stop : self.token.stop + 1].isspace()
        return self.token.kind in _STARTS or self.at("[", "(")

    def check_row(self, row: int, shape: Shape, first: Shape, start: int) -> None:
        """Raise unless the row that began at `start` has the shape of the first one."""
        if shape != first:
            message = f"{describe(row, shape)}, but {describe(1, first)}"
            raise self.error(message, "all rows must have the same shape", start)

    def item(self) -> Shape:
        """A list, a group, a printed tensor or a number."""
        start = self.token.start
        if self.at("["):
            self.advance()
            shape, _ = self.sequence("]", blanks=True)
            self.advance()
            return shape
        if self.token.kind == "call" and bare(self.token.text) in _WRAPPERS:
            return self.wrapper()
        if not self.at("("):
            value = self.product(self.factor())
        else:
            self.advance()
            shape, alone = self.sequence(")", blanks=False)
            self.advance()
            if not alone or shape != (1,):
                return shape[1:] if alone else shape
            self.places.pop()
            value = self.product(self.values.pop())
        if self.values and isinstance(value, bool) is not isinstance(self.values[-1], bool):
            hint = "write 1 and 0, or True and False, throughout"
            raise self.error("bools and numbers are mixed", hint, start)
        self.values.append(value)
        self.places.append((start, self.stop))
        return ()

    # --- one number

    def product(self, value: Number) -> Number:
        """`value` times and divided by the factors that follow."""
        while self.at("*", "/"):
            operator = self.advance().text
            if self.at("["):
                raise self.error(*_ON_LISTS)
            start = self.token.start
            factor = self.factor()
            if isinstance(value, bool) or isinstance(factor, bool):
                raise self.error("a bool cannot be a factor", "write 1 or 0", start)
            if operator == "/" and factor == 0:
                raise self.error("division by zero", "write inf or nan if that is meant", start)
            try:
                result = value * factor if operator == "*" else value / factor
                finite = math.isfinite(value) and math.isfinite(factor)
                overflow = finite and not math.isfinite(result)
            except OverflowError:
                overflow = True
            if overflow:
                message = "the result is too large for a 64-bit float"
                raise self.error(message, "write inf if that is meant", start)
            value = result
        return value

    def factor(self) -> Number:
        """A number with at most one sign."""
        sign = self.advance().text if self.at("+", "-") else ""
        if sign and self.at("+", "-"):
            raise self.error("a number has at most one sign", "leave out the others")
        start = self.token.start
        if self.at("("):
            value = self.bracketed()
        elif self.token.kind in _STARTS:
            value = self.unsigned(self.advance())
        else:
            raise self.missing()
        if sign and isinstance(value, bool):
            raise self.error("a bool cannot have a sign", "write 1 or 0", start)
        # Integers have no negative zero, and -0 is meant as a float.
        return value if sign != "-" else -value if value else -0.0

    def bracketed(self) -> Number:
        """A product in parentheses."""
        self.advance()
        value = self.product(self.factor())
        self.expect(")")
        return value

    def unsigned(self, token: Token) -> Number:
        """A number (an integer without a point or exponent), a constant, or `np.float64(1.5)`."""
        text, name = token.text, bare(token.text)
        if token.kind == "number":
            value = float(text)
            if math.isinf(value):
                message = "this is too large for a 64-bit float"
                raise self.error(message, "write inf if that is meant", token.start)
            return int(text.lstrip("0") or "0") if text.isdigit() else value
        if token.kind == "string":
            if text[1:-1].lower() in NOT_FINITE:
                return NOT_FINITE[text[1:-1].lower()]
            hint = "remove the quotes; only NaN and Infinity may be quoted"
            raise self.error("a string is not a number", hint, token.start)
        if token.kind == "name":
            if name in _CONSTANTS or name.lower() in NOT_FINITE:
                return _CONSTANTS[name] if name in _CONSTANTS else NOT_FINITE[name.lower()]
            near = did_you_mean(name, (*_CONSTANTS, "inf", "nan", *CONSTRUCTORS))
            hint = near or "an input needs numbers; names belong in the expression"
            hint = constructors.usage(name) if name in CONSTRUCTORS else _NO_NUMBERS.get(name, hint)
            raise self.error(f"{quoted(text)!r} is a name, not a number", hint, token.start)
        if name in CONSTRUCTORS or name in _WRAPPERS:
            raise self.error(f"{name}(..) must be the whole literal", _EXPRESSION, token.start)
        if name not in _DTYPES:
            known = f"the constructors are {', '.join(CONSTRUCTORS)}"
            near = did_you_mean(name, (*CONSTRUCTORS, *_WRAPPERS))
            hint = near or f"{known}; functions belong in the expression"
            raise self.error("unknown constructor", hint, token.start)
        return self.bracketed()

    # --- calls: constructors, and what PyTorch and NumPy print

    def made(self) -> Made:
        """A constructor, which is the whole literal."""
        start = self.token.start
        sign = -1 if self.at("-", "+") and self.advance().text == "-" else 1
        name = bare(self.advance().text)
        self.advance()
        arguments: list[Argument] = []
        while not self.at(")"):
            at, keyword = self.token.start, ""
            if self.token.kind == "keyword":
                keyword = self.advance().text
                constructors.check_keyword(name, keyword, self.source.span(at, self.stop))
                self.advance()
            arguments.append(self.argument(keyword, at))
            if len(arguments[-1].shape) > 1:
                raise self.error("a size must be one flat list", "write it as (2, 3)", at)
            if not self.at(")"):
                self.expect(",")
        self.advance()
        place = self.source.span(start, self.stop)
        self.skip_lines()
        if not self.at(""):
            raise self.error(f"{name}(..) must be the whole literal", _EXPRESSION)
        return constructors.bind(name, arguments, sign, place)

    def argument(self, keyword: str, start: int) -> Argument:
        """An item that does not belong to the tensor, such as a size."""
        values, places = self.values, self.places
        self.values, self.places = [], []
        shape = self.item()
        argument = Argument(keyword, tuple(self.values), shape, self.source.span(start, self.stop))
        self.values, self.places = values, places
        return argument

    def wrapper(self) -> Shape:
        """A print of PyTorch or NumPy: `tensor([1., 2.], grad_fn=<MulBackward0>)`, `array([])`."""
        name = bare(self.advance().text)
        self.advance()
        first = len(self.values)
        if self.token.kind == "keyword":
            raise self.error(*_UNREADABLE)
        shape, dtype = self.item(), ""
        while not self.at(")"):
            self.expect(",")
            if self.at(")"):
                break
            start, keyword = self.token.start, self.token.text
            if self.token.kind != "keyword":
                hint = "put the rows into one list: [[1, 2], [3, 4]]"
                raise self.error(f"{name}(..) takes one list", hint)
            self.advance()
            if keyword not in ("dtype", "size", "shape", *_IGNORED):
                raise self.error(*_UNREADABLE, start)
            self.advance()
            if keyword == "dtype":
                dtype = self.named_dtype()
            elif keyword in _IGNORED:
                self.skip()
            else:
                shape = self.declared(len(self.values) - first)
        self.advance()
        self.dtype = self.kept(name, first, dtype)
        return shape

    def declared(self, count: int) -> Shape:
        """The size in a print of `count` numbers, which is needed if there are none."""
        argument = self.argument("", self.token.start)
        size = constructors.read_size("size", argument)
        constructors.check_shape("tensor", size, argument.span)
        if math.prod(size) != count:
            message = f"this size does not match the number of values ({count})"
            raise self.error(message, "leave it out", argument.span.start)
        return size

    def named_dtype(self) -> str:
        """The type that a print names: `float`, `bool`, or an integer type."""
        token = self.advance()
        name = bare(token.text.strip("'\""))
        if name.startswith("complex"):
            hint = "give the real and the imaginary part as two inputs"
            raise self.error("complex numbers are not supported", hint, token.start)
        if name not in _DTYPES:
            hint = did_you_mean(name, _DTYPES) or "leave it out"
            raise self.error("unknown dtype", hint, token.start)
        return _DTYPES[name]

    def kept(self, name: str, first: int, dtype: str) -> str:
        """The dtype of the printed numbers from index `first` on; `dtype` is the printed one."""
        kinds = set(map(type, self.values[first:]))
        dtype = dtype or ("bool" if kinds == {bool} else "int64" if kinds == {int} else "float")
        if dtype not in INTEGERS or not _WRAPPERS[name]:
            return "float" if dtype in INTEGERS else dtype
        low, high = INTEGERS[dtype]
        for value, place in zip(self.values[first:], self.places[first:], strict=True):
            if value != value // 1 or not low <= value <= high:
                message = f"{dtype} ranges from {low} to {high}"
                hint = "write a floating-point number with a point: 2."
                if value != value // 1:
                    message, hint = f"{dtype} holds only whole numbers", "leave out dtype="
                raise LiteralError(message, span=self.source.span(*place), hint=hint)
        return dtype

    def skip(self) -> None:
        """Go past the value of an argument that is not read."""
        depth = 0
        while depth or not self.at(",", ")"):
            depth += self.at("(", "[") - self.at(")", "]")
            self.advance()

    # --- errors

    def error(self, message: str, hint: str, start: int | None = None) -> LiteralError:
        """The error at the current word, or from `start` up to the word before it."""
        place = (self.token.start, self.token.stop) if start is None else (start, self.stop)
        return LiteralError(message, span=self.source.span(*place), hint=hint)

    def missing(self) -> LiteralError:
        """The error at a word that is not the expected number."""
        if self.at("", "\n"):
            return self.error("expected a number, but the text ends", FORMS)
        if self.token.kind == "keyword":
            return self.error("a named argument is allowed only in a constructor", FORMS)
        if self.at(","):
            hint = "leave out the comma, or write nan"
            return self.error("a number is missing before this comma", hint)
        word = "<" if self.token.kind == "angle" else self.token.text
        return self.error(f"expected a number, got '{word}'", FORMS)

    def stray(self) -> LiteralError:
        """The error at a word after an item that is neither a separator nor an end."""
        if self.token.text in _STRAYS:
            return self.error(*_STRAYS[self.token.text])
        if not self.begins():
            return self.missing()
        if self.token.start == self.stop:
            message = "a comma or an operator is missing here"
            return self.error(message, "write 2*pi for a product, 1, 2 for two numbers")
        return self.error("a comma is missing here", self.with_commas())

    def with_commas(self) -> str:
        """The hint with the typed line in commas, if it is short."""
        text = self.source.text
        line = text[text.rfind("\n", 0, self.stop) + 1 :].split("\n")[0].strip()
        if len(line) > 60 or not (line.isascii() and line.isprintable()):
            return "separate numbers with commas: 1, 2, 3"
        hint = f"separate numbers with commas: {', '.join(line.replace(',', ' ').split())}"
        grouped = re.fullmatch(r"[-+]?[0-9]{1,3}( [0-9]{3})+", line)
        return f"{hint}; for one number, write {line.replace(' ', '')}" if grouped else hint
