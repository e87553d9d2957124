"""`server`: the warm start."""

EXAMPLES = (
    ("gradcli server start", "load PyTorch once; every later call of yours uses it"),
    ("gradcli server status", "is it running? exit status 0 or 1"),
    ("gradcli server stop", "stop it; calls in progress are finished"),
)
FORMS = {
    "json": "status as one JSON object on one line",
    "quiet": "print nothing: use the exit status",
}
