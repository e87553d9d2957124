"""Judges the corpora of formulas and backward passes, and prints how many verdicts are right.

    python -m tools.formulas [EVERY [FIRST]]

`tests/cases/formulas.toml` holds gradients of textbook expressions, right and wrong ones;
`tests/cases/backward.toml` whole backward passes, whose lines are made wrong in turn. What is right
and what is wrong there is found by plain PyTorch, without gradcli. Of the backward passes with a wrong line, which
take minutes, every EVERYth is judged, from the FIRST on. Exit status 1 if a verdict is wrong.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

CASES = Path(__file__).parent.parent / "tests" / "cases"
NAMES = {
    **{name: value for name, value in vars(torch).items() if callable(value)},
    **{name: value for name, value in vars(torch.linalg).items() if name in ("inv", "det", "solve")},
    "torch": torch, "F": F, "math": __import__("math"), "mse": F.mse_loss, "bce": F.binary_cross_entropy,
    "cross_entropy": F.cross_entropy, "one_hot": F.one_hot, "softplus": F.softplus, "silu": F.silu,
    "gelu": F.gelu, "huber": F.huber_loss, "normalize": F.normalize, "nll_loss": F.nll_loss,
    "cosine_similarity": F.cosine_similarity, "layer_norm": F.layer_norm, "leaky_relu": F.leaky_relu,
}  # fmt: skip


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a corpus."""
    return tomllib.loads((CASES / f"{name}.toml").read_text(encoding="utf-8"))["case"]  # type: ignore[no-any-return]


def jobs(lines: Sequence[Mapping[str, Any]], *options: str) -> Iterator[dict[str, Any]]:
    """The results of batch jobs, from one call."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    command = [sys.executable, "-m", "gradcli", "batch", "--jobs", "1", *options]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    yield from map(json.loads, done.stdout.splitlines())


def literal(text: str) -> Tensor:
    """The tensor of an input in the corpora, in float64."""
    if text.startswith("tensor("):
        return torch.tensor(json.loads(text[7:-1]))
    if text.startswith("["):
        return torch.tensor(json.loads(text), dtype=torch.float64)
    if text.startswith("randn("):
        return torch.randn([int(size) for size in text[6:-1].split(",")])
    rows = [[float(n) for n in row.split(",") if n] for row in text.split(";")]
    if len(rows) > 1:
        return torch.tensor(rows, dtype=torch.float64)
    return torch.tensor(rows[0] if "," in text else rows[0][0], dtype=torch.float64)


def points(
    given: Mapping[str, Tensor], free: str = "", count: int = 6
) -> Iterator[dict[str, Tensor]]:
    """Random points by PyTorch alone; integers, one-hot rows and masks keep their numbers."""
    torch.manual_seed(7)
    for number in range(count):
        point = {}
        for name, tensor in given.items():
            both = set(tensor.reshape(-1).tolist()) in ({0.0, 1.0}, {-1.0, 1.0}) and name != free
            fixed = both or not tensor.is_floating_point()
            noise = torch.randn(tensor.shape, dtype=torch.float64)
            moved = tensor + 0.3 * noise if number % 2 else noise
            point[name] = tensor if fixed else moved
        yield point


def run(program: str, point: Mapping[str, Any]) -> dict[str, Any]:
    """What a program of PyTorch binds, and its last expression under `value`."""
    *lines, last = [line.strip() for line in program.split(";")]
    scope = {**NAMES, **point}
    name, equals, _ = last.partition(" = ")
    last = last if equals and name.isidentifier() else f"value = {last}"
    exec("\n".join([*lines, last]), scope)
    scope["value"] = scope[name if equals and name.isidentifier() else "value"]
    return scope


def truths(
    expression: str, point: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The names of a run, and PyTorch's gradients by all inputs and steps."""
    leaves = {
        n: t.clone().requires_grad_() if t.is_floating_point() else t for n, t in point.items()
    }
    scope = run(expression, leaves)
    steps = re.findall(r"(?:^|; *)(\w+) = ", expression)
    by = {
        n: scope[n]
        for n in (*leaves, *steps)
        if isinstance(scope[n], Tensor) and scope[n].requires_grad
    }
    value = scope["value"].sum()
    found = torch.autograd.grad(value, list(by.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(by[name]) if slope is None else slope
        for name, slope in zip(by, found, strict=True)
    }
    names = {name: scope[name] for name in (*leaves, *steps)}
    plain = {n: v.detach() if isinstance(v, Tensor) else v for n, v in names.items()}
    return {**plain, "value": scope["value"].detach()}, gradients


def holds(case: Mapping[str, Any], claim: str) -> bool:
    """Whether a claim is right at all points where both sides are finite."""
    given = {name: literal(text) for name, text in case["inputs"].items()}
    key, equals, formula = claim.partition(" = ")
    if not equals:
        key, formula = next(iter(given)), claim
    name, _, place = key.partition(".")
    compared = 0
    for point in points(given, name):
        scope, gradients = truths(case["expression"], point)
        right = scope["value"] if name == "value" else gradients[name]
        right = right[int(place)] if place else right
        mine = run(formula, scope)["value"]
        mine = mine.double() if isinstance(mine, Tensor) else torch.tensor(float(mine))
        if not all(bool(t.isfinite().all()) for t in (right, mine, scope["value"])):
            continue
        compared += 1
        same = mine.numel() == right.numel() == 1 or mine.shape == right.shape
        if not same or not torch.allclose(mine.reshape(right.shape), right, rtol=1e-6, atol=1e-9):
            return False
    assert compared > 1, (case["of"], claim)
    return True


def formulas() -> int:
    """Judge the corpus of formulas; how many verdicts are wrong."""
    claims = [
        (case, claim, kind == "right")
        for case in cases("formulas")
        for kind in ("right", "wrong")
        for claim in case[kind]
    ]
    mistaken = [claim for case, claim, right in claims if holds(case, claim) != right]
    assert not mistaken, f"the corpus itself is wrong: {mistaken}"
    start = time.perf_counter()
    found = list(jobs([job(case, claim) for case, claim, _ in claims]))
    seconds = time.perf_counter() - start
    wrong, caught, slips = 0, 0, 0
    for (case, claim, right), result in zip(claims, found, strict=True):
        verdict = result.get("ok")
        if verdict is not right:
            wrong += 1
            print(
                f"  {case['of']}: {case['expression']}   {claim}: {verdict} {result.get('error', '')}"
            )
        if not right and "expect" in result:
            (item,) = result["expect"].values()
            found_at = item.get("counterexample")
            given = not found_at or found_at["inputs"] == result["inputs"]
            caught += not given
            slips += item["slip"] is not None
    right_ones = sum(right for *_, right in claims)
    rest = len(claims) - right_ones
    print(f"{right_ones} right and {rest} wrong formulas: {wrong} verdicts are wrong")
    print(
        f"{caught} of the wrong ones agree at the given point; {slips} have a slip; {seconds:.1f} s"
    )
    return wrong


def job(case: Mapping[str, Any], claim: str) -> dict[str, Any]:
    """The job that judges a claim."""
    given = {name: literal(text) for name, text in case["inputs"].items()}
    floats = [name for name, tensor in given.items() if tensor.is_floating_point()]
    bare = " = " not in claim
    return {
        "command": "grad", "expression": case["expression"], "inputs": case["inputs"], "expect": claim,
        "wrt": floats[:1] if bare else floats,
    }  # fmt: skip


_LINE = re.compile(r"(\w+) (\+|/)?= (.*)")
_CHANGES = (
    ("sign", lambda right: f"-({right})"),
    ("factor", lambda right: f"2*({right})"),
    ("offset", lambda right: f"({right}) + 0.125"),
    ("half", lambda right: f"({right})/2"),
    ("square", lambda right: re.sub(r"\*\*2", "", right)),
    ("slope", lambda right: re.sub(r"\*\(1 - \w+(\*\*2)?\)|\*\(\w+ > 0\)", "", right)),
    ("mean", lambda right: right.replace("sum(", "mean(")),
    ("count", lambda right: re.sub(r"/(n|m|N|len\(\w\)|\w+\.numel\(\))$", "", right)),
    ("term", lambda right: re.sub(r" [+-] [^()]*$", "", right)),
)  # fmt: skip
"""How a right side is made wrong."""


def right_pass(case: Mapping[str, Any], text: str, names: Collection[str] = ()) -> bool:
    """Whether these gradients of a backward pass, or all, are right at random points, by PyTorch
    alone.
    """
    given = {name: literal(text) for name, text in case["inputs"].items()}
    for point in points(given):
        scope, gradients = truths(case["expression"], point)
        bound = {**NAMES, **scope}
        exec(re.sub(r"(\w+) ([+/])= (.*)", r"\1 = \1 \2 (\3)", text), bound)
        for name in re.findall(r"^(d_|grad_|d)(\w+) ", text, re.MULTILINE):
            if name[1] in gradients and ("".join(name) in names or not names):
                mine, right = torch.as_tensor(bound["".join(name)]), gradients[name[1]]
                if mine.shape != right.shape and mine.numel() > 1:
                    return False
                if not torch.allclose(mine.double(), right, rtol=1e-6, atol=1e-9):
                    return False
    return True


def mutants(case: Mapping[str, Any], of: set[str]) -> Iterator[tuple[str, str]]:
    """Backward passes with one line made wrong, and the gradient that the line binds; `of` are the
    names of the gradients.
    """
    lines = case["backward"].strip().split("\n")
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None or found[1] not in of:
            continue
        name, operator, right = found.groups()
        changed = {change(right) for _, change in _CHANGES} - {right}
        for other in sorted(changed):
            if operator == "/" and other.startswith("-"):
                continue
            made = f"{name} {operator or ''}= {other}"
            yield "\n".join([*lines[:number], made, *lines[number + 1 :]]), name


def backward(every: int = 1, first: int = 0) -> int:
    """Judge the backward passes and some mutants; how many verdicts are wrong."""
    corpus = cases("backward")
    for case in corpus:
        assert right_pass(case, case["backward"]), case["of"]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tried: list[tuple[dict[str, Any], str, str]] = [
            (case, case["backward"], "") for case in corpus
        ]
        found = _judged(tried, folder)
        wrong = 0
        for (case, _, _), result in zip(tried, found, strict=True):
            if result.get("ok") is not True or result["first_wrong"] is not None:
                wrong += 1
                print(f"  {case['of']}: {result.get('first_wrong')} {result.get('error', '')}")
        names = [set(result.get("expect", ())) for result in found]
        made = [
            (case, text, name)
            for case, of in zip(corpus, names, strict=True)
            for text, name in mutants(case, of)
            if not right_pass(case, text, [name])
        ]
        made = made[first::every]
        refused = slips = 0
        for (case, text, name), result in zip(made, _judged(made, folder), strict=True):
            if "error" in result:
                refused += 1
            elif result["first_wrong"] != name:
                wrong += 1
                line = next(
                    (line for line in text.split("\n") if line not in case["backward"].split("\n")),
                    text,
                )
                print(f"  {case['of']}: {line}: {result['first_wrong']} was named first")
            else:
                slips += result["expect"][name]["slip"] is not None
    print(f"{len(corpus)} backward passes of {sum(map(len, names))} gradients, {len(made)} mutants")
    print(f"{wrong} verdicts are wrong; {slips} mutants have a slip; {refused} were refused")
    print(f"{time.perf_counter() - start:.1f} s")
    return wrong


def _judged(tried: Sequence[tuple[dict[str, Any], str, str]], folder: str) -> list[dict[str, Any]]:
    lines = []
    for number, (case, text, _) in enumerate(tried):
        path = Path(folder) / f"{number}.py"
        path.write_text(text, encoding="utf-8")
        lines.append(
            {
                "command": "grad",
                "expression": case["expression"],
                "inputs": case["inputs"],
                "expect": f"@{path}",
            }
        )
    return list(jobs(lines, "--allow-files"))


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    sys.exit(bool(formulas() + backward(*map(int, sys.argv[1:]))))
