"""When a server sees that the files it was loaded from have changed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gradcli.process import sources
from gradcli.process.sources import Watched, states


def _rewrite(package: Path) -> None:
    with open(package / "inner" / "deep.py", "a", encoding="utf-8") as file:
        file.write("# changed\n")


def _replace(package: Path) -> None:
    shutil.copy(package / "inner" / "deep.py", package / "new")
    os.replace(package / "new", package / "inner" / "deep.py")


def _write_by_another_name(package: Path) -> None:
    with open(package.parent / "linked", "a", encoding="utf-8") as file:
        file.write("# changed\n")


def _remove(package: Path) -> None:
    os.unlink(package / "inner" / "deep.py")


def _exchange_the_folder(package: Path) -> None:
    os.rename(package / "inner", package / "old")
    shutil.copytree(package / "old", package / "inner")


def _exchange_a_folder_above(package: Path) -> None:
    os.rename(package.parent, package.parent.parent / "old")
    shutil.copytree(package.parent.parent / "old", package.parent)


@pytest.mark.parametrize("reported", [True, False])
@pytest.mark.parametrize(
    "change",
    [_rewrite, _replace, _write_by_another_name, _remove, _exchange_the_folder, _exchange_a_folder_above],
)  # fmt: skip
def test_every_change_is_seen_at_the_next_call(
    change: Callable[[Path], None], reported: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "above" / "package"
    (package / "inner").mkdir(parents=True)
    files = [package / "top.py", package / "inner" / "deep.py"]
    for file in files:
        file.write_text("x = 1\n", encoding="utf-8")
    os.link(files[1], package.parent / "linked")
    monkeypatch.setattr(sources, "_INNER", f"{package}{os.sep}")
    if not reported:
        monkeypatch.setattr(sources, "_LOCAL", set())  # as on a disk of another machine
    watched = Watched(states(map(str, files)))
    assert watched.unchanged()
    (package / "inner" / "another.py").write_text("", encoding="utf-8")
    assert watched.unchanged()  # nothing was loaded from that
    change(package)
    assert not watched.unchanged()
    assert not watched.unchanged()
