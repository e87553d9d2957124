"""The release as a user gets it: built twice and the same to the byte, with nothing missing and
nothing stray, and it runs.

    python -m tools.release [--keep FOLDER]

What is released is the last commit, exported by `git archive` into two folders of different names.
In one the wheel is built from the sdist, in the other from the tree. The archives are compared with
each other and with the list of what they must hold, then the wheel, and after it the sdist, is
installed in an environment outside the tree, where the main job runs, and removed again. `--keep`
leaves the archives in a folder. It ends with 1 at the first thing that is not as it must be.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gradcli import __version__

ROOT = Path(__file__).parent.parent
NAME = f"gradcli-{__version__}"
WHEEL, SDIST = f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"
TOOLS = ("build", "hatchling", "twine")
NOT_SHIPPED = (".ci/", ".editorconfig", ".github/", ".pre-commit-config.yaml")
"""What is committed and belongs to the repository alone."""
METADATA = ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")
JOBS: Sequence[tuple[Sequence[str], str]] = (
    (("grad", "--fn", "mse", "--x", "1", "--w", "2", "--get", "gradients.w"), "2.0\n"),
    (("--version",), f"gradcli {__version__} (PyTorch "),
    (("completion", "bash"), "gradcli"),
    (("functions", "relu"), "relu"),
    (("plot", "gelu", "--out", "curve.svg"), "curve.svg"),
    (("server", "start"), "running"),
    (("grad", "mse(w*x, y)", "x=1,2", "w=3", "y=1,1", "--get", "gradients.w"), "12.0\n"),
    (("server", "stop"), ""),
)
"""What an installed gradcli is asked, and what must be in its answer."""


def main() -> int:
    """Build, compare, look inside, install and run; say what was done."""
    parser = argparse.ArgumentParser(description="build and try the release")
    parser.add_argument("--keep", metavar="FOLDER")
    kept = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="g") as name:
        folder = Path(name)
        environment(folder / "tools", *TOOLS)
        first, second = folder / "one", folder / "another one" / "deeper"
        built(folder, first, "-s", "-w", umask=0o022)  # the wheel from the tree
        built(folder, second, umask=0o077)  # the wheel from the sdist
        for archive in (SDIST, WHEEL):
            digests = {
                hashlib.sha256((tree / "dist" / archive).read_bytes()).hexdigest()
                for tree in (first, second)
            }
            require(
                len(digests) == 1, f"{archive} is not the same when it is built again: {digests}"
            )
            print(f"{digests.pop()}  {archive}")
        shipped = {path for path in committed(first) if not path.startswith(NOT_SHIPPED)}
        look_inside(first / "dist", shipped)
        call(folder, "tools/bin/twine", "check", "--strict", *map(str, (first / "dist").iterdir()))
        try_out(folder, first / "dist")
        if kept:
            shutil.copytree(first / "dist", kept, dirs_exist_ok=True)
    print(f"{NAME}: built twice, compared, looked into, installed and run")
    return 0


def require(held: bool, otherwise: str) -> None:
    """End here where something is not as it must be."""
    if not held:
        sys.exit(f"error: {otherwise}")


def call(folder: Path, *words: str, env: Mapping[str, str] | None = None, umask: int = -1) -> str:
    """What a command prints, run in `folder` without any variable that leads back into the tree."""
    outside = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "GRADCLI"))
    }
    done = subprocess.run(
        words,
        cwd=folder,
        env={**outside, **(env or {})},
        capture_output=True,
        text=True,
        umask=umask,
        check=False,
    )
    require(
        done.returncode == 0,
        f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}",
    )
    return done.stdout


def environment(folder: Path, *requirements: str) -> None:
    """A fresh environment with some packages in the releases that constraints.txt pins."""
    call(folder.parent, sys.executable, "-m", "venv", str(folder))
    pip(folder, "install", "-c", str(ROOT / "constraints.txt"), *requirements)


def pip(folder: Path, *words: str) -> None:
    """Let the pip of an environment do something."""
    call(folder.parent, str(folder / "bin" / "python"), "-m", "pip", words[0], "-q", *words[1:])


def built(folder: Path, tree: Path, *kinds: str, umask: int) -> None:
    """The last commit in a folder of its own, with archives in its `dist`."""
    tree.mkdir(parents=True)
    archive = folder / "tree.tar"
    call(ROOT, "git", "archive", "--output", str(archive), "HEAD")
    call(tree, "tar", "--extract", "--file", str(archive), umask=umask)
    moment = call(ROOT, "git", "log", "-1", "--format=%ct").strip()
    python = str(folder / "tools" / "bin" / "python")
    call(
        tree,
        python,
        "-m",
        "build",
        "--no-isolation",
        *kinds,
        env={"SOURCE_DATE_EPOCH": moment},
        umask=umask,
    )


def committed(tree: Path) -> set[str]:
    """The files of an exported tree."""
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    return {path for path in files if not path.startswith("dist/")}


def look_inside(dist: Path, shipped: Iterable[str]) -> None:
    """Compare what the archives hold with what they must hold."""
    require(
        {path.name for path in dist.iterdir()} == {SDIST, WHEEL},
        f"there is something else in {dist}",
    )
    package = {path for path in shipped if path.startswith("gradcli/")}
    metadata = {f"{NAME}.dist-info/{name}" for name in METADATA}
    same(
        WHEEL,
        zipfile.ZipFile(dist / WHEEL).namelist(),
        {*package, *metadata, f"{NAME}.data/scripts/gradcli"},
    )
    with tarfile.open(dist / SDIST) as archive:
        found = [member.name.removeprefix(f"{NAME}/") for member in archive]
        script = archive.getmember(f"{NAME}/bin/gradcli")
        require(bool(script.mode & 0o111), "bin/gradcli cannot be executed")
    same(SDIST, found, {*shipped, "PKG-INFO"})


def same(archive: str, found: Sequence[str], wanted: set[str]) -> None:
    """Hold the names in an archive against those that must be there."""
    stray, missing = sorted(set(found) - wanted), sorted(wanted - set(found))
    require(len(found) == len(set(found)), f"{archive} holds a file twice")
    require(not stray and not missing, f"{archive}: stray {stray}, missing {missing}")
    print(f"{archive}: {len(found)} files, as they must be")


def try_out(folder: Path, dist: Path) -> None:
    """Install each archive outside the tree, ask the installed program, and remove it without a
    trace.
    """
    fresh, home = folder / "fresh", folder / "home"
    home.mkdir()
    for archive in (WHEEL, SDIST):
        requirement = f"{dist / archive}[all]"
        environment(fresh, requirement)
        for words, answer in JOBS:
            told = call(
                home, str(fresh / "bin" / "gradcli"), *words, env={"XDG_RUNTIME_DIR": str(home)}
            )
            require(answer in told, f"gradcli {' '.join(words)} answered:\n{told}")
        require((home / "curve.svg").stat().st_size > 1000, "the plot is empty")
        (home / "curve.svg").unlink()
        pip(fresh, "uninstall", "-y", "gradcli")
        left = [str(path) for path in fresh.rglob("*gradcli*")]
        require(not left, f"uninstalling leaves {left}")
        print(f"{archive}: installed, run and removed")


if __name__ == "__main__":
    sys.exit(main())
