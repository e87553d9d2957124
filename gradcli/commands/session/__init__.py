"""`session`: the other commands, line by line, with inputs that stay."""

EXAMPLES = (
    ("gradcli session", "a prompt: x = 3, then w*x, then derive; help lists what a line may be"),
    ("gradcli session 'mse(w*x, y)' x=1 w=2 y=1", "begin with an expression and its inputs"),
    ("printf 'x = 3\\nx**2\\nderive\\n' | gradcli session", "the lines of a pipe or a file"),
)
FORMS = {"quiet": "no first line on a terminal"}
