"""The catalogue's tables: names, aliases, PyTorch's own defaults, and nothing of PyTorch's left
out.
"""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gradcli.catalogue import activations, losses
from gradcli.catalogue.functions import (
    ACTIVATIONS,
    CATALOGUE,
    LOSSES,
    TARGETS,
    Activation,
    Loss,
)

OURS = {
    "prelu": "PyTorch's weight has no default; 0.25 is that of nn.PReLU",
    "threshold": "PyTorch gives its two numbers no defaults",
    "step": "torch.heaviside's value at 0 is part of the definition",
    "l2_norm": "torch.norm's p is part of the definition",
    "sse": "a sum is not a parameter",
    "half_sse": "a sum is not a parameter",
}
INTERNAL = {
    "input",
    "target",
    "inplace",
    "training",
    "size_average",
    "reduce",
    "dim",
    "_stacklevel",
    "dtype",
    "out",
}
"""Parameters of PyTorch that are data, deprecated, random, or not for a user of the catalogue."""


def pytorch_defaults(path: str) -> dict[str, object]:
    """PyTorch's own parameters: from the signature, or from the first line of the docstring of a
    builtin.
    """
    module, _, name = path.partition(".")
    function = getattr({"torch": torch, "F": F}[module], name)
    try:
        return {each.name: each.default for each in inspect.signature(function).parameters.values()}
    except ValueError:
        head = (function.__doc__ or "").strip().partition(" -> ")[0]
    node = ast.parse(f"def {head}: pass").body[0]
    assert isinstance(node, ast.FunctionDef)
    names = [each.arg for each in node.args.args]
    values = [ast.literal_eval(each) for each in node.args.defaults]
    return dict(
        zip(names, [inspect.Parameter.empty] * (len(names) - len(values)) + values, strict=True)
    )


@pytest.mark.parametrize("name", [name for name in (*ACTIVATIONS, *LOSSES) if name not in OURS])
def test_defaults_are_those_of_pytorch(name: str) -> None:
    entry = CATALOGUE[name]
    expected = [item for item in pytorch_defaults(entry.torch).items() if item[0] not in INTERNAL]
    assert [(each.name, each.default) for each in entry.parameters] == expected


def test_prelu_starts_like_its_module() -> None:
    assert torch.nn.PReLU().weight.item() == ACTIVATIONS["prelu"].parameters[0].default


def test_names_and_aliases_are_unique() -> None:
    entries: list[Activation | Loss] = [*activations.ACTIVATIONS, *losses.LOSSES]
    names = [name for entry in entries for name in (entry.name, *entry.aliases)]
    assert sorted(names) == sorted(CATALOGUE)
    assert [*ACTIVATIONS, *LOSSES] == [entry.name for entry in entries]


@pytest.mark.smoke
def test_every_loss_goes_by_the_names_of_its_function() -> None:
    for entry in LOSSES.values():
        if not entry.reduction:
            own = entry.torch.partition(".")[2]
            assert CATALOGUE[own] is CATALOGUE[own.removesuffix("_loss")] is entry


@pytest.mark.smoke
def test_short_names() -> None:
    names = {
        "mse",
        "l1",
        "bce",
        "bce_with_logits",
        "ce",
        "nll",
        "kl",
        "sse",
        "half_sse",
        "l2_norm",
        "step",
    }
    assert names <= CATALOGUE.keys()


@pytest.mark.parametrize(
    ("module", "others"),
    [
        (torch.nn.modules.activation, {"glu", "multiheadattention", "softmax2d"}),
        (
            torch.nn.modules.loss,
            # more than one prediction and one target, weights of its own, or deprecated
            {
                "cosineembedding",
                "ctc",
                "gaussiannll",
                "marginranking",
                "nllloss2d",
            }
            | {"tripletmargin", "tripletmarginwithdistance"},
        ),
    ],
)
def test_nothing_of_pytorch_is_missing(module: Any, others: set[str]) -> None:
    known = {name.replace("_", "") for name in CATALOGUE} | {"linearcrossentropy"}  # since 2.13
    assert {name.lower().removesuffix("loss") for name in module.__all__} - known == others


def test_a_loss_has_a_kind_of_target_and_one_reduction() -> None:
    assert {entry.target for entry in LOSSES.values()} == TARGETS.keys()
    for entry in LOSSES.values():
        reductions = [each for each in entry.parameters if each.name == "reduction"]
        assert bool(reductions) is not bool(entry.reduction)


SPECIAL = {name for name, entry in CATALOGUE.items() if entry.code}
"""What is not PyTorch's function as it stands, under all names."""

WORDS = {"step", "threshold"}
"""English words too: of these, only what is compared with something or stands beside another
function counts."""


LIKELY = re.compile(
    rf'(?<![a-z])({"|".join(SPECIAL - WORDS)})(?![a-z])|({"|".join(WORDS)})"', re.IGNORECASE
)
"""What a file that names one has: only such a file is parsed."""


def named_in(source: str) -> set[str]:
    """The special functions that a file names, as an identifier or as a text that is no more than
    the name or its path.

    Documentation and messages are sentences, so they name none. What describes an option, its
    default among it, is the user's side of a command and does not count.
    """
    nodes = [*ast.walk(ast.parse(source))]
    options = {
        part
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("option", "argument")
        for part in ast.walk(node)
    }
    found = set()
    for node in nodes:
        if node in options:
            continue
        match node:
            case (
                ast.Set(elts=beside)
                | ast.Tuple(elts=beside)
                | ast.List(elts=beside)
                | ast.Dict(keys=beside)
            ):
                texts = {written(each) for each in beside}
                found |= texts & WORDS if len(texts & CATALOGUE.keys()) > 1 else set()
            case ast.Compare(left=left, comparators=others):
                found |= {written(each) for each in (left, *others)} & WORDS
            case ast.MatchValue(value=pattern):
                found |= {written(pattern)} & WORDS
        name = next(
            (value for key in ("id", "attr", "arg", "name") if (value := getattr(node, key, None))),
            None,
        )
        text = written(node)
        found |= {str(name).strip("_").lower(), text} & (SPECIAL - WORDS)
        found |= {text.rpartition(".")[2]} & SPECIAL if "." in text else set()
    return found


def written(node: ast.AST | None) -> str:
    """The text of a constant; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""sse, step and threshold."""', set()),
        ('raise Error("such as half_sse, mse or bce")', set()),
        ('loss = option(LOSS, "the loss", parse("half_sse"), shown="half_sse")', set()),
        (
            'Constructor(("start", "end", "step"), arange); step = arguments["step"]; gc.set_threshold(1)',
            set(),
        ),
        ('rule = call.entry.name == "step"', {"step"}),
        ('STEPWISE = frozenset({"round", "heaviside", "step"})', {"heaviside", "step"}),
        ('{"step": torch.heaviside, "prelu": F.prelu}', {"heaviside", "step", "prelu"}),
        ('half = "0.5*" if name in ("half_sse",) else ""', {"half_sse"}),
        ("def _l2_norm(pred, target): return pred", {"l2_norm"}),
        ('sums = {"catalogue.sse": 1.0}', {"sse"}),
    ],
)
def test_what_counts_as_naming_a_special_function(source: str, expected: set[str]) -> None:
    assert LIKELY.search(source) or not expected
    assert named_in(source) == expected


def test_only_the_catalogue_names_its_special_functions() -> None:
    assert {"l2_norm", "sse", "half_sse", "step", "prelu", "threshold"} <= SPECIAL
    root = Path(__file__).parents[2] / "gradcli"
    files = [path for path in root.rglob("*.py") if "catalogue" not in path.parts]
    texts = {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files}
    named = {path: named_in(text) for path, text in texts.items() if LIKELY.search(text)}
    in_an_error_of_pytorch = {"core.py": {"heaviside"}}
    assert {path: names for path, names in named.items() if names} == in_an_error_of_pytorch


def test_texts_are_ascii() -> None:
    assert repr([*ACTIVATIONS.values(), *LOSSES.values()]).isascii()
