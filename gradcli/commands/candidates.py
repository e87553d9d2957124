"""Completion: the words that fit at the cursor, from the fields of the requests alone.

A shell asks for them at every press of Tab, so this loads neither Typer nor rich nor PyTorch.
"""

import os
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
