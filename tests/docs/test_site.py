"""The documentation as a site: the strict build passes, every page can be reached, and the search
has the words to be found.

`mkdocs build --strict` fails on a page that the navigation lacks, on a link and on an anchor that
lead nowhere.
"""

import importlib.util
import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from docs.hooks import copied

ROOT = Path(__file__).parents[2]
PAGES = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
NEEDED = ("mkdocs", "material")


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(site)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


@pytest.mark.smoke
def test_the_navigation_names_every_page_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"^ *- [^#\n]*: ([\w/.-]+\.md)$", navigation, re.MULTILINE)
    assert sorted(named) == sorted(PAGES)


def test_a_copy_button_copies_what_is_typed() -> None:
    block = (
        '<pre><code><span class="gp">$ </span>for<span class="w"> </span>w <span class="k">in</span> &#39;1&#39;; do\n'
        '<span class="go">&gt;   echo &quot;$w&quot; &gt; out</span>\n<span class="go">&gt; done</span>\n'
        '<span class="go">$1 a line of output</span>\n<span class="gp">$ </span>cat<span class="w"> </span>out\n'
        '<span class="go">1</span>\n</code></pre>'
    )
    text = re.findall(
        r'^<div class="language-console highlight" data-copy="([^"]*)">', copied(block)
    )
    assert [unescape(part) for part in text] == [
        "for w in '1'; do\n  echo \"$w\" > out\ndone\ncat out"
    ]
    assert '<span class="gp">&gt; </span>done\n' in copied(block)


@pytest.mark.exhaustive
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, NEEDED)),
    reason="the site needs mkdocs-material: pip install --group docs",
)
def test_the_strict_build_passes_and_can_fail(tmp_path: Path) -> None:
    done = build(ROOT / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 0, done.stdout
    for page in PAGES:
        html = (tmp_path / "site" / page.replace(".md", ".html")).read_text(encoding="utf-8")
        # Nothing is fetched from another site, and no mark-up is left over.
        assert not re.search(
            r'(?:src|<link rel="stylesheet" href)="https?://|class="mermaid"', html
        )
        assert not re.search(r"<p>[^<]*(?:```|\n- |\n\|)", html)
        assert html.count('<div class="language-console highlight"') == html.count(" data-copy=")
        assert "javascripts/iframe-worker.js" in html
    assert not list((tmp_path / "site").rglob("*.py*"))
    # The index also lies there as a script, which a page from the disk can load.
    index = (tmp_path / "site" / "search" / "search_index.js").read_text(encoding="utf-8")
    search = json.loads(index.removeprefix("var __index = "))
    words = re.split(
        search["config"]["separator"],
        "why: `--expect` and cross_entropy(1.2, y.grad), 上游梯度。",
        flags=re.A,
    )
    expected = ["why", "expect", "and", "cross_entropy", "1.2", "y", "grad", *"上游梯度"]
    assert [word for word in words if word] == expected
    assert search["config"]["pipeline"] == []
    expect = [
        page for page in search["docs"] if "--expect" in page["text"] and page.get("boost", 1) == 1
    ]
    assert {page["location"].partition("#")[0] for page in expect} >= {
        "checking.html",
        "getting-started.html",
    }

    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# Home\n\n[away](gone.md)\n", encoding="utf-8")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0]
    config = config.replace("docs/hooks.py", str(ROOT / "docs" / "hooks.py"))
    (tmp_path / "mkdocs.yml").write_text(config, encoding="utf-8")
    broken = build(tmp_path / "mkdocs.yml", tmp_path / "other")
    assert broken.returncode == 1
    assert "gone.md" in broken.stdout
