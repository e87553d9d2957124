"""Fixtures that several files of tests use."""

from collections.abc import Iterator

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
torch.set_num_threads(1)  # a pool of threads does not survive a fork


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in float64, as the command line does with --dtype float64."""
    from gradcli.evaluate.job import default_dtype  # after tools.coverage, which marks gradcli

    with default_dtype(torch.float64):
        yield
