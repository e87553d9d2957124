"""`batch`: JSON jobs in, JSON results out."""

EXAMPLES = (
    ("gradcli batch jobs.jsonl > results.jsonl", "a file of jobs"),
    ("gradcli batch jobs.jsonl --jobs 2", "two processes; results stay in order"),
    ('echo \'{"command": "grad", "fn": "mse", "x": 1, "w": 2}\' | gradcli batch', "one job from a pipe"),
)  # fmt: skip
FORMS = {"quiet": "no progress bar"}
