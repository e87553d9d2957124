"""`grad --jvp` and `hessian --hvp`: against closed forms, PyTorch's own functions, and each other."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli import core
from tests.choice import rare
from tests.program import run
from tools.random_formulas import INPUTS, Generator

WORDS = ("grad", "sin(x)*y", "x=1,2", "y=3")
X = torch.tensor([1.0, 2.0], dtype=torch.float64)


def answers(jobs: Sequence[dict[str, Any]]) -> list[Any]:
    """What a batch of these jobs gives, one process for all."""
    shown = run("batch", stdin="\n".join(map(json.dumps, jobs)))
    return list(map(json.loads, shown.stdout.splitlines()))


def close(left: Any, right: Any) -> bool:
    """Whether two lists hold the same numbers."""
    one, other = (torch.tensor(side, dtype=torch.float64) for side in (left, right))
    return torch.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)


# --- jvp ----------------------------------------------------------------------------------------


def test_the_jvp_is_the_derivative_of_the_whole_result_in_the_direction() -> None:
    found = run(*WORDS, "--jvp", "x=1,0.5", "--dtype", "float64", "--json").json
    assert close(found["jvp"], (torch.cos(X) * 3 * torch.tensor([1, 0.5])).tolist())
    assert "gradients" not in found
    assert found["value"] == pytest.approx((torch.sin(X) * 3).tolist())


def test_several_directions_add_up_and_the_others_stand_still() -> None:
    words = (*WORDS, "--dtype", "float64", "--get", "jvp")
    both = json.loads(run(*words, "--jvp", "x=1,0.5", "--jvp", "y=2").stdout)
    parts = [json.loads(run(*words, "--jvp", way).stdout) for way in ("x=1,0.5", "y=2")]
    assert close(both, [sum(pair) for pair in zip(*parts, strict=True)])


NUMBER_OR_TENSOR = (
    "clamp(x, 0, a)", "clamp(x, a, 10)", "clip(x, min=0, max=a)", "x.clamp(0, max=a)", "x.clamp(min=a, max=9.5)",
    "clamp(i, 0, a)", "clamp_max(x, a)", "lerp(x, x*x, a)", "where(x > 2, a, 0)", "x**a", "pow(2, a)", "xlogy(2, a)",
    "remainder(x, a)", "fill(x, a)", "x.masked_fill(x > 2, a)", "x.index_fill(0, i, a)", "x.scatter(0, i, a)",
    "quantile(x, a/9)", "maximum(0, a)", "hypot(3, a)", "torch.rsub(x, a)", "mse(1, a)", "F.gaussian_nll_loss(x, 2*x, a)",
)  # fmt: skip
NUMBER_ALONE = (
    "torch.add(x, x, alpha=a)", "addcmul(x, x, x, value=a)", "hardtanh(x, 0, a)", "threshold(x, a, 0)", "elu(-x, a)",
    "rrelu(-x, a, a)", "huber(x, 0*x, delta=a)", "softplus(x, a)", "full((2,), a)", "torch.norm(x, a)", "linspace(0, a, 3)",
    "F.pad(x, (1, 1), value=a)", "F.layer_norm(x, (2,), eps=a)", "nn.Hardtanh(0, a)(x)",
)  # fmt: skip


def test_a_number_with_a_tangent_is_not_a_constant() -> None:
    """PyTorch reads a 0-d tensor that does not record as a number, and drops its tangent."""
    texts = (*NUMBER_OR_TENSOR, *NUMBER_ALONE)
    inputs = {"x": [5, 1], "a": 2, "i": "tensor([0])"}
    base: dict[str, Any] = {"command": "grad", "inputs": inputs, "dtype": "float64"}
    jobs = [{**base, "expression": f"({text}).sum()"} for text in texts]
    reverse = answers([{**job, "wrt": "a"} for job in jobs])
    forward = answers([{**job, "jvp": {"a": 1}, "explain": True, "check": True} for job in jobs])
    for text, by_gradient, found in zip(texts, reverse, forward, strict=True):
        if text in NUMBER_ALONE:
            assert found["error"] == by_gradient["error"], text
            continue
        assert close(found["jvp"], by_gradient["gradients"]["a"]), text
        assert found["check"]["jvp"]["ok"], text


@pytest.mark.parametrize("more", [(), ("--row", "1"), ("--vjp", "1,-1")])
def test_gradients_are_those_of_a_call_without_a_direction(more: tuple[str, ...]) -> None:
    words = (
        "grad",
        "h = w*x; (h**3)" + ("" if more else ".sum()"),
        "x=1,2",
        "w=3",
        *more,
        "--json",
    )
    plain, found = run(*words).json, run(*words, "--jvp", "w=1").json
    assert found["gradients"] == plain["gradients"]
    step = found["intermediates"]["h"]
    assert step == {**plain["intermediates"]["h"], "tangent": [1, 2]}
    slopes = [3 * 9 * 1, 3 * 9 * 8]  # d (w x)^3 / dw
    assert close(found["jvp"], slopes if more else sum(slopes))


def test_a_result_of_one_number_in_brackets_keeps_its_shape() -> None:
    assert run("grad", "x**2", "x=3,", "--jvp", "x=1,", "--json").json["jvp"] == [6]


def test_the_inputs_of_fn_have_directions_too_its_defaults_among_them() -> None:
    for way, jvp in (("w=1", 2), ("x=1", 4), ("b=1", 2), ("y=1", -2)):
        words = ("grad", "--fn", "mse", "--x", "1", "--w", "2", "--jvp", way)
        assert run(*words, "--get", "jvp").stdout == f"{float(jvp)}\n"


def test_a_random_direction_is_drawn_after_the_inputs_and_told() -> None:
    found = run("grad", "sum(x)", "x=rand(3)", "--jvp", "x=randn(3)", "--json").json
    torch.manual_seed(0)
    x, tangent = torch.rand(3), torch.randn(3)
    assert found["inputs"]["x"] == pytest.approx(x.tolist())
    assert found["jvp"] == pytest.approx(float(tangent.sum()))
    (note,) = found["notes"]
    assert note["code"] == "direction"
    assert json.loads(note["text"].rpartition(" = ")[2]) == pytest.approx(tangent.tolist())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_dtype_has_forward_mode(dtype: str) -> None:
    found = run(*WORDS, "--jvp", "x=1,0", "--dtype", dtype, "--json").json
    assert found["jvp"] == pytest.approx([3 * 0.5403, 0], abs=0.01)


def test_a_random_function_draws_what_the_value_drew() -> None:
    found = run("grad", "dropout(x)", "x=ones(20)", "--jvp", "x=ones(20)", "--json").json
    assert found["jvp"] == found["value"]


def test_a_direction_that_leads_nowhere_adds_zeros_and_is_noted() -> None:
    for words, code in (
        (("x**2", "x=1,2", "y=3", "--jvp", "y=1"), "unused-input"),
        (("x**2 + y.round()", "x=1,2", "y=3", "--jvp", "y=1"), None),
        (("x**2 + y.detach()", "x=1,2", "y=3", "--jvp", "y=1"), "no-derivative"),
        (("ce(x, y) * ones(2)", "x=1,2", "y=1", "--jvp", "y=1"), "no-derivative"),
    ):
        found = run("grad", *words, "--json").json
        assert found["jvp"] == [0, 0]
        assert [note["code"] for note in found["notes"]] == ([code] if code else [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--jvp", "x=1,2,3"), ["the direction of x has shape [3], but x has [2]", "1,2,3", "^^^^^", "x=ones(2)"]),
        (("--jvp", "y=1,"), ["the direction of y has shape [1], but y has []", "--jvp 'y=1'"]),
        (("--jvp", "xs=1,2"), ["--jvp: there is no input 'xs'", "did you mean x?"]),
        (("--jvp", "1,2"), ["--jvp: expected NAME=T", "^^^", "--jvp x=1,0"]),
        (("--jvp", "x=1,2a"), ["--jvp x: ", "^"]),
        (("--jvp", "x=1,2", "--jvp", "x=1,2"), ["--jvp: x is given twice"]),
        (("--jvp", "i=1"), ["i is int64", "(gradcli why int-dtype)"]),
        (("--jvp", "x=1,2", "--each", "x"), ["--jvp is the derivative at one point", "leave out --each"]),
        (("--jvp", "x=1,2", "--wrt", "x"), ["--wrt is about gradients: a result of shape [2] has none"]),
        (("--jvp", "x=@none.npy"), ["none.npy"]),
        (("--jvp", "x=1,2", "--graph", "tree"), ["--graph: this result has no graph"]),
    ],
)  # fmt: skip
def test_errors(words: tuple[str, ...], said: list[str]) -> None:
    ran = run(*WORDS, "i=tensor(1)", *words)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    for text in said:
        assert text in ran.stderr


def test_attention_has_forward_mode_though_its_fused_kernel_has_none() -> None:
    """The jvp is the gradient times the direction, in reverse mode."""
    inputs = [f"{name}=linspace({low},1,8)" for low, name in enumerate("qkv", -3)]
    heads = ", ".join(f"{name}.view(1,1,2,4)" for name in "qkv")
    words = [f"F.scaled_dot_product_attention({heads}).sum()", *inputs, "--dtype", "float64"]
    reverse = json.loads(run("grad", *words, "--json").stdout)["gradients"]
    expected = sum(i * (reverse["q"][i] + reverse["v"][i]) for i in range(8))
    along = [word for name in "qv" for word in ("--jvp", f"{name}=arange(8)")]
    found = json.loads(run("grad", *words, *along, "--explain", "--json").stdout)
    assert found["jvp"] == pytest.approx(expected, rel=1e-12)


def test_an_operation_without_forward_mode_is_named_with_what_to_do_instead() -> None:
    ran = run("grad", "exp(torch.cdist(x, x + 1))", "x=1,2;3,4", "--jvp", "x=ones(2,2)")
    lines = ran.stderr.splitlines()
    assert lines[0] == "error: PyTorch has no forward mode of cdist (gradcli why no-forward-mode)"
    assert lines[2].index("^") == lines[1].index("cdist")
    commands = [line.strip() for line in lines[1:] if "gradcli" in line]
    assert commands == [
        "gradcli jacobian 'exp(torch.cdist(x, x + 1))' 'x=1,2;3,4'",
        "gradcli grad 'exp(torch.cdist(x, x + 1))' 'x=1,2;3,4' --vjp 'ones(2,2)'",
    ]
    (found,) = answers(
        [{"command": "grad", "expression": "cdist(x, -x).sum()", "inputs": {"x": [[2]]}, "jvp": {"x": [[1]]}}]
    )  # fmt: skip
    assert found["error"]["kind"] == "math"
    assert "no forward mode of cdist" in found["error"]["message"]


@pytest.mark.filterwarnings("ignore")  # of what torch.func.jvp loads
def test_a_parameter_of_a_module_has_a_direction_too() -> None:
    text = "net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)); "
    words = ("x=1,-2", "--dtype", "float64", "--json")
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    finally:
        torch.set_default_dtype(torch.float32)
    x, ones = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)

    def output(weight: Tensor) -> Tensor:
        return torch.func.functional_call(net, {"0.weight": weight}, (x,))  # type: ignore[no-any-return]

    found = run("grad", f"{text}net(x)", "--jvp", "net.0.weight=ones(3,2)", *words).json
    weight = dict(net.named_parameters())["0.weight"].detach()
    assert close(found["jvp"], torch.func.jvp(output, (weight,), (ones,))[1].tolist())
    found = run("hessian", f"{text}sum(net(x)**2)", "--hvp", "net.0.weight=ones(3,2)", *words).json

    def squared(weight: Tensor) -> Tensor:
        return (output(weight) ** 2).sum()

    product = torch.func.jvp(torch.func.grad(squared), (weight,), (ones,))[1]
    assert close(found["hvp"]["net.0.weight"], product.tolist())
    assert [*found["hvp"]] == ["x", *(f"net.{name}" for name, _ in net.named_parameters())]
    ran = run("grad", f"{text}net(x)", "x=1,-2", "--jvp", "net.0.wait=1")
    assert "did you mean net.0.weight" in ran.stderr


def test_what_leads_to_no_number_has_no_derivative() -> None:
    for text in ("x.argmax()", "x.detach()", "x > 1"):
        ran = run("grad", text, "x=1,2", "--jvp", "x=1,1")
        assert ran.status == 2
        assert "differentiable operations" in ran.stderr


def test_a_job_has_directions_as_an_object_or_as_texts() -> None:
    base = {"command": "grad", "expression": "x*y", "inputs": {"x": [1, 2], "y": 3}}
    ways: list[Any] = [
        {"x": [1, 0], "y": 2}, {"x": "1,0", "y": "2"}, ["x=1,0", "y=2"], ["y=2", "x=tensor([1., 0.])"],
    ]  # fmt: skip
    found = answers([{**base, "jvp": way} for way in ways] + [{**base, "jvp": "x=1,0"}])
    assert [each["jvp"] for each in found] == [[5, 4]] * 4 + [[3, 0]]


def test_tables_and_files_hold_the_jvp(tmp_path: Any) -> None:
    import numpy as np

    shown = run(*WORDS, "--jvp", "x=1,0.5", env={"COLUMNS": "80"}).stdout
    assert "tangent" in shown
    assert "jvp" in shown
    lines = run(*WORDS, "--jvp", "x=1,0.5", "--csv").stdout.splitlines()
    assert lines[0] == "name,index,input,tangent"
    assert lines[1].startswith("x,0,1.0,1.0")
    assert [line.split(",")[:2] for line in lines[-2:]] == [["result", "0"], ["result", "1"]]
    jvp = run(*WORDS, "--jvp", "x=1,0.5", "--json").json["jvp"]
    assert [float(line.split(",")[3]) for line in lines[-2:]] == jvp
    for name in ("a.npy", "a.npz"):
        run(*WORDS, "--jvp", "x=1,0.5", "--out", name, cwd=str(tmp_path))
    assert np.load(tmp_path / "a.npy").tolist() == pytest.approx(jvp)
    assert np.load(tmp_path / "a.npz")["jvp"].tolist() == pytest.approx(jvp)


@pytest.mark.parametrize("expression", ["sqrt(x)", "sqrt(x)*0 + y"])
def test_what_forward_mode_makes_infinite_is_named(expression: str) -> None:
    found = run("grad", expression, "x=0,1", "y=2", "--jvp", "x=1,1", "--json").json
    (note,) = found["notes"][-1:]
    assert note["code"] == "not-a-number"
    assert "jvp: in forward mode, sqrt at 0 turns the tangent 1 into inf" in note["text"]


@pytest.mark.parametrize("count", [40, rare(120)])
def test_forward_and_reverse_mode_are_one_matrix_over_random_expressions(count: int) -> None:
    """<u, J v> = <J^T u, v>."""
    chance = torch.Generator().manual_seed(0)
    jobs: list[dict[str, Any]] = []

    def drawn(shape: Sequence[int]) -> Any:
        return torch.randn(tuple(shape), generator=chance, dtype=torch.float64).tolist()

    for number in range(count):
        expression = Generator(f"direction {number}").block().expression
        read = [n for n in INPUTS if n in compile(expression, "", "exec").co_names] or ["s"]
        inputs, ways = ({name: drawn(INPUTS[name]) for name in read} for _ in range(2))
        job: dict[str, Any] = {"command": "grad", "expression": expression, "inputs": inputs}
        jobs.append({**job, "jvp": ways, "dtype": "float64"})
    forward = zip(jobs, answers(jobs), strict=True)
    kept = [(job, found) for job, found in forward if "error" not in found and is_finite(found)]
    assert len(kept) > 0.8 * count
    jobs = [{**job, "vjp": drawn(torch.tensor(found["value"]).shape)} for job, found in kept]
    for job, found in zip(jobs, answers(jobs), strict=True):
        left = [(found["jvp"], job["vjp"])]
        right = [
            (slope, job["jvp"][n]) for n, slope in found["gradients"].items() if slope is not None
        ]
        (left_sum, size), (right_sum, other) = inner(left), inner(right)
        if size + other < 1e6:  # larger ones divide by what rounding left of 0
            assert abs(left_sum - right_sum) <= 1e-9 * (size + other) + 1e-12, job


def is_finite(found: dict[str, Any]) -> bool:
    return not any(note["code"] == "not-a-number" for note in found["notes"])


def inner(pairs: Sequence[tuple[Any, Any]]) -> tuple[float, float]:
    """The sum of the products of pairs of lists, and of their sizes."""
    terms = [
        torch.tensor(left, dtype=torch.float64) * torch.tensor(right, dtype=torch.float64)
        for left, right in pairs
    ]
    return sum(float(t.sum()) for t in terms), sum(float(t.abs().sum()) for t in terms)


# --- hvp ----------------------------------------------------------------------------------------

ROSENBROCK = ("hessian", "(1-x)**2 + 100*(y-x**2)**2", "x=0.5", "y=-0.25", "--dtype", "float64")


def test_the_hvp_is_the_hessian_times_the_direction() -> None:
    matrix = run(*ROSENBROCK, "--json").json
    found = run(*ROSENBROCK, "--hvp", "x=2", "--hvp", "y=-1", "--json").json
    for name, row in matrix["hessian"].items():
        assert found["hvp"][name] == pytest.approx(2 * row["x"] - row["y"])
    for key in ("value", "gradients", "inputs"):
        assert found[key] == matrix[key]
    assert found.keys().isdisjoint({"hessian", "eigenvalues", "stationary", "kind"})


def test_inputs_without_a_direction_stand_still_and_wrt_chooses_the_hessian() -> None:
    words = ("hessian", "(x*w**3).sum()", "x=1,2", "w=3", "--json")
    assert run(*words, "--hvp", "w=1").json["hvp"] == {"x": [27, 27], "w": 54}
    assert run(*words, "--hvp", "w=1", "--wrt", "w").json["hvp"] == {"w": 54}
    ran = run(*words, "--hvp", "w=1", "--wrt", "x")
    assert ran.status == 2
    assert "w is not in the Hessian" in ran.stderr


def test_a_linear_function_has_a_product_of_zeros() -> None:
    found = run("hessian", "(3*x).sum()", "x=1,2", "y=1", "--hvp", "x=1,1", "--json").json
    assert found["hvp"] == {"x": [0, 0], "y": 0}
    assert [note["code"] for note in found["notes"]] == ["unused-input"]


@pytest.mark.parametrize("count", [24, rare(70)])
def test_hvp_over_random_expressions_is_that_of_pytorch(count: int) -> None:
    """Compared with the whole Hessian's rows, from another job."""
    jobs: list[dict[str, Any]] = []
    chance = torch.Generator().manual_seed(1)

    def drawn(shape: Sequence[int]) -> Any:
        return torch.randn(tuple(shape), generator=chance, dtype=torch.float64).tolist()

    for number in range(count):
        expression = Generator(f"product {number}").block().expression
        *steps, last = expression.split("; ")
        expression = "; ".join([*steps, f"({last}).sum()"])
        read = [n for n in INPUTS if n in compile(expression, "", "exec").co_names] or ["s"]
        inputs, ways = ({name: drawn(INPUTS[name]) for name in read} for _ in range(2))
        job: dict[str, Any] = {
            "command": "hessian",
            "expression": expression,
            "inputs": inputs,
            "dtype": "float64",
        }
        jobs += [{**job, "hvp": ways}, job]
    found = answers(jobs)
    compared = 0
    for job, product, whole in zip(jobs[::2], found[::2], found[1::2], strict=True):
        assert ("error" in product) == ("error" in whole), job
        if "error" in product or not (is_finite(product) and is_finite(whole)):
            continue
        for name, row in whole["hessian"].items():
            size = torch.tensor(job["inputs"][name]).numel()
            parts = [
                torch.tensor(block, dtype=torch.float64).reshape(size, -1)
                @ torch.tensor(job["hvp"][other], dtype=torch.float64).reshape(-1)
                for other, block in row.items()
            ]
            mine = torch.tensor(product["hvp"][name], dtype=torch.float64).reshape(-1)
            assert torch.allclose(mine, torch.stack(parts).sum(0), rtol=1e-7, atol=1e-9), job
            compared += 1
    assert compared > 1.4 * count


def test_a_hundred_thousand_inputs_take_no_matrix() -> None:
    words = ("x=linspace(0,1,100000)", "--dtype", "float64", "--timeout", "20")
    text = "(x.cos()*x).sum() + x.sum()**2"
    found = run("hessian", text, *words, "--hvp", "x=ones(100000)", "--get", "hvp.x.99999")
    x = torch.tensor(1.0, dtype=torch.float64)
    expected = float(-2 * torch.sin(x) - torch.cos(x)) + 2 * 100000
    assert float(found.stdout) == pytest.approx(expected, rel=1e-12)


def test_the_shape_and_the_name_of_a_direction_are_those_of_an_input() -> None:
    for way, said in (
        ("x=1,2", "the direction of x has shape [2], but x has []"),
        ("z=1", "--hvp: there is no input 'z'"),
        ("1", "--hvp: expected NAME=T"),
    ):
        ran = run(*ROSENBROCK, "--hvp", way)
        assert ran.status == 2
        assert said in ran.stderr


# --- evidence -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((*WORDS, "--jvp", "x=1,0.5"), ["jvp"]),
        (("grad", "mse(x, y)", "x=1e4,2", "y=3,1", "--jvp", "x=1e-6,0", "--jvp", "y=0,1e-7"), ["x", "y", "jvp"]),
        (("grad", "sum(jvp**2)", "jvp=1,2", "--jvp", "jvp=1e3,0"), ["jvp", "jvp_"]),
        ((*ROSENBROCK, "--hvp", "x=1e3"), ["x", "y"]),
        (("grad", "dropout(x)*x.detach()", "x=1,2,3", "--jvp", "x=1,1,1"), ["jvp"]),
    ],
)  # fmt: skip
def test_check_compares_with_a_difference_along_the_direction(
    words: tuple[str, ...], names: list[str]
) -> None:
    found = run(*words, "--check", "--json").json
    assert found["ok"]
    assert [*found["check"]] == names
    for item in found["check"].values():
        assert item["max_rel_error"] < 1e-6


def test_check_names_a_kink_along_the_direction() -> None:
    shown = run("grad", "relu(x)", "x=0,2", "--jvp", "x=1,0.5", "--check").stdout
    (row,) = (line for line in shown.splitlines() if "jvp[0]" in line)
    assert "kink" in row
    assert "Check: passes" in shown


def test_check_finds_a_jvp_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = core.ForwardMode.tangent

    def wrong(self: core.ForwardMode, value: Tensor) -> Tensor:
        return 1.01 * right(self, value)

    monkeypatch.setattr(core.ForwardMode, "tangent", wrong)
    ran = run("grad", "x**2", "x=1,3", "--jvp", "x=1,1", "--check", "--json", here=True)
    assert (ran.status, ran.json["ok"]) == (1, False)


def test_expect_takes_the_jvp_as_numbers_and_as_a_formula() -> None:
    words = (*WORDS, "--jvp", "x=1,0.5")
    good = ("jvp=1.6209,-0.62422", "jvp.0 = y*cos(x[0])", "jvp = y*cos(x)*tensor([1., 0.5])")
    for text in good:
        found = run(*words, "--expect", text, "--json").json
        assert found["ok"], text
        (item,) = found["expect"].values()
        assert item.get("points", 13) == 13
    found = run(*words, "--expect", "jvp = y*cos(x)", "--json").json
    assert (found["ok"], found["expect"]["jvp"]["agreed"]) == (False, 0)
    twice = run(*words, "--expect", "jvp=3.24181,-1.24844", "--json").json
    assert twice["expect"]["jvp"]["slip"] == "factor-2"


def test_expect_takes_the_hvp() -> None:
    words = ("hessian", "(x*w**3).sum()", "x=1,2", "w=3", "--hvp", "w=1")
    for text, ok in (
        ("hvp.w=54", True), ("hvp.w = 6*w*x.sum()", True), ("hvp.w = 3*w**2", False),
        ("w = 3*w**2*x.sum()", True), ("hvp.x = 3*w**2*ones(2)", True),
    ):  # fmt: skip
        assert run(*words, "--expect", text, "--json").json["ok"] is ok, text
