"""What fuzzing found once stays mended, and the tool that found it sees what it is for.

`cases/fuzzed.txt` holds jobs as lines of a batch, each over what becomes of it: the kind and the
message of its error, or its value and the codes of its notes. Run this file as a program to write
them again, for a reader to compare.
"""

import json
from functools import cache
from pathlib import Path
from random import Random

import pytest

from tests.program import run
from tools.fuzz import grammar, invariants, requests
from tools.fuzz.runners import text

FILE = Path(__file__).parents[1] / "cases" / "fuzzed.txt"


def cases() -> list[tuple[str, str]]:
    """Each job and what is expected of it."""
    blocks = FILE.read_text("utf-8").strip("\n").split("\n\n")
    return [
        (job, expected.strip()) for job, _, expected in (block.partition("\n") for block in blocks)
    ]


@cache
def found() -> dict[str, str]:
    """What becomes of each job now, in one batch."""
    jobs = [job for job, _ in cases()]
    shown = run("batch", stdin="\n".join(jobs)).stdout.splitlines()
    return dict(zip(jobs, map(told, map(json.loads, shown)), strict=True))


def told(result: dict[str, object]) -> str:
    match result:
        case {"error": {"kind": kind, "message": message}}:
            return f"{kind}: {message}"
        case {"value": value, "notes": list(notes)}:
            return f"{value} {' '.join(note['code'] for note in notes)}".strip()
        case {"ok": ok}:
            return f"ok: {ok}"
    return "done"


@pytest.mark.parametrize(("job", "expected"), cases())
def test_what_was_found_once(job: str, expected: str) -> None:
    assert found()[job] == expected


def test_what_libraries_print_does_not_reach_standard_output() -> None:
    """MKL says on standard output that a matrix of nan is an illegal argument."""
    shown = run(
        "grad",
        "torch.linalg.lstsq(A, b, driver='gelsd').solution.sum()",
        "A=full((3,2),nan)",
        "b=ones(3,1)",
        "--json",
    )
    assert (shown.status, shown.stdout) == (2, "")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "error: \n",
        "Traceback (most recent call last):\nKeyError\n",
        "note: x [y]\nerror: no such thing\n",
        "error: no such thing",
        "error: no such thing\nwarnings.warn(\n",
        "error: no such thing\n" + "  more\n" * 7,
        f"error: {'x' * 3000}\n",
        "error: 1, 2, \N{HORIZONTAL ELLIPSIS}\n",
        "error: internal error in gradcli (KeyError: 1); please report it\n",
    ],
)
def test_an_error_of_another_form_is_a_finding(said: str) -> None:
    assert invariants.of_error(said, "") != ""
    assert invariants.of_error("error: no such thing\n  x y\n    ^\n  write x*y\n", "") == ""


@pytest.mark.parametrize(
    "answer",
    [
        b'{"value":NaN,"id":7}',
        b'{"value":1}',
        b'{"value":1,"id":8}',
        b'{"id":7,"error":{"kind":"other","message":"no"}}',
        b'{"id":7,"error":{"kind":"math","message":"internal error in gradcli (KeyError: 1); please report it"}}',
        b'{"id":7,"error":{"kind":"math","message":"two\\nlines"}}',
    ],
)
def test_a_result_line_of_another_form_is_a_finding(answer: bytes) -> None:
    job = b'{"id": 7}'
    assert invariants.of_line(answer, job)[1] != ""
    assert invariants.of_line(b'{"value":1,"id":7}', job) == ("ok", "")


def test_whatever_is_raised_beside_an_error_of_ours_is_a_finding() -> None:
    assert text({"y": 1}.__getitem__, "x").startswith("!raises KeyError")


def test_the_same_seed_draws_the_same_inputs() -> None:
    one, same, other = (requests.seeded(seed, "words", 0) for seed in (1, 1, 2))
    assert [requests.words(one) for _ in range(20)] == [requests.words(same) for _ in range(20)]
    assert grammar.expression(Random(1)) == grammar.expression(Random(1))
    assert requests.line(requests.seeded(1, "words", 1)) != requests.line(other)


def update() -> None:
    """Write what becomes of each job again."""
    FILE.write_text(
        "\n\n".join(f"{job}\n  {now}" for job, now in found().items()) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    update()
