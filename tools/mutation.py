"""Mutation testing: what share of small faults in a module do the tests notice, and which do they
not?

    python -m tools.mutation gradcli.core gradcli.language.literals.literal --sample 200

Each mutant lives in a fork of a process that has PyTorch, the program and the collected tests
loaded: the code objects of the module's functions are exchanged there, so every name that is bound
to a function, in whatever module, has the faulty one. Which tests run a line is found first, in one
run with marks in shared memory, because the program itself runs in forks. A fault outside
functions, as in a table, is compiled into the module before anything is imported, in a fork of a
process that has PyTorch and nothing of gradcli.
"""

import argparse
import ast
import importlib.machinery
import os
import pickle
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import CodeType

import hypothesis
import numpy
import orjson
import pytest
import rich.table
import torch
import typer.rich_utils

from tools.marks import ROOT, Covered, Noticed, Program, collect, covered, forked, source_of
from tools.mutants import Mutant, mutants, mutated

LOADED = (hypothesis, numpy, orjson, rich.table, torch, typer.rich_utils)
"""What every fork would else load again."""

MODULES = (
    "gradcli.algebra",
    "gradcli.catalogue.derivative_rules",
    "gradcli.core",
    "gradcli.evaluate",
    "gradcli.evidence",
    "gradcli.language",
    "gradcli.process",
    "gradcli.watch",
)
"""Modules, and packages with all of theirs, that compute or judge numbers, or run what does."""
TESTS = (
    "tests/algebra",
    "tests/catalogue/test_operators.py",
    "tests/commands/test_batch.py",
    "tests/commands/test_derive.py",
    "tests/commands/test_grad.py",
    "tests/commands/test_hessian.py",
    "tests/commands/test_jacobian.py",
    "tests/docs/test_lecture.py",
    "tests/docs/test_published.py",
    "tests/evidence",
    "tests/language",
    "tests/process/test_supervision.py",
    "tests/watch",
)
"""The files and folders whose tests are quick and concern numbers or errors."""


def modules_of(name: str) -> list[str]:
    """The modules of a package, or the module of that name. Nothing is imported."""
    place = Path(ROOT, *name.split("."))
    files = sorted(each for each in place.rglob("*.py") if each.stem != "__init__")
    return [".".join(each.relative_to(ROOT).with_suffix("").parts) for each in files] or [name]


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed by a test, or alive after `tried` of the `covering` tests."""

    mutant: Mutant
    killer: str
    tried: int
    covering: int

    @property
    def verdict(self) -> str:
        return "killed" if self.killer else "survived" if self.covering else "not run"


class Run:
    """One run over mutants: which tests to try on each, and what came out."""

    def __init__(
        self, modules: Sequence[str], known: Covered, tests: set[str], patience: float, seed: int
    ) -> None:
        self.tests = tests
        self.known = known
        self.patience = patience
        self.random = random.Random(seed)
        self.killers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.of_module: dict[str, list[str]] = {
            module: sorted(
                {
                    test
                    for (name, _), tests in known.lines.items()
                    if name == module
                    for test in tests
                }
            )
            for module in modules
        }

    def choice(self, mutant: Mutant) -> tuple[list[str], int]:
        """The tests to try, as many as `patience` seconds hold, and how many there are in all.

        First come those that have killed others of the same function, then one of each test
        function in turn, slow ones later.
        """
        where = (mutant.module, mutant.statement)
        running = [test for test in self.known.lines.get(where, ()) if test in self.tests]
        # What runs at import, a table or a function that only fills one, is anybody's who runs
        # something of the module.
        covering = running or [test for test in self.of_module[mutant.module] if test in self.tests]
        covering = covering or sorted(
            self.tests & self.known.seconds.keys()
        )  # a module that is nothing but tables
        self.random.shuffle(covering)
        likely = self.killers[mutant.module, mutant.scope]
        turns = Counter[str]()
        order = {}
        for test in covering:
            function = test.partition("[")[0]
            turns[function] += 1
            order[test] = (-likely[test], turns[function] + 20 * self.known.seconds[test])
        covering.sort(key=order.__getitem__)
        chosen: list[str] = []
        left = self.patience
        for test in covering:
            left -= self.known.seconds[test]
            if chosen and left < 0:
                break
            chosen.append(test)
        return chosen, len(covering if mutant.at_import else running)

    def outcome(
        self, mutant: Mutant, tests: list[str], covering: int, kill: Callable[[], object]
    ) -> Outcome:
        """Let `kill` try, in a fork; it returns the test that failed."""
        limit = 20 + 5 * sum(self.known.seconds[test] for test in tests)
        killer, ended = forked(kill, limit) if tests else ("", True)
        name = str(killer) if ended else "(crash or time)"
        if killer:
            self.killers[mutant.module, mutant.scope][name] += 1
        return Outcome(mutant, name, len(tests), covering)


def first_failing(noticed: Noticed, items: dict[str, pytest.Item], tests: Sequence[str]) -> str:
    """The first of the tests that fails; empty where all pass."""
    return next((test for test in tests if not noticed.passes(items[test])), "")


def in_functions(
    modules: Sequence[str],
    chosen: Sequence[Mutant],
    options: argparse.Namespace,
    done: Callable[[Outcome], None],
) -> tuple[Run, list[Mutant]]:
    """Try what is inside functions; what cannot be exchanged comes back with the rest."""
    run: list[Run] = []
    rest: list[Mutant] = [mutant for mutant in chosen if mutant.at_import]

    def work(noticed: Noticed, items: list[pytest.Item]) -> None:
        marked = sorted(
            {*chain.from_iterable(map(modules_of, MODULES)), *modules}
        )  # whatever this run is about, so that what is kept holds for others
        program = Program(marked)
        by_name = {item.nodeid: item for item in items}
        known = Covered()
        if options.map and os.path.exists(options.map):
            with open(options.map, "rb") as file:
                known = pickle.load(file)
        new = [item for item in items if item.nodeid not in known.seconds]
        more, ended = forked(lambda: covered(program, marked, noticed, new), 3000)
        if not ended:
            raise SystemExit("the tests did not come to their end")
        assert isinstance(more, Covered)
        known.add(more)
        if options.map:
            with open(options.map, "wb") as kept:
                pickle.dump(known, kept)
        for test in known.failing:
            print(f"fails without any mutant, and is left out: {test}", flush=True)
        run.append(Run(modules, known, set(by_name), options.patience, options.seed))
        for mutant in chosen:
            if mutant.at_import:
                continue
            tests, covering = run[0].choice(mutant)
            if not covering:
                rest.append(mutant)
                continue
            tree = mutated(source_of(mutant.module), mutant)

            def kill(
                mutant: Mutant = mutant, tests: list[str] = tests, tree: ast.Module = tree
            ) -> str | int:
                changed = program.exchange(mutant.module, tree)
                return changed if changed < 1 else first_failing(noticed, by_name, tests)

            outcome = run[0].outcome(mutant, tests, covering, kill)
            if outcome.killer in ("0", "-1"):
                rest.extend([mutant] if outcome.killer == "-1" else [])
                continue
            done(outcome)

    collect(work, options.tests)
    return run[0], rest


class _Faulty(importlib.machinery.SourceFileLoader):
    """Loads every module as it is, but for one."""

    module = ""
    tree: ast.Module

    def get_code(self, fullname: str) -> CodeType | None:
        if fullname == self.module:
            return compile(self.tree, self.path, "exec")
        return super().get_code(fullname)


def at_import(mutant: Mutant, tests: Sequence[str]) -> str:
    """The first test that fails where the module is imported with its fault."""
    _Faulty.module, _Faulty.tree = mutant.module, mutated(source_of(mutant.module), mutant)
    finder = importlib.machinery.FileFinder.path_hook((_Faulty, [".py"]))
    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.clear()
    found: list[str] = []

    def work(noticed: Noticed, items: list[pytest.Item]) -> None:
        by_name = {item.nodeid: item for item in items}
        missing = [test for test in tests if test not in by_name]
        found.append(missing[0] if missing else first_failing(noticed, by_name, tests))

    try:
        collect(work, sorted({test.partition("::")[0] for test in tests}))
    except (Exception, SystemExit) as error:
        return f"(import) {error}"
    return found[0]


def main() -> None:
    """Print the outcome of each mutant that survived, and a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutation", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE")
    parser.add_argument(
        "--tests",
        nargs="+",
        default=TESTS,
        metavar="FILE",
        help="test files (default: the quick ones)",
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=9999,
        metavar="N",
        help="at most N of a module's functions, at random",
    )
    parser.add_argument(
        "--tables",
        type=int,
        default=9999,
        metavar="N",
        help="at most N of a module's tables, at random",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of that choice, and of the order of tests"
    )
    parser.add_argument(
        "--patience", type=float, default=6, metavar="S", help="seconds of tests for each mutant"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="FILE",
        help="only what survived in the run that printed this file",
    )
    parser.add_argument(
        "--map",
        default="",
        metavar="FILE",
        help="keeps which tests run which line; only new ones run again",
    )
    parser.add_argument(
        "--wording", action="store_true", help="also what only changes the text of a message"
    )
    options = parser.parse_args()
    options.modules = [*chain.from_iterable(map(modules_of, options.modules))]
    chosen: list[Mutant] = []
    worded = 0
    survivors: set[str] = set()
    if options.only:
        with open(options.only, encoding="utf-8") as file:
            survivors = {line.partition("  ")[2].rstrip("\n") for line in file}
    for module in options.modules:
        found = mutants(module, source_of(module))
        worded += sum(mutant.wording for mutant in found)
        found = [mutant for mutant in found if options.wording or not mutant.wording]
        found = [mutant for mutant in found if not options.only or str(mutant) in survivors]
        for outside, most in ((False, options.sample), (True, options.tables)):
            kind = [mutant for mutant in found if mutant.at_import is outside]
            chosen += sorted(
                random.Random(options.seed).sample(kind, min(most, len(kind))), key=kind.index
            )
    print(f"{len(chosen)} mutants; {worded} of wording left aside", flush=True)
    tally: dict[str, Counter[str]] = defaultdict(Counter)

    def done(outcome: Outcome) -> None:
        tally[outcome.mutant.module][outcome.verdict] += 1
        if not outcome.killer:
            print(
                f"{outcome.verdict} {outcome.tried}/{outcome.covering}  {outcome.mutant}",
                flush=True,
            )

    # The forks for faults at import must have nothing of gradcli: so all else happens in a fork,
    # too.
    with tempfile.TemporaryFile() as answer:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                answer.write(
                    pickle.dumps(
                        (*in_functions(options.modules, chosen, options, done), dict(tally))
                    )
                )
                answer.flush()
                status = 0
            finally:
                sys.stdout.flush()
                os._exit(status)
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("no run")
        answer.seek(0)
        run, rest, counted = pickle.load(answer)
    tally.update(counted)
    for mutant in rest:
        tests, covering = run.choice(mutant)
        done(
            run.outcome(
                mutant, tests, covering, lambda mutant=mutant, tests=tests: at_import(mutant, tests)
            )
        )
    print(f"\n{'module':34}{'mutants':>9}{'killed':>9}{'survived':>10}{'not run':>9}{'score':>8}")
    for module in options.modules:
        count = tally[module]
        total = sum(count.values())
        score = f"{100 * count['killed'] / total:.1f}%" if total else "-"
        print(
            f"{module:34}{total:9}{count['killed']:9}{count['survived']:10}{count['not run']:9}{score:>8}"
        )


if __name__ == "__main__":
    main()
