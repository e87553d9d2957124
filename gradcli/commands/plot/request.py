"""`plot`: functions over one range with their derivatives, or an expression over two ranges."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gradcli.catalogue.functions import CATALOGUE, Activation, Loss
from gradcli.catalogue.ranges import HIGH, LOW, PROBABILITIES
from gradcli.errors import UsageError
from gradcli.language.calls import Call, parse_call, without_prefix
from gradcli.language.source import NamedValue, Source
from gradcli.options.fields import ValueKind, argument
from gradcli.options.formula import GivenExpression
from gradcli.options.inputs import Input, input_name, read_inputs
from gradcli.options.shared import EvidenceOptions, WrtOptions

X = "x"
"""The input of functions without NAME=T."""

_X = re.compile(r"(?<![\w.])x(?!\w)")
_RANGE = re.compile(r"=\s*(linspace|logspace|arange|@|[\[(]?[-+.\d]+\s*,)")


def _read_words(
    words: Sequence[Source], taken: int = 0, command: str = "plot"
) -> tuple[GivenExpression | Call | Input, ...]:
    """An expression and its inputs if a word after the first is NAME=T, else a function per word."""
    first, *rest = (word.text for word in words)
    split = any(text.startswith("=") for text in rest)  # `x = 1`, which read_inputs explains
    inputs = [text for text in rest if input_name(text)]
    if not split:
        assigned = input_name(first) and ";" not in first
        if assigned and (inputs or _RANGE.search(first) or isinstance(words[0], NamedValue)):
            raise _wrong_order([first, *rest])
        if not inputs:
            return tuple(map(_read_function, words))
        other = next((text for text in rest if text not in inputs), "")
        if _X.search(other) or without_prefix(other.partition("(")[0]) in CATALOGUE:
            several = shlex.join(["gradcli", "plot", first, other])
            hint = f"for several over [{LOW:g}, {HIGH:g}]: {several}"
            raise UsageError("only one expression is allowed with NAME=T", hint=hint)
    return (GivenExpression(words[0]), *read_inputs(words, 1, command))


def _wrong_order(texts: Sequence[str]) -> UsageError:
    """The error for an input as the first word: the expression is missing, or comes later."""
    expression = next((text for text in texts if not input_name(text)), None)
    inputs = [text for text in texts if input_name(text)]
    message = "the expression is missing"
    if expression:
        message = "the expression comes first, then its inputs"
    hint = shlex.join(["gradcli", "plot", expression or "sin(x)", *inputs])
    return UsageError(message, hint=hint)


def _read_function(source: Source) -> GivenExpression | Call:
    """A catalogue function, if its arguments do not contain x; else an expression in x.

    Raises UsageError for a catalogue function that has no curve over the usual range.
    """
    name, _, arguments = source.text.strip().partition("(")
    if without_prefix(name.rstrip()) not in CATALOGUE or _X.search(arguments):
        return GivenExpression(source)
    call = parse_call(source)
    entry, row = call.entry, "stack([x, 0*x])"
    if isinstance(entry, Activation) and entry.mixes:
        problem = "mixes several numbers, but a curve has one at each point"
        hint = f"gradcli plot '{entry.name}({row})[0]'"
    elif isinstance(entry, Loss) and entry.mixes == "row":
        problem = "compares the numbers of a whole row, but a curve has one at each point"
        hint = "give an expression that is one number"
        if entry.target == "class":
            hint = f"gradcli plot '{entry.name}({row}, y)' x=-6,6 y=0"
    elif entry.name in PROBABILITIES:
        problem = f"takes probabilities and is not defined over [{LOW:g}, {HIGH:g}]"
        hint = f"gradcli plot '{entry.name}(x, y)' x=0.01,0.99 y=1"
    else:
        return call
    raise UsageError(f"{entry.name} {problem}", span=source.whole, hint=hint)


WORDS = ValueKind(
    "EXPR",
    _read_function,
    _read_words,
    outside=lambda word: None if isinstance(word, Call) else word.outside,
)


@dataclass(frozen=True, kw_only=True)
class Plot(WrtOptions, EvidenceOptions):
    """A curve and its derivative over a range, or contours and gradient arrows over two ranges."""

    pictures: ClassVar[bool] = True
    in_batch: ClassVar[bool] = False
    instead: ClassVar[Mapping[str, str]] = {
        "explain": "for the chain rule at one point: gradcli grad 'sin(w*x)' x=1 w=2 --explain",
        "graph": "for the graph at one point: gradcli grad 'sin(w*x)' x=1 w=2 --graph tree",
    }

    words: tuple[GivenExpression | Call | Input, ...] = argument(
        WORDS,
        "an expression and its inputs, such as 'sin(w*x)' x=-5,5 w=2 (two numbers are a range); or only functions of x",
        many=True,
    )

    full: bool = False
    """Whether the tables of the evidence are whole: set by the output option of this name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.full and not self.wanted:
            raise UsageError("--full requires --check or --expect", hint="leave out --full")
        if self.wrt and not self.inputs:
            raise UsageError("--wrt requires NAME=T", hint="the functions are drawn over x")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs; none if functions of x are drawn."""
        return tuple(word for word in self.words if isinstance(word, Input))

    @property
    def functions(self) -> tuple[GivenExpression | Call, ...]:
        """The expressions and catalogue functions to draw."""
        return tuple(word for word in self.words if not isinstance(word, Input))

    @property
    def formulas(self) -> tuple[GivenExpression, ...]:
        """The functions that are expressions."""
        return tuple(word for word in self.words if isinstance(word, GivenExpression))

    @property
    def typed(self) -> Source | None:
        """The expression, if it is the only function and one of the words."""
        return super().typed if len(self.functions) == 1 else None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that an expression may use for its inputs."""
        return super().input_names or (X,)
