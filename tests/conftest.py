"""Fixtures that several files of tests use."""

from collections.abc import Iterator

import pytest
import torch

from gradcli.evaluate.job import default_dtype


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in float64, as the command line does with --dtype float64."""
    with default_dtype(torch.float64):
        yield
