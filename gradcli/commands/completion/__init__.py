"""`completion`: scripts for shells."""

EXAMPLES = (
    ('eval "$(gradcli completion bash)"', "in ~/.bashrc"),
    ('eval "$(gradcli completion zsh)"', "in ~/.zshrc, after compinit"),
    ("gradcli completion fish | source", "in ~/.config/fish/config.fish"),
)
"""Calls to copy, and what each shows."""

FORMS: dict[str, str] = {}
"""The options of output that it has, each with words of its own for help where the usual ones do
not fit."""
