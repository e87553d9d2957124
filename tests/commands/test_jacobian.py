"""`jacobian`: every output by every input, against closed forms, plain PyTorch and central
differences.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli import core
from tests.program import run


def jacobian(*words: str) -> Any:
    return run("jacobian", *words, "--dtype", "float64", "--json").json


def test_a_matrix_times_a_vector_has_the_matrix() -> None:
    result = jacobian("W @ x", "W=1,2;3,4;5,6", "x=1,1")
    assert result["value"] == [3.0, 7.0, 11.0]
    assert result["jacobian"]["x"] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    by_w = torch.tensor(result["jacobian"]["W"])
    assert by_w.shape == (3, 3, 2)
    assert by_w.tolist() == [[[float(i == k)] * 2 for k in range(3)] for i in range(3)]


def test_polar_coordinates() -> None:
    result = jacobian("stack([r*cos(t), r*sin(t)])", "r=2", "t=pi/3")["jacobian"]
    assert result["r"] == pytest.approx([math.cos(math.pi / 3), math.sin(math.pi / 3)])
    assert result["t"] == pytest.approx([-2 * math.sin(math.pi / 3), 2 * math.cos(math.pi / 3)])


CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax(x, 0)": lambda x: torch.softmax(x, 0),
    "x.outer(x)": lambda x: torch.outer(x, x),
    "x.cumsum(0)[1:]": lambda x: x.cumsum(0)[1:],
    "x.norm()": lambda x: x.norm(),
    "sin(x)*x": lambda x: torch.sin(x) * x,
    "x.sort().values": lambda x: x.sort().values,
    "x[None].expand(2, 3)": lambda x: x[None].expand(2, 3),
}


@pytest.mark.parametrize("text", CASES)
def test_it_is_what_torch_func_says_and_what_central_differences_say(text: str) -> None:
    x = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    found = torch.tensor(jacobian(text, "x=0.3,-1.2,2")["jacobian"]["x"], dtype=torch.float64)
    function = CASES[text]
    assert found.shape == function(x).shape + x.shape
    columns = [
        (function(x + step) - function(x - step)) / 2e-6
        for step in 1e-6 * torch.eye(3, dtype=torch.float64)
    ]
    assert torch.allclose(found, torch.stack(columns, -1), rtol=1e-7, atol=1e-8)
    assert torch.allclose(found, torch.func.jacrev(function)(x), rtol=1e-12, atol=1e-14)


def test_wide_results_have_the_closed_form() -> None:
    result = run(
        "jacobian", "sigmoid(W @ x)", "W=randn(400,400)", "x=randn(400)", "--wrt", "x", "--json"
    ).json
    w, x = torch.tensor(result["inputs"]["W"]), torch.tensor(result["inputs"]["x"])
    s = torch.sigmoid(w @ x)
    assert torch.allclose(
        torch.tensor(result["jacobian"]["x"]), (s * (1 - s))[:, None] * w, rtol=1e-4, atol=1e-6
    )


def test_what_is_not_differentiated_and_what_is_drawn_stay_in_the_vectorised_way() -> None:
    """Ten million elements that a row would read make it pay; W, an integer and random numbers are
    no variables of it.
    """
    words = (
        "W[0]*x*i + rand(400) * x + 0*c[0]",
        "x=linspace(1,2,400)",
        "W=full((1,400),3)",
        "i=tensor(2)",
        "c=zeros(9500000)",
    )
    value, found = (
        torch.tensor(json.loads(run("jacobian", *words, "--wrt", "x", "--get", path).stdout))
        for path in ("value", "jacobian.x")
    )
    torch.testing.assert_close(found, torch.diag(value / torch.linspace(1, 2, 400)))
    assert len(set(found.diagonal().tolist())) > 300


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("chunk", [1, 30])
def test_the_vectorised_way_is_jacrev_piece_by_piece(
    text: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "CHUNK", chunk)
    monkeypatch.setattr(core, "jacobian_rows", None)
    inputs = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in (("x", [0.3, -1.2, 2.0]), ("w", 2.0))
    }

    def function(given: dict[str, Tensor]) -> Tensor:
        return CASES[text](given["x"]) * given["w"]

    more = {**inputs, "unused": torch.ones(2, requires_grad=True)}
    found = core.jacobian(function(more), more, touched=10**10)
    assert list(found) == ["x", "w", "unused"]
    assert found.pop("unused") is None
    expected = torch.func.jacrev(function)(
        {name: tensor.detach() for name, tensor in inputs.items()}
    )
    torch.testing.assert_close(found, expected)


def test_a_loop_of_pytorchs_own_over_rows_is_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch has no batched form of this backward pass, and warns of that."""
    monkeypatch.setattr(core, "VECTORISE_FROM", 0)
    text = "F.mse_loss(x, 0*x, reduction='none')"
    result = run("jacobian", text, "x=linspace(1,2,9)", "--json", here=True)
    assert "pytorch" not in {note["code"] for note in result.json["notes"]}
    found = torch.tensor(result.json["jacobian"]["x"])
    torch.testing.assert_close(found, torch.diag(2 * torch.linspace(1, 2, 9)))


def test_without_the_functions_below_vmap_rows_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    expected = core.jacobian(x**2, {"x": x}, touched=10**10)["x"]
    monkeypatch.setattr(core, "_batches", None)
    monkeypatch.setattr(core, "_jacobian_vectorised", None)
    found = core.jacobian(x**2, {"x": x}, touched=10**10)["x"]
    assert expected is not None
    assert found is not None
    assert found.tolist() == expected.tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_what_cannot_be_vectorised_is_computed_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    refused: list[RuntimeError] = []
    vectorised = core._jacobian_vectorised

    def watched(*given: Any) -> Any:
        try:
            return vectorised(*given)
        except RuntimeError as error:
            refused.append(error)
            raise

    monkeypatch.setattr(core, "_jacobian_vectorised", watched)

    def function(given: dict[str, Tensor]) -> Tensor:
        return (given["x"].to_sparse() * 2).to_dense()  # vmap knows no sparse tensors

    found = core.jacobian(function({"x": x}), {"x": x}, touched=10**10)["x"]
    assert found is not None
    assert found.tolist() == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]
    assert len(refused) == 1


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    result = jacobian("x*w", "x=1,2", "w=3")
    common = {"command", "dtype", "inputs", "defaults", "notes", "expression"}
    assert set(result) == common | {"value", "jacobian"}
    assert result["command"] == "jacobian"
    assert result["jacobian"] == {"x": [[3.0, 0.0], [0.0, 3.0]], "w": [1.0, 2.0]}


def test_one_number_has_its_gradient() -> None:
    result = jacobian("x**2", "x=3")
    assert (result["value"], result["jacobian"]) == (9.0, {"x": 6.0})


def test_wrt_chooses_and_integers_stay_out() -> None:
    assert set(jacobian("x*w", "x=1,2", "w=3", "--wrt", "w")["jacobian"]) == {"w"}
    assert "x" in jacobian("x[i]", "x=1,2", "i=tensor([1,0])")["jacobian"]


def test_an_input_that_is_not_on_the_path_is_null_with_a_note() -> None:
    result = jacobian("x*2", "x=1,2", "w=3")
    assert result["jacobian"]["w"] is None
    assert [note["code"] for note in result["notes"]] == ["unused-input"]


@pytest.mark.parametrize(
    ("words", "shapes"),
    [
        (["x[x>5]", "x=1,2"], {"x": (0, 2)}),
        (["x*w", "x=zeros(0)", "w=2"], {"x": (0, 0), "w": (0,)}),
        (["A @ x", "A=zeros(0,2)", "x=1,2"], {"A": (0, 0, 2), "x": (0, 2)}),
        (["x.sum()*w", "x=zeros(0)", "w=2"], {"x": (0,), "w": ()}),
    ],
)
def test_without_outputs_or_inputs_it_has_no_numbers_but_a_shape(
    words: list[str], shapes: dict[str, tuple[int, ...]]
) -> None:
    result = jacobian(*words)
    blocks = {name: torch.zeros(shape).tolist() for name, shape in shapes.items()}
    assert (result["jacobian"], result["notes"]) == (blocks, [])
    assert run("jacobian", *words, "--check").status == 0
    given = [f"{name}=zeros({','.join(map(str, shape))})" for name, shape in shapes.items()]
    for word in [one for one in given if not one.endswith("()")]:
        assert run("jacobian", *words, "--expect", word).status == 0


def test_an_input_off_the_path_is_null_without_outputs_too() -> None:
    result = jacobian("w*x.detach()", "x=zeros(0)", "w=2")
    assert result["jacobian"] == {"x": None, "w": []}
    assert [note["code"] for note in result["notes"]] == ["no-derivative"]


def test_the_table_labels_outputs_and_inputs_and_says_which_are_rows() -> None:
    text = run("jacobian", "W @ x", "W=1,2;3,4", "x=1,1").stdout
    for piece in (
        "y[0]",
        "y[1]",
        "x[0]",
        "x[1]",
        "W[1,0]",
        "rows",
        "outputs",
        "columns",
        "inputs",
        "[2, 2, 2]",
        "[2, 2]",
    ):
        assert piece in text, piece


def test_the_last_name_assigned_labels_the_rows() -> None:
    text = run("jacobian", "h = x*2; out = h**2", "x=1,2").stdout
    assert "out[0]" in text


def test_csv_has_a_row_per_output_and_a_column_per_input_element() -> None:
    shown = run(
        "jacobian", "W @ x", "W=1,2;3,4", "x=1,1", "--wrt", "x", "--csv"
    ).stdout.splitlines()
    assert [line.split(",")[1:] for line in shown] == [
        ["x[0]", "x[1]"],
        ["1.0", "2.0"],
        ["3.0", "4.0"],
    ]


def test_csv_quotes_the_labels_of_a_matrix() -> None:
    shown = run("jacobian", "x.sum()", "x=1,2;3,4", "--csv").stdout.splitlines()
    assert shown[0].endswith('"x[0,0]","x[0,1]","x[1,0]","x[1,1]"')
    assert shown[1].endswith("1.0,1.0,1.0,1.0")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "EXPR"),
        (["x @ y", "x=1,2", "y=1,2,3"], "@"),
        (["x > 0", "x=1,2"], "does not depend"),
        (["x.long()", "x=1,2"], "does not depend"),
        (["x*2", "x=tensor([1,2])"], "int64"),
        (["x*1j", "x=1,2"], ".real"),
        (["x*2", "x=zeros(2**15)"], "2**15"),
        (["outer(x, x)", "x=zeros(1000)"], "1,000,000,000"),
        (["x*2", "x=1", "--row", "0"], "--row"),
        (["x*2", "x=1", "--wrt", "w"], "w"),
        (["--fn", "relu", "--x", "1"], "--fn"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("jacobian", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr
