"""The error doctor: every mistake is really made, every cure really cures, and every text finds its
entry.

PyTorch says the texts live, so that a release that words one differently fails here. Numbers come
from closed forms.
"""

import html
import math
import os
import pty
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TextIO

import orjson
import pytest

from gradcli.catalogue.mistakes import ALIASES, FAMILIES, MISTAKES
from gradcli.catalogue.mistakes.entry import MARK, Mistake
from gradcli.commands.why import compute as why
from gradcli.commands.why.request import Entry, Why
from gradcli.commands.why.result import Demonstration
from gradcli.errors import SizeError, UsageError
from gradcli.language import matching
from gradcli.world import World
from tests.choice import first_usual, in_rows, rare
from tests.cli.test_laziness import HEAVY, RENDERING, loaded
from tests.commands import mistake_numbers
from tests.program import TORCH, run

ROOT = Path(__file__).parents[2]
PASTED = ("pasted.txt", "messages.txt", "messages_kept.txt")
E = math.e
A = [2.0, 1.0, 0.1]
B = [0.0, 3.0, 1.0]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bump(x: float) -> float:
    """The slope of the sigmoid."""
    return sigmoid(x) * sigmoid(-x)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def softmax(a: list[float]) -> list[float]:
    return [math.exp(x) / sum(map(math.exp, a)) for x in a]


def entropy(a: list[float], target: int) -> float:
    """Cross entropy of logits against a class."""
    return math.log(sum(map(math.exp, a))) - a[target]


def carried() -> float:
    """The gradient of two steps h = tanh(w h + x), each by itself, added up."""
    first = math.tanh(0.5 + 1)
    second = math.tanh(0.5 * first + 2)
    return (1 - first**2) * 1 + (1 - second**2) * first


def twice_softened() -> list[float]:
    """Loss and gradient of cross_entropy(softmax(A), 0)."""
    p = softmax(A)
    q = softmax(p)
    upstream = [q[i] - (i == 0) for i in range(3)]
    slope = [sum(upstream[i] * p[i] * ((i == j) - p[j]) for i in range(3)) for j in range(3)]
    return [entropy(p, 0), *slope]


P = softmax(A)
SLOPES = [P[i] * ((i == j) - P[j]) for i in range(3) for j in range(3)]
PAIR = (entropy(A, 0) + entropy(B, 1)) / 2
LOGITS_LOSS = (softplus(-2) + softplus(-1)) / 2
UNCERTAIN = math.log(sum(map(math.exp, A))) - 1.5

WRONG: dict[str, list[float]] = {
    **mistake_numbers.WRONG,
    **({"scalar-of-grad": [math.e]} if TORCH < (2, 8) else {}),  # no warning yet
    "wrong-cure": [],
    "flag-typo": [],
    "softmax-sum": [0, 0, 0],
    "accumulate": [4, 8, 12],
    "data-attribute": [0, 0],
    "kink": [0, 0.01, 1, 0],
    "ties": [1, 0, 0],
    "branch": [2],
    "not-a-number": [math.nan, 1, -1],
    "nan-where": [math.nan, 0.25],
    "nan-sqrt": [math.nan, math.nan],
    "nan-xlogx": [math.nan, math.nan, -1],
    "eigenvector-nan": [math.nan] * 4,
    "underflow": [math.inf, math.nan, math.nan],
    "saturation": [100, 0],
    "dead-relu": [0, 0],
    "float-precision": [0],
    "learning-rate": [-1.2, 1.44, -1.728, 2.0736],
    "squared-norm": [20, 4, 8],
    "reduction": [2 / 3, 4 / 3, 2],
    "fixed-size": [5, 9],
    "moving-target": [2, 2],
    "double-softmax": twice_softened(),
    "sigmoid-twice": [softplus(-sigmoid(4)), (sigmoid(sigmoid(4)) - 1) * bump(4)],
    "probabilities": [2 * UNCERTAIN, 2 * P[0] - 1, 2 * P[1] - 1, 2 * P[2]],
    "ignored-targets": [math.nan],
    "jacobian-shape": [2, 3, 2, 3],
    "closed-form": SLOPES,
}
"""What the program of a mistake prints where PyTorch says nothing."""

RIGHT: dict[str, list[float]] = {
    **mistake_numbers.RIGHT,
    "no-grad": [4],
    "late-flag": [2],
    "no-grad-block": [4],
    "detached": [4],
    "not-differentiable": [bump(-0.3), bump(0.4)],
    "step-activation": [0, 1, bump(-1), bump(2)],
    "item-breaks": [4, 4],
    "int-dtype": [2, 4],
    "unused-input": [6, 0],
    "grad-of-plain-input": [2, 3],
    "wrong-cure": [2],
    "flag-typo": [],
    "grad-none": [4],
    "non-leaf-grad": [12],
    "tensor-copy": [16],
    "numpy-on-grad": [1, 2, E, E**2],
    "scalar-of-grad": [E],
    "inference-mode": [3, 3],
    "non-scalar": [2, 4],
    "complex-loss": [2, 4],
    "vjp-shape": [2, 40],
    "second-derivative": [12, 12],
    "create-graph-leak": [12],
    "softmax-sum": [-P[1] * P[0], P[1] * (1 - P[1]), -P[1] * P[2]],
    "custom-function": [2],
    "backward-twice": [4, 4],
    "shared-graph": [5 * E],
    "carried-state": [carried()],
    "accumulate": [4, 4, 4],
    "inplace-saved": [E, E**2],
    "step-before-backward": [5, 16, 0.5, 0.4],
    "inplace-leaf": [0.9, 1.9],
    "reassigned-leaf": [1.6, 1.28],
    "inplace-view": [2, 2],
    "inplace-expanded": [2, 2, 2],
    "data-attribute": [bump(1), bump(2)],
    "kink": [0.5],
    "ties": [0.5, 0.5, 0],
    "branch": [2 * sigmoid(1), -4 * bump(1)],
    "not-a-number": [
        math.log(softplus(1)) + math.log(softplus(-1)), sigmoid(1) / softplus(1), sigmoid(-1) / softplus(-1),
    ],
    "anomaly": [0],
    "nan-where": [0, 0.25],
    "nan-sqrt": [0, 0],
    "nan-xlogx": [0, math.inf, -1],
    "eigenvector-nan": [1, 0, 0, 1],
    "underflow": [200, -1, 1],
    "saturation": [200, 1],
    "dead-relu": [0.01, 0.01],
    "float-precision": [1],
    "gradcheck-float32": [],
    "learning-rate": [0.8, 0.64, 0.512, 0.4096],
    "squared-norm": [10, 2, 4],
    "reduction": [2, 4, 6],
    "fixed-size": [5, 18],
    "moving-target": [3, 3],
    "kl-reduction": [0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)],
    "double-softmax": [entropy(A, 0), P[0] - 1, P[1], P[2]],
    "sigmoid-twice": [softplus(-4), sigmoid(4) - 1],
    "probabilities": [UNCERTAIN, P[0] - 0.5, P[1] - 0.5, P[2]],
    "class-target": [PAIR],
    "one-hot-target": [PAIR],
    "class-shape": [PAIR],
    "class-range": [(entropy(A, 0) + entropy(B, 2)) / 2],
    "batch-size": [PAIR],
    "ignored-targets": [0],
    "bce-range": [LOGITS_LOSS],
    "bce-dtype": [-(math.log(0.9) + math.log(0.8)) / 2],
    "broadcast": [0],
    "target-size": [LOGITS_LOSS],
    "shape-mismatch": [2, 10],
    "size-mismatch": [2] * 6,
    "dtype-mix": [3],
    "integer-mean": [1.5],
    "device-mix": [2, 2],
    "softmax-dim": [sigmoid(1), sigmoid(-1)],
    "optimizer-leaf": [0.4, 0.4],
    "func-grad-scalar": [2, 0, 0, 4],
    "jacobian-shape": [2, 3, 3],
    "closed-form": SLOPES,
    "vmap-branch": [1, 2],
    "vmap-item": [0.25] * 8,
    "vmap-random": [1, 1],
    "vmap-inplace": [1, 4],
}  # fmt: skip
"""What every cured program prints."""

COMMONEST = {
    **dict.fromkeys(
        (
            "late-flag",
            "no-grad-block",
            "detached",
            "not-differentiable",
            "second-derivative",
            "frozen",
            "sampled",
        ),
        "no-grad",
    ),
    "indexed-grad": "non-leaf-grad",
    "integer-inplace": "bce-dtype",
    **dict.fromkeys(("shared-graph", "carried-state"), "backward-twice"),
}
"""The mistakes of which PyTorch says the same as of a commoner one."""

each_mistake = pytest.mark.parametrize(
    "mistake", MISTAKES.values(), ids=lambda mistake: mistake.name
)
SPEAKING = [mistake for name, mistake in MISTAKES.items() if name not in WRONG]
each_that_speaks = pytest.mark.parametrize(
    "mistake",
    first_usual(SPEAKING, in_rows(3, SPEAKING)),
    ids=lambda mistake: mistake.name,
)


@cache
def demonstrated(name: str) -> tuple[Demonstration, Demonstration]:
    return why.demonstrations(MISTAKES[name])


def made(name: str) -> Demonstration:
    return demonstrated(name)[0]


def said(name: str) -> str:
    return "\n".join(made(name).messages)


def numbers(lines: list[str]) -> list[float]:
    found = re.findall(r"(?<![\w.])-?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan\b|inf\b)", "\n".join(lines))
    return [float(number) for number in found]


def about(values: list[float]) -> object:
    """Equal to the four digits that a printed tensor shows."""
    return pytest.approx(values, rel=1e-4, abs=6e-5, nan_ok=True)


def asked(text: str) -> Entry:
    found = Why(words=(text,)).find(str)
    assert found
    return found


def finds(text: str, name: str) -> None:
    """The text gives the entry, or the commonest one of those that share it, which names the
    others.
    """
    found = asked(text)
    assert found.mistake.name == COMMONEST.get(name, name)
    assert name in (found.mistake.name, *found.related)


# the table


def test_names_are_given_once() -> None:
    assert len(MISTAKES) == sum(map(len, FAMILIES.values())) == len(RIGHT)
    assert not {*MISTAKES} & {*ALIASES}
    assert {*ALIASES.values()} <= {*MISTAKES}


def test_every_entry_is_whole() -> None:
    for name, mistake in MISTAKES.items():
        texts = [
            mistake.title,
            mistake.program,
            mistake.cause,
            mistake.cure,
            mistake.cured,
            *mistake.fragments,
            mistake.in_training,
            mistake.run_finds,
        ]
        assert all(texts), name
        assert all(text.isascii() for text in texts), name
        assert "\n" not in mistake.title + mistake.cause + mistake.cure, name
        assert MARK in mistake.program, name
        assert MARK not in mistake.cured, name
        assert {*mistake.related} <= {*MISTAKES} - {name}, name
        assert mistake.related, name


# mistakes are really made, and really cured


@each_that_speaks
def test_pytorch_says_what_the_entry_knows(mistake: Mistake) -> None:
    assert mistake in matching.by_text(said(mistake.name))
    assert "Triggered internally" not in said(mistake.name)
    assert "File " not in said(mistake.name)


@pytest.mark.parametrize("name", WRONG)
def test_a_silent_mistake_prints_the_wrong_number(name: str) -> None:
    assert made(name).messages == []
    assert numbers(made(name).printed) == about(WRONG[name])


def test_what_silent_mistakes_print_that_is_no_number() -> None:
    assert made("wrong-cure").printed == ["None"]
    assert made("flag-typo").printed == ["False"]


@each_mistake
def test_the_cure_works(mistake: Mistake) -> None:
    _, cured = demonstrated(mistake.name)
    assert cured.messages == []
    assert cured.printed
    assert numbers(cured.printed) == about(RIGHT[mistake.name])


# texts find their entries


@each_that_speaks
def test_what_pytorch_says_finds_its_entry(mistake: Mistake) -> None:
    finds(said(mistake.name), mistake.name)
    finds(said(mistake.name).partition(": ")[2], mistake.name)
    finds(said(mistake.name).replace(" ", "\r\n   "), mistake.name)


CHANGES = (
    (r"\d+", "417"),
    (r"(?<!')\b(?:Float|Double|float|double)\b", "Half"),
    (r"\bLong\b", "Int"),
    (r"torch\.FloatTensor \[[\d, ]*\]", "torch.cuda.HalfTensor [64, 10]"),
    (r"torch\.Size\(\[[\d, ]*\]\)", "torch.Size([8, 3, 224, 224])"),
    (r"attribute '\w+'", "attribute 'clone'"),
    (r"'float' object", "'int' object"),
    (r"\b(Pow|Scale)Backward0?\b", "SqrtBackward0"),
    (r"\bExp\b|\bUnbind\b", "AddmmBackward0"),
    (r"\bcpu\b|\bmeta\b", "cuda:1"),
    (r"complex64", "complex128"),
    (r"for \*:", "for -=:"),
    (r"aten::\w+", "aten::floor_divide"),
    (r"softmax", "log_softmax"),
)


@each_that_speaks
def test_other_numbers_shapes_types_and_names_find_it_too(mistake: Mistake) -> None:
    text = said(mistake.name)
    for pattern, other in CHANGES:
        found = asked(re.sub(pattern, other, text))
        assert mistake.name in (found.mistake.name, *found.related), (pattern, found)


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("torch.tensor([1, 2]).requires_grad_()", "int-dtype"),
        ("x = torch.zeros(2, requires_grad=True)\nx[0] = 1", "inplace-leaf"),
        ("x = torch.ones(2, requires_grad=True)\nimport numpy\nnumpy.exp(x)", "numpy-on-grad"),
        ("F.nll_loss(torch.ones(2, 3), torch.tensor([0.0, 1.0]))", "class-target"),
        ("F.binary_cross_entropy(torch.rand(3), torch.rand(3, 1))", "target-size"),
        ("F.binary_cross_entropy_with_logits(torch.rand(3), torch.tensor([0, 1, 1]))", "bce-dtype"),
        ("torch.softmax(torch.ones(2))", "softmax-dim"),
        ("F.log_softmax(torch.ones(2))", "softmax-dim"),
        ("torch.ones(2, 3) @ torch.ones(2)", "shape-mismatch"),
        ("torch.ones(2) @ torch.ones(3)", "shape-mismatch"),
        ("nn.Linear(3, 1)(torch.ones(2, 2))", "shape-mismatch"),
        ("torch.ones(2, 3).expand(2, 4)", "size-mismatch"),
        ("nn.Linear(2, 2)(torch.ones(2, 2).double())", "dtype-mix"),
        ("nn.Conv2d(1, 1, 1)(torch.ones(1, 1, 2, 2).double())", "dtype-mix"),
        ("x = torch.ones((), requires_grad=True)\ntorch.autograd.grad(torch.ones(()), x)", "no-grad"),
        ("w = torch.ones(())\nloss = w * 2\nw.requires_grad_()\ntorch.autograd.grad(loss, w)", "no-grad"),
        ("F.cross_entropy(torch.ones(2, 3), torch.tensor(0))", "batch-size"),
        ("t = torch.zeros(2)\ntorch.func.vmap(lambda x: t.mul_(x))(torch.ones(3, 2))", "vmap-inplace"),
    ],
)  # fmt: skip
def test_the_same_mistake_said_in_other_words(program: str, name: str) -> None:
    text = why.run(program).messages[-1]
    assert asked(text).mistake.name == name, text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("RuntimeError: element 0 of variables does not require grad and does not have a grad_fn", "no-grad"),
        ("element 0 of tensors ...", "no-grad"),
        ("RuntimeError: The size of tensor a (3) must match", "size-mismatch"),
        ("does not require grad and does not have a grad_fn", "no-grad"),
        ("Trying to backward through the graph a second time, but the buffers have already been freed. Specify "
         "retain_graph=True when calling backward the first time.", "backward-twice"),
        ("RuntimeError: Trying to backward through the graph a second time, but the saved intermediate results have "
         "already been freed. Specify retain_graph=True when calling .backward() or autograd.grad() the first time.",
         "backward-twice"),
        ("one of the variables needed for gradient computation has been modified by an inplace operation",
         "inplace-saved"),
        ("RuntimeError: a leaf Variable that requires grad has been used in an in-place operation.", "inplace-leaf"),
        ("RuntimeError: leaf variable has been moved into the graph interior", "inplace-leaf"),
        ("RuntimeError: Only Tensors of floating point dtype can require gradients", "int-dtype"),
        ("Can't call numpy() on Variable that requires grad. Use var.detach().numpy() instead.", "numpy-on-grad"),
        ("One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this "
         "is the desired behavior.", "unused-input"),
        ("RuntimeError: size mismatch, m1: [2 x 3], m2: [4 x 5] at /pytorch/aten/src/TH/generic/THTensorMath.cpp:41",
         "shape-mismatch"),
        ("RuntimeError: Expected object of scalar type Float but got scalar type Double for argument #2 'mat2'",
         "dtype-mix"),
        ("RuntimeError: Expected object of scalar type Long but got scalar type Float for argument #2 'target'",
         "class-target"),
        ("RuntimeError: expected scalar type Long but found Float", "class-target"),
        ("RuntimeError: expected scalar type Double but found Float", "dtype-mix"),
        ("RuntimeError: Found dtype Double but expected Float", "dtype-mix"),
        ("RuntimeError: Expected object of type torch.LongTensor but found type torch.FloatTensor for argument #2 "
         "'target'", "class-target"),
        ("RuntimeError: 1D target tensor expected, multi-target not supported", "class-shape"),
        ("RuntimeError: multi-target not supported at /pytorch/aten/src/THNN/generic/ClassNLLCriterion.c:21",
         "class-shape"),
        ("RuntimeError: Assertion `cur_target >= 0 && cur_target < n_classes' failed.", "class-range"),
        ("RuntimeError: CUDA error: device-side assert triggered", "class-range"),
        ("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!", "device-mix"),
        ("Expected all tensors to be on the same device, but found at least two devices, cpu and mps:0! (when checking "
         "argument for argument mat1 in method wrapper_CUDA_addmm)", "device-mix"),
        ("Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) should be the same", "device-mix"),
        ("RuntimeError: Input type (torch.cuda.HalfTensor) and bias type (torch.cuda.FloatTensor) should be the same",
         "dtype-mix"),
        ("RuntimeError: Can only calculate the mean of floating types. Got Long instead.", "integer-mean"),
        ("RuntimeError: mean(): input dtype should be either floating point or complex dtypes. Got Long instead.",
         "integer-mean"),
        ("AttributeError: 'NoneType' object has no attribute 'data'", "grad-none"),
        ("AttributeError: 'numpy.float64' object has no attribute 'backward'", "item-breaks"),
        ("TypeError: unsupported operand type(s) for *: 'NoneType' and 'float'", "reassigned-leaf"),
        ("RuntimeError: derivative for argmax is not implemented", "step-activation"),
        ("x.requires_grad(True)\nTypeError: 'bool' object is not callable", "flag-typo"),
        ("torch.autograd.grad(x.item(), x)\nTypeError: 'float' object is not iterable", "item-breaks"),
        ("RuntimeError: Function 'SqrtBackward' returned nan values in its 0th output.", "anomaly"),
        ("ValueError: Target and input must have the same number of elements. Using a target size (torch.Size([3, 1])) "
         "that is different to the input size (torch.Size([3])) is deprecated. Please ensure they have the same size.",
         "target-size"),
    ],
)  # fmt: skip
def test_earlier_wordings_and_pieces(text: str, name: str) -> None:
    assert asked(text).mistake.name == name


def pasted_cases() -> Iterator[tuple[str, str]]:
    """The texts of the files of pasted texts, each with the entry that it means; `-`: none."""
    for name in PASTED:
        text = (ROOT / "tests" / "cases" / name).read_text(encoding="utf-8")
        for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
            name, _, said = block.partition("\n")
            yield name, said


def wrapped(text: str, width: int) -> str:
    """The text as a terminal of this width has it: words are cut."""
    return "\n".join(
        line[start : start + width]
        for line in text.split("\n")
        for start in range(0, max(1, len(line)), width)
    )


def quoted(text: str) -> str:
    return "".join(f"> {line}\n" for line in text.split("\n"))


@pytest.mark.parametrize(
    "copied",
    [str, rare(lambda text: wrapped(text, 60)), rare(lambda text: wrapped(text, 72)), rare(lambda text: wrapped(text, 80)),
     rare(quoted), html.escape, lambda text: quoted(wrapped(text, 70)), rare(lambda text: text.replace("\n", "\r\n")),
     rare(lambda text: f'"{text}"')],
    ids=["plain", "60 columns", "72 columns", "80 columns", "quoted", "HTML", "wrapped and quoted", "CRLF", "in quotes"],
)  # fmt: skip
def test_pasted_texts_find_their_entry_however_they_were_copied(
    copied: Callable[[str], str],
) -> None:
    cases = list(pasted_cases())
    assert sum(name != "-" for name, _ in cases) >= 300
    assert sum(name == "-" for name, _ in cases) >= 100
    wrong = []
    for name, text in cases:
        found = [mistake.name for mistake in matching.by_text(copied(text))]
        if found[:1] != [name] * (name != "-"):
            wrong.append((name, found, copied(text)))
    assert wrong == []


def test_nothing_is_near_to_an_error_of_something_else() -> None:
    near = {
        text: found
        for name, text in pasted_cases()
        if name == "-" and (found := matching.nearest(matching.last_said(text)))
    }
    assert near == {}


def test_an_unknown_error_after_a_known_warning_is_not_answered_by_the_warning() -> None:
    text = f"train.py:3: {said('broadcast')}\n  return F.mse_loss(x, y)\n"
    assert asked(text).mistake.name == "broadcast"
    assert (
        matching.by_text(text + "Traceback (most recent call last):\n  File x\nKeyError: 'val'\n")
        == []
    )
    assert matching.by_text(text + "KeyError: 'val'\n") == []
    assert (
        matching.by_text(
            text
            + "Traceback (most recent call last):\n  File x\nyaml.scanner.Scan: mapping values\n"
        )
        == []
    )
    known = f"Traceback (most recent call last):\n  File x\n{said('non-scalar')}\n"
    assert asked(text + known).mistake.name == "non-scalar"
    assert asked(known + text).mistake.name == "non-scalar"


def test_a_line_without_a_name_of_an_error_counts() -> None:
    line = said("non-scalar").partition(": ")[2]
    assert (
        asked(f"{line}\nmain.py:1: FutureWarning: this will change\n").mistake.name == "non-scalar"
    )
    assert (
        asked(f"main.py:1: {said('broadcast')}\n  return F.mse_loss(x, y)\n{line}\n").mistake.name
        == "non-scalar"
    )


def questions() -> Iterator[tuple[str, list[str]]]:
    """The questions of tests/cases/symptoms.txt, each with the entry that comes first."""
    for line in (
        (ROOT / "tests" / "cases" / "symptoms.txt").read_text(encoding="utf-8").splitlines()
    ):
        name, _, asked_ones = line.partition(": ")
        if not line.startswith("#"):
            yield from ((each.strip(), [name] * (name != "-")) for each in asked_ones.split("|"))


def test_a_symptom_in_plain_words_finds_its_entry() -> None:
    assert sum(bool(names) for _, names in questions()) >= 100
    found = {
        question: [mistake.name for mistake in matching.by_text(question)][:1]
        for question, _ in questions()
    }
    assert found == dict(questions())


def test_other_likely_causes_of_a_symptom_are_related() -> None:
    assert {"learning-rate", "accumulate", "zeroed-before-step"} <= {*asked("loss 不下降").related}
    assert {"anomaly", "learning-rate"} <= {*asked("why loss is nan").related}
    words = ("why", "loss", "is", "nan")
    assert Why(words=words).find(str) == asked("why loss is nan")
    assert run("why", "梯度消失").stdout == run("why", "vanishing", "gradients").stdout


def test_the_line_of_a_traceback_tells_causes_of_one_message_apart() -> None:
    message = said("no-grad")
    shown = asked(
        f"  File 'a.py', line 9\n    scores.argmax(1).float().mean().backward()\n{message}"
    )
    assert shown.mistake.name == "not-differentiable"
    assert "no-grad" in shown.related
    assert asked(message).mistake.name == "no-grad"


def shown_traceback() -> str:
    """A real traceback: a warning's mistake, then a failure in the handling of another."""
    try:
        try:
            exec(MISTAKES["grad-none"].code, {})
        except AttributeError:
            exec(MISTAKES["non-scalar"].code, {})
    except RuntimeError:
        return traceback.format_exc()
    raise AssertionError


def test_the_last_error_of_a_traceback_counts() -> None:
    text = shown_traceback()
    assert "has no attribute" in text
    assert asked(text).mistake.name == "non-scalar"
    assert asked("epoch 1 loss 0.5\n" + text.replace("\n", "\r\n")).mistake.name == "non-scalar"
    assert (
        asked(
            "\x1b[31m" + text.replace("RuntimeError", "\x1b[1;35mRuntimeError\x1b[0m")
        ).mistake.name
        == "non-scalar"
    )


def test_an_earlier_error_counts_where_the_last_is_unknown() -> None:
    assert (
        asked(shown_traceback() + "\nmylib.TrainingError: epoch 3 failed\n").mistake.name
        == "non-scalar"
    )


def test_source_lines_of_a_traceback_do_not_count() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "optimizer.py", line 9, in add_param_group\n'
        '    raise ValueError("can\'t optimize a non-leaf Tensor")\n'
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x3 and 4x2)\n"
    )
    assert asked(text).mistake.name == "shape-mismatch"


@pytest.mark.parametrize(
    "text",
    ["the cat sat on the mat", "KeyError: 'a b c'", "ModuleNotFoundError: No module named 'torch nn'", ". .",
     "x " * 40_000, rare("x " * 400_000), "KeyError: 'a b c'\n" * 5_000, rare("KeyError: 'a b c'\n" * 50_000)],
)  # fmt: skip
def test_a_text_that_is_not_known(text: str) -> None:
    with pytest.raises(UsageError, match="no known mistake"):
        Why(words=(text,)).find(str)


def test_a_text_that_is_too_long() -> None:
    with pytest.raises(SizeError, match="at most 1,000,000"):
        Why(words=("x " * 500_001,)).find(str)


# names


@pytest.mark.parametrize(
    "name", ["saturated", "double-softmax", "broadcast", "kink", "unused-input", "not-a-number", "no-derivative",
             "integer-input", "softmax-dim", "probabilities", "these-sizes", "branch",
             "squared-norm", "wrong-cure", "No_Grad", " nan "],
)  # fmt: skip
def test_names_of_notes_and_other_spellings(name: str) -> None:
    assert matching.by_name(name)


def test_a_name_may_be_given_as_words() -> None:
    assert run("why", "Non", "scalar", "--json").json["name"] == "non-scalar"


def test_every_why_entry_of_an_error_is_an_entry() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "gradcli").rglob("*.py")]
    entries = {name for source in sources for name in re.findall(r'why_entry="([^"]+)"', source)}
    assert "non-scalar" in entries
    assert {name for name in entries if matching.by_name(name) is None} == set()


# the command


def test_the_list() -> None:
    shown = run("why")
    assert shown.status == 0
    for family, mistakes in FAMILIES.items():
        assert f"\n{family}\n" in shown.stdout
        for mistake in mistakes:
            assert re.search(
                rf"^  {mistake.name} +{re.escape(mistake.title)}$", shown.stdout, re.MULTILINE
            )
    listed = run("why", "--json").json
    assert listed == {
        "mistakes": [
            {"name": mistake.name, "family": family, "title": mistake.title}
            for family, mistakes in FAMILIES.items() for mistake in mistakes
        ]
    }  # fmt: skip
    assert run("why", stdin=" \n\n").stdout == shown.stdout


def test_an_entry_shows_the_mistake_and_the_cure() -> None:
    shown = run("why", "late-flag")
    assert shown.status == 0
    assert shown.stderr == ""
    parts = ["late-flag: ", "no gradient", "w.requires_grad_()  # <--", "RuntimeError: element 0 of tensors",
             "Why", "Cure", "print(w.grad)", "tensor(2.)", "no-grad"]  # fmt: skip
    places = [shown.stdout.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_an_entry_tells_of_training_and_of_the_users_own_program() -> None:
    shown = run("why", "never-updated").stdout
    mistake = MISTAKES["never-updated"]
    plain = " ".join(shown.split())
    places = [plain.find(part) for part in ("In a training loop " + mistake.in_training, " Cure ")]
    assert -1 not in places
    assert places == sorted(places)
    assert plain.endswith("In your own program " + mistake.run_finds)


def test_an_entry_that_needs_more_than_this_machine_is_told_and_says_so() -> None:
    shown = run("why", "cudnn-eval")
    assert (shown.status, shown.stderr) == (0, "")
    assert shown.stdout.count("(not run here: it needs a GPU)") == 2
    entry = run("why", "cudnn-eval", "--json").json
    assert entry["error"] == "RuntimeError: cudnn RNN backward can only be called in training mode"
    assert "not run here" not in run("why", "non-scalar").stdout


def test_few_entries_are_not_run() -> None:
    told = {mistake.name for mistake in MISTAKES.values() if mistake.elsewhere}
    assert told == {"compiled-twice", "cudnn-eval", "output-overwritten"}


def test_a_silent_entry_shows_the_wrong_number() -> None:
    assert "tensor(12.)" in run("why", "accumulate").stdout
    entry = run("why", "accumulate", "--json").json
    assert entry["error"] == "tensor(4.)\ntensor(8.)\ntensor(12.)"


def test_prose_fits_the_terminal_and_the_program_is_whole() -> None:
    shown = run("why", "backward-twice", env={"COLUMNS": "50"}).stdout
    assert 40 < max(map(len, shown.splitlines())) <= 50
    assert (
        "  x = torch.tensor(2.0, requires_grad=True)\n"
        in run("why", "backward-twice", env={"COLUMNS": "30"}).stdout
    )
    assert "\x1b[" in run("why", "kink", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[" not in shown


def test_the_json_of_an_entry() -> None:
    shown = run("why", "not-differentiable", "--json")
    assert list(shown.json) == ["name", "error", "cause", "cure", "code", "related"]
    assert shown.json["error"] == said("not-differentiable")
    assert shown.json["code"] == MISTAKES["not-differentiable"].code
    assert MISTAKES["not-differentiable"].cured_code in shown.json["cure"]
    assert shown.json["related"][0] == "no-grad"
    assert shown.stdout.count("\n") == 1


def test_other_causes_of_one_message_are_told_with_their_titles() -> None:
    shown = run("why", said("no-grad")).stdout
    same, related = shown[shown.index("Other causes of the same message") :].split("Related")
    others = [name for name, commonest in COMMONEST.items() if commonest == "no-grad"]
    assert [line.split()[0] for line in same.splitlines()[1:] if line[2:3].strip()] == others
    for name in others:
        assert re.search(rf"^  {name} +{re.escape(MISTAKES[name].title)}$", same, re.MULTILINE)
    assert f"wrong-cure           {MISTAKES['wrong-cure'].title}" in related
    assert "the same message" not in run("why", "non-scalar").stdout
    narrow = run("why", "late-flag", env={"COLUMNS": "50"}).stdout
    assert max(map(len, narrow.splitlines())) <= 50


def test_one_value_and_a_file(tmp_path: Path) -> None:
    assert run("why", "no-grad", "--get", "name").stdout == "no-grad\n"
    assert run("why", "no-grad", "--get", "related.0").stdout == "late-flag\n"
    assert run("why", "--get", "mistakes.0.name").stdout == "no-grad\n"
    assert run("why", "--get", "mistakes.0").json == run("why", "--json").json["mistakes"][0]
    for words in (["why", "no-grad"], ["why"]):
        assert (
            run(*words, "--out", "w.json", "--quiet", cwd=str(tmp_path)).stdout == "wrote w.json\n"
        )
        assert orjson.loads((tmp_path / "w.json").read_bytes()) == run(*words, "--json").json
    assert run("why", "no-grad", "--code", "--quiet").stdout == MISTAKES["no-grad"].code


def test_an_index_that_is_too_large_names_the_entry_about_ranges() -> None:
    assert (
        "(gradcli why class-range)"
        in run("loss", "cross_entropy", "--pred", "2,1,0.1", "--target", "3").stderr
    )
    assert (
        "(gradcli why class-target)"
        in run("loss", "cross_entropy", "--pred", "2,1,0.1", "--target", "0.5").stderr
    )


def test_the_program_makes_the_mistake() -> None:
    program = run("why", "non-scalar", "--code").stdout
    assert program == MISTAKES["non-scalar"].code
    with pytest.raises(RuntimeError) as raised:
        exec(program, {})
    text = "".join(traceback.format_exception(raised.value))
    assert said("non-scalar") in text
    piped = run("why", stdin=text)
    assert piped.stdout == run("why", "non-scalar").stdout


def test_a_pasted_text_as_one_word_or_many_or_from_a_pipe() -> None:
    text = "RuntimeError: grad can be implicitly created only for scalar outputs"
    whole = run("why", "non-scalar").stdout
    assert run("why", text).stdout == whole
    assert run("why", *text.split()).stdout == whole
    assert run("why", stdin=text).stdout == whole
    assert run("why", "-", stdin=text).stdout == whole
    assert run("why", stdin="non-scalar\n").stdout == whole
    assert (
        run("why", "non-scalar", stdin="element 0 of tensors does not require grad").stdout == whole
    )


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["nograd"],
            ["there is no mistake 'nograd'", f"gradcli why no-grad: {MISTAKES['no-grad'].title}"],
        ),
        (["--get", "mistakes.0.nam"], ["did you mean mistakes.0.name"]),
        (["no-grad", "--get", "cur"], ["did you mean cure"]),
        (["no-grad", "--out", "x.csv"], ["does not end in one of .json"]),
        (["xyzzy"], ["there is no mistake 'xyzzy'", "gradcli why"]),
        (
            ["the gradient of my softmax is strange"],
            ["no known mistake", "gradcli why softmax-sum"],
        ),
        (["the exploding of my vanishing"], ["no known mistake", "gradcli why saturation: "]),
        (["--code"], ["--code needs the name"]),
        (["no-grad", "--code", "--json"], ["cannot be used together"]),
        (["no-grad", "--csv"], ["there is no option --csv"]),
        (["no-grad", "--dtype", "float64"], ["there is no option --dtype"]),
        (["--out", "x.txt"], ["does not end in one of .json"]),
        (["--out", "./.json"], ["'./.json' is a suffix without a name before it"]),
    ],
)
def test_refusals(words: list[str], parts: list[str]) -> None:
    shown = run("why", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert len(shown.stderr.splitlines()) <= 7
    for part in parts:
        assert part in shown.stderr


def test_an_unknown_traceback_is_pointed_at() -> None:
    shown = run(
        "why",
        stdin="Traceback (most recent call last):\n  File x\nKeyError: 'weights of the loss'\n",
    )
    assert shown.status == 2
    assert "  KeyError: 'weights of the loss'\n  ^^^" in shown.stderr


def test_errors_of_other_commands_name_their_entry() -> None:
    assert "(gradcli why non-scalar)" in run("grad", "x**2", "x=1,2").stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [(["why"], 0), rare(["why", "--json"], 0), rare(["why", "--get", "mistakes.0.name"], 0), (["why", "nograd"], 2),
     (["why", "no-grad", "--code"], 0)],
)  # fmt: skip
def test_pytorch_stays_out_where_nothing_is_run(
    words: list[str], status: int, tmp_path: Path
) -> None:
    modules, found = loaded(tmp_path, *words)
    assert found == status
    assert modules & {*HEAVY, *RENDERING[1:]} == set()
    assert ("rich" in modules) is (words == ["why"])


# which standard inputs are read


def world(stdin: TextIO | None) -> World:
    return World(stdin, sys.stdout, sys.stderr, {}, None)


def streams(tmp_path: Path) -> Iterator[tuple[TextIO | None, bool]]:
    reader, _ = os.pipe()
    _, terminal = pty.openpty()
    (tmp_path / "log").write_text("x", encoding="utf-8")
    closed = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    closed.close()
    yield os.fdopen(reader), True
    yield open(tmp_path / "log", encoding="utf-8"), True  # noqa: SIM115
    yield os.fdopen(terminal), False
    yield open(os.devnull, encoding="utf-8"), False  # noqa: SIM115
    yield closed, False
    yield None, False


def test_only_pipes_and_regular_files_are_read(tmp_path: Path) -> None:
    for stream, fed in streams(tmp_path):
        assert world(stream).stdin_is_fed is fed
        if stream:
            stream.close()
