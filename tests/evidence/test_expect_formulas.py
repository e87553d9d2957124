"""`--expect` with formulas and backward passes: verdicts, counterexamples, slips, errors.

The corpora and what is right in them are `tools/formulas.py`'s, which asks PyTorch alone; a part of
them is judged here.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.choice import first_usual, in_rows, rare
from tests.program import run
from tools import formulas

MSE = ("grad", "mse(w*x, y)", "x=1", "w=2", "y=1")


def judged(*words: str) -> dict[str, Any]:
    """The expectations of `--json`, the exit status compared with what they say."""
    ran = run(*words, "--json")
    found: dict[str, Any] = ran.json["expect"]
    assert ran.json["ok"] == all(each["ok"] for each in found.values())
    assert ran.status == (0 if ran.json["ok"] else 1)
    return found


def one(*words: str) -> dict[str, Any]:
    """The only expectation."""
    (found,) = judged(*words).values()
    return found  # type: ignore[no-any-return]


def batch(lines: list[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
    ran = run(
        "batch", "--jobs", "1", *options, stdin="".join(json.dumps(line) + "\n" for line in lines)
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def refused(*words: str) -> str:
    ran = run(*words)
    assert (ran.status, ran.stdout) == (2, ""), ran.stdout
    return ran.stderr


# --- the corpora --------------------------------------------------------------------------------


@pytest.fixture
def double() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("right_step", "wrong_step"), [(150, 210), rare(5, 7)])
def test_no_verdict_on_a_formula_is_wrong(right_step: int, wrong_step: int, double: None) -> None:
    claims = [
        (case, claim, kind == "right")
        for case in formulas.cases("formulas")
        for kind in ("right", "wrong")
        for claim in case[kind][:: right_step if kind == "right" else wrong_step]
    ]
    assert len(claims) > 500 / right_step
    found = batch([formulas.job(case, claim) for case, claim, _ in claims])
    for (case, claim, right), result in zip(claims, found, strict=True):
        assert formulas.holds(case, claim) is right
        assert result.get("ok") is right, (case["of"], claim, result)


@pytest.mark.parametrize("step", [18, rare(3)])
def test_the_line_that_was_made_wrong_is_named(step: int, double: None, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    wrong: list[str | None] = []
    for number, case in enumerate(formulas.cases("backward")[::step]):
        assert formulas.right_pass(case, case["backward"])
        names = {
            line.split()[0]
            for line in case["backward"].split("\n")
            if line.startswith(("d", "grad_"))
        }
        made = [
            m for m in formulas.mutants(case, names) if not formulas.right_pass(case, m[0], [m[1]])
        ]
        for text, name in ((case["backward"], None), made[number * 7 % len(made)]):
            path = tmp_path / f"{len(lines)}.py"
            path.write_text(text)
            lines.append(
                {
                    "command": "grad",
                    "expression": case["expression"],
                    "inputs": case["inputs"],
                    "expect": f"@{path}",
                }
            )
            wrong.append(name)
    found = batch(lines, "--allow-files")
    assert [result.get("first_wrong", result) for result in found] == wrong
    assert [result["ok"] for result in found] == [name is None for name in wrong]


# --- one formula --------------------------------------------------------------------------------


def test_the_keys_of_a_formula() -> None:
    assert one(*MSE, "--expect", "w = 2*x*(w*x - y)") == {
        "expected": 2.0, "computed": 2.0, "ok": True, "slip": None, "formula": "2*x*(w*x - y)", "points": 13,
        "agreed": 13, "counterexample": None,
    }  # fmt: skip


def test_a_number_that_is_right_by_accident() -> None:
    """At x = 1 the forgotten factor does not show; elsewhere it does, and in round numbers."""
    found = one(*MSE, "--expect", "w = 2*(w*x - y)")
    assert (found["ok"], found["expected"], found["computed"]) == (False, 2.0, 2.0)
    assert found["agreed"] < found["points"] == 13
    example = found["counterexample"]
    x, w, y = (example["inputs"][name] for name in "xwy")
    assert all(2 * number == int(2 * number) and abs(number) <= 3 for number in (x, w, y))
    assert example["expected"] == pytest.approx(2 * (w * x - y))
    assert example["computed"] == pytest.approx(2 * x * (w * x - y))


def test_the_counterexample_is_the_given_point_where_it_differs_there() -> None:
    found = one("grad", "x**2", "x=0.3", "--expect", "3*x")
    assert found["counterexample"]["inputs"] == {"x": 0.3}
    assert found["counterexample"]["computed"] == found["computed"] == 0.6


VERDICTS: list[tuple[tuple[str, ...], bool]] = [
    (("grad", "--fn", "mse", "--x", "1", "--w", "2", "--expect", "w = 2*x*(w*x - 1)"), True),  # b, y: defaults
    (("grad", "--fn", "mse", "--x", "1", "--w", "2", "--expect", "w = 2*x*(w*x - y)"), True),
    (("grad", "--fn", "mse", "--x", "1", "--w", "2", "--expect", "w = 2*x*(w*x - y**2)"), False),
    (("grad", "x**2", "x=3", "--expect", "2*x"), True),
    (("grad", "sqrt(x**2 + y**2)", "x=3", "y=4", "--expect", "x = abs(x)/sqrt(x**2 + y**2)"), False),
    (("grad", "abs(w).sum()", "w=1,2", "--expect", "ones_like(w)"), False),
    (("grad", "abs(w).sum()", "w=1,2", "--expect", "sign(w)"), True),
    (("grad", "log(x) + sqrt(x)", "x=2", "--expect", "1/x + 1/(2*sqrt(x))"), True),  # x > 0 alone
    (("grad", "asin(x)", "x=0.5", "--expect", "1/sqrt(1 - x**2)"), True),
    (("grad", "bce(p, y)", "p=0.2,0.7", "y=0,1", "--expect", "p = (p - y)/(p*(1 - p))/2"), True),
    (("grad", "log(x)", "x=200", "--expect", "1/x"), True),
    (("grad", "1e-4*x**2", "x=1e5", "--expect", "2e-4*x"), True),
    (("grad", "relu(x).sum()", "x=-1,0,2", "--expect", "1.0*(x >= 0)"), True),  # 0 does not count
    (("grad", "relu(x).sum()", "x=-1,0,2", "--expect", "relu(x)"), False),
    (("grad", "m = max(a)", "a=0,0", "--expect", "a = 1.0*(a == max(a))"), True),  # nor does a tie
    (("grad", "m = max(a)", "a=0,0", "--expect", "a = 2.0*(a == max(a))"), False),
    (("grad", "x.detach()*x", "x=2", "--expect", "x"), True),
    (("grad", "x.detach()*x", "x=2", "--expect", "2*x"), False),
    (("grad", "x[t].sum()", "x=1,2,3", "t=tensor([0,0,2])", "--expect", "x = sum(one_hot(t, 3), 0)"), True),
    (("grad", "sum(y*x)", "x=1,2", "y=0,1", "--expect", "y = x"), True),
    (("grad", "sum(y*x)", "x=1,2", "y=0,1", "--wrt", "y", "--expect", "y = x*y**0"), True),
    (("grad", "sum(y**2*x)", "x=1,2", "y=0,1", "--wrt", "y", "--expect", "2*x*y**2"), False),  # by y itself
    (("grad", "sum(y**2*x)", "x=1,2", "y=0,1", "--wrt", "x", "--expect", "y"), True),  # a mask: M*M = M
    (("grad", "sum(y**2*x)", "x=1,2", "y=1,1", "--wrt", "x", "--expect", "y"), False),  # plain ones
    (("grad", "h = w*x; e = h - y; e**2", "x=1", "w=2", "y=1", "--expect", "h = 2*e"), True),
    (("grad", "h = w*x; e = h - y; e**2", "x=1", "w=2", "y=1", "--expect", "w = 2*e*x"), True),  # not 2.718..
    (("grad", "n = len(x); (x**2).sum()/n", "x=1,2", "--expect", "2*x/n"), True),
    (("grad", "W @ x", "W=1,2;3,4", "x=1,1", "--vjp", "1,2", "--expect", "W = outer(g, x)"), True),
    (("grad", "W @ x", "W=1,2;3,4", "x=1,1", "--vjp", "1,1", "--expect", "x = W.sum(0)"), True),
    (("grad", "W @ x", "W=1,2;3,4", "x=1,1", "--vjp", "1,1", "--expect", "x = W @ g"), False),
    (("grad", "x*g", "x=1,2", "g=3,4", "--vjp", "1,2", "--expect", "x = g*tensor([1.,2.])"), True),  # the input g
    (("grad", "x*dout", "x=1,2", "dout=3,4", "--row", "1", "--expect", "x = dout*tensor([0.,1.])"), True),
    (("grad", "g = x*w; 2*g", "x=1,2", "w=3,4", "--vjp", "1,1", "--expect", "w = 2*g/w"), True),  # the step g
    (("grad", "x**2", "x=2", "--expect", "value = x*x"), True),
    (("grad", "x**2", "x=1.1", "--dtype", "float16", "--expect", "2*x"), True),
    (("grad", "relu(X @ w).sum()", "X=1,2;3,4", "w=1,2", "--expect", "w = X.T @ (X @ w > 0).float()"), True),
    (("jacobian", "W @ x", "W=1,2;3,4", "x=1,2", "--expect", "jacobian.x = W"), True),
    (("jacobian", "W @ x", "W=1,2;2,4", "x=1,2", "--expect", "x = W.T"), False),
    (("jacobian", "x**2", "x=1,2", "--expect", "diag(2*x)"), True),
    (("hessian", "w*x**2", "x=2", "w=3", "--expect", "hessian.x.w = 2*x"), True),
    (("hessian", "w*x**2", "x=2", "w=3", "--expect", "hessian.x.x = 2*x"), False),
    (("hessian", "w*x**2", "x=2", "w=3", "--expect", "x = 2*w*x"), True),
    (("activate", "tanh", "--x", "0,1", "--expect", "1 - tanh(x)**2"), True),
    (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "gradient = pred - target"), True),
    (("softmax-jacobian", "1,2,3", "--expect", "diag(softmax(x, 0)) - outer(softmax(x, 0), softmax(x, 0))"), True),
    (("perceptron", "--x", "1,2", "--w", "0.3,-0.2", "--target", "1", "--expect", "w = (O - target)*O*(1 - O)*x"), True),
    (("perceptron", "--x", "1,2", "--w", "0.3,-0.2", "--target", "1", "--expect", "z = w @ x + b"), True),
    (("perceptron", "--x", "1,2", "--w", "0.3,-0.2", "--target", "1", "--expect", "output = tanh(z)"), False),
    (("softmax-jacobian", "1,2", "--row", "1", "--expect", "x = prod(softmax(x, 0))*stack([-x[0]**0, x[0]**0])"), True),
    (("plot", "x**2", "x=1,2,3", "--expect", "curves.0.derivative.1 = 2*x"), True),
]  # fmt: skip
"""Formulas that are expected, and whether each is right."""


@pytest.mark.parametrize("case", first_usual(VERDICTS, in_rows(2, VERDICTS)))
def test_verdicts(case: tuple[tuple[str, ...], bool]) -> None:
    words, right = case
    assert one(*words)["ok"] is right


NORMALISED = "d = x - x.mean(); v = (d**2).mean(); n = d/sqrt(v); (n*u).sum()"
"""Without the path through v, or with 1 for the slope of the square, which the mean of d takes away."""


@pytest.mark.parametrize(
    ("words", "slip"),
    [
        (("grad", "(x**2).sum()", "x=1,2", "--expect", "-2*x"), "sign"),
        (("grad", "(x**2).sum()", "x=1,2", "--expect", "4*x"), "factor-2"),
        (("grad", "(x**2).sum()", "x=1,2", "--expect", "x"), "factor-half"),
        (("grad", "mse(x, y)", "x=1,2,3", "y=0,0,0", "--expect", "x = 2*(x - y)"), "sum-for-mean"),
        (("grad", "(W @ x).sum()", "W=1,0,0;0,1,0", "x=1,2,3", "--expect", "W = outer(x, ones(2))"), "transposed"),
        (("grad", "mse(sigmoid(w*x), y)", "x=1,2", "w=1", "y=1,1", "--expect", "w = mean(2*(sigmoid(w*x) - y)*x)"),
         "activation-derivative"),
        (("grad", "relu(w*x)*v", "w=2", "x=3", "v=5", "--expect", "w = v*(w*x > 0)"), "missing-factor"),
        (("grad", "relu(w*x)*v", "w=-2", "x=3", "v=5", "--expect", "w = v*(w*x > 0)"), "missing-factor"),
        (("grad", "sigmoid(w*x)", "w=1", "x=2", "--expect", "w = sigmoid(w*x)*(1 - sigmoid(w*x))"), "missing-factor"),
        (("grad", "clamp(1 - y*w*x, min=0)", "w=0.2", "x=2", "y=1", "--expect", "w = -y*(y*w*x < 1)"), "missing-factor"),
        (("grad", "relu(w*x)**2", "w=2", "x=3", "--expect", "w = 2*relu(w*x)"), "missing-factor"),
        (("grad", "(relu(w*x)*v).sum()", "w=2,1", "x=3", "v=5", "--expect", "w = 3*v*x*(w*x > 0)"), "ratio"),
        (("grad", "relu(w*x)*v", "w=2", "x=3", "v=5", "--expect", "w = v*x**2*(w*x > 0)"), None),
        (("grad", "sin(g*w)", "g=1.5", "w=2", "--expect", "w = cos(g*w)"), "missing-factor"),  # the input g
        (("grad", "(x*x.exp()*g).sum()", "x=1,2", "g=3,4", "--expect", "x = g*exp(x)"), "missing-path"),
        (("grad", NORMALISED, "x=1,2,4", "u=0.3,-1,2", "--expect", "x = (u - u.mean())/sqrt(v)"), "missing-path"),
        (("grad", NORMALISED, "x=1,2,4", "u=0.3,-1,2", "--expect", "x = u/sqrt(v) - n*(n*u).mean()/sqrt(v)"), "missing-path"),
        (("grad", "tanh(x)*w", "x=1.5,2", "w=1,2", "--vjp", "1,2", "--expect", "x = g*(1 - tanh(x)**2)"), "missing-factor"),
        (("grad", "x**2", "x=2", "--expect", "x = 8 + 0*x"), None),  # twice at the given point alone
        (("grad", "x**3", "x=1", "--expect", "3*x"), None),
    ],
)  # fmt: skip
def test_a_slip_fits_at_all_points(words: tuple[str, ...], slip: str | None) -> None:
    found = one(*words)
    assert (found["ok"], found["slip"]) == (False, slip)


def test_another_shape_is_a_miss() -> None:
    found = one("grad", "(x**2).sum()", "x=1,2,3", "--expect", "2*x.sum()")
    assert (found["ok"], found["agreed"], found["expected"]) == (False, 0, 12.0)
    assert found["counterexample"]["inputs"] == {"x": [1.0, 2.0, 3.0]}


def test_too_few_points_are_an_error() -> None:
    assert "can be compared at no point only" in refused(
        "grad", "x*nan", "x=1", "--expect", "x*nan"
    )


def test_the_tolerance_applies() -> None:
    words = ("grad", "x**2", "x=1", "--expect", "2.01*x")
    assert not one(*words)["ok"]
    assert one(*words, "--tol", "0.01")["ok"]


def test_the_table_tells_evidence_from_proof() -> None:
    ran = run(*MSE, "--expect", "w = 2*x*(w*x - y)")
    assert (
        "w = 2*x*(w*x - y) agrees with autograd at 13 of 13 points, which is evidence, not proof"
        in ran.stdout
    )
    ran = run(*MSE, "--expect", "w = 2*(w*x - y)")
    assert ran.status == 1
    assert "Not as expected: w" in ran.stdout
    assert "at x = 2, w = 2, y = 1 it gives w = 6, autograd 12" in ran.stdout
    assert "missing-factor: yours leaves out the local derivative d(w*x)/dw = x" in ran.stdout
    ran = run(*MSE, "--expect", "w = 7*x*(w*x - y) + 1")
    assert "--explain shows each step, and gradcli derive finds the formula" in ran.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("w = 2*x*", ["--expect w: invalid syntax", "  2*x*", "     ^"]),
        ("w = 2*X*w", ["--expect w: unknown name X", "  2*X*w", "    ^", "did you mean x"]),
        ("w=1,,2", ["a number is missing before this comma", "  1,,2", "    ^"]),
        ("w = 2x", ["write 2*x"]),
        ("w = x^2", ["write x**2"]),
        ("w=1,2;3", ["row 2 has one number"]),
        ("w = data.npy", ["@data.npy"]),
        ("w = lambda: x", ["lambda is not allowed"]),
        ("w = x @ x", ["--expect w"]),
        ("2*x", ["several gradients: x, w, y"]),
        ("v = 2*x", ["there is no 'v' in the result"]),
        ("gradients = 2*x", ["more than one value"]),
    ],
)
def test_what_cannot_be_read(given: str, said: list[str]) -> None:
    message = refused(*MSE, "--expect", given)
    assert all(part in message for part in said), message


def test_points_bring_no_notes_of_their_own() -> None:
    assert run("jacobian", "W @ x", "W=1,2;3,4", "x=1,2", "--expect", "x = W").stderr == ""


def test_a_number_at_this_point_alone_has_no_formula() -> None:
    assert "computed at this point only" in refused(
        "hessian", "x**2", "x=1", "--expect", "eigenvalues = 2*x**0"
    )


def test_batches_take_formulas() -> None:
    job = {"command": "grad", "expression": "mse(w*x, y)", "inputs": {"x": 1, "w": 2, "y": 1}}
    found = batch([
        {**job, "expect": "w = 2*x*(w*x - y)"},
        {**job, "expect": {"w": "2*x*(w*x - y)", "x": 4, "y": "-2"}},
        {**job, "expect": ["w = 2*w", "x=4"]},
        {**job, "expect": {"w": "2*x*"}},
        {**job, "expect": "@backward.py"},
    ])  # fmt: skip
    assert [result.get("ok") for result in found] == [True, True, False, None, None]
    assert [result["error"]["kind"] for result in found[3:]] == ["expression", "usage"]
    assert "may not read a file" in found[4]["error"]["message"]


# --- a backward pass ----------------------------------------------------------------------------

NET = (
    "grad", "z = w*x + b; a = sigmoid(z); loss = mse(a, y)", "x=1,2", "w=0.5", "b=0.1", "y=1,0",
)  # fmt: skip


@pytest.fixture
def backward(tmp_path: Path) -> Any:
    def words(text: str, *net: str) -> tuple[str, ...]:
        path = tmp_path / "backward.py"
        path.write_text(text)
        return (*(net or NET), "--expect", f"@{path}")

    return words


RIGHT = """# by hand
n = len(y)   # a helper
d_loss = 1
da = 2*(a - y)
da /= n
grad_z = da*a*(1 - a)
dw = (grad_z *
      x).sum()

db = grad_z.sum(); dx = grad_z*w
"""


def test_a_right_backward_pass(backward: Any) -> None:
    ran = run(*backward(RIGHT), "--json")
    assert (ran.status, ran.json["first_wrong"], ran.json["ok"]) == (0, None, True)
    found = ran.json["expect"]
    assert {name: item["line"] for name, item in found.items()} == {
        "d_loss": 3, "da": 5, "grad_z": 6, "dw": 7, "db": 10, "dx": 10,
    }  # fmt: skip
    assert found["dx"] == {
        "expected": pytest.approx(found["dx"]["computed"]), "computed": ran.json["gradients"]["x"], "ok": True,
        "slip": None, "formula": "grad_z*w", "points": 13, "agreed": 13, "counterexample": None, "line": 10,
    }  # fmt: skip
    assert found["grad_z"]["computed"] == ran.json["intermediates"]["z"]["gradient"]


def test_a_backward_pass_with_a_mask(backward: Any) -> None:
    net = ("grad", "m = (X @ w > 0).float(); z = X @ w; m @ z", "X=1,2;3,4", "w=1,2")
    assert judged(*backward("dz = (z > 0).float(); dw = X.T @ dz", *net))["dw"]["ok"]


LAYERS = (
    "grad",
    "net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)); z1 = net[0](x); a1 = net[1](z1);"
    "z2 = net[2](a1); mse(z2, y)",
    "x=randn(4,2)", "y=randn(4,2)",
)  # fmt: skip


def test_the_backward_pass_that_derive_prints_for_a_network(backward: Any) -> None:
    shown = run("derive", *LAYERS[1:], "--steps").stdout
    lines = "\n".join(line for line in shown.splitlines() if line.startswith("d"))
    assert "dnet.0.weight = dz1.T @ x" in lines
    assert "net[2].weight" in lines
    for written in (lines, f"# 網路\n{lines.replace('net[2].weight', 'net.2.weight')}"):
        found = judged(*backward(written, *LAYERS))
        assert "dnet.2.bias" in found
        assert all(item["ok"] for item in found.values())
    formula = "net.2.weight = 2*(a1 @ net.2.weight.T + net[2].bias - y).T @ a1/y.numel()"
    assert judged(*LAYERS, "--expect", formula)["net.2.weight"]["ok"]
    # A line is the gradient for a parameter by any prefix, and the lines below read it.
    text = "d_net.bias = 2*(net(x) - y).sum(0)/y.numel(); grad_net.weight = d_net.bias[:, None]*0"
    net = ("grad", "net = nn.Linear(2, 2); mse(net(x), y)", *LAYERS[2:])
    found = judged(*backward(text.replace("net(x)", "(x @ net.weight.T + net.bias)"), *net))
    assert {name: item["ok"] for name, item in found.items()} == {
        "d_net.bias": True, "grad_net.weight": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dz2 = z2\ndnet.5.bias = dz2", ["no parameter 'net.5.bias'", "line 2", "did you mean"]),
        ("dnet.0.bias = dz1", ["unknown name dz1", "dnet.0.bias = dz1\n                ^^^"]),
        ("dnet.0.bias = nett", ["did you mean net or ne or nextafter?"]),
        (
            "dz2 = z2 @ net.2.weight + net.5.bias",
            ["no parameter 'net.5.bias'", f"\n{' ' * 28}^^^^^^^^^^\n"],
        ),
        ("h = (net.2.bias\ndz2 = h", ["never closed", "line 1", "h = (net.2.bias\n      ^\n"]),
        ("dz2 = torch.complex(z2, z2)", ["must be real", "write .real"]),
        ("h = x\nh.grad = 1\ndx = h", ["attribute cannot be set", "line 2"]),
    ],
)
def test_a_line_for_a_parameter_that_cannot_be_read(
    backward: Any, text: str, said: list[str]
) -> None:
    message = refused(*backward(text, *LAYERS))
    assert all(part in message for part in said), message


@pytest.mark.parametrize(
    ("net", "text", "slips"),
    [
        (("out = x*w; 2*out", "x=1,2", "w=3,4", "--vjp", "1,2"),
         "dout = 2*tensor([1.,2.])\ndx = dout*w\ndw = dout*x", (None, None, None)),
        (("out = x*w; sin(out)", "x=1.5", "w=2"), "dout = cos(out)\ndw = dout", (None, "missing-factor")),
        (("z = x*w; sin(z)", "x=1.5", "w=2"), "g = cos(z)\ndw = g", ("missing-factor",)),
        (("z = x*w; sin(z)", "x=1.5,1", "w=2,1", "--vjp", "1,2"), "dz = dout*cos(z)\ndw = dz", (None, "missing-factor")),
    ],
)  # fmt: skip
def test_a_name_of_the_upstream_gradient_may_be_a_name_of_the_users(
    backward: Any, net: tuple[str, ...], text: str, slips: tuple[str | None, ...]
) -> None:
    found = judged(*backward(text, "grad", *net)).values()
    assert [each["slip"] for each in found] == list(slips)
    assert [each["ok"] for each in found] == [slip is None for slip in slips]


@pytest.mark.parametrize(("factor", "slip"), [(1, None), (2, "factor-2")])
@pytest.mark.parametrize("z", ["1,2,3,1", "-1,-2,3,1"])
@pytest.mark.parametrize("net", ["a = relu(z)", rare("a = relu(z) if len(z) > 2 else z")])
def test_a_point_at_a_tie_of_the_step_does_not_count(
    backward: Any, net: str, z: str, factor: int, slip: str | None
) -> None:
    """max_pool1d takes the first of two zeros that relu made, and the line takes both."""
    words = ("grad", f"{net}; p = max_pool1d(a[None], 2)[0]; (p*u).sum()", f"z={z}", "u=2,5")
    pooled = f"dp = u\nda = {factor}*repeat_interleave(dp, 2)*(a == repeat_interleave(p, 2))\n"
    found = judged(*backward(f"{pooled}dz = da*(z > 0)", *words))
    assert [each["ok"] for each in found.values()] == [True, factor == 1, True]
    assert found["da"]["slip"] == slip


def test_the_pixels_of_a_drawn_picture_are_not_equal(backward: Any) -> None:
    """The line gives each of two equal pixels the whole gradient, and max_pool2d the first of them."""
    words = ("grad", "p = F.max_pool2d(x, 2); (p**2).sum()", "x=randn(8, 24, 24)")
    larger = "p.repeat_interleave(2, -2).repeat_interleave(2, -1)"
    assert judged(*backward(f"dx = 2*{larger}*(x == {larger})", *words))["dx"]["ok"]


def test_one_slip_is_not_counted_again_below(backward: Any) -> None:
    ran = run(*backward(RIGHT.replace("a*(1 - a)", "(1 - a)")), "--json")
    assert ran.status == 1
    assert ran.json["first_wrong"] == "grad_z"
    assert [name for name, item in ran.json["expect"].items() if not item["ok"]] == ["grad_z"]
    assert (
        run(*backward(RIGHT.replace("2*(a", "-2*(a")), "--get", "expect.da.slip").stdout == "sign\n"
    )
    shown = run(*backward(RIGHT.replace("a*(1 - a)", "(1 - a)")), env={"COLUMNS": "80"}).stdout
    assert "line 6 is the first that is off:\n  grad_z = da*(1 - a)\n  ^^^^^" in shown


def test_of_larger_shapes_the_given_point_is_called_so(backward: Any) -> None:
    net = ("grad", "z = W @ x; (z**2).sum()", "W=ones(4,6)", "x=arange(1,7,1)")
    shown = run(*backward("dz = z\ndW = torch.outer(dz, x)\n", *net)).stdout
    assert "at the given point it gives dz[0] = 21, autograd 42" in shown


def test_a_factor_that_comes_later(backward: Any) -> None:
    """Andrew Ng writes dZ for each example, and 1/m at the weights."""
    text = "dz = a - y\ndw = (dz*x).sum()/2\ndb = dz.sum()\n"
    net = ("grad", "z = w*x + b; a = sigmoid(z); bce(a, y)", *NET[2:])
    ran = run(*backward(text, *net))
    assert ran.status == 1
    assert "dz is the first line that is off" in ran.stdout
    assert "dw below is right with your own numbers" in ran.stdout
    assert ran.stdout.count("right with your own numbers") == 2  # in its row, and below


def test_a_shape_that_is_wrong_does_not_stop_the_lines_below(backward: Any) -> None:
    found = judged(*backward(RIGHT.replace("(1 - a)", "(1 - a).sum(0, keepdim=True)")))
    assert [name for name, item in found.items() if not item["ok"]] == ["grad_z"]
    found = judged(*backward(RIGHT.replace("x).sum()", "x)")))
    assert [name for name, item in found.items() if not item["ok"]] == ["dw"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dz = a - y\ndw = dz @\n", ["invalid syntax", "backward.py, line 2", "dw = dz @"]),
        ("dz = a - y\n\ndw = dq*x\n", ["unknown name dq", "backward.py, line 3", "dw = dq*x", "     ^^"]),
        ("import numpy as np\ndz = a - y\n", ["imports are not allowed", "line 1", "import numpy as np"]),
        ("dz = a - y\nfor i in range(3):\n    dw = i\n", ["loops are not allowed", "line 2"]),
        ("dz = a - y\ndz[0] = 1\n", ["line 2", "dz[0] = 1"]),
        ("dz = a - y\ndw = dz @ ones(3)\n", ["backward.py, line 2", "dw = dz @ ones(3)", "[2]", "[3]"]),
        ("gradz = a - y\n", ["no line is the gradient for an input or a named step"]),
        ("", ["the file is empty"]),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read(backward: Any, text: str, said: list[str]) -> None:
    message = refused(*backward(text))
    assert all(part in message for part in said), message


def test_where_there_is_no_backward_pass(backward: Any) -> None:
    assert "has no single backward pass" in refused(
        *backward("dx = x", "jacobian", "x**2", "x=1,2")
    )
    assert "names its gradients itself" in refused(*NET, "--expect", "w=@backward.py")
    assert "there is no such file" in refused(*NET, "--expect", "@nowhere.py")


def test_the_perceptron_has_a_backward_pass(backward: Any) -> None:
    words = ("perceptron", "--x", "1,2", "--w", "0.3,-0.2", "--target", "1")
    assert all(
        item["ok"]
        for item in judged(
            *backward("dO = O - target\ndz = dO*O*(1 - O)\ndw = dz*x\n", *words)
        ).values()
    )


def test_an_input_that_is_not_differentiated_and_one_off_the_path(backward: Any) -> None:
    found = judged(
        *backward("dx = 2*x\ndw = 0\n", "grad", "x**2 + 0*v", "x=3", "v=1", "w=2", "--wrt", "v")
    )
    assert [item["ok"] for item in found.values()] == [True, True]
    message = refused(*backward("dt = 1", "grad", "x[t]", "x=1,2", "t=tensor(0)"))
    assert "t has no gradient" in message
