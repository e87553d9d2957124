"""The check on numbers of all sizes: right gradients are never called wrong; wrong ones are, or it
says that it cannot tell.
"""

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import ACTIVATIONS
from gradcli.commands.grad.result import GradResult
from gradcli.evaluate.job import Job
from gradcli.evidence.check.compare import check
from gradcli.options.shared import ComputeOptions
from gradcli.results import Checked, Subject
from tests.choice import rare

SIZES = [0.0, 1e-300, -1e-12, 1e-6, 0.3, -1.7, 5.0, -6.5, 40.0, 1e3, -1e6, 1e12, 1e155, -1e300]


pytestmark = [pytest.mark.usefixtures("double"), pytest.mark.filterwarnings("ignore")]


def checked(text: str, x: Tensor) -> Checked | None:
    header: Any = {
        "command": "grad",
        "dtype": "float64",
        "inputs": {"x": x},
        "defaults": [],
        "notes": [],
    }
    result = GradResult(
        **header,
        subjects=(Subject("", text, {"x": x}, ("x",)),),
        expression=text,
        value=x,
        gradients={},
        intermediates={},
    )
    return check(result, Job(ComputeOptions(dtype="float64"), lambda: "")).get("x")


def expressions() -> Iterator[str]:
    """Every activation, the functions of a first course, and random compositions of them, always
    the same.
    """
    for name, entry in ACTIVATIONS.items():
        if not entry.mixes and entry.derivative is not None and name not in ("rrelu", "dropout"):
            yield f"{name}(x).sum()"
    plain = ["sin({})", "exp({})", "log({})", "sqrt({})", "({})**3", "1/({})", "tanh({})", "erf({})", "abs({})", "floor({})",
             "cos({})", "({})*x", "({}) + 1e8", "({}) - x", "sigmoid({})", "relu({})", "atan({})", "2**({})", "trunc({})*x",
             "log1p({})", "where(x > 1, {}, x)"]  # fmt: skip
    for form in plain:
        yield f"({form.format('x')}).sum()"
    draw = random.Random(7)
    for _ in range(24):
        text = "x"
        for _ in range(draw.randint(2, 3)):
            text = draw.choice(plain).format(text)
        yield f"({text}).sum()"


TEXTS = list(expressions())
SPOILT = 1.001


@pytest.mark.parametrize(
    "step", [90, rare(6), pytest.param(1, marks=[pytest.mark.exhaustive, pytest.mark.timeout(600)])]
)
def test_right_gradients_are_never_called_wrong_and_wrong_ones_are(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = core.gradients
    factor = 1.0

    def gradients(*arguments: Any, **keywords: Any) -> dict[str, Tensor | None]:
        return {
            name: None if slope is None else slope * factor
            for name, slope in right(*arguments, **keywords).items()
        }

    monkeypatch.setattr(core, "gradients", gradients)
    judged = 0
    for at, text in enumerate(TEXTS):
        for number in SIZES[at % step :: step]:
            factor = 1.0
            x = torch.tensor([number])
            found = checked(text, x)
            if found is None:
                continue
            slope = float(found.slopes[0])
            assert found.ok or math.isnan(slope), (
                f"{text} at {number}: {found.verdicts} {slope} {found.difference}"
            )
            factor = SPOILT
            spoilt = checked(text, x)
            assert spoilt is not None
            if math.isfinite(slope) and abs(slope) > 1e-25:
                judged += not spoilt.ok
                assert spoilt.verdicts != ["ok"], f"{text} at {number}: {slope} {spoilt.difference}"
    assert judged > 400 / step
