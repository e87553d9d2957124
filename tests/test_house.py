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
    "catalogue": {"catalogue"},
    "language": {"language", "catalogue", "installed", "errors"},
    "page": set(),
    "world": {"errors", "language"},
    "results": {"language"},
    "result_paths": {"language", "errors"},
    "core": {"errors"},
    "options": {"options", "language", "catalogue", "errors"},
    "evaluate": {"evaluate", "core", "results", "options", "language", "catalogue", "errors"},
    "show": {"show", "results", "result_paths", "options", "evaluate", "language", "catalogue", "errors", "page", "world"},
    "evidence": {
        "evidence", "show", "evaluate", "core", "results", "result_paths", "options", "language", "catalogue", "errors",
    },
    "commands": {
        "commands", "evidence", "show", "evaluate", "core", "results", "result_paths", "options", "language", "catalogue",
        "process", "page", "world", "errors", "cli",
    },
    "cli": {"cli", "commands", "show", "options", "language", "process", "page", "world", "errors"},
    "process": {"process", "language", "errors", "__init__"},
    "batch": {"commands", "process"},
    "__main__": {"cli", "process", "world", "installed", "__init__"},
    "__init__": set(),
}  # fmt: skip
"""Each room and the rooms that it may enter."""
for _room in ("options", "evaluate", "evidence", "show"):  # until results say what they are
    ARROWS[_room] |= {"commands", "evidence"}

HEAVY = {"torch", "numpy", "orjson"}
MAY_LOAD_TORCH = {"result_paths", "process", "core", "evaluate", "evidence", "results", "show", "commands"}
GENERATORS = {"catalogue/generate_operators.py"}
"""Scripts that write data into the repository and are never part of the program."""


def room(path: Path) -> str:
    return path.relative_to(ROOT / "gradcli").parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    return imported(ast.parse(path.read_text(encoding="utf-8")))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
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
        tree = ast.parse((ROOT / "gradcli" / "process" / f"{name}.py").read_text(encoding="utf-8"))
        for_the_type_checker = [
            node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node)
        ]
        found = set(imported(tree)) - {module for node in for_the_type_checker for module in imported(node)}
        assert {module for module in found if not module.startswith("gradcli.process")} <= {
            "_signal", "_socket", "marshal", "os", "stat", "sys",
        }  # fmt: skip


def test_files_can_be_read_in_one_sitting() -> None:
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in product()}
    assert {name: lines for name, lines in long.items() if lines > 600} == {}


def test_every_file_says_first_what_it_owns() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
