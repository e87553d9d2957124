"""Shell completion: the words that fit at the cursor, from the fields of the requests alone.

A shell runs it at every press of Tab, so it loads neither Typer nor rich nor PyTorch.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradcli.commands import COMMANDS, HELP_COMMAND, ROOT_OPTIONS, Command
from gradcli.options.fields import FLAG, NAMES, Option, Paths, flags, options
from gradcli.options.inputs import input_name


@dataclass(frozen=True)
class Candidate:
    """A possible word, and what it means."""

    word: str
    help: str = ""


def complete(shell: str, arguments: Sequence[str]) -> str:
    """The candidates for `shell`, one per line.

    bash passes its line up to the cursor and the characters at which it breaks words; the other
    shells pass the words after the program's name, the one at the cursor last.
    """
    if shell == "bash":
        line, breaks = (*arguments, "", "")[:2]
        typed = _split(line)
        fitting = candidates([word.text for word in typed[1:]] or [""])
        lines = [
            _for_bash(candidate, typed[-1], breaks)
            for candidate in fitting
            if candidate.word.isprintable() or not typed[-1].quote
        ]
    else:
        fitting = candidates([_unquoted(word) for word in arguments] or [""])
        shown = [candidate for candidate in fitting if candidate.word.isprintable()]
        lines = [f"{candidate.word}\t{candidate.help}".rstrip("\t") for candidate in shown]
    return "".join(f"{line}\n" for line in lines)


def candidates(words: Sequence[str]) -> list[Candidate]:
    """The candidates for the last of the words after the program's name, which may be empty."""
    *before, current = words
    all_words = {candidate.word: candidate for candidate in _candidates(before, current)}
    fitting = [all_words[word] for word in all_words if word.startswith(current)]
    return sorted(fitting, key=lambda candidate: candidate.word.startswith("-"))


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
    known = flags(command.options)
    bare, open_option = _read(before[1:], known)
    name, equals, begun = current.partition("=")
    ended = "--" in before
    if open_option:
        yield from _of(known[open_option], current, bare)
    elif equals and name in known and not ended:
        for value in _of(known[name], begun, bare):
            yield Candidate(f"{name}={value.word}", value.help)
    elif current.startswith("-") and not ended:
        yield from _flags(before, known)
    else:
        yield from _bare(command, bare, current)
        if not current and not ended:  # shown after the words, and alone if there are none
            yield from _flags(before, known)


def _flags(before: Sequence[str], known: Mapping[str, Option]) -> Iterator[Candidate]:
    """The options that may still be given."""
    given = {word.partition("=")[0] for word in before}
    for name, option in known.items():
        if name not in given or option.repeatable:
            yield Candidate(name, option.help)
    yield Candidate("--help", "this help")


def _read(words: Sequence[str], known: Mapping[str, Option]) -> tuple[list[str], str]:
    """The bare words, and the option whose value comes next (empty: none)."""
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
            for value in _of(option, current.removeprefix(start), bare):
                if not option.many or value.word not in bare:
                    yield Candidate(start + value.word, value.help)
            return


def _of(option: Option, current: str, bare: Sequence[str]) -> Iterator[Candidate]:
    """The candidates for a value: its choices or hints, the names of inputs, files."""
    kind = option.kind
    yield from map(Candidate, option.choices or kind.hints)
    if kind is NAMES:
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
        entries = list(os.scandir(os.path.expanduser(folder) or "."))
    except OSError:
        return
    for entry in sorted(entries, key=lambda entry: entry.name):
        if entry.name.startswith(".") and not begun.startswith("."):
            continue
        if entry.is_dir():
            yield Candidate(f"{paths.mark}{folder}{entry.name}/")
        elif entry.name.lower().endswith(paths.suffixes or ""):
            yield Candidate(f"{paths.mark}{folder}{entry.name}")


# --- shells -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Word:
    """A word of a command line without its quotes, and the quote that is open at its end."""

    text: str
    quote: str


_PIECE = re.compile(
    r"""'(?P<single>[^']*)(?P<closed>'|$)"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)(?P<ended>"|\\?$)"""
    r"""|\\(?P<one>.)|(?P<blank>\s+)|(?P<bare>.)""",
    re.DOTALL,
)
"""The pieces of a shell's line: quoted text, an escaped character, blanks, any other character."""


def _split(line: str) -> list[_Word]:
    """The words of a line as a shell reads them; the last may be empty or have an open quote."""
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
    """A word as zsh and fish pass it, without quotes and backslashes."""
    return " ".join(piece.text for piece in _split(word))


def _for_bash(candidate: Candidate, typed: _Word, breaks: str) -> str:
    """A candidate as bash inserts it, in the place of what follows the last break character."""
    if typed.quote:
        return candidate.word
    cut = max((typed.text.rfind(char) for char in breaks if char not in " \t\n\"'"), default=-1) + 1
    return "".join(map(_char_for_bash, candidate.word[cut:]))


def _char_for_bash(char: str) -> str:
    """One character, escaped for bash: an invisible one by its number, so no terminal obeys it."""
    code = ord(char)
    if char.isprintable():
        return f"\\{char}" if char in " '\"\\$`&|;<>()*?[]{}!#~" else char
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:  # the latter is a byte that is not UTF-8
        return rf"$'\x{code & 0xFF:02x}'"
    return rf"$'\u{code:04x}'" if code < 0x10000 else rf"$'\U{code:08x}'"
