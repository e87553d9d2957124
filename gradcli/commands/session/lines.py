"""A line of a session as the words of a one-shot command, and what it changes of the session."""

import ast
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice, takewhile
from typing import NamedTuple

from gradcli.commands import COMMANDS, HELP_COMMAND, Command
from gradcli.errors import GradcliError, LiteralError
from gradcli.language import assignment
from gradcli.language.expressions.expression import Expression, parse
from gradcli.language.file_names import is_named
from gradcli.language.literals import literal
from gradcli.language.source import Source
from gradcli.options.expectation import is_formula
from gradcli.options.fields import FLAG, FUNCTION, Option, flags, options
from gradcli.options.formula import GivenExpression
from gradcli.options.inputs import check_name, input_name

_TOKEN = re.compile(r"""(?:'[^']*'|"[^"]*"|\S)+""")
_QUOTED = re.compile(r"""((?:[\w.-]+=)?)(['"])((?:(?!\2).)*)\2""", re.DOTALL)
_OPTION = re.compile(r"--[A-Za-z][\w-]*")
_COPIED = re.compile(r"(?:\$ )?gradcli\s+(?=\S)")
_COMMENT = re.compile(r"""("[^"\n]*"|'[^'\n]*')|(?:(?<=\s)|^)#.*""", re.MULTILINE)
_BRACKETS = re.compile(r"""(?:(?<=\s)|^)#.*|"[^"\n]*"|'[^'\n]*'|([(\[{])|([)\]}])""", re.MULTILINE)
_FIRST = re.compile(r"[A-Za-z][\w-]*(?=\s|$)")
_EQUALS = re.compile(r"\s*=(?!=)")
_OPERAND = re.compile(r"""['"\w]|--\w""")
_WORD = re.compile(r"[^\W\d]\w*")

WHY = "why"
"""The command that takes a text of any number of lines, and alone explains the last error."""


class Step(NamedTuple):
    """An assignment that is put before the expressions that read what it binds; `modules` are those
    of the names that are modules of torch.nn.
    """

    text: str
    bound: tuple[str, ...]
    reads: tuple[str, ...]
    modules: frozenset[str]


@dataclass(frozen=True)
class State:
    """What lines have left behind: literals by the names of inputs, steps, the last expression."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    expression: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that an expression may read."""
        return (*self.inputs, *(name for step in self.steps for name in step.bound))

    @property
    def scope(self) -> tuple[str, ...]:
        """These names as `parse` takes them: beside a module, `net`, there is `net()`."""
        last = {name: step for step in self.steps for name in step.bound}
        return (*self.names, *(f"{name}()" for name, step in last.items() if name in step.modules))


class Line(NamedTuple):
    """The session after a line, and the words of the call that answers it; none without a call."""

    state: State
    words: tuple[str, ...] = ()


def cleaned(text: str) -> str:
    """The text without comments, blanks and semicolons at its ends, and `gradcli` before a command
    that was copied from a shell.
    """
    text = _COMMENT.sub(lambda found: found[1] or "", text).strip("; \t\n")
    return _COPIED.sub("", text, count=1)


def unfinished(text: str, opened: int | None = None) -> bool:
    """Whether the next line belongs to this text: brackets are open in it, `opened` if they have been
    counted, or it ends with a backslash. A blank line ends it, and only an expression can go on.
    """
    command = COMMANDS.get(first_word(text))
    if not text.rpartition("\n")[2].strip() or (command and not is_about_expression(command)):
        return False
    return text.endswith("\\") or (depth(text) if opened is None else opened) > 0


def depth(text: str) -> int:
    """The brackets that a text opens, less those that it closes."""
    return sum(bool(opens) - bool(closes) for opens, closes in _BRACKETS.findall(text))


def first_word(text: str) -> str:
    """The word that may be a command: a name that is followed by a blank or by nothing, but by no
    `=`; empty if there is none.
    """
    found = _FIRST.match(text)
    return found[0] if found and not assignment.split(Source(text)) else ""


def is_about_expression(command: Command) -> bool:
    """Whether a command is about an expression, so that alone it is about the last one."""
    return _expression_option(command).kind.metavar == "EXPR"


def answering() -> Command:
    """The command that answers an expression: the first one."""
    return next(iter(COMMANDS.values()))


@cache
def settings() -> Mapping[str, Option]:
    """The options that are commands of a session without their dashes, as `expect w=2`: those of the
    command that answers an expression, but for what replaces the expression.
    """
    command = answering()
    known = {flag.removeprefix("--"): item for flag, item in flags(command.options).items()}
    functions = {name for name, item in known.items() if item.kind is FUNCTION}
    instead = {*functions, *command.request.named(functions)}
    return {name: item for name, item in known.items() if name not in instead}


def read(text: str, state: State) -> Line:
    """What a line without comments changes and asks for.

    Raises GradcliError for an input or a step that cannot be one.
    """
    if assignment.split(Source(text), dots=True):
        return _assigned(text, state)
    word = first_word(text)
    rest = text[len(word) :].strip()
    named = word in state.names
    command = COMMANDS.get(word)
    setting = None if named or (command and rest[:1].isalnum()) else settings().get(word)
    if setting:
        return _about(answering(), _as_option(f"--{word}", setting, _pieces(rest)), state)
    if command and is_about_expression(command):
        return _about(command, _pieces(rest), state)
    if word == HELP_COMMAND or (command and (not named or _OPERAND.match(rest))):
        return Line(state, (word, *map(_unquoted, _TOKEN.findall(rest))))
    return _evaluated(_unquoted(text), state)


# --- assignments --------------------------------------------------------------------------------


def _assigned(text: str, state: State) -> Line:
    """A line `NAME = ..`: an input if the right side is a literal, else a step. Also several inputs,
    `x=1 w=2`, and steps before an expression, `z = w*x; mse(z, y)`.
    """
    name, place = assignment.split(Source(text), dots=True) or ("", Source(text).whole)
    value = Source(_unquoted(place.text.strip()), name)
    check_name(name, text, "")
    try:
        literal.parse(value)
    except LiteralError as error:
        if _is_of_numbers(value.text):
            raise
        refused = error
    else:  # an input, in the place of a step of that name
        steps = tuple(step for step in state.steps if name not in step.bound)
        return Line(replace(state, inputs={**state.inputs, name: value.text}, steps=steps))
    several = [piece.rstrip("; ") for piece in _pieces(text)]
    try:
        program = parse(Source(text), state.scope, free=True)
        whole = isinstance(program.tree.body[-1], ast.Expr)
    except GradcliError as error:
        if len(several) == 1:
            is_literal = value.text.startswith("@") or is_named(value.text)
            raise refused if is_literal or not is_formula(value.text) else error from None
        whole = False
    if whole or len(several) == 1:
        return _evaluated(text, state)
    for piece in several:
        state = _assigned(piece, state).state
    return Line(state)


def _is_of_numbers(text: str) -> bool:
    """Whether a text has the form of a literal: numbers, perhaps with signs, in lists, as fractions or
    complex. As an expression it would be a constant, so an input is what is meant.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text.replace(";", ","), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    numbers = {type(node.value) for node in parts if isinstance(node, ast.Constant)}
    operators = {type(node.op) for node in parts if isinstance(node, ast.BinOp)}
    shapes = (ast.Constant, ast.UnaryOp, ast.BinOp, ast.List, ast.Tuple)
    return (
        all(isinstance(node, shapes) for node in parts)
        and numbers <= {int, float, complex}
        and (operators <= {ast.Div} or complex in numbers)
    )


def _with_step(state: State, step: Step) -> State:
    """The state with a step in the place of the one that binds the same names, unless it reads what
    is bound there or later: then it comes last, as a rebinding.
    """
    others = [other for other in state.steps if other.bound != step.bound]
    before = [at for at, other in enumerate(state.steps) if other.bound == step.bound]
    at = before[0] if before else len(others)
    if any(name in step.reads for later in state.steps[at:] for name in later.bound):
        others, at = [*state.steps], len(state.steps)
    others.insert(at, step)
    replaced = set(step.bound).difference(step.reads)
    inputs = {name: text for name, text in state.inputs.items() if name not in replaced}
    return replace(state, inputs=inputs, steps=tuple(others))


# --- expressions --------------------------------------------------------------------------------


def _evaluated(text: str, state: State) -> Line:
    """A line that is not a command: an expression, perhaps with options after it, or a step."""
    pieces = _pieces(text)
    program = _parsed(text, state.scope)
    known = flags(answering().options)
    if program is None or any(piece.partition("=")[0] in known for piece in pieces):
        return _about(answering(), pieces, state)
    if isinstance(program.tree.body[-1], ast.Expr):
        return _about(answering(), [], state, text)
    return Line(
        _with_step(state, Step(text, program.assigned, program.names, program.bound_modules))
    )


def _about(command: Command, pieces: Sequence[str], state: State, expression: str = "") -> Line:
    """The call of a command with these words, about `expression`, one among the words, or the last.

    An expression stays, and so do inputs beside it; inputs for the last one are for this call alone.
    """
    known = flags(command.options)
    given: dict[str, str] = {}
    bare = [expression] if expression else []
    chosen: list[str] = []
    rest = map(_unquoted, pieces)
    for piece in rest:
        option = known.get(piece.partition("=")[0])
        if _OPTION.match(piece):
            chosen.append(piece)
            if option and option.kind is not FLAG and "=" not in piece:
                chosen += islice(rest, 1)
        elif name := input_name(piece):
            given[name] = piece.partition("=")[2].strip()
        else:
            bare.append(piece)
    several = _expression_option(command).many
    instead = any(known[flag].kind is FUNCTION for flag in chosen if flag in known)
    if instead or (bare and several and not given) or not (bare or state.expression):
        functions = [word for piece in bare for word in map(_unquoted, _TOKEN.findall(piece))]
        return Line(state, (command.name, *functions, *_words(given), *chosen))
    text = bare[0] if bare else state.expression
    if bare and (text.startswith("@") or _parsed(text, state.scope)):
        state = replace(state, expression=text)
        state = state if several else replace(state, inputs={**state.inputs, **given})
    inputs = {**state.inputs, **given}
    program, used = _with_steps(text, inputs, state)
    passed = {name: inputs[name] for name in inputs if name in given or name in used}
    return Line(state, (command.name, program, *_words(passed), *bare[1:], *chosen))


def _words(inputs: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in inputs.items()]


def _parsed(text: str, names: tuple[str, ...]) -> Expression | None:
    """An expression over these names and others; None for other text, which its call will explain."""
    try:
        return parse(Source(text), names, free=True)
    except GradcliError:
        return None


def _with_steps(text: str, inputs: Mapping[str, str], state: State) -> tuple[str, Collection[str]]:
    """An expression after the steps that it needs, and the inputs that both read."""
    if text.startswith("@"):
        content = ""
        with suppress(GradcliError):  # the call will say it
            content = GivenExpression(Source(text)).load(str).text
        return text, _reads(content, tuple(inputs))
    needed = set(_reads(text, (*inputs, *state.scope)))
    texts = [text]
    for step in reversed(state.steps):
        if needed.intersection(step.bound):
            needed = needed.difference(step.bound).union(step.reads)
            texts.insert(0, step.text)
    whole = "; ".join(texts)
    return whole, _reads(whole, tuple(inputs))


def _reads(text: str, names: tuple[str, ...]) -> Collection[str]:
    """Those of the names that an expression reads; of one with an error, all that stand in it."""
    program = _parsed(text, names)
    if program is None:
        return set(_WORD.findall(text)).intersection(names)
    parameters = [name for name in names if name.partition(".")[0] in program.modules]
    return {*program.names, *parameters}


# --- words --------------------------------------------------------------------------------------


def _expression_option(command: Command) -> Option:
    """The first word of a command."""
    return next(iter(options(command.request).values()))


def _as_option(flag: str, option: Option, pieces: Sequence[str]) -> list[str]:
    """The words of `expect w=2`: an option, and its value or values, before any others."""
    if option.kind is FLAG:
        return [flag, *pieces]
    values = takewhile(lambda piece: not _OPTION.match(piece), pieces)
    given = list(values if option.repeatable else islice(values, 1))
    named = [word for value in given for word in (flag, value)]
    return [*(named or [flag]), *pieces[len(given) :]]


def _pieces(text: str) -> list[str]:
    """The words of a text: an option, NAME=T or a bare word begins one, and whatever follows it
    belongs to it, blanks included.
    """
    starts: list[int] = []
    opened, after_option = 0, None
    for token in _TOKEN.finditer(text):
        word = token[0]
        apart = word.isidentifier() and _EQUALS.match(text, token.end())
        begins = apart or _OPTION.match(word) or input_name(word)
        if not starts or after_option or (begins and opened <= 0):
            starts.append(token.start())
            opened, after_option = 0, _OPTION.fullmatch(word)
        opened += depth(word)
    ends = [*starts[1:], len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=False)]


def _unquoted(word: str) -> str:
    """A word that is quoted as a whole, or its value in NAME='..', without the quotes."""
    found = _QUOTED.fullmatch(word)
    return f"{found[1]}{found[3]}" if found else word
