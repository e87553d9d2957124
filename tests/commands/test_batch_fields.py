"""Every field of every command that a batch takes: no text in it can name a file, and a value of a
wrong type is refused.
"""

import itertools
import json
import struct
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradcli.commands.batch.lines import JOBS, answer
from gradcli.commands.batch.plan import Plans
from gradcli.commands.descend import setting
from gradcli.commands.descend.request import OPTIMIZER
from gradcli.commands.perceptron import request as perceptron
from gradcli.options import direction, expectation, formula, inputs, shared
from gradcli.options import fields as options
from gradcli.options.fields import Option, ValueKind
from tests.choice import Choose
from tests.program import run

BASES: list[dict[str, Any]] = [
    {"command": "activate", "names": "relu", "x": 1},
    {"command": "derive", "expression": "x**2", "inputs": {"x": 1}},
    {"command": "descend", "expression": "x**2", "inputs": {"x": 1}, "steps": 1},
    {"command": "flow", "names": "relu", "layers": 2, "width": 2},
    {"command": "flow", "net": "nn.Linear(1,2)", "x": [1]},
    {"command": "flow", "net": "nn.Linear(1,2)", "x": [1], "inputs": {"net.weight": [[1], [2]]}},
    {"command": "functions", "name": "relu"},
    {"command": "grad", "expression": "x**2", "inputs": {"x": 1}},
    {"command": "grad", "fn": "mse", "x": 1},
    {"command": "hessian", "expression": "x**2", "inputs": {"x": 1}},
    {"command": "jacobian", "expression": "x**2", "inputs": {"x": 1}},
    {"command": "loss", "names": "mse", "pred": [1, 2], "target": [0, 0]},
    {"command": "perceptron", "x": [1, 2], "w": [1, 2], "target": 1},
    {"command": "perceptron", "train": "and", "epochs": 1},
    {"command": "softmax-jacobian", "x": [1, 2]},
    {"command": "value", "expression": "x**2", "inputs": {"x": 1}},
    {"command": "softmax-jacobian", "logits": [1, 2]},
]
"""Jobs that are answered; between them every field of every command can be given."""


def results(jobs: Iterable[Mapping[str, Any]], *words: str) -> list[dict[str, Any]]:
    """The results of jobs in a batch."""
    lines = "\n".join(map(json.dumps, jobs))
    return [json.loads(line) for line in run("batch", *words, stdin=lines).stdout.splitlines()]


CANARY = 424242.5
NEIGHBOUR = "sneighbour"


Field = tuple[dict[str, Any], str, Option]


def fields() -> Iterator[Field]:
    for base in BASES:
        for name, option in options.options(JOBS[base["command"]]).items():
            yield base, name, option


def test_the_bases_are_jobs_of_all_commands() -> None:
    assert {base["command"] for base in BASES} == set(JOBS)
    assert all("error" not in found for found in results(BASES))


# files


def written(folder: Path) -> None:
    """A file of every kind, with a number and a name that nobody can know."""
    two = np.array([CANARY, 2.0], dtype=np.float32)
    np.save(folder / "s.npy", two)
    np.savez(folder / "s.npz", sekret=two)
    for suffix, between in ((".csv", ","), (".tsv", "\t"), (".txt", " ")):
        (folder / f"s{suffix}").write_text(f"{CANARY}{between}2\n{CANARY}{between}1\n")
    (folder / "s.json").write_text(f"[{CANARY}, 2]")
    (folder / "s.py").write_text(f"x**2*{CANARY}")
    (folder / "s").write_text(f"sekret {CANARY}")
    (folder / f"{NEIGHBOUR}.txt").write_text("sekret")
    torch.save(torch.tensor([CANARY, 2.0]), folder / "s.pt")
    header = json.dumps({"sekret": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "s.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + two.tobytes())
    (folder / "folder.txt").mkdir()


def texts(folder: Path) -> list[str]:
    """What may name one of them, as it is and near it."""
    names = [
        "s.npy",
        "s.npz",
        "s.npz:sekret",
        "s.csv",
        "s.tsv",
        "s.txt",
        "s.json",
        "s.pt",
        "s.safetensors",
        "s.py",
        "s",
    ]
    return [f"@{name}" for name in names] + [
        "s.txt", f"@{folder}/s.txt", "@~/s.txt", "@./s.txt", " @s.txt", f"@{NEIGHBOUR[:-1]}.txt", "@folder.txt", "@", "@-", "-",
    ]  # fmt: skip


FORMS: list[Callable[[str], Any]] = [
    lambda text: [text], lambda text: [1, text], lambda text: [[text]], lambda text: [[1, [text]]], lambda text: [text, text],
    lambda text: {"x": text}, lambda text: {"x": [text]}, lambda text: {"x": [[text, 1]]}, lambda text: {text: 1},
    lambda text: {text: text}, lambda text: {"x": {"x": text}}, lambda text: [{"x": text}],
    lambda text: f"x={text}", lambda text: [f"x={text}"], lambda text: {f"x={text}": 1}, lambda text: {"momentum": text},
    lambda text: f"momentum={text}", lambda text: f"relu({text})", lambda text: f"huber(delta='{text}')",
    lambda text: f"zeros({text})", lambda text: f"1,{text}", lambda text: f"x + {text}",
    lambda text: f"x + torch.load('{text}')",
]  # fmt: skip
"""Where in the value of a field a text may stand."""


def kind(field: Field) -> Hashable:
    """Many commands have the same field."""
    return field[1], field[2].kind


def walk(folder: Path, tried: Iterable[Field]) -> Iterator[tuple[dict[str, Any], str]]:
    """Jobs, each with the name of the field that holds a text."""
    names = texts(folder)
    for base, name, _ in tried:
        for value in [
            *names,
            *(form(text) for form, text in itertools.product(FORMS, ("@s.txt", "@s.json"))),
        ]:
            yield {**base, name: value}, name
    for text in names:
        yield {**BASES[0], text: text}, "no field"


def answers(jobs: list[dict[str, Any]], *, allow_files: bool = False) -> list[str]:
    """The result lines, as the worker of a batch makes them."""
    return [
        answer(json.dumps(job).encode(), 1, lambda seconds: None, Plans(), allow_files=allow_files)[
            0
        ].decode()
        for job in jobs
    ]


def test_no_field_of_a_job_can_name_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choose: Choose[Field]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    jobs = [job for job, _ in walk(tmp_path, choose(fields(), kind))]
    without = answers(jobs)
    written(tmp_path)
    for job, before, after in zip(jobs, without, answers(jobs), strict=True):
        assert before == after, job
        assert str(CANARY) not in after, job
        assert "sekret" not in after or "sekret" in json.dumps(job), job
        assert NEIGHBOUR not in after, job


@pytest.mark.exhaustive
def test_the_test_above_comes_as_far_as_files_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What depends on files where they are allowed is what the kinds of values say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    walked = list(walk(tmp_path, fields()))
    jobs = [job for job, _ in walked]
    without = answers(jobs, allow_files=True)
    written(tmp_path)
    reached = {
        (job["command"], name)
        for (job, name), before, after in zip(
            walked, without, answers(jobs, allow_files=True), strict=True
        )
        if before != after
    }
    assert reached == {
        (base["command"], name) for base, name, option in fields() if option.kind.outside
    }


def test_what_names_a_file_is_completed_as_one_and_known_by_its_kind() -> None:
    for _, name, option in fields():
        paths = option.kind.paths
        assert (paths is not None and paths.mark == "@") == (option.kind.outside is not None), name


def test_a_batch_refuses_what_it_is_not_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    jobs: list[dict[str, Any]] = [
        {"command": "perceptron", "train": "@s.csv"},
        {"command": "perceptron", "train": "@sn.txt"},
        {
            "command": "grad",
            "expression": "x**2",
            "inputs": {"x": [1, 2]},
            "vjp": [1, 1],
            "expect": "x=@s.json",
        },
    ]
    for found in results(jobs):
        assert found["error"]["kind"] == "usage"
        assert "a job may not read a file" in found["error"]["message"]
    first, second, third = results(jobs, "--allow-files")
    assert first["inputs"]["target"] == [2, 1]
    assert second["error"]["kind"] == "file"
    assert third["expect"]["x"]["expected"] == [CANARY, 2]


# types


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def are_texts(value: Any) -> bool:
    return is_text(value) or (isinstance(value, list) and all(map(is_text, value)))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TAKES: dict[ValueKind, Callable[[Any], bool]] = {
    options.FLAG: lambda value: isinstance(value, bool),
    options.TEXT: is_text,
    options.WHOLE: lambda value: is_text(value) or (is_number(value) and isinstance(value, int)),
    options.NUMBER: lambda value: is_text(value) or is_number(value),
    options.NAMES: are_texts,
    options.INDEX: lambda value: (
        is_text(value)
        or all(type(each) is int for each in (value if type(value) is list else [value]))
    ),
    options.TENSOR: lambda value: not isinstance(value, dict),
    options.ACTIVATION: are_texts,
    options.LOSS: are_texts,
    options.FUNCTION: is_text,
    inputs.INPUTS: lambda value: isinstance(value, dict) or are_texts(value),
    direction.DIRECTION: lambda value: isinstance(value, dict) or are_texts(value),
    expectation.EXPECT: lambda value: (
        not isinstance(value, bool) and not (isinstance(value, list) and {} in value)
    ),
    formula.EXPRESSION: is_text,
    perceptron.DATA: is_text,
    setting.SETTING: lambda value: isinstance(value, dict) or are_texts(value),
    shared.DEVICE: is_text,
    OPTIMIZER: is_text,
}
"""The JSON values that each kind takes; whether what they hold is right is another question."""

DEEP = json.loads("[" * 900 + "1" + "]" * 900)
VALUES: list[Any] = [
    True, False, 0, -1, 3, 1.5, 1e308, 2**63, 10**30, "", "yes", "true", "1", "é\ud83d\ude00", [], [1], [1.5], ["x"], ["x", 1],
    [True], [None], [[1], [2]], [[1], 2], [{}], DEEP, {}, {"x": 1}, {"x": None}, {"x": {}}, {"x": [{}]}, {"x": DEEP}, {"": 1},
]  # fmt: skip


def test_a_value_of_a_wrong_type_is_a_usage_error_in_every_field(choose: Choose[Field]) -> None:
    jobs = [
        ({**base, name: value}, name, option, value)
        for base, name, option in choose(fields(), kind)
        for value in VALUES
    ]
    shown = run("batch", stdin="\n".join(json.dumps(job) for job, *_ in jobs))
    found = list(map(json.loads, shown.stdout.splitlines()))
    assert len(found) == len(jobs)
    for result, (job, name, option, value) in zip(found, jobs, strict=True):
        error = result.get("error", {"kind": "", "message": ""})
        said = f"{name}={str(value)[:50] if value is not DEEP else 'deep'} of {job['command']}: {error}"
        assert error["kind"] in ("", "usage", "literal", "expression", "shape", "size", "math"), (
            said
        )
        assert len(error["message"]) < 1500, said
        if not TAKES[option.kind](value):
            assert error["kind"] == "usage", said
            assert error["message"].startswith(f"{name}: expected "), said


def test_a_list_or_an_object_for_a_flag_or_a_number_says_what_is_expected() -> None:
    said: dict[str, dict[str, Any]] = {
        'check: expected true or false, got "yes"': {"check": "yes"},
        "check: expected true or false, got 1": {"check": 1},
        "seed: expected a whole number, got 1.5": {"seed": 1.5},
        "tol: expected a number, got true": {"tol": True},
        "expression: expected a string, got a list": {"expression": ["x"]},
        "wrt: expected a string or a list of strings, got an object": {"wrt": {"x": 1}},
        "x: expected a number, true or false, a list of them, or a literal as a string, got null": {
            "inputs": {"x": None}
        },
    }
    jobs = [
        {"command": "grad", "expression": "x", "inputs": {"x": 1}, **more} for more in said.values()
    ]
    assert [found["error"]["message"] for found in results(jobs)] == list(said)


def test_what_is_expected_may_be_said_in_every_obvious_way() -> None:
    ways: list[Any] = [
        2, "2", "w=2", ["w=2"], {"w": 2}, {"w": "2"}, {"gradients.w": 2.0}, {"w": 2, "value": "1"}, ["2", "value=1"],
    ]  # fmt: skip
    jobs = [
        {"command": "grad", "fn": "mse", "x": 1, "w": w, "wrt": "w", "expect": way}
        for way in ways
        for w in (2, 3)
    ]
    assert [found["ok"] for found in results(jobs)] == [True, False] * len(ways)
    nothing, two = results([{**jobs[0], "expect": {}}, {**jobs[0], "expect": ["w=2", "w=3"]}])
    assert "expect" not in nothing
    assert "twice" in two["error"]["message"]


def test_numbers_that_are_expected_are_those_of_inputs() -> None:
    job = {"command": "grad", "expression": "(x**2).sum()", "inputs": {"x": [[1, 2], [3, 4]]}}
    ways: list[Any] = [
        [[2, 4], [6, 8]],
        {"x": [[2, 4], [6, 8]]},
        {"x": "2,4;6,8"},
        "2,4;6,8",
        {"gradients.x.1": [6, 8]},
    ]
    infinite = {
        "command": "grad",
        "expression": "x/0",
        "inputs": {"x": 1},
        "expect": {"value": ["Infinity"]},
    }
    assert all(
        found["ok"] for found in results([*({**job, "expect": way} for way in ways), infinite])
    )


def test_quiet_is_taken_and_forms_of_output_are_not() -> None:
    job = {"command": "grad", "expression": "log(x)", "inputs": {"x": 0}}
    plain, quiet, wrong = results([job, {**job, "quiet": True}, {**job, "quiet": "yes"}])
    assert plain == quiet == {**run("grad", "log(x)", "x=0", "--json", "--quiet").json, "id": None}
    assert wrong["error"]["message"] == 'quiet: expected true or false, got "yes"'
    refused = (
        "out",
        "code",
        "graph",
        "csv",
        "get",
        "markdown",
        "latex",
        "html",
        "full",
        "precision",
        "json",
    )
    for name, found in zip(
        refused, results([{**job, name: True} for name in refused]), strict=True
    ):
        assert found["error"]["kind"] == "usage", name
        assert name in found["error"]["message"]
