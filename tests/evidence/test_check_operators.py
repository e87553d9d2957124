"""Every operator of PyTorch's database under `--check`: none crashes, and none is called wrong but
for a known reason.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job
from gradcli.evidence.check import probes
from gradcli.evidence.check.compare import check
from gradcli.options.shared import ComputeOptions
from gradcli.results import Checked, Result, Subject
from tests.catalogue.test_operators import outputs
from tests.operator_samples import SEED, Typed, UntypableError, in_parts, samples, seed, typable

DUPLICATES = "several inputs go to one place: the last one wins, and PyTorch's gradient is given to each of them"
WRONG = {
    "as_strided_scatter": "PyTorch's gradient by what is overwritten is not 0; its own gradcheck fails too",
    "nn.functional.max_unpool1d": DUPLICATES,
    "nn.functional.max_unpool2d": DUPLICATES,
    "nn.functional.max_unpool3d": DUPLICATES,
}
"""Operators whose gradient really is not the slope of what they compute, and why."""
REFUSED = {"linalg.eig", "as_strided/partial_views"}
"""Samples that have no gradient, or none for a tensor with memory of its own."""


pytestmark = [pytest.mark.usefixtures("double"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def few_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at a few slopes of each input."""
    monkeypatch.setattr(probes, "CHECKED", 4)


def checks(typed: Typed) -> Iterator[Checked]:
    """The first output of a sample, checked by each of its inputs."""
    seed(SEED)
    for place, plain in list(outputs(typed.plain()))[:1]:
        text = f"({typed.text}){place}"
        if plain.is_complex():
            plain, text = (
                torch.view_as_real(plain.resolve_conj()),
                f"torch.view_as_real(({text}).resolve_conj())",
            )
        if plain.is_sparse or not plain.numel():
            continue
        by = tuple(
            name for name, tensor in typed.inputs.items() if tensor.requires_grad and tensor.numel()
        )
        subject = Subject("", text, typed.inputs, by, upstream(plain))
        header: Any = {
            "command": "grad",
            "dtype": "float64",
            "inputs": typed.inputs,
            "defaults": [],
            "notes": [],
        }
        job = Job(ComputeOptions(dtype="float64", seed=SEED), lambda: "")
        yield from check(Result(**header, subjects=(subject,)), job).values()


def upstream(plain: Tensor) -> Tensor:
    seed(1)
    return torch.rand(plain.shape)


SLOW = {"nn.functional.ctc_loss", "grid_sampler_3d"}
"""Operators whose numbers take seconds to check: the next test has them."""


@in_parts(lambda: [name for name in typable() if name not in SLOW], usual=1)
def test_no_operator_is_called_wrong_without_a_reason(name: str) -> None:
    judge(name, samples(typable()[name], 2)[-1:])


@pytest.mark.exhaustive
@in_parts(typable)
def test_nor_with_other_arguments(name: str) -> None:
    judge(name, samples(typable()[name], 5))


def judge(name: str, some: list[Any]) -> None:
    for sample in some:
        try:
            for found in checks(Typed(typable()[name], sample)):
                assert found.ok or name in WRONG, list(
                    zip(found.places, found.verdicts, strict=True)
                )
        except UntypableError:
            continue
        except GradcliError:
            assert name in REFUSED


def test_pytorch_itself_disagrees_with_its_gradient_of_as_strided_scatter() -> None:
    x, y = torch.rand(1).requires_grad_(), torch.rand(()).requires_grad_()

    def overwritten(x: Tensor, y: Tensor) -> Tensor:
        return torch.as_strided_scatter(x, y, (), (), storage_offset=0)

    assert not torch.autograd.gradcheck(overwritten, (x, y), raise_exception=False)
