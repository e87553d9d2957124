"""The grammar of tensor literals: a recursive-descent parser over `gradcli.language.literals.tokens`, and the errors it finds.

literal  = made | row {(";" | newline) row}
made     = [sign] constructor "(" [argument {"," argument}] ")"
row      = item {"," item} [","]                    in a stream also blanks between items
item     = list | group | wrapper | product
list     = "[" [item {("," | blanks) item} [","]] "]"
group    = "(" [item {"," item} [","]] ")"          one item without a comma is that item
wrapper  = ("tensor" | "array") "(" item {"," keyword "=" what was printed} ")"
product  = factor {("*" | "/") factor}
factor   = [sign] (number | constant | string | [scalar] "(" product ")")
"""

import math
import re
from typing import NamedTuple

from gradcli.language.literals.constructors import (
    CONSTRUCTORS,
    Argument,
    Made,
    Shape,
    bind,
    check_keyword,
    check_shape,
    read_size,
)
from gradcli.language.literals.cursor import EXPRESSION, STARTS
from gradcli.language.literals.numerals import DTYPES, INTEGERS, Number, bare, describe
from gradcli.language.literals.scalars import WRAPPERS, Scalars
from gradcli.language.literals.tokens import FORMS, Token
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean

_IGNORED = ("grad_fn", "requires_grad", "device")
"""What PyTorch prints of a tensor besides its numbers, and no input takes over."""

_CONVERTED: dict[str, type[float] | type[int]] = {"float": float, "bool": bool}
"""What the numbers of a dtype are in Python, where they are not whole numbers."""

_ROW_ENDS = (";", "\n", "")
_UNREADABLE = ("this argument is not supported", "print the numbers alone: print(x.detach().to_dense())")


class _Sequence(NamedTuple):
    """Items read one after another: how many, the shape that all have, whether commas stood between them."""

    items: int
    item: Shape
    commas: bool

    @property
    def grouped(self) -> Shape:
        """The shape where brackets only group: that of the item if it is one without a comma."""
        return self.item if self.items == 1 and not self.commas else (self.items, *self.item)


def read(source: Source, *, lines: bool) -> Made | tuple[list[Number], Shape, str]:
    """A constructor, or the numbers of a literal in row-major order, their shape and their dtype.

    `lines`: the text is a stream, where blanks separate and one column is 1-D. Raises LiteralError, SizeError.
    """
    return _Parser(source, lines=lines).literal()


def texts(source: Source, *, lines: bool) -> list[str]:
    """How each number of a literal is written, in row-major order; none of a constructor. Raises LiteralError, SizeError."""
    parser = _Parser(source, lines=lines)
    parser.literal()
    return [source.text[start:stop] for start, stop in parser.places]


class _Parser(Scalars):
    """Reads one literal. Numbers go to `values` in the order in which they stand, so that an item is only its shape."""

    def __init__(self, source: Source, *, lines: bool) -> None:
        super().__init__(source)
        self.lines = lines
        self.values: list[Number] = []
        self.places: list[tuple[int, int]] = []
        self.dtype = "float"

    def literal(self) -> Made | tuple[list[Number], Shape, str]:
        """The whole text."""
        self.skip_lines()
        made = re.match(r"[\s\ufeff]*[-+]?\s*([\w.]+)\s*\(", self.source.text)
        if made and bare(made[1]) in CONSTRUCTORS:
            return self.made()
        shape, dtype = self.rows()
        return list(map(_CONVERTED.get(dtype, int), self.values)), shape, dtype

    def rows(self) -> tuple[Shape, str]:
        """Rows up to the end of the text: their common shape, and the dtype."""
        if self.at(""):
            raise self.error("there are no numbers here", FORMS)
        wrapped = self.token.kind == "call"
        count, semicolons = 0, False
        shape: Shape = ()
        row = _Sequence(0, (), False)
        while not self.at(""):
            if self.at(";"):
                raise self.error("a row is missing here", "remove one ;")
            start = self.token.start
            row = self.sequence(*_ROW_ENDS, blanks=self.lines)
            count += 1
            shape = shape or row.grouped or (1,)
            self.check_row(count, row.grouped or (1,), shape, start)
            if self.at(";"):
                semicolons = True
                self.advance()
            self.skip_lines()
        numbers = "bool" if self.values and isinstance(self.values[0], bool) else "float"
        if count == 1 and not semicolons:
            alone = wrapped and row.items == 1 and not row.commas
            return row.grouped, self.dtype if alone else numbers
        column = self.lines and not semicolons and row.items == 1 and row.item == ()
        return (count,) if column else (count, *shape), numbers

    def sequence(self, *ends: str, blanks: bool) -> _Sequence:
        """Items up to one of the signs `ends`, separated by commas or, with `blanks`, by blanks, but not by both."""
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
            found = self.separator(blanks=blanks)
            if separator and found != separator:
                raise self.error("commas and spaces are mixed", "separate all numbers with commas")
            separator = found
            if found == ",":
                self.advance()
        return _Sequence(count, first, separator == ",")

    def separator(self, *, blanks: bool) -> str:
        """Whether a comma or a blank stands between the item just read and the next one."""
        token = self.token
        if token.text == ",":
            return ","
        apart = token.start > self.stop
        signed = token.text in ("+", "-") and not self.source.text[token.stop : token.stop + 1].isspace()
        if blanks and apart and (signed or token.kind in STARTS or token.text in ("[", "(")):
            return " "
        raise self.stray()

    def check_row(self, row: int, shape: Shape, first: Shape, start: int) -> None:
        """Raise unless the row that began at `start` has the shape of the first one."""
        if shape != first:
            message = f"{describe(row, shape)}, but {describe(1, first)}"
            raise self.error(message, "all rows must have the same shape", start=start)

    def item(self) -> Shape:
        """A list, a group, printed tensors or a number: its numbers go to `values`."""
        start = self.token.start
        if self.at("["):
            self.advance()
            inner = self.sequence("]", blanks=True)
            self.advance()
            return (inner.items, *inner.item)
        if self.token.kind == "call" and bare(self.token.text) in WRAPPERS:
            return self.wrapper()
        if self.at("("):
            shape = self.group()
            if shape != ():
                return shape
            self.places.pop()
            self.leaf(self.product(self.values.pop()), start)
        else:
            self.leaf(self.product(self.factor()), start)
        return ()

    def group(self) -> Shape:
        """A parenthesis: a tuple, or one item."""
        self.advance()
        inner = self.sequence(")", blanks=False)
        self.advance()
        return inner.grouped

    def apart(self) -> tuple[tuple[Number, ...], Shape]:
        """An item that does not belong to the tensor, such as a size."""
        values, places = self.values, self.places
        self.values, self.places = [], []
        shape = self.item()
        found = tuple(self.values)
        self.values, self.places = values, places
        return found, shape

    def leaf(self, value: Number, start: int) -> None:
        """One number of the tensor."""
        if self.values and isinstance(value, bool) is not isinstance(self.values[-1], bool):
            raise self.error("bools and numbers are mixed", "write 1 and 0, or True and False, throughout", start=start)
        self.values.append(value)
        self.places.append((start, self.stop))

    def made(self) -> Made:
        """A constructor, which is the whole literal."""
        start = self.token.start
        sign = -1 if self.at("-") else 1
        if self.at("-", "+"):
            self.advance()
        name = bare(self.advance().text)
        self.advance()
        arguments: list[Argument] = []
        while not self.at(")"):
            arguments.append(self.argument(name))
            if not self.at(")"):
                self.expect(",")
        self.advance()
        place = self.source.span(start, self.stop)
        self.skip_lines()
        if not self.at(""):
            raise self.error(f"{name}(..) must be the whole literal", EXPRESSION)
        return bind(name, arguments, sign, place)

    def argument(self, name: str) -> Argument:
        """An argument of the constructor `name`."""
        start, keyword = self.token.start, ""
        if self.token.kind == "keyword":
            keyword = self.advance().text
            check_keyword(name, keyword, self.source.span(start, self.stop))
            self.advance()
        values, shape = self.apart()
        if len(shape) > 1:
            raise self.error("a size must be one flat list", "write it as (2, 3)", start=start)
        return Argument(keyword, values, shape != (), self.source.span(start, self.stop))

    def wrapper(self) -> Shape:
        """What PyTorch and NumPy print: `tensor([1., 2.], grad_fn=<MulBackward0>)`, `array([], shape=(0, 3))`."""
        name = bare(self.advance().text)
        self.advance()
        first = len(self.values)
        if self.token.kind == "keyword":
            raise self.error(*_UNREADABLE)
        shape, asked = self.item(), ""
        while not self.at(")"):
            self.expect(",")
            if self.at(")"):
                break
            start, keyword = self.token.start, self.token.text
            if self.token.kind != "keyword":
                raise self.error(f"{name}(..) takes one list", "put the rows into one list: [[1, 2], [3, 4]]")
            self.advance()
            if keyword not in ("dtype", "size", "shape", *_IGNORED):
                raise self.error(*_UNREADABLE, start=start)
            self.advance()
            if keyword == "dtype":
                asked = self.named_dtype()
            elif keyword in _IGNORED:
                self.skip()
            else:
                shape = self.declared(len(self.values) - first)
        self.advance()
        self.dtype = self.kept(name, first, asked)
        return shape

    def declared(self, count: int) -> Shape:
        """The size that a print of `count` numbers states, needed where there are none."""
        start = self.token.start
        values, shape = self.apart()
        place = self.source.span(start, self.stop)
        size = read_size("size", Argument("", values, shape != (), place))
        check_shape("tensor", size, place)
        if math.prod(size) != count:
            raise self.error(f"this size does not match the number of values ({count})", "leave it out", start=start)
        return size

    def named_dtype(self) -> str:
        """The type that a print names: `float`, `bool`, or an integer type."""
        token = self.advance()
        name = bare(token.text.strip("'\""))
        if name.startswith("complex"):
            raise self.error(
                "complex numbers are not supported", "give the real and the imaginary part as two inputs", token
            )
        if name not in DTYPES:
            cure = did_you_mean(name, DTYPES) or "leave it out"
            raise self.error("unknown dtype", cure, token)
        return DTYPES[name]

    def kept(self, name: str, first: int, asked: str) -> str:
        """The dtype of the printed numbers from the one at `first` on, when the print stands alone."""
        kinds = set(map(type, self.values[first:]))
        if not asked:
            asked = "bool" if kinds == {bool} else "int64" if kinds == {int} else "float"
        if asked in INTEGERS and not WRAPPERS[name]:
            return "float"
        if asked in INTEGERS:
            low, high = INTEGERS[asked]
            for value, place in zip(self.values[first:], self.places[first:], strict=True):
                if value != value // 1 or not low <= value <= high:
                    message = f"{asked} ranges from {low} to {high}"
                    cure = "write a floating-point number with a point: 2."
                    raise self.error(message, cure, Token("number", "", *place))
        return asked

    def skip(self) -> None:
        """Leave the value of an argument behind that is not read."""
        depth = 0
        while depth or not self.at(",", ")"):
            depth += self.at("(", "[") - self.at(")", "]")
            self.advance()
