"""One number of a tensor literal: digits, constants, a sign, products and quotients, NumPy's prints of a number."""

import math
from collections.abc import Callable, Mapping

from gradcli.language.literals.constructors import CONSTRUCTORS, signature
from gradcli.language.literals.cursor import EXPRESSION, STRAYS, Cursor
from gradcli.language.literals.numerals import CONSTANTS, DTYPES, NOT_FINITE, Number, bare
from gradcli.language.literals.tokens import Token
from gradcli.language.source import quoted
from gradcli.language.suggest import did_you_mean

WRAPPERS = {"tensor": True, "Tensor": False, "array": False}
"""The words that print a tensor, and whether whole numbers in them stay integers."""

_MISSING = "leave the input out, or write nan for a missing number"
_NO_NUMBERS = {"None": _MISSING, "null": _MISSING, "NA": _MISSING}


class Scalars(Cursor):
    """Reads numbers."""

    def product(self, value: Number) -> Number:
        """`value` times and divided by the factors that follow."""
        while self.at("*", "/"):
            operator = self.advance()
            if self.at("["):
                raise self.error(*STRAYS["*"])
            start = self.token.start
            factor = self.factor()
            if isinstance(value, bool) or isinstance(factor, bool):
                raise self.error("a bool cannot be a factor", "write 1 or 0", start=start)
            if operator.text == "/" and factor == 0:
                raise self.error("division by zero", "write inf or nan if that is meant", start=start)
            try:
                result = value * factor if operator.text == "*" else value / factor
                overflow = not math.isfinite(result) and math.isfinite(value) and math.isfinite(factor)
            except OverflowError:
                overflow = True
            if overflow:
                raise self.error(
                    "the result is too large for a 64-bit float", "write inf if that is meant", start=start
                )
            value = result
        return value

    def factor(self) -> Number:
        """A number with at most one sign."""
        sign = self.advance().text if self.at("+", "-") else ""
        if sign and self.at("+", "-"):
            raise self.error("a number has at most one sign", "leave out the others")
        start = self.token.start
        if self.at("("):
            self.advance()
            value = self.product(self.factor())
            self.expect(")")
        elif reader := _READERS.get(self.token.kind):
            value = reader(self, self.advance())
        else:
            raise self.missing()
        if sign and isinstance(value, bool):
            raise self.error("a bool cannot have a sign", "write 1 or 0", start=start)
        # Integers have no negative zero, and -0 is meant as a float.
        return value if sign != "-" else -value if value else -0.0

    def number(self, token: Token) -> Number:
        """Digits; those without a point or an exponent stay whole."""
        value = float(token.text)
        if math.isinf(value):
            raise self.error("this is too large for a 64-bit float", "write inf if that is meant", token)
        return int(token.text.lstrip("0") or "0") if token.text.isdigit() else value

    def constant(self, token: Token) -> Number:
        """A name that stands for a number."""
        name = bare(token.text)
        value = CONSTANTS.get(name, NOT_FINITE.get(name.lower()))
        if value is None:
            raise self.error(f"{quoted(token.text)!r} is a name, not a number", self.cure_for(name), token)
        return value

    def cure_for(self, name: str) -> str:
        """What may be meant by a name where a number belongs."""
        if name in CONSTRUCTORS:
            return f"write {signature(name)}"
        near = did_you_mean(name, (*CONSTANTS, "inf", "nan", *CONSTRUCTORS))
        return _NO_NUMBERS.get(name) or near or "an input needs numbers; names belong in the expression"

    def quoted(self, token: Token) -> float:
        """A not-finite number as JSON writes it."""
        value = NOT_FINITE.get(token.text[1:-1].lower())
        if value is None:
            raise self.error(
                "a string is not a number", "remove the quotes; only NaN and Infinity may be quoted", token
            )
        return value

    def scalar(self, token: Token) -> Number:
        """A number as NumPy prints it: `np.float64(1.5)`."""
        name = bare(token.text)
        if name in CONSTRUCTORS or name in WRAPPERS:
            raise self.error(f"{name}(..) must be the whole literal", EXPRESSION, token)
        if name not in DTYPES:
            near = did_you_mean(name, (*CONSTRUCTORS, *WRAPPERS))
            cure = near or f"the constructors are {', '.join(CONSTRUCTORS)}; functions belong in the expression"
            raise self.error("unknown constructor", cure, token)
        self.advance()
        value = self.product(self.factor())
        self.expect(")")
        return value


_READERS: Mapping[str, Callable[[Scalars, Token], Number]] = {
    "number": Scalars.number,
    "name": Scalars.constant,
    "string": Scalars.quoted,
    "call": Scalars.scalar,
}
"""How a factor is read, by the kind of its first word."""
