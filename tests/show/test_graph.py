"""`--graph`: every form against PyTorch's own graph, walked here a second time from grad_fn."""

import re
import shutil
import subprocess
from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.program import run


def walked(output: Any) -> tuple[Counter[str], int]:
    """The names of the nodes behind a tensor, leaves as AccumulateGrad, and the number of edges
    between them.
    """
    seen: dict[Any, None] = {}
    agenda = [output.grad_fn]
    edges = 0
    while agenda:
        function = agenda.pop()
        if function in seen:
            continue
        seen[function] = None
        following = [other for other, _ in function.next_functions if other is not None]
        edges += len(following)
        agenda += following
    return Counter(function.name().replace("torch::autograd::", "") for function in seen), edges


def leaf(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers[0] if len(numbers) == 1 else numbers, requires_grad=True)


def dotted(text: str) -> tuple[Counter[str], int]:
    """The same facts read from the text for Graphviz."""
    names = re.findall(
        r'^ +g\d+n\d+ \[label="(?:[^"\\]|\\.)*?"(?:, shape=ellipse)?\];$', text, re.MULTILINE
    )
    found = [re.search(r"(\w+Backward\d+)", line.replace("\\n", " ")) for line in names]
    return Counter(each[1] if each else "AccumulateGrad" for each in found), len(
        re.findall(r"^ +g\d+n\d+ -> ", text, re.MULTILINE)
    )


def mermaid(text: str) -> tuple[Counter[str], int]:
    """And from the text for Mermaid."""
    names = re.findall(r'^ +g\d+n\d+(?:\["|\(\[")([^"]*)"(?:\]|\]\))$', text, re.MULTILINE)
    found = [re.search(r"(\w+Backward\d+)", line) for line in names]
    return Counter(each[1] if each else "AccumulateGrad" for each in found), len(
        re.findall(r"^ +g\d+n\d+ --> ", text, re.MULTILINE)
    )


def treed(text: str) -> tuple[Counter[str], int]:
    """And from the tree: every line but the first is an edge, and what is drawn above is not a node of
    its own.
    """
    lines = [line for line in text.splitlines() if line]
    nodes = [line for line in lines if not line.endswith(", as above")]
    found = [re.search(r"(\w+Backward\d+)", line) for line in nodes]
    return Counter(each[1] if each else "AccumulateGrad" for each in found), len(lines) - 1


def one_layer() -> torch.Tensor:
    w, x, b = leaf(3.0), leaf(1.0, 2.0), leaf(0.0)
    return F.mse_loss(w * x + b, torch.ones(2))


def shared() -> torch.Tensor:
    x = leaf(3.0)
    h = x * x
    return h * h + h + x


def unbound() -> torch.Tensor:
    a, b = leaf(2.0, 3.0).unbind()
    return a * b + torch.sin(a)


def classes() -> torch.Tensor:
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    return F.cross_entropy(weight @ leaf(1.0, -1.0), torch.tensor(0))


CASES = [
    (["mse(w*x + b, y)", "w=3", "x=1,2", "b=0", "y=1,1", "--wrt", "w,x,b"], one_layer),
    (["h = x*x; h*h + h + x", "x=3"], shared),
    (["a, b = x.unbind(); a*b + sin(a)", "x=2,3"], unbound),
    (["cross_entropy(W @ x, y)", "W=1,2;3,4;5,6", "x=1,-1", "y=0"], classes),
]


@pytest.mark.parametrize(
    ("words", "plain"), CASES, ids=lambda case: case[0] if isinstance(case, list) else ""
)
@pytest.mark.parametrize(("form", "read"), [("tree", treed), ("dot", dotted), ("mermaid", mermaid)])
def test_it_is_the_graph_that_pytorch_recorded(
    words: list[str], plain: Any, form: str, read: Any
) -> None:
    assert read(run("grad", *words, "--graph", form).stdout) == walked(plain())


def test_values_and_gradients_of_small_nodes() -> None:
    """The lecture's neuron by hand: w*x = 2, and everything behind the loss gets 2(pred - 1) =
    2.
    """
    assert run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--graph", "tree").stdout == (
        "MseLoss  MseLossBackward0 []  = 1  grad 1\n"
        "└─ Add  AddBackward0 []  = 2  grad 2\n"
        "   └─ Mul  MulBackward0 []  = 2  grad 2\n"
        "      ├─ x  []  = 1  grad 4\n"
        "      └─ w  []  = 2  grad 2\n"
    )


@pytest.mark.smoke
def test_gradients_of_intermediates_are_those_of_the_json() -> None:
    words = ["grad", "h = exp(w*x); s = h.sum(); s**2", "w=0.5", "x=1,2"]
    found = run(*words, "--json").json["intermediates"]
    tree = run(*words, "--graph", "tree").stdout
    for name in ("h", "s"):
        (line,) = [line for line in tree.splitlines() if f"{name} = " in line]
        numbers = [
            float(number)
            for number in re.findall(
                r"[\d.]+(?:e-?\d+)?", line.partition("]  =" if name == "s" else "2]  =")[2]
            )
        ]
        value, gradient = (found[name][key] for key in ("value", "gradient"))
        expected = [*value, *gradient] if isinstance(value, list) else [value, gradient]
        assert numbers == pytest.approx(expected, rel=1e-5)


def test_a_node_that_several_need_is_drawn_once() -> None:
    tree = run("grad", "h = x*x; h*h + h + x", "x=3", "--graph", "tree").stdout
    assert tree.count("h = Mul #1  MulBackward0") == 1
    assert tree.count("h = Mul #1, as above") == 2
    assert tree.count("x  []") == 1
    assert tree.count("x, as above") == 2


def test_large_tensors_have_shapes_alone() -> None:
    tree = run("grad", "x.sum()", "x=ones(100,3)", "--graph", "tree").stdout
    assert tree == "Sum  SumBackward0 []  = 300  grad 1\n└─ x  [100, 3]\n"


def test_a_row_and_a_vjp_start_from_their_own_upstream() -> None:
    assert (
        "grad [0, 1]"
        in run("grad", "2*x", "x=1,2", "--row", "1", "--graph", "tree").stdout.splitlines()[0]
    )
    assert (
        "grad [3, 5]"
        in run("grad", "2*x", "x=1,2", "--vjp", "3,5", "--graph", "tree").stdout.splitlines()[0]
    )


def test_several_functions_have_a_graph_each() -> None:
    words = ["activate", "sigmoid", "gelu(approximate='tanh')", "--x", "1"]
    tree = run(*words, "--graph", "tree").stdout
    assert tree.startswith("sigmoid\nSigmoid  ")
    assert "\n\ngelu(approximate='tanh')\nGelu  " in tree
    assert run(*words, "--graph", "dot").stdout.count("subgraph cluster_") == 2
    assert run(*words, "--graph", "mermaid").stdout.count("  subgraph g") == 2


@pytest.mark.parametrize(
    "words",
    [
        ["loss", "cross_entropy", "mse", "--pred", "1,2,3", "--target", "0,1,2"],
        ["perceptron", "--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1"],
        ["softmax-jacobian", "1,2"],
        ["hessian", "x**3", "x=1"],
        ["jacobian", "W @ x", "W=1,2;3,4", "x=1,1"],
        ["grad", "x", "x=2"],
        ["grad", "F.dropout(x).sum()", "x=ones(4)"],
        ["grad", "torch.fft.fft(x).abs().sum()", "x=1,2,3"],
        ["grad", "--fn", "relu", "--x", "1", "--dtype", "bfloat16"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", ["tree", "dot", "mermaid"])
def test_every_command_has_one(words: list[str], form: str) -> None:
    shown = run(*words, "--graph", form)
    assert shown.status == 0, shown.stderr
    assert shown.stdout


def test_random_numbers_are_those_of_the_result() -> None:
    words = ["grad", "F.dropout(x).sum()", "x=ones(6)"]
    value = run(*words, "--get", "value").stdout.strip()
    assert f"= {float(value):g}  grad 1" in run(*words, "--graph", "tree").stdout


def test_where_there_is_no_graph() -> None:
    for words in (
        ["grad", "x**2", "x=1,2", "--each", "x"],
        ["perceptron", "--train", "and"],
        ["activate", "step", "--x", "1"],
    ):
        shown = run(*words, "--graph", "tree")
        assert shown.status == 2
        assert "--graph: this result has no graph" in shown.stderr


def test_usage() -> None:
    assert "did you mean tree" in run("grad", "x", "x=1", "--graph", "tre").stderr
    assert run("grad", "x", "x=1", "--graph", "dot", "--out", "x.json").status == 2
    assert run("grad", "x", "x=1", "--graph", "dot", "--json").status == 2
    assert run("grad", "x", "x=1", "--graph", "dot", "--check").status == 2


def test_a_graph_that_nobody_can_read_is_refused() -> None:
    shown = run("grad", " + ".join(["x*x"] * 1500), "x=1", "--graph", "tree")
    assert shown.status == 2
    assert "2,000" in shown.stderr
    assert run("grad", " + ".join(["x"] * 1500), "x=1", "--graph", "tree").status == 0


def test_ascii_where_the_locale_demands_it() -> None:
    tree = run(
        "grad", "x*y", "x=1", "y=2", "--graph", "tree", env={"PYTHONIOENCODING": "ascii"}
    ).stdout
    assert tree.isascii()
    assert "|- x" in tree
    assert "`- y" in tree


def test_labels_are_quoted() -> None:
    words = ["activate", 'gelu(approximate="tanh")', "relu", "--x", "1"]
    assert 'label="gelu(approximate=\\"tanh\\")"' in run(*words, "--graph", "dot").stdout
    assert '["gelu(approximate=#34;tanh#34;)"]' in run(*words, "--graph", "mermaid").stdout


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_it() -> None:
    text = run(
        "activate", "sigmoid", 'gelu(approximate="tanh")', "--x", "1,2", "--graph", "dot"
    ).stdout
    drawn = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
    assert drawn.stderr == ""
    assert (
        drawn.stdout.count("<title>g0n") == drawn.stdout.count("<title>g1n") == 2 + 1
    )  # two nodes and an edge
