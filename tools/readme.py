"""Prints the command lines of the README's set-up blocks, one per line, for `.ci/run` and for the
tests.
"""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def setup_lines() -> list[str]:
    """The lines of the README's first two sh blocks."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [line for block in blocks[:2] for line in block.splitlines() if line.strip()]


if __name__ == "__main__":
    print("\n".join(setup_lines()))
