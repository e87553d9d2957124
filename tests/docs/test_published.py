"""Worked examples that others have published: for the same input the program prints the numbers
that they print.
"""

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.program import run

EXAMPLES = tomllib.loads(
    (Path(__file__).parents[1] / "cases" / "published.toml").read_text("utf-8")
)["example"]


def at(result: Any, path: str) -> Any:
    """What lies at a `--get` path: keys joined by dots, digits index lists."""
    for key in path.split("."):
        result = result[int(key)] if isinstance(result, list) else result[key]
    return result


def close_to(published: Any, example: dict[str, Any]) -> Any:
    """What equals the published word, number or nested list to the digits that the example's source
    prints.
    """
    if isinstance(published, str | bool):
        return published
    return pytest.approx(np.array(published), rel=example["tol"], abs=example.get("abs", 1e-12))


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: f"{example['name']} ({example['source']})"
)
def test_the_published_numbers_come_out(example: dict[str, Any]) -> None:
    shown = run(*example["args"], "--json")
    assert shown.status == 0, shown.stderr
    result = json.loads(shown.stdout)
    for path, published in example["expect"].items():
        # An array on the left, so that a number cannot pass for a list that repeats it.
        assert np.array(at(result, path)) == close_to(published, example), path


def test_there_are_fifty_examples_each_with_its_source() -> None:
    names = {example["name"] for example in EXAMPLES}
    assert len(names) == len(EXAMPLES) >= 50
    assert all(len(example["source"]) > 10 and example["expect"] for example in EXAMPLES)


def test_they_are_varied_over_the_commands() -> None:
    count = Counter(example["args"][0] for example in EXAMPLES)
    least = {
        "grad": 20,
        "jacobian": 8,
        "hessian": 6,
        "activate": 4,
        "loss": 4,
        "softmax-jacobian": 2,
        "perceptron": 2,
    }
    assert {command: min(count[command], number) for command, number in least.items()} == least


def test_no_tolerance_is_looser_than_two_printed_decimals() -> None:
    assert all(example["tol"] <= 1e-4 and example.get("abs", 0) <= 5e-3 for example in EXAMPLES)
