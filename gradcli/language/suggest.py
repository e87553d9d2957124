"""The "did you mean" of every name: commands, options, functions, inputs, keys."""

from collections.abc import Iterable
from difflib import get_close_matches

_BEGUN = 3
"""Letters from which on a word may be the beginning of a name."""


def near_names(word: str, candidates: Iterable[str]) -> list[str]:
    """The known names nearest to `word`, at most three, those that begin with it first; none where
    none is near.
    """
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    lower = word.lower()
    begun = [name for name in by_lower if name.startswith(lower)] if len(lower) >= _BEGUN else []
    near = [
        *begun,
        *(
            name
            for name in get_close_matches(lower, by_lower, n=3, cutoff=0.6)
            if name not in begun
        ),
    ]
    return [by_lower[name] for name in near[:3]]


def did_you_mean(word: str, candidates: Iterable[str], prefix: str = "") -> str:
    """`did you mean A or B?` for the known names nearest to `word`, or an empty text where none is
    near.

    `prefix` is written before each: what all of them begin with makes none of them nearer.
    """
    near = near_names(word, candidates)
    return f"did you mean {' or '.join(prefix + name for name in near)}?" if near else ""
