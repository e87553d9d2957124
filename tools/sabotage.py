"""Verification by sabotage: each rule of `derive` broken in turn, and what is still shown.

    python -m tools.sabotage [--seconds 180] [--texts 3] [--faults 400] [--seed 0] [WORD ...]

A rule is a function of the algebra, or a text of a table that it reads: the derivatives and formulas
of the catalogue, definitions. It is broken in one place: a sign flipped, a factor or a term lost, a
sum or a transposition left out, a number one off, branches swapped, a condition reversed. Then
gradients of both corpora that run this very line or read this text are derived again, and every text
that is still shown is evaluated by plain PyTorch, as `tools.derivations` does. None may be wrong:
that is what the verification of `derive` is for.

`--seconds` is about how long this may take: every rule is broken once before one is broken twice.
`--texts` is how many expressions are tried for each break, and `--faults` how many of the small
faults of `tools.mutation` there are besides. WORDs choose rules. The last lists are rules that no
expression of the corpora runs, and those that could be broken without losing a text. It ends with 1 if
a text is wrong.
"""

import argparse
import ast
import copy
import random
import signal
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, FrameType, ModuleType
from typing import Any, TypeVar

import torch

from gradcli import algebra
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.functions import Activation, Loss
from gradcli.commands.derive.request import Derive
from gradcli.commands.dispatch import compute
from gradcli.errors import GradcliError
from gradcli.options.check import check
from gradcli.options.fill import from_json
from tools.derivations import Block, Point, points, read, wrong
from tools.mutants import live_functions, mutants, mutated

T = TypeVar("T", bound=ast.AST)
PATIENCE = 5
"""Seconds of a derivation, at most: a broken rule may run for ever."""
_OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@cache
def modules() -> list[ModuleType]:
    """The modules of the algebra."""
    found = walk_packages(algebra.__path__, f"{algebra.__name__}.")
    return [import_module(each.name) for each in found]


def tables() -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables that `derive` reads, by name: those of the algebra, which has the catalogue among
    its own, and the derivatives of the ledger.
    """
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for module in (*modules(), derivative_rules):
        for name, value in vars(module).items():
            ours = module is not derivative_rules or value is derivative_rules.FORMULAS
            if ours and isinstance(value, dict) and not name.startswith("__"):
                found.setdefault(id(value), (name, value))
    yield from found.values()


# --- breaks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Break:
    """One way to break a rule. `use` is what an expression must have run to be hit: (file, line), or
    a text; `broken` breaks it for a while.
    """

    rule: str
    how: str
    use: tuple[str, int] | str
    broken: Callable[[], Any] = field(compare=False)


def _variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a node of a rule may be broken into, and what that is called."""

    def other(**changes: Any) -> ast.AST:
        changed = copy.copy(node)
        for name, value in changes.items():
            setattr(changed, name, value)
        return changed

    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op):
            signs = isinstance(op, ast.Add | ast.Sub)
            yield "sign flipped" if signs else "* for /", other(op=_OPPOSITE[type(op)]())
        case ast.BinOp(op=ast.MatMult(), left=left, right=right):
            yield "factors swapped", other(left=right, right=left)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "sign lost", operand
        case ast.Compare(ops=[op]) if type(op) in _OPPOSITE:
            yield "condition reversed", other(ops=[_OPPOSITE[type(op)]()])
        case ast.IfExp(body=body, orelse=orelse):
            yield "branches swapped", other(body=orelse, orelse=body)
        case ast.Attribute(value=value, attr="T" | "mT"):
            yield "transposition lost", value
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield "number one off", other(value=value + 1)
        case ast.Return(value=ast.Call(func=ast.Name(id="call" | "mul" | "sigma" | "fn")) as value):
            twice = ast.Call(ast.Name("scale", ast.Load()), [ast.Constant(2), value], [])
            yield "factor 2", other(value=twice)
        case ast.Call(func=ast.Name(id=name), args=args) if args:
            last = args[-1]
            if name == "neg" or (name == "scale" and isinstance(args[0], ast.UnaryOp)):
                yield "sign lost", last
            elif name in ("sub", "divide"):
                yield f"{name} turned", other(args=args[::-1])
            elif name in ("mul", "add") and len(args) > 1:
                for place in range(len(args)):
                    rest = [*args[:place], *args[place + 1 :]]
                    yield "factor lost" if name == "mul" else "term lost", other(args=rest)
            elif name == "sigma":
                yield "sum lost", last
            elif name == "rename":
                yield "indices not renamed", args[0]
            elif name == "delta":
                yield "delta lost", other(args=[args[0], args[0], *args[2:]])
            elif name == "power":
                raised = ast.Call(ast.Name("mul", ast.Load()), [node, args[0]], [])
                yield "exponent one off", raised
            elif (name == "where" or _names_where(args[0])) and len(args) > 2:
                yield "branches swapped", other(args=[*args[:-2], args[-1], args[-2]])
            elif len(args) == 1 and not isinstance(last, ast.Starred):
                yield "function lost", last


def _names_where(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "where"


def _changed(tree: T, place: int, variant: int) -> T:
    """A copy of a tree with one node of it, by its place, broken in one way."""
    tree = copy.deepcopy(tree)
    old = list(ast.walk(tree))[place]
    new = ast.copy_location([*_variants(old)][variant][1], old)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                value[:] = [new if each is old else each for each in value]
    return ast.fix_missing_locations(tree)


def of_texts() -> Iterator[Break]:
    """The breaks of the tables' texts."""
    for name, table in tables():
        for key, entry in [*table.items()]:
            for text, put in _texts(entry):
                keys = [each for each, value in table.items() if value is entry]
                if key != keys[0]:  # another name of the same entry
                    continue
                for how, changed in _broken_texts(text):
                    broken = partial(_instead, table, keys, put(changed))
                    yield Break(f"{name}[{key!r}] {text}", f"{how}: {changed}", text, broken)


@contextmanager
def _instead(table: dict[str, Any], keys: Sequence[str], value: Any) -> Iterator[None]:
    """Another value under some keys of a table, for a while."""
    before = table[keys[0]]
    table.update(dict.fromkeys(keys, value))
    try:
        yield
    finally:
        table.update(dict.fromkeys(keys, before))


def _texts(entry: Any) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """The formulas in an entry of a table, each with what makes the entry with another one."""
    if isinstance(entry, str):
        yield entry, str
    elif isinstance(entry, tuple):
        for place, each in enumerate(entry):
            for text, put in _texts(each):
                yield text, partial(_in_tuple, entry, place, put)
    elif isinstance(entry, Activation | Loss):
        yield entry.formula, lambda text: replace(entry, formula=text)
        if entry.derivative is not None:
            yield entry.derivative, lambda text: replace(entry, derivative=text)


def _in_tuple(entry: tuple[Any, ...], place: int, put: Callable[[str], Any], text: str) -> Any:
    return (*entry[:place], put(text), *entry[place + 1 :])


def _broken_texts(text: str) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return
    if isinstance(tree.body, ast.Name):
        return  # another name, and no formula
    yield "factor 2", f"2*({text})"
    yield "sign flipped", f"-({text})"
    for place, node in enumerate(ast.walk(tree)):
        for variant, (how, _) in enumerate(_variants(node)):
            yield how, ast.unparse(_changed(tree, place, variant))


def of_functions(faults: int, seed: int) -> Iterator[Break]:
    """The breaks of the algebra's functions, and some small faults."""
    small = []
    for module in modules():
        path = str(module.__file__)
        source = Path(path).read_text(encoding="utf-8")
        tree = ast.parse(source)
        owner: dict[ast.AST, str] = {}
        for node in ast.walk(tree):
            inner = f"{owner.get(node, '')}.{getattr(node, 'name', '<lambda>')}"
            own = inner if isinstance(node, ast.FunctionDef | ast.Lambda) else owner.get(node, "")
            for part in ast.iter_child_nodes(node):
                owner[part] = own
        for place, node in enumerate(ast.walk(tree)):
            if not owner.get(node):
                continue
            for variant, (how, new) in enumerate(_variants(node)):
                line = node.lineno  # type: ignore[attr-defined]
                text = f"{how}: {ast.unparse(node)}  =>  {ast.unparse(new)}"
                rule = f"{module.__name__.removeprefix('gradcli.algebra.')}{owner[node]}"
                make = partial(_changed, tree, place, variant)
                yield Break(
                    rule, f"line {line}, {text}", (path, line), partial(exchanged, path, make)
                )
        small += [
            (path, source, each)
            for each in mutants(module.__name__, source)
            if not (each.at_import or each.wording)
        ]
    for path, source, each in random.Random(seed).sample(small, min(faults, len(small))):
        rule = f"{each.module.removeprefix('gradcli.algebra.')}.{each.scope}"
        how = f"line {each.statement}, {each.before}  =>  {each.after}"
        make = partial(mutated, source, each)
        yield Break(rule, how, (path, each.statement), partial(exchanged, path, make))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@cache
def _original(path: str) -> list[CodeType]:
    return [*_codes(compile(Path(path).read_text(encoding="utf-8"), path, "exec"))]


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


@contextmanager
def exchanged(path: str, make: Callable[[], ast.Module]) -> Iterator[None]:
    """Run the functions of a file as they are in a changed tree of it, wherever they are bound."""
    with warnings.catch_warnings(action="ignore"):  # Python sees that some cannot work
        new = [*_codes(compile(make(), path, "exec"))]
    old = _original(path)
    changes = {}
    if len(new) == len(old):
        changes = {
            one: two
            for one, two in zip(old, new, strict=True)
            if one != two and one.co_freevars == two.co_freevars
        }
    # Coverage runs other code in the same places; lambdas of one line cannot be told apart there.
    places = Counter(map(_place, old))
    by_place = {_place(one): two for one, two in changes.items() if places[_place(one)] == 1}

    def changed(code: CodeType) -> CodeType | None:
        found = changes.get(code) or by_place.get(_place(code))
        return found if found is not None and found.co_freevars == code.co_freevars else None

    touched = [
        (each, each.__code__) for each in live_functions() if changed(each.__code__) is not None
    ]
    for function, code in touched:
        function.__code__ = changed(code) or code
    try:
        yield
    finally:
        for function, code in touched:
            function.__code__ = code


# --- derivations --------------------------------------------------------------------------------


class Hung(BaseException):
    """A derivation took too long."""


Shown = dict[str, str]
"""Texts by the name of the gradient; those of the backward pass begin with `d`."""


@dataclass
class Text:
    """An expression of a corpus: what `derive` shows for it, what it ran, and what is known of texts."""

    block: Block
    shown: Shown = field(default_factory=dict)
    used: set[Any] = field(default_factory=set)
    judged: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a text for a gradient is wrong; empty where it is right."""
    at: dict[bool, list[Point]] = field(default_factory=dict)

    def derived(self) -> tuple[Shown, bool, str]:
        """What is shown now, whether it is said to hold for the given sizes alone, and the name of
        the upstream gradient. Nothing where the derivation fails in whatever way.
        """
        signal.signal(signal.SIGVTALRM, _ring)
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
        try:
            request = from_json(Derive, {k: v for k, v in self.block.job.items() if k != "command"})
            result = compute(check(request, str), lambda step, operands: None)
        except (GradcliError, Hung):
            return {}, False, ""
        except Exception:  # what a broken rule leads to
            return {}, False, ""
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        shown = {name: text for name, text in result.formulas.items() if text is not None}
        lines = {line["name"]: line["text"] for line in result.steps or ()}
        fixed = any(note.code == "these-sizes" for note in result.notes)
        return {**shown, **lines}, fixed, result.upstream or ""

    def faults(self) -> tuple[Shown, Shown]:
        """What is shown now, and what of it is wrong, with how it differs."""
        shown, fixed, upstream = self.derived()
        new = {name: text for name, text in shown.items() if (name, text) not in self.judged}
        if new:
            if fixed not in self.at:
                self.at[fixed] = [*points(self.block, other_sizes=not fixed)]
            texts = {name: text for name, text in new.items() if name in self.block.inputs}
            lines = {name: text for name, text in shown.items() if name not in texts}
            lines = {name: text for name, text in lines.items() if name not in self.block.inputs}
            found = wrong(self.block, texts, lines, upstream, there=self.at[fixed])
            for name, text in {**new, **lines}.items():
                self.judged[name, text] = found.get(name, "")
        return shown, {n: self.judged[n, t] for n, t in shown.items() if self.judged[n, t]}

    def begin(self) -> None:
        """Derive it with nothing broken, and keep what it runs."""
        files = {str(module.__file__) for module in modules()}

        def line(frame: FrameType, event: str, argument: object) -> Any:
            self.used.add((frame.f_code.co_filename, frame.f_lineno))
            return line

        def called(frame: FrameType, event: str, argument: object) -> Any:
            code = frame.f_code
            if code.co_filename not in files:
                return None
            if code.co_varnames[:1] == ("text",):
                self.used.add(frame.f_locals["text"])
            return line

        sys.settrace(called)
        try:
            self.derived()
        finally:
            sys.settrace(None)
        self.shown, found = self.faults()
        if found:
            raise SystemExit(f"wrong with nothing broken: {self.block.expression}: {found}")


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hung


@dataclass
class Tally:
    """What came of all breaks: counts, wrong texts, and the rules by what their breaks did."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    changed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tried: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Texts derived for each rule."""

    def add(self, broken: Break, text: Text) -> None:
        """Derive one text with a rule broken."""
        shown, found = text.faults()
        lost = sum(name not in shown for name in text.shown)
        changed = sum(shown.get(name, old) != old for name, old in text.shown.items())
        self.lost[broken.rule] += lost
        self.changed[broken.rule] += changed
        self.tried[broken.rule] += len(text.shown)
        self.counts += Counter({
            "texts derived before": len(text.shown), "texts lost": lost, "texts still shown": len(shown),
            "of these with other words": changed, "texts still shown and wrong": len(found),
        })  # fmt: skip
        for name, how in found.items():
            self.wrong.append(
                f"{text.block.expression}\n    {broken.rule}: {broken.how}\n    {name}: {shown[name]}\n    {how}"
            )


def sabotage(
    texts: Sequence[Text], breaks: Sequence[Break], most: int, seed: int, *, seconds: float
) -> Tally:
    """Break each rule in turn, and derive up to `most` of the texts that are hit."""
    tally, chance = Tally(), random.Random(seed)
    end = time.monotonic() + seconds
    hit: dict[Any, list[Text]] = defaultdict(list)
    for text in texts:
        for use in text.used:
            hit[use].append(text)
    for each in breaks:
        if time.monotonic() > end:
            break
        found = hit[each.use]
        tally.tried[each.rule] += 0
        tally.counts["breaks"] += bool(found)
        if not found:
            continue
        with each.broken():
            for text in chance.sample(found, min(most, len(found))):
                tally.add(each, text)
    return tally


def in_turns(breaks: Sequence[Break], seed: int) -> list[Break]:
    """Breaks in a random order, in which every rule has its first before one has its second."""
    turns = Counter[str]()
    order: list[tuple[int, int, Break]] = []
    for each in random.Random(seed).sample(breaks, len(breaks)):
        turns[each.rule] += 1
        order.append((turns[each.rule], len(order), each))
    return [each for _, _, each in sorted(order, key=lambda it: it[:2])]


def begun(blocks: Sequence[Block]) -> list[Text]:
    """Blocks as texts, derived with nothing broken."""
    texts = [Text(block) for block in blocks]
    for text in texts:
        text.begin()
    return texts


def report(tally: Tally) -> None:
    """Print the counts and the lists."""
    print(f"{'rules broken':<30}{sum(map(bool, tally.tried.values())):>7}")
    for what, count in tally.counts.items():
        print(f"{what:<30}{count:>7}")
    unused = [rule for rule, count in tally.tried.items() if not count]
    idle = [
        rule
        for rule, count in tally.tried.items()
        if count and not tally.lost[rule] and not tally.changed[rule]
    ]
    kept = [
        rule for rule, count in tally.tried.items() if tally.changed[rule] and not tally.lost[rule]
    ]
    for title, rules in (
        ("Rules that no expression runs", unused),
        ("Rules whose breaks changed no text", idle),
        ("Rules whose breaks changed texts and lost none", kept),
        ("Wrong", tally.wrong),
    ):
        print(f"\n{title}: {len(rules)}", *rules, sep="\n  ")


def main() -> int:
    parser = argparse.ArgumentParser(description="rules of gradcli derive broken in turn")
    parser.add_argument("words", nargs="*", metavar="WORD", help="of rules")
    parser.add_argument("--texts", type=int, default=3, help="expressions for each, at most")
    parser.add_argument("--faults", type=int, default=400, help="small faults besides")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=180, help="of breaking, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    texts = begun([*read("derivations.txt"), *read("formulas_wild.txt")])
    breaks = [
        each
        for each in (*of_texts(), *of_functions(options.faults, options.seed))
        if not options.words or any(word in each.rule for word in options.words)
    ]
    breaks = in_turns(breaks, options.seed)
    print(f"{len(breaks)} breaks, {len(texts)} expressions", flush=True)
    start = time.perf_counter()
    tally = sabotage(texts, breaks, options.texts, options.seed, seconds=options.seconds)
    report(tally)
    print(f"\n{time.perf_counter() - start:.0f} s")
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main())
