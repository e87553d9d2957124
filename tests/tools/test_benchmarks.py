"""What gradcli is timed against computes what gradcli computes, and the figures on the page are those
of the records.
"""

import json
import subprocess
import sys
from io import StringIO
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from docs import performance
from tests.docs.test_docs import alike, current
from tests.program import printed, run
from tools import imports
from tools.benchmarks import jobs, measure, programs, rows

LECTURE = [1.0, 4.0, 2.0]
"""(x w - 1)^2 at x = 1 and w = 2, and its derivatives."""


def numbers(program: str) -> list[float]:
    """What a program prints."""
    return [float(number) for number in printed(program).split()]


@pytest.mark.parametrize("tool", programs.PEERS)
def test_a_peer_prints_the_loss_and_both_gradients(tool: str) -> None:
    pytest.importorskip({"HIPS autograd": "autograd"}.get(tool, tool.lower()))
    assert numbers(programs.PEERS[tool]) == LECTURE


def test_the_programs_of_a_call_print_its_numbers() -> None:
    for words, program in ((rows.GRAD, programs.MSE), (rows.EXPR, programs.EXPR)):
        result, found = run(*words, "--json").json, numbers(program)
        assert found == [result["value"], *result["gradients"].values()]
        assert found[:3] == LECTURE


@pytest.mark.parametrize("row", [row for row in rows.ROWS if row.name.startswith("jacobian, 3")])
def test_the_programs_of_a_jacobian_have_its_sum(row: rows.Row) -> None:
    jacobian = run(*row.words, "--json").json["jacobian"]["x"]
    assert numbers(row.program) == pytest.approx([np.sum(jacobian)])


def test_the_programs_that_read_and_write_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("logits.npy", "big.npy"):
        np.save(tmp_path / name, np.linspace(-3, 3, 600, dtype=np.float32))
    for words, program in ((rows.SOFTMAX, programs.SOFTMAX), (rows.SIGMOID, programs.SIGMOID)):
        assert run(*words).status == 0
        assert numbers(program) == []
    assert np.allclose(np.load(tmp_path / "ours.npy"), np.load(tmp_path / "theirs.npy"))
    ours, theirs = (dict(np.load(tmp_path / f"{side}.npz")) for side in ("ours", "theirs"))
    for key, array in theirs.items():
        assert np.allclose(next(found for name, found in ours.items() if key in name), array)


def test_the_bare_loop_answers_each_job_as_a_batch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(
        json.dumps(job) + "\n" for job in chain(jobs.jobs(32, "few"), jobs.jobs(16, "all", 32))
    )
    monkeypatch.setattr(sys, "stdin", StringIO(lines))
    expected = [json.loads(line) for line in run("batch", stdin=lines).stdout.splitlines()]
    found = [json.loads(line) for line in printed(programs.LOOP).splitlines()]
    assert len(found) == len(expected) == 48
    for ours, theirs in zip(expected, found, strict=True):
        same = {key: ours[key] for key in theirs}
        assert alike(json.dumps(same, sort_keys=True), json.dumps(theirs, sort_keys=True))


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    found = measure.summary([(1.0, 1.0), (4.0, 2.0), (9.0, 3.0), (4.0, 1.0), (50.0, 10.0)])
    assert found == {
        "rounds": 5, "ours": 4.0, "theirs": 2.0, "ratio": 3.0, "quartiles": [2.0, 4.0], "range": [1.0, 5.0],
    }  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")
def test_the_memory_of_a_command_is_that_of_all_its_processes() -> None:
    code = "import os; a = b'a' * 10**8; {}; os.write(1, b'x'); os.read(0, 1)"
    alone, both, apart = (
        _resident(code.format(more))
        for more in ("0", "os.fork()", "os.fork() or [a := b'b' * 10**8]")
    )
    assert alone > 1e8
    assert both < alone + 2e7
    assert apart > alone + 8e7


def _resident(code: str) -> int:
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.read(2 if "fork" in code else 1)
        return measure.resident(process.pid)


def test_a_module_that_is_found_but_not_executed_is_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    for name in ("__init__", "used", "unused"):
        (tmp_path / "torch" / f"{name}.py").write_text("value = 1\n", encoding="ascii")
    lazily = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch.used, importlib.util as u\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != 'torch.unused':\n"
        "            return None\n"
        "        spec = u.spec_from_file_location(name, path[0] + '/unused.py')\n"
        "        spec.loader = u.LazyLoader(spec.loader)\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Finder()); import torch.unused\n"
    )
    for more, executed in (("", False), ("torch.unused.value", True)):
        found = imports.loaded(lazily=("-c", lazily + more))["lazily"]
        assert [found[name][0] for name in ("torch", "torch.used")] == [1, 1]
        assert ("torch.unused" in found) == executed
        assert (imports.NOT_EXECUTED in found) != executed


def test_the_page_has_the_figures_of_the_records() -> None:
    text = performance.PAGE.read_text(encoding="utf-8")
    current(performance.PAGE, performance.page(text, performance.records()))


def test_each_row_of_a_record_is_one_that_is_measured() -> None:
    titles = {row.title for row in (*rows.ROWS, *rows.PEERS)}
    assert len(titles) == len(rows.ROWS) + len(rows.PEERS)
    assert all(titles >= record.rows.keys() for record in performance.records())
