"""Writes the tables of docs/performance.md from the records in docs/benchmarks.

A record is one run of `python -m tools.benchmarks`, in lines of JSON: `run` says what was measured,
where and when, `imports` what a cold call loads, and each other line is a row.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.benchmarks.rows import PEERS, ROWS, Row
from tools.imports import compared, table

PAGE = Path(__file__).parent / "performance.md"
RECORDS = Path(__file__).parent / "benchmarks"
_PART = re.compile(r"(<!-- made from docs/benchmarks: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_SHOWN = 20.0
"""Milliseconds from which a group of modules has a row of its own."""


@dataclass(frozen=True)
class Record:
    """What one run measured; `rows` by their titles."""

    run: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Any]]
    imports: Mapping[str, Mapping[str, tuple[int, float]]]


def read(path: Path) -> Record:
    """The record in a file."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    single = {name: line[name] for line in lines for name in ("run", "imports") if name in line}
    rows = {line["row"]: line for line in lines if "row" in line}
    return Record(single["run"], rows, single.get("imports", {}))


def records() -> list[Record]:
    """All records, the oldest first: the name of a file begins with its day."""
    return [read(path) for path in sorted(RECORDS.glob("*.jsonl"))]


def described(run: Mapping[str, Any]) -> str:
    """What is told of a run in one line."""
    told = {
        "date": "{}", "gradcli": "gradcli {}", "commit": "commit {}", "processor": "{}", "cores": "{} cores",
        "system": "{}", "python": "Python {}", "torch": "PyTorch {}", "numpy": "NumPy {}",
        "load": "load average {} before", "stolen": "{:.1%} of the time went to the host's other guests", "note": "{}",
    }  # fmt: skip
    return ", ".join(words.format(run[key]) for key, words in told.items() if key in run)


def number(value: float) -> str:
    """A figure with three digits, a small ratio as a fraction."""
    return f"1/{1 / value:.0f}" if value < 0.1 else f"{value:.3g}"


def missed(row: Row, found: Mapping[str, Any]) -> bool:
    """Whether a row with a target does not reach it."""
    return row.target is not None and not found.get("ratio", row.target + 1) <= row.target


def figure(row: Row, found: Mapping[str, Any]) -> str:
    """The ratio of a row with its spread, and whether the target is met."""
    if "ratio" not in found:
        return "failed" if "failed" in found else "-"
    spread = found.get("quartiles") or found.get("range")
    shown = f" ({number(spread[0])} to {number(spread[1])})" if spread else ""
    verdict = "" if row.target is None else ", **missed**" if missed(row, found) else ", met"
    return number(found["ratio"]) + shown + verdict


def sides(row: Row, found: Mapping[str, Any]) -> list[str]:
    """What both sides of a row took, as far as there are two and they are known."""
    unit, digits = ("s", ".3g") if row.kind == "time" else ("MB", ".0f")
    keys = ("ours", "theirs") if row.against else ("ours",)
    shown = [f"{found[key]:{digits}} {unit}" if key in found else "" for key in keys]
    return [*shown, ""][:2]


def runs(found: Sequence[Record]) -> str:
    """The runs, numbered."""
    return "".join(f"{i}. {described(record.run)}\n" for i, record in enumerate(found, 1))


def measured(found: Sequence[Record]) -> str:
    """Each row with its target and what the two newest runs say."""
    last = [record.rows for record in found[-2:]]
    heads = [f"run {i}" for i in range(len(found) - len(last) + 1, len(found) + 1)]
    newest = [f"gradcli, {heads[-1]}", f"the program, {heads[-1]}"]
    lines = []
    for row in ROWS:
        results = [rows.get(row.title, {}) for rows in last]
        target = "" if row.target is None else number(row.target)
        lines.append(
            [row.title, target, *(figure(row, each) for each in results), *sides(row, results[-1])]
        )
    return table(["what / compared with", "target", *heads, *newest], lines)


def history(found: Sequence[Record]) -> str:
    """The ratio of each row in every run."""
    lines = []
    for row in ROWS:
        every = (record.rows.get(row.title, {}).get("ratio") for record in found)
        lines.append([row.title, *("-" if ratio is None else number(ratio) for ratio in every)])
    return table(["what / compared with", *(f"run {i}" for i in range(1, len(found) + 1))], lines)


def peers(found: Sequence[Record]) -> str:
    """A warm and a cold call beside other tools, in the newest run that has them."""
    newest = next(record for record in reversed(found) if PEERS[0].title in record.rows)
    lines = []
    for row in PEERS:
        one = newest.rows.get(row.title, {})
        lines.append([row.title, figure(row, one), *sides(row, one)])
    head = f"run {found.index(newest) + 1}"
    return table(["what / compared with", head, f"gradcli, {head}", f"the program, {head}"], lines)


def imports(found: Sequence[Record]) -> str:
    """What a cold call loads, in the first and in the last run that tell, beside PyTorch alone."""
    told = [record for record in found if record.imports]
    chosen = {f"commit {one.run['commit']}": one.imports["call"] for one in (told[0], told[-1])}
    return compared({**chosen, "`import torch`": told[-1].imports["torch"]}, _SHOWN)


_PARTS = {part.__name__: part for part in (runs, measured, history, peers, imports)}


def page(text: str, found: Sequence[Record]) -> str:
    """A text whose marked parts are made from records."""
    return _PART.sub(lambda part: f"{part[1]}\n{_PARTS[part[2]](found)}\n{part[3]}", text)


def update() -> None:
    """Write the tables of the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), records()), encoding="utf-8")
