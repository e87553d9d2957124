"""Fixtures that several files of tests use."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import torch

from tests.choice import Choose, every, first_of_each

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
torch.set_num_threads(1)  # a pool of threads does not survive a fork


@pytest.fixture(
    params=[
        pytest.param(first_of_each, id="each kind once"),
        pytest.param(every, id="all", marks=pytest.mark.exhaustive),
    ]
)
def choose(request: pytest.FixtureRequest) -> Choose[Any]:
    """Choose the cases of a corpus that are tried."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in float64, as the command line does with --dtype float64."""
    from gradcli.evaluate.job import default_dtype  # after tools.coverage, which marks gradcli

    with default_dtype(torch.float64):
        yield
