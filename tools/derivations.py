"""Gradients that textbooks print, derived by `gradcli derive` and compared with the textbook's.

    python -m tools.derivations [--book] [--wild] [--all] [WORD ...]

The corpus is tests/cases/derivations.txt. Every text that is shown, and every line of a backward
pass, is evaluated here by Python and plain PyTorch in float64, at new random points and at other
sizes, and must equal autograd's gradient. Then it prints how many were derived and verified, how
many are at most a quarter longer than the textbook's text (blanks not counted), the longest by that
measure, and every failure with its reason. WORDs choose blocks whose name or expression contains
one of them. `--all` prints every text, `--book` checks the textbooks' texts instead, and `--wild`
takes tests/cases/formulas_wild.txt, which has none. It ends with 1 if a text is wrong.
"""

import argparse
import ast
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradcli import batch
from gradcli.evaluate.job import default_dtype
from gradcli.evaluate.tensors import TensorMaker
from gradcli.language.literals import literal
from gradcli.language.source import Source

CASES = Path(__file__).parents[1] / "tests" / "cases"
LONGER = 1.25
"""How much longer than the textbook's a text may be."""
POINTS, TRIES, TOLERANCE = 3, 12, 1e-8
LOSSES = {
    "mse": "mse_loss", "bce": "binary_cross_entropy", "nll": "nll_loss", "huber": "huber_loss", "smooth_l1": "smooth_l1_loss",
    "bce_with_logits": "binary_cross_entropy_with_logits",
}  # fmt: skip
"""Names of gradcli's catalogue that PyTorch spells out."""
NAMESPACES = {
    "F": functional, "torch": torch, "linalg": torch.linalg, "special": torch.special, "nn": torch.nn,
}  # fmt: skip
Inputs = dict[str, Tensor]
Texts = Mapping[str, str]


@dataclass(frozen=True)
class Block:
    """An expression with its inputs as literals, and what its source prints: the gradients by
    inputs, or the lines of a backward pass, in order.
    """

    name: str
    source: str
    expression: str
    inputs: Texts
    gradients: Texts
    backward: Texts

    @property
    def job(self) -> dict[str, Any]:
        """What asks `gradcli batch` for it."""
        made = {"command": "derive", "expression": self.expression, "inputs": dict(self.inputs)}
        if self.backward:
            return made | {"steps": True}
        return made | ({"wrt": [*self.gradients]} if self.gradients else {})


@dataclass(frozen=True)
class Row:
    """What became of a block: its texts, those of the book under the same names, and why some are
    missing or wrong. `verified` says that `derive` has verified all that it shows.
    """

    block: Block
    texts: Texts
    book: Texts
    verified: bool
    missing: Texts = field(default_factory=dict)
    wrong: Texts = field(default_factory=dict)
    notes: frozenset[str] = frozenset()

    @property
    def ratio(self) -> float:
        """The length of the texts over that of the book's, without blanks."""
        mine, book = (
            sum(length(texts[name]) for name in self.book) for texts in (self.texts, self.book)
        )
        return mine / book


def length(text: str) -> int:
    """The characters of a text that are no blanks."""
    return len(re.sub(r"\s", "", text))


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a corpus. One of two lines has neither name nor gradients."""
    for chunk in re.split(r"\n\s*\n", text):
        lines = [line for line in chunk.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        name, source = lines.pop(0).split(" | ") if len(lines) > 2 else (lines[0], "")
        expression, inputs, *printed = lines
        given = dict(word.split("=", 1) for word in re.findall(r"\w+=(?:\(.*?\)|\S)+", inputs))
        yield Block(
            name, source, expression, given,
            dict(line.split(": ", 1) for line in printed if re.match(r"\w+: ", line)),
            dict(line.split(" = ", 1) for line in printed if re.match(r"d\w+ = ", line)),
        )  # fmt: skip


class Names(dict[str, Any]):
    """The variables of a text. A name that is not bound is PyTorch's."""

    def __missing__(self, name: str) -> Any:
        if name in NAMESPACES:
            return NAMESPACES[name]
        for module in (functional, torch, torch.special, torch.linalg):
            if (found := getattr(module, LOSSES.get(name, name), None)) is not None:
                return on_tensors(found) if callable(found) else found
        raise KeyError(name)


def on_tensors(function: Any) -> Any:
    """The same function, which makes tensors of plain numbers if it needs them: `sqrt(2)`."""

    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except TypeError:
            if not all(type(each) in (int, float) for each in arguments):
                raise
            return function(*(torch.tensor(float(each)) for each in arguments), **named)

    return call


def run(text: str, names: Names) -> Any:
    """The value of the last statement of a text, run by Python itself; its names stay bound."""
    tree = ast.parse(text)
    tree.body = [rebound(statement) for statement in tree.body]
    last = tree.body[-1]
    assert isinstance(last, ast.Expr | ast.Assign)
    bound = last.targets if isinstance(last, ast.Assign) else []
    tree.body[-1] = ast.Assign([*bound, ast.Name("last value", ast.Store())], last.value)
    builtins = {"len": len, "int": int, "range": range}
    exec(compile(ast.fix_missing_locations(tree), text, "exec"), {"__builtins__": builtins}, names)
    return names.pop("last value")


def rebound(statement: ast.stmt) -> ast.stmt:
    """`x += y` as `x = x + y`: a tensor is not changed in place."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        old = ast.Name(statement.target.id, ast.Load())
        return ast.Assign(
            [statement.target], ast.BinOp(old, statement.op, statement.value), lineno=1
        )
    return statement


def drawn(given: Texts, seed: int, *, grown: int = 0) -> Inputs:
    """Inputs like the given ones, each size but 1 larger by `grown`.

    Normal numbers are drawn again, other numbers move by at most a third; whole numbers, truth
    values and masks, which hold both 0 and 1, stay.
    """
    torch.manual_seed(seed)
    make = TensorMaker(torch.float64, "cpu", lambda: "")
    inputs = {}
    for name, text in given.items():
        value = make(literal.parse(Source(text)))
        for dim, size in enumerate(value.shape):
            if size > 1:
                value = value.index_select(dim, torch.arange(size + grown) % size)
        if text.startswith("randn"):
            value = torch.randn_like(value)
        elif value.is_floating_point() and not {0.0, 1.0} <= set(value.flatten().tolist()):
            value = value * (1 + (2 * torch.rand_like(value) - 1) / 3)
        inputs[name] = value
    return inputs


@dataclass(frozen=True)
class Point:
    """Numbers for the inputs, and what autograd gives there: the gradients of inputs and of named
    steps, with `upstream` for a result of more than one number.
    """

    inputs: Inputs
    upstream: Tensor | None
    gradients: Inputs
    steps: Inputs


def point(expression: str, inputs: Inputs, upstream: Tensor | None = None) -> Point | None:
    """Autograd's gradients, or None where the result or one of them is not finite."""
    leaves = {
        name: value.detach().requires_grad_() if value.is_floating_point() else value
        for name, value in inputs.items()
    }
    names = Names(leaves)
    result = run(expression, names)
    if result.ndim and upstream is None:
        upstream = torch.randn_like(result).detach()
    loss = result.sum() if upstream is None else (result * upstream).sum()
    by = {
        name: value
        for name, value in {**names, **leaves}.items()
        if isinstance(value, Tensor) and value.requires_grad
    }
    unused = [torch.zeros_like(value) for value in by.values()]
    found: Sequence[Tensor | None] = unused
    if loss.requires_grad:
        found = torch.autograd.grad(loss, [*by.values()], allow_unused=True)
    gradients = {
        name: zero if gradient is None else gradient
        for name, gradient, zero in zip(by, found, unused, strict=True)
    }
    if not all(bool(value.isfinite().all()) for value in (result, *gradients.values())):
        return None
    steps = {name: names[name].detach() for name in by if name not in inputs}
    return Point(inputs, upstream, gradients, steps)


def well_conditioned(at: Point, expression: str) -> bool:
    """Whether the gradients hardly move if the inputs do."""
    inputs = {
        name: value * (1 - 1e-13) if value.is_floating_point() else value
        for name, value in at.inputs.items()
    }
    moved = point(expression, inputs, at.upstream)
    return moved is not None and all(
        close(moved.gradients[name], gradient) for name, gradient in at.gradients.items()
    )


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors of one shape are equal but for rounding."""
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    return bool(((found - expected).abs() <= TOLERANCE * scale).all())


def points(block: Block, *, other_sizes: bool) -> Iterator[Point]:
    """New points at the given sizes, and at two others if the expression runs there."""
    for grown, wanted in ((0, POINTS), *(((2, 1), (3, 1)) if other_sizes else ())):
        found = 0
        for seed in range(TRIES):
            try:
                at = point(block.expression, drawn(block.inputs, 100 * grown + seed, grown=grown))
            except (RuntimeError, ValueError, IndexError):
                if not grown:
                    raise
                break
            if at and well_conditioned(at, block.expression):
                yield at
                found += 1
            if found == wanted:
                break
        if not (found or grown):
            raise ValueError(f"no point where {block.expression} has finite gradients")


def differing(text: str, names: Names, expected: Tensor) -> str:
    """How the value of a text differs from autograd's gradient; empty if it does not."""
    try:
        value = run(text, names)
    except Exception as error:  # whatever it is, the text cannot be used
        return f"{type(error).__name__}: {error}"
    value = torch.as_tensor(value).to(expected.dtype)
    if value.shape != expected.shape:
        return f"shape {list(value.shape)}, not {list(expected.shape)}"
    return "" if close(value, expected) else f"{value.tolist()}, not {expected.tolist()}"


def wrong(
    block: Block,
    texts: Texts,
    backward: Texts,
    upstream: str = "g",
    *,
    other_sizes: bool = True,
    there: Sequence[Point] = (),
) -> dict[str, str]:
    """The texts that are not autograd's gradients, each with how it differs.

    `texts` are gradients by inputs. The lines of `backward` may use the steps and those above.
    `there` are points that the block is known to have.
    """
    found: dict[str, str] = {}
    for at in there or points(block, other_sizes=other_sizes):
        given = Names(at.inputs)
        if at.upstream is not None:
            given[upstream] = at.upstream
        for name, text in texts.items():
            found[name] = found.get(name) or differing(text, Names(given), at.gradients[name])
        lines = Names({**given, **at.steps})
        for name, text in backward.items():
            of = name.removeprefix("d")
            found[name] = found.get(name) or differing(text, Names(lines), at.gradients[of])
            lines[name] = at.gradients[of]
    return {name: how for name, how in found.items() if how}


def row(block: Block, result: Mapping[str, Any]) -> Row:
    """What became of a block, by the answer of a batch."""
    if "error" in result:
        names = block.gradients or block.backward or ("every input",)
        return Row(block, {}, {}, True, dict.fromkeys(names, result["error"]["message"]))
    texts = {name: text for name, text in result["formulas"].items() if text is not None}
    backward = {line["name"]: line["text"] for line in result.get("steps") or ()}
    codes = frozenset(note["code"] for note in result.get("notes", ()))
    faults = wrong(
        block, texts, backward, result["upstream"] or "", other_sizes="these-sizes" not in codes
    )
    shown = {**texts, **backward}
    book = block.gradients or block.backward
    missing = {**result["reasons"]}
    if block.backward and not backward:
        missing["steps"] = "no line of the backward pass"
    return Row(
        block, shown, {name: text for name, text in book.items() if name in shown},
        set(result["verified"]) >= set(texts), missing, faults, codes,
    )  # fmt: skip


def book_row(block: Block) -> Row:
    """The textbook's own texts, checked as those of `derive` are."""
    book = {**block.gradients, **block.backward}
    return Row(block, book, book, True, wrong=wrong(block, block.gradients, block.backward))


def derived(corpus: Sequence[Block]) -> list[Row]:
    """Every block through `derive`, in one batch; says how long a gradient took."""
    start = time.perf_counter()
    results = [*batch.run(block.job for block in corpus)]
    seconds = time.perf_counter() - start
    count = sum(len(result.get("formulas", ())) for result in results)
    print(f"{1000 * seconds / max(1, count):.1f} ms for each of {count} gradients\n")
    return [row(block, result) for block, result in zip(corpus, results, strict=True)]


def read(name: str) -> list[Block]:
    """The blocks of a file of tests/cases."""
    return [*blocks((CASES / name).read_text(encoding="utf-8"))]


def report(rows: Sequence[Row], *, whole: bool) -> None:
    """Print the shares, the worst ratios, and the failures; with `whole` every text too."""
    compared = [each for each in rows if each.book and not each.missing]
    if whole:
        for each in rows:
            print(f"{each.block.name}\n    {each.block.expression}")
            for name, text in each.texts.items():
                print(f"    {name}: {text}")
        print()
    counts = {
        "derived": sum(not each.missing for each in rows),
        "verified": sum(not each.missing and each.verified for each in rows),
        "wrong": sum(bool(each.wrong) for each in rows),
    }
    if compared:
        counts["at most a quarter longer"] = sum(each.ratio <= LONGER for each in compared)
        counts["no longer than the book"] = sum(each.ratio <= 1 for each in compared)
    for what, count in counts.items():
        print(f"{what:<25} {count:>4} of {len(rows)}  {count / len(rows):6.1%}")
    print("\nThe longest beside the book's" if compared else "")
    for each in sorted(compared, key=lambda one: -one.ratio)[:10]:
        print(f"{each.ratio:5.2f}  {each.block.name}: {each.block.expression}")
        for name, text in each.book.items():
            print(f"       {name} book   {text}\n       {name} derive {each.texts[name]}")
    for title, faults in (
        ("Not derived", [(each, each.missing) for each in rows if each.missing]),
        ("Wrong", [(each, each.wrong) for each in rows if each.wrong]),
    ):
        print(f"\n{title}: {len(faults)}")
        for each, reasons in faults:
            print(f"  {each.block.expression}")
            for name, reason in reasons.items():
                print(f"      {name}: {each.texts.get(name, reason)}")
                if name in each.texts:
                    print(f"      {reason}")


def main() -> int:
    parser = argparse.ArgumentParser(description="textbook gradients through gradcli derive")
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--book", action="store_true", help="check the textbooks' texts")
    parser.add_argument("--wild", action="store_true", help="expressions without a textbook")
    parser.add_argument("--all", action="store_true", help="print every text")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = [
        block
        for block in read("formulas_wild.txt" if arguments.wild else "derivations.txt")
        if not arguments.words
        or any(word in block.name or word in block.expression for word in arguments.words)
    ]
    with default_dtype(torch.float64):
        rows = [*map(book_row, corpus)] if arguments.book else derived(corpus)
    report(rows, whole=arguments.all)
    return 1 if any(each.wrong for each in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
