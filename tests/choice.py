"""Which cases of a corpus a test tries: a few that differ in kind, or with `just exhaustive` all."""

import sys
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import pytest

Case = TypeVar("Case")
Choose = Callable[[Iterable[Case], Callable[[Case], Hashable]], list[Case]]
"""From the cases and a function that tells their kind to those that are tried, in order."""


def first_of_each(cases: Iterable[Case], kind: Callable[[Case], Hashable]) -> list[Case]:
    """The first case of each kind."""
    found: dict[Hashable, Case] = {}
    for case in cases:
        found.setdefault(kind(case), case)
    return [*found.values()]


def every(cases: Iterable[Case], kind: Callable[[Case], Hashable]) -> list[Case]:
    """All cases."""
    return [*cases]


def rare(*case: Any) -> Any:
    """A case of `parametrize` that only `just exhaustive` tries."""
    return pytest.param(*case, marks=pytest.mark.exhaustive)


def first_usual(cases: Iterable[Case], kind: Callable[[Case], Hashable]) -> list[Any]:
    """All cases for `parametrize`: the first of each kind, and the others only for `just exhaustive`."""
    cases = [*cases]
    usual = {id(case) for case in first_of_each(cases, kind)}
    return [pytest.param(case) if id(case) in usual else rare(case) for case in cases]


def in_rows(of: int, cases: Iterable[Case]) -> Callable[[Case], Hashable]:
    """A kind of which each `of` cases in a row are one."""
    places = {id(case): place // of for place, case in enumerate(cases)}
    return lambda case: places[id(case)]


LONG_CHAIN = pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="Python 3.12 parses a chain of some 2,500 terms at most"
)
"""For a test of a longer one."""
