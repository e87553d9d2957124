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
        self,
        statements: Sequence[ast.stmt],
        calls: Mapping[ast.AST, tuple[str, nn.Module] | None],
    ) -> list[Line]:
        """The statements as lines. `calls` are the calls that make a module, with its name and itself,
        and those that draw random numbers, in the order in which they are computed.
        """
        found: list[Line] = []
        for statement in statements:
            inside, rest, drawn = {*ast.walk(statement)}, [statement], False
            for call in filter(inside.__contains__, calls):
                if (made := calls[call]) is None:
                    drawn = True
                    continue
                code = self.codes[made[0]]
                lines = self._made(*made, f"{code} = {ast.unparse(call)}")
                if drawn and len(lines) == 1:  # a line of its own would draw first
                    Replaced(call, code, assigned=True).visit(statement)
                    continue
                found += [(line, True) for line in lines]
                match statement:
                    case ast.Assign(targets=[ast.Name(id=given)]) if (
                        given == code and statement.value is call
                    ):
                        rest = []
                    case _:
                        Replaced(call, code).visit(statement)
            found += [(ast.unparse(each), False) for each in rest]
        return found

    def _made(self, name: str, module: nn.Module, text: str) -> list[str]:
        made = [text]
        if self.device != "cpu":
            made = ['with torch.device("cpu"):', f"    {text}"]
            made += [] if random(module) else [f'{self.codes[name]}.to("{self.device}")']
        return [*made, *self.parameters(name, self.codes[name], module)]


def random(module: nn.Module) -> bool:
    """Whether a module, or a part of it, draws random numbers: it is computed on the CPU."""
    return any(type(part).__name__ in RANDOM_MODULES for part in module.modules())


class Replaced(ast.NodeTransformer):
    """Puts a name in the place of one call; if `assigned`, the call is where the name is bound."""

    def __init__(self, call: ast.AST, name: str, *, assigned: bool = False) -> None:
        self._call = call
        self._name = name
        self._assigned = assigned

    def visit_Call(self, node: ast.Call) -> Any:
        """The name, or the call itself."""
        if node is not self._call:
            return self.generic_visit(node)
        if self._assigned:
            return ast.NamedExpr(ast.Name(self._name, ast.Store()), node)
        return ast.Name(self._name, ast.Load())
