"""The magics in a real IPython shell: objects of the notebook in, results out, errors in one line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gradcli

shells = pytest.importorskip("IPython.core.interactiveshell")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shell with the extension loaded. Its end collects all garbage, which takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        shell = shells.InteractiveShell()
        shell.history_manager.enabled = False
        shell.run_line_magic("load_ext", "gradcli")
        yield shell


def test_a_line_has_the_words_of_the_shell(shell: Any) -> None:
    found = shell.run_cell("%grad 'mse(w*x, y)' x=1 w=2 y=1").result
    assert isinstance(found, gradcli.Result)
    assert found.json() == gradcli.grad("mse(w*x, y)", x=1, w=2, y=1).json()
    assert "gradient" in found._repr_html_()
    assert shell.run_cell("%activate relu --x -1,2 --precision 3").result.get("value.1") == 2
    assert shell.run_cell("%softmax_jacobian -1,2").result.label == 1
    assert shell.run_cell("%grad --fn mse x=1 w=2").result.gradients["w"] == 2
    assert shell.run_cell("r = %value 'x + 1' x=1\nr.value").result == 2


def test_objects_of_the_notebook_are_inputs(shell: Any) -> None:
    x = torch.tensor([0.1, 0.2], dtype=torch.float64)
    shell.push({"x": x, "formula": "(w*x).sum()", "k": [3.0, 4.0], "n": 3})
    found = shell.run_cell("%grad {formula} x={x} w=$k --vjp 1").result
    assert found.inputs["x"].data_ptr() == x.data_ptr()
    assert torch.equal(found.inputs["w"], torch.tensor([3.0, 4.0], dtype=torch.float64))
    assert torch.equal(shell.run_cell("%grad 'x.sum()' 'x={x @ x}'").result.value, x @ x)
    assert torch.equal(shell.run_cell("%softmax_jacobian {x}").result.probabilities, x.softmax(0))
    assert shell.run_cell("%descend '(a-1)**2' a=0 --steps {n}").result.steps[-1].step == 3
    assert shell.run_cell("%grad 'x**{n}' x=2").result.value == 8
    for expect in ("--expect {x*0 + 1}", "'--expect={x*0 + 1}'", "--expect x={x*0 + 1}"):
        assert shell.run_cell(f"%grad 'x.sum()' x=$x {expect}").result.ok is True
    shell.push({"d": {"a": x}, "m": 0.9})
    assert shell.run_cell("%grad 'x.sum()' x={d['a']} --jvp x={x*2}").result.jvp == 2 * x.sum()
    moved = shell.run_cell("%descend a**2 a=1 --steps 2 --set momentum={m} --set nesterov=true")
    assert (
        moved.result.value
        == gradcli.descend("a**2", a=1, steps=2, set=["momentum=0.9", "nesterov=true"]).value
    )
    assert torch.equal(
        shell.run_cell("%value x x={m},$n,{n / 2}").result.value, torch.tensor([0.9, 3, 1.5])
    )
    assert shell.run_cell("%value x{{ x=1").error_in_exec.span.text == "{"


def test_a_form_of_output_is_printed(shell: Any, tmp_path: Path, capsys: Any) -> None:
    assert shell.run_cell("%grad 'x**2' x=3 --get gradients.x").result is None
    assert capsys.readouterr().out == "6.0\n"
    shell.run_cell(f"%grad 'x**2' x=3 --out {tmp_path}/r.json")
    assert '"value":9.0' in (tmp_path / "r.json").read_text()
    shell.run_cell("%plot --help")
    assert "wrt:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%grad 'mse(w*x, y' x=1", "error: a bracket was never closed\n  mse(w*x, y\n     ^"),
        ("%grad 'x**2' x=1 --nonsense", "error: there is no option --nonsense"),
        ("%grad 'x**2", "error: the line cannot be split into words: no closing quotation"),
        ("%grad 'x**2' x=1 --timeout 3", "error: timeout is not an option of a function"),
        ("%why --run train.py", "error: run is not an option of a function"),
        ("%grad 'x**2' x={nope}", "error: {nope}: NameError: name 'nope' is not defined"),
        ("%grad 'x**2' x=1,{[][0]}", "error: {[][0]}: IndexError: list index out of range"),
    ],
)
def test_an_error_is_told_without_a_traceback(
    shell: Any, capsys: Any, line: str, told: str
) -> None:
    ran = shell.run_cell(line)
    assert isinstance(ran.error_in_exec, gradcli.GradcliError)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", "".join(capsys.readouterr()))
    assert shown.startswith(told)
    assert "Traceback" not in shown


def test_words_are_completed(shell: Any) -> None:
    from IPython.core.completer import provisionalcompleter

    def completed(line: str) -> set[str]:
        with provisionalcompleter():
            return {each.text for each in shell.Completer.completions(line, len(line))}

    assert "--explain" in completed("%grad 'x' x=1 --expl")
    assert "leaky_relu" in completed("%activate leaky_r")
