"""The options that commands share, each declared once in a base class of their requests."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from os.path import basename
from typing import ClassVar

from gradcli.errors import UsageError
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.options.expectation import EXPECT, Expectation
from gradcli.options.fields import (
    FLAG,
    NAMES,
    NUMBER,
    TENSOR,
    TEXT,
    WHOLE,
    Paths,
    ValueKind,
    check_choice,
    option,
    options,
    repeated,
)
from gradcli.options.formula import GivenExpression

DTYPES = ("float32", "float64", "float16", "bfloat16")
GRAPHS = ("tree", "dot", "mermaid")
MARKUPS = {".md": "markdown", ".tex": "latex", ".html": "html"}
"""The forms that hold the tables for another page, by the suffix of a file."""
TABLE_FILES = (*MARKUPS, ".svg")
"""Files that hold the tables, `.svg` as the terminal shows them."""
FILE_FORMS = (".json", ".csv", *TABLE_FILES, ".npz", ".npy")
DEVICE = ValueKind("DEVICE", lambda source: source.text, hints=("cpu", "cuda", "mps", "xpu"))
PICTURE_FORMS = (".png", ".svg", ".pdf")
"""What matplotlib draws, of the commands that have a picture."""
PICTURE_OPTIONS = ("title", "size")
"""The fields of `OutputOptions` that those commands alone have."""
INCHES = (2.0, 40.0)
"""The least and the largest width or height of a picture."""
UPSTREAM = ("g", "upstream", "dout")
"""The names of the upstream gradient in a formula, where no input or step is called so."""
PATH = ValueKind("PATH", lambda source: source.text)
OUT = ValueKind("FILE", lambda source: source.text, paths=Paths("", FILE_FORMS))


def _size(source: Source) -> tuple[float, float]:
    """Width and height in inches: `7x4.2`. Raises UsageError for any other text."""
    found = re.fullmatch(r"(\d+\.?\d*)x(\d+\.?\d*)", source.text.strip(), re.ASCII)
    width, height = map(float, found.groups() if found else (0, 0))
    low, high = INCHES
    if not (low <= width <= high and low <= height <= high):
        message = f"expected WIDTHxHEIGHT in inches, each from {low:g} to {high:g}"
        raise UsageError(message, span=source.whole, hint="for example 7x4.2")
    return width, height


SIZE = ValueKind("WxH", _size)
_TABLELESS = {
    "json": "writes all numbers exactly",
    "csv": "writes all numbers exactly",
    "get": "prints a value exactly",
    "code": "prints a program",
    "graph": "draws operations",
    "out": "writes one line to standard output",
}
"""The fields of `OutputOptions` that replace the tables, and what each does instead."""
_FORMS = [*(name for name in _TABLELESS if name != "out"), *MARKUPS.values()]
"""The fields of which one call has at most one."""
_EVIDENCE = ("explain", "check", "expect")
"""The options that add evidence to a result, of the commands that have them."""
_NO_EVIDENCE = ("csv", "code", "graph")
"""Those that hold less than the whole result, and so no ledger, check or expectation."""
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:[0-9]{1,3})?", re.ASCII)


class Request:
    """A request that PyTorch answers."""

    timed: ClassVar[str] = ""
    """What `timeout` bounds, if that is less than the whole computation."""
    pictures: ClassVar[bool] = False
    """Whether the result can be drawn into a file: its folder has a picture.py."""

    free_inputs: ClassVar[bool] = False
    """Whether every unknown name that its expressions read is an input too."""

    in_batch: ClassVar[bool] = True
    """Whether a job of a batch may be one."""
    prints_through: ClassVar[bool] = False
    """Whether what the user's code prints on stdout stays there, where the form of output allows it."""

    @property
    def runs_user_code(self) -> bool:
        """Whether it runs code of the user: with PyTorch as `import torch` loads it, never warm."""
        return False

    @property
    def program(self) -> str:
        """The program of the user's that it runs as a whole; empty without one."""
        return ""

    @property
    def formulas(self) -> tuple[GivenExpression, ...]:
        """What was given for its expressions."""
        return ()

    @property
    def typed(self) -> Source | None:
        """The only expression, typed on the command line, for the place of an error; else None."""
        return self.formulas[0].typed if len(self.formulas) == 1 else None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that its expressions may use for their inputs."""
        return ()

    def sources(self, read_stdin: Callable[[], str]) -> list[Source]:
        """Its expressions."""
        return [formula.load(read_stdin) for formula in self.formulas]


@dataclass(frozen=True, kw_only=True)
class Question(Request):
    """A question about PyTorch itself, bounded by the defaults of the compute options."""

    timeout: ClassVar[float] = 60.0
    device: ClassVar[str] = "cpu"
    files: ClassVar[tuple[str, ...]] = (".json", *TABLE_FILES)
    """The suffixes that `--out` accepts."""


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(Request):
    """How numbers are computed."""

    dtype: str = option(TEXT, "the floating-point type", "float32", choices=DTYPES)
    device: str = option(DEVICE, "the device to compute on: cpu, cuda, cuda:1, mps", "cpu")
    seed: int = option(WHOLE, "seed of rand, randn and random functions", 0)
    timeout: float = option(
        NUMBER, "time limit of the computation in seconds; 0 for no limit", Question.timeout
    )
    order: tuple[str, ...] = ()
    """The options that were given, in their order."""

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, DTYPES)
        if self.device != "cpu" and not _DEVICE.fullmatch(self.device):
            hint = "cpu, cuda, cuda:0, mps or xpu"
            raise UsageError(f"--device: {self.device!r} is not a device", hint=hint)
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError("--seed: the seed must fit in 64 bits")
        if not 0 <= self.timeout < 1e9:
            raise UsageError("--timeout must be 0 or more seconds", hint="0 means no limit")

    @classmethod
    def named(cls, given: Collection[str]) -> tuple[str, ...]:
        """The inputs that may be words NAME=T instead of options, if `given` are given as well."""
        return tuple(
            name
            for name, option in options(cls).items()
            if option.kind is TENSOR and not option.positional
        )

    @property
    def literals(self) -> dict[str, Literal | None]:
        """The inputs that are words NAME=T, of a command that has them; else each input that is an
        option, in the order of `as_given`, None if it was not given.
        """
        if (words := getattr(self, "inputs", None)) is not None:
            return {item.name: item.literal for item in words}
        return {name: getattr(self, name) for name in self.as_given(self.named(()))}

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that an expression may use for its inputs."""
        return tuple(item.name for item in getattr(self, "inputs", ()))

    def as_given(self, names: Sequence[str]) -> tuple[str, ...]:
        """`names` in the order given, the others last: each input may draw random numbers."""
        first = [name for name in self.order if name in names]
        return (*first, *(name for name in names if name not in first))


@dataclass(frozen=True, kw_only=True)
class ExpectOptions(ComputeOptions):
    """How the numbers are compared with expected ones."""

    expect: tuple[Expectation, ...] = repeated(
        EXPECT,
        "the expected value of a gradient by name, or of any value by path: numbers or a formula; "
        "or a backward pass, @FILE.py; may be repeated",
    )
    tol: float = option(NUMBER, "relative tolerance of --expect", 1e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.tol < float("inf"):
            raise UsageError("--tol must be 0 or more")
        if "tol" in self.order and not self.expect:
            raise UsageError("--tol requires --expect", hint="leave out --tol, or add --expect")

    @property
    def wanted(self) -> bool:
        """Whether any evidence is requested."""
        return bool(_first_set(self, *_EVIDENCE))

    @property
    def formula_names(self) -> tuple[str, ...]:
        """The names that a formula of --expect may use, besides the steps of the expression."""
        return self.input_names or tuple(self.literals)


@dataclass(frozen=True, kw_only=True)
class _CheckOptions(ComputeOptions):
    check: bool = option(
        FLAG, "compare with the closed form and a central difference, in float64", False
    )


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions(ExpectOptions, _CheckOptions):
    """How the numbers are checked: by closed forms, differences, and expected values."""


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(EvidenceOptions):
    """Evidence, and the numeric chain-rule ledger."""

    explain: bool = option(FLAG, "the chain rule, operation by operation, in numbers", False)


@dataclass(frozen=True, kw_only=True)
class WrtOptions:
    """The inputs to differentiate with respect to."""

    wrt: tuple[str, ...] = option(
        NAMES,
        "inputs to differentiate with respect to, such as w,b",
        (),
        shown="every floating-point input",
    )


def _first_set(options: object, *names: str) -> str:
    """The first of the options `names` that is set; empty if none is."""
    return next((name for name in names if getattr(options, name, False)), "")


def files_of(request: object) -> tuple[str, ...]:
    """The suffixes that `--out` accepts for a request or a type of requests."""
    pictures = PICTURE_FORMS if getattr(request, "pictures", False) else ()
    every = tuple(dict.fromkeys((*pictures, *FILE_FORMS)))
    return getattr(request, "files", every)


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a result is shown: in exactly one form. No batch job has these options."""

    json: bool = option(FLAG, "one JSON object on one line", False)
    csv: bool = option(FLAG, "comma-separated values with a header line", False)
    get: str | None = option(PATH, "one value by its path", None)
    code: bool = option(FLAG, "the PyTorch program that prints these numbers", False)
    graph: str | None = option(TEXT, "the autograd graph", None, choices=GRAPHS)
    markdown: bool = option(FLAG, "the tables for GitHub's Markdown", False)
    latex: bool = option(FLAG, "the tables for LaTeX, with booktabs and amsmath", False)
    html: bool = option(FLAG, "the tables for a web page", False)
    out: str | None = option(OUT, "write to FILE instead", None)
    title: str | None = option(
        TEXT, "title of the picture in FILE; empty for none", None, shown="the table's title"
    )
    size: tuple[float, float] | None = option(
        SIZE, "width and height of the picture in inches, such as 7x4.2", None
    )
    precision: int = option(WHOLE, "significant digits in tables", 6)
    full: bool = option(FLAG, "show large tensors in full", False)
    quiet: bool = option(FLAG, "no notes, progress or hint", False)
    order: tuple[str, ...] = ()
    """The options that were given, in their order."""

    def __post_init__(self) -> None:
        forms = [f"--{name}" for name in _FORMS if getattr(self, name) not in (False, None)]
        if len(forms) > 1:
            message = f"{' and '.join(forms)} cannot be used together"
            raise UsageError(message, hint="choose one of them")
        if self.code and self.out is not None:
            hint = "redirect the program: --code > program.py"
            raise UsageError("--code and --out cannot be used together", hint=hint)
        if self.graph is not None:
            check_choice("graph", self.graph, GRAPHS)
            if self.out is not None:
                hint = "redirect it: --graph dot > graph.dot"
                raise UsageError("--graph and --out cannot be used together", hint=hint)
        if not 1 <= self.precision <= 100:
            raise UsageError("--precision must be from 1 to 100")

    def check_with(self, request: object) -> None:
        """Raise a UsageError if this form cannot show what `request` computes."""
        forms = files_of(request)
        if self.out is not None and self.out_suffix not in forms:
            message = f"--out: {self.out!r} does not end in one of {', '.join(forms)}"
            if basename(self.out) in forms:
                message = f"--out: {self.out!r} is a suffix without a name before it"
            hint = "the suffix chooses the format: result.json"
            if self.out == "-":
                hint = "--json, --csv and --get write to standard output without --out"
            elif ".npz" in forms:
                hint += ", table.csv, arrays.npz, main.npy"
            raise UsageError(message, hint=hint)
        if self.is_picture(request) and find_spec("matplotlib") is None:
            message = "--out: pictures need matplotlib, which is not installed"
            raise UsageError(message, hint="pip install matplotlib")
        for name in PICTURE_OPTIONS:
            if name in self.order and not self.is_picture(request):
                hint = f"--out picture.png; or leave out --{name}"
                raise UsageError(f"--{name} requires --out with a picture", hint=hint)
        self._check_table(request)
        name = _first_set(self, *_NO_EVIDENCE)
        form = f"--{name}" if name else ""
        exact = form or self.json or self.get is not None
        whole = self.out_suffix in ("", ".json", ".npz") or self.tables_in_file(request)
        if not (exact or whole):
            form = f"a {self.out_suffix} file"
        evidence = _first_set(request, *_EVIDENCE)
        if form and evidence:
            hint = f"use the table or --json with --{evidence}"
            raise UsageError(f"--{evidence} cannot be used with {form}", hint=hint)

    def _check_table(self, request: object) -> None:
        """Raise a UsageError if an option of tables is given, but standard output gets no table."""
        if self.markup or self.tables_in_file(request):
            return
        form = _first_set(self, *_TABLELESS)
        more = getattr(request, "full", False) and getattr(request, "explain", False)
        for name in ("precision", "full"):
            if form and name in self.order and not (name == "full" and more):
                message = f"--{name} applies to tables and cannot be used with --{form}, which "
                raise UsageError(message + _TABLELESS[form], hint=f"leave out --{name}")

    def is_picture(self, request: object) -> bool:
        """Whether `--out` writes the picture that a request of this kind has."""
        return self.out_suffix in PICTURE_FORMS and getattr(request, "pictures", False)

    def tables_in_file(self, request: object) -> bool:
        """Whether `--out` writes the tables, and not a picture, one table or the numbers."""
        return self.out_suffix in TABLE_FILES and not self.is_picture(request)

    @property
    def markup(self) -> str:
        """The field of the form for another page that is set; empty if none is."""
        return _first_set(self, *MARKUPS.values())

    @property
    def out_suffix(self) -> str:
        """The lower-case suffix of `--out`, which chooses what is written."""
        path = self.out or ""
        dot = path.rfind(".")
        return path[dot:].lower() if dot > path.rfind("/") + 1 else ""
