"""Modules of torch.nn in a program: each made by a statement of its own, which its parameters follow."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from gradcli.catalogue.operators import RANDOM_MODULES

Line: TypeAlias = tuple[str, bool]
"""A line of a program, and whether it makes a module."""
Parameters: TypeAlias = Callable[[str, str, nn.Module], Sequence[str]]
"""The lines that set the parameters of a module, given its name, its name in the program and itself."""


class Making(NamedTuple):
    """How a program makes modules: `codes` are their names in it, `device` is where they move to."""

    codes: Mapping[str, str]
    parameters: Parameters
    device: str

    def lines(
        self, statements: Sequence[ast.stmt], calls: Mapping[ast.AST, tuple[str, nn.Module]]
    ) -> list[Line]:
        """The statements as lines. `calls` are the calls that make a module, in the order in which they
        are computed, with the name and the module.
        """
        found: list[Line] = []
        for statement in statements:
            inside, rest = {*ast.walk(statement)}, [statement]
            for call, (name, module) in calls.items():
                if call not in inside:
                    continue
                code = self.codes[name]
                found += [
                    (line, True)
                    for line in self._made(name, f"{code} = {ast.unparse(call)}", module)
                ]
                match statement:
                    case ast.Assign(targets=[ast.Name(id=given)]) if (
                        given == code and statement.value is call
                    ):
                        rest = []
                    case _:
                        Replaced(call, code).visit(statement)
            found += [(ast.unparse(each), False) for each in rest]
        return found

    def _made(self, name: str, text: str, module: nn.Module) -> list[str]:
        made = [text]
        if self.device != "cpu":
            made = ['with torch.device("cpu"):', f"    {text}"]
            made += [] if random(module) else [f'{self.codes[name]}.to("{self.device}")']
        return [*made, *self.parameters(name, self.codes[name], module)]


def random(module: nn.Module) -> bool:
    """Whether a module, or a part of it, draws random numbers: it is computed on the CPU."""
    return any(type(part).__name__ in RANDOM_MODULES for part in module.modules())


class Replaced(ast.NodeTransformer):
    """Puts a name in the place of one call."""

    def __init__(self, call: ast.AST, name: str) -> None:
        self._call = call
        self._name = name

    def visit_Call(self, node: ast.Call) -> Any:
        """The name, or the call itself."""
        return ast.Name(self._name, ast.Load()) if node is self._call else self.generic_visit(node)
