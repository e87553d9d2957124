"""Forward mode over PyTorch's operator database, and the ledger that tells it."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradcli import core
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.trace import pushed
from gradcli.evidence.explain.forward import forward_ledger
from gradcli.language.expressions.expression import parse
from gradcli.language.source import Source
from gradcli.options.shared import ComputeOptions
from gradcli.results import ForwardRow, Subject
from tests.catalogue.test_operators import outputs
from tests.choice import rare
from tests.evidence.test_ledger import MASK, programs
from tests.operator_samples import SEED, Typed, in_parts, seed, typable, typed_samples
from tests.program import TORCH, run

pytestmark = [pytest.mark.usefixtures("double"), pytest.mark.filterwarnings("ignore")]

NO_FORWARD = {
    "_segment_reduce/lengths", "_segment_reduce/offsets", "cdist", "cholesky", "grid_sampler_2d", "grid_sampler_3d",
    "index_reduce/amax", "index_reduce/amin", "index_reduce/mean", "index_reduce/prod", "nn.functional.ctc_loss",
    "nn.functional.embedding_bag", "nn.functional.grid_sample", "nn.functional.multi_margin_loss",
    "nn.functional.multilabel_margin_loss", "nn.functional.pdist", "normal", "ormqr",
}  # fmt: skip
"""The operators of which this PyTorch has no forward mode, or not of every sample."""
if TORCH >= (2, 15):
    NO_FORWARD -= {"grid_sampler_2d", "grid_sampler_3d", "nn.functional.grid_sample"}


@in_parts(typable, usual=1)
def test_the_jvp_of_every_operator_is_that_of_torch_func(name: str) -> None:
    refused = False
    for typed in typed_samples(name, 3):
        seed(SEED)
        for place, plain in outputs(typed.plain()):
            if plain.requires_grad and not plain.is_sparse:
                refused |= not compared(f"({typed.text}){place}", plain, typed)
    assert refused == (name in NO_FORWARD)


def compared(text: str, plain: Tensor, typed: Typed) -> bool:
    """Compare the jvp and the ledger of one output with torch.func.jvp; whether it has forward mode."""
    if plain.is_complex():
        text = f"torch.view_as_real(({text}).resolve_conj())"
    inputs = {key: tensor.detach() for key, tensor in typed.inputs.items()}
    chance = torch.Generator().manual_seed(1)
    along = {
        key: torch.randn(tensor.shape, generator=chance, dtype=tensor.dtype)
        for key, tensor in typed.inputs.items()
        if tensor.requires_grad
    }
    program = parse(Source(text), tuple(inputs))

    def function(*moving: Tensor) -> Tensor:
        seed(SEED)
        return evaluate(program, {**inputs, **dict(zip(along, moving, strict=True))}).value

    seed(SEED)
    state = torch.get_rng_state()
    primals = tuple(inputs[key] for key in along)
    try:
        jvp, _ = pushed(program, inputs, along, state)
    except core.NoForwardError:
        with pytest.raises(GradcliError):
            torch.func.jvp(function, primals, tuple(along.values()))
        return False
    if "tensor_split" in text and len(inputs) > len(along):
        return True  # torch.func.jvp hands it an index that it cannot read
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no forward mode
        expected = torch.func.jvp(function, primals, tuple(along.values()))[1]
    assert torch.allclose(jvp, expected, rtol=1e-12, atol=1e-300, equal_nan=True), text
    rows = explained(text, inputs, along, state)
    assert torch.allclose(rows[-1].product, jvp, equal_nan=True)  # type: ignore[arg-type]
    return True


def explained(
    text: str, inputs: dict[str, Tensor], along: dict[str, Tensor], state: Tensor | None = None
) -> list[ForwardRow]:
    """The forward ledger of an expression in float64."""
    job = Job(ComputeOptions(dtype="float64"), lambda: "")
    subject = Subject("", text, inputs, tuple(along), kind="jvp", state=state, directions=along)
    return forward_ledger(subject, job)


# --- the ledger ---------------------------------------------------------------------------------


def numbers(rows: list[ForwardRow]) -> dict[str, Any]:
    """What each operand adds, by the row's operation and name."""
    return {
        f"{row.operation} = {row.name}": row.product.tolist()
        for row in rows
        if row.product is not None
    }


def test_a_ledger_to_follow_with_a_pencil() -> None:
    """f = sin(x)*y + x at x = 1, y = 3, in the direction x' = 2, y' = 5."""
    at = {"x": torch.tensor(1.0), "y": torch.tensor(3.0)}
    rows = explained("sin(x)*y + x", at, {"x": torch.tensor(2.0), "y": torch.tensor(5.0)})
    sin, cos = (float(f(at["x"])) for f in (torch.sin, torch.cos))
    assert [row.operation for row in rows] == [
        "input", "input", "x -> sin", "sin(x) -> *", "y -> *", "sin(x)*y -> +", "x -> +", "jvp",
    ]  # fmt: skip
    assert numbers(rows) == pytest.approx({
        "x -> sin = sin(x)": 2 * cos, "sin(x) -> * = sin(x)*y": 6 * cos, "y -> * = sin(x)*y": 5 * sin,
        "sin(x)*y -> + = sin(x)*y + x": 6 * cos + 5 * sin, "x -> + = sin(x)*y + x": 2.0,
        "jvp = jvp": 6 * cos + 5 * sin + 2,
    })  # fmt: skip
    assert [row.rule for row in rows[2:5]] == ["cos(x)", "y", "sin(x)"]
    assert [row.tangent is None for row in rows] == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("W @ x", ["W @ tangent: [2] -> [2]"]),
        ("F.linear(x, W, b)", ["tangent @ weight^T: [2] -> [2]"]),
        ("F.linear(b, W, x)", ["tangent: [2] -> [2]"]),
        ("F.bilinear(x, b, W[None])", ["bilinear(tangent, b, W[None]): [2] -> [1]"]),
        ("torch.fft.fft(x).abs()", ["fft(tangent): [2] -> [2]", "jvp of abs: [2] -> [2]"]),
        ("x.reshape(1, 2)", ["reshape(tangent, 1, 2): [2] -> [1, 2]"]),
        ("W * x[0]", ["the tangent of each number, moved with it: [2] -> []", "W"]),
        ("stack([x, b])", ["stack of the tangent, with 0 for the others: [2] -> [2, 2]"]),
        ("softmax(x, 0)", ["p * (tangent - sum(tangent * p)): [2] -> [2]"]),
        ("log_softmax(x, 0)", ["tangent - sum(tangent * softmax(operand)): [2] -> [2]"]),
        ("(W*x).norm(dim=1)", ["W", "tangent*operand/result, summed along the dimension: [2, 2] -> [2]"]),
        ("(W*x).max(1)[0]", ["W", "tangent at the chosen elements, 0 elsewhere, summed along the dimension: [2, 2] -> [2]"]),
        ("(W*x).median(1)[0]", ["W", "tangent at the chosen elements, 0 elsewhere, summed along the dimension: [2, 2] -> [2]"]),
        ("inv(W*x + W.mT)", ["W", "1", "-result @ tangent @ result: [2, 2] -> [2, 2]"]),
        ("inv(diag(x))", ["diag(tangent): [2] -> [2, 2]", "-result @ tangent @ result: [2, 2] -> [2, 2]"]),
        ("F.prelu(-b, x[:1])", ["the tangent of each number, moved with it: [2] -> [1]",
                                "tangent * (input where input < 0, else 0)"]),
        ("b.masked_fill(b > 0, x[0])", ["the tangent of each number, moved with it: [2] -> []",
                                        "tangent * (1 where it was filled in, else 0)"]),
        ("det(W*x)", ["W", "result*inv(operand).mT"]),
        ("x.sum()", ["1"]),
        ("where(x > 0, x, b)", ["no tangent passes", "1 where it is chosen, else 0"]),
        ("x.detach() + x.round()*b", ["no tangent passes", "0", "b", "1"]),
        ("x.split(1)[0]", ["the tangent of each number, moved with it"]),
    ],
)  # fmt: skip
def test_rules(text: str, rules: list[str]) -> None:
    inputs = {
        "x": torch.tensor([1.0, 2.0]), "W": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "b": torch.ones(2),
    }  # fmt: skip
    rows = explained(text, inputs, {"x": torch.tensor([0.3, -0.5])})
    assert [row.rule for row in rows if row.kind == "operation"] == rules


@pytest.mark.parametrize("count", [25, rare(100)])
def test_the_ledger_over_random_programs(count: int) -> None:
    settings(max_examples=count, suppress_health_check=list(HealthCheck))(
        given(programs())(ledger_is_right)
    )()


def ledger_is_right(program: Any) -> None:
    """Its own assertions hold; and where there is a number, tangent * local is the product."""
    chance = torch.Generator().manual_seed(0)
    inputs = {name: torch.as_tensor(value) for name, value in {**program.inputs, "m": MASK}.items()}
    along = {
        name: torch.randn(inputs[name].shape, generator=chance, dtype=torch.float64)
        for name in program.inputs
    }
    for row in explained(program.text, inputs, along)[:-1]:
        if isinstance(row.local, Tensor) and row.product is not None and row.tangent is not None:
            made = row.tangent * row.local
            made = made if row.product.ndim else made.sum()
            assert torch.allclose(made.broadcast_to(row.product.shape), row.product, equal_nan=True)


def test_the_forward_ledger_stands_beside_the_reverse_one() -> None:
    words = ("grad", "mse(w*x, y)", "w=2", "x=1,3", "y=1,1", "--explain")
    reverse = run(*words, "--json").json
    both = run(*words, "--jvp", "w=1", "--json").json
    assert both["ledger"] == reverse["ledger"]
    assert [row.keys() for row in both["forward"]] == [
        {"name", "operation", "value", "local", "tangent", "product", "rule"}
    ] * 6
    assert both["forward"][-1]["product"] == both["jvp"]
    shown = run(*words, "--jvp", "w=1").stdout
    assert shown.index("Chain rule: mse") < shown.index("Chain rule, forward: mse")


def test_without_gradients_there_is_the_forward_ledger_alone() -> None:
    found = run("grad", "w*x", "w=2", "x=1,3", "--jvp", "w=1", "--explain", "--json").json
    assert "ledger" not in found
    assert [row["operation"] for row in found["forward"]] == ["input", "input", "w -> *", "jvp"]
    text = run("grad", "w*x", "w=2", "x=1,3", "--jvp", "w=1", "--explain", env={"COLUMNS": "80"})
    assert "product = tangent * local" in text.stdout


def test_the_documented_functions_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyTorch lacks the functions below torch.autograd.forward_ad, that is called."""
    words = ("grad", "softmax(x)*y", "x=1,2", "y=3", "--jvp", "x=1,0", "--json")
    direct = run(*words, here=True)
    monkeypatch.setattr(core, "_DUAL", (None,) * 4)
    assert run(*words, here=True).stdout == direct.stdout
