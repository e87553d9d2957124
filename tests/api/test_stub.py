"""The stub that editors and type checkers read is that of the functions."""

from array import array
from typing import assert_type

import pytest
import torch
from torch import Tensor

import gradcli
from gradcli.api.answer import Record
from tools import stub


@pytest.mark.smoke
def test_the_stub_is_up_to_date() -> None:
    assert stub.FILE.read_text(encoding="utf-8") == stub.text(), "python -m tools.stub"


def test_types_are_what_they_say() -> None:
    """The type checker reads the stub; the values are those of a call."""
    found = gradcli.grad("mse(w*x, y)", x=1, w=[2.0, 3], y="0")
    assert isinstance(assert_type(found.value, Tensor), Tensor)
    assert isinstance(assert_type(found.gradients, dict[str, Tensor | None])["w"], Tensor)
    assert_type(gradcli.activate("relu", x=1).functions, list[Record])
    gradcli.grad(
        "x**2", x=array("d", [1.0]), row=0, dtype=torch.float64, device=torch.device("cpu")
    )
    assert_type(gradcli.hessian("x**2", x=1).hessian, dict[str, dict[str, Tensor]])
