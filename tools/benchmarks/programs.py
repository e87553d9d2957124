"""The programs that gradcli's commands are compared with: what one would write by hand, for
`python -c`.
"""

import json
from pathlib import Path

from tools.benchmarks.jobs import jobs

PASS = "pass"
TYPER = "import typer, rich.table"
MSE = """
import torch
import torch.nn.functional as F
x = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
loss = F.mse_loss(x * w, torch.ones(()))
print(loss.item(), *(slope.item() for slope in torch.autograd.grad(loss, [x, w])))
"""
"""`grad --fn mse --x 1 --w 2`: the loss, and its derivatives by x and w."""
EXPR = """
import torch
import torch.nn.functional as F
x, w, y = (torch.tensor(number, requires_grad=True) for number in (1.0, 2.0, 1.0))
loss = F.mse_loss(w * x, y)
print(loss.item(), *(slope.item() for slope in torch.autograd.grad(loss, [x, w, y])))
"""
"""`grad 'mse(w*x, y)' x=1 w=2 y=1`, by all three."""
JACOBIAN = """
import torch
torch.manual_seed(0)
W, x = torch.randn({n}, {n}), torch.randn({n})
f = lambda x: torch.sigmoid(W @ x)
J = {J}
print(J.sum().item())
"""
"""`jacobian 'sigmoid(W @ x)' W=randn(n,n) x=randn(n) --wrt x`, which prints a large Jacobian in
part; the program prints one number of it."""
SOFTMAX = """
import numpy as np
import torch
a = torch.from_numpy(np.load("logits.npy"))
p = torch.softmax(a, -1)
np.save("theirs.npy", (torch.diag(p) - torch.outer(p, p)).numpy())
"""
SIGMOID = """
import numpy as np
import torch
x = torch.from_numpy(np.load("big.npy")).requires_grad_()
y = torch.sigmoid(x)
(slope,) = torch.autograd.grad(y.sum(), [x])
np.savez("theirs.npz", value=y.detach().numpy(), derivative=slope.numpy())
"""

LOOP = """
import json
import sys

import torch
import torch.nn.functional as F

softmax, tanh, sigmoid = torch.softmax, torch.tanh, torch.sigmoid
KNOWN = {
    "mse(w*x + b, y)": lambda x, w, b, y: F.mse_loss(w * x + b, y),
    "sigmoid(w*x).sum()": lambda x, w: torch.sigmoid(w * x).sum(),
    "(x**2).sum()": lambda x: (x**2).sum(),
    "softmax(a)[1]": lambda a: torch.softmax(a, -1)[1],
    "tanh(w @ x).sum()": lambda w, x: torch.tanh(w @ x).sum(),
    "log(1 + exp(-y*(w*x)))": lambda y, w, x: torch.log(1 + torch.exp(-y * (w * x))),
}
ONE = torch.ones(())
FN = {"mse": lambda z: F.mse_loss(z, ONE), "sigmoid": torch.sigmoid}
NAMES = {"mse": F.mse_loss, "sigmoid": torch.sigmoid, "exp": torch.exp, "log": torch.log}


def leaf(value):
    return torch.tensor(value, dtype=torch.float32, requires_grad=True)


for line in sys.stdin:
    job = json.loads(line)
    if "fn" in job:
        leaves = {name: leaf(job[name]) for name in ("x", "w", "b") if name in job}
        z = leaves["x"] * leaves["w"]
        value = FN[job["fn"]](z + leaves["b"] if "b" in leaves else z)
    else:
        leaves = {name: leaf(number) for name, number in job["inputs"].items()}
        known = KNOWN.get(job["expression"])
        value = known(**leaves) if known else eval(job["expression"], NAMES, leaves)
    gradients = torch.autograd.grad(value, list(leaves.values()))
    found = {name: gradient.tolist() for name, gradient in zip(leaves, gradients)}
    print(json.dumps({"id": job["id"], "value": value.item(), "gradients": found}))
"""
"""The bare loop of a batch (`tools.benchmarks.jobs`): each line by the standard library's json,
plain leaves, a function written down for each text that is known beforehand, one call of
torch.autograd.grad, and of gradcli's keys those that the job asks for."""

JAX = """
import jax
loss = lambda x, w: (x * w - 1.0) ** 2
value, slopes = jax.value_and_grad(loss, argnums=(0, 1))(1.0, 2.0)
print(value.item(), *(slope.item() for slope in slopes))
"""
AUTOGRAD = """
from autograd import grad
loss = lambda x, w: (x * w - 1.0) ** 2
print(loss(1.0, 2.0), grad(loss, 0)(1.0, 2.0), grad(loss, 1)(1.0, 2.0))
"""
SYMPY = """
import sympy
x, w = sympy.symbols("x w")
loss = (x * w - 1) ** 2
print(*(float(f.subs({x: 1, w: 2})) for f in (loss, loss.diff(x), loss.diff(w))))
"""
PEERS = {"JAX": JAX, "HIPS autograd": AUTOGRAD, "SymPy": SYMPY}
"""What one would write with other tools instead of MSE: each prints the same three numbers."""


def write_files() -> None:
    """Write what the commands and programs read into the current folder; of the jobs also the first
    line alone.
    """
    import numpy as np

    random = np.random.default_rng(0)
    np.save("logits.npy", random.standard_normal(4096, dtype=np.float32))
    np.save("big.npy", random.standard_normal(10_000_000, dtype=np.float32))
    for name, count, texts in (("jobs.jsonl", 20_000, "few"), ("texts.jsonl", 5_000, "all")):
        lines = [json.dumps(job) + "\n" for job in jobs(count, texts)]
        Path(name).write_text("".join(lines), encoding="ascii")
        Path(f"one-{name}").write_text(lines[0], encoding="ascii")
