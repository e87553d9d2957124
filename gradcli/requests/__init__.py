"""One dataclass per command: its fields are the options, its docstring the help, `__post_init__` what must hold."""
