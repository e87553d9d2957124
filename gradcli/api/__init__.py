"""The commands as Python functions, and as magics of a notebook."""
