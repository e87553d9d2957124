"""The forms of output: tables of every width, JSON, CSV, bare values, files, notes, colour,
digits.
"""

import csv
import fcntl
import os
import pty
import re
import struct
import termios
from contextlib import suppress
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from gradcli import core
from gradcli.commands.descend.result import DescendResult, DescentStep
from gradcli.show import archive, json
from tests import program
from tests.program import Ran, cold, run

ACTIVATE = [
    "activate",
    "sigmoid",
    "tanh",
    "leaky_relu(0.2)",
    "--x",
    "1.23456789,-100.5,3e-7,0.1,12345678",
]
LOSS = ["loss", "mse", "sse", "l2_norm", "--pred", "1.5,-2.25,1e-9", "--target", "0,0,0"]
GRAD = [
    "grad",
    "h = w*x + b; mse(h.tanh(), y)",
    "x=0.123456789,-2",
    "w=3.3333333",
    "b=-1e-8",
    "y=1,0",
]
SOFTMAX = ["softmax-jacobian", "2,1,0.1,-30"]
PERCEPTRON = [
    "perceptron",
    "--x",
    "1,0.5;2,3",
    "--w",
    "0.3,-0.2;1,2",
    "--b",
    "0.1,0.2",
    "--target",
    "1,0;0,1",
]
TRAIN = ["perceptron", "--train", "or", "--epochs", "4"]
JACOBIAN = ["jacobian", "stack([r*cos(t), r*sin(t)])", "r=2", "t=pi/3"]
HESSIAN = ["hessian", "(1-x)**2 + 100*(y-x**2)**2", "x=-1.234567", "y=0.5"]
EACH = ["grad", "x**3/3", "x=linspace(-2,2,4)", "--each", "x"]
VALUE = ["value", "h = X @ w; sigmoid(h)", "X=1.23456789,-2;3e-7,4", "w=0.1,0.5", "--shapes"]
ALL = [VALUE, ACTIVATE, LOSS, GRAD, SOFTMAX, PERCEPTRON, TRAIN, JACOBIAN, HESSIAN, EACH]
NOTED = ["activate", "softmax", "--x", "1,2"]

by_command = pytest.mark.parametrize("words", ALL, ids=lambda words: " ".join(words[:2]))


def numbers(value: Any) -> list[float]:
    """Every number in a JSON value."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [value]
    return [
        number
        for item in (value.values() if isinstance(value, dict) else value)
        for number in numbers(item)
    ]


def tokens(text: str) -> set[str]:
    """Every word of a text that may be a number."""
    return set(re.findall(r"[-+.\w]+", text))


def shown_numbers(text: str) -> set[float]:
    """The numbers that stand whole in a text."""
    return {
        float(token) for token in tokens(text) if re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?", token)
    }


@cache
def natural(words: tuple[str, ...]) -> str:
    """The table of a call at its natural width."""
    return run(*words).stdout


# tables


@by_command
def test_every_number_that_was_computed_is_in_the_table(words: list[str]) -> None:
    shown = shown_numbers(natural(tuple(words)))
    result = run(*words, "--json").json
    for number in numbers({key: value for key, value in result.items() if key != "inputs"}):
        assert float(f"{number:.6g}") in shown, number


@by_command
@pytest.mark.parametrize("width", [20, 40, 80])
def test_at_no_width_is_a_number_cut_or_wrapped(words: list[str], width: int) -> None:
    """A terminal breaks lines at its width; each number must still stand whole on one of its
    rows.
    """
    text = run(*words, env={"COLUMNS": str(width)}).stdout
    rows = [
        line[i : i + width]
        for line in text.splitlines()
        for i in range(0, max(len(line), 1), width)
    ]
    found = {token for row in rows for token in tokens(row)}
    assert {
        token for token in tokens(natural(tuple(words))) if token[-1:].isdigit()
    } - found == set()


@by_command
@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(words: list[str], width: int) -> None:
    text = run(*words, env={"COLUMNS": str(width)}).stdout
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100])
@pytest.mark.parametrize(
    "words",
    [
        ("softmax(h*scale + bias, 0)[0]", "h=randn(6)", "scale=randn(6)", "bias=randn(6)"),
        ("tanh(W@x+b).sum()", "W=rand(3,4)", "x=1,2,3,4", "b=0,0,0"),
        ("mse(w*x, y)", "x=randn(2,3)", "w=randn(2,3)", "y=randn(2,3)", "--jvp", "w=ones(2,3)"),
    ],
    ids=itemgetter(0),
)
def test_a_list_in_a_cell_is_broken_between_its_numbers(words: tuple[str, ...], width: int) -> None:
    call = ("grad", *words, "--explain")
    text = run(*call, env={"COLUMNS": str(width)}).stdout
    assert max(map(len, text.splitlines())) <= width
    number = r"-?\d[\d.e-]*"
    listed = re.findall(f"{number}(?=[],])", natural(call).partition("Chain rule")[2])
    assert set(listed) <= set(re.findall(number, text))


@pytest.mark.parametrize(
    "words",
    [
        ["(w*x - 1)**2", "x=1", "w=2"],
        ["sigmoid(w*x + b)", "x=0.5", "w=-1.25", "b=0.3"],
        ["bce(sigmoid(w*x + b), y)", "x=0.5", "w=-1.25", "b=0.3", "y=1"],
        ["log(1+exp(-x**2/2))", "x=1.3"],
        ["mse(tanh(w*x), y)", "x=0.3", "w=1.7", "y=0.2"],
        ["0.5*(sigmoid(w*x) - t)**2", "x=1.5", "w=0.7", "t=1"],
        ["exp(-x**2)*sin(3*x)", "x=0.7"],
        ["relu(a*b + c)/d", "a=1.25", "b=-3.5", "c=7", "d=1.5"],
    ],
    ids=" ".join,
)
def test_the_ledger_of_a_formula_of_numbers_fits_80_columns_in_one_piece(words: list[str]) -> None:
    shown = run("grad", *words, "--explain", env={"COLUMNS": "80"}).stdout
    ledger = shown[shown.index("Chain rule: ") :]
    heads = [
        line
        for line in ledger.splitlines()
        if "upstream" in line and "local" in line and "=" not in line
    ]
    assert len(heads) == 1
    for heading in ("operation", "value", "local", "upstream", "product", "rule"):
        assert heading in heads[0]
    answers = run("grad", *words, "--json").json["gradients"]
    for name, gradient in answers.items():
        row = next(line for line in ledger.splitlines() if re.search(rf"d/d{name}\b", line))
        assert f"{gradient:.6g}" in row.replace("000 ", " "), "the last lines are the answer"


@pytest.mark.parametrize("width", [40, 60, 80])
def test_every_piece_of_a_check_names_its_rows_and_has_the_verdict(width: int) -> None:
    words = [
        "grad",
        "sigmoid(w*x)",
        "w=-1.2345",
        "x=0.3",
        "--check",
        "--expect",
        "w=0.1",
        "--expect",
        "x=2",
    ]
    shown = run(*words, env={"COLUMNS": str(width)})
    assert shown.status == 1
    check, _, expected = shown.stdout.partition("Check: passes")[2].partition("Not as expected: ")
    for text, head in ((check, "slope"), (expected, "value")):
        heads = [line for line in text.splitlines() if re.match(rf"│? ?{head}\b", line)]
        assert heads
        assert all("verdict" in line for line in heads)


def test_even_twenty_columns_hold_a_table() -> None:
    text = run("activate", "relu", "--x", "-1,0,1", env={"COLUMNS": "20"}).stdout
    assert max(map(len, text.splitlines())) <= 20


@pytest.mark.parametrize("columns", ["0", "-5", "wide", "", "1e3"])
def test_a_width_that_is_none_is_ignored(columns: str) -> None:
    assert run(*ACTIVATE, env={"COLUMNS": columns}).stdout == run(*ACTIVATE).stdout


def test_in_a_pipe_a_table_is_as_wide_as_it_needs() -> None:
    shown = run("jacobian", "x*2", "x=linspace(1.0001,9.0009,30)")
    assert "x[29]" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) > 200
    heads = next(line for line in shown.stdout.splitlines() if "x[0]" in line)
    assert "x[29]" in heads


@by_command
def test_an_ascii_locale_gets_ascii(words: list[str]) -> None:
    for env in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONIOENCODING": ""}):
        shown = run(*words, env=env)
        assert shown.status == 0
        assert shown.stdout.isascii()
        assert "?" not in shown.stdout


def test_a_variable_of_pythons_own_wins_over_the_locale() -> None:
    for env in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "", "PYTHONUTF8": "1"}):
        assert "\u256d" in run("activate", "relu", "--x", "1", env=env).stdout


@pytest.mark.parametrize(
    "words", [["activate", "sigmoid", "--x", "1", "--json"], ["grad", "\u03b1*x", "x=1"]]
)
def test_a_latin_locale_is_no_trouble(words: list[str]) -> None:
    assert run(*words, env={"PYTHONIOENCODING": "latin-1"}).status in (0, 2)


@pytest.mark.parametrize("digits", [1, 3, 9])
def test_precision_sets_the_significant_digits_of_tables(digits: int) -> None:
    text = run(
        "activate", "sigmoid", "--x", "0.3", "--dtype", "float64", "--precision", str(digits)
    ).stdout
    s = 1 / (1 + 2.718281828459045**-0.3)
    assert f"{s:.{digits}g}" in text
    assert f"{s * (1 - s):.{digits}g}" in text


@pytest.mark.parametrize("digits", ["0", "-1", "101", "six", "1.5", ""])
def test_a_precision_that_is_none_is_an_error(digits: str) -> None:
    shown = run("activate", "relu", "--x", "1", "--precision", digits)
    assert (shown.status, shown.stdout) == (2, "")
    assert "--precision" in shown.stderr


def test_zero_stands_for_exact_zero_alone() -> None:
    text = run("activate", "sigmoid", "--x", "-80,0", "--dtype", "float64").stdout
    assert "1.80485e-35" in text
    assert "0.0000" not in text
    assert re.search(r"\b0\b", run("activate", "relu", "--x", "-3").stdout)


def test_columns_align_at_the_decimal_point() -> None:
    lines = run("activate", "relu", "--x", "1.5,-22.25,333").stdout.splitlines()
    cells = [line.split("\u2502")[2] for line in lines if re.match("\u2502 [012] ", line)]
    points = [cell.index(".") if "." in cell else len(cell.rstrip()) for cell in cells]
    assert len(cells) == 3
    assert len(set(points)) == 1


def test_large_tensors_are_summarised_unless_full() -> None:
    words = ["activate", "relu", "--x", "arange(2000)"]
    short, full = run(*words).stdout, run(*words, "--full").stdout
    assert "..." in short
    assert "\u2026" not in short
    assert "1998" in short
    assert "1000" not in re.findall(r"\d+", short)
    assert set(map(str, range(2000))) <= set(re.findall(r"\d+", full))
    assert len(run(*words, "--csv").stdout.splitlines()) == 2001
    assert len(run(*words, "--json").json["functions"][0]["value"]) == 2000


def test_small_tensors_are_shown_whole() -> None:
    assert "..." not in run("activate", "relu", "--x", "arange(300)").stdout


def test_shapes_and_dtype_are_stated() -> None:
    text = run(
        "loss", "mse", "--pred", "zeros(2,3)", "--target", "zeros(2,3)", "--dtype", "float16"
    ).stdout
    assert "float16" in text
    assert "[2, 3]" in text


# colour

COLOURED = "\x1b["


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1"}, False),
    ],
)
def test_colour_follows_the_variables(env: dict[str, str], coloured: bool) -> None:
    table = run("grad", "x**2", "x=3", env=env)
    assert (COLOURED in table.stdout) is coloured
    error = run("grad", "x**2", env=env)
    assert (COLOURED in error.stderr) is coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", table.stdout) == run("grad", "x**2", "x=3").stdout


def on_terminal(*words: str, width: int, env: dict[str, str], keys: bytes = b"") -> str:
    """What a call shows on a terminal of that width, on both of its output streams; `keys` are
    typed into it.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    pid = program.fork()
    if pid == 0:
        os.close(ours)
        program.child(words, (theirs, theirs, theirs), {**program.BASE, **env}, None)
    os.close(theirs)
    os.write(ours, keys)
    text = b""
    with suppress(OSError):  # how Linux says that nobody has the terminal open any more
        while piece := os.read(ours, 65536):
            text += piece
    os.close(ours)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_a_terminal_gets_colour_unless_it_says_otherwise(
    env: dict[str, str], coloured: bool
) -> None:
    text = on_terminal("grad", "x**2", "x=3", width=80, env=env)
    assert (COLOURED in text) is coloured
    assert "x**2 = 9" in text


@pytest.mark.parametrize("width", [30, 60])
def test_a_terminal_is_not_overrun(width: int) -> None:
    text = on_terminal(*LOSS, "--quiet", width=width, env={"TERM": "dumb"})
    assert max(map(len, text.splitlines())) <= width
    assert (
        on_terminal(*LOSS, "--quiet", width=200, env={"TERM": "dumb", "COLUMNS": str(width)})
        == text
    )


def test_a_terminal_that_is_waited_for_is_told_so() -> None:
    text = on_terminal(
        "activate", "relu", "--x", "-", "--csv", width=80, env={"TERM": "dumb"}, keys=b"1 2\n\x04"
    )
    assert "standard input" in text
    assert "0,1.0,1.0,1.0\n1,2.0,2.0,1.0\n" in text


@pytest.mark.parametrize("form", [["--json"], ["--csv"], ["--get", "value"]])
def test_machines_get_no_colour(form: list[str]) -> None:
    assert COLOURED not in run("grad", "x**2", "x=3", *form, env={"FORCE_COLOR": "1"}).stdout


# JSON


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (EACH, "expression rows"),
        (TRAIN, "epochs converged w b history"),
        (["descend", "x**2", "x=1", "--steps", "1"], "expression steps parameters value stopped"),
        (["flow", "relu", "--layers", "2", "--width", "2"], "layers verdict factors"),
        (["plot", "x**2", "x=1,2"], "x curves"),
        (["plot", "x*y", "x=1,2", "y=3,4"], "x value gradients"),
        (
            [*GRAD, "--explain", "--check", "--expect", "value=1"],
            "ledger check expect ok expression value gradients intermediates",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)  # fmt: skip
def test_the_keys_of_the_json_are_those_of_the_contract(words: list[str], keys: str) -> None:
    shown = run(*words, "--json", "--quiet")
    assert list(orjson.loads(shown.stdout)) == [
        "command",
        "dtype",
        "inputs",
        "defaults",
        "notes",
        *keys.split(),
    ]


@by_command
def test_json_is_one_object_on_one_line(words: list[str]) -> None:
    shown = run(*words, "--json")
    assert shown.stdout.endswith("}\n")
    assert shown.stdout.count("\n") == 1
    result = shown.json
    assert result["command"] == words[0]
    assert result["dtype"] == "float32"
    assert isinstance(result["inputs"], dict)
    assert all(set(note) == {"code", "text"} for note in result["notes"])


ROWS = {
    "steps": ["descend", "((w - 1)**2).sum()*y", "w=0,3", "y=2", "--wrt", "w", "--steps", "3"],
    "rows": [
        "grad",
        "(w @ x)[y]*v",
        "x=1,2;3,4;5,6",
        "w=1,2;3,4",
        "y=tensor([0,1,0])",
        "v=1",
        "--each",
        "x,y",
    ],
    "history": ["perceptron", "--train", "nand", "--epochs", "3"],
    "layers": ["flow", "relu", "tanh", "--layers", "3", "--width", "4"],
}


@pytest.mark.parametrize("rows", ROWS)
def test_a_file_of_arrays_and_get_have_the_columns_of_rows(rows: str, tmp_path: Path) -> None:
    """One array for each column, text too, as the JSON has it row by row; --get has it under the
    same path.
    """
    result = run(*ROWS[rows], "--json").json
    assert run(*ROWS[rows], "--quiet", "--out", "a.npz", cwd=str(tmp_path)).status == 0
    with np.load(tmp_path / "a.npz") as file:
        stacked = {name: file[name] for name in file if name.startswith(f"{rows}.")}
    kept = {path: [_at(row, path) for row in result[rows]] for path in _paths(result[rows][0])}
    assert stacked.keys() == {
        f"{rows}.{path}" for path, column in kept.items() if column[0] is not None
    }
    for path, column in kept.items():
        if column[0] is not None:
            assert (
                stacked[f"{rows}.{path}"].tolist()
                == np.array(column, stacked[f"{rows}.{path}"].dtype).tolist()
            )
    for path, column in (*kept.items(),)[
        :: len(kept) - 1
    ]:  # the first and the last: --get walks to all of them alike
        assert orjson.loads(run(*ROWS[rows], "--quiet", "--get", f"{rows}.{path}").stdout) == column
    one, same = (
        run(*ROWS[rows], "--quiet", "--get", each)
        for each in (f"{rows}.{path}.2", f"{rows}.2.{path}")
    )
    assert one == same
    wrong = run(*ROWS[rows], "--quiet", "--get", f"{rows}.nothing")
    assert (wrong.status, wrong.stdout) == (2, "")
    assert f"for all of them: {rows}." in wrong.stderr


def _paths(row: Any, path: str = "") -> list[str]:
    if isinstance(row, dict):
        return [
            found
            for key, item in row.items()
            for found in _paths(item, f"{path}.{key}" if path else key)
        ]
    return [path]


def _at(row: Any, path: str) -> Any:
    for key in path.split("."):
        row = row[key]
    return row


def test_rows_of_unequal_shapes_are_arrays_by_themselves() -> None:
    steps = [DescentStep(i, torch.tensor(i / 2), {"w": torch.ones(i + 1)}) for i in range(2)]
    result = DescendResult(
        command="descend", dtype="float32", inputs={}, defaults=[], notes=[], expression="w", steps=steps,
        parameters={}, value=torch.tensor(0.5), stopped="steps",
    )  # fmt: skip
    found = {name: array.tolist() for name, array in archive.arrays(result).items()}
    assert found == {
        "value": 0.5, "steps.step": [0, 1], "steps.value": [0.0, 0.5],
        "steps.0.parameters.w": [1.0], "steps.1.parameters.w": [1.0, 1.0],
    }  # fmt: skip


DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@pytest.mark.parametrize("name", DTYPES)
def test_digits_read_back_to_the_same_number_and_are_the_shortest_that_do(name: str) -> None:
    dtype = DTYPES[name]
    result = run("activate", "tanh", "--x", "randn(200)", "--dtype", name, "--json").json
    torch.manual_seed(0)
    x = torch.randn(200, dtype=dtype)
    assert torch.equal(torch.tensor(result["inputs"]["x"], dtype=torch.float64).to(dtype), x)
    read = torch.tensor(result["functions"][0]["value"], dtype=torch.float64).to(dtype)
    assert torch.equal(read, torch.tanh(x))
    for number, exact in zip(
        result["functions"][0]["value"], torch.tanh(x).double().tolist(), strict=True
    ):
        digits = len(
            repr(number).split("e")[0].replace(".", "").replace("-", "").lstrip("0").rstrip("0")
        )
        shorter = torch.tensor(float(f"{exact:.{max(digits - 1, 1)}g}"), dtype=torch.float64)
        assert digits <= 1 or shorter.to(dtype).item() != exact, number


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_what_a_small_dtype_prints_is_read_back_equal_by_the_program_itself(name: str) -> None:
    first = run("grad", "x.exp().sum()", "x=randn(50)", "--dtype", name, "--json").json
    again = run("grad", "x.sum()", f"x={first['gradients']['x']}", "--dtype", name, "--json").json
    assert again["inputs"]["x"] == first["gradients"]["x"]


def test_numbers_that_are_not_finite_are_strings_that_literals_read_back() -> None:
    result = run("activate", "relu", "--x", "nan,inf,-inf", "--json").json
    assert result["inputs"]["x"] == ["NaN", "Infinity", "-Infinity"]
    assert result["functions"][0]["value"][1] == "Infinity"
    again = run("activate", "relu", "--x", '["NaN", "Infinity", "-Infinity"]', "--json").json
    assert again["inputs"] == result["inputs"]
    large = run("activate", "relu", "--x", "[1e30, NaN]", "--json").json
    assert large["inputs"]["x"] == [1e30, "NaN"]


def test_large_arrays_with_one_nan_keep_the_rules() -> None:
    x = run("grad", "(x/x).sum()", "x=arange(3000)", "--json").json["gradients"]["x"]
    assert x[0] == "NaN"
    assert len(x) == 3000


def test_what_is_given_as_integers_and_bools_stays_so() -> None:
    result = run(
        "grad", "where(m, x, 0*x)[i]", "x=1,2", "m=True,False", "i=tensor(0)", "--json"
    ).json
    assert result["inputs"] == {"x": [1.0, 2.0], "m": [True, False], "i": 0}
    assert result["gradients"] == {"x": [1.0, 0.0], "m": None, "i": None}


def test_empty_tensors_keep_their_shape() -> None:
    assert run("activate", "relu", "--x", "zeros(2,0)", "--json").json["inputs"]["x"] == [[], []]


# --get


@pytest.mark.parametrize(
    ("words", "path", "printed"),
    [
        (["grad", "--fn", "mse", "--x", "1", "--w", "2"], "gradients.w", "2.0"),
        (["grad", "--fn", "mse", "--x", "1", "--w", "2"], "expression", "mse(x*w + b, y)"),
        (["grad", "--fn", "mse", "--x", "1", "--w", "2"], "defaults", '["b","y"]'),
        (["grad", "--fn", "mse", "--x", "1", "--w", "2"], "defaults.1", "y"),
        (
            ["grad", "--fn", "mse", "--x", "1", "--w", "2"],
            "inputs",
            '{"x":1.0,"w":2.0,"b":0.0,"y":1.0}',
        ),
        (["grad", "x.sum()", "x=1,2;3,4"], "inputs.x", "[[1.0,2.0],[3.0,4.0]]"),
        (["grad", "x.sum()", "x=1,2;3,4"], "inputs.x.1", "[3.0,4.0]"),
        (["grad", "x.sum()", "x=1,2;3,4"], "inputs.x.1.0", "3.0"),
        (["grad", "x*2", "x=1", "y=3"], "gradients.y", "null"),
        (["grad", "x*nan", "x=1"], "value", "NaN"),
        (["grad", "x/0", "x=-1"], "value", "-Infinity"),
        (["grad", "x*nan", "x=1"], "gradients", '{"x":"NaN"}'),
        (["grad", "x*1e-7", "x=1"], "value", "1e-7"),
        (["grad", "x[i]", "x=1,2", "i=tensor(1)"], "inputs.i", "1"),
        (["grad", "x[m].sum()", "x=1,2", "m=True,False"], "inputs.m.0", "true"),
        (["activate", "relu", "tanh", "--x", "1,2,3"], "functions.0.value.2", "3.0"),
        (["activate", "relu", "tanh", "--x", "1,2,3"], "functions.1.name", "tanh"),
        (["activate", "step", "--x", "1"], "functions.0.derivative", "null"),
        (["softmax-jacobian", "2,1,0.1"], "label", "0"),
        (["perceptron", "--train", "xor", "--activation", "step"], "converged", "false"),
        (["perceptron", "--train", "or", "--activation", "step"], "history.2.errors", "0"),
        (["hessian", "x**2 - y**2", "x=0", "y=0"], "kind", "saddle"),
        (["hessian", "x**2 - y**2", "x=1", "y=0"], "kind", "null"),
        (["hessian", "x**2 - y**2", "x=1", "y=0"], "eigenvalues", "[-2.0,2.0]"),
        (["hessian", "x**2 - y**2", "x=1", "y=0"], "hessian.x.y", "0.0"),
        (["jacobian", "x*2", "x=1,2"], "jacobian.x.0", "[2.0,0.0]"),
        (EACH, "rows.0.x", "-2.0"),
    ],
)
def test_get_prints_one_value_bare(words: list[str], path: str, printed: str) -> None:
    assert run(*words, "--get", path, "--quiet") == Ran(printed + "\n", "", 0)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("gradient.w", "gradients.w"),
        ("gradients.q", "gradients.w"),
        ("vlaue", "value"),
        ("gradients.w.0", "gradients.w"),
        ("inputs.x.7", "inputs.x"),
        ("inputs.x.-1", "inputs.x"),
        ("inputs..x", "inputs"),
        ("value.", "value"),
        ("", "value"),
        ("nothing", "gradients"),
        ("inputs.x.\u0661", "inputs.x"),
        ("defaults.99999999999999999999", "defaults"),
    ],
)
def test_an_unknown_path_names_the_near_ones(path: str, near: str) -> None:
    shown = run("grad", "--fn", "mse", "--x", "1,2", "--w", "2", "--get", path)
    assert (shown.status, shown.stdout) == (2, "")
    assert near in shown.stderr


@by_command
def test_every_path_that_the_json_has_can_be_got(words: list[str]) -> None:
    def paths(value: Any, path: str) -> list[str]:
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        return [path, *(deeper for key, item in items for deeper in paths(item, f"{path}.{key}"))]

    result = run(*words, "--json").json
    every = [path for key, value in result.items() for path in paths(value, key)]
    for path in (every[len(every) // 2], every[-1]):
        assert run(*words, "--get", path).status == 0, path


# forms


@pytest.mark.parametrize(
    "forms",
    [
        ["--json", "--csv"],
        ["--json", "--get", "value"],
        ["--csv", "--get", "value"],
        ["--json", "--code"],
        ["--code", "--get", "value"],
    ],
)
def test_two_forms_are_a_usage_error(forms: list[str]) -> None:
    shown = run("grad", "x**2", "x=3", *forms)
    assert (shown.status, shown.stdout) == (2, "")
    assert all(form in shown.stderr for form in forms if form.startswith("--"))


MAIN = ("functions", "losses", "jacobian", "hessian", "history", "rows", "gradients", "value")
"""Where each command's main numbers are in its JSON."""


@by_command
def test_csv_is_rectangular_and_exact(words: list[str]) -> None:
    rows = list(csv.reader(run(*words, "--csv").stdout.splitlines()))
    assert len({len(row) for row in rows}) == 1
    cells = shown_numbers(" ".join(cell for row in rows[1:] for cell in row))
    result = run(*words, "--json").json
    main = next(key for key in MAIN if key in result)
    value = [loss["gradient"] for loss in result["losses"]] if main == "losses" else result[main]
    assert set(numbers(value)) <= cells


# notes


def test_notes_go_to_stderr_and_nowhere_else() -> None:
    shown = run(*NOTED)
    assert shown.stderr.startswith("note: ")
    assert "[diagonal]" in shown.stderr
    assert "note" not in shown.stdout


def test_json_spells_every_number_as_python_does_with_the_fewest_digits() -> None:
    """Whichever way the tensor takes: alone, among others that are not finite, as one of many."""
    generator = torch.Generator().manual_seed(1)
    exponents = torch.arange(-44, 39).repeat_interleave(12)
    numbers = (
        torch.rand(len(exponents), generator=generator, dtype=torch.float64) * 10.0**exponents
    ).float()
    numbers = torch.cat(
        [
            numbers,
            torch.tensor([0.0, -0.0, 1.0, 0.1, 1e-6, 9.9e-6, 1e-5, 1e15, 1e16, 5e14, 16777217.0]),
        ]
    )
    for tensor in (*numbers, numbers, numbers.reshape(19, -1), numbers.double()):
        text = json.encode({"value": tensor}).decode()
        spelled = (
            [text.removeprefix('{"value":').removesuffix("}")]
            if not tensor.ndim
            else re.findall(r"[-+.0-9e]+", text)[1:]
        )
        short = [
            next(float(f"{number:.{n}g}") for n in range(1, 18) if np.float32(f"{number:.{n}g}") == np.float32(number))
            if tensor.dtype == torch.float32 else number
            for number in tensor.reshape(-1).tolist()
        ]  # fmt: skip
        assert spelled == [orjson.dumps(number).decode() for number in short]
    mixed = json.encode({"a": torch.tensor([1.0, float("nan")]), "b": numbers[:20], "c": None})
    assert mixed.startswith(b'{"a":[1.0,"NaN"],"b":[')
    assert mixed.endswith(b'],"c":null}')


def test_with_json_notes_are_in_it_alone() -> None:
    shown = run(*NOTED, "--json")
    assert shown.stderr == ""
    assert shown.json["notes"]


def test_quiet_drops_notes_but_not_those_of_json_nor_errors() -> None:
    assert run(*NOTED, "--quiet").stderr == ""
    assert run(*NOTED, "--quiet", "--json").json["notes"]
    assert run("activate", "softmaxx", "--x", "1", "--quiet").stderr.startswith("error: ")


@pytest.mark.parametrize("form", [["--csv"], ["--get", "functions.0.value"]])
def test_the_other_forms_keep_notes_on_stderr(form: list[str]) -> None:
    assert run(*NOTED, *form).stderr.startswith("note: ")


def test_pytorchs_own_warnings_are_notes_and_never_raw() -> None:
    """Nor those of its loading: a fresh call prints byte for byte what a forked one does."""
    words = ("loss", "mse", "--pred", "1,2,3", "--target", "1;2;3")
    shown = cold(*words)
    assert shown == run(*words)
    assert shown.status == 0
    assert all(line.startswith("note: ") for line in shown.stderr.splitlines())
    assert "UserWarning" not in shown.stderr
    assert ".py" not in shown.stderr


# --out


@by_command
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_file_holds_what_the_form_prints(words: list[str], form: str, tmp_path: Path) -> None:
    shown = run(*words, "--out", f"result.{form}", cwd=str(tmp_path))
    assert shown.status == 0
    assert shown.stdout.count("\n") == 1
    assert f"result.{form}" in shown.stdout
    assert (tmp_path / f"result.{form}").read_text() == run(*words, f"--{form}").stdout
    assert os.listdir(tmp_path) == [f"result.{form}"]


def arrays(folder: Path, *words: str) -> dict[str, Any]:
    assert run(*words, "--out", "all.npz", cwd=str(folder)).status == 0
    with np.load(folder / "all.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["activate", "relu", "--x", "1,2"], {"value", "derivative"}),
        (["activate", "relu", "step", "--x", "1,2"], {"functions.0.value", "functions.0.derivative", "functions.1.value"}),
        (["loss", "mse", "--pred", "1,2", "--target", "1,1"], {"value", "elements", "gradient"}),
        (["loss", "mse", "l2_norm", "--pred", "1,2", "--target", "1,1"],
         {"losses.0.value", "losses.0.elements", "losses.0.gradient", "losses.1.value", "losses.1.gradient"}),
        (["grad", "h = w*x; h.sum()", "x=1,2", "w=3"],
         {"value", "gradients.x", "gradients.w", "intermediates.h.value", "intermediates.h.gradient"}),
        (["softmax-jacobian", "1,2"], {"probabilities", "jacobian"}),
        (["softmax-jacobian", "1,2", "--row", "1"], {"probabilities", "jacobian", "row"}),
        (["perceptron", "--x", "1,2", "--w", "1,2", "--target", "1"],
         {"z", "output", "loss", "gradients.w", "gradients.b", "gradients.x"}),
        (["jacobian", "x*w", "x=1,2", "w=3"], {"value", "jacobian.x", "jacobian.w"}),
        (["hessian", "x**2*y", "x=1", "y=2"],
         {"value", "gradients.x", "gradients.y", "hessian.x.x", "hessian.x.y", "hessian.y.x", "hessian.y.y", "eigenvalues"}),
    ],
)  # fmt: skip
def test_npz_holds_every_array_under_its_path(
    words: list[str], names: set[str], tmp_path: Path
) -> None:
    found = arrays(tmp_path, *words)
    assert set(found) == names
    result = run(*words, "--json").json
    single = {"activate": "functions", "loss": "losses"}.get(words[0])
    for path, array in found.items():
        value = result[single][0] if single and not path.startswith(single) else result
        for key in path.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        assert array.dtype == np.float32
        assert np.array_equal(array, np.array(value, dtype=np.float32)), path


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["activate", "tanh", "--x", "1,2;3,4"], "functions.0.value"),
        (["loss", "mse", "--pred", "1,2", "--target", "0,0"], "losses.0.gradient"),
        (["perceptron", "--x", "1,2", "--w", "1,2;3,4", "--target", "1,0"], "output"),
        (["grad", "x**2", "x=3"], "gradients.x"),
        (["grad", "w*x", "x=3", "w=2", "--wrt", "w"], "gradients.w"),
        (["softmax-jacobian", "1,2,3"], "jacobian"),
        (["jacobian", "x**2", "x=1,2"], "jacobian.x"),
    ],
)
def test_npy_holds_the_main_array(words: list[str], path: str, tmp_path: Path) -> None:
    assert run(*words, "--out", "main.npy", cwd=str(tmp_path)).status == 0
    value = run(*words, "--json").json
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    assert np.array_equal(np.load(tmp_path / "main.npy"), np.array(value, dtype=np.float32))


def test_npy_of_several_gradients_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    shown = run("grad", "x*w", "x=3", "w=2", "--out", "main.npy", cwd=str(tmp_path))
    assert (shown.status, shown.stdout) == (2, "")
    assert "--wrt" in shown.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "dtype"), [("float64", np.float64), ("float16", np.float16), ("bfloat16", np.float32)]
)
def test_files_hold_the_jobs_dtype(name: str, dtype: Any, tmp_path: Path) -> None:
    words = ["activate", "sigmoid", "--x", "0.1,0.3", "--dtype", name]
    found = arrays(tmp_path, *words)["value"]
    assert found.dtype == dtype
    assert found.tolist() == pytest.approx(
        run(*words, "--json").json["functions"][0]["value"], rel=1e-2
    )


def test_what_was_written_can_be_read_back(tmp_path: Path) -> None:
    run("activate", "sigmoid", "--x", "randn(3,4)", "--out", "s.npz", cwd=str(tmp_path))
    again = run("activate", "relu", "--x", "@s.npz:value", "--json", cwd=str(tmp_path)).json
    expected = run("activate", "sigmoid", "--x", "randn(3,4)", "--json").json
    assert again["inputs"]["x"] == expected["functions"][0]["value"]


@pytest.mark.parametrize(
    "name", ["result", "result.txt", "result.pdf", "result.npyz", ".json", "json", ""]
)
def test_another_suffix_is_an_error_before_anything_is_computed(name: str, tmp_path: Path) -> None:
    shown = run("grad", "x**2", "x=3", "--out", name, cwd=str(tmp_path))
    assert (shown.status, shown.stdout) == (2, "")
    assert "--out" in shown.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["RESULT.JSON", "a.b.json", "with space.json", "-.json"])
def test_a_suffix_counts_in_any_case(name: str, tmp_path: Path) -> None:
    assert run("grad", "x**2", "x=3", f"--out={name}", cwd=str(tmp_path)).status == 0
    assert os.listdir(tmp_path) == [name]


# errors


LONG = "x + " * 300 + "q"


@pytest.mark.parametrize(
    "words",
    [
        ["grad", LONG, "x=1"],
        ["grad", "x @ y", "x=1,2", "y=1,2,3"],
        ["activate", "relu", "--x", "1," * 400 + "z"],
        ["activate", "q" * 3000, "--x", "1"],
        ["grad", "x**2", "x=1", "--out", "/" + "d" * 5000 + ".json"],
        ["grad", "x", "x=" + "[" * 100],
        ["grad", "\ud800", "x=1"],
        ["grad", "x\x01", "x=1"],
        ["loss", "mse", "--pred", "1,2", "--target", "1,2,3"],
        ["x" * 10_000],
        ["grad", "--" + "x" * 10_000],
        ["grad", "x*2", "x=1", "--get", "v" * 10_000],
        ["grad", "x*2", "x=1", "--wrt", "v" * 10_000],
    ],
    ids=lambda words: " ".join(words)[:30].encode("ascii", "replace").decode(),
)
def test_an_error_is_short_whatever_was_typed(words: list[str]) -> None:
    shown = run(*words)
    assert (shown.status, shown.stdout) == (2, ""), shown.stderr[:500]
    assert shown.stderr.startswith("error: ")
    assert len(shown.stderr) < 3000
    assert len(shown.stderr.splitlines()) <= 7
    assert max(map(len, shown.stderr.splitlines()[1:]), default=0) <= 200
    assert "Traceback" not in shown.stderr


def test_a_place_is_quoted_with_at_most_80_characters_and_a_caret_under_it() -> None:
    lines = run("grad", LONG, "x=1").stderr.splitlines()
    caret = next(i for i, line in enumerate(lines) if set(line.strip()) == {"^"})
    quoted, column = lines[caret - 1], lines[caret].index("^")
    assert quoted[column] == "q"
    assert len(quoted.strip().replace("...", "")) <= 80


def test_with_json_an_error_is_still_text_on_stderr() -> None:
    shown = run("grad", "x**2", "--json")
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")


@pytest.mark.parametrize("option", [["--out", "r.json"], ["--json"], []])
def test_on_bad_input_stdout_stays_empty_and_no_file_appears(
    option: list[str], tmp_path: Path
) -> None:
    for words in (
        ["grad", "x @ x", "x=1;2"],
        ["grad", "q", "x=1"],
        ["activate", "relu", "--x", "1,,2"],
    ):
        shown = run(*words, *option, cwd=str(tmp_path))
        assert (shown.status, shown.stdout) == (2, ""), words
    assert os.listdir(tmp_path) == []


def test_a_fault_of_gradclis_own_is_one_line_that_says_how_to_report_it_and_70(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: Any, **more: Any) -> Any:
        raise ZeroDivisionError("a slip of ours")

    monkeypatch.setattr(core, "gradients", broken)
    shown = run("grad", "x**2", "x=1", here=True)
    assert (shown.status, shown.stdout, shown.stderr.count("\n")) == (70, "", 1)
    assert shown.stderr.startswith(
        "error: internal error in gradcli (ZeroDivisionError: a slip of ours at "
    )
    assert "please report it" in shown.stderr


def test_gradcli_debug_adds_the_whole_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> Any:
        try:
            raise KeyError("what led to it")
        except KeyError as error:
            raise SystemExit("a slip\nof ours") from error

    monkeypatch.setattr(core, "gradients", broken)
    plain = run("grad", "x**2", "x=1", here=True)
    assert run("grad", "x**2", "x=1", env={"GRADCLI_DEBUG": "0"}, here=True) == plain
    shown = run("grad", "x**2", "x=1", env={"GRADCLI_DEBUG": "1"}, here=True)
    assert (shown.status, shown.stdout) == (plain.status, plain.stdout) == (70, "")
    first, rest = shown.stderr.split("\n", 1)
    assert first + "\n" == plain.stderr
    assert rest.startswith("Traceback (most recent call last):\n")
    for words in ("what led to it", "in broken", "in compute", "a slip\nof ours"):
        assert words in rest


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_operator_without_the_dtype_offers_float32(dtype: str) -> None:
    shown = run("grad", "torch.linalg.det(A)", "A=1,2;3,4", "--dtype", dtype)
    assert shown.status == 2
    assert "float32" in shown.stderr
