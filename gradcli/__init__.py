"""gradcli: a gradient explorer, for the shell and for Python."""

__version__ = "2.0.0"

__all__ = [
    "GradcliError", "Result", "activate", "batch", "check", "derive", "descend", "flow", "functions", "grad", "hessian",
    "jacobian", "loss", "perceptron", "plot", "softmax_jacobian", "value", "why",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """A function, loaded when it is first used: importing gradcli loads nothing."""
    if name == "batch":
        from importlib import import_module

        return import_module("gradcli.batch")
    if name == "load_ipython_extension":
        from gradcli.api.magics import load_ipython_extension

        return load_ipython_extension
    if name not in __all__:
        raise AttributeError(f"module 'gradcli' has no attribute {name!r}")
    from gradcli.api import python

    found = globals()[name] = getattr(python, name, None) or python.function(name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
