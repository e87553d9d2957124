"""Makes what a student hands in: formulas of gradients, whole backward passes, functions and training
programs of their own; right ones, and broken ones.
"""

import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.fuzz import corpus, mutation, requests, runners
from tools.fuzz.grammar import Chance
from tools.fuzz.runners import Scratch

_WORDS = (
    *"+-*/@()[],.:=\n ", "**", "x", "w", "dw = ", "dx += ", ".T", ".sum(0)", ".detach()", "torch.no_grad()", "sum(", "mean(",
    "1/m*", "return ", "self.", ".backward()", ".zero_()", ".item()", ".data", "in-place", "lambda x: ", "None", "range(3)",
)  # fmt: skip


@cache
def _cases(name: str) -> list[dict[str, Any]]:
    found = tomllib.loads((corpus.CASES / f"{name}.toml").read_text("utf-8"))["case"]
    return [case for case in found if {"expression", "inputs"} <= case.keys()]


def _broken(text: str, chance: Chance, others: Sequence[str]) -> str:
    if chance.random() < 0.5:
        return mutation.text(text, chance, _WORDS, others)
    return mutation.number(text, chance) if chance.random() < 0.5 else text


def formula(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job whose expected gradients are formulas."""
    case = chance.choice(_cases("formulas"))
    known = [*case.get("right", ()), *case.get("wrong", ()), "w = 1"]
    texts = chance.sample(known, chance.choice((1, 1, 2)) if len(known) > 1 else 1)
    found = {
        **more,
        "command": case.get("command", "grad"),
        "expression": case["expression"],
        "inputs": case["inputs"],
        "expect": [_broken(text, chance, known) for text in texts],
        "timeout": 5,
    }
    if chance.random() < 0.1:
        found["expression"] = _broken(found["expression"], chance, known)
    return found


def backward(chance: Chance) -> tuple[dict[str, Any], str]:
    """A job, and the text of the backward pass that is expected of it."""
    case = chance.choice(_cases("backward"))
    others = [each["backward"] for each in _cases("backward")]
    job = {"command": "grad", "expression": case["expression"], "inputs": case["inputs"]}
    return job, _broken(case["backward"], chance, others)


def judged(given: Sequence[tuple[dict[str, Any], str]], scratch: Scratch) -> list[str]:
    """The verdicts on backward passes, each in a file of its own."""
    jobs = []
    for number, (job, text) in enumerate(given):
        path = Path(scratch.path("data", f"{number}.py"))
        path.write_text(text, "utf-8", "replace")
        jobs.append(requests.written(job | {"id": number, "expect": [f"@{path}"], "timeout": 5}))
    return runners.lines(jobs, scratch, ("--allow-files",))


@dataclass(frozen=True)
class OwnCode:
    """A file of the user's own, and the words before and after its path."""

    text: str
    words: tuple[str, ...]
    name: str = ""
    more: tuple[str, ...] = ()


@cache
def _own_code() -> list[OwnCode]:
    """The programs and functions of the project's own cases, with the calls that check them."""
    found = []
    for path in sorted((corpus.CASES / "programs").glob("*.py")):
        found.append(OwnCode(path.read_text("utf-8"), ("why", "--run")))
    for path in sorted((corpus.CASES / "own_code").glob("*.py")):
        text = path.read_text("utf-8")
        for line in text.splitlines():
            if line.startswith("# check: "):
                name, *more = shlex.split(line.removeprefix("# check: "))
                found.append(OwnCode(text, ("check",), f":{name}", tuple(more)))
    return found


def own_code(chance: Chance) -> OwnCode:
    """A program or a function of the user's own, most likely broken."""
    found = chance.choice(_own_code())
    if chance.random() < 0.2:
        return found
    lines = found.text.split("\n")
    place = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            del lines[place]
        case 1:
            lines.insert(place, lines[chance.randrange(len(lines))])
        case _:
            lines[place] = _broken(lines[place], chance, lines)
    return OwnCode("\n".join(lines), found.words, found.name, found.more)


def watched(given: Sequence[OwnCode], scratch: Scratch) -> list[str]:
    """The verdicts on calls that run the user's own code, each in a fork of its own."""
    path = Path(scratch.path("data", "own.py"))
    found = []
    for each in given:
        path.write_text(each.text, "utf-8", "replace")
        words = (*each.words, "--timeout", "5", f"{path}{each.name}", *each.more)
        found.append(runners.own_code(words, scratch))
    return found
