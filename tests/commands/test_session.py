"""The session: a line as the words of a call, whole sessions against the calls themselves, and the
keys of a terminal.
"""

import contextlib
import os
import shlex
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from gradcli.commands.session.console import completions
from gradcli.commands.session.lines import State, cleaned, read, unfinished
from gradcli.errors import GradcliError
from tests.choice import rare
from tests.cli.test_terminals import Keyboard, keyboard
from tests.process.test_supervision import needs_proc
from tests.program import run
from tests.warm import Server, until

# a line as words

MEAN = "x = 3; w = 2; y = 1; mse(w*x, y)"
GIVEN = "x=3 w=2 y=1"
WORDS: list[tuple[str, str]] = [
    # inputs
    ("x = 3 / w*x / w = 2 / w*x", "grad w*x x=3 w=2"),
    ("x = 3 / x = 4 / x", "grad x x=4"),
    ("x=1, 2 / x.sum()", "grad 'x.sum()' 'x=1, 2'"),
    ("x = 1,2;3,4 / x.sum()", "grad 'x.sum()' 'x=1,2;3,4'"),
    ("x='1, 2' / x.sum()", "grad 'x.sum()' 'x=1, 2'"),
    ("x=1 w=2 y=3 / w*x", "grad w*x x=1 w=2"),
    ("x = 1; w = 2 / w*x  # a comment", "grad w*x x=1 w=2"),
    ("x = @data.npy / x.sum()", "grad 'x.sum()' x=@data.npy"),
    ("x = tensor([[1.,\n 2.]]) / x.sum()", "grad 'x.sum()' 'x=tensor([[1.,\n 2.]])'"),
    ("sum = 3 / x = 1,2 / x.sum()", "grad 'x.sum()' x=1,2"),
    ("e = 3 / e**2", "grad 'e**2' e=3"),
    ("value = 3 / value", "value"),
    # steps
    ("w = 2 / z = w*x / x = 1 / z**2", "grad 'z = w*x; z**2' w=2 x=1"),
    ("x = 1 / z = 2*x / h = tanh(z) / z = 3*x / h", "grad 'z = 3*x; h = tanh(z); h' x=1"),
    ("x = 1 / z = 2*x / z = z + 1 / z", "grad 'z = 2*x; z = z + 1; z' x=1"),
    ("x = 1 / z = 2*x / z = z + 1 / z = x / z", "grad 'z = x; z' x=1"),
    ("x = 1 / z = 2*x / h = z**2 / z = h + 1 / z", "grad 'z = 2*x; h = z**2; z = h + 1; z' x=1"),
    ("x = 1 / x = x + 1 / x", "grad 'x = x + 1; x' x=1"),
    ("x = 1 / x = 2*w / w = 3 / x", "grad 'x = 2*w; x' w=3"),
    ("x = 1 / z = 2*x / z = 5 / z", "grad z z=5"),
    ("x = 1,2 / a, b = x / a*b", "grad 'a, b = x; a*b' x=1,2"),
    ("x = 1 / z = 2*x / z += 1 / z", "grad 'z = 2*x; z += 1; z' x=1"),
    ("x = 1 / u = 2*x / v = 3*x / v", "grad 'v = 3*x; v' x=1"),
    ("x = 3 / n = 2; x**n", "grad 'n = 2; x**n' x=3"),
    ("x=1,2 / net = nn.Linear(2, 1) / net.weight = 1,2 / net(x)",
     "grad 'net = nn.Linear(2, 1); net(x)' x=1,2 net.weight=1,2"),
    ("x=1,2 / net = nn.Linear(2, 1) / h = net(x) / h.sum()",
     "grad 'net = nn.Linear(2, 1); h = net(x); h.sum()' x=1,2"),
    ("x=2 / loss = nn.MSELoss() / x**2 / loss(x, 3*x) / expect x=16",
     "grad 'loss = nn.MSELoss(); loss(x, 3*x)' x=2 --expect x=16"),
    ("x=2 / loss = nn.MSELoss() / x**2 / value loss(x, 3*x) / n = 2; n*loss(x, n) / derive",
     "derive 'loss = nn.MSELoss(); n = 2; n*loss(x, n)' x=2"),
    ("x = 1 / loss = 2*x / loss", "grad 'loss = 2*x; loss' x=1"),
    ("x = 1 / loss = 2*x / loss + 1", "grad 'loss = 2*x; loss + 1' x=1"),
    ("loss = 3 / loss mse pred=1 target=0", "loss mse pred=1 target=0"),
    # expressions
    (MEAN, f"grad {MEAN!r}"),
    (f"{GIVEN} / mse(w*x, y) --explain", f"grad 'mse(w*x, y)' {GIVEN} --explain"),
    ("x = 3 / w*x w=5 --wrt w / derive", "derive w*x x=3 w=5"),
    ("x=1 / 'x**2'", "grad 'x**2' x=1"),
    ("x=1 / -x**2", "grad '-x**2' x=1"),
    ("a=1,2 / F.cross_entropy(a, tensor(1), reduction='sum')",
     "grad \"F.cross_entropy(a, tensor(1), reduction='sum')\" a=1,2"),
    ("2x", "grad 2x"),
    ("x = 3 / x / W @ / derive", "derive x x=3"),
    # commands about the last expression
    (f"{GIVEN} / mse(w*x, y) / derive --steps", f"derive 'mse(w*x, y)' {GIVEN} --steps"),
    (f"{GIVEN} / mse(w*x, y) / plot x=-2, 2", "plot 'mse(w*x, y)' 'x=-2, 2' w=2 y=1"),
    (f"{GIVEN} / w*x / plot x=-2,2 / w*x", "grad w*x x=3 w=2"),
    ("x = 2 / x**2 / descend --lr 0.1 --steps 5", "descend 'x**2' x=2 --lr 0.1 --steps 5"),
    ("x = 2 / x**2 / value / jacobian", "jacobian 'x**2' x=2"),
    ("derive", "derive"),
    # options as commands
    ("x = 2 / x**2 / explain", "grad 'x**2' x=2 --explain"),
    ("x = 2 / x**2 / check", "grad 'x**2' x=2 --check"),
    ("x = 2 / x**2 / check own.py:f x=1", "check own.py:f x=1"),
    ("x = 2 / x**2 / expect x=4", "grad 'x**2' x=2 --expect x=4"),
    ("x = 2 / x**2 / expect x = 2 * x --tol 0.1", "grad 'x**2' x=2 --expect 'x = 2 * x' --tol 0.1"),
    ("x=2 w=1 / w*x / expect w=2 x = 1", "grad w*x x=2 w=1 --expect w=2 --expect 'x = 1'"),
    ("x=2 w=1 / w*x / expect w = torch.sum(x, dim=0)",
     "grad w*x x=2 w=1 --expect 'w = torch.sum(x, dim=0)'"),
    ("x = 2 / x**2 / json", "grad 'x**2' x=2 --json"),
    ("x = 2 / x**2 / --json", "grad 'x**2' x=2 --json"),
    ("x = 2 / x**2 / get gradients.x", "grad 'x**2' x=2 --get gradients.x"),
    ("x=1,2 / x / row 1 / row -1 x=3,4", "grad x x=3,4 --row -1"),
    ("x=1,2 / x**2 / vjp 1,1", "grad 'x**2' x=1,2 --vjp 1,1"),
    ("vjp = 1,2 / vjp", "grad vjp vjp=1,2"),
    ("row = 1,2 / row", "grad row row=1,2"),
    ("k = 2 + 3 / x = 1 / k*x", "grad 'k = 2 + 3; k*x' x=1"),
    ("p = [1]*2 / x = 1,2 / F.pad(x, p)", "grad 'p = [1]*2; F.pad(x, p)' x=1,2"),
    ("expect w=2", "grad --expect w=2"),
    ("x = 2 / x**2 / get --json", "grad 'x**2' x=2 --get --json"),
    # commands with an expression of their own, which is then the last one
    ("x = 2 / derive sin(w*x)", "derive 'sin(w*x)' x=2"),
    ("x=1,1 / value W @ x W=1,2;3,4 / jacobian", "jacobian 'W @ x' x=1,1 'W=1,2;3,4'"),
    ("w = 2 / plot sin(w*x) x=-2,2 / derive", "derive 'sin(w*x)' w=2"),
    ("gradcli grad 'w*x' x='1, 2' w=3", "grad w*x 'x=1, 2' w=3"),
    ("$ gradcli derive 'w*x'", "derive w*x"),
    # commands as in a shell
    ("x = 1 / plot relu gelu", "plot relu gelu"),
    ("x = 1 / x / grad --fn mse --x 1 --w 2", "grad --fn mse --x 1 --w 2"),
    ("activate relu leaky_relu(0.2) x=-1,1", "activate relu 'leaky_relu(0.2)' x=-1,1"),
    ("why element 0 doesn't 'require' grad", "why element 0 \"doesn't 'require'\" grad"),
    ("why --run train.py -- x = 3", "why --run train.py -- x = 3"),
    ("functions relu --json", "functions relu --json"),
]  # fmt: skip


@pytest.mark.smoke
@pytest.mark.parametrize(("lines", "words"), WORDS, ids=[lines for lines, _ in WORDS])
def test_the_last_of_these_lines_is_answered_by_this_call(lines: str, words: str) -> None:
    state = State()
    for line in lines.split(" / "):
        state, made = read(cleaned(line), state)
    assert made == tuple(shlex.split(words))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x = 1,,2", "a number is missing before this comma"),
        ("x = data.npy", "a file needs @ before its name"),
        ("torch = 3", "'torch' is a name of PyTorch"),
        ("z = w*", "invalid syntax"),
        ("z = x.item()", "item"),
        ("x =", "there are no numbers here"),
        ("x = 1e400", "too large for a 64-bit float"),
        ("x = [1, 1/0]", "division by zero"),
        ("x = 1_000", "a number cannot contain underscores"),
        ("x = 2+1j", "complex numbers are not supported"),
        ("x = 1,2;3", "row 2 has one number, but row 1 has 2 numbers"),
        ("w=1 x=1e400", "too large for a 64-bit float"),
    ],
)
def test_an_input_or_step_that_cannot_be_one_is_an_error(line: str, message: str) -> None:
    with pytest.raises(GradcliError) as error:
        read(line, State())
    assert message in error.value.message


def test_a_line_goes_on_while_a_bracket_is_open_or_after_a_backslash() -> None:
    for text in ("mse(w*x,", "x = [[1, 2],", "w*x + \\", "derive sum(x", "x = (  # a ) too"):
        assert unfinished(text), text
    for text in ("mse(w*x, y)", "why got (2", "activate relu(", "mse(w*x,\n", "x = ')' # ("):
        assert not unfinished(text), text


def test_completion_knows_commands_their_words_inputs_steps_and_functions() -> None:
    state = State()
    for line in ("width = 3", "hidden = relu(width)"):
        state = read(line, state).state

    def offered(text: str) -> list[str]:
        return [found.word for _, found in completions(text, state, ("inputs", "undo"))]

    assert offered("wid") == ["width"]
    assert offered("sin(hid") == ["hidden"]
    assert offered("F.cross_e") == ["cross_entropy"]
    assert "derive" in offered("de")
    assert offered("und") == ["undo"]
    assert "expect" in offered("exp")
    assert "--steps" in offered("derive --st")
    assert "width" in offered("derive wi")
    assert "relu6" in offered("activate rel")
    assert "width" not in offered("activate wi")
    assert offered("graph tr")[0] == "tree"
    assert "grad" in offered("help gr")


# whole sessions

SESSION = """
# two inputs and a target
x = 1,2
w = 2
y = 0,1

mse(w*x, y)
derive
expect w=6
expect w = 4
explain
check
z = w*x
h = tanh(z)
mse(h,
    y)
why
plot x=-2,0,2
value z.sum()
jacobian
A @ x
A = ones(3,3)
A @ x
why
descend (w - 1)**2 --steps 2
code
activate relu gelu x=-1,1
functions relu --json
help value
no such thing
grad --nonsense
rand(2).sum()*w
--json
"""
Z = "z = w*x; h = tanh(z); mse(h,\n    y)"
VECTORS = "x=1,2 w=2 y=0,1"
CALLS = f"""
grad 'mse(w*x, y)' {VECTORS}
derive 'mse(w*x, y)' {VECTORS}
grad 'mse(w*x, y)' {VECTORS} --expect w=6
grad 'mse(w*x, y)' {VECTORS} --expect 'w = 4'
grad 'mse(w*x, y)' {VECTORS} --explain
grad 'mse(w*x, y)' {VECTORS} --check
grad Z {VECTORS}
why
plot Z x=-2,0,2 w=2 y=0,1
value 'z = w*x; z.sum()' x=1,2 w=2
jacobian 'z = w*x; z.sum()' x=1,2 w=2
grad 'A @ x' x=1,2
grad 'A @ x' x=1,2 A='ones(3,3)'
why shape-mismatch
descend '(w - 1)**2' w=2 --steps 2
grad '(w - 1)**2' w=2 --code
activate relu gelu x=-1,1
functions relu --json
help value
grad 'no such thing'
grad '(w - 1)**2' w=2 --nonsense
grad 'rand(2).sum()*w' w=2
grad 'rand(2).sum()*w' w=2 --json
"""


def test_each_answer_is_that_of_the_call_from_a_shell_byte_for_byte(tmp_path: Path) -> None:
    session = run("session", stdin=SESSION, cwd=str(tmp_path))
    words = [shlex.split(line) for line in CALLS.strip().splitlines()]
    whole = [[Z if word == "Z" else word for word in call] for call in words]
    alone = [run(*call, cwd=str(tmp_path)) for call in whole]
    assert session.stdout == "".join(call.stdout for call in alone)
    assert session.stderr == "".join(call.stderr for call in alone)
    assert session.status == max(call.status for call in alone) == 2


def test_the_saved_script_makes_the_calls_that_gave_the_answers(tmp_path: Path) -> None:
    lines = "x = 1, 2\nx.sum()\nexpect x = 1, 2\nx**3\nx.nosuch()\nundo\nderive\nsave s.sh\n"
    ran = run("session", stdin=lines, cwd=str(tmp_path))
    assert "taken back: x**3\n" in ran.stdout
    assert ran.stdout.endswith("wrote s.sh\n")
    script = tmp_path / "s.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    program = tmp_path / "gradcli"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\necho\n', encoding="utf-8")
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    called = subprocess.run([str(script)], env=env, capture_output=True, text=True, check=True)
    assert called.stdout.splitlines() == [
        "grad|x.sum()|x=1, 2|",
        "grad|x.sum()|x=1, 2|--expect|x = 1, 2|",
        "derive|x.sum()|x=1, 2|",
    ]


def test_it_begins_with_the_words_of_the_command(tmp_path: Path) -> None:
    lines = "inputs\nundo\nundo\ninputs\nundo\nundo\nundo\nhistory\nquit\nx**2\n"
    ran = run("session", "w*x", "x=1,", "w=2", "--quiet", stdin=lines)
    assert ran.stdout.startswith(run("grad", "w*x", "x=1,", "w=2").stdout)
    shown = ran.stdout.partition("Inputs\n")[2]
    assert shown.startswith("  x  1,\n  w  2\n\nLast expression\n  w*x\ntaken back: w*x\n")
    assert shown.endswith("taken back: w = 2\nInputs\n  x  1,\ntaken back: x = 1,\n")
    assert ran.stderr.count("error: there is nothing to undo") == 2
    assert ran.status == 2


def test_the_users_program_sees_no_exception_of_ours(tmp_path: Path) -> None:
    program = "import torch\ntry:\n    int('')\nexcept ValueError as error:\n    print(error.__context__)\ntorch.ones(2)[3]\n"
    (tmp_path / "own.py").write_text(program, encoding="utf-8")
    ran = run("session", stdin="why --run own.py\n", cwd=str(tmp_path))
    assert ran.stdout.startswith("None\n")
    assert "During handling" not in ran.stderr


def test_inputs_alone_keep_their_order() -> None:
    ran = run("session", "x=randn(2)", "y=randn(2)", stdin="(x*y).sum()\n")
    assert ran.stdout == run("grad", "(x*y).sum()", "x=randn(2)", "y=randn(2)").stdout
    assert run("session", "z = x*y; z", "x=2", "y=3").stdout.startswith("z = x*y; z = 6\n")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("", 0),
        ("x = 2\nx**2\n", 0),
        ("x = 2\nx**2\nexpect x=5\nx**2", 1),
        ("x = 2\nexpect x=5\nx**2\nexpect x=5\nx**2", 2),
        rare("x = \nx = 2\nx**2\n", 2),
        ("x = 2\nmse(x,\n", 2),
        rare("why\n", 0),
    ],
)
def test_the_exit_status_of_a_pipe_is_that_of_the_worst_line(lines: str, status: int) -> None:
    ran = run("session", stdin=lines)
    assert ran.status == status, ran.stderr
    assert ("error:" in ran.stderr) == (status == 2)


def test_a_bracket_that_nothing_closes_costs_a_pipe_one_line() -> None:
    lines = "x = 3\nmse(x,\n0.)\nfoo(\nx**2\n(x +\n\nx*2\nx = [1,\n"
    ran = run("session", stdin=lines)
    calls = [run("grad", text, "x=3") for text in ("mse(x,\n0.)", "x**2", "x*2")]
    assert ran.stdout == "".join(call.stdout for call in calls)
    assert ran.stderr.count("error: ") == 3
    assert ran.status == 2


def test_what_a_session_itself_refuses_is_an_error_with_its_cure() -> None:
    lines = ["why", "undo", "session", "quit now", "save", "save /no/such/folder/file", "x\0 = 2"]
    ran = run("session", stdin="\n".join(lines))
    assert ran.stderr.count("error: ") == len(lines) - 1
    assert ran.stdout == run("why").stdout
    assert ran.status == 2


def test_a_pipe_that_is_no_text_and_a_reader_that_is_gone() -> None:
    ran = run("session", stdin=b"x = 2\nx\xff\n")
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: standard input is not UTF-8 text")


# the keys of a terminal

LONG = b"A = rand(3000, 3000)*c; " + b"A = A @ A / 1000; " * 40 + b"A.sum()\n"
EDITOR = {"PROMPT_TOOLKIT_NO_CPR": "1"}
PROMPTS = {"plain": ({"TERM": "dumb"}, b"> "), "editor": (EDITOR, b"\x1b[?2004h")}
"""Variables, and what is shown whenever a line may be typed."""


def computing(session: int) -> bool:
    """Whether a process of the session's server has computed for a moment: a worker, in most cases."""
    rows = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            rows[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    servers = {pid for pid, row in rows.items() if row[1] == str(session)}
    return any(  # state, parent and ticks of 10 ms
        row[1] in servers and int(row[11]) >= 30 and row[0] == "R" for row in rows.values()
    )


def shows(call: Keyboard, text: bytes) -> None:
    assert until(lambda: text in call.read()), call.shown.decode(errors="replace")


@needs_proc
@pytest.mark.parametrize("kind", PROMPTS)
def test_ctrl_c_ends_the_computation_and_the_line_but_not_the_session(
    kind: str, tmp_path: Path
) -> None:
    if kind == "editor":
        pytest.importorskip("prompt_toolkit")
    env, prompt = PROMPTS[kind]
    with keyboard(["session", "c**2", "c=3"], tmp_path, NO_COLOR="1", **env) as call:

        def type_at_prompt(number: int, keys: bytes, shown: bytes) -> None:
            assert until(lambda: call.read().count(prompt) >= number), call.shown
            call.type(keys)
            shows(call, shown)

        shows(call, b"c**2 = 9")
        type_at_prompt(1, LONG, b"A.sum()")
        assert until(lambda: computing(call.pid), pause=0.1)
        call.type(b"\x03")
        shows(call, b"^C")
        type_at_prompt(2, b"c*2 +", b"c*2 +")
        call.type(b"\x03")
        type_at_prompt(3, b"c*5\n", b"c*5 = 15")
        type_at_prompt(4, b"\x04", b"")
        assert call.end() == 0


def test_the_history_of_the_editor_is_for_its_owner_alone(tmp_path: Path) -> None:
    pytest.importorskip("prompt_toolkit")
    with keyboard(["session"], tmp_path, XDG_STATE_HOME=str(tmp_path), **EDITOR) as call:

        def type_and_see(keys: bytes, new: bytes) -> None:
            before = len(call.read())  # only what changes on the screen is drawn
            call.type(keys)
            assert until(lambda: new in call.read()[before:]), call.shown

        prompt = PROMPTS["editor"][1]
        shows(call, prompt)
        type_and_see(b"width = 3\n", prompt)
        type_and_see(b"wid", b"wid")
        type_and_see(b"\t", b"th")
        type_and_see(b"*2\n", b"width*2 = 6")
        assert until(lambda: call.read().count(prompt) == 3)
        call.type(b"\x04")
        assert call.end() == 0
    history = tmp_path / "gradcli" / "session_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "+width*2" in history.read_text(encoding="utf-8")


# what is left behind


@needs_proc
@pytest.mark.parametrize("number", [rare(signal.SIGKILL), rare(signal.SIGTERM), 0])
def test_its_server_ends_with_it(number: int) -> None:
    server = Server()  # its folder alone: none is started
    try:
        session = server.start(
            "session", "x**2", "x=3", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert session.stdin
        assert session.stdout
        assert session.stdout.readline() == b"x**2 = 9\n"
        assert len(server.processes()) > 1
        if number:
            session.send_signal(number)
        session.stdin.close()
        assert session.wait(20) == -number
        assert until(lambda: not server.processes())
        assert (
            list(Path(server.folder, "gradcli").glob("*.socket*")) == [] or number == signal.SIGKILL
        )
        session.stdout.close()
    finally:
        server.__exit__()


def test_it_uses_the_server_of_the_user() -> None:
    with Server() as server:
        lines = "x = 2\nx**2\nderive\n"
        assert server.served(lambda: server.run("session", stdin=lines)) == 2
        assert server.served(lambda: server.run("session", stdin="import sys\n")) == 1
