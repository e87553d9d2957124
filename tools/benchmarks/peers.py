"""The programs that one would write instead of `gradcli grad --fn mse --x 1 --w 2`, for `python
-c`, one for each tool.

Each prints the loss (x w - 1)^2 at x = 1, w = 2, and its derivatives by x and by w: 1, 4 and 2.
"""

import subprocess
import sys
from collections.abc import Mapping

from tools.benchmarks.programs import MSE

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
    "PyTorch": ("torch", MSE),
    "JAX": ("jax", JAX),
    "HIPS autograd": ("autograd", AUTOGRAD),
    "SymPy": ("sympy", SYMPY),
}
"""The package that each tool needs, and its program."""
NAMES = tuple(_PROGRAMS)


def programs(python: str = sys.executable) -> dict[str, str]:
    """The programs by the tools' names, of those whose package that Python has (the group `peers`
    brings them all).
    """
    packages = [package for package, _ in _PROGRAMS.values()]
    script = (
        f"from importlib.util import find_spec; print([p for p in {packages!r} if find_spec(p)])"
    )
    found = subprocess.run(
        [python, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    return {
        name: program for name, (package, program) in _PROGRAMS.items() if repr(package) in found
    }
