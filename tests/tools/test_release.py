"""What must agree before a release: the version in all its places, and what the archives are made
from.
"""

import os
import re
import tomllib
from pathlib import Path

import pytest

from gradcli import __version__
from tools import versions

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version_everywhere() -> None:
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", read("CHANGELOG.md"), re.MULTILINE)
    assert newest
    assert newest[1] == __version__
    assert f"\nversion: {__version__}\n" in read("CITATION.cff")
    assert f'\ndate-released: "{newest[2]}"\n' in read("CITATION.cff")
    assert f"gradcli {__version__}, PyTorch" in read("docs/commands/server.md")


def test_the_script_is_one_that_installers_recognise() -> None:
    """They put their own Python in the place of `#!python`, and keep the mode."""
    assert read("bin/gradcli").startswith("#!python\n")
    assert os.access(ROOT / "bin" / "gradcli", os.X_OK)
    assert "scripts" not in PROJECT["project"]


@pytest.mark.smoke
def test_every_pinned_release_is_within_the_bounds_and_every_bound_is_a_lower_one() -> None:
    pins = dict(line.split("==") for line in read("constraints.txt").splitlines() if "==" in line)
    for requirement in versions.lower_bounds():
        name, bound = requirement.split("==")
        assert tuple(map(int, pins[name].split("."))) >= tuple(map(int, bound.split("."))), name


def test_the_table_of_versions_has_the_lowest_and_the_newest() -> None:
    tried = {(one.others, one.torch) for one in versions.ENVIRONMENTS}
    lowest = next(
        bound for bound in PROJECT["project"]["dependencies"] if bound.startswith("torch>=")
    )
    assert ("lowest", lowest.removeprefix("torch>=") + ".0") in tried
    assert any(others == "newest" for others, _ in tried)
    python = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"python{python}" in {one.python for one in versions.ENVIRONMENTS}
    named = {
        word.rpartition(" ")[2]
        for word in PROJECT["project"]["classifiers"]
        if "Python :: 3." in word
    }
    assert {f"python{version}" for version in named} == {
        one.python for one in versions.ENVIRONMENTS
    }
