"""A PyTorch program being written: inputs, statements, prints, and the imports that they turn out
to need.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from gradcli.catalogue.imports import imports
from gradcli.catalogue.operators import RANDOM, RANDOM_MODULES
from gradcli.evaluate.job import DTYPES, once_more
from gradcli.language.literals.literal import Literal
from gradcli.options.shared import ComputeOptions
from gradcli.results import Result, part
from gradcli.show.program.formulas import WrittenExpression
from gradcli.show.program.tensor_code import tensor_code


class Script:
    """Lines of a program for one request."""

    def __init__(self, request: ComputeOptions, inputs: Iterable[str]) -> None:
        self._request = request
        elsewhere = request.device != "cpu"
        self.on_cpu = ', device="cpu"' if elsewhere else ""
        self.moved = f'.to("{request.device}")' if elsewhere else ""
        self._taken = set(inputs)
        self.lines: list[str] = []

    def read(self, text: str, inputs: Mapping[str, Tensor]) -> WrittenExpression:
        """An expression of inputs of any shape in PyTorch's words, on the request's device."""
        return WrittenExpression(text, inputs, self._request.device)

    def add(self, *lines: str) -> None:
        """Statements, one a line."""
        self.lines += lines

    def fresh(self, *wishes: str) -> str:
        """The first of the names that nothing has yet; with underscores behind it where all are
        taken.
        """
        name = next((wish for wish in wishes if wish not in self._taken), wishes[-1])
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def inputs(
        self,
        tensors: Mapping[str, Tensor],
        literals: Mapping[str, Literal | None],
        leaves: Iterable[str],
    ) -> None:
        """One line for each input, whatever its shape and dtype; those in `leaves` record what is
        done with them.
        """
        chosen = set(leaves)
        for name, tensor in tensors.items():
            self.add(f"{name} = {self.tensor(literals.get(name), tensor, leaf=name in chosen)}")

    def tensor(
        self, literal: Literal | None, tensor: Tensor, *, leaf: bool, filled: bool = False
    ) -> str:
        """The expression that makes an input in its shape and dtype; random numbers are drawn on
        the CPU and moved.
        """
        return tensor_code(literal, tensor, leaf=leaf, device=self._request.device, filled=filled)

    def formula(self, text: str, inputs: Mapping[str, Tensor], *wishes: str) -> str:
        """The statements of an expression of inputs of any shape; the name of its result."""
        formula = self.read(text, inputs)
        self.add(*formula.lines)
        if formula.value.isidentifier():
            return formula.value
        name = self.fresh(*wishes)
        self.add(f"{name} = {formula.value}")
        return name

    def gradients(self, out: str, inputs: Sequence[str], upstream: str = "") -> list[str]:
        """The line that calls autograd.grad; the names of what it returns."""
        names = [self.fresh(f"d_{name}") for name in inputs]
        given = f", {upstream}" if upstream else ""
        if len(names) == 1:
            self.add(f"{names[0]} = torch.autograd.grad({out}, {inputs[0]}{given})[0]")
        elif names:
            call = f"torch.autograd.grad({out}, [{', '.join(inputs)}]{given})"
            self.add(f"{', '.join(names)} = {call}")
        return names

    def show_row(self, *values: str) -> None:
        """Print the numbers of several tensors on one line."""
        self.add(f"print({', '.join(f'{value}.tolist()' for value in values)})")

    def nest(self, inner: "Script", depth: int = 1) -> None:
        """The lines of another script as the body of `depth` loops."""
        self.add(*(f"{'    ' * depth}{line}" for line in inner.lines))

    def show(self, label: str, value: str) -> None:
        """Print a tensor's numbers, all their digits, behind a label."""
        self.add(f'print("{label}", {value}.tolist())')

    def text(self) -> str:
        """The whole program."""
        head = []
        body = "\n".join(self.lines)
        if self._request.dtype != "float32":
            head.append(f"torch.set_default_dtype(torch.{self._request.dtype})")
        if self._request.device != "cpu":
            head.append(f'torch.set_default_device("{self._request.device}")')
        if not (RANDOM | RANDOM_MODULES).isdisjoint(re.findall(r"\.(\w+)", body)):
            head.append(f"torch.manual_seed({self._request.seed})")
        whole = "\n".join([*head, body])
        return "\n".join([*imports(whole), "", *head, body]) + "\n"


def program(request: ComputeOptions, result: Result) -> str:
    """The PyTorch program that prints the numbers of `result`, which is that of `request`."""
    script = Script(request, result.inputs)
    with once_more(DTYPES[request.dtype]):  # formulas are run again to see their operands
        part(result, "program").program(script, request, result)
    return script.text()
