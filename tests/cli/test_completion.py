"""Completion: what is offered where, and each script in its own shell, which tests skip where it is
not installed.
"""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from gradcli.catalogue.mistakes import MISTAKES
from gradcli.catalogue.optimizers import NAMES
from gradcli.cli.complete import complete
from gradcli.commands import COMMANDS
from gradcli.commands.candidates import candidates
from tests.choice import rare
from tests.cli.test_laziness import HEAVY, loaded
from tests.program import BASE, run

ROOT = Path(__file__).parents[2]
BREAKS = " \t\n\"'@><=;|&(:"
"""The characters at which bash breaks words unless it is told otherwise."""


def offered(*words: str) -> list[str]:
    return [candidate.word for candidate in candidates(words)]


def flags(*words: str) -> set[str]:
    return {word for word in offered(*words) if word.startswith("--")}


# what is offered where


@pytest.mark.smoke
def test_commands_and_the_options_of_the_program() -> None:
    assert offered("") == [*COMMANDS, "help"]
    assert offered("help", "") == list(COMMANDS)
    assert offered("gr") == ["grad"]
    assert offered("--") == ["--help", "--version"]
    assert offered("grda", "") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_the_help_is_offered(command: str) -> None:
    shown = {word for word in run(command, "--help").stdout.split() if word.startswith("--")}
    assert flags(command, "--") >= {
        word for word in shown if word.lstrip("-").replace("-", "").isalpha()
    } - {"--opt"}


def test_options_once_unless_they_may_be_repeated() -> None:
    assert "--json" in flags("grad", "--")
    assert "--json" not in flags("grad", "--json", "--")
    assert "--expect" in flags("grad", "--expect", "w=1", "--")
    assert flags("grad", "--", "--") == set(), "behind -- there are no options"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["grad", "--dtype", "float"], ["float32", "float64", "float16"]),
        (["grad", "--dtype=b"], ["--dtype=bfloat16"]),
        (["grad", "--graph", ""], ["tree", "dot", "mermaid"]),
        (["grad", "--via", "b"], ["backward"]),
        (["grad", "--fn", "hub"], ["huber"]),
        (["grad", "--fn", "mse", "--x", "1", "--device", "cu"], ["cuda"]),
        (["loss", "mse", "--reduction", ""], ["mean", "sum", "none"]),
        (["perceptron", "--train", ""], ["and", "or", "xor", "nand"]),
        (["perceptron", "--activation", "tanhs"], ["tanhshrink"]),
        (["flow", "--init", ""], ["default", "xavier", "kaiming", "normal"]),
        (["flow", "--activation", "tanhs"], ["tanhshrink"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["server", "st"], ["start", "stop", "status"]),
        (["grad", "w*x", "x=1", "w=2", "--wrt", ""], ["x", "w"]),
        (["grad", "w*x", "x=1", "w=2", "--wrt", "x,"], ["x,w"]),
        (["why", "no-grad-b"], ["no-grad-block"]),
        (["grad", "--precision", ""], []),
        (["grad", "--nonsense", ""], None),
    ],
)
def test_values(words: list[str], expected: list[str] | None) -> None:
    found = [word for word in offered(*words) if not word.startswith("--") or "=" in word]
    assert found == ([] if expected is None else expected)


def test_names_of_functions_mistakes_and_optimisers() -> None:
    def bare(*words: str) -> set[str]:
        return {word for word in offered(*words) if not word.startswith("--")}

    assert bare("activate", "") == set(ACTIVATIONS)
    assert bare("activate", "relu", "") == set(ACTIVATIONS) - {"relu"}
    assert bare("loss", "") == set(LOSSES)
    assert bare("functions", "") == bare("grad", "--fn", "") == {*ACTIVATIONS, *LOSSES}
    assert bare("why", "") == set(MISTAKES)
    assert bare("descend", "x**2", "x=1", "--optimizer", "") == set(NAMES)


def test_files_where_a_path_may_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.npy", "b.csv", "c.py", "d.txt", ".hidden.npy", "jobs.jsonl", "r.json"):
        (tmp_path / name).touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "e.npy").touch()
    monkeypatch.chdir(tmp_path)
    tensors = ["@a.npy", "@b.csv", "@d.txt", "@data/", "@r.json"]
    assert offered("grad", "--x", "@") == tensors
    assert offered("grad", "w*x", "x=@") == [f"x={each}" for each in tensors]
    assert offered("grad", "w*x", "x=@data/") == ["x=@data/e.npy"]
    assert offered("grad", "w*x", "x=@.h") == ["x=@.hidden.npy"]
    assert offered("grad", "@c") == ["@c.py"]
    assert offered("perceptron", "--train", "@b") == ["@b.csv"]
    assert offered("batch", "j") == ["jobs.jsonl"]
    assert offered("grad", "--out", "") == ["a.npy", "b.csv", "data/", "r.json"]
    assert offered("grad", "--x", f"@{tmp_path}/data/") == [f"@{tmp_path}/data/e.npy"]
    assert offered("grad", "--x", "@nowhere/") == []


def test_bash_is_answered_in_pieces_as_it_breaks_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my data.npy").touch()
    monkeypatch.chdir(tmp_path)
    assert complete("bash", ["gradcli grad --dtype=b", BREAKS]) == "bfloat16\n"
    assert complete("bash", ["gradcli grad --dtype=b", " "]) == "--dtype=bfloat16\n"
    assert complete("bash", ["gradcli grad 'w * x' x=@m", BREAKS]) == "my\\ data.npy\n"
    assert complete("bash", ["gradcli grad 'w * x' x=@my\\ d", BREAKS]) == "my\\ data.npy\n"
    assert complete("bash", ['gradcli grad "w * \\" x" "x=@my d', BREAKS]) == "x=@my data.npy\n"
    assert complete("zsh", ["activate", "leaky_re"]) == "leaky_relu\n"
    assert complete("fish", ["gra"]) == f"grad\t{COMMANDS['grad'].summary}\n"
    assert complete("zsh", ["grad", "'w * x'", "x=@my\\ d"]) == "x=@my data.npy\n"


# without what is heavy


def test_a_name_that_a_terminal_would_obey_is_offered_in_a_form_that_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bash has such a form, which it reads as the same name; inside of quotes, and in the other
    shells, it is left out.
    """
    monkeypatch.chdir(tmp_path)
    names = [
        f"a{odd}b.npy"
        for odd in ("\x1b[2J", "\n", "\r", "\x07", "\x9b", "\u202e", "\U000e0001", "\udcff")
    ]
    for name in names:
        Path(name).touch()
    answer = complete("bash", ["gradcli activate relu --x @", ""])
    assert answer.isascii()
    assert "\x1b" not in answer
    words = "printf '%s\\0' " + " ".join(answer.splitlines())
    read = subprocess.run(
        ["bash", "-c", words], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout
    assert sorted(read[:-1].split(b"\0")) == sorted(os.fsencode(f"@{name}") for name in names)
    assert complete("bash", ["gradcli activate relu --x '@", ""]) == ""
    assert (
        complete("zsh", ["activate", "relu", "--x", "@"])
        == complete("fish", ["activate", "relu", "--x", "@"])
        == ""
    )


def test_nothing_heavy_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_GRADCLI_COMPLETE", "zsh")
    for words in (["gr"], ["grad", "--fn", "m"], ["why", ""], ["descend", "x**2", "x=1", "--"]):
        modules, status = loaded(tmp_path, *words)
        assert status == 0
        assert modules & {*HEAVY, "typer", "rich", "gradcli.process.client"} == set()


# in the shells themselves


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `gradcli` in it."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "gradcli").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m gradcli "$@"\n', encoding="utf-8"
    )
    (folder / "gradcli").chmod(0o755)
    return folder


def shell_of(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def surroundings(binaries: Path) -> dict[str, str]:
    return {
        **BASE,
        "PATH": f"{binaries}:{BASE['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(binaries),
        "TERM": "dumb",
    }


def in_shell(command: Sequence[str], binaries: Path, cwd: Path) -> list[str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=surroundings(binaries),
        cwd=cwd,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


BASH = """
eval "$(gradcli completion bash)"
COMP_LINE=$1 COMP_POINT=${#1}
_gradcli "$2"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("name", ["gradcli", rare("ABSOLUTE"), rare("~/gradcli"), rare("an_alias")])
def test_bash(name: str, binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "my data.npy").touch()
    bash = shell_of("bash")
    name = name.replace("ABSOLUTE", str(binaries / "gradcli"))
    for typed, expected in (
        ("grad 'x*2' x=@m", ["my\\ data.npy"]),
        ("gra", ["grad"]),
        ("activate hards", ["hardsigmoid", "hardswish", "hardshrink"]),
        ("grad --dtype=b", ["bfloat16"]),
        ("why not-a-n", ["not-a-number"]),
        ("grda ", [""]),
    ):
        found = in_shell(
            [bash, "--norc", "-c", BASH, "bash", f"{name} {typed}", name], binaries, tmp_path
        )
        assert sorted(found) == sorted(expected), typed


def test_bash_with_words_alone(binaries: Path, tmp_path: Path) -> None:
    bash = shell_of("bash")
    script = """
        eval "$(gradcli completion bash)"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _gradcli gradcli
        echo "${COMPREPLY[@]}"
    """
    for words, expected in (
        (["jac"], "jacobian"),
        (["grad", "--fn", "hub"], "huber"),
        (["grad", "--fn", "=", "hub"], "huber"),
    ):
        assert in_shell([bash, "-c", script, "bash", "gradcli", *words], binaries, tmp_path) == [
            expected
        ]
    registered = in_shell(
        [bash, "-c", 'eval "$(gradcli completion bash)"; complete -p gradcli'], binaries, tmp_path
    )
    assert registered == ["complete -o nosort -F _gradcli gradcli"]


def test_zsh(binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "my data.npy").touch()
    zsh = shell_of("zsh")
    script = """
        eval "$(gradcli completion zsh)"
        compadd() { print -l -- "${(@)@[$(( ${@[(i)--]} + 1 )),-1]}" }
        words=("$@") CURRENT=$# PREFIX=${@[-1]}
        _gradcli
    """
    for words, expected in (
        (["gra"], ["grad"]),
        (["grad", "--fn", "hub"], ["huber"]),
        (["grad", "--dtype=b"], ["--dtype=bfloat16"]),
        (["grad", "'x * 2'", "x=@my\\ "], ["x=@my data.npy"]),
        (["grda", ""], []),
    ):
        assert (
            in_shell([zsh, "-f", "-c", script, "zsh", "gradcli", *words], binaries, tmp_path)
            == expected
        ), words


def test_fish(binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "data.npy").touch()
    fish = shell_of("fish")
    for typed, expected in (
        ("gra", ["grad"]),
        ("grad --fn hub", ["huber"]),
        ("grad --dtype=b", ["--dtype=bfloat16"]),
        ("grad 'x * 2' x=@d", ["x=@data.npy"]),
        ("grda ", []),
    ):
        script = f'gradcli completion fish | source; complete -C "gradcli {typed}"'
        found = in_shell([fish, "--no-config", "-c", script], binaries, tmp_path)
        assert [line.split("\t")[0] for line in found] == expected, typed
    script = 'gradcli completion fish | source; complete -C "gradcli gra"'
    (line,) = in_shell([fish, "--no-config", "-c", script], binaries, tmp_path)
    assert line == f"grad\t{COMMANDS['grad'].summary}"


@pytest.mark.parametrize(
    ("shell", "start"),
    [
        (["bash", "--norc", "--noprofile", "-i"], 'eval "$(gradcli completion bash)"'),
        (
            ["zsh", "-f", "-i"],
            'autoload -U compinit; compinit -D; eval "$(gradcli completion zsh)"',
        ),
    ],
    ids=["bash", "zsh"],
)
def test_the_tabulator_completes_on_a_terminal(
    shell: list[str], start: str, binaries: Path, tmp_path: Path
) -> None:
    """Typed as a user types it: the key, then the rest of the line, which the program must get
    whole.
    """
    path = shell_of(shell[0])
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [path, *shell[1:]], stdin=slave, stdout=slave, stderr=slave, env={**surroundings(binaries), "TERM": "vt100"},
        cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        _say(master, "PS1='ready> '\n", "ready> ")
        _say(master, f"{start}; echo do''ne\n", "done")
        said = _say(master, "gradcli functio\trelu --js\t; echo en''ded\n", "ended")
        assert '"torch":"F.relu"' in said.replace("\r\n", ""), said
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _say(terminal: int, text: str, until: str) -> str:
    """Type, and read until an answer is there or half a minute is over."""
    os.write(terminal, text.encode())
    said, end = "", time.monotonic() + 30
    while until not in said and time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            with suppress(OSError):
                said += os.read(terminal, 4096).decode(errors="replace")
    assert until in said, said
    return said


# the command


def test_the_script_alone_is_printed(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        shown = run("completion", shell, cwd=str(tmp_path))
        assert (shown.status, shown.stderr) == (0, "")
        assert "_GRADCLI_COMPLETE" in shown.stdout
        assert shown.stdout.isascii()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "says"), [([], "missing"), (["bahs"], "bash"), (["powershell"], "bash, zsh, fish"), (["bash", "zsh"], "too many")])  # fmt: skip  # noqa: E501
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("completion", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert says in shown.stderr
