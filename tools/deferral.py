"""Writes the list of the modules that are deferred for the installed PyTorch, beside
gradcli/process/deferral.py: `python -m tools.deferral`, some minutes.

The rule: a module is deferred if `import torch` and the calls of the program use nothing of it, but
bind its names. It is found by trying: all modules are deferred at first, and the one that is used
earliest is marked, until none is used. KEPT and ASKED are what trying does not find. Modules that
replace themselves, or that are not plain Python source, are never deferred.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradcli.cli.serve import PROGRAM
from gradcli.installed import torch_version
from gradcli.process import deferral

KEPT: Mapping[str, str] = {
    "torch": "what is loaded",
    "torch.distributed": "registers a part of PyTorch's C code, which others import",
    "torch._tensor": "PyTorch's C code looks its class up without calling it",
    "torch._logging._registrations": "fills a table that other modules need while they load",
}
"""Modules that are needed in ways that a trial does not see."""
ASKED = (
    "torch.accelerator", "torch.autograd", "torch.fft", "torch.linalg", "torch.masked", "torch.nested", "torch.nn.modules",
    "torch.nn.utils", "torch.optim", "torch.signal", "torch.sparse", "torch.special",
)  # fmt: skip
"""Packages that expressions and optimizers reach: the second that all deferred modules take would
be paid by every warm call.
"""
CALLS = (
    *PROGRAM.calls,
    "gradcli grad 'svd_lowrank(A)[1].sum()' A='eye(4)'",
)
ORDER = """
import json, sys
from importlib.machinery import PathFinder, SourceFileLoader
from types import ModuleType

found = {}

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("torch") and (spec := PathFinder.find_spec(name, path, target)):
            found[name] = isinstance(spec.loader, SourceFileLoader)

sys.meta_path.insert(0, Finder())
import torch

modules = {name: sys.modules[name] for name in found if name in sys.modules}
print(json.dumps([
    [name, found[name] and type(module) is ModuleType and module.__name__ == name]
    for name, module in modules.items()
]))
"""
"""Prints the modules in the order in which PyTorch begins to execute them, and whether each is a
plain one.
"""
TRIAL = """
import gc, json, os, sys, types
from gradcli.process import deferral

told = open(os.dup(1), "w")
names, calls = json.load(sys.stdin)
deferral.listed = lambda version: names

def tell(module):
    print(json.dumps(module), file=told, flush=True)
    os._exit(0)

deferral.Deferral.executed = lambda self, module: tell(module.__name__)
deferral.load()
namespaces = [vars(module) for module in list(sys.modules.values()) if module is not None]
stand_ins = [each for each in gc.get_objects() if type(each) is deferral.StandIn]
known = {*map(id, namespaces), id(stand_ins)}
for stand_in in stand_ins:
    holders = [each for each in gc.get_referrers(stand_in) if id(each) not in known]
    if any(type(each) is not types.FrameType for each in holders):
        tell(vars(stand_in)["module"].__name__)
from gradcli.cli.serve import PROGRAM
for _ in PROGRAM.load():
    pass
for words in calls:
    if PROGRAM.try_out(words) == 70:
        raise SystemExit(words)
tell(None)
"""
"""Prints the first deferred module of which more is used than that a module binds a name of it."""


def output(program: str, given: object = None) -> object:
    """What a fresh Python prints, as JSON; `given` is its stdin."""
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(given), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode or not done.stdout:
        raise SystemExit(done.stderr or f"exit status {done.returncode}")
    answer: object = json.loads(done.stdout)
    return answer


def listed(order: Sequence[tuple[str, bool]]) -> list[str]:
    """The modules in this order, with NOW before those that are not deferred."""
    now = {
        name
        for name, plain in order
        if not plain or name in KEPT or f"{name}.".startswith(tuple(f"{each}." for each in ASKED))
    }
    while True:
        names = [deferral.NOW + name if name in now else name for name, _ in order]
        used = output(TRIAL, [names, CALLS])
        if used is None:
            return names
        print(used, flush=True)
        now.add(str(used))


def main() -> None:
    """Find the list for the installed PyTorch, and write it."""
    names = listed(output(ORDER))  # type: ignore[arg-type]
    file = deferral.file(torch_version())
    Path(file).write_text("\n".join(names) + "\n", encoding="ascii")
    later = sum(not name.startswith(deferral.NOW) for name in names)
    print(f"{later} of {len(names)} modules are deferred: {file}")


if __name__ == "__main__":
    main()
