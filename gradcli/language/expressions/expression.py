"""Reads an expression: text into a checked program, without PyTorch and without running text.

Python's `ast` gives the syntax tree; the bounds are checked before it, the tree against the tables
of `rules.py` and `gradcli.catalogue.operators` after it.
"""

import ast
import re
import sys
import textwrap
import unicodedata
import warnings
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import accumulate, islice
from typing import Any

from gradcli.errors import ExpressionError, GradcliError, SizeError
from gradcli.language.expressions.corrections import GREEK, SYNONYMS, correction, parses
from gradcli.language.expressions.precedence import Extent, canonical_text
from gradcli.language.expressions.program import Expression, Label, Step
from gradcli.language.expressions.reader import Reader, with_paths
from gradcli.language.expressions.refused import NODES
from gradcli.language.expressions.rules import read
from gradcli.language.limits import EXPRESSION_DEPTH, EXPRESSION_NODES, EXPRESSION_TEXT, PROGRAMS
from gradcli.language.source import Source, Span

__all__ = ["Expression", "parse", "places", "statements"]

_BRACKETS = re.compile(
    r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<open>[(\[{])|(?P<close>[)\]}])"""
)
_FILE = re.compile(r"\s*[\w./~-]*\w\.py\s*")
_STATEMENT = re.compile(
    r"^[ \t]*(?:import\s+\w|from\s+[\w.]+\s+import\b|def\s+\w+\s*\(|class\s+\w|(?:for|while|with)\s.+:[ \t]*$)"
    r"|\.backward\(|\bprint\(|\.step\(\)|requires_grad",
    re.MULTILINE,
)
"""What programs contain and formulas do not; a single match has an error of its own."""
_BLOCK = re.compile(
    r"^(?:async )?(def|class|for|while|if|try|with|match)\b.*:[ \t]*(?:#.*)?$", re.MULTILINE
)
_INDENT = re.compile(r"^(?<!\\\n)[ \t\f]+", re.MULTILINE)


def parse(source: Source, inputs: Collection[str], *, free: bool = False) -> Expression:
    """The expression in `source`, over inputs of these names; with `free`, every name that is read
    and has no other meaning is an input too.

    Raises ExpressionError with a place for syntax errors and for what is unknown or refused,
    SizeError beyond the bounds. The same text with the same names gives the same object.
    """
    return _parse(source, tuple(inputs), free)


def places(expression: Expression) -> Callable[[Any], Span]:
    """Maps a node of an expression's tree to its place; a node that replaced a call has the call's."""
    extent = _extents(_text(expression.source))
    return lambda node: expression.source.span(*extent(node))


def statements(source: Source) -> list[Source]:
    """Each statement of a text as a source of its own, on the line where it was.

    Raises ExpressionError for a syntax error, SizeError beyond the bounds.
    """
    _check_size(source)
    text, code = (textwrap.dedent(t.replace("\r\n", "\n")) for t in (source.text, source.code))
    try:
        tree = _parsed(code or text)
    except SyntaxError as error:  # worded for its line alone, if that is wrong by itself
        lines = [*zip(text.split("\n"), (code or text).split("\n"), strict=True)]
        number = min(error.lineno or 1, len(lines))
        line = _placed(source, number, *lines[number - 1])
        _syntax_tree(line, _text(line), parses)
        raise _syntax_error(line, line.text, error, parses) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        _syntax_tree(source, text, parses)
        raise
    extent = _extents(code or text)
    found = []
    for node in tree.body:
        start, stop = extent(node)
        number = text.count("\n", 0, start) + 1
        found.append(_placed(source, number, text[start:stop], code[start:stop]))
        if hasattr(node, "body"):  # a block, whose indentation means something
            why, hint = NODES[type(node).__name__]
            place = found[-1].span(found[-1].text.index(text[start:stop].split("\n")[0]))
            raise ExpressionError(why, span=place, hint=hint)
    return found


def _text(source: Source) -> str:
    """The text that Python's parser gets, without indentation, which means nothing in an expression;
    a line break for each blank keeps every character at its place in the source.
    """
    text = (source.code or source.text).replace("\r", "\n")
    return _INDENT.sub(lambda found: "\n" * len(found[0]), text)


def _placed(source: Source, line: int, text: str, code: str = "") -> Source:
    """A part of a source as a source of its own, on the line where it was."""
    label = f"{source.label}, line 1" if line == 1 and "\n" not in text else source.label
    above = "\n" * (line - 1)
    return Source(above + text, label, code and above + code)


@lru_cache(maxsize=PROGRAMS)
def _parse(source: Source, inputs: tuple[str, ...], free: bool) -> Expression:
    return _read(source, inputs, free, partial(_reads, inputs, free or not inputs, source.text))


def _reads(inputs: tuple[str, ...], free: bool, typed: str, text: str) -> bool:
    """Whether a correction of what was typed is an expression over these inputs and the names that it
    introduces, but for words that were typed so: one that is unknown has an error of its own, later.
    """
    introduced = {"lambda_", *GREEK.values()}
    if re.search(r"\d_\d", text):  # an index on a page, but 2_2 is 22 to Python
        return False
    try:
        found = _read(Source(text), (*inputs, *(introduced - {*inputs})), free, lambda _: False)
    except GradcliError as error:
        word = re.match(r"unknown (?:name|function) '?(\w+)", error.message)
        words = {*re.findall(r"\w+", typed)} - SYNONYMS.keys()
        return word is not None and word[1] in words
    return not SYNONYMS.keys() & {*found.names} - {*inputs} - introduced


def _read(
    source: Source, inputs: tuple[str, ...], free: bool, reads: Callable[[str], bool]
) -> Expression:
    source = with_paths(source, inputs)
    _check_size(source)
    _check_formula(source)
    text = _text(source)
    tree = _syntax_tree(source, text, reads)
    if not tree.body:
        hint = "for example 'mse(w*x, y)'"
        raise ExpressionError("the expression is empty", span=source.span(0), hint=hint)
    reader = Reader(source, inputs, _extents(text), reads, free=free)
    parts = [part for node in tree.body for part in read(reader, node, last=node is tree.body[-1])]
    typed = [node for node in reader.origins if node not in reader.made]
    title = canonical_text(text, tree, typed, reader.extent)
    if reader.expanded:
        _expand(tree, reader.held, reader.expanded)
    return Expression(
        source=source, tree=tree, steps=_link(parts), canonical_text=title, names=tuple(reader.used),
        assigned=tuple(reader.assigned), bound_modules=frozenset(n for n in reader.assigned if reader.scope[n]),
        calls=reader.calls, origins=tuple(reader.origins), made=frozenset(reader.made),
        held=reader.held, notes=tuple(reader.notes), modules=reader.module_names(),
    )  # fmt: skip


def _check_size(source: Source) -> None:
    """Bound the text and its brackets before Python's own parser sees them."""
    EXPRESSION_TEXT.check(len(source.text), "the expression is too long", span=source.span(0))
    if sum(map(source.text.count, "([{")) <= EXPRESSION_DEPTH.value:
        return
    depth = 0
    for match in _BRACKETS.finditer(source.text):
        depth += (match.lastgroup == "open") - (match.lastgroup == "close")
        place = source.span(match.start())
        EXPRESSION_DEPTH.check(depth, "the expression is nested too deep", span=place)


def _check_formula(source: Source) -> None:
    """Raise an ExpressionError for the name of a Python file, and for a whole program."""
    if _FILE.fullmatch(source.text):
        hint = f"@{source.text.strip()} reads the expression from the file"
        raise ExpressionError("this is the name of a file", span=source.whole, hint=hint)
    if len(matches := list(islice(_STATEMENT.finditer(source.text), 2))) > 1:
        message = "this is a Python program, but an expression is one formula"
        hint = "give the formula and its inputs: gradcli grad 'mse(w*x, y)' x=1 w=2 y=1"
        raise ExpressionError(message, span=source.span(*matches[0].span()), hint=hint)


_STEPS = "split it into steps: h = ...; ..."
_UP_TO_FOREIGN = re.compile(r"""(?:'[^']*'|"[^"]*"|[\0-\x7f])*+[^\0-\x7f]""")


def _syntax_tree(source: Source, text: str, reads: Callable[[str], bool]) -> ast.Module:
    try:
        return _parsed(text)
    except SyntaxError as error:
        raise _syntax_error(source, text, error, reads) from None
    except (RecursionError, MemoryError):
        message = "the expression is too long or nested too deep"
        raise SizeError(message, span=source.span(0), hint=_STEPS) from None
    except (ValueError, OverflowError):
        invalid = re.search("[\0\ud800-\udfff]", text)  # NUL, half of a surrogate pair
        place = source.span(invalid.start() if invalid else 0)
        raise ExpressionError("invalid character", span=place, hint="type it again") from None


def _parsed(text: str) -> ast.Module:
    # "\d" would print a SyntaxWarning on the user's terminal.
    with warnings.catch_warnings(action="ignore"), deep_trees():
        return ast.parse(text)


@contextmanager
def deep_trees() -> Iterator[None]:
    """Let Python build the tree of a sum of thousands of terms, which is as deep as it is long."""
    before = sys.getrecursionlimit()
    # Each level of this limit allows three levels of a tree.
    sys.setrecursionlimit(max(before, EXPRESSION_NODES.value // 5))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _syntax_error(
    source: Source, text: str, error: SyntaxError, reads: Callable[[str], bool]
) -> GradcliError:
    """The error with the text of `correction`, if there is one, else with Python's."""
    starts = _line_starts(text)
    begin = starts[min(error.lineno or 1, len(starts)) - 1]
    at = min(max(begin + (error.offset or 1) - 1, 0), len(text))
    # Python takes some letters for names, such as the sign of a sum, and stops at a later character.
    foreign = None if text[at : at + 1].isascii() else _UP_TO_FOREIGN.match(text, begin, at)
    place = source.span(foreign.end() - 1 if foreign else at)
    if "integer string conversion" in error.msg:
        hint = "write a float, such as 1e30"
        return SizeError("a whole number has at most 64 bits", span=place, hint=hint)
    if "too many nested" in error.msg:
        return SizeError("the expression is nested too deep", span=place, hint=_STEPS)
    if block := _BLOCK.search(text):
        kind = {"def": "FunctionDef", "class": "ClassDef"}.get(block[1], block[1].title())
        why, hint = NODES[kind]
        return ExpressionError(why, span=source.span(*block.span()), hint=hint)
    if "never closed" in error.msg and "\n" in text[place.start :].strip():
        bracket = text[place.start]  # the one that closes it may belong on any line
        hint = f"write {dict(zip('([{', ')]}', strict=True))[bracket]} where it ends"
        return ExpressionError(f"the bracket {bracket} was never closed", span=place, hint=hint)
    example = "use Python's syntax, for example 2*x**2 + sin(x)"
    message, corrected = correction(source.text.lstrip("\n"), reads)
    if message:
        hint = f"write {corrected}" if corrected else example
        return ExpressionError(message, span=place, hint=hint)

    def name(match: re.Match[str]) -> str:
        return unicodedata.name(match[1], "a character").lower()

    noise = r" \(<unknown>.*?\)$|\. (?:Did you mean|Maybe you|Perhaps you).*"
    message = re.sub(r"'([^\x00-\x7f])'", name, re.sub(noise, "", error.msg))
    message = message.encode("ascii", "replace").decode()
    return ExpressionError(message[:1].lower() + message[1:], span=place, hint=example)


def _expand(tree: ast.AST, held: dict[str, ast.expr], expanded: Mapping[ast.AST, ast.expr]) -> None:
    """Replace the calls of NumPy's and Python's names by their meaning, in a tree and in `held`."""

    def meaning(node: Any) -> Any:
        while node in expanded:
            node = expanded[node]
        return node

    held |= {name: meaning(value) for name, value in held.items()}
    agenda = [tree, *held.values()]
    while agenda:
        parent = agenda.pop()
        for name, value in ast.iter_fields(parent):
            if isinstance(value, list):
                value[:] = map(meaning, value)
            elif isinstance(value, ast.AST):
                setattr(parent, name, meaning(value))
        agenda.extend(ast.iter_child_nodes(parent))


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _extents(text: str) -> Extent:
    """Maps a node of the tree of `text`, whose columns are counted in UTF-8 bytes, to its extent."""
    starts, plain = _line_starts(text), text.isascii()
    before = (
        [] if plain else [0, *accumulate(len(char.encode()) for char in text)]
    )  # each character

    def place(line: int, column: int) -> int:
        start = starts[line - 1]
        return start + column if plain else bisect_right(before, before[start] + column) - 1

    def extent(node: Any) -> tuple[int, int]:
        return place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)

    return extent


def _link(parts: list[Step | Label]) -> tuple[Step, ...]:
    """The steps with every label replaced by the number of the step that follows it."""
    steps: list[Step] = []
    numbers: dict[object, int] = {}
    for part in parts:
        if isinstance(part, Label):
            numbers[part] = len(steps)
        else:
            steps.append(part)
    for index, step in enumerate(steps):
        if isinstance(step.value, Label):
            steps[index] = step._replace(value=numbers[step.value])
    return tuple(steps)
