"""The programs that one would write instead of `gradcli grad --fn mse --x 1 --w 2`, for `python -c`, one for each tool.

Each prints the loss (x w - 1)^2 at x = 1, w = 2, and its derivatives by x and by w: 1, 4 and 2.
"""

from collections.abc import Mapping
from importlib.util import find_spec

TORCH = """
import torch
import torch.nn.functional as F
x = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
loss = F.mse_loss(x * w, torch.ones(()))
print(loss.item(), *map(torch.Tensor.item, torch.autograd.grad(loss, [x, w])))
"""
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

_PROGRAMS: Mapping[str, tuple[str, str]] = {
    "PyTorch": ("torch", TORCH),
    "JAX": ("jax", JAX),
    "HIPS autograd": ("autograd", AUTOGRAD),
    "SymPy": ("sympy", SYMPY),
}
"""The package that each tool needs, and its program."""
NAMES = tuple(_PROGRAMS)


def programs() -> dict[str, str]:
    """The programs by the tools' names, of those whose package this Python has (the extra `peers` brings them all)."""
    return {name: program for name, (package, program) in _PROGRAMS.items() if find_spec(package)}
