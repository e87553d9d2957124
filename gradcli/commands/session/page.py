"""The session itself: it reads lines, has the calls made that answer them, and remembers both."""

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from gradcli.commands import HELP_COMMAND
from gradcli.commands.session.console import Console
from gradcli.commands.session.lines import WHY, State, cleaned, first_word, read
from gradcli.commands.session.request import Session
from gradcli.errors import (
    ExitStatus,
    FileError,
    GradcliError,
    UsageError,
    printable,
    quoted,
    system_reason,
)
from gradcli.options.shared import OutputOptions
from gradcli.page import HelpPage
from gradcli.world import World

_ENTRY = re.compile(r"\(gradcli why ([\w-]+)\)$", re.MULTILINE)
_SESSION = "session"
_ANSWERED = (ExitStatus.OK, ExitStatus.FAILED)
_HELP = (
    ("x = 1,2", "an input: any literal; it stays until it is set again"),
    ("z = w*x + b", "a step of the expressions that follow"),
    ("mse(z, y)", "an expression: its value, and its gradients for the inputs that it uses"),
    ("mse(z, y) --explain", "the same with options of grad"),
    ("explain", "the last expression with this option; so check, code, json, expect w=2, ..."),
    ("derive", "a command about the last expression; so jacobian, hessian, value, descend, ..."),
    ("plot x=-2,2", "inputs and options beside a command are for this call alone"),
    ("plot sin(w*x) x=-2,2", "a command with an expression of its own, which is then the last one"),
    ("why", "explains the last error; why TEXT, activate relu x=1, ...: as in a shell"),
    ("inputs", "the inputs, the steps and the last expression"),
    ("history", "the lines so far"),
    ("undo", "takes back the last line that changed something"),
    ("save FILE", "writes the commands that gave these answers as a shell script"),
    ("help COMMAND", "the options of a command"),
    ("quit", "ends the session, as Ctrl-D does"),
)


class Calls(Protocol):
    """What makes the calls of a session."""

    def run(self, words: Sequence[str]) -> int:
        """Make a call, and return its exit status."""

    def errors(self, words: Sequence[str]) -> str:
        """Make a call again, and return what it writes to stderr."""

    def report(self, error: GradcliError) -> int:
        """Draw an error on stderr, and return its exit status."""


@dataclass(frozen=True)
class _Entry:
    """A line, the session before and after it, and the call that answered it, if there was one."""

    line: str
    before: State
    after: State
    words: tuple[str, ...]
    status: int


def page(
    request: Session, shown: OutputOptions, world: World, read_stdin: Callable[[], str]
) -> Callable[[Calls], int]:
    """The session, to be held with what makes its calls; returns the exit status of the program."""
    return lambda calls: _Conversation(calls, world).hold(request.lines, quiet=shown.quiet)


class _Conversation:
    """One session. On a terminal its exit status is 0; else the highest one of its lines."""

    def __init__(self, calls: Calls, world: World) -> None:
        self._calls = calls
        self._world = world
        self._state = State()
        self._entries: list[_Entry] = []
        self._failed: tuple[str, ...] = ()
        self._ended = False

    def hold(self, first: Sequence[str], *, quiet: bool) -> int:
        """Answer these lines, and those that are typed until the end; the exit status."""
        console = Console(self._world, lambda: self._state, _OWN)
        if console.interactive and not quiet:
            self._world.tell("gradcli session: help shows what a line may be, Ctrl-D ends it\n")
        highest = 0
        for line in chain(first, console.lines()):
            status = self._answer(line)
            highest = max(highest, status)
            if self._ended or status == ExitStatus.CLOSED_PIPE:
                break
            if status == ExitStatus.INTERRUPTED:
                self._world.tell("\n")  # after the ^C
        return ExitStatus.OK if console.interactive else highest

    def _answer(self, line: str) -> int:
        """Answer a line, and return the exit status of its answer."""
        try:
            text = cleaned(line)
            word = first_word(text)
            rest = text[len(word) :].strip()
            if word in _OWN and not (word == HELP_COMMAND and rest):
                if rest and word != "save":
                    raise UsageError(f"{word} takes no words", hint=word)
                return _OWN[word](self, rest)
            return self._call(line, text) if text else ExitStatus.OK
        except GradcliError as error:
            return self._calls.report(error)

    def _call(self, line: str, text: str) -> int:
        before = self._state
        self._state, words = read(self._explained() if text == WHY else text, before)
        if words[:1] == (_SESSION,):
            raise UsageError("this is a session already", hint="leave the word out")
        status = self._calls.run(words) if words else ExitStatus.OK
        if status == ExitStatus.BAD_INPUT:
            self._failed = words
        self._entries.append(_Entry(line, before, self._state, words, status))
        return status

    def _explained(self) -> str:
        """The line that explains the last error; the list of mistakes if there was none."""
        if not self._failed:
            return WHY
        if found := _ENTRY.search(self._calls.errors(self._failed)):
            return f"{WHY} {found[1]}"
        hint = "its own lines say what to do"
        raise UsageError("gradcli why has no entry for the last error", hint=hint)

    def _inputs(self, rest: str) -> int:
        drawn = HelpPage(World.current())  # as wide as the terminal is now
        drawn.rows("Inputs", [*self._state.inputs.items()])
        steps = [step.text.partition("=") for step in self._state.steps]
        drawn.rows("Steps", [(name.strip(), value.strip()) for name, _, value in steps])
        if self._state.expression:
            drawn.rows("Last expression", [(self._state.expression, "")])
        return self._world.put_text(drawn.text.lstrip("\n") or "no inputs yet: x = 3 is one\n")

    def _history(self, rest: str) -> int:
        lines = (f"{number:3}  {entry.line}\n" for number, entry in enumerate(self._entries, 1))
        return self._world.put_text("".join(lines))

    def _undo(self, rest: str) -> int:
        for entry in reversed(self._entries):
            if entry.before != entry.after:
                self._entries = [other for other in self._entries if other is not entry]
                self._state = entry.before
                return self._world.put_text(f"taken back: {entry.line}\n")
        raise UsageError("there is nothing to undo", hint="inputs shows what there is")

    def _save(self, rest: str) -> int:
        path = os.path.expanduser(rest)
        if not path:
            raise UsageError("the name of the file is missing", hint="save session.sh")
        answered = (entry.words for entry in self._entries if entry.status in _ANSWERED)
        calls = [f"{shlex.join(('gradcli', *words))}\n" for words in answered if words]
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write("".join(["#!/bin/sh\n", *calls]))
            mode = os.stat(path).st_mode
            os.chmod(path, mode | (mode & 0o444) >> 2)  # whoever may read it may run it
        except (OSError, ValueError) as error:
            reason = system_reason(error) if isinstance(error, OSError) else "invalid file name"
            message = f"{quoted(path)!r} cannot be written: {reason}"
            raise FileError(message, hint="check the path") from None
        return self._world.put_text(f"wrote {printable(path)}\n")

    def _help(self, rest: str) -> int:
        drawn = HelpPage(World.current())
        drawn.rows("A line of a session", _HELP)
        return self._world.put_text(drawn.text.lstrip("\n"))

    def _quit(self, rest: str) -> int:
        self._ended = True
        return ExitStatus.OK


_OWN: dict[str, Callable[[_Conversation, str], int]] = {
    "inputs": _Conversation._inputs,
    "history": _Conversation._history,
    "undo": _Conversation._undo,
    "save": _Conversation._save,
    HELP_COMMAND: _Conversation._help,
    "quit": _Conversation._quit,
    "exit": _Conversation._quit,
}
"""The commands of a session itself."""
