"""`softmax-jacobian`: probabilities and p_i (1 - p_j) or -p_i p_j, against the closed form."""

import math
from typing import Any

import pytest

from tests.program import run

LOGITS = [2.0, 1.0, 0.1]
WEIGHTS = [math.exp(x) for x in LOGITS]
P = [weight / sum(WEIGHTS) for weight in WEIGHTS]
JACOBIAN = [[P[i] * ((i == j) - P[j]) for j in range(3)] for i in range(3)]


def shown(*words: str) -> Any:
    return run("softmax-jacobian", *words, "--dtype", "float64", "--json").json


@pytest.mark.parametrize(
    "words", [["2,1,0.1"], ["--x", "2,1,0.1"], ["--x=2,1,0.1"], ["[2, 1, 0.1]"]]
)
def test_probabilities_and_jacobian_are_those_of_the_closed_form(words: list[str]) -> None:
    result = shown(*words)
    assert result["probabilities"] == pytest.approx(P, rel=1e-12)
    for row, expected in zip(result["jacobian"], JACOBIAN, strict=True):
        assert row == pytest.approx(expected, rel=1e-12)
    assert result["label"] == 0


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    keys = {"command", "dtype", "inputs", "defaults", "notes", "probabilities", "jacobian", "label"}
    assert set(shown("1,2")) == keys
    assert set(shown("1,2", "--row", "0")) == keys | {"row"}
    assert shown("1,2")["command"] == "softmax-jacobian"
    assert shown("1,2")["inputs"] == {"x": [1.0, 2.0]}


@pytest.mark.parametrize(("row", "index"), [("0", 0), ("1", 1), ("-1", 2)])
def test_row_shows_one_row_and_the_jacobian_stays_whole(row: str, index: int) -> None:
    result = shown("2,1,0.1", "--row", row)
    assert result["row"] == pytest.approx(JACOBIAN[index], rel=1e-12)
    assert len(result["jacobian"]) == 3


def test_the_row_alone_is_in_the_table_and_in_the_csv() -> None:
    table = run("softmax-jacobian", "2,1,0.1", "--row", "1").stdout
    assert "p[1]" in table
    assert "p[0]" not in table
    lines = run("softmax-jacobian", "2,1,0.1", "--row", "1", "--csv").stdout.splitlines()
    assert len(lines) == 2


def test_csv_has_a_row_per_output_and_a_column_per_input() -> None:
    lines = run("softmax-jacobian", "2,1,0.1", "--csv", "--dtype", "float64").stdout.splitlines()
    assert lines[0].split(",")[1:] == ["x[0]", "x[1]", "x[2]"]
    for line, expected in zip(lines[1:], JACOBIAN, strict=True):
        assert [float(cell) for cell in line.split(",")[1:]] == pytest.approx(expected, rel=1e-12)


def test_the_table_names_the_label_and_says_what_rows_and_columns_are() -> None:
    text = run("softmax-jacobian", "2,1,0.1").stdout
    assert "label 0" in text
    assert "rows: outputs p_i" in text
    assert "columns: inputs" in text
    for number in ("0.659001", "0.242433", "0.0985659", "0.224719", "-0.159764", "0.183659"):
        assert number in text


def test_very_different_logits_neither_overflow_nor_round_to_nan() -> None:
    result = shown("1000,0,-1000")
    assert result["probabilities"] == [1.0, 0.0, 0.0]
    assert result["jacobian"][0] == [0.0, 0.0, 0.0]


def test_infinite_logits_give_not_finite_numbers_as_words() -> None:
    result = shown("inf,0")
    assert result["inputs"]["x"] == ["Infinity", 0.0]
    assert result["probabilities"] == ["NaN", "NaN"]


def test_one_logit_has_probability_one_and_no_slope() -> None:
    result = shown("5,")
    assert result["probabilities"] == [1.0]
    assert result["jacobian"] == [[0.0]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "missing"),
        (["1,2", "--x", "1,2"], "twice"),
        (["1,2;3,4"], "[2, 2]"),
        (["1"], "vector"),
        (["zeros(0)"], "[0]"),
        (["tensor([1,2])"], "int64"),
        (["1,2", "3,4"], "quote it: '1,2 3,4'"),
        (["1,2", "--row", "2"], "0 to 1"),
        (["1,2", "--row", "-3"], "0 to 1"),
        (["1,2", "--row", "x"], "--row"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    found = run("softmax-jacobian", *words)
    assert (found.status, found.stdout) == (2, "")
    assert says in found.stderr
