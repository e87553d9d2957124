"""Which mistake a name or a pasted message means: words are compared, numbers, shapes and punctuation are not."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from gradcli.tables.mistakes import ALIASES, MISTAKES
from gradcli.tables.mistakes.entry import Mistake

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MARKER = re.compile(r"(?:(?<=[\s:])|^)[\w.]*(?:Error|Warning|Exception):\s")
"""Where an error or a warning begins in a traceback or a log."""

_GAP = "(?:[a-z]+ ){0,8}"
"""What `...` in a fragment stands for."""

_LAST = 100
"""Errors and warnings of a log that are looked at, from its end."""

_FEWEST = 3
"""Words that a piece of a message must have to be recognised by itself."""


def by_name(name: str) -> Mistake | None:
    """The mistake of that name, in any case and with `_` or `-`; None where there is none."""
    plain = name.strip().lower().replace("_", "-")
    return MISTAKES.get(ALIASES.get(plain, plain))


def by_text(text: str) -> list[Mistake]:
    """The mistakes of which PyTorch says this, those that fit most closely first, then the commonest."""
    for said in sayings(text):
        words = _words(_MARKER.sub("", said))
        scores = {mistake.name: _score(mistake, words) for mistake in MISTAKES.values()}
        found = [mistake for mistake in MISTAKES.values() if scores[mistake.name]]
        if found:
            return sorted(found, key=lambda mistake: -scores[mistake.name])
    return []


def sayings(text: str) -> Iterator[str]:
    """The errors and warnings in a text, the last first: what a traceback ends with is what happened."""
    text = _COLOUR.sub("", text)
    starts = [found.start() for found in _MARKER.finditer(text)] or [0]
    for start, stop in list(zip(starts, [*starts[1:], len(text)], strict=True))[: -_LAST - 1 : -1]:
        yield text[start:stop].strip()


def nearest(text: str) -> list[Mistake]:
    """The three mistakes that share the most telling words with a text, fewer where fewer share any."""
    words = set(_words(text).split())
    scores = {
        name: sum(rarity for word, rarity in known.items() if word in words) for name, known in _telling().items()
    }
    return [MISTAKES[name] for name in sorted(scores, key=lambda name: -scores[name])[:3] if scores[name]]


def sharing(mistake: Mistake) -> list[Mistake]:
    """The other mistakes of which PyTorch says the same."""
    return [other for other in MISTAKES.values() if other != mistake and {*other.fragments} & {*mistake.fragments}]


def _words(text: str) -> str:
    """The words of a text in lower case, a blank around each: ` can t call numpy `."""
    return f" {' '.join(re.findall('[a-z]+', text.lower()))} "


def _score(mistake: Mistake, said: str) -> int:
    """How many words of `said` one of the mistake's fragments accounts for; 0 where none is in it, nor it in one."""
    return max((_fit(fragment, said) for fragment in mistake.fragments), default=0)


def _fit(fragment: str, said: str) -> int:
    known = _words(fragment)
    if _pattern(fragment).search(said):
        return known.count(" ") - 1
    pasted = said.count(" ") - 1
    return pasted if pasted >= _FEWEST and said in known else 0


@cache
def _pattern(fragment: str) -> re.Pattern[str]:
    return re.compile(_GAP.join(_words(part) for part in fragment.split("...")).replace(f" {_GAP} ", f" {_GAP}"))


@cache
def _telling() -> dict[str, dict[str, float]]:
    """The words of each mistake, each with its rarity: 1 where no other mistake has it, soon nothing where many do."""
    texts = {mistake.name: [mistake.name, mistake.title, *mistake.fragments] for mistake in MISTAKES.values()}
    for alias, name in ALIASES.items():
        texts[name].append(alias)
    words = {name: {*_words(" ".join(known)).split()} for name, known in texts.items()}
    often = Counter(word for known in words.values() for word in known)
    return {name: {word: 1 / often[word] ** 2 for word in known} for name, known in words.items()}
