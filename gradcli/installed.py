"""Which PyTorch is installed, read as text: importing it takes seconds."""

import os
import sys


def torch_version() -> str:
    """The version of the first PyTorch on the path."""
    for folder in sys.path:
        try:
            with open(os.path.join(folder, "torch", "version.py"), encoding="utf-8") as file:
                for line in file:
                    name, _, value = line.partition("=")
                    if name.partition(":")[0].strip() == "__version__":
                        return value.strip().strip("'\"")
        except OSError:
            continue
    return "not installed"
