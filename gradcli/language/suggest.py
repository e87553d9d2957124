"""The "did you mean" of every name: commands, options, functions, inputs, keys."""

from collections.abc import Iterable
from difflib import get_close_matches

_BEGUN = 3
"""The fewest letters of a word that is matched as the beginning of a name."""


def near_names(word: str, candidates: Iterable[str]) -> list[str]:
    """At most three known names near to `word`, those that begin with it first."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    lower = word.lower()
    begun = [name for name in by_lower if name.startswith(lower)] if len(lower) >= _BEGUN else []
    bare = {name.removeprefix("--"): name for name in by_lower}  # dashes make nothing alike
    close = get_close_matches(lower.removeprefix("--"), bare, n=3, cutoff=0.6)
    near = dict.fromkeys([*begun, *(bare[name] for name in close)])
    return [by_lower[name] for name in [*near][:3]]


def did_you_mean(word: str, candidates: Iterable[str], prefix: str = "") -> str:
    """`did you mean A or B?` for the known names nearest to `word`, empty if none is near.

    `prefix` is written before each name, but not compared: all of them begin with it.
    """
    near = near_names(word, candidates)
    return f"did you mean {' or '.join(prefix + name for name in near)}?" if near else ""
