"""`gradcli.batch.run`: jobs with arrays and tensors, from a process that has used PyTorch's threads."""

import itertools
import subprocess
import sys
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from gradcli import GradcliError, batch
from tests.program import ROOT


def test_inputs_may_be_arrays_and_each_job_has_its_answer_whatever_it_is() -> None:
    """Jobs are taken as they are needed, also from an endless list."""
    logits = torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    cross_entropy = {"command": "grad", "expression": "cross_entropy(a, t)"}
    job = {"command": "grad", "expression": "x"}
    jobs: list[Any] = [
        {**cross_entropy, "inputs": {"a": logits, "t": torch.tensor([2])}, "id": 1},
        {**cross_entropy, "inputs": {"a": np.array([1, 2, 0.5]), "t": np.array(2)}},
        {"command": "activate", "names": ["relu"], "x": torch.tensor([1.0, float("inf")])},
        {"command": "activate", "names": ("relu",), "x": torch.ones(1), "expect": np.array([1])},
        {"command": "grad", "expression": "x", "inputs": {"x": [float("nan")]}, "row": (0,)},
        {"command": "grad", "expression": "x", "inputs": {"x": object}, "id": 6},
        "not a job",
        {**job, "id": 7, "inputs": {"x": np.array([1j])}},
        {**job, "id": 8, "inputs": {"x": 1}},
        {**job, "id": "\ud800", "inputs": {"x": 1}},  # not JSON to a strict reader
        {**job, "id": 10**400, "inputs": {"x": 1}},
        {**job, "id": 9, "inputs": {"x": [10**400]}},
        {**job, "id": 10, "inputs": {"x": array("d", [2.0])}, "row": 0, "dtype": torch.float64},
        {**job, "id": 11, "inputs": {"x": 1}, "dtype": np.float64, "device": torch.device("cpu")},
        {**job, "id": 12, "inputs": {"x": np.float64}},
    ]
    taken = 0

    def endless() -> Iterator[Any]:
        nonlocal taken
        yield from jobs
        for taken in itertools.count(1):
            yield {"id": taken, "command": "grad", "expression": "x**2", "inputs": {"x": taken}}

    found = batch.run(endless())
    first, second, third, fourth, fifth, sixth, *others = itertools.islice(found, len(jobs))
    rows = list(itertools.islice(found, 700))
    assert [(row["id"], row["value"]) for row in rows] == [(i, float(i * i)) for i in range(1, 701)]
    assert taken < 20_000
    found.close()  # type: ignore[attr-defined]  # which ends the processes
    expected = (torch.softmax(logits.detach(), 1) - torch.tensor([0, 0, 1])).tolist()
    assert (first["dtype"], second["dtype"], first["id"]) == ("float64", "float32", 1)
    assert first["inputs"]["t"] == [2]
    assert np.allclose(first["gradients"]["a"], expected, rtol=1e-15)
    assert np.allclose(second["gradients"]["a"], expected[0], rtol=1e-6)
    assert third["functions"][0]["value"] == [1.0, "Infinity"]
    assert fourth["ok"] is True
    assert fifth["value"] == ["NaN"]
    assert (sixth["id"], sixth["error"]["kind"]) == (6, "literal")
    assert [answer["id"] for answer in others] == [None, 7, 8, "\ud800", 10**400, *range(9, 13)]
    assert [answer["error"]["kind"] for answer in others[3:6]] == ["usage", "literal", "literal"]
    assert [answer.get("dtype") for answer in others[6:]] == ["float64", "float64", None]
    told = [answer["error"]["message"] for answer in others[:2]]
    assert "is not a JSON object" in told[0]
    assert told[1].startswith("x: complex numbers are not supported")
    with pytest.raises(GradcliError, match="a list of jobs"):
        list(batch.run(job))  # type: ignore[arg-type]


@pytest.mark.exhaustive
def test_it_does_not_hang_after_pytorch_has_used_its_threads() -> None:
    """Nor is any module of PyTorch deferred in a process that is not ours."""
    script = (
        "import sys, gradcli\nassert gradcli.grad('x**2', x=3).value == 9\n"
        "assert not any('deferral' in name for name in sys.modules)\n"
        "import torch\ntorch.set_num_threads(2)\n"
        "x = torch.rand(400_000, requires_grad=True)\nx.sigmoid().sum().backward()\n"
        "job = {'command': 'grad', 'expression': '(x**2).sum()', 'inputs': {'x': 'rand(400000)'}}\n"
        "print([found['command'] for found in gradcli.batch.run([job] * 2, processes=2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert done.stdout == "['grad', 'grad']\n"


def test_what_ends_the_batch_is_an_error() -> None:
    with pytest.raises(GradcliError, match="--jobs must be from 1"):
        list(batch.run([], processes=0))
