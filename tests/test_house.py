"""The house rules, read from the syntax tree: who may import whom, who may differentiate, who may load PyTorch."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gradcli import core

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "gradcli").rglob("*.py"))

ARROWS = {
    "errors": set(),
    "installed": set(),
    "tables": {"tables"},
    "text": {"text", "tables", "installed", "errors"},
    "page": set(),
    "world": {"errors", "text"},
    "supervise": {"errors", "text"},
    "results": {"text"},
    "addresses": {"text", "errors"},
    "core": {"errors"},
    "evaluate": {"evaluate", "text", "tables", "errors"},
    "requests": {"requests", "text", "tables", "errors"},
    "compute": {"addresses", "compute", "core", "evaluate", "requests", "results", "text", "tables", "errors"},
    "batch": {"compute", "show", "supervise", "text", "errors"},
    "code": {"code", "compute", "evaluate", "requests", "results", "show", "text", "tables", "errors"},
    "show": {"addresses", "show", "results", "requests", "text", "errors", "page", "world"},
    "cli": {
        "addresses",
        "batch",
        "cli",
        "page",
        "requests",
        "compute",
        "show",
        "code",
        "supervise",
        "text",
        "errors",
        "warm",
        "world",
    },
    "warm": {"warm", "cli", "supervise", "errors", "world", "__init__"},
    "__main__": {"cli", "warm", "world", "installed", "__init__"},
    "__init__": set(),
}
"""Each room and the rooms that it may enter. `cli` enters `compute`, `show` and `code` by their doors alone."""

HEAVY = {"torch", "numpy", "orjson"}
MAY_LOAD_TORCH = {"addresses", "warm", "core", "evaluate", "results", "compute", "show", "code"}
GENERATORS = {"tables/generate_operators.py"}
"""Scripts that write data into the repository and are never part of the program."""


def room(path: Path) -> str:
    return path.relative_to(ROOT / "gradcli").parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "gradcli":
                yield from (f"gradcli.{alias.name}" for alias in node.names)


def product() -> list[Path]:
    return [path for path in FILES if str(path.relative_to(ROOT / "gradcli")) not in GENERATORS]


@pytest.mark.parametrize("path", product(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    entered = {name.split(".")[1] for name in imports(path) if name.startswith("gradcli.")}
    entered -= {"__version__"}
    assert entered <= ARROWS[room(path)]
    if room(path) not in MAY_LOAD_TORCH:
        assert not {name.split(".")[0] for name in imports(path)} & HEAVY


@pytest.mark.parametrize("path", product(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_command_line_uses_the_doors_alone(path: Path) -> None:
    if room(path) == "cli":
        inside = {
            name for name in imports(path) if name.startswith(("gradcli.compute", "gradcli.show", "gradcli.code"))
        }
        assert inside <= {"gradcli.compute.door", "gradcli.show.door", "gradcli.code.graph", "gradcli.code.programs"}


@pytest.mark.parametrize("path", product(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_core_differentiates(path: Path) -> None:
    if path.name == "core.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr != "backward"
            assert ast.unparse(node) not in {"torch.autograd", "torch.func"}


def test_autograds_engine_is_where_core_expects_it_and_gives_what_autograd_gives() -> None:
    """The one thing that is used of PyTorch and not documented; without it core asks torch.autograd.grad itself."""
    assert core._engine is not None

    def leaves() -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([0.1, 2.0, -3.0], requires_grad=True), "w": torch.tensor(0.7, requires_grad=True)}

    ours, theirs = leaves(), leaves()
    unused = torch.ones(2, requires_grad=True)
    found = core.gradients(torch.sigmoid(ours["w"] * ours["x"]).sum(), {**ours, "unused": unused})
    expected = torch.autograd.grad(torch.sigmoid(theirs["w"] * theirs["x"]).sum(), list(theirs.values()))
    assert found["unused"] is None
    for name, gradient in zip(ours, expected, strict=True):
        assert torch.equal(found[name], gradient)  # type: ignore[arg-type]
        assert not found[name].requires_grad  # type: ignore[union-attr]


def test_the_warm_client_needs_next_to_nothing() -> None:
    """Every call pays for it: only what an empty Python has loaded already, and the socket."""
    for name in ("client", "wire"):
        found = set(imports(ROOT / "gradcli" / "warm" / f"{name}.py")) - {"typing"}  # for the type checker alone
        assert {module for module in found if not module.startswith("gradcli.warm")} <= {
            "_signal", "_socket", "marshal", "os", "stat", "sys",
        }  # fmt: skip


def test_files_can_be_read_in_one_sitting() -> None:
    data = {"activations.py", "losses.py"}
    long = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in product() if path.name not in data
    }
    assert {name: lines for name, lines in long.items() if lines > 420} == {}


def test_every_file_says_first_what_it_owns() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
