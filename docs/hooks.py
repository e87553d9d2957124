"""What mkdocs.yml alone cannot say: a copy button copies what is typed, the pages of the inside are
found last, and a notebook is part of its page.
"""

import json
import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

_CONSOLE = re.compile(r'<div class="language-console highlight">(.*?)</div>', re.DOTALL)
_CONTINUED = re.compile(r'<span class="go">&gt;(?: (.*))?</span>')
_TAG = re.compile(r"<[^>]+>")
_NOTEBOOK = re.compile(r"<!-- ([\w-]+\.ipynb) -->")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rank the pages about gradcli's own making below those about its use; put in the notebook that
    a comment names.
    """
    if page.parent and page.parent.title == "Inside":
        page.meta["search"] = {"boost": 1e-6}  # a match in a title counts a thousand times
    folder = Path(page.file.abs_src_path).parent
    return _NOTEBOOK.sub(lambda found: "\n\n".join(cells(folder / found[1])), markdown)


def cells(notebook: Path) -> Iterator[str]:
    """The cells of a notebook and their outputs as Markdown, without its title."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield re.sub(r"\A# .*", "", text)
            continue
        yield f"```python\n{text}\n```"
        for output in cell["outputs"]:
            shown = output.get("data", {"text/plain": output.get("text", [])})
            if "text/html" in shown:
                yield "".join(shown["text/html"])
            else:
                yield f"```text\n{''.join(shown['text/plain']).rstrip()}\n```"


def on_page_content(html: str, **_: Any) -> str:
    """Give each console block the text that its button copies."""
    return _CONSOLE.sub(lambda found: copied(found[1]), html)


def copied(block: str) -> str:
    """A console block whose button copies the commands, without their prompts and outputs."""
    block = _CONTINUED.sub(
        r'<span class="gp">&gt; </span>\1', block
    )  # which Pygments takes for output
    typed = [
        line[2:]
        for line in unescape(_TAG.sub("", block)).splitlines()
        if line.startswith(("$ ", "> "))
    ]
    text = escape("\n".join(typed)).replace("\n", "&#10;")
    return f'<div class="language-console highlight" data-copy="{text}">{block}</div>'
