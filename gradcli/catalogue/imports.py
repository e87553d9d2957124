"""The import lines of PyTorch programs, for `--code` and `why`."""

_IMPORTS = (
    ("builtins.", "import builtins"),
    ("math.", "import math"),
    ("torch.", "import torch"),
    ("safetensors.", "import safetensors.torch"),
    ("F.", "import torch.nn.functional as F"),
    ("nn.", "from torch import nn"),
    ("np.", "import numpy as np"),
)
_BEFORE_A_NAME = str.maketrans(dict.fromkeys("([-,", " "))


def imports(program: str) -> list[str]:
    """The import lines that a program needs, in the usual order."""
    words = program.translate(_BEFORE_A_NAME).split()
    return [line for prefix, line in _IMPORTS if any(word.startswith(prefix) for word in words)]
