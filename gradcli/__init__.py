"""gradcli: a gradient explorer for the shell."""

__version__ = "1.0.0"
