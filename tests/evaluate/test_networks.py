"""Modules of torch.nn in expressions against the same text as a plain PyTorch program."""

import re
import warnings
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
from tests.choice import Choose
from tests.program import ROOT, run
from tools import allow_list

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
            if not hasattr(nn, make[3:].partition("(")[0]):
                continue  # an older PyTorch
            torch.manual_seed(len(found))
            inputs = dict(zip("xyz", map(tensor, shapes.split()), strict=False))
            with warnings.catch_warnings(action="ignore"):  # of parameters without elements
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
    layers = [allow_list.split(entry)[0] for entry in operators.entries()["layers"]]
    assert layers == [name for name in layers if name in made]
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
def test_gradients_of_every_module_in_compositions_equal_plain_pytorch(
    choose: Choose[tuple[str, Case, torch.dtype]],
) -> None:
    tried = choose(to_try(), lambda each: (each[1].make, each[2] == torch.float64))
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
    """Every composition in float64, and one of them in each other dtype. They begin with another
    composition and another dtype for each module, so that the first of each kind differ.
    """
    for number, case in enumerate(cases()):
        texts = [*case.compositions.values()]
        turned = [texts[(number + place) % len(texts)] for place in range(len(texts))]
        yield from ((text, case, torch.float64) for text in turned)
        for place in range(len(LOWER)):
            yield turned[place + 1], case, LOWER[(number + place) % len(LOWER)]


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


def test_the_ledger_of_every_module_adds_up_and_its_numbers_pass_the_check(
    choose: Choose[Case],
) -> None:
    """In both modes. The ledger asserts that what it shows adds up to autograd's gradients. Only layers
    are checked: what is made of them has hundreds of numbers.
    """
    kinds = [*dict.fromkeys(map(made, cases()))]
    chosen = choose(cases(), lambda case: kinds.index(made(case)) // 3)
    jobs = [
        {**job(case.compositions["eval"], case, torch.float64), "explain": True}
        | ({} if "Transformer" in case.make or "LSTM" in case.make else {"check": True})
        for case in chosen
    ]
    ran = run("batch", "--jobs", "1", stdin=b"\n".join(map(orjson.dumps, jobs)))
    for case, line in zip(chosen, ran.stdout.splitlines(), strict=True):
        answer = orjson.loads(line)
        assert "error" not in answer, (case.make, answer["error"])
        # PyTorch's own backward pass of this one, which is written in Python, is wrong.
        assert answer.get("ok", True) or case.make == "nn.CrossMapLRN2d(3)", (
            case.make,
            answer.get("check"),
        )
        assert not any("enable_nested_tensor" in note["text"] for note in answer["notes"])


def made(case: Case) -> str:
    """The name of its module."""
    return case.make.partition("(")[0]


WRITTEN = """
l = nn.Linear(2, 2); net = nn.Sequential(l, nn.Tanh(), l); net(x).square().sum()
l = nn.Linear(2, 2); m = nn.Sequential(l, nn.ReLU()); n = nn.Sequential(l, nn.Tanh()); (m(x)*n(x) + l(x)).sum()
a, b = nn.Linear(2, 2), nn.Linear(2, 1); b(a(x)).sum()
a = nn.Linear(2, 2); b = nn.Linear(2, 2); c = a if x.shape[0] > 1 else b; c(x).sum()
net = nn.Sequential(*[nn.Linear(2, 2)]*3); net(x).prod()
net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)); (net[:2](x)*net[1:](x)).sum() + net[-1].weight.norm()
net = nn.Linear(3, 3); x.sum()
net = nn.Sequential(nn.Linear(2, 2), nn.Linear(5, 5)); net[0](x).sum()
s = rand(2); net = nn.Linear(2, 2); d = nn.Dropout(0.5); (d(x) + s + net(x) + rand(2)).prod()
net = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1)); net(x).sum() + net(x).prod()
net = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5)); net.eval(); h = net(x); net.train(); (h*net(x)).sum()
net = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5)); net.train(False); net(x).sum()
t = nn.Transformer(2, 1, 1, 1, 2).eval(); t.encoder(x[None]).sin().sum() + t.decoder.layers[0].linear1.bias.sum()
t = nn.TransformerEncoder(nn.TransformerEncoderLayer(2, 1, 2), 1, norm=nn.LayerNorm(2)); t.layers[0].norm1(x).prod()
l = nn.LayerNorm(2); t = nn.Transformer(2, 1, custom_encoder=nn.Sequential(l), custom_decoder=l); t.encoder[0](x).prod()
b = nn.BatchNorm1d(2); h = b(x.outer(x)); b.eval()(x[None]).prod() + h.prod()
l = nn.Linear(2, 2); w = l.weight; b = l.bias; (w @ x + b).prod()
"""
"""Networks as people write them, without unnamed modules; each is compared with the plain program."""

NAMED = {
    "nn.Linear(2, 1)(x) + nn.Linear(2, 1)(x)": "linear.weight linear.bias linear_2.weight linear_2.bias",
    "linear = x*2; nn.Linear(2, 1)(linear)": "linear_2.weight linear_2.bias",
    "n = nn.Linear(2, 2); h = n(x); n = nn.Linear(2, 1); n(h)": "n.weight n.bias n_2.weight n_2.bias",
    "n = [nn.Linear(2, 2), nn.Tanh()]; m = nn.Sequential(*n, nn.PReLU()); m(x).sum()": "n.0.weight n.0.bias m.2.weight",
    "nn.Sequential()(x).sum()": "",
}  # fmt: skip
"""The names of parameters, where the plain program has none."""


@pytest.mark.filterwarnings("ignore")
def test_networks_mean_what_they_mean_in_pytorch() -> None:
    inputs = {"x": torch.tensor([0.5, -1.5], dtype=torch.float64)}
    texts = WRITTEN.strip().splitlines()
    case = Case("", inputs, "", "")
    jobs = b"\n".join(orjson.dumps(job(text, case, torch.float64)) for text in (*texts, *NAMED))
    answers = list(map(orjson.loads, run("batch", "--jobs", "1", stdin=jobs).stdout.splitlines()))
    for text, answer in zip(texts, answers, strict=False):
        assert "error" not in answer, (text, answer)
        assert not [*different(plain(text, inputs, torch.float64), answer, 0)], text
    for (text, names), answer in zip(NAMED.items(), answers[len(texts) :], strict=True):
        assert " ".join(name for name in answer["inputs"] if name != "x") == names, text


def net_of(tmp_path: Path) -> nn.Sequential:
    """A network whose statistics are not those that it starts with; its state dict is in net.pt."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    net(torch.randn(8, 2))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    return net


NET = "net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)); net.eval()(x)"


def test_a_state_dict_gives_a_network_its_parameters_and_statistics(tmp_path: Path) -> None:
    net = net_of(tmp_path)
    net.eval()[0].load_state_dict({"bias": torch.tensor([1.0, 2.0, 3.0])}, strict=False)
    x = torch.tensor([[0.5, 2.0]], requires_grad=True)
    found = torch.autograd.grad(net(x), [x, *net.parameters()])
    given = ("x=[[0.5,2]]", "net=@net.pt", "net.0.bias=1,2,3")
    ran = run("grad", NET, *given, "--json", cwd=str(tmp_path)).json
    assert [*ran["gradients"]] == ["x", *(f"net.{name}" for name, _ in net.named_parameters())]
    for got, wanted in zip(ran["gradients"].values(), found, strict=True):
        torch.testing.assert_close(torch.tensor(got), wanted)
    assert ran["inputs"]["net.0.bias"] == [1, 2, 3]


def test_a_state_dict_of_another_network_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    stored = net_of(tmp_path).state_dict()
    wrong: dict[str, tuple[object, str]] = {
        "missing": ({k: v for k, v in stored.items() if k != "2.bias"}, "the file has no 2.bias"),
        "more": ({**stored, "fc": torch.ones(1)}, "the file has fc, but the module does not"),
        "prefix": ({f"module.{k}": v for k, v in stored.items()}, "its names begin with module."),
        "shape": ({**stored, "2.weight": torch.ones(3, 1)}, "net.2.weight has shape [1, 3], but [3, 1]"),
        "one": (torch.ones(3), "the file is not a dict of tensors"),
        "nested": ({"model": stored}, "name a dict of tensors in it: @nested.pt:model"),
    }  # fmt: skip
    for name, (contents, message) in wrong.items():
        torch.save(contents, tmp_path / f"{name}.pt")
        ran = run("grad", NET, "x=[[0.5,2]]", f"net=@{name}.pt", cwd=str(tmp_path))
        assert ran.status == 2
        assert message in ran.stderr, name
    ran = run("grad", NET, "x=[[0.5,2]]", "net=@net.pt", "net.9.weight=1", cwd=str(tmp_path))
    assert "there is no parameter 'net.9.weight'" in ran.stderr


def test_a_checkpoint_has_its_state_dict_behind_a_colon(tmp_path: Path) -> None:
    net = net_of(tmp_path)
    net.eval()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.tensor([[0.5, 2.0]])).sum().backward()
    optimizer.step()
    saved = {"epoch": 3, "loss": torch.ones(1), "model": net.state_dict(), "adam": optimizer.state_dict()}  # fmt: skip
    torch.save(saved, tmp_path / "all.pt")
    given = ("x=[[0.5,2]]", "net=@all.pt:model")
    found = run("grad", NET, *given, "--get", "value.0.0", cwd=str(tmp_path))
    assert float(found.stdout) == pytest.approx(net(torch.tensor([[0.5, 2.0]])).item())
    code = run("grad", NET, *given, "--code", cwd=str(tmp_path)).stdout
    assert "net.load_state_dict(torch.load('all.pt')['model'])" in code
    mean = "@all.pt:adam.state.0.exp_avg"
    found = run("value", "m", f"m={mean}", "--get", "value", cwd=str(tmp_path))
    torch.testing.assert_close(
        torch.tensor(orjson.loads(found.stdout)), optimizer.state[next(net.parameters())]["exp_avg"]
    )
    code = run("value", "m", f"m={mean}", "--code", cwd=str(tmp_path)).stdout
    assert "torch.load('all.pt')['adam']['state'][0]['exp_avg']" in code
    for wrong, said in {
        "net=@all.pt": "name a dict of tensors in it: @all.pt:model",
        "net=@all.pt:modle": "did you mean model?",
        "net=@all.pt:epoch": "'epoch' in the file is not a dict of tensors",
        "net=@net.pt:model": "'model' in the file is not a dict of tensors",
    }.items():
        ran = run("grad", NET, "x=[[0.5,2]]", wrong, cwd=str(tmp_path))
        assert (ran.status, ran.stdout) == (2, "")
        assert said in ran.stderr, wrong


def test_a_dropout_draws_the_same_mask_for_every_evaluation() -> None:
    text = "net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Tanh()); (net(x)**2).sum()"
    for command in ("grad", "hessian"):
        ran = run(command, text, "x=1,2", "--check", "--json").json
        assert ran["ok"]
        assert any(any(row) for row in ran["gradients"]["net.0.weight"])


def test_a_rule_writes_a_parameter_as_the_expression_does() -> None:
    net = "net = nn.Sequential(nn.Linear(2, 1), nn.Tanh()); net(x).sum() + net[0].weight.norm()*3"
    ledger = run("grad", net, "x=1,2", "--explain", "--json").json["ledger"]
    rules = {row["operation"]: row["rule"] for row in ledger}
    assert rules["norm -> net.0.weight"] == "net[0].weight/net[0].weight.norm()"
    masked = ("torch.masked.std(x, mask=t)", "x=1,2,4", "t=tensor([True, False, True])")
    assert run("grad", *masked, "--explain", "--get", "value").stdout.startswith("2.12132")
