"""`functions`: the catalogue to read; the slopes at kinks against plain autograd and against the
closed forms beside them.
"""

import math
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from tests.cli.test_laziness import HEAVY, loaded
from tests.closed_forms import evaluated
from tests.program import run

torch.where(
    torch.ones(1) > 0, 1.0, 0.0
)  # the first call of this kind imports something, which `evaluated` forbids
KEYS = {
    "name",
    "family",
    "torch",
    "aliases",
    "formula",
    "derivative",
    "range",
    "target",
    "parameters",
    "kinks",
    "notes",
}


def entry(name: str) -> Any:
    (found,) = run("functions", name, "--json").json["functions"]
    return found


def test_the_list_holds_every_entry_and_its_table_loads_no_pytorch(tmp_path: Any) -> None:
    found = run("functions", "--json").json["functions"]
    assert [each["name"] for each in found] == [*ACTIVATIONS, *LOSSES]
    assert all(set(each) == KEYS for each in found)
    assert {each["family"] for each in found} == {"activation", "loss"}
    for words in (["functions"], ["functions", "rleu"]):
        modules, _ = loaded(tmp_path, *words)
        assert modules & set(HEAVY) == set()


def test_the_list_says_what_the_catalogue_says() -> None:
    found = {each["name"]: each for each in run("functions", "--json").json["functions"]}
    assert found["sigmoid"]["formula"] == "1/(1 + exp(-x))"
    assert found["sigmoid"]["aliases"] == ["logistic", "expit"]
    assert [kink["at"] for kink in found["hardtanh"]["kinks"]] == [-1, 1]
    assert found["huber"]["parameters"][1] == {"name": "delta", "default": 1.0, "choices": []}
    assert found["mse"]["range"] is None
    assert found["mse"]["target"] == "any numbers, in the shape of pred"
    assert found["step"]["derivative"] is None


def test_the_table_is_by_family_and_fits_its_terminal() -> None:
    whole = run("functions").stdout
    assert (
        whole.index("activations")
        < whole.index("relu6")
        < whole.index("losses")
        < whole.index("half_sse")
    )
    for name, each in ACTIVATIONS.items():
        (row,) = [line for line in whole.splitlines() if line.startswith(f"│ {name} ")]
        assert all(text in row for text in (each.formula, each.range, each.torch))
    narrow = run("functions", env={"COLUMNS": "80"}).stdout
    assert max(map(len, narrow.splitlines()[:-1])) <= 80
    assert "F.binary_cross_entropy_with_logits" in narrow
    assert run("functions", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}).stdout.isascii()


@pytest.mark.parametrize(
    "name", [name for name, each in ACTIVATIONS.items() if each.derivative and each.kinks]
)
def test_the_slopes_at_every_kink_of_an_activation(name: str) -> None:
    """PyTorch's choice is what plain autograd returns; those beside it are the catalogue's
    derivative, 1e-9 away.
    """
    each = ACTIVATIONS[name]
    settings: dict[str, Any] = {parameter.name: parameter.default for parameter in each.parameters}
    expected = [
        place for text in each.kinks if not math.isnan(place := float(evaluated(text, **settings)))
    ]
    kinks = entry(name)["kinks"]
    assert [kink["at"] for kink in kinks] == expected
    for kink in kinks:
        x = torch.tensor(kink["at"], dtype=torch.float64, requires_grad=True)
        weight = (torch.tensor(0.25, dtype=torch.float64),) if name == "prelu" else ()
        values = (settings["threshold"], settings["value"]) if name == "threshold" else ()
        (slope,) = torch.autograd.grad(getattr(F, name)(x, *weight, *values), x)
        assert kink["pytorch"] == pytest.approx(float(slope), abs=1e-12)
        assert each.derivative is not None
        beside = [
            float(evaluated(each.derivative, x=x.detach().reshape(1) + step, **settings))
            for step in (-1e-9, 1e-9)
        ]
        assert [kink["left"], kink["right"]] == pytest.approx(beside, abs=1e-8)


@pytest.mark.parametrize("name", ["softplus(beta=0)", "elu(1)", "smooth_l1(beta=1/2)"])
def test_arguments_may_leave_no_kink(name: str) -> None:
    assert entry(name)["kinks"] == []


AT_THE_MARGIN = torch.tensor(1.0, requires_grad=True)
HINGE = float(
    torch.autograd.grad(F.hinge_embedding_loss(AT_THE_MARGIN, torch.tensor(-1.0)), AT_THE_MARGIN)[0]
)
"""What the installed PyTorch chooses: -1 until 2.13, 0 since 2.14."""


@pytest.mark.parametrize(
    ("name", "left", "pytorch", "right"),
    [
        ("l1", -1, 0, 1),
        ("smooth_l1(beta=0)", -1, 0, 1),
        ("hinge_embedding", -1, HINGE, 0),
        ("l2_norm", -1, 0, 1),
        ("multi_margin", 0, 0, 1 / 3),
        ("multilabel_margin", 0, 0, 1 / 3),
    ],
)
def test_the_slopes_at_the_kinks_of_losses(
    name: str, left: float, pytorch: float, right: float
) -> None:
    (kink,) = entry(name)["kinks"]
    assert [kink["left"], kink["pytorch"], kink["right"]] == pytest.approx([left, pytorch, right])


@pytest.mark.parametrize(
    "name",
    [name for name, each in LOSSES.items() if not each.kinks] + ["smooth_l1", "multi_margin(p=2)"],
)
def test_a_loss_without_kinks_has_none(name: str) -> None:
    assert entry(name)["kinks"] == []


def test_the_list_says_of_each_entry_what_the_entry_says() -> None:
    every = run("functions", "--json").json["functions"]
    for each in every:
        assert all(
            set(kink) == {"at", "place", "pred", "target", "left", "right", "pytorch"}
            for kink in each["kinks"]
        )
        assert all(isinstance(kink["at"], float) for kink in each["kinks"])
    for name in ("relu", "hardtanh", "step", "l1", "multi_margin", "hinge_embedding"):
        assert entry(name) in every


def test_a_kink_of_a_loss_names_its_sample() -> None:
    (kink,) = entry("multi_margin")["kinks"]
    assert (kink["at"], kink["pred"], kink["target"]) == (0.0, [1.0, 0.0, 0.0], 0)
    assert "target 0, pred [1.0, 0.0, 0.0]" in run("functions", "multi_margin").stdout
    assert [kink["place"] for kink in entry("l1")["kinks"]] == ["target"]
    (kink,) = entry("hinge_embedding")["kinks"]
    assert (kink["at"], kink["pred"], kink["target"]) == (1.0, 1.0, -1.0)


def test_one_value_and_a_file(tmp_path: Path) -> None:
    assert run("functions", "relu", "--get", "functions.0.kinks.0.pytorch").stdout == "0.0\n"
    assert run("functions", "--get", "functions.0.name").stdout == "relu\n"
    assert (
        "did you mean functions.0.name"
        in run("functions", "relu", "--get", "functions.0.nam").stderr
    )
    for words in (["functions", "relu"], ["functions"]):
        assert (
            run(*words, "--out", "f.json", "--quiet", cwd=str(tmp_path)).stdout == "wrote f.json\n"
        )
        assert orjson.loads((tmp_path / "f.json").read_bytes()) == run(*words, "--json").json
        refused = run(*words, "--out", "f.npz", cwd=str(tmp_path))
        assert (refused.status, refused.stdout) == (2, "")
        assert "does not end in one of .json" in refused.stderr


def test_arguments_move_the_kinks() -> None:
    assert [kink["at"] for kink in entry("hardtanh(min_val=-2, max_val=0.5)")["kinks"]] == [
        -2.0,
        0.5,
    ]
    assert entry("elu")["kinks"] == []
    (kink,) = entry("elu(alpha=2)")["kinks"]
    assert (kink["left"], kink["right"]) == (2.0, 1.0)


def test_the_step_has_a_kink_without_slopes() -> None:
    (kink,) = entry("step")["kinks"]
    assert (kink["at"], kink["left"], kink["right"], kink["pytorch"]) == (0.0, None, None, None)


def test_one_entry_as_a_page() -> None:
    page = run("functions", "leaky_relu").stdout
    for text in (
        "F.leaky_relu",
        "lrelu",
        "where(x > 0, x, negative_slope*x)",
        "negative_slope=0.01",
        "kink (gradcli why NAME)",
    ):
        assert text in page
    assert all(number in page.splitlines()[-2] for number in ("0.01", "1"))


def test_a_name_and_parameters_are_no_formulas_in_latex() -> None:
    shown = run("functions", "gelu", "--latex").stdout
    assert r"\texttt{F.\allowbreak{}gelu}" in shown
    assert "approximate=none (or tanh)" in shown


def test_an_entry_names_its_notes() -> None:
    assert entry("sigmoid")["notes"] == ["saturated"]
    assert set(entry("relu")["notes"]) == {"dead-relu", "kink"}
    assert "double-softmax" in entry("ce")["notes"]


def test_every_note_that_an_entry_names_is_explained() -> None:
    for code in {code for name in (*ACTIVATIONS, *LOSSES) for code in entry(name)["notes"]}:
        assert run("why", code, "--code").status == 0, code


def test_usage() -> None:
    assert "did you mean relu" in run("functions", "rleu").stderr
    assert run("functions", "relu", "gelu").status == 2
    assert run("functions", "relu", "--dtype", "float64").status == 2
    assert run("functions", "relu", "--csv").status == 2
    assert "functions" in run("--help").stdout


def test_arguments_that_pytorch_refuses_are_an_error() -> None:
    done = run("functions", "rrelu(5, upper=0)")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("error: rrelu(5, upper=0): Lower bound should be less than")
