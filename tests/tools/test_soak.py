"""The short form of `python -m tools.soak`: each of its modes finds nothing wrong."""

import subprocess
import sys

import pytest

from tests.program import ROOT
from tools import soak

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.mark.exhaustive
def test_a_crowd_of_calls_some_killed_while_the_server_dies_and_comes_back() -> None:
    assert soak.calls(24, lives=2) == []


@pytest.mark.exhaustive
def test_threads_in_forks_are_those_of_a_cold_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.forks", "--number", "3"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.exhaustive
def test_some_documented_examples_are_the_same_cold_and_warm() -> None:
    assert soak.equality(1) == []
