"""`why`: a common mistake, by its name or by PyTorch's message."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gradcli.catalogue.mistakes import ALIASES, FAMILIES, MISTAKES
from gradcli.catalogue.mistakes.entry import Mistake
from gradcli.errors import UsageError
from gradcli.language import matching
from gradcli.language.limits import PASTED_TEXT
from gradcli.language.source import Source
from gradcli.language.suggest import near_names
from gradcli.options.fields import NUMBER, Paths, ValueKind, argument, option
from gradcli.options.shared import Question

FILE = ValueKind("FILE", lambda source: source.text, paths=Paths("", (".py",)))
NAME_OR_TEXT = ValueKind("NAME", lambda source: source.text, hints=tuple(MISTAKES))

_NEAREST = 5
"""The most names that an unknown name brings up."""


@dataclass(frozen=True)
class Entry:
    """A mistake, others with the same message, and related ones."""

    mistake: Mistake
    same: tuple[Mistake, ...]
    neighbours: tuple[Mistake, ...]

    @property
    def related(self) -> list[str]:
        """The names of all but the mistake itself."""
        return [other.name for other in (*self.same, *self.neighbours)]


@dataclass(frozen=True, kw_only=True)
class Why(Question):
    """Reproduce, explain and fix a mistake, given its name or PyTorch's error message. Without
    arguments, list all. With --run, find the mistakes of a program: it is run, with your rights.
    """

    in_batch = False
    prints_through = True

    words: tuple[str, ...] = argument(
        NAME_OR_TEXT,
        "a mistake, or the text of an error or traceback; - or nothing means standard input; with "
        "--run, after --, the arguments of the program",
        (),
        many=True,
    )
    run: str | None = option(
        FILE, "run this program with autograd watched, and find its faults", None
    )
    timeout: float = option(  # type: ignore[misc]  # with --run, the user chooses it
        NUMBER, "with --run: time limit in seconds; 0 for no limit", 0.0
    )
    order: tuple[str, ...] = ()
    """The options that were given, in their order."""

    def __post_init__(self) -> None:
        if self.run is None and "timeout" in self.order:
            raise UsageError(
                "--timeout applies to --run", hint="gradcli why --run FILE.py --timeout 60"
            )
        if not 0 <= self.timeout < 1e9:
            raise UsageError("--timeout must be 0 or more seconds", hint="0 means no limit")
        if self.run is None:
            object.__setattr__(self, "timeout", Question.timeout)

    @property
    def runs_user_code(self) -> bool:
        """Whether it runs code of the user: with --run."""
        return self.run is not None

    @property
    def program(self) -> str:
        """The program of --run."""
        return self.run or ""

    def find(self, read_stdin: Callable[[], str]) -> Entry | None:
        """The mistake named or quoted by the words or standard input; None if both are empty.

        Raises UsageError if no mistake has that name or message, SizeError for too long a text.
        """
        text = read_stdin() if self.words in ((), ("-",)) else " ".join(self.words)
        PASTED_TEXT.check(len(text), "the text", hint="shorten it: tail -n 50")
        if not text.strip():
            return None
        name = "-".join(text.split())
        mistake = matching.by_name(name)
        matches = [mistake] if mistake else matching.by_text(text)
        if matches:
            return _entry(*matches)
        raise _unknown_text(text) if len(text.split()) > 1 else _unknown_name(name)


def listing() -> dict[str, list[tuple[str, str]]]:
    """Name and title of every mistake, by family."""
    return {family: rows(members) for family, members in FAMILIES.items()}


def rows(mistakes: Iterable[Mistake]) -> list[tuple[str, str]]:
    """The name and the title of each."""
    return [(mistake.name, mistake.title) for mistake in mistakes]


def _unknown_name(name: str) -> UsageError:
    known = [*MISTAKES, *ALIASES]
    letters = name.lower().replace("-", "")
    near_by = [near for near in known if letters in near.replace("-", "")]
    near_by = near_by or near_names(name[:80], known)
    names = dict.fromkeys(ALIASES.get(near, near) for near in near_by)
    nearest = [MISTAKES[near] for near in names][:_NEAREST] or matching.nearest(name)
    return UsageError(f"there is no mistake {name[:80]!r}", hint=_commands(nearest))


def _unknown_text(text: str) -> UsageError:
    line = matching.last_said(text)
    nearest = matching.nearest(line)
    message = "no known mistake matches this text"
    if nearest:
        message += "; the nearest are below"
    return UsageError(message, span=Source(line).whole, hint=_commands(nearest))


def _entry(mistake: Mistake, *other_matches: Mistake) -> Entry:
    same = {other.name: other for other in (*other_matches, *matching.sharing(mistake))}
    related = tuple(MISTAKES[name] for name in mistake.related if name not in same)
    return Entry(mistake, tuple(same.values()), related)


def _commands(mistakes: list[Mistake]) -> str:
    lines = [f"gradcli why {name}: {title}" for name, title in rows(mistakes)]
    return "\n".join(lines) or "gradcli why lists the known mistakes"
