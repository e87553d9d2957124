"""Plans of a batch: a job whose form is known gets the line that it gets without a plan, to the byte;
and how many processes a batch starts.
"""

import json
import math
import os
import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from gradcli.commands.batch import plan
from gradcli.commands.batch.lines import answer
from gradcli.commands.batch.page import loaded
from gradcli.commands.batch.plan import Plans, form_of
from gradcli.process import pool
from gradcli.process.pool import FRAME, Begin, LinesOfFile, Work, answers
from tests.program import lines_of, run

_r = random.Random(0)


def n() -> float:
    return round(_r.uniform(-2, 2), 4)


def v(size: int = 3) -> list[float]:
    return [n() for _ in range(size)]


def m(rows: int = 2, columns: int = 3) -> list[list[float]]:
    return [v(columns) for _ in range(rows)]


def answered(job: Any, plans: Plans) -> tuple[bytes, bool]:
    """The result line as the worker of a batch makes it, with the plans that it has."""
    given = json.dumps(job).encode()
    return answer(given, 1, lambda seconds: None, plans, allow_files=False)


def straight(job: Any, plans: Plans) -> bytes | None:
    """What the plan of a job's form makes of it."""
    form = form_of(job)
    found = plans.get(form)
    return found.answer(form) if form and found else None


STRAIGHT: dict[str, Callable[[], dict[str, Any]]] = {
    "numbers": lambda: {"expression": "mse(w*x + b, y)", "inputs": {"w": n(), "x": n(), "b": n(), "y": n()}},
    "vectors": lambda: {"expression": "mse(w*x + b, y)", "inputs": {"w": n(), "x": v(), "b": n(), "y": v()}},
    "whole numbers": lambda: {"expression": "(w*x).sum()", "inputs": {"w": 2**53 + _r.randint(0, 99), "x": [1, n(), -3]}},
    "a matrix": lambda: {"expression": "mse(X @ w, y)", "inputs": {"X": m(), "w": v(), "y": v(2)}},
    "transposed": lambda: {"expression": "(X.T @ y).sum() + X.T.sum()", "inputs": {"X": m(), "y": v(2)}},
    "expanded": lambda: {"expression": "x.sum()", "inputs": {"x": m()}},
    "the input itself": lambda: {"expression": "x", "inputs": {"x": n()}},
    "three levels": lambda: {"expression": "(x**2).sum()", "inputs": {"x": [m(), m()]}},
    "one element": lambda: {"expression": "x*y", "inputs": {"x": [n()], "y": [[n()]]}},
    "--fn": lambda: {"fn": "mse", "x": n(), "w": n()},
    "--fn, defaults in shape": lambda: {"fn": "mse", "x": v(), "w": v()},
    "--fn, an activation": lambda: {"fn": "leaky_relu(0.2)", "x": n(), "b": n()},
    "--fn, indices": lambda: {"fn": "cross_entropy", "x": v(), "y": _r.randint(0, 2)},
    "order of --fn": lambda: {"w": n(), "fn": "mse", "y": n(), "x": n()},
    "softmax": lambda: {"expression": "softmax(a)[1]", "inputs": {"a": v()}},
    "indices": lambda: {"expression": "cross_entropy(a, t)", "inputs": {"a": m(), "t": [_r.randint(0, 2), 1]}},
    "indices as text": lambda: {"expression": "cross_entropy(a, t)", "inputs": {"a": v(), "t": f"tensor({_r.randint(0, 2)})"}},
    "softmax fed to it": lambda: {"expression": "cross_entropy(softmax(a), t)", "inputs": {"a": v(), "t": 1}},
    "bools": lambda: {"expression": "x[k].sum()", "inputs": {"x": v(), "k": [_r.random() < 0.5, True, False]}},
    "steps": lambda: {"expression": "z = w*x; a = sigmoid(z); mse(a, y)", "inputs": {"w": n(), "x": v(), "y": v()}},
    "a step off the path": lambda: {"expression": "z = x*2; u = z.detach(); (z**2).sum()/len(x)", "inputs": {"x": v()}},
    "a name twice": lambda: {"expression": "z = x; z = z*2; z**2", "inputs": {"x": n()}},
    "kinks": lambda: {"expression": "relu(x).sum() + abs(x).sum()", "inputs": {"x": [_r.choice([0, 1, -1]), -1, n()]}},
    "saturation": lambda: {"expression": "tanh(w*x).sum()", "inputs": {"w": _r.choice([1.5, 40.0]), "x": v()}},
    "small and large numbers": lambda: {"expression": "(w*x).sum()", "inputs": {"w": _r.choice([1e-7, 1e10, 1.5]), "x": v()}},
    "random numbers": lambda: {"expression": "(dropout(x) + randn(3)).sum()", "inputs": {"x": v()}, "seed": 3},
    "float64": lambda: {"expression": "(ones(3)*x).sum() + y", "inputs": {"x": v(), "y": n()}, "dtype": "float64"},
    "--wrt": lambda: {"expression": "mse(w*x, y)", "inputs": {"w": n(), "x": v(), "y": v()}, "wrt": ["w", "x"]},
    "--row": lambda: {"expression": "softmax(a)", "inputs": {"a": v()}, "row": 1},
    "--via": lambda: {"expression": "z = w*x; z**2", "inputs": {"w": n(), "x": n()}, "via": "backward"},
    "slices": lambda: {"expression": "x[1:, ::2].sum()*y[-1]", "inputs": {"x": m(3), "y": v()}},
}  # fmt: skip
"""Jobs that are computed the straight way once their form is known."""


@pytest.mark.parametrize("name", STRAIGHT)
@loaded()
def test_a_known_form_gives_the_line_of_the_ordinary_computation(name: str) -> None:
    plans = Plans()
    for number in range(8):
        job = {"id": number, "command": "grad", **STRAIGHT[name]()}
        assert answered(job, plans) == answered(job, Plans()), job
    assert straight(job, plans) is not None, "no plan was made"


ORDINARY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an error": ({"expression": "cross_entropy(a, t)", "inputs": {"a": v(), "t": 1}}, {"a": v(), "t": 3}),
    "nan": ({"expression": "log(x) + y", "inputs": {"x": 1, "y": 1}}, {"x": -1, "y": 1}),
    "inf, in the gradient alone": ({"expression": "sqrt(x)", "inputs": {"x": 1}}, {"x": 0}),
    "too large for 32 bits": ({"expression": "0*x", "inputs": {"x": 1}}, {"x": 1e39}),
    "an input that is inf": ({"expression": "x + y", "inputs": {"x": [1], "y": 1}}, {"x": ["Infinity"], "y": 1}),
    "rows that differ": ({"expression": "x.sum()", "inputs": {"x": m()}}, {"x": [[1], [1, 2]]}),
    "a bool among numbers": ({"expression": "x.sum()", "inputs": {"x": v()}}, {"x": [1.5, True, 2]}),
    "a bool": ({"expression": "x*y", "inputs": {"x": 1, "y": 1}}, {"x": 2, "y": True}),
    "no number": ({"expression": "x*y", "inputs": {"x": 1, "y": 1}}, {"x": 2, "y": None}),
    "a text": ({"expression": "x*y", "inputs": {"x": 1, "y": 1}}, {"x": 2, "y": "1/3"}),
    "a random text": ({"expression": "x*y", "inputs": {"x": 1, "y": 1}}, {"x": 2, "y": "randn(1)"}),
    "a file": ({"expression": "x*y", "inputs": {"x": 1, "y": 1}}, {"x": 2, "y": "@a.npy"}),
    "another order": ({"expression": "x - y", "inputs": {"x": 1, "y": 2}}, {"y": 1, "x": 2}),
    "another shape, with a warning": ({"expression": "mse(x, y)", "inputs": {"x": v(2), "y": v(2)}}, {"x": v(2), "y": m(2, 1)}),
    "no number of the result": ({"expression": "w*x", "inputs": {"w": 1, "x": 2}}, {"w": 1, "x": v()}),
}  # fmt: skip
"""Jobs, and inputs of other jobs that differ in more than their plan allows."""


@pytest.mark.parametrize("name", ORDINARY)
@loaded()
def test_what_a_plan_cannot_answer_is_computed_as_any_other_job(name: str) -> None:
    usual, inputs = ORDINARY[name]
    known, plans = {"command": "grad", **usual}, Plans()
    other = {**known, "inputs": inputs}
    for job in (known, known, known, other, known, other, other, known):
        assert answered(job, plans) == answered(job, Plans()), job
    assert straight(known, plans) is not None
    assert straight(other, plans) is None or name in (
        "a bool",
        "another order",
        "a text",
        "another shape, with a warning",
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 1}, {"seed": True}),
        ({"seed": 1}, {"seed": 1.0}),
        ({"seed": 1}, {"seed": "1"}),
        ({"wrt": ["x"]}, {"wrt": "x"}),
        ({"inputs": {"x": 1}}, {"inputs": {}, "x": 1}),
        ({"inputs": {"x": 1}, "y": 1}, {"inputs": {"x": 1, "y": 1}}),
        ({"inputs": {"x": []}}, {"inputs": {"x": [[]]}}),
        ({"inputs": {"x": 1}}, {"inputs": {"x": True}}),
        ({"inputs": {"x": 1, "w": 1}}, {"inputs": {"w": 1, "x": 1}}),
        ({"fn": "mse", "x": 1}, {"fn": "mse", "w": 1}),
        ({"check": True}, {"check": False}),
    ],
)
def test_jobs_that_differ_in_more_than_numbers_have_different_forms(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    forms = [form_of({"command": "grad", "id": 1, **job}) for job in (one, other)]
    assert forms[0] is not None
    assert forms[1] is not None
    assert forms[0].key != forms[1].key
    again = form_of({"command": "grad", "id": {"x": 2}, **one})
    assert again is not None
    assert again.key == forms[0].key, "the id is no part of it"


@loaded()
def test_a_plan_that_gives_another_line_than_its_job_has_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = {"command": "grad", "fn": "mse", "x": 1}
    for way in (lambda inputs: b"{}", lambda inputs: math.inf // 0):
        monkeypatch.setattr(plan, "_STRAIGHT", {"grad": lambda *_, way=way: way})
        plans = Plans()
        assert len({answered(job, plans) for _ in range(4)}) == 1
        assert plans.get(form_of(job)) is None


@loaded()
def test_so_many_plans_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PROGRAMS", 3)
    plans = Plans()
    jobs = [{"command": "grad", "expression": f"x**{i}", "inputs": {"x": 2}} for i in range(9)]
    for job in jobs * 2:
        answered(job, plans)
    assert not any(straight(job, plans) for job in jobs), (
        "each form was forgotten before it came again"
    )
    for job in [job for job in jobs for _ in range(2)]:
        answered(job, plans)
    assert [bool(straight(job, plans)) for job in jobs] == [False] * 6 + [True] * 3


@loaded()
def test_a_mix_of_all_forms_in_one_and_in_several_processes() -> None:
    known = [{"command": "grad", **make()} for make in STRAIGHT.values() for _ in range(6)]
    known += [{"command": "grad", **job, "inputs": i} for job, i in ORDINARY.values()] * 2
    known += [{"command": "activate", "names": "relu", "x": v()}, {"command": "grad", "fn": "mse"}]
    known += [{"command": "grad", "fn": "mse", "x": v(), "w": n(), "check": True} for _ in range(4)]
    jobs = [{**job, "id": i} for i, job in enumerate(_r.sample(known, len(known)))]
    text = "".join(f"{json.dumps(job)}\n" for job in jobs)
    expected = b"\n".join(answered(job, Plans())[0] for job in jobs).decode() + "\n"
    for words in ((), ("--jobs", "1"), ("--jobs", "3")):
        assert run("batch", *words, stdin=text).stdout == expected


# --- how many processes -------------------------------------------------------------------------


def pids(lines: LinesOfFile, work: Work) -> list[bytes]:
    """The processes that answered, of at most three."""
    load = lambda: nullcontext(work)  # noqa: E731
    return [answer.line for some in answers(lines, load, most=3) for answer in some]


def own(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
    return b"%d" % os.getpid(), True, True


def test_few_lines_are_answered_by_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE", 60)
    assert len(set(pids(lines_of([{}] * 9), own))) == 1


def test_a_pipe_that_gives_a_line_at_a_time_needs_one_process_and_no_line_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "PATIENCE", 60)
    reader, writer = os.pipe()
    os.write(writer, b"{}\n")
    found: list[bytes] = []
    batches = answers(LinesOfFile(reader), lambda: nullcontext(own), most=3)
    for some in batches:
        found += [answer.line for answer in some]
        if len(found) == 6:
            break
        os.write(writer, b"{}\n")
    batches.close()
    os.close(reader)
    os.close(writer)
    assert len(set(found)) == 1


def test_several_processes_start_where_many_lines_wait() -> None:
    def work(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
        time.sleep(0.0005)
        return own(line, number, begin)

    assert len(set(pids(lines_of([{}] * 9 * FRAME), work))) == 3


def test_several_processes_start_where_few_lines_wait_for_long() -> None:
    def work(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
        time.sleep(0.2)
        return own(line, number, begin)

    assert len(set(pids(lines_of([{}] * 9), work))) == 3


def test_auto_is_the_default_and_a_number_is_a_number() -> None:
    job = '{"command": "activate", "names": "relu", "x": 1}\n'
    shown = [run("batch", *words, stdin=job) for words in ((), ("--jobs", "auto"), ("--jobs", "2"))]
    assert len({(each.status, each.stdout, each.stderr) for each in shown}) == 1
    for wrong in ("0", "65", "-1", "many", ""):
        assert run("batch", "--jobs", wrong).status == 2
