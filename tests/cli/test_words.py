"""The words of a command line: what is an option and what a value, NAME=T, suggestions, usage
errors, hints.
"""

import re
import shlex
from pathlib import Path

import pytest
import torch

from gradcli.cli import main as program
from gradcli.commands import COMMANDS as ALL
from gradcli.errors import UsageError
from gradcli.options.fields import flag_name
from gradcli.options.shared import ComputeOptions
from gradcli.world import World
from tests.choice import rare
from tests.program import Ran, cold, run

COMMANDS = [name for name, it in ALL.items() if issubclass(it.request, ComputeOptions)]


SHARED = (
    "--wrt", "--dtype", "--device", "--seed", "--timeout", "--check", "--expect", "--tol", "--explain",
    "--json", "--csv", "--get", "--code", "--graph", "--out", "--precision", "--full", "--quiet",
)  # fmt: skip


VALID = {
    "grad": ["x**2", "x=1"],
    "derive": ["x**2", "x=1"],
    "check": ["tests/cases/checked.py:square", "x=1,2"],
    "activate": ["relu", "--x", "1"],
    "loss": ["mse", "--pred", "1", "--target", "1"],
    "softmax-jacobian": ["1,2"],
    "perceptron": ["--x", "1,", "--w", "1,", "--target", "1"],
    "jacobian": ["x**2", "x=1"],
    "hessian": ["x**2", "x=1"],
    "value": ["x**2", "x=1"],
    "plot": ["x**2", "x=1,2"],
    "descend": ["x**2", "x=1"],
    "flow": ["relu", "--layers", "2", "--width", "2"],
}
"""For each command that computes, words that it takes."""


def refused(*words: str, stdin: str = "", cwd: str | None = None) -> str:
    """What a refused call says on stderr; it must leave stdout empty and end with 2."""
    shown = run(*words, stdin=stdin, cwd=cwd)
    assert (shown.status, shown.stdout) == (2, ""), shown
    assert shown.stderr.startswith("error: ")
    assert "Traceback" not in shown.stderr
    return shown.stderr


# what is an option


@pytest.mark.parametrize(
    ("words", "path", "printed"),
    [
        (["grad", "-x**2", "x=3"], "value", "-9.0"),
        (["grad", "-x", "x=3"], "value", "-3.0"),
        (["grad", "-h*x", "h=2", "x=3"], "value", "-6.0"),
        (["grad", "-(x*x)", "x=3"], "gradients.x", "-6.0"),
        (["grad", "x**2", "x=-3"], "gradients.x", "-6.0"),
        (["softmax-jacobian", "-1,2"], "inputs.x", "[-1.0,2.0]"),
        (["softmax-jacobian", "--", "-1,2"], "inputs.x", "[-1.0,2.0]"),
        (["softmax-jacobian", "--x", "-1,2"], "inputs.x", "[-1.0,2.0]"),
        (["softmax-jacobian", "--x=-1,2"], "inputs.x", "[-1.0,2.0]"),
        (["activate", "relu", "--x", "-2"], "functions.0.value", "0.0"),
        (["activate", "relu", "--x", "-inf"], "inputs.x", "-Infinity"),
        (["loss", "mse", "--pred", "-1", "--target", "-3"], "losses.0.value", "4.0"),
        (["grad", "--fn", "mse", "--x", "-1", "--w", "-2", "--b", "-.5"], "value", "0.25"),
        (["grad", "--x", "1", "--fn", "relu"], "value", "1.0"),
        (["grad", "x**2", "--wrt", "x", "x=3"], "value", "9.0"),
        (["grad", "--wrt=x", "x**2", "x=3"], "value", "9.0"),
        (["grad", "--", "-x**2", "x=3"], "value", "-9.0"),
        (["grad", "--", "--x", "x=3"], "value", "3.0"),
        (["grad", "---x", "x=3"], "value", "-3.0"),
    ],
)
def test_a_word_that_begins_with_one_dash_is_a_value(
    words: list[str], path: str, printed: str
) -> None:
    place = words.index("--") if "--" in words else len(words)
    shown = run(*words[:place], "--get", path, *words[place:])
    assert (shown.stdout, shown.status) == (printed + "\n", 0), shown.stderr


def test_dash_h_is_the_only_short_option() -> None:
    assert run("grad", "-h").stdout == run("grad", "--help").stdout
    assert run("-h").stdout == run("--help").stdout == run("help").stdout
    assert (
        run("grad", "-h").stdout
        == run("help", "grad").stdout
        == run("help", "grad", "--help").stdout
    )
    assert "sage" in run("-h").stdout
    for word in ("-v", "-x", "-q", "-hx"):
        assert "usage:" not in run("grad", word, "x=1", "h=2", "q=3", "v=4", "hx=5").stdout


def test_behind_two_dashes_nothing_is_an_option() -> None:
    assert run("softmax-jacobian", "--json", "--", "-1,2").json["inputs"]["x"] == [-1.0, 2.0]
    assert "usage:" not in run("grad", "--", "-h", "h=2").stdout
    assert run("grad", "--get", "value", "--", "-h", "h=2").stdout == "-2.0\n"
    assert "too many arguments" in refused("softmax-jacobian", "--", "1,2", "--json")


def test_an_option_in_the_place_of_a_value_is_a_missing_value() -> None:
    assert "--x needs a value" in refused("grad", "--fn", "mse", "--x", "--w", "2")
    assert "--w needs a value" in refused("grad", "--fn", "mse", "--x", "1", "--w")
    assert "--x needs a value" in refused("activate", "relu", "--x", "--")


def test_a_flag_takes_no_value() -> None:
    assert "--json" in refused("grad", "x", "x=1", "--json=yes")


@pytest.mark.parametrize(
    "words", [["--x", "1"], ["--json"], ["--dtype", "float64"], ["--dtype=float64"]]
)
def test_an_option_given_twice_is_an_error(words: list[str]) -> None:
    name = words[0].split("=")[0]
    assert f"{name} is given twice" in refused("activate", "relu", *words, *words)


# suggestions


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["grda"], "grad"),
        (["Grad"], "grad"),
        (["activte", "relu"], "activate"),
        (["softmax_jacobian", "1,2"], "softmax-jacobian"),
        (["jacobain"], "jacobian"),
        (["--verson"], "--version"),
        (["--halp"], "--help"),
        (["grad", "--jsn"], "--json"),
        (["grad", "--presicion", "3"], "--precision"),
        (["grad", "--WRT", "x"], "--wrt"),
        (["perceptron", "--activations", "relu"], "--activation"),
        (["activate", "sigmod", "--x", "1"], "sigmoid"),
        (["activate", "Sigmoid", "--x", "1"], "sigmoid"),
        (["loss", "cross_entrpy", "--pred", "1,2", "--target", "0"], "cross_entropy"),
        (["grad", "--fn", "mes", "--x", "1"], "mse"),
        (["grad", "sigmod(x)", "x=1"], "sigmoid"),
        (["grad", "wieght*x", "x=1", "weight=2"], "weight"),
        (["grad", "x.sigmod()", "x=1"], "sigmoid"),
        (["grad", "x**2", "x=1", "--via", "backwards"], "backward"),
        (["grad", "x**2", "x=1", "--dtype", "float46"], "float64"),
        (["grad", "weight**2", "weight=1", "--wrt", "wieght"], "weight"),
        (["grad", "weight**2", "weight=1,2", "--each", "wieght"], "weight"),
        (["loss", "mse", "--pred", "1", "--target", "1", "--reduction", "maen"], "mean"),
    ],
)
def test_a_misspelt_word_is_asked_after(typed: list[str], meant: str) -> None:
    assert re.search(rf"did you mean .*{re.escape(meant)}", refused(*typed))


def test_what_resembles_nothing_is_not_asked_after() -> None:
    assert "did you mean" not in refused("qqqqqqqq")
    assert "did you mean" not in refused("grad", "--qqqqqqqq")


def test_an_unknown_option_names_the_help() -> None:
    assert "--help" in refused("grad", "--qqqqqqqq")
    assert "--nonsense" in refused("grad", "--nonsense")


def test_a_command_that_needs_more_says_what() -> None:
    for words, missing in {
        ("activate",): "NAME",
        ("activate", "relu"): "--x",
        ("loss", "mse", "--pred", "1"): "--target",
        ("jacobian",): "EXPR",
        ("hessian",): "EXPR",
        ("perceptron",): "--x",
        ("softmax-jacobian",): "logits",
    }.items():
        assert missing in refused(*words)


# NAME=T


@pytest.mark.parametrize("words", [["x=1"], ["x = 1"], [" x =1 "]])
def test_a_quoted_input_may_have_blanks(words: list[str]) -> None:
    assert run("grad", "x*2", *words, "--get", "inputs.x").stdout == "1.0\n"


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (["x", "=", "1"], "'x=1'"),
        (["x", "=1"], "'x=1'"),
        (["x=", "1"], "'x=1'"),
        (["x=1,", "2"], "'x=1, 2'"),
        (["x=[1,", "2,", "3]"], "'x=[1, 2, 3]'"),
        (["w=2", "x=1,", "2"], "'x=1, 2'"),
        (["x=1,", "2", "w=2"], "'x=1, 2'"),
        (["x", "=", "1,", "2"], "'x=1, 2'"),
        (["x", "=", "1", "w", "=", "2"], "'x=1'"),
    ],
)
def test_a_literal_that_the_shell_split_is_shown_quoted(words: list[str], quoted: str) -> None:
    assert quoted in refused("grad", "(w*x).sum()" if "w=2" in words else "x.sum()", *words)


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (["activate", "relu", "--x", "1,", "2"], "--x '1, 2'"),
        (["activate", "relu", "--x", "-1", "2", "--json"], "--x '-1, 2'"),
        (["activate", "relu", "--x=[1,", "2]"], "--x '[1, 2]'"),
        (["loss", "mse", "--pred", "1,", "2", "--target", "1,", "2"], "--pred '1, 2'"),
        (
            ["perceptron", "--x", "[[1,", "2],", "[3,", "4]]", "--w", "1,2", "--target", "1"],
            "--x '[[1, 2], [3, 4]]'",
        ),
        (["softmax-jacobian", "1", "2", "3"], "'1, 2, 3'"),
        (["softmax-jacobian", "[1,", "2]"], "'[1, 2]'"),
        (["grad", "x", "**", "2", "x=3"], "'x ** 2'"),
        (["hessian", "sin(", "x", ")", "x", "=", "3"], "'sin( x )'"),
    ],
    ids=" ".join,
)
def test_a_value_or_an_expression_that_the_shell_split_is_shown_quoted(
    words: list[str], quoted: str
) -> None:
    assert refused(*words).splitlines()[-1].endswith(f"quote it: {quoted}")


def test_a_name_may_follow_the_numbers_of_an_option() -> None:
    assert run("activate", "--x", "1,", "relu", "elu(0.5)", "--get", "inputs.x").stdout == "[1.0]\n"


def test_the_right_order_is_shown_where_an_input_comes_first() -> None:
    assert "gradcli jacobian 'x*w' x=3 'w=[1, 2]'" in refused("jacobian", "x=3", "w=[1, 2]", "x*w")
    assert "gradcli grad 'x**2' x=3" in refused("grad", "x=3", "x**2")
    assert "x**2" in refused("jacobian", "x=3", "x**2")
    assert "x**2" in refused("hessian", "w=1", "x=3", "x**2")


def test_the_first_word_is_the_expression_whatever_it_holds() -> None:
    assert run("grad", "x = w*2", "w=3", "--get", "value").stdout == "6.0\n"
    assert run("grad", "x=w*2; x", "w=3", "--get", "gradients.w").stdout == "2.0\n"


def test_an_input_given_twice_is_an_error_that_names_it() -> None:
    assert "x is given twice" in refused("grad", "x", "x=1", "x=2")
    assert "x is given twice" in refused("jacobian", "x", "x=1", "x=1")


@pytest.mark.parametrize(
    "name", ["torch", "F", "nn", "np", "math", "lambda", "if", "None", "True", "in", "is"]
)
def test_a_name_that_an_expression_reads_otherwise_is_refused(name: str) -> None:
    assert name in refused("grad", "x", "x=1", f"{name}=2")


@pytest.mark.parametrize("word", ["2x=1", "x-y=1", "=1", "x", "x==1", "\u00e9=1", "\uff58=1", ""])
def test_a_word_that_is_no_input_is_an_error(word: str) -> None:
    refused("grad", "x", word, "x=1")


@pytest.mark.parametrize(
    "name", ["_", "_x", "x1", "W", "mse", "e", "pi", "sum", "print", "self", "match", "type"]
)
def test_other_names_are_free(name: str) -> None:
    assert run("grad", f"{name}*2", f"{name}=3", "--get", "value").stdout == "6.0\n"


def test_an_input_that_is_missing_is_named_and_a_function_is_not_an_input() -> None:
    assert "w" in refused("grad", "w*x", "x=1")
    assert "sigmoid" in refused("grad", "sigmoid*x", "x=1")


@pytest.mark.parametrize(
    ("literal", "says"),
    [("", "number"), ("1,,2", "^"), ("abc", "^"), ("1e400", "1e400"), ("1/0", "1/0")],
)
def test_a_bad_literal_names_its_input_and_the_place(literal: str, says: str) -> None:
    text = refused("grad", "x", f"x={literal}")
    assert text.startswith("error: x: ")
    assert says in text
    if literal:
        assert literal in text
        assert "^" in text


# standard input


def test_standard_input_is_read_once() -> None:
    assert "twice" in refused("loss", "mse", "--pred", "-", "--target", "-", stdin="1 2")
    assert "twice" in refused("grad", "-", "x=-", stdin="x**2")
    assert "twice" in refused("grad", "x*w", "x=-", "w=@-", stdin="1")
    assert "twice" in refused("jacobian", "@-", "x=-", stdin="1")


@pytest.mark.parametrize(
    ("stdin", "shape"),
    [
        ("1\n2\n3\n", "[1.0,2.0,3.0]"),
        ("1 2 3", "[1.0,2.0,3.0]"),
        ("1 2\n3 4\n", "[[1.0,2.0],[3.0,4.0]]"),
        ("1,2;3,4", "[[1.0,2.0],[3.0,4.0]]"),
        ("tensor([1., 2.])\n", "[1.0,2.0]"),
        ("5\n", None),
    ],
)
def test_numbers_from_a_pipe_have_the_shape_of_their_lines(stdin: str, shape: str | None) -> None:
    for word in ("-", "@-"):
        shown = run("activate", "relu", "--x", word, "--get", "inputs.x", stdin=stdin)
        assert shown.status == 0
        assert shape is None or shown.stdout == shape + "\n"


def test_an_error_in_several_lines_names_the_line() -> None:
    assert "standard input, line 3: 'x' is a name" in refused(
        "activate", "relu", "--x", "-", stdin="1 2\n\n3 x\n"
    )
    assert "standard input, line 2: unknown name q" in refused(
        "grad", "-", "x=1", stdin="h = x\nh + q\n"
    )
    assert "standard input: unknown name q" in refused("grad", "-", "x=1", stdin="x + q\n")


def test_an_expression_from_a_pipe() -> None:
    assert run("grad", "-", "x=3", "--get", "gradients.x", stdin="x**2\n").stdout == "6.0\n"


def test_an_empty_pipe_is_an_error_that_says_so() -> None:
    assert "standard input" in refused("activate", "relu", "--x", "-")
    assert "standard input" in refused("grad", "-", "x=1", stdin="  \n")


def test_standard_input_that_is_no_text_is_an_error() -> None:
    shown = run("activate", "relu", "--x", "-", stdin=b"\xff\xfe1")
    assert (shown.status, shown.stdout) == (2, "")
    assert "UTF-8" in shown.stderr


def test_grad_with_nothing_is_a_usage_error_that_does_not_wait() -> None:
    text = refused("grad", stdin="x**2")
    assert "--fn" in text


# files


@pytest.mark.parametrize(
    "word", ["@nowhere.npy", "@", "@.", "@folder.npy", "@x.unknown", "@/dev/zero", "@\x01"]
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(word: str, tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "x.unknown").write_text("1")
    text = refused("grad", "x", f"x={word}", cwd=str(tmp_path))
    assert "x" in text.splitlines()[0]
    refused("grad", word if word != "@x.unknown" else "@nowhere.py", "x=1", cwd=str(tmp_path))


# usage errors of every command


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_help_with_two_or_three_examples_that_run(command: str) -> None:
    text = run(command, "--help").stdout
    assert text.isascii()
    usage, _, shown = text.partition("\nExamples\n")
    assert usage.startswith(f"usage: gradcli {command} ")
    assert usage.count("\n") <= 5  # examples come first
    shown = shown.partition("\n\n")[0]
    examples = [line.strip() for line in shown.splitlines() if re.match(r"  \S", line)]
    assert 2 <= len(examples) <= 3
    assert all(f"gradcli {command}" in example for example in examples)
    for example in (
        examples
        if command not in ("batch", "session", "server", "completion", "why", "check")
        else ()
    ):  # these need more than words
        *pipes, call = example.split("|") if example.startswith("seq") else [example]
        stdin = "\n".join(map(str, range(-5, 6))) if pipes else ""
        assert run(*shlex.split(call)[1:], stdin=stdin).status == 0, example


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "words",
    [
        ["--dtype", "int32"],
        ["--device", "abacus"],
        ["--seed", "x"],
        rare(["--seed", "99999999999999999999"]),
        ["--timeout", "-1"],
        rare(["--timeout", "soon"]),
        rare(["--timeout", "nan"]),
        ["--precision", "0"],
        ["--out", "x.gif"],
        ["--json", "--csv"],
        ["--nonsense"],
        rare(["--json", "--json"]),
        rare(["--explain-not"]),
    ],
    ids=" ".join,
)
def test_options_that_are_wrong_are_refused_by_every_command(
    command: str, words: list[str]
) -> None:
    assert words[0] in refused(command, *VALID[command], *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nonsense"], "there is no option --nonsense\n  gradcli grad --help"),
        (["--ouput"], "there is no option --ouput\n  did you mean --out?"),
        (["--seed", "9223372036854775808"], "--seed: the seed must fit in 64 bits"),
        (["--seed", "18446744073709551615"], "--seed: the number must fit in 64 bits"),
    ],
)
def test_what_is_wrong_with_an_option_is_true_and_what_is_offered_is_near(
    words: list[str], said: str
) -> None:
    assert said in refused("grad", "x", "x=1", *words)


FORMS = {
    "the table": [],
    "--json": ["--json"],
    "--csv": ["--csv"],
    "--get": ["--get", "command"],
    "--code": ["--code"],
    "--graph": ["--graph", "tree"],
    **{f"a {suffix} file": ["--out", f"a{suffix}"] for suffix in (".json", ".csv", ".npz", ".npy")},
    "--json beside a file": ["--json", "--out", "a.csv"],
}
TABLES, EVIDENCE = (
    {"--precision": "3", "--full": None},
    {"--explain": None, "--check": None, "--expect": "value=1"},
)
NO_EVIDENCE = {"--csv", "--code", "--graph", "a .csv file", "a .npy file"}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_without_a_meaning_in_a_form_is_refused_with_the_reason(command: str) -> None:
    """Every form with every option of tables and of evidence: read as a call is, up to where it
    would compute.
    """
    known = {flag_name(name) for name in ALL[command].options}
    for form, words in FORMS.items():
        if words and words[0] not in known:
            continue
        files = getattr(ALL[command].request, "files", ())
        if files and "--out" in words and not words[-1].endswith(files):
            continue
        for option, value in {**TABLES, **EVIDENCE, "--quiet": None}.items():
            if option not in known:
                continue
            given = [*VALID[command], *words, option, *([] if value is None else [value])]
            if command == "plot" and option == "--full":
                given.append("--check")
            meaningless = (
                form in NO_EVIDENCE
                if option in EVIDENCE
                else option in TABLES and form != "the table"
            )
            if not meaningless:
                program._read(ALL[command], given, World.current())
                continue
            with pytest.raises(UsageError) as error:
                program._read(ALL[command], given, World.current())
            said = str(error.value)
            assert option in said
            assert form in said or words[0] in said


def test_options_that_other_options_give_a_meaning_are_refused_without_them() -> None:
    assert "--tol requires --expect" in refused("grad", "x**2", "x=1", "--tol", "0.1")
    assert "requires --check or --expect" in refused("plot", "relu", "--full")
    assert (
        run(
            "grad", "x**2", "x=1", "--expect", "2", "--tol", "0.1", "--precision", "3", "--full"
        ).status
        == 0
    )


@pytest.mark.parametrize("command", [name for name, it in ALL.items() if "get" in it.output])
def test_the_paths_that_the_help_of_get_names_exist(command: str) -> None:
    """In the result of one of the examples, or of the command alone."""
    _, _, such = ALL[command].output["get"].help.partition("such as ")
    paths = re.findall(r"[a-z_]+(?:\.\w+)+|\b(?!or\b|for\b|the\b|list\b)[a-z_]+", such)
    assert paths
    calls = [
        shlex.split(line)[2:]
        for line, _ in ALL[command].examples
        if line.startswith("gradcli") and "--get" not in line
    ]
    for path in paths:
        assert any(
            run(command, *words, "--get", path).status == 0
            for words in (*calls, VALID.get(command, []))
        ), path


def test_no_help_calls_a_value_a_text_where_it_has_a_name() -> None:
    named = {
        flag_name(name): it.kind.metavar
        for command in ALL.values()
        for name, it in command.options.items()
        if not it.choices
    }
    assert [name for name, metavar in named.items() if metavar == "TEXT"] == ["--title"]
    assert (named["--out"], named["--get"], named["--device"]) == ("FILE", "PATH", "DEVICE")


def test_the_help_of_the_program_groups_its_commands() -> None:
    text = run("--help").stdout
    assert text.isascii()
    for word in ("Explore", "Learn", "Script", *COMMANDS):
        assert word in text
    assert run("--help", "grad").status == 0
    for words in (("-h",), ("help",)):
        assert run(*words) == Ran(text, "", 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_computes_has_the_shared_options_or_says_what_to_use_instead(
    command: str,
) -> None:
    text = run(command, "--help").stdout
    for option in SHARED:
        assert f"  {option}" in text or refused(command, option, "tree").startswith(
            f"error: {option} does not apply here\n  "
        )


@pytest.mark.smoke
def test_version_names_pytorchs_too() -> None:
    shown = run("--version")
    assert shown.status == 0
    assert torch.__version__ in shown.stdout
    assert shown.stdout.startswith("gradcli ")
    assert run("--version", "grad") == shown
    assert "did you mean --version" in refused("--versoin")
    assert refused("--json").startswith("error: --json must come after a command\n")


def test_a_fresh_python_draws_usage_errors_in_the_same_form() -> None:
    for words in (["grad", "--nonsense"], ["grda"]):
        assert cold(*words) == run(*words)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["derive", "w*x", "--x", "3", "--w", "2"], "x"),
        (["descend", "rate**2", "--rate=3"], "rate"),
        (["plot", "w*x", "x=-1,1", "--w", "3"], "w"),
        (["check", "f.py:forward", "--x", "1"], "x"),
    ],
)
def test_an_input_with_dashes_is_told_how_inputs_are_written(words: list[str], name: str) -> None:
    assert refused(*words) == f"error: there is no option --{name}\n  write the input as {name}=T\n"


def test_other_unknown_options_are_told_the_nearest_one() -> None:
    assert "did you mean --steps" in refused("descend", "x**2", "x=3", "--stepz", "3")
    assert "write the input" not in refused("loss", "mse", "--w", "3")


# the first screen, and help


def test_the_first_screen_fits_80_by_24_and_shows_what_most_people_try_first() -> None:
    shown = run(env={"COLUMNS": "80"})
    assert (shown.status, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert len(lines) <= 22  # and two for the prompt
    assert max(map(len, lines)) <= 80
    for words in ("--fn mse", "--explain", "--expect", "why", "server start", "gradcli help", *ALL):
        assert words in shown.stdout


def test_the_examples_of_the_first_screen_run() -> None:
    for line in run().stdout.splitlines():
        if line.startswith("  gradcli ") and "help" not in line and "server" not in line:
            command = re.split(r"  +", line.strip())[0]
            assert run(*shlex.split(command)[1:]).status == ("w=4" in command), command


@pytest.mark.parametrize("words", [[], ["help"], ["grad", "--help"], ["server", "--help"]])
def test_help_ends_with_the_variables_and_the_documentation(words: list[str]) -> None:
    text = run(*words).stdout if words else run("--help").stdout
    below = text.partition("\nEnvironment\n")[2]
    assert all(name in below for name in ("NO_COLOR", "COLUMNS", "GRADCLI_SERVER", "GRADCLI_DEBUG"))
    page = re.fullmatch(
        r"(?s).*\n\nDocumentation: (docs/[\w/-]+\.md) in the source of gradcli\n", text
    )
    assert page
    assert Path(page[1]).is_file() or not Path("docs").is_dir()


def test_help_takes_one_command() -> None:
    assert "did you mean loss" in refused("help", "los")
    assert "gradcli help grad" in refused("help", "grad", "loss")


# NAME=T of an input that has an option


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["activate", "sigmoid", "x=-1,2"], ["activate", "sigmoid", "--x", "-1,2"]),
        (["activate", "x = 1", "sigmoid"], ["activate", "sigmoid", "--x", "1"]),
        (["loss", "mse", "pred=1,2", "target=0,0"], ["loss", "mse", "--pred", "1,2", "--target", "0,0"]),
        (["loss", "mse", "target=rand(2)", "--pred", "rand(2)"], ["loss", "mse", "--target", "rand(2)", "--pred", "rand(2)"]),
        (["grad", "--fn", "mse", "x=1", "w=2"], ["grad", "--fn", "mse", "--x", "1", "--w", "2"]),
        (["grad", "x=1", "w=2", "--fn=mse", "--expect", "w=2"], ["grad", "--fn", "mse", "--x=1", "--w=2", "--expect", "w=2"]),
        (["perceptron", "x=1,2", "w=1,1", "target=1"], ["perceptron", "--x", "1,2", "--w", "1,1", "--target", "1"]),
        (["softmax-jacobian", "x=2,1"], ["softmax-jacobian", "2,1"]),
        (["softmax-jacobian", "--", "x=2,1"], ["softmax-jacobian", "2,1"]),
    ],
)  # fmt: skip
def test_an_input_that_has_an_option_may_be_a_word(words: list[str], same: list[str]) -> None:
    shown = (
        run(*words, "--json")
        if "--" not in words
        else run("softmax-jacobian", "--json", *words[1:])
    )
    assert shown == run(*same, "--json")
    assert shown.status == 0


def test_an_input_that_a_command_does_not_have_is_an_error_that_names_its_inputs() -> None:
    assert "activate has no input 'y'\n  its inputs are x" in refused(
        "activate", "relu", "x=1", "y=2"
    )
    assert "did you mean target?" in refused("loss", "mse", "pred=1", "traget=2")
    assert (
        run("perceptron", "x=1,2", "w=1,1", "target=1", "--expect", "b=9", "--get", "ok").stdout
        == "false\n"
    )
    assert (
        run("activate", "leaky_relu(negative_slope=0.2)", "x=-1", "--get", "value").stdout
        == "-0.2\n"
    )


def test_an_input_that_is_no_option_stays_a_word_of_the_expression() -> None:
    assert run("grad", "vjp*seed", "vjp=2", "seed=3", "--get", "value").stdout == "6.0\n"
    assert "--fn has no input 'z'" in refused("grad", "--fn", "mse", "x=1", "z=2")
    assert "x is given twice" in refused("activate", "relu", "x=1", "--x", "2")


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (["activate", "relu", "x", "=", "1"], "'x=1'"),
        (["activate", "relu", "x", "=1"], "'x=1'"),
        (["activate", "relu", "x=", "1"], "'x=1'"),
        (["activate", "relu", "x=1,", "2"], "'x=1, 2'"),
        (["loss", "mse", "pred=1,", "2", "target=0,0"], "'pred=1, 2'"),
    ],
)
def test_a_named_input_that_the_shell_split_is_shown_quoted(words: list[str], quoted: str) -> None:
    assert quoted in refused(*words)


# what a new user types


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["grad", "f(x)=x**2", "x=3"], "write x**2"),
        (["grad", "f(x, y) = x*y", "x=3", "y=1"], "write x*y"),
        (["grad", "x**2 at x=3"], "write x**2"),
        (["grad", "w*x**2 for x = 3, w=2"], "each as a separate word: x=3 w=2"),
        (["grad", "\u03b1*x", "x=1", "\u03b1=2"], "write alpha, in the expression too"),
        (["grad", "\u03b1*x", "x=1", "alpha=2"], "write alpha*x"),
        (["grad", "\u03bb*x", "x=1"], "write lam*x"),
        (["grad", "\u03c3(w\u00b7x)", "x=1", "w=2"], "write sigmoid(w*x)"),
        (["grad", "\u03a3x", "x=1,2"], "write sum(x)"),
        (["grad", "||x||", "x=1,2"], "write norm(x)"),
        (["grad", "||x - y||_1", "x=1,2", "y=1,1"], "write norm(x - y, 1)"),
        (["grad", "||x||^2", "x=1,2"], "write norm(x)**2"),
        (["grad", "train.py"], "@train.py reads the expression from the file"),
        (["grad", "import torch\nx = torch.tensor(1.)\ny = x**2\ny.backward()"], "give the formula and its inputs"),
        (["jac", "x**2", "x=1"], "did you mean jacobian?"),
        (["sigmoid", "1"], "gradcli activate sigmoid x=-2,0,2"),
        (["mse"], "gradcli loss mse pred=1,2 target=0,0"),
        (["w*x", "w=1", "x=2"], "gradcli grad 'w*x' w=1 x=2"),
        (["x"], "gradcli help lists the commands"),
    ],
)  # fmt: skip
def test_what_a_new_user_types_gets_the_cure_that_fits(words: list[str], hint: str) -> None:
    assert hint in refused(*words)
