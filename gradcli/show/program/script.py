"""A PyTorch program in the making: inputs, statements, prints, and the imports that these need."""

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from gradcli.catalogue.imports import imports
from gradcli.catalogue.operators import RANDOM, RANDOM_MODULES
from gradcli.evaluate.job import DTYPES, once_more
from gradcli.language.literals.literal import Literal
from gradcli.options.inputs import Input
from gradcli.options.shared import ComputeOptions
from gradcli.results import Result, part
from gradcli.show.program.formulas import WrittenExpression
from gradcli.show.program.tensor_code import tensor_code


class Script:
    """The lines of the program of one request."""

    def __init__(self, request: ComputeOptions, inputs: Iterable[str]) -> None:
        self._request = request
        elsewhere = request.device != "cpu"
        self.on_cpu = ', device="cpu"' if elsewhere else ""
        self.moved = f'.to("{request.device}")' if elsewhere else ""
        self._taken = set(inputs)
        self.lines: list[str] = []

    def read(self, text: str, inputs: Mapping[str, Tensor]) -> WrittenExpression:
        """An expression of inputs, any shape, as PyTorch code on the request's device."""
        return WrittenExpression(text, inputs, self._request.device)

    def add(self, *lines: str) -> None:
        """Append statements, one per line."""
        self.lines += lines

    def fresh(self, *names: str) -> str:
        """The first of the names that is free; if none is, the last one with underscores."""
        name = next((name for name in names if name not in self._taken), names[-1])
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def inputs(
        self, tensors: Mapping[str, Tensor], literals: Mapping[str, Literal | None],
        leaves: Iterable[str],
    ) -> None:  # fmt: skip
        """Append a line for each input, any shape and dtype; `leaves` require gradients."""
        names = set(leaves)
        for name, tensor in tensors.items():
            self.add(f"{name} = {self.tensor(literals.get(name), tensor, leaf=name in names)}")

    def directions(self, given: Iterable[Input], tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """Append a line for each direction; return their names by input."""
        names: dict[str, str] = {}
        for item in given:
            names[item.name] = self.fresh(f"v_{item.name}")
            made = self.tensor(item.literal, tensors[item.name], leaf=False)
            self.add(f"{names[item.name]} = {made}")
        return names

    def tensor(
        self, literal: Literal | None, tensor: Tensor, *, leaf: bool, filled: bool = False
    ) -> str:
        """The expression that makes `tensor`, as `tensor_code` does, on the request's device."""
        return tensor_code(literal, tensor, leaf=leaf, device=self._request.device, filled=filled)

    def formula(self, text: str, inputs: Mapping[str, Tensor], *names: str) -> str:
        """Append an expression of inputs, any shape; return a name of its result, as by `fresh`."""
        formula = self.read(text, inputs)
        self.add(*formula.lines)
        if formula.value.isidentifier():
            return formula.value
        name = self.fresh(*names)
        self.add(f"{name} = {formula.value}")
        return name

    def state(self, written: WrittenExpression) -> str:
        """Append a line that keeps the generator's state, if an expression draws random numbers;
        return its name, else an empty text.
        """
        if not _draws("\n".join([*written.lines, written.value])):
            return ""
        name = self.fresh("state")
        self.add(f"{name} = torch.get_rng_state()")
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
        """Append a print of a label and the numbers of the tensor `value` in all digits."""
        self.add(f'print("{label}", {value}.tolist())')

    def text(self) -> str:
        """The whole program."""
        head, request = [], self._request
        body = "\n".join(self.lines)
        if request.dtype != "float32":
            head.append(f"torch.set_default_dtype(torch.{request.dtype})")
        if request.device != "cpu":
            head.append(f'torch.set_default_device("{request.device}")')
        if _draws(body):
            head.append(f"torch.manual_seed({request.seed})")
        whole = "\n".join([*head, body])
        return "\n".join([*imports(whole), "", *head, body]) + "\n"


def _draws(code: str) -> bool:
    """Whether lines of a program call a function that draws random numbers."""
    return not (RANDOM | RANDOM_MODULES).isdisjoint(re.findall(r"\.(\w+)", code))


def program(request: ComputeOptions, result: Result) -> str:
    """The PyTorch program that prints the numbers of `result`, the result of `request`."""
    script = Script(request, result.inputs)
    with once_more(DTYPES[request.dtype]):  # expressions are run again for their operands
        part(result, "program").program(script, request, result)
    return script.text()
