"""The deferral of PyTorch's modules: the program's calls use none of them, nothing differs from a
plain import once one is used, and the import is plain where it has to be.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradcli.installed import torch_version
from gradcli.process import deferral
from tests.choice import rare
from tests.program import BASE, ROOT, cold
from tools.deferral import ORDER

pytestmark = pytest.mark.skipif(
    not deferral.listed(torch_version()), reason="there is no list for this version of PyTorch"
)

USED = """
import sys, types
from gradcli.process import deferral

deferral.load()
before = dict(deferral.Incomplete.deferral.modules)
deferral.Incomplete.deferral.execute()
assert all(sys.modules[name] is module for name, module in before.items())
"""
SNAPSHOT = """
import gc, json, sys, types, warnings
import torch

def description(value):
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return f"{type(value).__name__} {getattr(value, '__module__', '')}.{value.__qualname__}"
    if isinstance(value, (tuple, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, (dict, list, set)):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, (bool, int, float, str, type(None))):
        return repr(value)
    return type(value).__name__

warnings.simplefilter("ignore")
modules = {name: module for name, module in sys.modules.items() if name.startswith("torch")}
print(json.dumps({
    name: {key: description(value) for key, value in vars(module).items()}
    for name, module in modules.items()
}))
"""
"""Prints every name of every module of PyTorch, and what it means."""
ANYTHING = re.compile(r"0x[0-9a-f]+|\b\d{10,}\b|[a-z.]+\.pybind11_detail\w+")
"""What differs between two plain imports: addresses, and the module in which C++ code says that its
functions are."""
LATER = {("torch.jit._builtins", "_builtin_ops"), ("torch.jit._builtins", "_builtin_table")}
"""TorchScript's table of functions, which finds two more of them because it is made later."""


def printed(program: str, **variables: str) -> Any:
    """What a fresh Python prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False,
        env={**BASE, "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": ROOT, **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def plain() -> Any:
    """Every name of PyTorch after a plain import."""
    return printed(SNAPSHOT)


def same(found: Any, expected: Any) -> None:
    """Both have the same modules with the same names of the same meaning."""
    assert found.keys() == expected.keys()
    for module, names in expected.items():
        for name in (names.keys() | found[module].keys()) - {
            key for each, key in LATER if each == module
        }:
            one, other = (
                json.dumps(each[module].get(name, "missing")) for each in (found, expected)
            )
            assert ANYTHING.sub("", one) == ANYTHING.sub("", other), f"{module}.{name}"


@pytest.mark.smoke
def test_a_cold_call_executes_a_fraction_of_pytorch() -> None:
    empty, there, listed = printed(
        "import json, sys\nfrom gradcli.process import deferral\ndeferral.load()\n"
        "it = deferral.Incomplete.deferral\n"
        "print(json.dumps([len(it.modules), len(it.names & sys.modules.keys()), len(it.names)]))"
    )
    assert there - empty < listed / 3


@pytest.mark.exhaustive
def test_once_a_module_is_used_nothing_differs_from_a_plain_import(plain: Any) -> None:
    same(printed(USED + SNAPSHOT), plain)


@pytest.mark.parametrize(
    "use",
    [
        rare("import torch; torch.fx.symbolic_trace"),
        rare("from torch.distributions import Normal"),
        rare("import torch; torch.export.export"),
        rare(
            "import torch; f = torch.set_default_dtype; f(torch.float64); dir(torch.ao); f(torch.float32)"
        ),
        rare("import torch; bool(torch.jit.script)"),
    ],
)
def test_the_first_use_may_be_any(use: str, plain: Any) -> None:
    """Also with a default dtype, or modules, that PyTorch did not load with."""
    found = printed(f"from gradcli.process import deferral\ndeferral.load()\n{use}\n{SNAPSHOT}")
    same({name: found[name] for name in plain}, plain)


@pytest.mark.parametrize(
    "taken_off",
    [
        rare("torch.functional"),
        rare("torch._tensor_str"),
        rare("torch.nn.modules.linear"),
        rare(""),
    ],
)
def test_a_list_that_defers_what_is_used_while_pytorch_loads(taken_off: str, plain: Any) -> None:
    """All modules are then executed at once; with an empty name, a list that defers them all."""
    given = f"""
from gradcli.process import deferral
from tools.deferral import KEPT
names = deferral.listed(deferral.torch_version())
taken_off = [name for name in names if name[1:] == {taken_off!r} or not {taken_off!r} and name[1:] not in KEPT]
deferral.listed = lambda version: [name[1:] if name in taken_off else name for name in names]
deferral.load()
deferral.Incomplete.deferral.execute()
"""
    same(printed(given + SNAPSHOT), plain)


@pytest.mark.parametrize("reason", ["version", "variable", "loaded"])
def test_pytorch_is_loaded_plainly(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown version, a variable that steers its loading, and one that is loaded already."""
    if reason != "loaded":
        monkeypatch.delitem(sys.modules, "torch")
    if reason == "version":
        monkeypatch.setattr(deferral, "torch_version", lambda: "2.99.1")
    if reason == "variable":
        monkeypatch.setenv("TORCH_LOGS", "+inductor")
    imported: list[str] = []
    monkeypatch.setattr(deferral, "import_module", imported.append)
    finders = [*sys.meta_path]
    deferral.load()
    assert imported == ["torch"]
    assert sys.meta_path == finders


def test_a_call_may_use_one() -> None:
    words = ("grad", "F.max_unpool1d(x, tensor([[[1,3]]]), 2).sum() * w", "x=[[[1,2]]]", "w=3")
    assert cold(*words, "--json").json["gradients"] == {"x": [[[3, 3]]], "w": 3}


@pytest.mark.exhaustive
def test_the_list_is_in_the_order_of_a_plain_import() -> None:
    found = [name for name, _ in printed(ORDER)]
    listed = [name.removeprefix(deferral.NOW) for name in deferral.listed(torch_version())]
    assert listed == found


def test_the_wheel_brings_the_lists() -> None:
    folder = Path(deferral.file("0")).parent
    assert {path.name for path in folder.glob("modules-*.txt")} >= {
        f"modules-{torch_version().partition('+')[0]}.txt"
    }
