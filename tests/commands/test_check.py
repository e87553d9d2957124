"""`check`: each fault of the user's own code is found, and right code is called right."""

import re
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from tests.choice import first_usual, in_rows
from tests.program import run

CASES = Path(__file__).parent.parent / "cases"
MATRICES = ("x=1,2;3,4", "w=1,2,3;-1,0,2")
LAYER = (*MATRICES, "b=1,2,3")
SCORES = ("x=3.2,5.1,-1.7;1.3,4.9,2;2.2,2.5,-3.1", "y=tensor([0,1,2])")

RIGHT = [
    ("square", "x=1,2", "--like", "sum(x*x)"),
    ("square", "x=3", "--second"),
    ("several", "x=1,2"),
    ("second_unused", "x=1,2", "y=3"),
    ("dropout", "x=1,2,3,4"),
    ("dropout", "x=1,2,3,4", "--like", "F.dropout(x)"),
    ("cholesky", "a=2,1;1,2"),
    ("cross_entropy", "a=1,2;3,4", "t=tensor([0,1])"),
    ("normalised", "x=1,2;3,4", "dim=1", "eps=1e-3"),
    ("talks", "x=1,2"),
    ("Cube", "x=-1,0,2", "--second"),
    ("CubeOnce", "x=-1,2"),
    ("CubeWithoutUpstream", "x=-1,2"),
    ("Product", *MATRICES, "--like", "x @ w"),
    ("Shift", "x=1,2;3,4", "b=1,2"),
    ("Power", "x=1,2", "n=3", "--second"),
    ("Relu", "x=-1,0,2"),
    ("Prelu", "x=-1,2", "a=0.1"),
    ("Prelu", "x=-1,2", "a=0.1", "--wrt", "x"),
    ("leaky", "x=-1,2", "slope=0.2"),
    ("Padded", "i=tensor([0,2,2])"),
    ("Remembers", "x=1,2"),
    ("Linear", "x=1,2", "--like", "x @ weight.T + bias"),
    ("Linear", "x=1,2", "weight=1,2;3,4;5,6"),
    ("frozen", "input=1,2;3,5;0,1"),
    ("hand_gradient", "x=1,2", "--with-gradient"),
    ("affine,affine_backward", *LAYER),
]
RIGHT_ARRAYS = [
    ("affine,affine_backward", *LAYER, "--like", "x @ w + b"),
    ("affine,affine_grads", *LAYER),
    ("affine,affine_backward_wrong", *LAYER, "--wrt", "x"),
    ("relu,relu_backward", "x=-1,0,2"),
    ("times,times_backward", "x=1,2", "w=3,4"),
    ("half_square,half_square_backward", "x=1,2"),
    ("lstm_cell,lstm_cell_backward", "a=0.3,-0.4", "c=1,2"),
    ("svm_loss", *SCORES, "--with-gradient"),
    ("scaled,scaled_backward", "x=1,2", "a=2"),
    ("scaled,scaled_backward_of_x", "x=1,2", "a=2"),
]
WRONG = [
    ("changes_input", "x=1,2", "x mutates"),
    ("cut", "x=1,2", "w=3,4", "w none"),
    ("cut_in_part", "x=1,2", "x value"),
    ("through_numpy", "x=1,2", "x none"),
    ("root_of_square", "x=0,1", "x nan"),
    ("square", "x=1,2", "--like", "sum(x)", "forward"),
    ("NegativeCube", "x=1,2", "x value sign"),
    ("CubeOnce", "x=1,2", "--second", "x second"),
    ("CubeWithoutUpstream", "x=1,2", "--second", "x second"),
    ("SumOfSquares", "x=1,2", "x value upstream"),
    ("ProductTransposed", *MATRICES, "w shape transposed"),
    ("ProductOfOne", *MATRICES, "count"),
    ("ProductWithNone", *MATRICES, "w none"),
    ("ProductThatScales", *MATRICES, "w mutates"),
    ("Number", "x=1,2", "x shape"),
    ("Detached", "x=1,2", "weight none"),
    ("doubled_gradient", "x=1,2", "--with-gradient", "x value factor-2"),
    ("complex_gradient", "x=1,2", "--with-gradient", "x shape"),
    ("ComplexGradient", "x=1,2", "x shape"),
    ("counts", "x=1,2", "state"),
    ("PaddedAndCut", "i=tensor([0,2,2])", "weight value"),
    ("PreluNegative", "x=-1,2", "a=1", "a value sign"),
    ("Prelu", "x=-1,2", "count"),
]
WRONG_ARRAYS = [
    ("affine,affine_backward_wrong", *LAYER, "w value sign; b shape missing-sum"),
    ("affine,affine_backward_of_two", *LAYER, "count"),
    ("half_square,half_square_by_fft", "x=1,2", "x shape"),
    ("affine,affine_mean", *LAYER, "w value factor-half; b value factor-half"),
    ("times,times_local", "x=1,2", "w=3,4", "x value upstream; w value upstream"),
    ("half_square,half_square_of_one", "x=1,2", "x value upstream"),
    ("exp_in_place,exp_backward", "x=1,2,4", "x mutates"),
    ("svm_loss_of_sum", *SCORES, "--with-gradient", "x value sum-for-mean"),
    ("scaled,scaled_backward_negative", "x=1,2", "a=2", "a value sign"),
    ("scaled,scaled_backward_of_x", "x=1,2", "b=1", "count"),
]


def fault(words: tuple[str, ...]) -> str:
    """What is wrong, without the name of the input."""
    return words[-1].partition(" ")[2]


def called(file: str, name: str, *words: str) -> dict[str, object]:
    result = run("check", f"{file}.py:{name}", *words, "--json", cwd=str(CASES))
    assert result.status == (0 if result.json["ok"] else 1)
    return result.json  # type: ignore[no-any-return]


def faults(result: dict[str, object]) -> str:
    """What is wrong, as the tables above write it: `w value sign; b shape`."""
    found = [str(result["reason"])] if result["reason"] else []
    for name, check in result["check"].items():  # type: ignore[attr-defined]
        assert check["ok"] == (check["reason"] is None)
        if not check["ok"]:
            found.append(" ".join(filter(None, (name, check["reason"], check["slip"]))))
    return "; ".join(found)


@pytest.mark.parametrize("words", first_usual(RIGHT, in_rows(2, RIGHT)), ids=" ".join)
def test_right_code(words: tuple[str, ...]) -> None:
    result = called("checked", *words)
    assert faults(result) == ""
    assert result["check"]


@pytest.mark.parametrize("words", first_usual(RIGHT_ARRAYS, in_rows(2, RIGHT_ARRAYS)), ids=" ".join)
def test_right_numpy_code(words: tuple[str, ...]) -> None:
    assert faults(called("checked_numpy", *words)) == ""


@pytest.mark.parametrize("words", first_usual(WRONG, fault), ids=" ".join)
def test_wrong_code(words: tuple[str, ...]) -> None:
    *words_, expected = words
    assert faults(called("checked", *words_)) == expected


@pytest.mark.parametrize("words", first_usual(WRONG_ARRAYS, in_rows(2, WRONG_ARRAYS)), ids=" ".join)
def test_wrong_numpy_code(words: tuple[str, ...]) -> None:
    *words_, expected = words
    assert faults(called("checked_numpy", *words_)) == expected


@pytest.mark.parametrize(
    ("words", "checked", "setting"),
    [
        (("checked.py:Prelu", "x=-1,2", "a=2"), ["x", "a"], ""),
        (("checked.py:raised", "x=1,2", "power=3"), ["x", "power"], ""),
        (("checked.py:leaky", "x=-1,2", "slope=2"), ["x"], "slope (--wrt x,slope checks all)"),
        (("checked_numpy.py:scaled,scaled_backward", "x=1,2", "a=2"), ["x", "a"], ""),
        (("checked_numpy.py:scaled,scaled_backward_of_x", "x=1,2", "a=2"), ["x"], "a (--wrt x,a"),
    ],
)
def test_a_number_without_a_gradient_is_named_as_not_checked(
    words: tuple[str, ...], checked: list[str], setting: str
) -> None:
    shown = run("check", *words, cwd=str(CASES)).stdout
    assert ("not checked" in shown) == bool(setting)
    assert setting in shown
    assert list(run("check", *words, "--json", cwd=str(CASES)).json["check"]) == checked


def test_one_wrong_element_among_many_is_found() -> None:
    words = ("product,product_off_in_one", "x=randn(30,40)", "w=randn(40,20)")
    result = run("check", f"checked_numpy.py:{words[0]}", *words[1:], cwd=str(CASES))
    assert result.status == 1
    assert "the gradient for w[17,3] is" in result.stdout
    assert "x value" not in result.stdout


def test_the_value_is_pytorchs() -> None:
    result = called("checked", "several", "x=1,2")
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert result["value"] == [x.sin().tolist(), x.cos().tolist()]
    assert result["dtype"] == "float64"
    assert result["target"] == "checked.py:several"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("checked.py:fails", "x=1"), ("ValueError: no luck with 2.0", "raise ValueError(")),
        (("checked.py:leaves", "x=1"), ("SystemExit: bye", 'raise SystemExit("bye")')),
        (("checked.py:asserts", "x=1"), ("AssertionError", "assert x.ndim == 2")),
        (("checked.py:returns_nothing", "x=1"), ("returns_nothing returned nothing", "def returns_nothing(x):")),
        (("checked.py:phase", "x=1"), ("phase returned complex numbers", "def phase(x):", ".abs()")),
        (("checked.py:Phase", "x=1"), ("Phase returned complex numbers", "def forward(ctx, x):")),
        (("checked.py:ComplexScale", "x=1"), ("the parameter w of ComplexScale is complex", "view_as_complex")),
        (("checked_numpy.py:phase,exp_backward", "x=1"), ("phase returned complex numbers", "def phase(x):")),
        (
            ("checked_numpy.py:product,affine_backward", "x=1,2", "w=2,3"),
            (
                "affine_backward cannot be called as affine_backward(dout, x, w)",
                "product returned no cache", "def affine_backward(dout, cache):",
            ),
        ),
        (
            ("checked.py:squares_in_place", "x=1,2,3"),
            ("RuntimeError: one of the variables", "    y[1:] *= y[1:]\n", "gradcli why inplace-saved"),
        ),
        (("checked.py:NothingSaved", "x=1"), ("(x,) = ctx.saved_tensors",)),
        (("checked.py:cut", "x=1"), ("cut needs w", "add w=...")),
        (("checked.py:cut", "x=1", "v=2"), ("cut has no parameter 'v'",)),
        (("checked.py:square",), ("square needs x",)),
        (("checked.py:sqare", "x=1"), ("has no 'sqare'", "did you mean square?")),
        (("checked.py:constant", "x=1"), ("constant is a int, not a function",)),
        (("checked.py:Sized", "x=1"), ("Sized needs features",)),
        (("checked.py:square", "x=1", "--like", "y**2"), ("there is no input 'y'",)),
        (("checked.py:square", "x=1", "--wrt", "y"), ("there is no input 'y'",)),
        (("checked.py:square", "x=1", "--with-gradient"), ("instead of (value, gradients)",)),
        (("checked_numpy.py:svm_loss", "x=1,2", "y=0", "--with-gradient"), ("IndexError", "tensor([0, 2])")),
        (("checked_numpy.py:times,times_backward", "x=1", "w=1", "--second"), ("--second",)),
        (("checked.py", "x=1"), ("expected the name of what is checked",)),
        (("checked.txt:square", "x=1"), ("expected a Python file",)),
        (("missing.py:square", "x=1"), ("missing.py cannot be read: no such file",)),
        (("checked.py:square", "x=1", "--dtype", "float32"), ("--dtype",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_errors_say_where(words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    result = run("check", *words, cwd=str(CASES))
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr
    if found := re.search(r"checked.py, line (\d+): .*\n +(.+)", result.stderr):
        source = (CASES / "checked.py").read_text(encoding="utf-8").splitlines()
        assert source[int(found[1]) - 1].strip() == found[2]


@pytest.mark.parametrize(("seconds", "threads"), [(0, "1"), (0.02, "3")])
def test_quick_code_runs_on_one_thread(tmp_path: Path, seconds: float, threads: str) -> None:
    text = f"""
        import time, torch
        torch.set_num_threads(3)

        def square(x):
            time.sleep({seconds})
            with open("threads", "a") as file:
                file.write(f"{{torch.get_num_threads()}} ")
            return x * x
    """
    (tmp_path / "timed.py").write_text(dedent(text), encoding="utf-8")
    assert run("check", "timed.py:square", "x=1,2", cwd=str(tmp_path)).status == 0
    counts = Counter((tmp_path / "threads").read_text(encoding="utf-8").split())
    assert counts.most_common(1)[0][0] == threads


def test_a_syntax_error_has_its_caret(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(x):\n    return x +\n", encoding="utf-8")
    result = run("check", "broken.py:f", "x=1", cwd=str(tmp_path))
    assert result.status == 2
    assert "broken.py, line 2: SyntaxError: invalid syntax" in result.stderr
    assert "return x +" in result.stderr


def test_what_the_code_prints_goes_to_stderr() -> None:
    result = run("check", "checked.py:talks", "x=1", "--get", "ok", cwd=str(CASES))
    assert result.stdout == "true\n"
    assert result.stderr.startswith("hello from the code\n")
    assert result.stderr.count("hello") < 5


def test_the_code_runs_in_its_own_folder_on_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "helper.py").write_text("FACTOR = 3\n", encoding="utf-8")
    (folder / "own.py").write_text(
        "import os, sys, helper\n"
        "assert __name__ == 'own' and sys.path[0] == os.path.dirname(os.path.abspath(__file__))\n"
        "open('here', 'w').close()\n"
        "f = lambda x: helper.FACTOR * x\n",
        encoding="utf-8",
    )
    result = run("check", "project/own.py:f", "x=1", "--json", cwd=str(tmp_path))
    assert result.status == 0
    assert (tmp_path / "here").exists()


def test_a_timeout_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def f(x):\n    while True:\n        pass\n", encoding="utf-8")
    result = run("check", "own.py:f", "x=1", "--timeout", "0.2", cwd=str(tmp_path))
    assert result.status == 2
    assert "it ran for more than 0.2 s" in result.stderr


def test_a_batch_runs_no_code_of_the_user() -> None:
    result = run("batch", stdin='{"command": "check", "target": "checked.py:square"}')
    assert "a batch has no command 'check'" in result.stdout


@pytest.mark.smoke
def test_the_table_names_what_is_wrong() -> None:
    result = run(
        "check",
        "checked_numpy.py:affine,affine_backward_wrong",
        *LAYER,
        cwd=str(CASES),
        env={"COLUMNS": "80"},
    )
    assert result.status == 1
    assert "checked_numpy.py:affine,affine_backward_wrong: wrong" in result.stdout
    assert "the gradient has shape [2, 3], but b has shape [3]" in result.stdout
    assert "yours has the opposite sign" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_csv_has_a_row_for_each_slope() -> None:
    result = run("check", "checked.py:square", "x=1,2", "--csv", cwd=str(CASES))
    assert result.stdout.splitlines()[0] == "slope,autograd,difference,error,relative,verdict"
    assert [line.split(",")[1] for line in result.stdout.splitlines()[1:]] == ["2.0", "4.0"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("as_a_number", "checked.py, line {line}: Converting a tensor", "scalar-of-grad"),
        ("of_other_shape", "the target has shape [2, 1] and the prediction [2]", "broadcast"),
    ],
)
def test_a_warning_of_pytorch_is_a_note_with_the_line(name: str, text: str, code: str) -> None:
    words = ("check", f"checked.py:{name}", "x=1,2")
    source = (CASES / "checked.py").read_text().split("\n")
    text = text.format(line=source.index(f"def {name}(x):") + 2)
    result = run(*words, cwd=str(CASES))
    assert result.stderr.startswith(f"note: {text}")
    assert result.stderr.endswith(f" [{code}]\n")
    assert result.stderr.count("note:") == 1
    assert run(*words, "--quiet", cwd=str(CASES)).stderr == ""
    result = run(*words, "--json", cwd=str(CASES))
    assert result.stderr == ""
    assert [note["code"] for note in result.json["notes"]] == [code]


def test_a_warning_of_the_users_own_is_shown_once_as_python_shows_it() -> None:
    result = run("check", "checked.py:with_own_warning", "x=1,2", cwd=str(CASES))
    assert re.fullmatch(
        r"checked.py:\d+: UserWarning: x may be too large\n  warnings.warn\(.*\n", result.stderr
    )
