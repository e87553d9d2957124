"""Every operator of PyTorch's own database through the ledger: none fails, and every gradient is
autograd's.
"""

import pytest
import torch
from torch import Tensor

from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job
from gradcli.evidence.explain.ledger import ledger
from gradcli.options.shared import ComputeOptions
from gradcli.results import Subject
from tests.catalogue.test_operators import assert_same, outputs
from tests.operator_samples import SEED, in_parts, seed, typable, typed_samples

pytestmark = [pytest.mark.usefixtures("double"), pytest.mark.filterwarnings("ignore")]


@in_parts(typable, usual=2)
def test_the_ledger_of_every_operator(name: str) -> None:
    explained = 0
    for typed in typed_samples(name, 3):
        seed(SEED)
        for place, plain in outputs(typed.plain()):
            explained += explain(f"({typed.text}){place}", plain, typed.inputs)
            seed(SEED)
    assert explained


def explain(text: str, plain: Tensor, inputs: dict[str, Tensor]) -> bool:
    """Compare the last lines of the ledger of one output with its gradients; whether it has any."""
    if plain.is_sparse:
        plain, text = plain.to_dense(), f"({text}).to_dense()"
    if plain.is_complex():
        plain, text = (
            torch.view_as_real(plain.resolve_conj()),
            f"torch.view_as_real(({text}).resolve_conj())",
        )
    wanted = {key: tensor for key, tensor in inputs.items() if tensor.requires_grad}
    upstream = torch.linspace(0.5, 1.5, plain.numel()).view(plain.shape).to(plain.dtype)
    try:
        found = torch.autograd.grad(
            (plain * upstream).sum(), list(wanted.values()), allow_unused=True, retain_graph=True
        )
    except RuntimeError:
        return False  # this output has no derivative at this point
    slopes = {key: slope for key, slope in zip(wanted, found, strict=True) if slope is not None}
    job = Job(ComputeOptions(dtype="float64"), lambda: "")
    seed(SEED)
    try:
        rows = ledger(
            Subject("", text, {k: t.detach() for k, t in inputs.items()}, tuple(slopes), upstream),
            job,
        )
    except GradcliError as error:
        raise AssertionError(f"{text}: {error}") from error
    last = {row.name: row.product for row in rows if row.operation == "gradient"}
    assert last.keys() == slopes.keys()
    for key, slope in slopes.items():
        assert_same(last[key], slope, f"d {text} / d {key}")
    return bool(slopes)
