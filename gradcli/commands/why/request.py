"""`why`: a famous mistake by its name, or by what PyTorch said."""

from collections.abc import Callable
from dataclasses import dataclass

from gradcli.catalogue.mistakes import ALIASES, FAMILIES, MISTAKES
from gradcli.catalogue.mistakes.entry import Mistake
from gradcli.errors import UsageError
from gradcli.language import matching
from gradcli.language.limits import PASTED_TEXT
from gradcli.language.source import Source
from gradcli.language.suggest import near_names
from gradcli.options.fields import ValueKind, argument
from gradcli.options.shared import Question

NAME_OR_TEXT = ValueKind("NAME", lambda source: source.text, hints=tuple(MISTAKES))


@dataclass(frozen=True)
class Found:
    """The mistake that was asked for, others of which PyTorch says the same, and those to look at
    next.
    """

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
    arguments, list all.
    """

    words: tuple[str, ...] = argument(
        NAME_OR_TEXT,
        "a mistake, or the text of an error or traceback; - or nothing means standard input",
        (),
        many=True,
    )

    def find(self, read_stdin: Callable[[], str]) -> Found | None:
        """The mistake that the words, or standard input where there are none, name or quote; None:
        they hold nothing.

        Raises UsageError where no mistake is known by that name or text, and SizeError where the
        text is too long.
        """
        text = read_stdin() if self.words in ((), ("-",)) else " ".join(self.words)
        PASTED_TEXT.check(len(text), "the text", hint="shorten it: tail -n 50")
        if not text.strip():
            return None
        words = text.split()
        name = "-".join(words)
        if len(words) > 1 and matching.by_name(name) is None:
            return _by_text(text)
        return _by_name(name)


def listing() -> dict[str, list[tuple[str, str]]]:
    """Name and title of every mistake, by family."""
    return {
        family: [(mistake.name, mistake.title) for mistake in members]
        for family, members in FAMILIES.items()
    }


def _by_name(name: str) -> Found:
    mistake = matching.by_name(name)
    if mistake is None:
        close = [
            ALIASES.get(known, known) for known in near_names(name[:80], [*MISTAKES, *ALIASES])
        ]
        near = [MISTAKES[known] for known in dict.fromkeys(close)] or matching.nearest(name)
        raise UsageError(f"there is no mistake {name[:80]!r}", hint=_commands(near))
    return _found(mistake, [])


def _by_text(text: str) -> Found:
    found = matching.by_text(text)
    if not found:
        said = matching.last_said(text)
        nearest = matching.nearest(said)
        message = (
            f"no known mistake matches this text{'; the nearest are below' if nearest else ''}"
        )
        raise UsageError(message, span=Source(said).span(0, len(said)), hint=_commands(nearest))
    return _found(found[0], found[1:])


def _found(mistake: Mistake, fitting: list[Mistake]) -> Found:
    """The mistake with those that fit the same text, those of which PyTorch says the same, and its
    own neighbours.
    """
    same = {other.name: other for other in (*fitting, *matching.sharing(mistake))}
    return Found(
        mistake,
        tuple(same.values()),
        tuple(MISTAKES[name] for name in mistake.related if name not in same),
    )


def _commands(mistakes: list[Mistake]) -> str:
    lines = [f"gradcli why {mistake.name}: {mistake.title}" for mistake in mistakes]
    return "\n".join(lines) or "gradcli why lists the known mistakes"
