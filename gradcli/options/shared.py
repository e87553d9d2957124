"""The options that commands share, each declared once, as base classes of the requests that have
them.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
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

DTYPES = ("float32", "float64", "float16", "bfloat16")
GRAPHS = ("tree", "dot", "mermaid")
FILE_FORMS = (".json", ".csv", ".npz", ".npy")
DEVICE = ValueKind("DEVICE", lambda source: source.text, hints=("cpu", "cuda", "mps", "xpu"))
PICTURE_FORMS = (".png", ".svg")
"""What matplotlib draws, of the commands that have a picture."""
PATH = ValueKind("PATH", lambda source: source.text)
OUT = ValueKind("FILE", lambda source: source.text, paths=Paths("", FILE_FORMS))
PICTURE_OUT = replace(OUT, paths=Paths("", (*PICTURE_FORMS, *FILE_FORMS)))
_TABLELESS = {
    "json": "writes all numbers exactly",
    "csv": "writes all numbers exactly",
    "get": "prints a value exactly",
    "code": "prints a program",
    "graph": "draws operations",
    "out": "writes one line to standard output",
}
"""The fields of `OutputOptions` that put something else in the place of the tables."""
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:[0-9]{1,3})?", re.ASCII)


class Request:
    """What every request that PyTorch answers says of itself."""

    timed: ClassVar[str] = ""
    """What `timeout` bounds where that is less than the whole computation."""
    pictures: ClassVar[bool] = False
    """Whether the result can be drawn into a file."""

    @property
    def typed(self) -> Source | None:
        """The expression as it was typed, for the place of an error; None where there is none among
        the words.
        """
        return None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that its expressions may use for their inputs."""
        return ()

    def sources(self, read_stdin: Callable[[], str]) -> list[Source]:
        """Its expressions."""
        return []


@dataclass(frozen=True, kw_only=True)
class Question(Request):
    """A question about PyTorch itself; it has no options of computing, and is bounded as if it had
    their defaults.
    """

    timeout: ClassVar[float] = 60.0
    device: ClassVar[str] = "cpu"
    files: ClassVar[tuple[str, ...]] = (".json",)
    """The suffixes that `--out` has for it."""


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
            raise UsageError(
                f"--device: {self.device!r} is not a device", hint="cpu, cuda, cuda:0, mps or xpu"
            )
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError("--seed: the seed must fit in 64 bits")
        if not 0 <= self.timeout < 1e9:
            raise UsageError("--timeout must be 0 or more seconds", hint="0 means no limit")

    @classmethod
    def named(cls, given: Collection[str]) -> tuple[str, ...]:
        """The options that may also be given as words NAME=T, beside the options in `given`: the
        inputs.
        """
        return tuple(
            name for name, it in options(cls).items() if it.kind is TENSOR and not it.positional
        )

    @property
    def literals(self) -> dict[str, Literal | None]:
        """Each input that is an option, in the order of `as_given`; None if it was not given."""
        return {name: getattr(self, name) for name in self.as_given(self.named(()))}

    def as_given(self, names: Sequence[str]) -> tuple[str, ...]:
        """Inputs that are options in the order given, those not given last: each may draw random
        numbers.
        """
        return (
            *(name for name in self.order if name in names),
            *(name for name in names if name not in self.order),
        )


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions(ComputeOptions):
    """How the numbers are held against others: closed forms, differences, and what the user
    expects.
    """

    check: bool = option(
        FLAG, "compare with the closed form and a central difference, in float64", False
    )
    expect: tuple[Expectation, ...] = repeated(
        EXPECT, "the expected value of a gradient by name, or of any value by path; may be repeated"
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
        """Whether any evidence is asked for."""
        return self.check or bool(self.expect)


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(EvidenceOptions):
    """Evidence, and the numeric chain-rule ledger."""

    explain: bool = option(FLAG, "the chain rule, operation by operation, in numbers", False)

    @property
    def wanted(self) -> bool:
        """Whether any evidence is asked for."""
        return self.explain or super().wanted


@dataclass(frozen=True, kw_only=True)
class WrtOptions:
    """What is differentiated by."""

    wrt: tuple[str, ...] = option(
        NAMES,
        "inputs to differentiate with respect to, such as w,b",
        (),
        shown="every floating-point input",
    )


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a result is shown: exactly one form, and how much of it. Not part of a request, so no
    batch job has it.
    """

    json: bool = option(FLAG, "one JSON object on one line", False)
    csv: bool = option(FLAG, "comma-separated values with a header line", False)
    get: str | None = option(PATH, "one value by its path", None)
    code: bool = option(FLAG, "the PyTorch program that prints these numbers", False)
    graph: str | None = option(TEXT, "the autograd graph", None, choices=GRAPHS)
    out: str | None = option(OUT, "write to FILE instead: .json, .csv, .npz or .npy", None)
    precision: int = option(WHOLE, "significant digits in tables", 6)
    full: bool = option(FLAG, "show large tensors in full", False)
    quiet: bool = option(FLAG, "no notes, progress or hint", False)
    order: tuple[str, ...] = ()
    """The options that were given, in their order."""

    def __post_init__(self) -> None:
        forms = [
            f"--{name}"
            for name in ("json", "csv", "get", "code", "graph")
            if getattr(self, name) not in (False, None)
        ]
        if len(forms) > 1:
            raise UsageError(
                f"{' and '.join(forms)} cannot be used together", hint="choose one of them"
            )
        if self.code and self.out is not None:
            raise UsageError(
                "--code and --out cannot be used together",
                hint="redirect the program: --code > program.py",
            )
        if self.graph is not None:
            check_choice("graph", self.graph, GRAPHS)
            if self.out is not None:
                raise UsageError(
                    "--graph and --out cannot be used together",
                    hint="redirect it: --graph dot > graph.dot",
                )
        if not 1 <= self.precision <= 100:
            raise UsageError("--precision must be from 1 to 100")

    def check_with(self, request: object) -> None:
        """Raise a UsageError where `request` asks for evidence that this form has no place for, or
        has no such file.
        """
        pictures = PICTURE_FORMS if getattr(request, "pictures", False) else ()
        forms = getattr(request, "files", (*pictures, *FILE_FORMS))
        if self.out is not None and self.out_suffix not in forms:
            raise UsageError(
                f"--out: {self.out!r} does not end in one of {', '.join(forms)}",
                hint="--json, --csv and --get write to standard output without --out"
                if self.out == "-"
                else "the suffix chooses the format: result.json"
                + (", table.csv, arrays.npz, main.npy" if ".npz" in forms else ""),
            )
        if self.out_suffix in PICTURE_FORMS and find_spec("matplotlib") is None:
            raise UsageError(
                "--out: pictures need matplotlib, which is not installed",
                hint="pip install 'gradcli[plot]'",
            )
        self._check_table(request)
        form = next((f"--{name}" for name in ("csv", "code", "graph") if getattr(self, name)), "")
        if not (form or self.json or self.get is not None) and self.out_suffix not in (
            "",
            ".json",
            ".npz",
        ):
            form = f"a {self.out_suffix} file"
        asked = next(
            (
                f"--{name}"
                for name in ("explain", "check", "expect")
                if getattr(request, name, False)
            ),
            "",
        )
        if form and asked:
            raise UsageError(
                f"{asked} cannot be used with {form}", hint=f"use the table or --json with {asked}"
            )

    def _check_table(self, request: object) -> None:
        """Raise a UsageError where an option of tables is given, and there is none on standard
        output.
        """
        form, why = next(
            ((f"--{name}", why) for name, why in _TABLELESS.items() if getattr(self, name)),
            ("", ""),
        )
        for name in ("precision", "full"):
            if form and name in self.order:
                raise UsageError(
                    f"--{name} applies to tables and cannot be used with {form}, which {why}",
                    hint=f"leave out --{name}",
                )
        if (
            "full" in self.order
            and getattr(request, "pictures", False)
            and not getattr(request, "wanted", True)
        ):
            raise UsageError("--full requires --check or --expect", hint="leave out --full")

    @property
    def out_suffix(self) -> str:
        """The lower-case suffix of `--out`, which chooses what is written."""
        path = self.out or ""
        dot = path.rfind(".")
        return path[dot:].lower() if dot > path.rfind("/") + 1 else ""
