"""`why`: a famous mistake, made, explained and fixed."""

EXAMPLES = (
    ("gradcli why no-grad", "what happens, why, and how to fix it"),
    ("gradcli why 'grad can be implicitly created only for scalar outputs'", "a pasted error"),
    ("gradcli why --run train.py", "the faults of a program, which is run and watched"),
)
FORMS = {
    "json": "",
    "get": "one value by its path, such as cure or related.0; for the list, mistakes.0.name",
    "code": "the program that makes the mistake",
    **dict.fromkeys(("markdown", "latex", "html", "out"), ""),
    "quiet": "no hint",
}
