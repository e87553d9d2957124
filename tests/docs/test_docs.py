"""The README and docs/ show what the program really prints, their links lead somewhere, their
pictures are its own.

A ```console block holds `$ command` lines (`> ` continues one), each followed by its exact output:
what goes to standard error first, then what goes to standard output. Numbers may differ by
rounding, because processors do. A ```sh block holds commands alone. The commands of one page run in
order in one empty folder. Each must end with status 0, with 2 where an `error:` line is shown, or
as a comment `# exit 1` says.

    python -m tests.docs.test_docs --update            rewrites every output, picture and table, and the catalogue
    python -m tests.docs.test_docs --update PAGE...    rewrites the outputs of these pages alone
"""

import atexit
import contextlib
import difflib
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

from docs import catalogue, curves, performance
from docs.pictures import IMAGES, PICTURES, WRITTEN, Picture, draw
from tests import program, warm
from tests.choice import rare
from tools import readme

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = sorted((ROOT / "docs" / "commands").glob("*.md"))
TRANSLATIONS = ROOT / "docs" / "zh-TW"
TRANSLATED = sorted(TRANSLATIONS.rglob("*.md"))
"""Each has its original, at the same place, in docs/."""

_BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_LACKING = re.compile(r"^bash: line \d+: ([\w-]+): command not found$", re.MULTILINE)
_SHELL_ONLY = re.compile(r"[();<>&]+|.*[$`].*")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_UNHEARD = " 2> /dev/null"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?")
OF_2_13 = {"explain.md", "batch.md"}
"""Pages with numbers that earlier versions of PyTorch do not give."""
_SHAPE = re.compile(r"\b[mp][0-9a-f]{10}\b")  # matplotlib names shapes by a hash of their numbers
PIXEL = 0.11
"""Coordinates are rounded to a tenth, and another processor may round the other way."""
_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""`python` on a page is the one that runs the tests."""


@dataclass
class Session:
    """One page's commands being run: the folder they run in, and the programs that this machine
    lacks.
    """

    folder: str
    missing: set[str] = field(default_factory=set)
    broken: bool = False
    """Whether a script has done but a part, so that what follows it may not be as it is shown."""

    def output(self, command: str) -> str | None:
        """What `command` prints, its exit status checked; None where this machine lacks one of its
        programs.
        """
        stages = _stages(command.replace(_UNHEARD, ""))
        absent = {
            words[0]
            for _, words in stages or ()
            if words[0] != "gradcli" and shutil.which(words[0], path=_PATH) is None
        }
        if absent or self.broken:
            self.missing |= absent
            return None
        output, errors, status = self._pipeline(stages) if stages else self._shell(command)
        if lacking := _LACKING.findall(output):
            self.missing, self.broken = self.missing | {*lacking}, True
            return None
        output = output if _UNHEARD in command else errors + output
        said = re.search(r"# exit (\d+)$", command)
        expected = int(said[1]) if said else 2 if re.search(r"^error:", output, re.MULTILINE) else 0
        assert status == expected, f"{command}\nended with {status}, not {expected}:\n{output}"
        return output

    def _pipeline(self, stages: list[tuple[dict[str, str], list[str]]]) -> tuple[str, str, int]:
        """What the programs write, one after the other, on stdout and on stderr, and the status;
        gradcli and its own PyTorch programs without the seconds that loading PyTorch takes.
        """
        piped, errors, status = "", "", 0
        for env, words in stages:
            if words[0] == "gradcli":
                done = program.run(*words[1:], stdin=piped, env=env, cwd=self.folder)
                piped, errors, status = done.stdout, errors + done.stderr, done.status
            elif words == ["python", "-"]:
                with contextlib.chdir(self.folder):
                    piped, status = program.printed(piped), 0
            else:
                ran = subprocess.run(
                    words, input=piped, capture_output=True, text=True, cwd=self.folder,
                    env={**program.BASE, "PATH": _PATH, **env}, check=False,
                )  # fmt: skip
                piped, errors, status = ran.stdout, errors + ran.stderr, ran.returncode
        return piped, errors, status

    def _shell(self, command: str) -> tuple[str, str, int]:
        """What needs a shell gets one, with a `gradcli` on its path, and a server of the tests' own
        where there can be one.
        """
        started = server()
        with tempfile.TemporaryDirectory() as binaries:
            wrapper = Path(binaries) / "gradcli"
            wrapper.write_text(
                f'#!/bin/sh\nexec {sys.executable} -m gradcli "$@"\n', encoding="utf-8"
            )
            wrapper.chmod(0o755)
            env = {
                **(started.env if started else program.BASE),
                "PATH": f"{binaries}:{_PATH}",
                "PYTHONPATH": str(ROOT),
            }
            done = subprocess.run(
                ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                cwd=self.folder, env=env, check=False,
            )  # fmt: skip
        return done.stdout, "", done.returncode


@cache
def server() -> warm.Server | None:
    """A server for the calls of shells, which ends with the tests."""
    if not sys.platform.startswith("linux"):
        return None
    started = warm.Server()
    atexit.register(started.__exit__)
    return started.__enter__()


def _stages(command: str) -> list[tuple[dict[str, str], list[str]]] | None:
    """The variables and words of each program in a plain pipeline; None where only a shell can run
    the command.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    stages: list[tuple[dict[str, str], list[str]]] = [({}, [])]
    for word in lexer:
        env, words = stages[-1]
        if word == "|":
            stages.append(({}, []))
        elif _SHELL_ONLY.fullmatch(word):
            return None
        elif not words and _ASSIGNMENT.match(word):
            name, _, value = word.partition("=")
            env[name] = value
        else:
            words.append(word)
    return stages


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, prompts included, and the output shown below it."""
    for part in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
        if part:
            command = re.match(r"\$ .*\n(?:>(?: .*)?\n)*", part)
            assert command, f"a console block begins with a command, not with {part[:60]!r}"
            yield command[0], part[command.end() :]


def _bare(typed: str) -> str:
    """A command without the prompts before its lines."""
    return re.sub(r"^[$>](?: |$)", "", typed, flags=re.MULTILINE).strip()


def commands_of(page: Path) -> Iterator[list[str]]:
    """The words of the gradcli commands on a page that stand alone and wait for nobody."""
    for kind, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        typed = (
            [_bare(command) for command, _ in _commands(block)]
            if kind == "console"
            else block.splitlines()
        )
        for command in typed:
            stages = _stages(command) or []
            if len(stages) == 1 and not stages[0][0] and stages[0][1][:1] == ["gradcli"]:
                words = stages[0][1][1:]
                if words[:1] not in (["batch"], ["server"]) and not {"-", "@-"} & set(words):
                    yield words


def passages(page: Path) -> str:
    """What is typed and shown below each heading of a page: its blocks as they are."""
    blocks = re.finditer(
        _BLOCK.pattern + r"|^#+ [^\n]+$", page.read_text(encoding="utf-8"), _BLOCK.flags
    )
    return "\n".join("#" if found[0].startswith("#") else found[2] for found in blocks)


def alike(one: str, other: str, slack: float = 1e-12) -> bool:
    """Whether two texts are the same but for the rounding of their numbers; `slack` is that of
    small ones.
    """
    one, other = _SHAPE.sub("shape", one), _SHAPE.sub("shape", other)
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=False)
    return _NUMBER.sub("0", one) == _NUMBER.sub("0", other) and all(
        math.isclose(float(a), float(b), rel_tol=2e-5, abs_tol=slack) for a, b in pairs
    )


def current(path: Path, shown: str, slack: float = 1e-12) -> None:
    """Fail with a diff where a file is not what the program shows now."""
    stands = path.read_text(encoding="utf-8") if path.exists() else ""
    if not alike(stands, shown, slack):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        before, after = stands.splitlines(keepends=True), shown.splitlines(keepends=True)
        diff = "".join(
            difflib.unified_diff(
                before, after, f"{name}, as it stands", f"{name}, as the program is"
            )
        )
        pytest.fail(
            f"{name} is stale: python -m tests.docs.test_docs --update\n{diff}", pytrace=False
        )


def refreshed(text: str, session: Session) -> str:
    """A page with every shown output replaced by what its command prints now; commands of sh blocks
    are run as well.
    """
    setup = readme.setup_lines()

    def block(found: re.Match[str]) -> str:
        if found[1] == "sh":
            for line in found[2].splitlines():
                if line not in setup:
                    session.output(line)
            return found[0]
        parts = []
        for typed, shown in _commands(found[2]):
            output = session.output(_bare(typed))
            parts += [typed, shown if output is None or alike(shown, output) else output]
        return f"```console\n{''.join(parts)}```"

    return _BLOCK.sub(block, text)


def drawn(picture: Picture) -> str:
    """A picture as its commands draw it now."""
    colour = {"FORCE_COLOR": "1"}
    outputs = [
        program.run(*shlex.split(command)[1:], env=colour).stdout for command in picture.commands
    ]
    return draw(picture, outputs)


def written(command: str) -> tuple[Path, str]:
    """The picture of docs/images that a command writes, and as it writes it now."""
    *words, name = shlex.split(command)[1:]
    with tempfile.TemporaryDirectory() as folder:
        assert program.run(*words, name, cwd=folder).status == 0, command
        return IMAGES / name, (Path(folder) / name).read_text(encoding="utf-8")


def printed(*words: str) -> str:
    """What a command prints that has to succeed."""
    done = program.run(*words)
    assert done.status == 0, f"{shlex.join(words)}: {done.stderr}"
    return done.stdout


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CONTRIBUTING.md" and page not in TRANSLATED],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_page_shows_what_the_program_prints(page: Path, tmp_path: Path) -> None:
    if page.name in OF_2_13 and program.TORCH < (2, 13):
        pytest.skip("PyTorch draws other numbers, or has no such gradient, before 2.13")
    text, session = page.read_text(encoding="utf-8"), Session(str(tmp_path))
    current(page, refreshed(text, session))
    if session.missing:
        pytest.skip(
            f"all that can be run here agrees, but {', '.join(sorted(session.missing))} is not installed"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if not link.startswith(("https://", "http://")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"`((?:gradcli|tests|docs)/[\w./]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.stem)
def test_a_commands_page_begins_with_its_usage_and_an_example(page: Path) -> None:
    """The words of its help, which is the last block."""
    usage, example, *_, help_page = re.findall(
        r"^```\w+\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    typed, _, shown = help_page.partition("\n")
    assert typed == f"$ gradcli {page.stem} --help"
    assert usage.split() == shown.removeprefix("usage: ").partition("\n\n")[0].split()
    assert f"gradcli {page.stem}" in example


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_prose_is_plain_ascii(page: Path) -> None:
    """Traditional Chinese is Big5 instead, which has no Simplified characters. The title of a link
    to such a page is Chinese too.
    """
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    text = text if page in TRANSLATED else re.sub(r"\[[^]]*\](?=\(\S*zh-TW/)", "", text)
    allowed = "big5" if page in TRANSLATED else "ascii"
    assert "".join(sorted(set(text))).encode(allowed, "replace").decode(allowed) == "".join(
        sorted(set(text))
    )


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_translation_shows_what_its_original_shows_in_the_same_passages(page: Path) -> None:
    """The original's outputs are the program's."""
    original = ROOT / "docs" / page.relative_to(TRANSLATIONS)
    if not alike(passages(page), passages(original)):
        assert passages(page) == passages(original)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_the_picture_is_the_programs_own(picture: Picture) -> None:
    current(picture.path, drawn(picture))


@pytest.mark.parametrize("command", [WRITTEN[0], *map(rare, WRITTEN[1:])])
def test_the_file_is_the_programs_own(command: str) -> None:
    """The page that shows it has the command that writes it. Another release of matplotlib may place
    things otherwise.
    """
    path, shown = written(command)
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    assert [page for page in pages if f"$ {command}\n" in page and f"images/{path.name}" in page]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if f"matplotlib=={version('matplotlib')}" in pins:
        current(path, shown)


def test_the_picture_of_the_graph_has_the_numbers_of_the_graph() -> None:
    """Graphviz drew it, and where it puts them differs from release to release."""
    graph = printed("grad", "--fn", "mse", "--x", "1", "--w", "2", "--graph", "dot")
    labels = [
        line for label in re.findall(r'label="([^"]*)"', graph) for line in label.split(r"\n")
    ]
    drawing = (ROOT / "docs" / "images" / "graph.svg").read_text(encoding="utf-8")
    assert re.findall(r"<text[^>]*>([^<]*)</text>", drawing) == labels


def test_the_set_up_page_has_the_lines_of_the_readme() -> None:
    (_, block), *others = _BLOCK.findall((ROOT / "docs" / "set-up.md").read_text(encoding="utf-8"))
    assert not others
    assert block.splitlines() == readme.setup_lines()[:1]


def test_a_stale_page_fails_with_a_diff(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    block = "```console\n$ gradcli grad --fn mse --x 1 --w 2 --get gradients.w\n{}\n```\n"
    page.write_text(block.format("3.0"), encoding="utf-8")
    with pytest.raises(pytest.fail.Exception) as failed:
        current(page, refreshed(page.read_text(encoding="utf-8"), Session(str(tmp_path))))
    assert (
        "page.md is stale: python -m tests.docs.test_docs --update\n--- page.md, as it stands\n"
        in str(failed.value)
    )
    assert "\n-3.0\n+2.0\n" in str(failed.value)
    page.write_text(block.format("2.0"), encoding="utf-8")
    current(page, refreshed(page.read_text(encoding="utf-8"), Session(str(tmp_path))))
    with pytest.raises(
        pytest.fail.Exception, match=re.escape("+++ new.md, as the program is\n@@ -0,0 +1 @@\n+new")
    ):
        current(tmp_path / "new.md", "new\n")


@pytest.mark.smoke
def test_a_wrong_output_or_status_is_noticed(tmp_path: Path) -> None:
    session = Session(str(tmp_path))
    command = "$ gradcli grad --fn mse --x 1 --w 2 --get gradients.w\n"
    assert refreshed(f"```console\n{command}3.0\n```", session) == f"```console\n{command}2.0\n```"
    assert not alike("w = 2.0", "w = 2.001")
    assert alike("0.00669285", "0.00669286")
    with pytest.raises(AssertionError, match="ended with 2, not 0"):
        session.output("gradcli grad --nonsense # exit 0")
    assert refreshed("```console\n$ no-such-program\nas it was\n```", session).endswith(
        "as it was\n```"
    )
    assert session.missing == {"no-such-program"}


def update() -> None:
    """Rewrite every output, every picture, the catalogue and the tables of measurements."""
    performance.update()
    catalogue.PAGE.write_text(catalogue.page(printed), encoding="utf-8")
    for name in catalogue.names(printed):
        picture, shown = curves.path(name), curves.draw(name, printed)
        if not picture.exists() or not alike(picture.read_text(encoding="utf-8"), shown, PIXEL):
            picture.write_text(shown, encoding="utf-8")
    outputs(PAGES)
    for drawing in PICTURES:
        drawing.path.write_text(drawn(drawing), encoding="utf-8")
    for command in WRITTEN:
        path, shown = written(command)
        path.write_text(shown, encoding="utf-8")


def outputs(pages: Sequence[Path]) -> None:
    """Rewrite the outputs on some pages."""
    for page in pages:
        if page.name != "CONTRIBUTING.md":
            with tempfile.TemporaryDirectory() as folder:
                old = page.read_text(encoding="utf-8")
                session = Session(folder)
                try:
                    new = refreshed(old, session)
                except AssertionError as error:
                    print(f"{page.relative_to(ROOT)}: {error}")
                    continue
            if session.missing:
                print(
                    f"{page.relative_to(ROOT)}: left as it was: {', '.join(session.missing)} is not installed"
                )
            if new != old:
                page.write_text(new, encoding="utf-8")
                print(f"rewrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    import torch  # noqa: F401 - all of it, as pytest has it, for programs that are watched

    if sys.argv[1:2] != ["--update"]:
        sys.exit("usage: python -m tests.docs.test_docs --update [PAGE...]")
    if sys.argv[2:]:
        outputs([Path(page).resolve() for page in sys.argv[2:]])
    else:
        update()
