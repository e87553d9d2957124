"""Makes an input that fails small: leaves out what the failure does not need."""

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from tools.fuzz.files import File
from tools.fuzz.runners import Call

Part = TypeVar("Part", bound=Sequence[object])
Words: TypeAlias = tuple[str, ...]
SECONDS = 20
"""What shrinking one input may take."""


def shrink(given: object, fails: Callable[[object], bool]) -> object:
    """A smaller input of the same kind that fails, too."""
    deadline = time.monotonic() + SECONDS

    def still(candidate: object) -> bool:
        return time.monotonic() < deadline and fails(candidate)

    match given:
        case str() | bytes() | list():
            return _fewer(given, still)
        case Call(stdin=stdin, env=env):
            words = _fewer(given.words, lambda words: still(Call(words, stdin, env)))
            for place, word in enumerate(words):
                before, after = words[:place], words[place + 1 :]

                def fails_with(shorter: str, before: Words = before, after: Words = after) -> bool:
                    return still(Call((*before, shorter, *after), stdin, env))

                words = (*before, _fewer(word, fails_with), *after)
            return Call(words, _fewer(stdin, lambda stdin: still(Call(words, stdin, env))), env)
        case File():
            return File(
                given.suffix,
                _fewer(
                    given.content, lambda content: still(File(given.suffix, content, given.key))
                ),
                given.key,
            )
    return given


def _fewer(given: Part, fails: Callable[[Part], bool]) -> Part:
    """`given` without the pieces that it fails without, ever smaller pieces."""
    size = len(given) // 2
    while size:
        start = 0
        while start < len(given):
            candidate = given[:start] + given[start + size :]  # type: ignore[operator]
            if fails(candidate):
                given = candidate
            else:
                start += size
        size //= 2
    return given
