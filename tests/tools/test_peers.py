"""What gradcli is timed against says what gradcli says: programs that compute something else would
be no peers.
"""

import subprocess
import sys

import pytest

from tests.program import run
from tools.benchmarks import peers


@pytest.mark.parametrize("name", peers.NAMES)
def test_a_peer_prints_the_loss_and_both_gradients(name: str) -> None:
    program = peers.programs().get(name)
    if program is None:
        pytest.skip(f"{name} is not installed: the group peers brings it")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    result = run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--json").json
    expected = [result["value"], result["gradients"]["x"], result["gradients"]["w"]]
    assert [float(number) for number in done.stdout.split()] == expected == [1.0, 4.0, 2.0]
