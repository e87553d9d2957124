"""A PyTorch program in the making: inputs, statements, prints, and the imports that these need."""

import ast
import builtins
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from torch import Tensor, nn

from gradcli.catalogue.imports import imports
from gradcli.catalogue.operators import RANDOM, RANDOM_MODULES
from gradcli.evaluate.files import read_all
from gradcli.evaluate.job import DTYPES, once_more
from gradcli.language.assignment import in_expression
from gradcli.language.expressions import expression
from gradcli.language.file_names import FromFile
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.options.inputs import Input
from gradcli.options.shared import ComputeOptions
from gradcli.results import Result, part
from gradcli.show.program.formulas import WrittenExpression
from gradcli.show.program.tensor_code import loaded, tensor_code


class Script:
    """The lines of the program of one request."""

    def __init__(self, request: ComputeOptions, inputs: Iterable[str]) -> None:
        self._request = request
        elsewhere = request.device != "cpu"
        self.on_cpu = ', device="cpu"' if elsewhere else ""
        self.moved = f'.to("{request.device}")' if elsewhere else ""
        self._taken = set(inputs)
        self._counts = Counter(name.partition(".")[0] for name in self._taken)
        self.lines: list[str] = []
        self._apart = False
        self._codes: dict[str, str] = {}
        self._draws = False
        self.keeps_statistics = False
        """Whether a module changes its buffers, which torch.func refuses."""

    def inner(self) -> "Script":
        """A script for the body of a loop: its expressions use the modules that this script makes."""
        inner = Script(self._request, self._taken)
        inner._counts, inner._codes, inner._apart = self._counts, self._codes, self._apart
        return inner

    def read(self, text: str, inputs: Mapping[str, Tensor]) -> WrittenExpression:
        """An expression of inputs, any shape, as PyTorch code on the request's device; without the
        modules that `make_modules` has made.
        """

        def parameters(name: str, code: str, module: nn.Module) -> list[str]:
            return self._parameters(name, code, module, inputs)

        device = self._request.device
        found = WrittenExpression(text, inputs, device, parameters, apart=self._apart)
        self._codes |= found.codes
        self._taken |= {*found.codes.values()}
        literals = self._request.literals
        left = [
            name for name in inputs if literals.keys().isdisjoint((name, name.partition(".")[0]))
        ]
        self._draws |= found.draws and any("." in name for name in left)
        return found

    def make_modules(self, text: str, inputs: Mapping[str, Tensor]) -> None:
        """Append the lines that make the modules of an expression, which then runs several times, or
        comes after other lines that read their parameters.
        """
        self._apart = True
        self.add(*self.read(text, inputs).modules)

    def _parameters(
        self, name: str, code: str, module: nn.Module, tensors: Mapping[str, Tensor]
    ) -> list[str]:
        """The lines that give the parameters of a module the values that the user gave."""
        literals = self._request.literals
        self.keeps_statistics |= any(True for _ in module.buffers())
        whole, lines = literals.get(name), []
        if isinstance(whole, FromFile):
            complete = module.state_dict().keys() <= read_all(whole).keys()
            strict = "" if complete else ", strict=False"
            lines.append(f"{code}.load_state_dict({loaded(whole)}{strict})")
        given = [path for path in tensors if path.startswith(f"{name}.") and path in literals]
        if given:
            lines.append("with torch.no_grad():")
        for path in given:
            value = _flat(path)  # its random numbers were drawn before
            if not _is_random(literals[path]):
                value = self.tensor(literals[path], tensors[path], leaf=False)
            lines.append(f"    {self.code(path)}.copy_({value})")
        return lines

    def code(self, name: str) -> str:
        """An input or a step in the program: `net[0].weight` for the parameter `net.0.weight`."""
        module, dot, path = name.partition(".")
        return in_expression(f"{self._codes.get(module, module)}{dot}{path}")

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
        for name in filter(tensors.__contains__, dict.fromkeys((*literals, *tensors))):
            literal, tensor = literals.get(name), tensors[name]
            if "." not in name:
                self.add(f"{name} = {self.tensor(literal, tensor, leaf=name in names)}")
            elif _is_random(literal):
                self.add(f"{_flat(name)} = {self.tensor(literal, tensor, leaf=False)}")

    def directions(self, given: Iterable[Input], tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """Append a line for each direction; return their names by input."""
        names: dict[str, str] = {}
        for item in given:
            names[item.name] = self.fresh(f"v_{_flat(item.name)}")
            made = self.tensor(item.literal, tensors[item.name], leaf=False)
            self.add(f"{names[item.name]} = {made}")
        return names

    def tensor(
        self, literal: Literal | None, tensor: Tensor, *, leaf: bool, filled: bool = False
    ) -> str:
        """The expression that makes `tensor`, as `tensor_code` does, on the request's device."""
        return tensor_code(literal, tensor, leaf=leaf, device=self._request.device, filled=filled)

    def formula(self, text: str, inputs: Mapping[str, Tensor], *names: str) -> str:
        """Append an expression of inputs, any shape; return a name of its result, as by `fresh`. A
        plain number or a size becomes a tensor.
        """
        formula = self.read(text, inputs)
        self.add(*formula.lines)
        name = formula.value if formula.value.isidentifier() else self.fresh(*names)
        code = f"torch.tensor({formula.value})" if formula.plain else formula.value
        if code != name:
            self.add(f"{name} = {code}")
        return name

    def function(
        self, text: str, inputs: Mapping[str, Tensor], by: Iterable[str],
        also: Sequence[str] = (), state: str | None = None,
    ) -> tuple[str, list[str]]:  # fmt: skip
        """Append the lines that define an expression as a function of the inputs `by`, with the values
        of the names in `also`; return it, and these inputs. Modules are made already: the function
        sets their parameters.

        It draws its random numbers from the generator's state of that name, or from that of now.
        """
        written = self.read(text, inputs)
        start = self.state(written) if state is None else state
        before = [f"torch.set_rng_state({start})"] if start else []
        given = {name: self.fresh(_flat(name)) if "." in name else name for name in by}
        for name, argument in given.items():
            if "." in name:
                before += [f"del {self.code(name)}", f"{self.code(name)} = {argument}"]
        lines, function = written.as_function([*given.values()], also, before)
        self.add(*lines)
        return function, [self.code(name) for name in given]

    def state(self, written: WrittenExpression) -> str:
        """Append a line that keeps the generator's state, if an expression draws random numbers;
        return its name, else an empty text.
        """
        if not _draws("\n".join([*written.modules, *written.lines, written.value])):
            return ""
        name = self.fresh("state")
        self.add(f"{name} = torch.get_rng_state()")
        return name

    def outlasting(
        self, text: str, inputs: Mapping[str, Tensor], names: Iterable[str]
    ) -> dict[str, str]:
        """A name for each of the inputs in `names` that the expression does not bind again."""
        bound = expression.parse(Source(text), tuple(inputs)).assigned
        return {name: self.fresh(f"{name}_given") if name in bound else name for name in names}

    def kept(self, text: str, inputs: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, str]:
        """The same names, after a line for each input that gets another one."""
        found = self.outlasting(text, inputs, names)
        self.add(*(f"{given} = {name}" for name, given in found.items() if given != name))
        return found

    def gradients(self, out: str, inputs: Sequence[str], upstream: str = "") -> list[str]:
        """The line that calls autograd.grad; the names of what it returns."""
        names = [self.fresh(f"d_{_flat(name)}") for name in inputs]
        given = f", {upstream}" if upstream else ""
        if len(names) == 1:
            self.add(f"{names[0]} = torch.autograd.grad({out}, {self.code(inputs[0])}{given})[0]")
        elif names:
            call = f"torch.autograd.grad({out}, {self.read_once(inputs)}{given})"
            self.add(f"{', '.join(names)} = {call}")
        return names

    def read_once(self, names: Sequence[str]) -> str:
        """A list of inputs that is read once; all parameters of a module are written
        `*net.parameters()`, and those of one module alone need no list.
        """
        parts: dict[str, None] = {}
        for name in names:
            module, _, path = name.partition(".")
            every = path and self._counts[module] == sum(n.startswith(f"{module}.") for n in names)
            parts[f"*{self.code(module)}.parameters()" if every else self.code(name)] = None
        text = ", ".join(parts)
        return text[1:] if len(parts) == 1 and text.startswith("*") else f"[{text}]"

    def show_row(self, *values: str) -> None:
        """Print the numbers of several tensors on one line."""
        self.add(f"print({', '.join(f'{value}.tolist()' for value in values)})")

    def nest(self, inner: "Script", depth: int = 1) -> None:
        """The lines of another script as the body of `depth` loops."""
        self.add(*(f"{'    ' * depth}{line}" for line in inner.lines))

    def show(self, label: str, value: str) -> None:
        """Append a print of a label and the numbers of the tensor `value` in all digits."""
        self.add(f"print({string_code(label)}, {value}.tolist())")

    def text(self) -> str:
        """The whole program."""
        head, request = [], self._request
        body = _unshadowed("\n".join(self.lines), {*self._codes.values()})
        if request.dtype != "float32":
            head.append(f"torch.set_default_dtype(torch.{request.dtype})")
        if request.device != "cpu":
            head.append(f'torch.set_default_device("{request.device}")')
        if self._draws or _draws(body):
            head.append(f"torch.manual_seed({request.seed})")
        whole = "\n".join([*head, body])
        return "\n".join([*imports(whole), "", *head, body]) + "\n"


def _unshadowed(code: str, modules: Set[str]) -> str:
    """Lines of a program that call Python's own functions by a longer name where an input or a step
    has their name, which only a module of the user's is called by.
    """
    nodes = [*ast.walk(ast.parse(code))]
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    lines, hidden = code.encode().split(b"\n"), (bound & vars(builtins).keys()) - modules
    names = [n.func for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    for name in sorted(names, key=lambda name: name.col_offset, reverse=True):
        if name.id in hidden:
            line, at = lines[name.lineno - 1], name.col_offset
            lines[name.lineno - 1] = line[:at] + b"builtins." + line[at:]
    return b"\n".join(lines).decode()


def string_code(text: str) -> str:
    """A text as a string of the program, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _draws(code: str) -> bool:
    """Whether lines of a program call a function that draws random numbers."""
    return not (RANDOM | RANDOM_MODULES).isdisjoint(re.findall(r"\.(\w+)", code))


def _flat(path: str) -> str:
    """What belongs to a parameter, in a name of the program: `net_0_weight`."""
    return path.replace(".", "_")


def _is_random(literal: Literal | None) -> bool:
    return isinstance(literal, Made) and literal.random


def program(request: ComputeOptions, result: Result) -> str:
    """The PyTorch program that prints the numbers of `result`, the result of `request`."""
    script = Script(request, result.inputs)
    with once_more(DTYPES[request.dtype]):  # expressions are run again for their operands
        part(result, "program").program(script, request, result)
    return script.text()
