"""What can be answered without PyTorch does not load it, nor what only rendering needs."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gradcli.installed import torch_version
from gradcli.process import deferral
from tests.choice import rare
from tests.program import BASE

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "orjson")
RENDERING = ("rich", "gradcli.show.terminal", "gradcli.commands.forms")


def loaded(folder: Path, *words: str) -> tuple[set[str], int]:
    """The modules that a fresh Python and its worker have loaded when they end, and the exit
    status.
    """
    script = (
        "import os, sys\nfrom gradcli.__main__ import main\nleave = os._exit\n"
        "def note(): open(os.environ['MODULES'], 'a').write('\\n'.join([*sys.modules, '']))\n"
        "os._exit = lambda status: (note(), leave(status))\n"
        "status = main()\nnote()\nsys.exit(status)"
    )
    (folder / "modules").unlink(missing_ok=True)
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GRADCLI_SERVER": "off",
        "MODULES": str(folder / "modules"),
    }
    env.pop("TORCHINDUCTOR_CACHE_DIR", None)  # which PyTorch sets in the process of the tests
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, env=env, check=False
    )
    return set((folder / "modules").read_text(encoding="utf-8").split("\n")), done.returncode


@pytest.mark.parametrize(
    ("words", "status", "unwanted"),
    [
        rare([], 0, HEAVY),
        (["--help"], 0, HEAVY),
        (["grad", "--help"], 0, HEAVY),
        (["--version"], 0, (*HEAVY, "typer", *RENDERING)),
        rare(["grda"], 2, (*HEAVY, *RENDERING)),
        (["grad", "--nonsense"], 2, (*HEAVY, *RENDERING)),
        rare(["grad"], 2, (*HEAVY, *RENDERING)),
        (["grad", "--fn", "mse", "--x", "1,,2"], 2, (*HEAVY, *RENDERING)),
        (["activate", "sigmod", "--x", "1"], 2, (*HEAVY, *RENDERING)),
        (["activate", "relu", "--x", "1", "--json", "--csv"], 2, (*HEAVY, *RENDERING)),
        rare(["activate", "relu", "--x", "1", "--out", "x.pdf"], 2, (*HEAVY, *RENDERING)),
    ],
)
def test_torch_stays_out(
    words: list[str], status: int, unwanted: tuple[str, ...], tmp_path: Path
) -> None:
    modules, found = loaded(tmp_path, *words)
    assert found == status
    assert "gradcli" in modules
    assert modules & set(unwanted) == set()


@pytest.mark.exhaustive
def test_the_test_above_can_fail(tmp_path: Path) -> None:
    """A call that computes loads PyTorch, in its worker, and what draws the table of its result."""
    modules, status = loaded(tmp_path, "grad", "x**2", "x=3")
    assert status == 0
    assert {*HEAVY, *RENDERING} <= modules


CALLS = """
jacobian x**2 x=1,2
jacobian 'x**2 + 0*c[0]' x=linspace(1,2,400) c=zeros(9500000) --wrt x
softmax-jacobian randn(600)
activate sigmoid --x 1,2 --check
grad w*x x=1,2 w=3,4 --vjp 1,0
grad x.max() x=1,3,2 --explain --check
grad 'h = w*x; softmax(h, 0)' w=2 x=1,2 --jvp x=1,0 --explain --check --expect 'jvp.0 = 0.21'
hessian x**2*y x=1 y=2
hessian 'mse(w*x, y)' w=2 x=1,2 y=1,1 --hvp w=1 --check
descend (x-3)**2 x=0 --optimizer adam
descend (x-3)**2 x=0 --optimizer lbfgs
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("words", [*map(shlex.split, CALLS.strip().splitlines())])
def test_derivatives_load_neither_the_compiler_nor_sympy(words: list[str], tmp_path: Path) -> None:
    """torch.func and autograd's own checks would, for a second or two of nothing."""
    modules, status = loaded(tmp_path, *words)
    assert status == 0
    assert "torch" in modules
    assert modules & {"sympy", "torch._dynamo"} == set()


@pytest.mark.skipif(
    not deferral.listed(torch_version()), reason="there is no list for this version of PyTorch"
)
@pytest.mark.parametrize("examples", [1, rare(9)])
def test_the_programs_own_calls_load_neither_the_compiler_nor_sympy(examples: int) -> None:
    """torch.func, autograd's own checks, an upstream gradient handed to autograd.grad or
    torch.unravel_index would, for a second or two of nothing, and so would a deferred module. (`why`
    prints tensors, which uses these.) Of the examples in the help of a command that many, but for
    the server, which one would leave behind.
    """
    script = f"""
import sys
from gradcli.process.guards import loading_pytorch
with loading_pytorch():
    from gradcli.cli.serve import PROGRAM
import torch
torch.set_num_threads(1)
for _ in PROGRAM.load():
    pass
from gradcli.process.deferral import is_used
from gradcli.commands import COMMANDS
own = [each for name, each in COMMANDS.items() if name not in ("why", "check", "server")]
examples = [words for each in own for words, _ in each.examples[:{examples}]]
calls = [f"gradcli {{words}}" for words in {CALLS!r}.strip().splitlines()]
for words in (*PROGRAM.calls, *examples, *calls):
    status, slow = PROGRAM.try_out(words), {{"sympy", "torch._dynamo"}} & {{*sys.modules}}
    if status == 70 or is_used() or slow:
        sys.exit(f"{{words}}: {{status}} {{is_used()}} {{slow}}")
"""
    env = {**BASE, "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
