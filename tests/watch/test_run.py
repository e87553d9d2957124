"""`why --run` runs a program as Python does: its words, folder, output, errors, children, and numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.choice import rare
from tests.program import BASE, ROOT, Ran, run
from tests.watch.together import run_together

SURROUNDINGS = """
import dataclasses, os, pickle, sys
import beside

@dataclasses.dataclass
class Point:
    x: int

if __name__ == "__main__":
    print(sys.argv, sys.path[0], __file__, __spec__, os.getcwd(), sys.modules["__main__"].Point)
    print(pickle.loads(pickle.dumps(Point(3))), beside.__file__, __doc__, __builtins__.len)
    print("to stderr", file=sys.stderr)
"""

TRAINING = """
import gc, weakref
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Linear(8, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
x, y = torch.randn(16, 4), torch.randint(3, (16,))

def tensors():
    gc.collect()
    return sum(isinstance(each, torch.Tensor) for each in gc.get_objects())

for step in range(40):
    optimizer.zero_grad()
    out = net(x)
    kept = weakref.ref(out)
    loss = nn.functional.cross_entropy(out, y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    if step in (10, 39):
        print(tensors())
    del out, loss
    print(kept() is None)
    print([value.hex() for weight in net.parameters() for value in weight.flatten().tolist()])
"""

HOOK = """
import torch

w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.LBFGS([w])

def closure():
    loss = (w * 2).sum()
    loss.register_hook(lambda gradient: 1 / 0)
    loss.backward()
    return loss

optimizer.step(closure)
"""

BROKEN = """
import os, sys
from gradcli import __main__
from gradcli.watch import examine
from gradcli.watch.detector import Detector

class Broken(Detector):
    functions = frozenset(["exp"])
    def called(self, call):
        raise LookupError("of gradcli's own")

file = os.path.join(os.path.dirname(examine.__file__), "detectors", "broken.py")
Broken.called.__code__ = Broken.called.__code__.replace(co_filename=file)
examine.DETECTORS = (Broken,)
sys.exit(__main__.main())
"""

CHILDREN = """
import multiprocessing, os, sys, threading
import torch
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return torch.full((2,), float(i))

def double(i):
    return 2 * i

if __name__ == "__main__":
    print([batch.sum().item() for batch in DataLoader(Rows(), batch_size=3, num_workers=2)])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(double, [1, 2]))
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        sys.exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    w = torch.ones(2, requires_grad=True)
    thread = threading.Thread(target=lambda: (w * 3).sum().backward())
    thread.start()
    thread.join()
    print(w.grad)
    threading.Timer(0.05, lambda: print("a late thread")).start()
"""

CHILDREN_PRINT = "[6.0, 24.0]\n[2, 4]\n3\ntensor([3., 3.])\na late thread\n"

WARNED = sys.version_info[:3] == (3, 13, 0)
"""Whether torch.compile warns of the Python that runs it."""
COMPILED = """
import copy, io
import torch
from torch.utils.checkpoint import checkpoint

net = torch.nn.Linear(3, 1)
torch.nn.init.ones_(net.weight)
fast = torch.compile(net, backend="eager")

@torch.compile(backend="eager")
def doubled(x):
    return (x * 2).sum()

x = torch.ones(2, 3, requires_grad=True)
(fast(x).sum() + doubled(x) + checkpoint(net, x, use_reentrant=False).sum()).backward()
print(x.grad, torch.func.grad(lambda w: (w**3).sum())(torch.ones(2)), torch.vmap(torch.sin)(torch.zeros(2)))
file = io.BytesIO()
torch.save(net.state_dict(), file)
print(len(file.getvalue()), copy.deepcopy(net).weight)
"""


RARE = """
import torch
from torch import nn

class Own(torch.Tensor):
    pass

(torch.sparse.mm(torch.eye(3).to_sparse().requires_grad_(), torch.ones(3, 2))).sum().backward()
torch.eye(3).to_sparse().mul_(2)
embedding = nn.Embedding(5, 2, sparse=True, padding_idx=0)
optimizer = torch.optim.SparseAdam(embedding.parameters())
embedding(torch.tensor([1, 0])).sum().backward()
optimizer.step()
torch.empty(3, device="meta").add_(1)
torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], requires_grad=True) * 2
own = torch.ones(2).as_subclass(Own).requires_grad_()
(own * 2).sum().backward()
own.data.add_(1)
with torch.inference_mode():
    torch.ones(3).view(3).mul_(2)
torch.func.hessian(lambda w: (w**3).sum())(torch.ones(3))
torch.autograd.functional.jacobian(torch.sin, torch.ones(3))
nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))(torch.ones(1, 2)).sum().backward()
with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda saved: saved):
    (torch.ones(2, requires_grad=True) ** 2).sum().backward()
nn.LSTM(2, 2)(torch.ones(1, 1, 2))[0].sum().backward()
print(own.grad, embedding.weight.grad)
"""
"""Tensors without a shape, without memory, without versions, of another class."""


def python(file: Path, *arguments: str, cwd: Path) -> Ran:
    """The program, run by Python itself."""
    done = subprocess.run(
        [sys.executable, str(file), *arguments],
        cwd=cwd, env={**BASE, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ran(done.stdout, done.stderr, done.returncode)


@pytest.mark.smoke
def test_a_file_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    ran = run("why", "--run", str(tmp_path / "no.py"))
    assert (ran.status, ran.stdout) == (2, "")
    assert "cannot be read: no such file or directory" in ran.stderr
    assert run("why", "--run", str(tmp_path)).status == 2
    assert "--timeout applies to --run" in run("why", "no-grad", "--timeout", "3").stderr


def test_a_program_has_the_surroundings_that_python_gives_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "beside.py").write_text("")
    file = folder / "program.py"
    file.write_text(SURROUNDINGS)
    arguments = ("--epochs", "3", "-v", "--", "x")
    plain = python(Path("folder/program.py"), *arguments, cwd=tmp_path)
    ran = run("why", "--run", "folder/program.py", "--", *arguments, cwd=str(tmp_path))
    assert ran.stdout.startswith(plain.stdout)
    assert "program.py: nothing found; it ended well" in ran.stdout
    assert ran.stderr == plain.stderr == "to stderr\n"
    assert ran.status == 0
    as_json = run(
        "why", "--run", "folder/program.py", "--json", "--", *arguments, cwd=str(tmp_path)
    )
    assert as_json.json == {"findings": [], "error": None, "status": 0}
    assert as_json.stderr == plain.stdout + plain.stderr or plain.stdout in as_json.stderr


@pytest.mark.parametrize(
    ("program", "error", "status"),
    [
        ("import sys\nsys.exit(3)", None, 3),
        ("import sys\nsys.exit('the end')", None, 1),
        ("print('('\n(", "SyntaxError: '(' was never closed", 1),
        ("def f():\n    raise KeyError('x')\ntry:\n    f()\nexcept KeyError as e:\n    raise ValueError('two\\nlines') from e",
         "ValueError: two\nlines", 1),
        ("import atexit\natexit.register(print, 'bye')\nraise KeyboardInterrupt", "KeyboardInterrupt", 1),
        ("import sys\nsys.excepthook = lambda *a: print('mine', a[0])\n1 / 0", "ZeroDivisionError: division by zero", 1),
    ],
)  # fmt: skip
def test_a_program_without_pytorch_fails_as_in_python(
    program: str, error: str | None, status: int, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_text(program)
    ran = run("why", "--run", "program.py", "--json", cwd=str(tmp_path))
    plain = python(Path("program.py"), cwd=tmp_path)
    assert ran.json == {"findings": [], "error": error, "status": status}
    assert ran.status == 1
    assert ran.stderr == plain.stdout + plain.stderr or ran.stderr == plain.stderr + plain.stdout


@pytest.mark.exhaustive
def test_the_traceback_is_pythons_own(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(
        "import torch\nnet = torch.nn.Linear(2, 3)\n"
        "try:\n    net(torch.ones(5))\nexcept RuntimeError as error:\n"
        "    torch.nn.functional.cross_entropy(net(torch.ones(1, 2)), torch.tensor([7]))\n"
    )
    ran = run("why", "--run", "program.py", cwd=str(tmp_path), env={"GRADCLI_SERVER": ""})
    assert ran.stderr == python(Path("program.py"), cwd=tmp_path).stderr
    assert "1. class-range" in ran.stdout


@pytest.mark.parametrize(
    "programs",
    [{"training": TRAINING, "children": CHILDREN}, rare({"compiled": COMPILED, "rare": RARE})],
    ids=" ".join,
)
def test_a_program_computes_the_same_to_the_bit_and_no_tensor_is_kept(
    programs: dict[str, str], tmp_path: Path
) -> None:
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text)
    answers = run_together([str(tmp_path / f"{name}.py") for name in programs])
    for file, answer in answers.items():
        assert (answer["findings"], answer["error"], answer["exit"]) == ([], None, 0), file
        if "rare" in file or ("compiled" in file and WARNED):  # warnings name other lines
            assert answer["printed"].endswith(answer["plain"]), file
        elif "children" in file:
            assert answer["printed"] == CHILDREN_PRINT, file
        else:
            assert answer["printed"] == answer["plain"] != "", file


def test_a_program_that_never_ends_or_ends_its_process_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("while True:\n    pass\n")
    ran = run("why", "--run", "endless.py", "--timeout", "0.5", cwd=str(tmp_path), whole=True)
    assert (ran.status, ran.stdout) == (2, "")
    assert "error: 'endless.py' ran for more than 0.5 s" in ran.stderr
    for ending, said in {
        "os._exit(4)": "'gone.py' ended its own process (exit status 4)",
        "os._exit(0)": "'gone.py' ended its own process (exit status 0)",
        "os.abort()": "'gone.py' crashed (SIGABRT)",
        "os.kill(os.getpid(), 9)": "'gone.py' was killed (SIGKILL)",
    }.items():
        (tmp_path / "gone.py").write_text(f"import os\n{ending}\n")
        ran = run("why", "--run", "gone.py", cwd=str(tmp_path), whole=True)
        assert (ran.status, ran.stdout) == (1, "")
        assert f"error: {said}" in ran.stderr


@pytest.mark.exhaustive
def test_a_fault_of_the_watch_itself_is_not_called_the_programs(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text("import torch\ntorch.ones(1).exp()\n")
    ran = subprocess.run(
        [sys.executable, "-c", BROKEN, "why", "--run", "right.py"],
        cwd=tmp_path, env={**BASE, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (70, "")
    assert "error: internal error in gradcli (LookupError: of gradcli's own" in ran.stderr


def test_an_error_in_a_callback_is_the_programs(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HOOK)
    answer = run("why", "--run", "hooks.py", "--json", cwd=str(tmp_path)).json
    assert (answer["error"], answer["status"]) == ("ZeroDivisionError: division by zero", 1)


def test_a_finding_names_the_file_of_a_module_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import torch\ndef cut(x):\n    return x.detach()\n")
    (tmp_path / "train.py").write_text(
        "import torch\nfrom model import cut\nw = torch.ones(2, requires_grad=True)\ncut(w * 2).sum().backward()\n"
    )
    ran = run("why", "--run", "train.py", "--out", "found.json", cwd=str(tmp_path))
    assert ran.status == 1
    ran = run("why", "--run", "train.py", "--get", "findings.0", cwd=str(tmp_path))
    found = ran.json
    assert (found["entry"], found["file"], found["line"]) == ("detached", "model.py", 3)
    assert found["code"] == "return x.detach()"
    assert [(each["line"], each["code"]) for each in found["also"]] == [
        (4, "cut(w * 2).sum().backward()")
    ]
    assert os.path.exists(tmp_path / "found.json")


def test_a_program_may_leave_or_remove_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "program.py").write_text(
        "import os, torch\nx = torch.tensor(1.)\nos.remove('program.py')\nos.rmdir(os.getcwd())\n"
        "(x**2).backward()\n",
        encoding="utf-8",
    )
    ran = run("why", "--run", "program.py", cwd=str(folder))
    assert ran.status == 1
    assert "\n  program.py:" in ran.stdout
