"""`why`: a famous mistake, made, explained and fixed."""

EXAMPLES = (
    ("gradcli why no-grad", "what happens, why, and how to fix it"),
    ("gradcli why 'grad can be implicitly created only for scalar outputs'", "a pasted error"),
    ("python train.py 2>&1 | gradcli why", "a traceback from a pipe"),
)
"""Calls to copy, and what each shows."""

FORMS = {
    "json": "",
    "get": "one value by its path, such as cure or related.0; for the list, mistakes.0.name",
    "code": "the program that makes the mistake",
    "out": "write to FILE instead: .json",
    "quiet": "no hint",
}
"""The options of output that it has, each with words of its own for help where the usual ones do
not fit."""
