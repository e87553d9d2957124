"""`plot`: functions over one range with their derivatives, or an expression over two ranges."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gradcli.catalogue.functions import CATALOGUE, Activation, Loss
from gradcli.catalogue.ranges import HIGH, LOW, PROBABILITIES
from gradcli.errors import UsageError
from gradcli.language.calls import Call, parse_call
from gradcli.language.source import Source
from gradcli.options.fields import ValueKind, argument
from gradcli.options.formula import GivenExpression
from gradcli.options.inputs import Input, input_name, read_inputs
from gradcli.options.shared import EvidenceOptions, WrtOptions

X = "x"
"""The one input of the functions that are named without inputs."""

_X = re.compile(r"(?<![\w.])x(?!\w)")
_RANGE = re.compile(r"=\s*(linspace|logspace|arange|@|[\[(]?[-+.\d]+\s*,)")


def _read_words(
    words: Sequence[Source], taken: int = 0, command: str = "plot"
) -> tuple[GivenExpression | Call | Input, ...]:
    """One expression and its inputs where a NAME=T is among the words behind the first; else a
    function in each word.
    """
    texts = [word.text for word in words]
    given = [input_name(text) != "" for text in texts]
    if any(
        text.startswith("=") for text in texts[1:]
    ):  # the shell split `x = 1`, which reading the inputs explains
        return (GivenExpression(words[0]), *read_inputs(words, 1, command))
    if given[0] and (any(given[1:]) or _RANGE.search(texts[0])):
        raise _order(texts, given)
    if not any(given[1:]):
        return tuple(map(_read_function, words))
    foreign = [text for text, is_one in zip(texts[1:], given[1:], strict=True) if not is_one]
    if foreign and (_X.search(foreign[0]) or foreign[0].partition("(")[0] in CATALOGUE):
        several = shlex.join(["gradcli", "plot", texts[0], foreign[0]])
        raise UsageError(
            "only one expression is allowed with NAME=T",
            hint=f"for several over [{LOW:g}, {HIGH:g}]: {several}",
        )
    return (GivenExpression(words[0]), *read_inputs(words, 1, command))


def _order(texts: Sequence[str], given: Sequence[bool]) -> UsageError:
    """The first word is an input: the expression is missing, or comes later."""
    expression = next((text for text, is_one in zip(texts, given, strict=True) if not is_one), None)
    inputs = [text for text, is_one in zip(texts, given, strict=True) if is_one]
    said = (
        "the expression comes first, then its inputs" if expression else "the expression is missing"
    )
    return UsageError(said, hint=shlex.join(["gradcli", "plot", expression or "sin(x)", *inputs]))


def _read_function(source: Source) -> GivenExpression | Call:
    """A function of the catalogue by its name, with arguments that do not speak of x; else an
    expression in x.
    """
    name, _, arguments = source.text.strip().partition("(")
    if name.rstrip() not in CATALOGUE or _X.search(arguments):
        return GivenExpression(source)
    call = parse_call(source)
    entry = call.entry
    if isinstance(entry, Activation) and entry.mixes:
        raise UsageError(
            f"{entry.name} mixes several numbers, but a curve has one at each point",
            span=source.span(0, len(source.text)), hint=f"gradcli plot '{entry.name}(stack([x, 0*x]))[0]'",
        )  # fmt: skip
    if isinstance(entry, Loss) and entry.mixes == "row":
        row = "stack([x, 0*x])"
        hint = (
            f"gradcli plot '{entry.name}({row}, y)' x=-6,6 y=0" if entry.target == "class" else ""
        )
        raise UsageError(
            f"{entry.name} compares the numbers of a whole row, but a curve has one at each point",
            span=source.span(0, len(source.text)), hint=hint or "give an expression that is one number",
        )  # fmt: skip
    if entry.name in PROBABILITIES:
        raise UsageError(
            f"{entry.name} takes probabilities and is not defined over [{LOW:g}, {HIGH:g}]",
            span=source.span(0, len(source.text)), hint=f"gradcli plot '{entry.name}(x, y)' x=0.01,0.99 y=1",
        )  # fmt: skip
    return call


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
    instead: ClassVar[Mapping[str, str]] = {
        "explain": "for the chain rule at one point: gradcli grad 'sin(w*x)' x=1 w=2 --explain",
        "graph": "for the graph at one point: gradcli grad 'sin(w*x)' x=1 w=2 --graph tree",
    }

    words: tuple[GivenExpression | Call | Input, ...] = argument(
        WORDS,
        "an expression and its inputs, such as 'sin(w*x)' x=-5,5 w=2 (two numbers are a range); or only functions of x",
        many=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wrt and not self.inputs:
            raise UsageError("--wrt requires NAME=T", hint="the functions are drawn over x")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs that were given; none where functions of x are drawn."""
        return tuple(word for word in self.words if isinstance(word, Input))

    @property
    def functions(self) -> tuple[GivenExpression | Call, ...]:
        """What is drawn."""
        return tuple(word for word in self.words if not isinstance(word, Input))

    @property
    def formulas(self) -> tuple[GivenExpression, ...]:
        """Those of the functions that are expressions."""
        return tuple(word for word in self.words if isinstance(word, GivenExpression))

    @property
    def typed(self) -> Source | None:
        """The expression where there is one, and it stands among the words themselves."""
        return self.formulas[0].typed if len(self.functions) == len(self.formulas) == 1 else None

    def sources(self, read_stdin: Callable[[], str]) -> list[Source]:
        """The expressions to draw."""
        return [formula.load(read_stdin) for formula in self.formulas]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that an expression may use for its inputs."""
        return tuple(item.name for item in self.inputs) or (X,)
