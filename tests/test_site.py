"""The documentation as a site: the strict build passes, and every page can be reached.

`mkdocs build --strict` fails on a page that the navigation lacks, on a link and on an anchor that lead nowhere.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
NEEDED = ("mkdocs", "material")


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(site)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def test_the_navigation_names_every_page_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"^ *- [^#\n]*: ([\w/.-]+\.md)$", navigation, re.MULTILINE)
    assert sorted(named) == sorted(PAGES)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, NEEDED)), reason="the site wants mkdocs-material: pip install -e '.[docs]'"
)
def test_the_strict_build_passes_and_can_fail(tmp_path: Path) -> None:
    done = build(ROOT / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 0, done.stdout
    for page in PAGES:
        html = (tmp_path / "site" / page.replace(".md", ".html")).read_text(encoding="utf-8")
        # Nothing is fetched from another site, and no mark-up is left over.
        assert not re.search(r'(?:src|<link rel="stylesheet" href)="https?://', html)
        assert not re.search(r"<p>[^<]*(?:```|\n- |\n\|)", html)
    assert not list((tmp_path / "site").rglob("*.py"))

    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# Home\n\n[away](gone.md)\n", encoding="utf-8")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0]
    (tmp_path / "mkdocs.yml").write_text(config, encoding="utf-8")
    broken = build(tmp_path / "mkdocs.yml", tmp_path / "other")
    assert broken.returncode == 1
    assert "gone.md" in broken.stdout
