"""What may stand where the cursor is: the answer to a shell's completion, from the records of the
requests alone.

It is asked at every press of a key, so neither Typer nor rich nor PyTorch is loaded for it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradcli.commands import COMMANDS, HELP_COMMAND, ROOT_OPTIONS, Command
from gradcli.options.fields import FLAG, NAME, NAMES, Option, Paths, flag_name, options
from gradcli.options.inputs import input_name


@dataclass(frozen=True)
class Candidate:
    """A possible word, and what it means."""

    word: str
    help: str = ""


def complete(shell: str, arguments: Sequence[str]) -> str:
    """The candidates for `shell`, one a line.

    bash hands over its line up to the cursor and the characters at which it breaks words; the
    others the words behind the program's name, the one at the cursor last.
    """
    if shell == "bash":
        line, breaks = (*arguments, "", "")[:2]
        typed = _split(line)
        found = candidates([word.text for word in typed[1:]] or [""])
        lines = [
            _for_bash(each, typed[-1], breaks)
            for each in found
            if each.word.isprintable() or not typed[-1].quote
        ]
    else:
        found = candidates([_unquoted(word) for word in arguments] or [""])
        lines = [
            f"{each.word}\t{each.help}".rstrip("\t") for each in found if each.word.isprintable()
        ]
    return "".join(f"{line}\n" for line in lines)


def candidates(words: Sequence[str]) -> list[Candidate]:
    """The candidates for the last of the words behind the program's name, which may be empty or
    begun.
    """
    *before, current = words
    return sorted(
        {
            each.word: each
            for each in _candidates(before, current)
            if each.word.startswith(current)
        }.values(),
        key=lambda each: each.word.startswith("-"),
    )


def _candidates(before: Sequence[str], current: str) -> Iterator[Candidate]:
    if before in ([], [HELP_COMMAND]):
        yield from (Candidate(command.name, command.summary) for command in COMMANDS.values())
    if not before:
        yield Candidate(HELP_COMMAND, ROOT_OPTIONS["--help"])
        if current.startswith("-"):
            yield from (Candidate(*pair) for pair in ROOT_OPTIONS.items())
        return
    command = COMMANDS.get(before[0])
    if command is None:
        return
    known = _options(command)
    bare, open_option = _read(before[1:], known)
    name, equals, begun = current.partition("=")
    ended = "--" in before
    if open_option:
        yield from _of(known[open_option], current, bare)
    elif equals and name in known and not ended:
        for each in _of(known[name], begun, bare):
            yield Candidate(f"{name}={each.word}", each.help)
    elif current.startswith("-") and not ended:
        yield from _flags(before, known)
    else:
        yield from _bare(command, bare, current)
        if not current and not ended:  # shown behind the words, and alone where none is known
            yield from _flags(before, known)


def _flags(before: Sequence[str], known: Mapping[str, Option]) -> Iterator[Candidate]:
    """The options that may still be given."""
    given = {word.partition("=")[0] for word in before}
    for name, option in known.items():
        if name not in given or option.repeatable:
            yield Candidate(name, option.help)
    yield Candidate("--help", "this help")


def _options(command: Command) -> dict[str, Option]:
    """The options of a command as they are written, those of output included."""
    return {
        flag_name(name): option for name, option in command.options.items() if not option.positional
    }


def _read(words: Sequence[str], known: Mapping[str, Option]) -> tuple[list[str], str]:
    """The bare words, and the option that waits for its value (empty: none)."""
    bare: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*bare, *rest], ""
        name, equals, _ = word.partition("=")
        if name not in known:
            bare += [] if word.startswith("--") else [word]
        elif not equals and known[name].kind is not FLAG and next(rest, None) is None:
            return bare, name
    return bare, ""


def _bare(command: Command, bare: Sequence[str], current: str) -> Iterator[Candidate]:
    """The candidates for the next bare word."""
    fields = [option for option in options(command.request).values() if option.positional]
    for place, option in enumerate(fields):
        if option.many or place == len(bare):
            name = input_name(current, blanks=False) if "=" in option.kind.metavar else ""
            start = f"{name}=" if name else ""
            for each in _of(option, current.removeprefix(start), bare):
                if not option.many or each.word not in bare:
                    yield Candidate(start + each.word, each.help)
            return


def _of(option: Option, current: str, bare: Sequence[str]) -> Iterator[Candidate]:
    """The candidates for a value: its choices, the words that its kind knows, inputs that were
    named, files.
    """
    kind = option.kind
    yield from map(Candidate, option.choices or kind.hints)
    if kind is NAMES or kind is NAME:
        done = current.rpartition(",")[0].split(",")
        start = current[: current.rfind(",") + 1]
        named = (input_name(word, blanks=False) for word in bare)
        yield from (Candidate(start + name) for name in named if name and name not in done)
    if kind.paths and current.startswith(kind.paths.mark):
        yield from _files(kind.paths, current)


def _files(paths: Paths, current: str) -> Iterator[Candidate]:
    """The files that fit, and the folders on the way to others."""
    path = current.removeprefix(paths.mark)
    folder, begun = path[: path.rfind("/") + 1], path[path.rfind("/") + 1 :]
    try:
        entries = sorted(
            os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name
        )
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and not begun.startswith("."):
            continue
        if entry.is_dir():
            yield Candidate(f"{paths.mark}{folder}{entry.name}/")
        elif entry.name.lower().endswith(paths.suffixes or ""):
            yield Candidate(f"{paths.mark}{folder}{entry.name}")


# --- shells -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Word:
    """A word of a command line without its quotes, and the quote that is still open at its end
    (empty: none).
    """

    text: str
    quote: str


_PIECE = re.compile(
    r"""'(?P<single>[^']*)(?P<closed>'|$)"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)(?P<ended>"|\\?$)"""
    r"""|\\(?P<one>.)|(?P<blank>\s+)|(?P<bare>.)""",
    re.DOTALL,
)
"""What a line of a shell is made of: quoted text, a sign behind a backslash, blanks, any other
sign."""


def _split(line: str) -> list[_Word]:
    """The words of a line as a shell sees them, the last one possibly empty or with an open
    quote.
    """
    words, text, quote = [], "", ""
    for piece in _PIECE.finditer(line.lstrip()):
        if piece["blank"] is not None:
            words.append(_Word(text, ""))
            text = ""
        elif piece["single"] is not None:
            text, quote = text + piece["single"], "" if piece["closed"] else "'"
        elif piece["double"] is not None:
            text += re.sub(r'\\([\\"$`])', r"\1", piece["double"])
            quote = "" if piece["ended"] == '"' else '"'
        else:
            text += piece["one"] or piece["bare"]
    return [*words, _Word(text, quote)]


def _unquoted(word: str) -> str:
    """A word as zsh and fish hand it over, without quotes and backslashes."""
    return " ".join(piece.text for piece in _split(word))


def _for_bash(candidate: Candidate, typed: _Word, breaks: str) -> str:
    """A candidate in the form that bash inserts: it replaces what follows the last character at
    which it breaks words.
    """
    if typed.quote:
        return candidate.word
    cut = max((typed.text.rfind(char) for char in breaks if char not in " \t\n\"'"), default=-1) + 1
    return "".join(map(_char_for_bash, candidate.word[cut:]))


def _char_for_bash(char: str) -> str:
    """One character of a name; what cannot be seen by its number, so that no terminal obeys it and
    bash still means it.
    """
    code = ord(char)
    if char.isprintable():
        return f"\\{char}" if char in " '\"\\$`&|;<>()*?[]{}!#~" else char
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:  # the latter a byte that is no UTF-8
        return rf"$'\x{code & 0xFF:02x}'"
    return rf"$'\u{code:04x}'" if code < 0x10000 else rf"$'\U{code:08x}'"
