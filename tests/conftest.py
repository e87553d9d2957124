"""Fixtures that several files of tests use. pytest loads this file in one process more than it runs
tests in: PyTorch is imported where it is used.
"""

import gc
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests.choice import Choose, every, first_of_each

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
gc.disable()  # it would go through PyTorch and every assertion's code again and again


def pytest_collection_finish() -> None:
    """Leave what is loaded by now alone, and collect what the tests leave."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """A pool of threads does not survive a fork."""
    import torch

    torch.set_num_threads(1)


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
    import torch

    from gradcli.evaluate.job import default_dtype  # after tools.coverage, which marks gradcli

    with default_dtype(torch.float64):
        yield
