"""Modules of torch.nn in expressions against the same text as a plain PyTorch program."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from torch import Tensor, nn

from gradcli.catalogue import operators
from gradcli.evaluate.job import default_dtype
from gradcli.language.assignment import in_expression
from tests.program import ROOT, run

CASES = Path(ROOT, "tests/cases/modules.txt")
LOWER = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Case:
    """A module: what makes it, its inputs, a call of it, and a parameter that it has."""

    make: str
    inputs: dict[str, Tensor]
    call: str
    parameter: str

    def at(self, x: str) -> str:
        """The call with something else for x, unless x is indices."""
        return re.sub(r"\bx\b", x, self.call) if self.inputs["x"].is_floating_point() else self.call

    @property
    def simple(self) -> bool:
        """Whether the module is called with one tensor of floats, as in a Sequential."""
        return self.call.startswith("m(x)") and self.inputs["x"].is_floating_point()

    @property
    def compositions(self) -> dict[str, str]:
        """The expressions in which the module is tried."""
        make, call, after = self.make, self.call, self.call.removeprefix("m(x)")
        behind = "" if after else ", nn.Dropout(0.5), nn.Tanh()"
        network = f"net = nn.Sequential(nn.Hardswish(), {make}{behind}); net(x){after}.sin().mean()"
        before = f"before = nn.Sequential(nn.Hardswish(), nn.Dropout(0.25)); m = {make}"
        nested = f"net = nn.Sequential(nn.Sequential(nn.Identity(), {make}), nn.ELU())"
        part = "m = net[0]" if self.simple else "m = net[-2][1:][0]"
        penalty, evaluated = f"{self.parameter}.square().sum()/8", call.replace("m(", "m.eval()(")
        return {
            "alone": f"m = {make}; {call}.sin().mean()",
            "in a network": network if self.simple else f"{before}; {self.at('before(x)')}.sin().mean()",
            "twice": f"m = {make}; h = {call}; (h*{self.at('(x/2)')}).mean() + h.cos().sum()",
            "penalty": f"s = rand(1); m = {make}; n = rand(1); h = {call}; (h.sin()*n*s).mean() + {penalty}",
            "eval": f"m = {make}.eval(); m.train(); h = {call}; (h.sin()*{evaluated}).mean()",
            "nested": f"{nested}; {part}; net[1]({call}).sin().mean()",
        }  # fmt: skip


@cache
def cases() -> tuple[Case, ...]:
    found: list[Case] = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            make, shapes, call = (*map(str.strip, line.split("|")), "m(x)")[:3]
            torch.manual_seed(len(found))
            inputs = dict(zip("xyz", map(tensor, shapes.split()), strict=False))
            module = eval(make, {"nn": nn, **inputs})
            names = [f"m.{name}" for name, _ in module.named_parameters()]
            found.append(Case(make, inputs, call, in_expression(names[0]) if names else "s"))
    return tuple(found)


def tensor(shape: str) -> Tensor:
    """Numbers that every dtype holds; `i3x4<5`: indices below 5."""
    sizes, _, classes = shape.removeprefix("i").partition("<")
    shaped = [int(size) for size in sizes.split("x")]
    if classes:
        return torch.randint(0, int(classes), shaped)
    return torch.randn(shaped).bfloat16().double()


def test_every_module_that_expressions_may_make_is_among_the_cases() -> None:
    made = set(re.findall(r"nn\.(\w+)", CASES.read_text(encoding="utf-8")))
    assert operators.entries()["layers"] == [n for n in operators.entries()["layers"] if n in made]
    assert len(made) >= 50


def plain(text: str, inputs: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Any]:
    """The value, the parameters and the gradients of a text as a PyTorch program; raises what
    PyTorch raises.
    """
    with default_dtype(dtype):
        torch.manual_seed(0)
        leaves = {
            name: x.to(dtype if x.is_floating_point() else x.dtype) for name, x in inputs.items()
        }
        for leaf in leaves.values():
            leaf.requires_grad_(leaf.is_floating_point())
        space: dict[str, Any] = {"nn": nn, "torch": torch, "rand": torch.rand, **leaves}
        exec("; ".join([*text.split("; ")[:-1], f"result = {text.split('; ')[-1]}"]), space)
        names: dict[int, str] = {}
        for name, module in space.items():
            if isinstance(module, nn.Module):
                for path, parameter in module.named_parameters():
                    names.setdefault(id(parameter), f"{name}.{path}")
                    leaves.setdefault(names[id(parameter)], parameter)
        by = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
        found = torch.autograd.grad(space["result"], [*by.values()], allow_unused=True)
        gradients = dict.fromkeys(leaves) | dict(zip(by, found, strict=True))
    return {"value": space["result"], "inputs": leaves, "gradients": gradients}


@pytest.mark.filterwarnings("ignore")
def test_gradients_of_every_module_in_compositions_equal_plain_pytorch() -> None:
    tried = list(to_try())
    jobs = b"\n".join(orjson.dumps(job(*each)) for each in tried)
    ran = run("batch", "--jobs", "1", stdin=jobs)
    answers = list(map(orjson.loads, ran.stdout.splitlines()))
    differing = []
    for (text, case, dtype), answer in zip(tried, answers, strict=True):
        try:
            own = plain(text, case.inputs, dtype)
        except RuntimeError as error:
            if "error" not in answer:
                differing.append(f"{text} {dtype}: computed, but PyTorch: {error}")
            continue
        if "error" in answer:
            differing.append(f"{text} {dtype}: {answer['error']['message']}")
        else:
            # An embedding with max_norm scales rows in place: once more here, which rounds.
            tolerance = 0.01 if "max_norm" in text and dtype in LOWER else 0
            differing += [f"{text} {dtype}: {name}" for name in different(own, answer, tolerance)]
    assert not differing, "\n".join(differing)


def to_try() -> Iterator[tuple[str, Case, torch.dtype]]:
    """Every composition in float64, and one of them in each other dtype: another for each module."""
    for number, case in enumerate(cases()):
        texts = [*case.compositions.values()]
        yield from ((text, case, torch.float64) for text in texts)
        for place, dtype in enumerate(LOWER):
            yield texts[(number + place) % len(texts)], case, dtype


def job(text: str, case: Case, dtype: torch.dtype) -> dict[str, Any]:
    given = {
        name: x.tolist() if x.is_floating_point() else f"tensor({x.tolist()})"
        for name, x in case.inputs.items()
    }
    return {"command": "grad", "expression": text, "inputs": given, "dtype": str(dtype)[6:]}


def different(own: dict[str, Any], answer: dict[str, Any], tolerance: float) -> Iterator[str]:
    """The numbers of an answer that are not PyTorch's."""
    if [*own["inputs"]] != [*answer["inputs"]]:
        yield f"inputs {[*answer['inputs']]}, not {[*own['inputs']]}"
        return
    pairs = {"value": (own["value"], answer["value"])}
    for part in ("inputs", "gradients"):
        pairs |= {f"{part}.{n}": (x, answer[part].get(n)) for n, x in own[part].items()}
    for name, (wanted, got) in pairs.items():
        if wanted is None or got is None:
            if wanted is not got:
                yield f"{name} is {got}, not {wanted}"
        else:
            read = torch.tensor(got, dtype=wanted.dtype).reshape(wanted.shape)
            if not torch.allclose(read, wanted.detach(), rtol=tolerance, atol=0):
                yield f"{name} is {got}, not {wanted.tolist()}"
