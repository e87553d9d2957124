"""`derive`: formulas compared with plain PyTorch's autograd at numbers of the tests' own, and the page,
LaTeX, program and JSON around them.
"""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gradcli.algebra import nodes
from gradcli.commands.derive.show import broken
from tests.choice import first_usual, in_rows, rare
from tests.program import run

NAMES = {
    **{name: getattr(torch, name) for name in dir(torch) if name.islower()},
    **{name: getattr(functional, name) for name in dir(functional) if name.islower()},
    "mse": functional.mse_loss, "norm": torch.linalg.norm, "sum": torch.sum, "abs": torch.abs, "torch": torch, "F": functional,
}  # fmt: skip
NET = "h = tanh(X @ W1 + b1); z = h @ W2 + b2; cross_entropy(z, t)"
NET_INPUTS = (
    "X=randn(4,3)", "W1=randn(3,5)", "b1=randn(5)", "W2=randn(5,2)", "b2=randn(2)", "t=tensor([0,1,0,1])",
)  # fmt: skip


def derive(*words: str) -> Any:
    return run("derive", *words, "--json").json


def computed(text: str, values: dict[str, Any]) -> Any:
    """The value of an expression by Python and plain PyTorch."""
    scope = {**NAMES, **values}
    *before, last = text.split("; ")
    for statement in before:
        exec(statement, scope)
    return eval(last.partition(" = ")[2] if re.match(r"\w+ = ", last) else last, scope)


def drawn(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for name, shape in shapes.items()
    }


def check(expression: str, found: Any, values: dict[str, Tensor]) -> None:
    """Compare formulas with autograd at `values`, with a random upstream gradient."""
    value = computed(expression, values)
    upstream = torch.rand_like(value) if value.ndim else torch.ones_like(value)
    by = [name for name in found["formulas"] if values[name].requires_grad]
    slopes = torch.autograd.grad(value, [values[name] for name in by], upstream, allow_unused=True)
    scope = {**values, **({found["upstream"]: upstream} if found["upstream"] else {})}
    for name, slope in zip(by, slopes, strict=True):
        formula = computed(found["formulas"][name], scope)
        expected = torch.zeros_like(values[name]) if slope is None else slope
        formula = torch.as_tensor(formula, dtype=torch.float64)
        torch.testing.assert_close(formula, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.smoke
def test_the_lectures_case() -> None:
    found = derive("mse(w*x, y)", "x=1", "w=2", "y=1")
    assert list(found["formulas"]) == ["x", "w", "y"]
    assert (found["ok"], found["upstream"], found["reasons"]) == (True, None, {})
    for x, w, y in ((1.0, 2.0, 1.0), (-3.0, 0.5, 4.0)):
        slope = computed(found["formulas"]["w"], {"x": x, "w": w, "y": y})
        assert slope == pytest.approx(2 * x * (w * x - y))


SHAPED: dict[str, dict[str, tuple[int, ...]]] = {
    "mse(X @ w, y) + lam*norm(w)**2": {"X": (5, 3), "w": (3,), "y": (5,), "lam": ()},
    "p = softmax(a, 0); p": {"a": (4,)},
    "sum(sigmoid(x*w))/len(x)": {"x": (3,), "w": ()},
    "gamma*(x - x.mean(0))": {"x": (6, 3), "gamma": (3,)},
    "g*x": {"g": (2,), "x": (2,)},
    "h = tanh(X @ W + b); mse(h @ V + c, y)": {
        "X": (5, 2), "W": (2, 3), "b": (3,), "V": (3, 4), "c": (4,), "y": (5, 4)
    },
    "mse((X + b)**2 @ V, y)": {"X": (5, 3), "b": (3,), "V": (3, 1), "y": (5, 1)},
    "mu = X.mean(0, keepdim=True); v = X.var(0, keepdim=True); Z = (X - mu)/sqrt(v); mse(sigmoid(Z @ w + b), y)": {
        "X": (5, 2), "w": (2,), "b": (), "y": (5,)
    },
    "m = X.amax(0, keepdim=True); r = 2*w[None]; h = exp(X - m)*r; tanh(h @ V)": {
        "X": (5, 3), "w": (3,), "V": (3, 4)
    },
}  # fmt: skip


@pytest.mark.parametrize("expression", first_usual(SHAPED, in_rows(2, SHAPED)))
def test_a_formula_holds_for_other_numbers_and_other_sizes(expression: str) -> None:
    shapes = SHAPED[expression]
    words = [f"{name}=randn({shape or (1,)})" if shape else f"{name}=0.3" for name, shape in shapes.items()]  # fmt: skip
    found = derive(expression, *words)
    assert found["ok"], found["reasons"]
    assert not found["notes"]
    other = {3: 4, 4: 3, 5: 7, 6: 2, 2: 5}
    for sizes in ({}, other):
        resized = {name: tuple(sizes.get(n, n) for n in shape) for name, shape in shapes.items()}
        check(expression, found, drawn(**resized))


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (["x.chunk(2)[0].sum()", "x=1,2,3,4"], "holds for the given sizes alone"),
        (
            ["a, b = x.chunk(2, 1); mse(a*tanh(b), y)", "x=randn(5,8)", "y=randn(5,4)"],
            "holds for the given sizes alone",
        ),
        (["x.view(5,-1).sum(0) @ w", "x=randn(35)", "w=ones(7)"], "was not tried at other sizes"),
        (["x.squeeze().pow(2).mean()", "x=[[1,2]]"], "holds where x.shape[0] is 1"),
        (
            ["x[torch.arange(2), t].sum() + x.sum(1).mean()", "x=1,2;3,4", "t=tensor([0,1])"],
            "holds where x.shape[0] is 2",
        ),
        (["mse((X @ W).view(-1), y)", "X=randn(3,2)", "W=1;2", "y=1,2,3"], ""),
        (["x.flatten(1) @ w", "x=randn(5,7,11)", "w=randn(77)"], ""),
        (["a, b = x; a*b", "x=1,2"], ""),
        (["x[:2].sum() + x.mean()", "x=1,2"], "holds for the given sizes alone"),
        (["x.view(2, 3) @ y", "x=randn(6)", "y=randn(3)"], ""),
        (["(x.view(2, 3) @ y)**4", "x=randn(6)", "y=randn(3)"], ""),
    ],
)
def test_a_note_says_that_a_formula_may_not_hold_at_other_sizes(
    words: list[str], note: str
) -> None:
    found = derive(*words)
    assert found["ok"]
    said = {each["text"].partition("formula for ")[2][2:] for each in found["notes"]}
    assert said == ({note} if note else set())


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(
    ("expression", "inputs", "texts"),
    [
        ("x.view(-1).pow(2).mean()", ["x"], {"x": "2*x/x.numel()"}),
        ("F.mse_loss(x.view(-1), y.flatten())", ["x", "y"], {"x": "2*(x - y)/x.numel()", "y": "2*(y - x)/x.numel()"}),
        ("x.flatten() @ w.flatten()", ["x", "w"], {"x": "w", "w": "x"}),
    ],
)  # fmt: skip
def test_a_side_of_size_1_may_be_longer_where_it_is_flattened(
    expression: str, inputs: list[str], texts: dict[str, str], rows: int
) -> None:
    found = derive(expression, *(f"{name}=randn({rows},3)" for name in inputs))
    assert (found["formulas"], found["notes"]) == (texts, [])
    check(expression, found, drawn(**dict.fromkeys(inputs, (4, 2))))


@pytest.mark.parametrize(("batch", "time"), [(1, 2), (2, 1), (2, 3)])
def test_the_logits_of_a_language_model_are_flattened(batch: int, time: int) -> None:
    expression = "F.cross_entropy(z.view(-1, z.shape[-1]), t.view(-1))"
    words = f"z=randn({batch},{time},3)", f"t=zeros({batch},{time})"
    found = derive(expression, *words)
    assert (found["ok"], found["notes"]) == (True, [])
    assert found["formulas"]["z"].endswith("/t.numel()).reshape(z.shape)")
    z, t = drawn(z=(4, 5, 6))["z"], torch.randint(6, (4, 5))
    names = {"one_hot": lambda t, n: functional.one_hot(t, n).double()}
    text = computed(found["formulas"]["z"], {"z": z.detach(), "t": t, **names})
    functional.cross_entropy(z.flatten(0, 1), t.flatten()).backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(text, z.grad)  # type: ignore[arg-type]


def test_a_smooth_function_has_no_kink_where_its_formula_divides_by_0() -> None:
    found = derive("det(A)", "A=1,2;2,4")
    (note,) = found["notes"]
    assert note["code"] == "not-a-number"
    assert note["text"].endswith("holds near the given point, where it cannot be computed")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["e**x"], "exp(x)"),
        (["e**(-x)"], "-exp(-x)"),
        (["e*x"], "e"),
        (["math.e*x", "x=1", "e=2"], "exp(1)"),
        (["x*log(e)"], "1"),
        (["pi**x"], "pi**x*log(pi)"),
        (["x/sqrt(len(x[:2]))", "x=1,2,3"], "g/sqrt(2)"),
        (["x/sqrt(len(x[:4]))", "x=1,2,3,4,5"], "g/2"),
    ],
)
def test_a_constant_is_exact(words: list[str], text: str) -> None:
    assert derive(*words)["formulas"]["x"] == text


def test_a_mask_is_cast_to_the_dtype_of_the_points() -> None:
    found = derive("m = (h > 0).float(); (X.T @ m).sum()", "X=randn(4,3)", "h=randn(4,2)")
    assert found["formulas"]["X"] == "sum(h > 0, 1)[:, None].expand_as(X)"


def test_an_input_without_a_value_is_one_number() -> None:
    found = derive("sigmoid(w*x)", "x=2")
    assert found["defaults"] == ["w"]
    assert list(found["inputs"]) == ["x", "w"]
    check("sigmoid(w*x)", found, drawn(x=(), w=()))
    assert derive("t*sin(t)")["defaults"] == ["t"]


@pytest.mark.parametrize(
    "expression", ["log(p) + log(1 - p)", "acosh(x)", "log(x - 3)", "sqrt(-x)", "log(x - y)"]
)
def test_its_number_is_one_where_the_expression_is_finite(expression: str) -> None:
    found = derive(expression)
    assert found["ok"]
    value = computed(expression, {name: torch.tensor(n) for name, n in found["inputs"].items()})
    assert torch.isfinite(value)


def refused(*words: str) -> str:
    shown = run("derive", *words)
    assert (shown.status, shown.stdout) == (2, ""), shown
    assert shown.stderr.startswith("error: ")
    return shown.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sigmod(w*x)"], "did you mean sigmoid"),
        (["relu"], "relu is a function, not a value"),
        (["tf.exp(x)"], "write torch"),
        (["\u03b1*x"], "write alpha*x"),
        (["x*true"], "write True"),
        (["A @ x", "x=1,2"], "A is one number, because it is not given: A=1,2 gives a vector"),
        (["x*w", "--wrt", "q"], "there is no input 'q'"),
        (["log(-x**2)"], "not finite"),
        (["log(x)", "x=-1"], "not finite"),
        (["x*rand(3)", "x=1"], "random"),
        (["3"], "no input"),
        (["x > 2"], "differentiable operations"),
        (["x.argmax()", "x=1,2"], "differentiable operations"),
        (["x*y", "--check"], "formula is shown only if"),
        (["x*y", "--expect", "x=1"], "gradcli grad EXPR NAME=T --expect"),
        (["x*y", "--explain"], "--steps"),
        (["x*y", "--csv"], "--json"),
        (["x*y", "--graph", "tree"], "gradcli grad EXPR NAME=T --graph tree"),
        (["x*y", "--out", "a.npz"], ".json, .md, .tex, .html"),
        (["x*y", "--latex", "--json"], "--json and --latex cannot be used together"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_named_with_its_cure(words: list[str], said: str) -> None:
    assert said in refused(*words)


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    found = derive("x**2", "x=1")
    keys = [
        "command", "dtype", "inputs", "defaults", "notes", "ok", "expression", "formulas", "upstream", "latex", "verified",
        "reasons",
    ]  # fmt: skip
    assert list(found) == keys
    assert list(derive("x**2", "x=1", "--steps")) == [*keys[:9], "steps", *keys[9:]]
    assert set(found["verified"]["x"]) == {"points", "sizes", "max_rel_error"}
    assert found["verified"]["x"]["max_rel_error"] <= 1e-9
    assert run("derive", "x**2", "--get", "formulas.x").stdout == found["formulas"]["x"] + "\n"


@pytest.mark.parametrize("expression", ["sqrt(x)", "xlogy(x, x)", "n = sqrt(abs(x)); n*3"])
def test_a_gradient_that_is_not_finite_at_the_given_point_has_its_formula(expression: str) -> None:
    found = derive(expression, "x=0,1")
    check(expression, found, {"x": torch.tensor([0.3, 2], dtype=torch.float64, requires_grad=True)})
    texts = [note["text"] for note in found["notes"] if note["code"] == "not-a-number"]
    assert texts == [
        "NaN or inf in the gradient for x at the given point: its formula was verified at others"
    ]


@pytest.mark.parametrize(
    ("expression", "code", "said"),
    [
        ("x**2 + sum(0*x)", "unused-input", "does not depend on y"),
        ("x**2*len(y)", "unused-input", "does not depend on the numbers of y"),
        ("sum(x*y.detach())", "no-derivative", "no differentiable operation leads from y"),
        ("sum((x > y)*x)", "no-derivative", "no differentiable operation leads from y"),
    ],
)
def test_an_input_off_the_path_has_zeros_and_a_note(expression: str, code: str, said: str) -> None:
    found = derive(expression, "x=1", "y=1,2")
    assert found["formulas"]["y"] == "zeros_like(y)"
    (note,) = found["notes"]
    assert note["code"] == code
    assert said in note["text"]


def test_the_upstream_gradient_has_a_free_name() -> None:
    assert derive("x**2", "x=1,2")["upstream"] == "g"
    assert derive("g*x", "x=1,2", "g=3")["upstream"] == "upstream"


def test_what_has_no_formula_is_null_with_a_reason() -> None:
    words = ("linalg.cholesky(A).sum()", "A=2,1;1,2")
    shown = run("derive", *words, "--json")
    assert shown.status == 1
    assert (shown.json["formulas"], shown.json["latex"]) == ({"A": None}, {"A": None})
    assert (shown.json["ok"], shown.json["verified"]) == (False, {})
    assert shown.json["reasons"] == {"A": "no rule for cholesky"}
    page = run("derive", *words)
    assert (page.status, "no formula (no rule for cholesky)" in page.stdout) == (1, True)
    assert derive("special.i0e(a)*b", "a=2", "b=3")["formulas"] == {"a": None, "b": "i0e(a)"}
    shown = run("derive", *words, "--latex")
    assert (shown.status, shown.stdout) == (1, "% A: no formula (no rule for cholesky)\n")


def recurrent(count: int) -> tuple[str, ...]:
    """A network whose formula by W, and with more steps by U, takes too long with little work."""
    steps = [f"h{i} = tanh(W @ h{i - 1} + U*sin(W @ h{i - 1}))" for i in range(1, count + 1)]
    return ("; ".join([*steps, f"h{count}.sum()"]), "W=randn(3,3)", "U=1,2,3", "h0=1,2,3")


@pytest.fixture
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after less than half of the usual work."""
    monkeypatch.setattr(nodes, "WORK", 40_000)


def test_a_formula_that_takes_too_long_loses_no_shorter_one(little_work: None) -> None:
    found = run("derive", *recurrent(3), "--json", here=True).json
    assert found["reasons"] == {"W": "took too long"}
    assert all(found["formulas"][name] for name in ("U", "h0"))


@pytest.mark.exhaustive
def test_of_attention_the_formula_by_what_is_used_three_times_may_take_too_long() -> None:
    sizes = ("X=randn(4,3)", "Wq=randn(3,2)", "Wk=randn(3,2)", "Wv=randn(3,2)")
    found = derive("P = softmax((X @ Wq) @ (X @ Wk).T/sqrt(2), 1); P @ (X @ Wv)", *sizes)
    assert found["reasons"].keys() <= {"X"}


@pytest.mark.parametrize(
    ("expression", "words", "texts"),
    [
        (
            "(X[:, :2] @ w).sum()",
            ["X=randn(4,3)", "w=1,2"],
            {"X": "pad(w, (0, X.shape[1] - 2)).expand_as(X)", "w": "X.T[:2].sum(1)"},
        ),
        ("x[:2] @ w", ["x=1,2,3", "w=1,2"], {"x": "pad(w, (0, len(x) - 2))", "w": "x[:2]"}),
        ("x[1:3] @ w", ["x=1,2,3,4", "w=1,2"], {"x": "pad(w, (1, len(x) - 3))", "w": "x[1:3]"}),
        ("x[-2:] @ w", ["x=1,2,3,4", "w=1,2"], {"x": "pad(w, (len(x) - 2, 0))", "w": "x[-2:]"}),
        ("x.narrow(0, 0, 2) @ w", ["x=1,2,3", "w=1,2"], {"w": "x[:2]"}),
        ("x[1:-1] @ w", ["x=1,2,3,4", "w=1,2"], {"x": "pad(w, (1, 1))", "w": "x[1:-1]"}),
        ("x[:len(x) - 1] @ w", ["x=1,2,3", "w=1,2"], {"x": "pad(w, (0, 1))", "w": "x[:-1]"}),
        (
            "((x[1:] - c - a*x[:-1])**2).mean()",
            ["x=1,2,3,4", "c=1", "a=1"],
            {
                "c": "-2*mean(x[1:] - c - a*x[:-1])",
                "a": "-2/(len(x) - 1)*x[:-1] @ (x[1:] - c - a*x[:-1])",
            },
        ),
        (
            "((x[1:] - c - a*x[:-1])**2).sum()",
            ["x=1,2,3,4", "c=1", "a=1"],
            {"c": "-2*sum(x[1:] - c - a*x[:-1])"},
        ),
    ],
)
def test_a_slice_counts_from_the_end_that_the_user_counted_from(
    expression: str, words: list[str], texts: dict[str, str]
) -> None:
    found = derive(expression, *words)
    assert (found["ok"], found["notes"]) == (True, [])
    assert {name: found["formulas"][name].rpartition("; ")[2] for name in texts} == texts


@pytest.mark.parametrize(
    "call", ["linalg.norm(X, 2)", "linalg.norm(X, 1)", "linalg.matrix_norm(X, -2)", "np.linalg.norm(X, 2)"]
)  # fmt: skip
def test_an_induced_norm_has_no_rule(call: str) -> None:
    assert derive(call, "X=2,1;1,3")["reasons"] == {"X": "no rule for this norm"}


@pytest.mark.parametrize("call", ["linalg.norm(X)", "linalg.norm(X, 'fro')", "torch.norm(X, 2)"])
def test_a_norm_of_the_elements_has_its_formula(call: str) -> None:
    assert derive(call, "X=2,1;1,3")["formulas"] == {"X": "X/norm(X)"}
    assert derive(call, "X=2;1;3")["formulas"] == {"X": "X/norm(X)"}


def test_a_drawn_number_is_not_rounded_to_0() -> None:
    words = ["x=1.1,2,3.2", "y=.5,.2,.3", "z=1,2,.5", "B=1"]
    found = derive("F.gaussian_nll_loss(x, y, z)", *words)
    assert found["formulas"]["x"] == "(x - y)/(len(x)*z)"


@pytest.mark.parametrize("name", ["lambda_", "x_"])
def test_a_name_that_ends_like_a_method_in_place_may_be_an_input(name: str) -> None:
    assert derive(f"{name}*w")["formulas"] == {name: "w", "w": name}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["r = norm(x); exp(-r)", "x=1,2,3"], "dr*x/r"),
        (["r = sqrt((x**2).sum()); exp(-r)", "x=1,2,3"], "dr*x/r"),
        (["r = sqrt(x**2 + y**2); exp(-r)", "x=1", "y=2"], "dr*x/r"),
        (["r = sqrt(x @ S @ x); exp(-r)", "x=1,2", "S=2,1;1,3"], "dr/(2*r)*(S + S.T) @ x"),
    ],
)
def test_the_slope_of_a_root_is_in_terms_of_its_step(words: list[str], text: str) -> None:
    page = run("derive", *words, "--steps").stdout
    assert re.findall(r"^dx += (.+)$", page, re.MULTILINE) == [text]


def test_an_element_may_be_looked_up_at_two_places_and_a_condition_negated() -> None:
    looked_up = derive("(Q[s, a] - r)**2", "Q=randn(3,2)", "s=tensor(0)", "a=tensor(1)", "r=1")
    assert looked_up["formulas"]["r"] == "2*(r - Q[s][a])"
    hinge = derive("relu(1 - u @ (W @ x))", "u=randn(4)", "W=randn(4,3)", "x=randn(3)")
    assert hinge["formulas"]["x"] == "-1.0*(1 > W @ x @ u)*W.T @ u"


_MATRICES = ("U=eye(2)", "V=eye(2)")


TEXTBOOKS: list[tuple[list[str], dict[str, str]]] = [
    (
        ["where(abs(r) <= d, r**2/2, d*(abs(r) - d/2)).sum()", "r=1,2,3", "d=1.5"],
        {"d": "sum((abs(r) > d)*(abs(r) - d))"},
    ),
    (
        ["where(x > 0, x, a*(exp(x) - 1)).sum()", "x=1,-2,3", "a=1.5"],
        {"a": "sum((exp(x) - 1)*(x <= 0))"},
    ),
    (
        ["((c*torch.arange(4) - y)**2).mean()", "c=1", "y=1,2,3,5"],
        {"c": "sum(arange(4)*(c*arange(4) - y))/2"},
    ),
    (
        ["logdet(A + lam*eye(2)) + log(trace(inv(A)))", "A=2,1;1,3", "lam=1"],
        {"lam": "trace(inv(A + lam*eye(2)))"},
    ),
    (["trace(inv(X))**2", "X=2,1;1,3"], {"X": "-2*trace(inv(X))*inv(X).T @ inv(X).T"}),
    (["logdet(A + diag(v))", "A=2,1;1,3", "v=1,2"], {"v": "inv(A + diag(v)).diagonal()"}),
    (
        ["norm(y - K @ a)**2 + lam*(a @ K @ a)", "K=randn(3,3)", "a=1,2,3", "y=1,3,2", "lam=1"],
        {"a": "lam*(K + K.T) @ a - 2*K.T @ (y - K @ a)"},
    ),
    (
        ["h = 2*x; a = tanh(U @ h); b = tanh(V @ h); a @ b", *_MATRICES, "x=1,2", "--steps"],
        {"dh": "V.T @ (db*(1 - b**2)) + U.T @ (da*(1 - a**2))"},
    ),
    (
        ["np.logaddexp(0, -y*(X @ w)).mean()", "X=randn(3,2)", "y=1,-1,1", "w=1,2"],
        {"w": "-X.T @ (y*sigmoid(-y*(X @ w)))/len(y)"},
    ),
    (["relu(x + 0.1)"], {"x": "1.0*(x + 0.1 > 0)"}),
    (["(x - 0.1)**3"], {"x": "3*(x - 0.1)**2"}),
    (["(x - 0.1)**2"], {"x": "2*(x - 0.1)"}),
    (["sigmoid(x - 0.3)"], {"x": "s = sigmoid(x - 0.3); s*(1 - s)"}),
    (["P*(1 + r/12)**(12*t)"], {"P": "(r/12 + 1)**(12*t)"}),
    (["(x/2 + y/3)**2"], {"x": "x/2 + y/3"}),
    (
        ["(y - X @ w).T @ (y - X @ w)", "X=randn(3,2)", "y=1;2;3", "w=1;2"],
        {
            "w": "-2*X.T @ (y - X @ w)",
            "y": "2*(y - X @ w)",
            "X": "-2*(y - X @ w) @ w.T",
        },
    ),
    (["x.T @ A @ x", "x=1;2", "A=randn(2,2)"], {"x": "(A + A.T) @ x", "A": "x @ x.T"}),
    (["r @ A @ r.T", "r=[[1,2]]", "A=randn(2,2)"], {"A": "r.T @ r"}),
    (
        [
            "xc = x - mean(x); yc = y - mean(y); xc @ yc/(norm(xc)*norm(yc))",
            "x=1,2,4",
            "y=1,3,2",
        ],
        {
            "x": "xc = x - mean(x); (sum(xc**2)*(y - mean(y)) - sum(x*y - y*mean(x))*xc)"
            "/(norm(y - mean(y))*norm(xc)**3)"
        },
    ),
    (
        ["z = A @ x + B @ u; z @ Q @ z", "A=eye(2)", "B=eye(2)", "Q=eye(2)", "x=1,2", "u=2,3"],
        {"Q": "z = A @ x + B @ u; outer(z, z)"},
    ),
    (["slogdet(A)[1]", "A=1,2;3,4"], {"A": "inv(A).T"}),
    (["s, l = np.linalg.slogdet(A); c*l", "A=1,2;3,4"], {"c": "log(abs(det(A)))"}),
    (["special.gammaln(x) + special.psi(y)"], {"x": "digamma(x)", "y": "polygamma(1, y)"}),
    (["special.log_ndtr(x)"], {"x": "exp(-x**2/2)/(ndtr(x)*sqrt(2*pi))"}),
    (["special.entr(p).sum()", "p=.2,.8"], {"p": "-log(p) - 1"}),
    (["dist(x, y)", "x=1,2", "y=3,5"], {"x": "(x - y)/norm(x - y)"}),
    (["logcumsumexp(x, 0) @ d", "x=1,2", "d=3,5"], {"d": "log(cumsum(exp(x), 0))"}),
    (["tensordot(A, B, dims=([0], [0]))", "A=1,2;3,4", "B=1,2;3,5"], {"A": "B @ g.T"}),
    (
        ["linalg.multi_dot([A, B, x]) @ y", "A=eye(2)", "B=eye(2)", "x=1,2", "y=2,3"],
        {"B": "outer(A.T @ y, x)"},
    ),
    (["var_mean(x)[0]", "x=1,2,4"], {"x": "2*(x - mean(x))/(len(x) - 1)"}),
    (
        ["F.cross_entropy(x, t)", "x=[[1,2,4]]", "t=1"],
        {"x": "(softmax(x, 1) - one_hot(t.long(), x.shape[1]))/len(x)"},
    ),
    (
        ["mse(W[s] @ A, Y)", "W=randn(4,3)", "s=tensor([0,2,2])", "A=randn(3,2)", "Y=randn(3,2)"],
        {"W": "2*zeros_like(W).index_add(0, s, (W[s] @ A - Y) @ A.T)/Y.numel()"},
    ),
]
"""Calls, with formulas as textbooks have them."""


@pytest.mark.parametrize("case", first_usual(TEXTBOOKS, in_rows(2, TEXTBOOKS)))
def test_a_formula_is_as_textbooks_have_it(case: tuple[list[str], dict[str, str]]) -> None:
    words, formulas = case
    found = derive(*words)
    assert found["notes"] == []
    texts = found["formulas"] | {each["name"]: each["text"] for each in found.get("steps", [])}
    assert {name: texts[name] for name in formulas} == formulas


@pytest.mark.parametrize(
    ("words", "text", "notes"),
    [
        (["a.dot(x)", "x=1,2", "a=3,4"], "a", 0),
        (["np.dot(a, x)", "x=1,2", "a=1,2;3,4"], "a.T @ g", 0),
        (["x.sum() if x.ndim == 1 and len(x) > 1 else x.mean()", "x=1,2"], "ones_like(x)", 1),
        (["x.mean() if x.ndim == 2 or not len(x) else x.sum()", "x=1,2"], "ones_like(x)", 1),
    ],
)
def test_a_condition_may_join_others(words: list[str], text: str, notes: int) -> None:
    found = derive(*words)
    assert (found["formulas"]["x"], len(found["notes"])) == (text, notes)


def test_every_line_of_the_backward_pass_is_autograds_gradient() -> None:
    found = derive(NET, *NET_INPUTS, "--steps", "--dtype", "float64")
    values: dict[str, Tensor] = {
        name: torch.tensor(value, requires_grad=name != "t")
        for name, value in found["inputs"].items()
    }
    values = {name: t if name == "t" else t.detach().double().requires_grad_() for name, t in values.items()}  # fmt: skip
    h = torch.tanh(values["X"] @ values["W1"] + values["b1"])
    z = h @ values["W2"] + values["b2"]
    of = {"h": h, "z": z, **{name: t for name, t in values.items() if name != "t"}}
    loss = functional.cross_entropy(z, values["t"])
    slopes = dict(zip(of, torch.autograd.grad(loss, [*of.values()]), strict=True))
    assert [row["name"] for row in found["steps"]] == ["dz", "dh"]
    scope: dict[str, Any] = {**values, **of}
    page = run("derive", NET, *NET_INPUTS, "--steps", "--dtype", "float64").stdout
    lines = dict(re.findall(r"^(d\w+) += (.+)$", page, re.MULTILINE))
    assert list(lines)[:2] == ["dz", "dh"]
    assert set(lines) == {f"d{name}" for name in of}
    assert len({line.index("=") for line in page.splitlines() if re.match(r"d\w+ +=", line)}) == 1
    for row in found["steps"]:
        assert lines[row["name"]] == row["text"]
    for name, text in lines.items():
        scope[name] = computed(text, scope)
        torch.testing.assert_close(scope[name], slopes[name[1:]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("r = exp(p - q); -torch.min(r*A, torch.clamp(r, 0.8, 1.2)*A)", ["p=-1", "q=-1.2", "A=1"]),
        ("torch.min(p*A, torch.clamp(p, 0.8, 1.2)*A).sum()", ["p=1.3,.5", "A=1,-2"]),
        ("maximum(p, clamp(p, 0, 2))", ["p=3"]),
        ("torch.stack([p*A, clamp(p, 0.8, 1.2)*A]).amin()", ["p=1.3", "A=1"]),
        ("max(torch.stack([clamp(p, 0.8, 1.2)*A, p*A]))", ["p=1.1", "A=1"]),
    ],
)
def test_a_formula_holds_where_both_sides_of_a_minimum_are_equal(
    expression: str, words: list[str]
) -> None:
    numbers = {"p": 1.1, "q": 1.15, "A": 1.5}
    found = derive(expression, *words)
    assert found["ok"], found["reasons"]
    check(expression, found, {
        name: torch.full(torch.tensor(given).shape, numbers[name], dtype=torch.float64, requires_grad=True)
        for name, given in found["inputs"].items()
    })  # fmt: skip


def test_a_minimum_of_operands_that_are_equal_in_a_region_has_its_formula() -> None:
    found = derive("r = exp(p - 1); torch.min(r*A, torch.clamp(r, 0.8, 1.2)*A)", "p=1", "A=-2")
    assert (found["ok"], found["reasons"]) == (True, {})
    assert derive("-n/2*log(2*pi)", "n=3")["formulas"] == {"n": "-log(2*pi)/2"}


MASK, KEEP = "tensor([[1,0,0],[1,1,0],[1,1,1]])", "True,False,False;True,True,False;True,True,True"


@pytest.mark.parametrize(
    ("mask", "masked", "written"),
    [
        (MASK, "s.masked_fill(m == 0, float('-inf'))", "where(m == 0, -inf, s)"),
        rare(MASK, "where(m.bool(), s, float('-inf'))", "where(m != 0, s, -inf)"),
        (MASK, "where(m.to(torch.bool), s, -torch.inf)", "where(m != 0, s, -inf)"),
        rare(MASK, "s.masked_fill(m.logical_not(), -inf)", "where(m == 0, -inf, s)"),
        (KEEP, "s.masked_fill(~m, float('-inf'))", "where(m == 0, -inf, s)"),
        rare(KEEP, "where(m, s, -float('inf'))", "where(m, s, -inf)"),
        rare(KEEP, "s.masked_fill(~(m & (s < 9)), -inf)", "where((m & (s < 9)) == 0, -inf, s)"),
        (
            "",
            "s.masked_fill(torch.tril(torch.ones(len(s), len(s))) == 0, float('-inf'))",
            "where(tril(ones(len(s), len(s))) == 0, -inf, s)",
        ),
        (
            "",
            "s.masked_fill(torch.triu(torch.ones(3, 3), diagonal=1).bool(), float('-inf'))",
            "where(triu(ones(3, 3), 1) != 0, -inf, s)",
        ),
        (
            "",
            "s.masked_fill(~torch.tril(torch.ones_like(s, dtype=torch.bool)), -inf)",
            "where(tril(ones(len(s), len(v))) == 0, -inf, s)",
        ),
        (
            "",
            "s + torch.triu(torch.full((3, 3), float('-inf')), diagonal=1)",
            "s + triu(full([3, 3], -inf), 1)",
        ),
    ],
)
def test_a_mask_may_be_written_as_courses_do(mask: str, masked: str, written: str) -> None:
    expression = f"p = softmax({masked}, -1); p @ v"
    words = ("s=randn(3,3)", "v=randn(3,2)", *([f"m={mask}"] if mask else []), "--wrt", "s,v")
    found = derive(expression, *words)
    assert found["formulas"] == {
        "s": f"p = softmax({written}, 1); p*(g @ v.T - sum(g*(p @ v), 1)[:, None])",
        "v": f"softmax({written}, 1).T @ g",
    }


@pytest.mark.parametrize(
    ("expression", "lines"),
    [
        ("b = x[1]; sin(b).sum()*x.sum()", ["db = sum(x)*cos(b)"]),
        (
            "c = x.T; r = c[0]; (r @ r)*c.sum()",
            ["dr = 2*r*sum(c)", "dc = r @ r + outer(eye(x.shape[1])[0], dr)"],
        ),
        ("d = x[:, 0]; (d**2).sum()*x.sum()", ["dd = 2*d*sum(x)"]),
        ("e = x.view(-1); exp(e).sum()", ["de = exp(e)"]),
        (
            "z = x**2; u, v = z[0], z[1]; u @ v",
            ["dv = u", "du = v", "dz = outer(eye(len(x))[1], dv) + outer(eye(len(x))[0], du)"],
        ),
        ("a = x; (a**2).sum()", ["da = 2*a"]),
        ("a = x; b = a**2; b.sum() + x.sum()", ["db = ones_like(b)"]),  # a is x
    ],
)
def test_a_step_that_only_views_elements_has_its_line(expression: str, lines: list[str]) -> None:
    found = derive(expression, "x=randn(2,2)", "--steps")
    check(expression, found, drawn(x=(2, 2)))
    assert [f"{row['name']} = {row['text']}" for row in found["steps"]] == lines


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        (
            [],
            [
                "\ndU  = ",
                "\ndL/dU  : no formula in the inputs alone (took too long)\n",
                "\neach line was verified against autograd\n",
            ],
        ),
        rare(["--latex"], ["% U: no formula in the inputs alone (took too long)\n"]),
    ],
)
def test_a_gradient_that_has_only_a_line_of_the_backward_pass_is_named(
    form: list[str], parts: list[str], little_work: None
) -> None:
    shown = run("derive", *recurrent(4), "--steps", *form, here=True)
    assert shown.status == 1
    assert [shown.stdout.count(part) for part in parts] == [1] * len(parts)


def test_an_input_may_be_called_like_the_gradient_of_a_step() -> None:
    expression = "out = P @ V; dh = out**2; h = dh*3; (h*dout).sum()"
    words = (expression, "P=randn(3,3)", "V=randn(3,2)", "dout=randn(3,2)")
    found = derive(*words, "--steps")
    check(expression, found, drawn(P=(3, 3), V=(3, 2), dout=(3, 2)))
    assert found["steps"] == [{"name": "ddh", "text": "3*dout"}]
    assert "\ndV    = 2*P.T @ (ddh*out)\n" in run("derive", *words, "--steps").stdout


def test_a_rebound_name_is_that_of_its_last_value_and_a_note_says_so() -> None:
    words = ("h = x*w; h = relu(h); h += b; h.sum()", "x=1,2", "w=3", "b=1")
    found = derive(*words, "--steps")
    assert found["steps"] == [{"name": "dh", "text": "ones_like(h)"}]
    (note,) = found["notes"]
    assert (note["code"], note["text"][:24]) == ("rebound", "h is assigned 3 times, a")
    assert not derive(*words)["notes"]


def test_the_page_says_what_its_names_mean_and_how_it_was_verified() -> None:
    shown = run("derive", "p = softmax(a, 0); p", "a=1,2,3").stdout
    assert shown.startswith("p = softmax(a, 0)\n\ndL/da = ")
    assert "g = dL/dp, the upstream gradient of the result, in its shape [3]" in shown
    assert re.search(r"verified against autograd at \d+ points and \d+ other sizes, ", shown)
    steps = "q = x.view(2, 3).T; p = tanh(q @ w); sum(p**2*q[:, 0])"  # the formula has reshape
    again = run("derive", steps, "x=randn(6)", "w=1,2", "--wrt", "w").stdout
    assert "dL/dw = 2*q.T @ (q[:, 0]*p*(1 - p**2))\n\nshapes" in again
    numbers = run("derive", "L*x").stdout
    assert numbers.startswith("J = L*x\n\ndJ/dL = x\ndJ/dx = L\n")
    assert "L, x: one number each, by default" in numbers


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("x**2", "L = x**2"),
        ("y=x**2", "y=x**2"),
        ("c=w*x; loss=c**2", "c=w*x\nloss=c**2"),
        ("h = x; h += x**2", "h = x\nh += x**2"),
        ("h = x**2; h", "h = x**2"),
    ],
)
def test_the_result_is_named_once(expression: str, first: str) -> None:
    assert run("derive", expression).stdout.startswith(f"{first}\n\nd")
    heading = first.replace("\n", "; ")
    assert run("derive", expression, "--markdown").stdout.startswith(f"**`{heading}`**")


LONG = "gamma*(x - x.mean(0))/sqrt(mean((x - x.mean(0))**2, 0) + 1e-05)"


@pytest.mark.parametrize("width", [40, rare(60), 80])
def test_a_long_formula_is_broken_at_operators(width: int) -> None:
    words = (LONG, "x=randn(6,3)", "gamma=1,2,3")
    formula = derive(*words)["formulas"]["x"].split("; ")[-1]
    shown = run("derive", *words, env={"COLUMNS": str(width)}).stdout
    block = shown.partition("dL/dx")[2].partition("dL/dgamma")[0]
    block = block.partition("where ")[0]
    lines = block.partition("= ")[2].rstrip().splitlines()
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", formula)
    assert all(len(line) <= width for line in lines)
    if len(lines) > 1:
        assert not any(re.search(r"[-+*/@]$", line) for line in lines[:-1])
        assert min(len(line) - len(line.lstrip()) for line in lines[1:]) >= len("dL/dgamma = ") + 2


def test_a_break_loses_nothing_and_cuts_no_name_or_string() -> None:
    text = "einsum('ij, jk -> ik', A, B)*(alpha + beta*gamma - 1e-05)/len(y) + x**2 @ w"
    for width in range(1, 90):
        lines = broken(text, width)
        assert re.sub(" ", "", "".join(lines)) == re.sub(" ", "", text)
        for word in ("'ij, jk -> ik'", "1e-05", "alpha", "**2", "len(y)"):
            assert any(word in line for line in lines), (width, lines)
    assert broken(text, None) == [text]


def test_latex_is_display_mathematics(tmp_path: Path) -> None:
    words = ("mse(X @ w, y)", "X=randn(5,3)", "w=1,2,3", "y=ones(5)", "--wrt", "w")
    shown = run("derive", *words, "--latex").stdout
    assert shown == f"\\[\n{derive(*words)['latex']['w']}\n\\]\n"
    assert shown.startswith("\\[\n\\frac{\\partial L}{\\partial \\mathbf{w}} = ")
    assert r"\mathbf{X}^{\top}" in shown
    assert run("derive", *words, "--out", "w.tex", cwd=str(tmp_path)).stdout == "wrote w.tex\n"
    assert (tmp_path / "w.tex").read_text() == shown
    steps = run("derive", NET, *NET_INPUTS, "--steps", "--latex").stdout
    assert r"\mathrm{d}\mathbf{h} &= \mathrm{d}\mathbf{z} \mathbf{W}_{2}^{\top} \\" in steps


@pytest.mark.parametrize(
    "words",
    [
        ("mse(w*x, y)", "x=1", "w=2"),
        ("p = softmax(a, 0); p", "a=1,2,3"),
        ("x = x*2; x**2 + 0*y", "x=3", "y=1"),
        ("x*2", "x=1,2", "y=3"),
        ("2*x", "x=1"),
        ("g*x", "g=2,2", "x=1,2", "--dtype", "float64"),
        rare((NET, *NET_INPUTS)),
    ],
    ids=lambda words: words[0],
)
def test_the_program_prints_the_same_for_the_formula_and_for_autograd(
    words: tuple[str, ...],
) -> None:
    code = run("derive", *words, "--code", "--quiet").stdout
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(code, "program", "exec"), {})
    finally:
        torch.set_default_dtype(torch.float32)
    found: dict[str, dict[str, Any]] = {}
    for line in out.getvalue().splitlines():
        label, way, numbers = re.fullmatch(r"(\S+) by (the formula|autograd) (.+)", line).groups()  # type: ignore[union-attr]
        found.setdefault(label, {})[way] = torch.tensor(json.loads(numbers))
    assert found
    compared = 0
    for pair in found.values():
        if len(pair) == 2:
            torch.testing.assert_close(
                pair["the formula"], pair["autograd"], rtol=1e-4, atol=1e-6, check_dtype=False
            )
            compared += 1
    assert compared


def test_a_job_of_a_batch_is_the_json_of_the_command() -> None:
    jobs = [
        {"id": 1, "command": "derive", "expression": "sigmoid(w*x)"},
        {"id": 2, "command": "derive", "expression": "mse(w*x, y)", "inputs": {"x": 1}, "wrt": ["w"], "steps": True},
        {"id": 3, "command": "derive", "expression": "x", "latex": True},
        {"id": 4, "command": "derive", "expression": "linalg.cholesky(A)", "inputs": {"A": [[2, 1], [1, 2]]}},
        {"id": 5, "command": "derive", "expression": "x", "check": True},
    ]  # fmt: skip
    shown = run("batch", stdin="\n".join(map(json.dumps, jobs)))
    assert shown.status == 1
    first, second, latex, none, checked = map(json.loads, shown.stdout.splitlines())
    assert first == {**derive("sigmoid(w*x)"), "id": 1}
    assert second == {**derive("mse(w*x, y)", "x=1", "--wrt", "w", "--steps"), "id": 2}
    assert latex["error"]["kind"] == checked["error"]["kind"] == "usage"
    assert "latex" in latex["error"]["message"]
    assert none["ok"] is False


def test_the_expression_may_be_in_a_file_or_on_standard_input(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("p = sigmoid(w*x)\n-log(p)\n")
    file = run("derive", "@f.py", "--json", cwd=str(tmp_path)).json
    assert run("derive", "-", "--json", stdin="p = sigmoid(w*x)\n-log(p)\n").json == file
    check("p = sigmoid(w*x); -log(p)", file, drawn(w=(), x=()))


def test_other_commands_still_ask_for_every_input() -> None:
    shown = run("grad", "sigmoid(w*x)", "x=1")
    assert shown.status == 2
    assert "unknown name w" in shown.stderr


@pytest.mark.parametrize(
    ("text", "shape"), [("W @ x", "x='1,2' t=1"), ("X @ W", "X='1,2,0;0.5,-1,2' t=0,1")]
)
def test_class_indices_may_be_given_as_floats(text: str, shape: str) -> None:
    words = ("derive", f"cross_entropy({text}, t)", "W=1,2;3,4;0,1", *shlex.split(shape), "--json")
    found = json.loads(run(*words).stdout)
    assert found["ok"]
    assert "one_hot(t.long()" in found["formulas"]["W"]
