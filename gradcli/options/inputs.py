"""Named inputs, NAME=T, as words of the command line or values of a batch job."""

import keyword
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from gradcli.catalogue.operators import RESERVED
from gradcli.errors import UsageError, quoted
from gradcli.language import assignment
from gradcli.language.literals import literal
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.options import split
from gradcli.options.fields import TENSOR, TENSORS, ValueKind, wrong


@dataclass(frozen=True)
class Input:
    """One named input."""

    name: str
    literal: Literal

    @property
    def outside(self) -> Literal:
        """The literal, which may name a file or standard input."""
        return self.literal


def input_name(text: str, *, blanks: bool = True) -> str:
    """The NAME of a word NAME=T, else an empty text; `blanks` may stand around NAME."""
    name, _ = assignment.split(Source(text), dots=True) or ("", None)
    return name if blanks or text.startswith(f"{name}=") else ""


def check_name(name: str, text: str, label: str) -> None:
    """Raise a UsageError if `name`, the beginning of the text called `label`, cannot be a name, or the
    path of a module's parameter: `net.0.weight`.
    """
    first, *parts = name.split(".")
    owned = keyword.iskeyword(first) or first in RESERVED
    path = all(part.isidentifier() or part.isdigit() for part in parts)
    if first.isidentifier() and path and name.isascii() and not owned:
        return
    place = Source(text, label).span(0, len(name))
    if owned:
        owner = "Python" if keyword.iskeyword(name) else "PyTorch, NumPy or Python"
        hint = f"call the input {name}_ or {name}1"
        raise UsageError(f"{name!r} is a name of {owner}", span=place, hint=hint)
    # The grammar of expressions, which only an error needs.
    from gradcli.language.expressions.corrections import ascii_name

    hint, written = "use ASCII letters, digits and _", ascii_name(name)
    if written.isidentifier():
        hint = f"write {written}, in the expression too"
    raise UsageError(f"{quoted(name)!r} cannot be a name", span=place, hint=hint)


def read_input(source: Source) -> Input:
    """`NAME=T` as a named input.

    Raises UsageError if there is no `NAME=`, and LiteralError if T cannot be read.
    """
    if (assigned := assignment.split(source, dots=True)) is None:
        hint = "one expression in quotes, then its inputs: gradcli grad 'mse(w*x, y)' x=1 w=2 y=1"
        raise UsageError(f"expected NAME=T, got {source.text[:80]!r}", hint=hint)
    name, value = assigned
    check_name(name, source.text.lstrip(), source.label)
    return Input(name, literal.parse(source.rest(value, name)))


def read_inputs(
    words: Sequence[Source],
    taken: int = 0,
    command: str = "grad",
    read: Callable[[Source], Input] = read_input,
) -> tuple[Input, ...]:
    """The NAME=T words of one command after the first `taken`, in the order given, each name once;
    `read` reads one.

    Raises UsageError for any other word, with its likely cause: the expression comes after its
    inputs, or the shell split a literal (`x = 1`, `x=1, 2`) or the expression (`x + 1`).
    """
    for position in range(taken, len(words)):
        word = words[position].text
        if assignment.split(words[position], dots=True):
            continue
        texts = [source.text for source in words]
        _check_split(texts, position, taken)
        if taken and input_name(texts[0]):
            others = [text for text in texts if text != word]
            hint = shlex.join(["gradcli", command, word, *others])
            raise UsageError("the expression comes first, then its inputs", hint=hint)
        if position == taken and (error := split.expression_split(texts[: _end(texts, position)])):
            raise error
    inputs: dict[str, Input] = {}
    for item in map(read, words[taken:]):
        if item.name in inputs:
            raise UsageError(f"the input {item.name} is given twice", hint="give each input once")
        inputs[item.name] = item
    return tuple(inputs.values())


def _check_split(words: Sequence[str], position: int, taken: int) -> None:
    """Raise a UsageError if the shell cut off the word at `position` from a literal."""
    following = "".join(words[position + 1 : position + 2])
    if words[position].isidentifier() and following.startswith("="):
        start = position
    elif position > taken and words[position - 1].rstrip().endswith((",", ";", "(", "[", "=")):
        start = position - 1
    else:
        return
    whole = re.sub(r"^(\w+)\s*=\s*", r"\1=", " ".join(words[start : _end(words, position + 1)]))
    raise UsageError("the shell split a literal at its spaces", hint=f"quote it: '{whole}'")


def _end(words: Sequence[str], position: int) -> int:
    """Where the next input begins, `x=1` or the words `x` and `=1`, from a position on."""
    while position < len(words) and not input_name(" ".join(words[position : position + 2])):
        position += 1
    return position


def accept_inputs(value: Any, key: str) -> tuple[Input, ...]:
    """A JSON object of named inputs: numbers and nested lists, or literals as text."""
    if not isinstance(value, dict):
        raise wrong(key, value, 'an object of named inputs, such as {"x": 1, "w": [1, 2]}')
    inputs = []
    for name, item in value.items():
        check_name(name, name, key)
        inputs.append(Input(name, TENSOR.from_json(item, name)))
    return tuple(inputs)


INPUTS = ValueKind(
    "NAME=T", read_input, read_inputs, accept_inputs, paths=TENSORS, outside=attrgetter("outside")
)
