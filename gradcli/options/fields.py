"""How a field of a request is filled: from a word of the command line, or from a JSON value.

A `ValueKind` reads one sort of value from either side; `option` and `argument` make dataclass
fields that carry their kind, their help and their default. The command line, batch, help and
completion all read these records.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from inspect import get_annotations
from typing import Any

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES, Activation, Loss
from gradcli.errors import LiteralError, UsageError, quoted
from gradcli.language import calls
from gradcli.language.file_names import SUFFIXES
from gradcli.language.limits import PROGRAMS
from gradcli.language.literals import literal
from gradcli.language.source import Source, ValueSource
from gradcli.language.suggest import did_you_mean

SHORT = 200
"""The longest text of a job whose value is cached for later jobs."""


@dataclass(frozen=True)
class Paths:
    """How a path is written: the sign before it, and the suffixes that fit (none: all do)."""

    mark: str
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ValueKind:
    """One sort of value: what help calls it, and how it is read from one text or several words.

    `hints` are words that completion offers, `paths` the files; neither restricts what is valid.
    """

    metavar: str
    read: Callable[[Source], Any]
    read_words: Callable[[Sequence[Source], int, str], Any] | None = None
    """Reads several words, without the first few; the command is for hints to copy."""
    accept: Callable[[Any, str], Any] | None = None
    """Converts a JSON value that is neither a text nor a list of texts; takes it and its key."""
    hints: tuple[str, ...] = ()
    paths: Paths | None = None
    outside: Callable[[Any], literal.Literal | None] | None = None
    """The part of a value that may name a file or standard input; None if no value can."""
    python: str = "str"
    """The type that a Python function takes, as `gradcli.api` writes it."""

    def from_json(self, value: Any, key: str, *, many: bool = False) -> Any:
        """The value of a job's key. Raises UsageError for a wrong type, and what `read` raises."""
        if isinstance(value, str) and not many:
            return self._text(value, key)
        texts = [value] if isinstance(value, str) else value
        if many and isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            if self.read_words:
                return self.read_words([Source(text, key) for text in texts], 0, "")
            return tuple(self._text(text, key) for text in texts)
        if self.accept:
            return self.accept(value, key)
        raise wrong(key, value, "a string or a list of strings" if many else "a string")

    def _text(self, text: str, key: str) -> Any:
        return _read_again(self, text, key) if len(text) <= SHORT else self.read(Source(text, key))

    def read_many(self, words: Sequence[Source], taken: int = 0, command: str = "") -> Any:
        """The values of `words` as a tuple, without the first `taken`, read by earlier fields."""
        if self.read_words:
            return self.read_words(words, taken, command)
        return tuple(self.read(word) for word in words[taken:])


@lru_cache(maxsize=PROGRAMS)
def _read_again(kind: ValueKind, text: str, key: str) -> Any:
    """What a kind reads from a text, cached for the jobs of a batch; it is never changed."""
    return kind.read(Source(text, key))


@dataclass(frozen=True)
class Option:
    """A field of a request as the parsers, help and completion read it."""

    kind: ValueKind
    help: str
    default: Any
    choices: tuple[str, ...] = ()
    positional: bool = False
    many: bool = False
    repeatable: bool = False
    shown_default: str = ""


def option(
    kind: ValueKind,
    help: str,
    default: Any = MISSING,
    *,
    choices: Iterable[str] = (),
    shown: str = "",
) -> Any:
    """A field given as `--name VALUE`; required when it has no default."""
    record = Option(kind, help, default, tuple(choices), shown_default=shown)
    return field(default=default, metadata={"option": record})


def repeated(kind: ValueKind, help: str) -> Any:
    """A field given as `--name VALUE` any number of times: a tuple."""
    return field(default=(), metadata={"option": Option(kind, help, (), repeatable=True)})


def argument(kind: ValueKind, help: str, default: Any = MISSING, *, many: bool = False) -> Any:
    """A field given as a word of its own, or with `many` as all the words that are left."""
    record = Option(kind, help, default, positional=True, many=many)
    return field(default=default, metadata={"option": record})


def own(request: type) -> Set[str]:
    """The fields that a request type declares itself: those of its command alone."""
    return get_annotations(request).keys()


_OPTIONS: dict[type, dict[str, Option]] = {}


def options(request: type) -> dict[str, Option]:
    """The fields of a request type in the order of help: words, own options, shared options."""
    if request not in _OPTIONS:
        known = {f.name: f.metadata["option"] for f in fields(request) if "option" in f.metadata}
        its = own(request)
        order = sorted(known, key=lambda name: (not known[name].positional, name not in its))
        _OPTIONS[request] = {name: known[name] for name in order}
    return _OPTIONS[request]


def flag_name(name: str) -> str:
    """The option of a field: `min_move` is `--min-move`."""
    return "--" + name.replace("_", "-")


def flags(known: Mapping[str, Option]) -> dict[str, Option]:
    """The options as they are written, `--name`, without the bare words."""
    return {flag_name(name): option for name, option in known.items() if not option.positional}


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise a UsageError unless `value` is one of `choices`."""
    if value not in choices:
        listed = ", ".join(choices)
        hint = did_you_mean(value, choices) or f"choose one of {listed}"
        raise UsageError(f"{flag_name(name)}: {value!r} is not one of {listed}", hint=hint)


def wrong(key: str, value: Any, expected: str) -> UsageError:
    """The error of a JSON value of the wrong type."""
    names: dict[type, str] = {dict: "an object", list: "a list"}
    got = names.get(type(value)) or json.dumps(value, default=lambda it: type(it).__name__)[:40]
    return UsageError(f"{quoted(key)}: expected {expected}, got {got}")


def _accept(expected: str, *types: type) -> Callable[[Any, str], Any]:
    """Take JSON values of these types alone; a bool is not a number."""

    def accept(value: Any, key: str) -> Any:
        if type(value) not in types:
            raise wrong(key, value, expected)
        return value

    return accept


def _accept_index(value: Any, key: str) -> tuple[int, ...]:
    indices = value if isinstance(value, list) else [value]
    if not all(type(index) is int for index in indices):
        raise wrong(key, value, "a whole number or a list of them")
    return tuple(indices)


def _accept_names(value: Any, key: str) -> tuple[str, ...]:
    if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        raise wrong(key, value, "a string or a list of strings")
    return tuple(value)


def _accept_tensor(value: Any, key: str) -> literal.Literal:
    if value is None or isinstance(value, dict):
        raise wrong(key, value, "a number, true or false, a list of them, or a literal as a string")
    return literal.from_value(value, ValueSource(value, key))


def _flag(source: Source) -> bool:
    raise wrong(source.label, source.text, "true or false")


def _whole(source: Source) -> int:
    text = source.text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError("expected a whole number", span=source.whole, hint="for example 3")
    if len(digits) > len(str(2**63)):
        raise UsageError("the number must fit in 64 bits", span=source.whole, hint="for example 3")
    return int(text)


def _number(source: Source) -> float:
    """One plain number by the grammar of literals, so that `1/3` works wherever a number does."""
    value = literal.parse(source)
    if not (isinstance(value, literal.Numbers) and value.shape == () and value.dtype == "float"):
        raise LiteralError("expected one number", span=source.whole, hint="for example 0.1")
    return float(value.values[0])


def _names(source: Source) -> tuple[str, ...]:
    names = tuple(name.strip() for name in source.text.split(","))
    if not all(names):
        message = "expected names separated by commas"
        raise UsageError(message, span=source.whole, hint="for example w,b")
    return names


def _index(source: Source) -> tuple[int, ...]:
    parts = source.text.strip().removeprefix("[").removesuffix("]").split(",")
    try:
        return tuple(_whole(Source(part, source.label)) for part in parts)
    except UsageError:
        hint = "such as 1, or 0,2 for a matrix; -1 is the last"
        raise UsageError("expected an index", span=source.whole, hint=hint) from None


FLAG = ValueKind("", _flag, accept=_accept("true or false", bool), python="bool")
TEXT = ValueKind("TEXT", lambda source: source.text)
WHOLE = ValueKind("N", _whole, accept=_accept("a whole number", int), python="int")
NUMBER = ValueKind("NUMBER", _number, accept=_accept("a number", int, float), python="float | str")
NAMES = ValueKind("NAMES", _names, accept=_accept_names, python="str | Sequence[str]")
INDEX = ValueKind("INDEX", _index, accept=_accept_index, python="int | Sequence[int] | str")
TENSORS = Paths("@", tuple(SUFFIXES))
TENSOR = ValueKind(
    "T",
    literal.parse,
    accept=_accept_tensor,
    paths=TENSORS,
    outside=lambda value: value,
    python="Tensorlike",
)
ACTIVATION = ValueKind(
    "NAME", lambda source: calls.parse_call(source, Activation), hints=tuple(ACTIVATIONS)
)
LOSS = ValueKind("NAME", lambda source: calls.parse_call(source, Loss), hints=tuple(LOSSES))
FUNCTION = ValueKind(
    "NAME", lambda source: calls.parse_call(source, None), hints=(*ACTIVATIONS, *LOSSES)
)
