"""`%load_ext gradcli`: each command as a magic of IPython, with the words of the shell."""

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to an IPython shell."""
