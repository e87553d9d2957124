"""Where the lines of a session come from: a prompt with history and completion, or a pipe."""

import contextlib
import os
import re
import signal
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.util import find_spec

from gradcli.catalogue.operators import SPACES, function_names, sections
from gradcli.commands import COMMANDS, HELP_COMMAND
from gradcli.commands.candidates import Candidate, candidates
from gradcli.commands.session.lines import (
    WHY,
    State,
    answering,
    depth,
    first_word,
    is_about_expression,
    settings,
    unfinished,
)
from gradcli.errors import FileError, system_reason
from gradcli.world import World, is_terminal

_PROMPT, _MORE = "> ", "  "
_NAME = re.compile(r"[\w.]*$")
MOST = 1_000
"""Lines that one may go on for."""
Reader = Callable[[str], str | None]
"""Takes a prompt and returns what was typed, perhaps several lines; None at the end."""


class Console:
    """The lines of a session; `state` is what earlier lines have left behind, `own` its commands."""

    def __init__(self, world: World, state: Callable[[], State], own: Collection[str]) -> None:
        self.interactive = world.stdin is not None and is_terminal(world.stdin)
        self._world = world
        self._state = state
        self._own = own

    def lines(self) -> Iterator[str]:
        """Each line together with those that continue it. In a pipe, if nothing closes a bracket, the
        line that opens it is answered alone. Raises FileError if a line cannot be read.
        """
        read = self._reader()
        waiting: list[str] = []
        while True:
            text, opened = "", 0
            pieces: list[str] = []
            try:
                while not pieces or (unfinished(text, opened) and len(pieces) < MOST):
                    if not waiting:
                        typed = read(_MORE if pieces else _PROMPT)
                        if typed is None and not pieces:
                            return
                        # A pasted traceback is one text, anything else as many lines as it has.
                        typed = typed or ""
                        waiting = [typed] if first_word(typed) == WHY else typed.split("\n")
                    if pieces:
                        text = f"{text[:-1]} " if text.endswith("\\") else f"{text}\n"
                    pieces.append(waiting.pop(0))
                    opened += depth(pieces[-1])
                    text += pieces[-1]
            except KeyboardInterrupt:
                continue
            if opened > 0 and not self.interactive:
                text, waiting = pieces[0], pieces[1:] + waiting
            yield text

    def _reader(self) -> Reader:
        if not self.interactive or not is_terminal(self._world.stdout):
            return self._read_line
        if find_spec("prompt_toolkit") and self._world.environ.get("TERM") != "dumb":
            return _prompting(self._world, lambda text: completions(text, self._state(), self._own))
        return self._read_terminal

    def _read_line(self, prompt: str) -> str | None:
        if self.interactive:  # standard output goes elsewhere, and must not hold the prompt
            self._world.tell(prompt)
        if self._world.stdin is None:
            raise FileError("standard input is closed", hint="pipe the lines in")
        try:
            line = self._world.stdin.readline()
        except UnicodeDecodeError as error:
            raise FileError(f"standard input is not UTF-8 text (byte {error.start})") from None
        except OSError as error:
            raise FileError(f"standard input cannot be read: {system_reason(error)}") from None
        return line.removeprefix("\ufeff").removesuffix("\n") if line else None

    def _read_terminal(self, prompt: str) -> str | None:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - it lets input() edit the line
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return input(prompt)
        except EOFError:
            self._world.tell("\n")
            return None
        except KeyboardInterrupt:
            self._world.tell("\n")
            raise
        finally:
            signal.signal(signal.SIGINT, before)


def _prompting(world: World, complete: Callable[[str], Iterable[tuple[str, Candidate]]]) -> Reader:
    """A prompt of prompt_toolkit."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.output import ColorDepth

    class Names(Completer):
        def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
            for begun, found in complete(document.text_before_cursor):
                yield Completion(found.word, -len(begun), display_meta=found.help)

    history: History = InMemoryHistory()
    with contextlib.suppress(OSError, ValueError):
        path = os.path.join(world.state_folder(), "session_history")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # for its owner alone
        history = FileHistory(path)

    session: PromptSession[str] = PromptSession(
        history=history,
        completer=Names(),
        complete_while_typing=False,
        enable_history_search=True,
        enable_suspend=True,
        reserve_space_for_menu=4,
        multiline=Condition(lambda: unfinished(session.default_buffer.text)),
        prompt_continuation=_MORE,
        color_depth=None if world.colour(world.stdout) else ColorDepth.DEPTH_1_BIT,
    )

    def read(prompt: str) -> str | None:
        try:
            return session.prompt(prompt)
        except EOFError:
            return None

    return read


def completions(text: str, state: State, own: Collection[str]) -> Iterator[tuple[str, Candidate]]:
    """What may come at the end of a line, and the characters of it that are typed already: the words
    of a command, the names of inputs, steps and functions, and commands at the beginning.
    """
    word = first_word(text)
    command = COMMANDS.get(word)
    words = [*text.split(), *([""] if text[-1:].isspace() else [])]
    if len(words) > 1 and (command or word in (*settings(), HELP_COMMAND)):
        if not command and word != HELP_COMMAND:
            words[:1] = answering().name, f"--{word}"
        for candidate in candidates(words):
            yield words[-1], candidate
        if word == HELP_COMMAND or (command and not is_about_expression(command)):
            return
    begun = _NAME.findall(text)[0]
    space, dot, start = begun.rpartition(".")
    if dot:
        names = sorted(sections()[SPACES.get(space, "Tensor")])
    else:
        first = [*own, *COMMANDS, *settings()] if len(words) < 2 else []
        names = [*state.names, *first, *sorted(function_names())]
    for name in dict.fromkeys(names):
        if name.startswith(start) and name != start:
            yield start, Candidate(name)
