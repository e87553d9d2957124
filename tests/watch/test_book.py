"""`why --run` on the programs of the catalogue of mistakes: the entry itself, and nothing in a cure."""

from collections.abc import Hashable
from pathlib import Path

import pytest

from gradcli.catalogue.mistakes import MISTAKES, family_of
from gradcli.watch.finding import Finding, Place
from tests.choice import Choose, in_rows
from tests.watch.together import run_together

pytestmark = pytest.mark.timeout(600)  # many programs

UNKNOWN: frozenset[str] = frozenset()
"""Entries whose own program ends with an error for which `why --run` says something else."""


def test_an_error_is_explained_by_its_own_entry_and_a_cure_by_none(
    tmp_path: Path, choose: Choose[str]
) -> None:
    expected = {}
    for name, mistake in MISTAKES.items():
        if not mistake.elsewhere:
            for kind, code in (("made", mistake.code), ("cured", mistake.cured_code)):
                if kind == "made" and not (mistake.fragments or mistake.vague):
                    continue  # PyTorch says nothing of it
                path = tmp_path / f"{name}_{kind}.py"
                path.write_text(code, encoding="utf-8")
                expected[str(path)] = name if kind == "made" else ""
    wrong = {}

    cures = in_rows(20, [file for file, name in expected.items() if not name])

    def told_apart(file: str) -> Hashable:
        """The family of its mistake; cures are twenty to a kind."""
        return family_of(MISTAKES[expected[file]]) if expected[file] else cures(file)

    for file, answer in run_together(choose(expected, told_apart), plain=False).items():
        name = expected[file]
        found = [finding["entry"] for finding in answer["findings"]]
        if (answer["error"] and found[:1] != [name]) if name else (found or answer["error"]):
            wrong[name or file] = f"{found} {answer['error']}"
    assert wrong.keys() == UNKNOWN, wrong


def test_a_finding_must_have_an_entry() -> None:
    with pytest.raises(KeyError):
        Finding("no-such-entry", Place("train.py", 1), "")
