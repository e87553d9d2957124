"""`gradcli batch`: one line out for each job in, in order, whatever a job does."""

import contextlib
import dataclasses
import importlib
import json
import math
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from gradcli import batch, core
from gradcli.errors import FileError, SizeError
from gradcli.language.limits import JOB_TEXT
from gradcli.process import fork, pool
from gradcli.process.pool import FRAME, Begin, Work, answers
from gradcli.process.worker import Limits, cause
from tests.choice import rare
from tests.program import BASE, TORCH, child, lines_of, run, usual_signals
from tests.program import fork as fork_loaded
from tests.warm import all_of, until
from tools.benchmarks import endless

ROOT = Path(__file__).parents[2]
KILLER = {
    "command": "grad",
    "expression": "torch.linalg.lstsq(A, ones(2, 0), driver='gelss').solution.sum()",
    "inputs": {"A": [[1, 2], [3, 4]]},
}
SLOW = {
    "command": "grad",
    "expression": "linalg.inv(randn(3000,3000)).sum()*x",
    "inputs": {"x": 1},
    "timeout": 0.05,
}


def results(
    *jobs: Any, words: tuple[str, ...] = (), status: int = 0, here: bool = False
) -> list[dict[str, Any]]:
    """The result lines of jobs given as lines or as objects."""
    lines = [job if isinstance(job, str) else json.dumps(job) for job in jobs]
    shown = run("batch", *words, stdin="\n".join(lines) + "\n", here=here)
    assert shown.status == status, shown.stderr
    assert shown.stderr == ""
    return [json.loads(line) for line in shown.stdout.splitlines()]


@pytest.mark.smoke
def test_the_job_of_the_contract() -> None:
    job: dict[str, Any] = {
        "id": [1],
        "command": "grad",
        "expression": "mse(w*x, y)",
        "inputs": {"x": 1, "w": [1, 2], "y": "tensor([0, 1])"},
    }
    if TORCH < (2, 12):  # has no gradient of mse_loss by a target of integers
        job["inputs"]["y"] = [0, 1]
    (found,) = results({**job, "wrt": ["w"], "dtype": "float64"})
    w = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    loss = ((w - torch.tensor([0, 1])) ** 2).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    assert found["id"] == [1]
    assert found["value"] == loss.item()
    assert found["gradients"] == {"w": w.grad.tolist()}
    assert found["dtype"] == "float64"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"command": "grad", "fn": "mse", "x": 1, "w": 2}, ["grad", "--fn", "mse", "--x", "1", "--w", "2"]),
        ({"command": "grad", "fn": "mse", "inputs": {"x": 1}, "w": 2}, ["grad", "--fn", "mse", "--x", "1", "--w", "2"]),
        ({"command": "loss", "names": "mse", "inputs": {"pred": 1, "target": 0}}, ["loss", "mse", "pred=1", "target=0"]),
        ({"command": "descend", "expression": "(x*lr)**2", "inputs": {"x": 1, "lr": 2}, "lr": 0.1, "steps": 2},
         ["descend", "(x*lr)**2", "x=1", "lr=2", "--lr", "0.1", "--steps", "2"]),
        ({"command": "grad", "expression": "x**2", "inputs": {"x": [1, 2]}, "row": 1}, ["grad", "x**2", "x=1,2", "--row", "1"]),
        ({"command": "grad", "expression": "x**2", "inputs": {"x": "linspace(0,1,3)"}, "each": "x"},
         ["grad", "x**2", "x=linspace(0,1,3)", "--each", "x"]),
        ({"command": "grad", "expression": "x @ w - y", "inputs": {"x": [[1, 2], [3, 4]], "w": [1, 2], "y": [0, 1]},
          "each": ["x", "y"]},
         ["grad", "x @ w - y", "x=1,2;3,4", "w=1,2", "y=0,1", "--each", "x,y"]),
        ({"command": "value", "expression": "h = x > 1; h", "inputs": {"x": [1, 2]}, "shapes": True},
         ["value", "h = x > 1; h", "x=1,2", "--shapes"]),
        ({"command": "value", "expression": "x**2", "inputs": {"x": 3}, "expect": 9},
         ["value", "x**2", "x=3", "--expect", "9"]),
        ({"command": "activate", "names": ["relu", "leaky_relu(0.2)"], "x": [-1, 1]},
         ["activate", "relu", "leaky_relu(0.2)", "--x", "-1,1"]),
        ({"command": "activate", "names": "softmax", "x": [2, 1, 0.1]}, ["activate", "softmax", "--x", "2,1,0.1"]),
        ({"command": "loss", "names": ["mse"], "pred": [1, 2], "target": [0, 0], "reduction": "sum"},
         ["loss", "mse", "--pred", "1,2", "--target", "0,0", "--reduction", "sum"]),
        ({"command": "softmax-jacobian", "x": [2, 1, 0.1], "row": 1}, ["softmax-jacobian", "--x", "2,1,0.1", "--row", "1"]),
        ({"command": "jacobian", "expression": "W @ x", "inputs": {"W": [[1, 2], [3, 4]], "x": "1,1"}},
         ["jacobian", "W @ x", "W=1,2;3,4", "x=1,1"]),
        ({"command": "hessian", "expression": "x*y", "inputs": {"x": 1, "y": 2}}, ["hessian", "x*y", "x=1", "y=2"]),
        ({"command": "perceptron", "x": [1, 0.5], "w": [0.3, -0.2], "target": 1},
         ["perceptron", "--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1"]),
        ({"command": "perceptron", "train": "and", "activation": "step"},
         ["perceptron", "--train", "and", "--activation", "step"]),
        ({"command": "grad", "expression": "x/0", "inputs": {"x": ["NaN", "Infinity", 1]}, "row": 2},
         ["grad", "x/0", "x=NaN,Infinity,1", "--row", "2"]),
        ({"command": "grad", "expression": "randn(3).sum()*x", "inputs": {"x": "rand(1)"}, "seed": 3},
         ["grad", "randn(3).sum()*x", "x=rand(1)", "--seed", "3"]),
    ],
)  # fmt: skip
def test_a_result_is_the_json_of_the_command(job: dict[str, Any], words: list[str]) -> None:
    (found,) = results(job)
    assert found.pop("id") is None
    assert found == run(*words, "--json").json


@pytest.mark.parametrize(
    "identity", ["123456789012345678901234567890", '[18446744073709551616,{"a":1.5}]', '"é"', "1.5", "true"]
)  # fmt: skip
def test_an_id_comes_back_as_it_is(identity: str) -> None:
    line = f'{{"id": {identity}, "command": "grad", "fn": "mse", "x": 1}}\n'
    assert run("batch", stdin=line).stdout.endswith(f'"id":{identity}}}\n')


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        ("no json", "usage"),
        ("[1]", "usage"),
        ("\0{}", "usage"),
        ("{}", "usage"),
        ({"command": "plot"}, "usage"),
        ({"command": ["grad"]}, "usage"),
        ({"command": "grad", "fn": "mse"}, "usage"),
        ({"command": "grad", "fn": "mse", "x": 1, "nonsense": 2}, "usage"),
        ({"command": "grad", "fn": "mse", "x": 1, "out": "x.json"}, "usage"),
        ({"command": "grad", "fn": "mse", "x": 1, "code": True}, "usage"),
        ({"command": "grad", "fn": "mse", "x": "-"}, "usage"),
        ({"command": "grad", "fn": "mse", "x": "@x.npy"}, "usage"),
        ({"command": "grad", "expression": "@x.py", "inputs": {"x": 1}}, "usage"),
        ({"command": "grad", "expression": "x", "inputs": [1]}, "usage"),
        ({"command": "grad", "fn": "mse", "x": 1, "seed": True}, "usage"),
        ({"command": "grad", "fn": "mse", "x": "1,,2"}, "literal"),
        ({"command": "grad", "fn": "mse", "x": [[1], [1, 2]]}, "literal"),
        ({"command": "grad", "fn": "mse", "x": {"a": 1}}, "usage"),
        ({"command": "grad", "expression": "2x", "inputs": {"x": 1}}, "expression"),
        ({"command": "activate", "names": ["sigmod"], "x": 1}, "expression"),
        ({"command": "grad", "expression": "x.item()", "inputs": {"x": 1}}, "expression"),
        ({"command": "grad", "expression": "A @ x", "inputs": {"A": [[1, 2]], "x": [1, 2, 3]}}, "shape"),
        ({"command": "grad", "fn": "mse", "x": "zeros(100000,100000)"}, "size"),
        ({"command": "grad", "expression": "x", "inputs": {"x": [1, 2]}}, "math"),
        ({"command": "grad", "expression": "x*1", "inputs": {"x": "tensor(1)"}}, "math"),
        (SLOW, "size"),
        (KILLER, "math"),
    ],
)  # fmt: skip
def test_a_failing_job_says_what_kind_of_failure_it_is(job: Any, kind: str) -> None:
    good = {"command": "activate", "names": "relu", "x": 1}
    first, found, last = results(
        good, {"id": "k", **job} if isinstance(job, dict) else job, good, status=1
    )
    assert first == last
    assert found["error"]["kind"] == kind
    assert "\n" not in found["error"]["message"]
    assert found["id"] == ("k" if isinstance(job, dict) else None)


def test_the_message_says_what_where_and_what_to_do() -> None:
    said: dict[str, dict[str, Any]] = {
        "a job cannot have 'out'": {"fn": "mse", "x": None, "out": "x.json"},
        'a list contains numbers, "NaN"': {"expression": "x", "inputs": {"x": [None]}},
        "all rows must have the same shape": {"expression": "x", "inputs": {"x": [[1], [1, 2]]}},
        "expression, line 2: unknown name q": {"expression": "h = x\nh + q", "inputs": {"x": 1}},
    }
    found = results(*({"command": "grad", **job} for job in said.values()), status=1)
    for words, line in zip(said, found, strict=True):
        assert words in line["error"]["message"]


def test_a_line_that_holds_no_job_is_named_by_its_number() -> None:
    good = b'{"command": "activate", "names": "relu", "x": 1}'
    lines = [
        b"",
        good,
        b"   ",
        b"no json",
        good,
        b"\xff",
        b"[1]",
        b'{"id": ' + b"[" * 300 + b"]" * 300 + b"}",
        b"",
        b"{,}",
    ]
    shown = run("batch", "--jobs", "2", stdin=b"\n".join(lines))
    said = [
        line["error"]["message"]
        for line in map(json.loads, shown.stdout.splitlines())
        if "error" in line
    ]
    named = [re.findall(r"line \d+", message) for message in said]
    assert named == [[f"line {n}"] for n in (4, 6, 7, 8, 10)]
    told = "line 4 is not JSON (character 1: invalid literal"
    assert said[0] in (f"{told}, expected 'null')", f"{told})")  # orjson 3.11.7 says less
    assert said[-1].startswith("line 10 is not JSON (character 2: ")


@pytest.mark.parametrize(
    ("inputs", "kind", "message"),
    [
        ("1e400", "literal", "1e400 is too large for a 64-bit float"),
        ("[1, -1e400]", "literal", '(write "-Infinity" if that is meant)'),
        (str(10**400), "literal", "10000000000000000... is too large for a 64-bit float"),
        ('"\\ud800"', "usage", "line 1 is not text (character "),
    ],
)
def test_a_job_whose_numbers_or_texts_cannot_be_had_keeps_its_id(
    inputs: str, kind: str, message: str
) -> None:
    for identity, kept in (('"é"', '"é"'), (str(2**70), str(2**70)), ('"\\ud800"', "null")):
        line = f'{{"command": "grad", "expression": "x", "inputs": {{"x":{inputs}}}, "id": {identity}}}'
        said = run("batch", stdin=line).stdout
        assert said.startswith(f'{{"id":{kept},"error":{{"kind":"{kind}"')
        assert message in json.loads(said)["error"]["message"]


def test_the_exit_status_tells_of_checks_and_expectations() -> None:
    job = {"command": "grad", "expression": "x**2", "inputs": {"x": 3}}
    (held,) = results({**job, "expect": "x=6", "check": True})
    assert held["ok"]
    first, missed, last = results(job, {**job, "expect": "x=5"}, job, status=1)
    assert first == last
    assert missed["ok"] is False
    assert "error" not in missed


def test_a_failed_check_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    right = core.gradients

    def doubled(*arguments: Any, **keywords: Any) -> dict[str, torch.Tensor | None]:
        return {
            name: None if slope is None else 2 * slope
            for name, slope in right(*arguments, **keywords).items()
        }

    monkeypatch.setattr(core, "gradients", doubled)
    (found,) = results(
        {"command": "grad", "expression": "x**2", "inputs": {"x": 3}, "check": True},
        status=1,
        here=True,
    )
    assert found["ok"] is False
    assert "error" not in found


def test_what_editors_and_other_systems_put_around_a_job_is_no_part_of_it() -> None:
    job = '{"command": "grad", "fn": "mse", "x": 2}'
    plain, marked, ended = (
        run("batch", stdin=text.encode()).stdout
        for text in (job, f"\ufeff{job}\n", f"{job}\r\n\r\n")
    )
    assert json.loads(plain)["gradients"] == {"x": 2.0}
    assert plain == marked == ended


def test_odd_lines_each_give_one_result_line() -> None:
    good = b'{"command": "grad", "fn": "mse", "x": 2, "id": 1}'
    numbers = b", ".join([b"1.5"] * 200_000)
    odd = {
        b'{"command": "grad", "fn": "mse", "x": 1, "x": 2, "id": 1}': None,  # the last of two keys counts
        b'{"command": "activate", "names": "relu", "x": [%b], "id": 1}' % numbers: None,
        b'{"command": "softmax-jacobian", "x": [1, 2], "allow-files": true, "id": 1}': "usage",
        b'{"command": "grad", "fn": "\xff"}': "usage",
        b"\xff": "usage",
        b"!9": "usage",
        b'{"id": 1, "x": NaN}': "usage",
        good + b"\0": "usage",
        b'{"id": %b, "command": "grad", "fn": "mse", "x": 2}' % (b"[" * 300 + b"]" * 300): "usage",
        b'{"id": "\\ud800", "command": "grad", "fn": "mse", "x": 2}': "usage",
        b'{"id": 1e999, "command": "grad", "fn": "mse", "x": 2}': "literal",
        b'{"command": "grad", "fn": "mse", "x": 2, "inputs": {"x": 1}, "id": 1}': "usage",
        b'{"command": "descend", "expression": "x*x", "inputs": {"x": 1}, "min_move": 1, "min-move": 2, "id": 1}': "usage",
    }
    shown = run("batch", stdin=b"\n".join(line for each in odd for line in (each, good)))
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [line.get("error", {}).get("kind") for line in found[::2]] == list(odd.values())
    assert found[0] == found[1]
    assert all(line["gradients"] == {"x": 2.0} for line in found[1::2])


def test_a_warning_that_pytorch_gives_once_in_a_process_is_a_note_of_every_job() -> None:
    job = {"command": "grad", "expression": "x.T.sum()", "inputs": {"x": "ones(2,3,2)"}}
    first, second = results(job, job)
    assert first == second
    assert [note["code"] for note in first["notes"]] == ["pytorch"]


# faults of our own


def broken(place: str, error: BaseException) -> Callable[..., Any]:
    """The function of that place, failing for the job that says so."""
    module, _, name = place.rpartition(".")
    right = getattr(importlib.import_module(module), name)

    def wrong(*arguments: Any, **keywords: Any) -> Any:
        if "SLIP" in str(arguments):
            raise error
        return right(*arguments, **keywords)

    return wrong


def with_a_slip(
    monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException, **env: str
) -> tuple[Any, ...]:
    """The results of a batch in which the second of three jobs meets an error of ours at a
    place.
    """
    monkeypatch.setattr(place, broken(place, error))
    job = {"command": "grad", "expression": "x**2", "inputs": {"x": 3}}
    jobs = [job, {**job, "id": 2, "expression": "x**2 # SLIP"}, {**job, "id": 3}]
    shown = run("batch", stdin="\n".join(map(json.dumps, jobs)), env=env, here=True)
    assert (shown.status, shown.stderr) == (1, "")
    first, fault, last = map(json.loads, shown.stdout.splitlines())
    assert first["value"] == last["value"] == 9.0
    assert (fault["id"], fault["error"]["kind"]) == (2, "fault")
    return fault["error"]["message"], fault["error"].get("traceback", "")


INSIDE, IN_THE_LOOP = (
    "gradcli.commands.batch.lines.request_of",
    "gradcli.commands.batch.lines.answer",
)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (INSIDE, ZeroDivisionError("a slip\nof ours")),
        rare(INSIDE, SystemExit("a slip of ours")),
        (IN_THE_LOOP, KeyError("a slip of ours")),
        rare(IN_THE_LOOP, ZeroDivisionError("a slip\nof ours")),
        rare(IN_THE_LOOP, SystemExit("a slip of ours")),
        rare(INSIDE, KeyError("a slip of ours")),
    ],
)
def test_a_fault_of_gradclis_own_is_told_whole(
    place: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, traceback = with_a_slip(monkeypatch, place, error)
    assert message.startswith(f"internal error in gradcli ({type(error).__name__}: ")
    assert "a slip of ours" in message
    assert "at test_batch.py:" in message
    assert "please report it" in message
    assert "\n" not in message
    assert traceback == ""


@pytest.mark.parametrize("place", [rare(INSIDE), IN_THE_LOOP])
def test_gradcli_debug_adds_the_traceback(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, traceback = with_a_slip(monkeypatch, place, ValueError("a slip of ours"), GRADCLI_DEBUG="1")
    assert traceback.startswith("Traceback (most recent call last)")
    assert "in answer" in traceback or "in _answer_frames" in traceback
    assert traceback.endswith("ValueError: a slip of ours\n")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ImportError("no library"), 2, "error: PyTorch cannot be loaded: no library\n"),
        (
            ZeroDivisionError("a slip of ours"),
            70,
            "error: internal error in gradcli (ZeroDivisionError: a slip of ours at ",
        ),
    ],
)
def test_what_goes_wrong_before_the_first_job_is_told_too(
    error: Exception, status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise error

    monkeypatch.setattr("gradcli.commands.dispatch.preload", failing)
    shown = run(
        "batch",
        stdin='{"command": "activate", "names": "relu", "x": 1}',
        env={"GRADCLI_DEBUG": "1"},
        here=True,
    )
    assert (shown.status, shown.stdout) == (status, "")
    assert shown.stderr.startswith(words)
    assert ("in failing" in shown.stderr) == (status == 70)


# workers that end, with work that needs no PyTorch


def answered(work: Work, count: int) -> list[str]:
    """The answers to that many lines, each its own number."""
    lines = lines_of({"id": number} for number in range(1, count + 1))
    return [
        answer.line.decode()
        for some in answers(lines, lambda: nullcontext(work))
        for answer in some
    ]


def echo(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
    return b"%d" % number, True, True


@pytest.mark.parametrize("place", [1, rare(FRAME - 1), FRAME, rare(FRAME + 1), rare(700)])
def test_a_worker_that_cannot_go_on_costs_no_answer_and_repeats_none(place: int) -> None:
    assert answered(
        lambda line, number, begin: (*echo(line, number, begin)[:2], number != place), 700
    ) == [str(number) for number in range(1, 701)]


@pytest.mark.parametrize("status", [0, rare(3)])
def test_a_library_that_ends_a_worker_costs_one_answer(status: int) -> None:
    def work(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
        if number == 300:
            os._exit(status)
        return echo(line, number, begin)

    found = answered(work, 600)
    message = f"a library that PyTorch uses ended the process (exit status {status}) (memory may be too low: see ulimit -v)"
    assert json.loads(found.pop(299)) == {"id": 300, "error": {"kind": "math", "message": message}}
    assert found == [str(number) for number in range(1, 601) if number != 300]


def test_a_fork_server_that_is_killed_ends_the_batch_at_once() -> None:
    def work(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
        return echo(line, number, begin)

    with pytest.raises(FileError, match="PyTorch could not be loaded, or it crashed"):
        answered(work, 1)


# time


def test_a_job_that_takes_too_long_is_told_as_that() -> None:
    jobs = [
        SLOW,
        {**SLOW, "expect": "x=1", "check": True},
        {
            "command": "descend",
            "expression": SLOW["expression"],
            "inputs": {"x": 1},
            "timeout": 0.05,
        },
        {"command": "grad", "expression": "x", "inputs": {"x": 1}, "timeout": 1e-6},
    ]
    for line, seconds in zip(
        results(*jobs, status=1), ("0.05", "0.05", "0.05", "1e-06"), strict=True
    ):
        assert line["error"] == {
            "kind": "size",
            "message": f"it ran for more than {seconds} s (--timeout 0 removes the limit)",
        }


@pytest.mark.exhaustive
def test_the_time_of_a_job_is_its_own(tmp_path: Path) -> None:
    """Neither the jobs before it count, nor how long it takes until its answer is read."""
    jobs = [
        {"command": "grad", "expression": "x**2", "inputs": {"x": i}, "timeout": 0.3}
        for i in range(1500)
    ]
    found = batch.run(jobs)
    next(found)
    time.sleep(0.5)
    assert all("error" not in line for line in found)


@pytest.mark.exhaustive
def test_a_worker_that_used_its_processor_time_has_died_of_that() -> None:
    pid = os.fork()
    if pid == 0:  # one that may use a second, as after `ulimit -t 1`, and has a worker
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
            worker = os.fork()
            while worker == 0:
                pass
            status = int(fork.wait(worker) != (worker, signal.SIGXCPU))
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_limit_of_processor_time_is_no_lack_of_memory() -> None:
    told = cause(fork.End(signal.SIGXCPU), Limits(60))
    assert isinstance(told, SizeError)
    assert (told.kind, told.message) == ("size", "it used more CPU time than this shell allows")


def test_killers_among_many_jobs_cost_nobody_else_an_answer() -> None:
    jobs = [
        {"id": i, "command": "grad", "expression": "x**2", "inputs": {"x": i}} for i in range(600)
    ]
    for place in (0, 250, 251, 400, 599):
        jobs[place] = {"id": place, **KILLER}
    found = results(*jobs, status=1)
    assert [line["id"] for line in found] == list(range(600))
    assert [line["id"] for line in found if "error" in line] == [0, 250, 251, 400, 599]
    assert all(line["value"] == float(line["id"]) ** 2 for line in found if "error" not in line)


def test_killers_among_several_processes() -> None:
    jobs = [
        {"id": i, "command": "grad", "expression": "x**2", "inputs": {"x": i}} for i in range(900)
    ]
    for place in (3, 4, 300, 600, 899):
        jobs[place] = {"id": place, **KILLER}
    found = results(*jobs, words=("--jobs", "3"), status=1)
    assert [line["id"] for line in found] == list(range(900))
    assert [line["id"] for line in found if "error" in line] == [3, 4, 300, 600, 899]


def test_order_is_kept_by_several_processes() -> None:
    jobs = [
        {"id": i, "command": "grad", "expression": f"x**{i % 7}", "inputs": {"x": 2}}
        for i in range(1, 1000)
    ]
    found = results(*jobs, words=("--jobs", "2"))
    assert [line["id"] for line in found] == list(range(1, 1000))


def test_blank_lines_give_nothing_and_a_last_line_needs_no_end() -> None:
    job = '{"command": "activate", "names": "relu", "x": 1}'
    shown = run("batch", stdin=f"\n  \n{job}\n\n{job}")
    assert shown.status == 0
    assert len(shown.stdout.splitlines()) == 2
    assert run("batch", stdin="").stdout == ""


def test_a_line_without_end_takes_no_more_memory_than_a_job_may(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pool, "JOB_TEXT", dataclasses.replace(JOB_TEXT, value=1000))
    monkeypatch.setattr(pool, "PIECE", 64)
    file = tmp_path / "jobs"
    file.write_bytes(
        b'{"id": 1}\n' + b"x" * 1000 + b"\n" + b"y" * 100_000 + b'\n\n{"id": 2}\n' + b"z" * 1001
    )
    source = pool.LinesOfFile(os.open(file, os.O_RDONLY))
    found: list[bytes] = []
    while (lines := source.take()) is not None:
        found += [line.text for line in lines]
        assert sum(map(len, source._splitter._pieces)) <= 1064
    os.close(source.fd)
    assert [found[0], found[1], found[3]] == [b'{"id": 1}', b"x" * 1000, b'{"id": 2}']
    for line, number in ((found[2], 3), (found[4], 6)):
        answer = json.loads(line.removeprefix(b"\0"))
        assert answer["error"]["kind"] == "size"
        assert f"line {number}: a job has at most 1,000 bytes" in answer["error"]["message"]


def test_a_file_of_jobs_and_files_in_jobs(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    (tmp_path / "jobs.jsonl").write_text(
        '{"command": "activate", "names": "relu", "x": "@x.csv"}\n'
    )
    assert "error" in run("batch", "jobs.jsonl", cwd=str(tmp_path)).stdout
    allowed = run("batch", "jobs.jsonl", "--allow-files", cwd=str(tmp_path))
    assert allowed.json["functions"][0]["value"] == [1.0, 2.0]
    for path in ("no.jsonl", str(tmp_path)):
        assert run("batch", path, cwd=str(tmp_path)).status == 2


def started(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gradcli", "batch", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**BASE, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        preexec_fn=usual_signals,
    )  # fmt: skip


def test_answers_come_while_the_pipe_waits_and_an_interrupt_leaves_whole_lines() -> None:
    job = b'{"command": "activate", "names": "relu", "x": 1}\n'
    process = started()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(job)
    process.stdin.flush()
    assert (
        json.loads(process.stdout.readline())["command"] == "activate"
    )  # and the input is still open
    process.stdin.write(job * 2000)
    process.stdin.flush()
    process.stdout.readline()  # they are being answered
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert all(json.loads(line) for line in out.splitlines())
    assert out.endswith(b"\n") or not out
    assert until(lambda: not alive(process.pid), 5)  # the workers are gone, or just going


def alive(group: int) -> bool:
    """Whether a group has a process."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def test_an_answer_does_not_wait_for_a_slow_job_that_came_with_it() -> None:
    given, answers, nowhere = os.pipe(), os.pipe(), os.open(os.devnull, os.O_WRONLY)
    pid = fork_loaded()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(given[1])
        child(["batch"], (given[0], answers[1], nowhere), BASE, None)
    try:
        product = "A = ones(1).expand(9000,9000); (A @ A @ A).sum()*x"
        slow = {"command": "grad", "expression": product, "inputs": {"x": 1}}
        jobs = [{"id": 1, "command": "activate", "names": "relu", "x": 1}, {"id": 2, **slow}]
        os.write(given[1], "".join(f"{json.dumps(job)}\n" for job in jobs).encode())
        assert json.loads(os.read(answers[0], 1 << 16))["id"] == 1
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (*given, *answers, nowhere):
            os.close(fd)


@pytest.mark.parametrize("jobs", [2_000, rare(6_000)])
def test_memory_does_not_grow_with_the_jobs(jobs: int) -> None:
    before, after, _ = endless.run(jobs, early=jobs // 2, processes=1)
    assert len(before) == len(after) == 3
    assert sum(after) < 1.1 * sum(before)


@pytest.mark.exhaustive
def test_the_same_from_python() -> None:
    jobs = (
        {"id": i, "command": "grad", "expression": "x**2", "inputs": {"x": i}} for i in range(700)
    )
    found = list(batch.run(jobs, processes=2))
    assert [(line["id"], line["gradients"]["x"]) for line in found] == [
        (i, 2.0 * i) for i in range(700)
    ]


def test_usage() -> None:
    assert run("batch", "--jobs", "0").status == 2
    assert run("batch", "--json").status == 2


def test_values_of_inputs_are_numbers_lists_bools_or_literals() -> None:
    given = {
        "x": [["NaN", 1], ["-Infinity", 2.5]],
        "m": [True, False],
        "i": "tensor([0, 1])",
        "r": "2*pi",
        "n": 3,
    }
    (found,) = results(
        {"command": "jacobian", "expression": "x*m*r + n + i", "inputs": given, "dtype": "float64"},
        words=("-",),
    )
    assert found["inputs"] == {**given, "i": [0, 1], "r": 2 * math.pi, "n": 3.0}
    assert found["id"] is None


def test_an_entry_of_the_catalogue_is_a_job() -> None:
    found, wrong = results(
        {"id": 1, "command": "functions", "name": "elu(alpha=2)"},
        {"id": 2, "command": "functions", "name": "elo"},
        status=1,
    )
    assert found == {**run("functions", "elu(alpha=2)", "--json").json, "id": 1}
    assert wrong["error"]["kind"] == "expression"


def test_what_a_job_may_not_have_is_refused() -> None:
    commands = [
        {"command": name, "fn": "mse", "x": 1}
        for name in ("plot", "check", "why", "session", "server", "batch")
    ]
    keys = [
        {"command": "grad", "fn": "mse", "x": 1, **more}
        for more in ({"out": "a"}, {"code": True}, {"graph": "dot"})
    ]
    found = results(*commands, *keys, status=1)
    assert {line["error"]["kind"] for line in found} == {"usage"}
    for line, name in zip(
        found,
        ("plot", "check", "why", "session", "server", "batch", "out", "code", "graph"),
        strict=True,
    ):
        assert (
            f"no command '{name}'" in line["error"]["message"]
            or f"cannot have '{name}'" in line["error"]["message"]
        )


def test_a_terminal_sees_progress_where_nothing_else_is_written_or_typed(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text('{"command": "activate", "names": "relu", "x": 1}\n' * 3)
    for stdin, stdout, seen in (
        ("file", "file", True),
        ("file", "terminal", False),
        ("terminal", "file", False),
    ):
        ours, theirs = pty.openpty()
        with open(tmp_path / "other", "w+b") as other:
            fds = {"file": other.fileno(), "terminal": theirs}
            pid = fork_loaded()
            if pid == 0:
                os.close(ours)
                child(
                    ["batch", "jobs.jsonl"], (fds[stdin], fds[stdout], theirs), BASE, str(tmp_path)
                )
            os.close(theirs)
            shown = all_of(ours)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert (b"3 jobs" in shown) is seen  # and none in a pipe, as `results` sees to
