"""`why`: a famous mistake, made, explained and fixed."""

EXAMPLES = (
    ("gradcli why no-grad", "what happens, why, and how to fix it"),
    ("gradcli why 'grad can be implicitly created only for scalar outputs'", "a pasted error"),
    ("python train.py 2>&1 | gradcli why", "a traceback from a pipe"),
    ("gradcli why --run train.py -- --epochs 3", "the faults of a program, which is run"),
)
FORMS = {
    "json": "",
    "get": "one value by its path, such as cure or related.0; for the list, mistakes.0.name",
    "code": "the program that makes the mistake",
    "out": "write to FILE instead: .json",
    "quiet": "no hint",
}
