"""The values that `--expect` takes: a literal (`w=2`, `value=1`, or `2` alone), a formula
(`w = 2*x*(w*x - 1)`), or the file of a backward pass (`@backward.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradcli.errors import LiteralError, UsageError
from gradcli.language import assignment
from gradcli.language.expressions.program import Expression
from gradcli.language.file_names import SUFFIXES, is_named
from gradcli.language.literals import literal
from gradcli.language.literals.literal import FromStdin, Literal, Numbers
from gradcli.language.literals.literal_grammar import WORDS
from gradcli.language.source import Source, ValueSource
from gradcli.options.backward_pass import SUFFIX, BackwardPass
from gradcli.options.fields import TENSOR, Paths, ValueKind, wrong


@dataclass(frozen=True)
class Formula:
    """A formula over the inputs and the named steps; `program` is set once their names are known.

    `refused` is the error of a text that is meant as a literal, unless it reads one of the names.
    """

    source: Source
    program: Expression | None = None
    refused: LiteralError | None = None

    @property
    def text(self) -> str:
        """The formula as it was given, on one line."""
        return " ".join(self.source.text.split())


@dataclass(frozen=True)
class Expectation:
    """A value expected under `key`, which is empty if the value is given alone."""

    key: str
    value: Literal | Formula | BackwardPass

    @property
    def outside(self) -> Literal | None:
        """What may name a file or standard input."""
        match self.value:
            case BackwardPass():
                return self.value.file
            case Formula():
                return None
            case value:
                return value

    def parsed(self, names: Sequence[str]) -> "Expectation":
        """The same with its expressions parsed, over inputs and steps of these names.

        A literal that reads one of the names, such as `2*e` beside a step `e`, is a formula.
        Raises ExpressionError, and for a backward pass also FileError and UsageError.
        """
        match self.value:
            case BackwardPass():
                return replace(self, value=self.value.parsed(names))
            case Formula(source, _, refused):
                if refused and set(names).isdisjoint(_names(source.text)):
                    raise refused.with_traceback(None)
            case Numbers(source=source) if not isinstance(source, ValueSource):
                if set(names).isdisjoint(_names(source.text)):
                    return self
            case _:
                return self
        # The grammar of expressions, which numbers do not need.
        from gradcli.language.expressions import expression

        return replace(self, value=Formula(source, expression.parse(source, names)))


def read(source: Source) -> Expectation:
    """One `--expect`.

    Raises LiteralError if the value cannot be read, UsageError if it is missing or standard input.
    """
    key, rest = assignment.split(source, dots=True, ascii_only=True) or ("", source)
    if not rest.text.strip():
        hint = "--expect w=2, or --expect 2"
        raise UsageError("--expect: the expected value is missing", hint=hint)
    return Expectation(
        key, _value(Source(rest.text.lstrip(), f"{source.label} {key}".rstrip()), key)
    )


def _value(source: Source, key: str) -> Literal | Formula | BackwardPass:
    """A literal, a formula if it is not meant as one, or the file of a backward pass."""
    text = source.text.strip()
    if text.startswith("@") and text.endswith(SUFFIX):
        if key:
            message = f"a backward pass names its gradients itself: d{key} = .."
            raise UsageError(message, span=source.whole, hint=f"--expect {text}")
        return BackwardPass(source)
    try:
        value = literal.parse(source)
    except LiteralError as error:
        if text.startswith("@") or is_named(text):
            raise
        return Formula(source, refused=None if is_formula(text) else error)
    if isinstance(value, FromStdin):
        hint = "put the expected values in a file: @FILE"
        raise UsageError("--expect cannot read standard input", hint=hint)
    return value


_NUMBER = re.compile(
    r"0[xXoObB]\w*|(?:\d[\d_]*\.?[\d_.]*|\.\d[\d_.]*)(?:[eE][-+]?\d+|[eE](?!\w)|[jJ](?!\w))?"
)
_NAME = re.compile(r"[^\W\d]\w*")


def _names(text: str) -> list[str]:
    """The names in a text."""
    return _NAME.findall(_NUMBER.sub(" ", text))


def is_formula(text: str) -> bool:
    """Whether a text that is not a literal is a formula: it has a name that no literal has, or is
    arithmetic on numbers and constructors.
    """
    if not WORDS.issuperset(_names(text)):
        return True
    # Python's grammar, which only a text without names needs.
    import ast
    import warnings

    try:
        with warnings.catch_warnings(action="ignore"):
            parsed = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    lists = (ast.List, ast.Tuple, ast.Set)
    return isinstance(parsed, ast.BinOp) and not any(
        isinstance(node, lists) for node in (parsed.left, parsed.right)
    )


def accept(value: Any, key: str) -> tuple[Expectation, ...]:
    """The expectations in a JSON value: an object of them by name, or numbers for one gradient."""
    objects = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    if value is None or isinstance(value, bool) or objects:
        expected = 'a string, a number, a list or an object, such as "w=2" or {"w": 2}'
        raise wrong(key, value, expected)
    named = value if isinstance(value, dict) else {"": value}
    return tuple(_accept_item(name, item, f"{key} {name}".rstrip()) for name, item in named.items())


def _accept_item(name: str, item: Any, label: str) -> Expectation:
    if isinstance(item, str):
        return Expectation(name, _value(Source(item, label), name))
    return Expectation(name, TENSOR.from_json(item, label))


EXPECT = ValueKind(
    "[PATH=]T|FORMULA",
    read,
    accept=accept,
    paths=Paths("@", (*SUFFIXES, SUFFIX)),
    outside=lambda expectation: expectation.outside,
    python="Tensorlike | Mapping[str, Tensorlike] | Sequence[str]",
)
