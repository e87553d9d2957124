"""What mkdocs.yml alone cannot say: a copy button copies what is typed, and the pages of the inside
are found last.
"""

import re
from html import escape, unescape
from typing import Any

_CONSOLE = re.compile(r'<div class="language-console highlight">(.*?)</div>', re.DOTALL)
_CONTINUED = re.compile(r'<span class="go">&gt;(?: (.*))?</span>')
_TAG = re.compile(r"<[^>]+>")


def on_page_markdown(_markdown: str, page: Any, **_: Any) -> None:
    """Rank the pages about gradcli's own making below those about its use."""
    if page.parent and page.parent.title == "Inside":
        page.meta["search"] = {"boost": 1e-6}  # a match in a title counts a thousand times


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
