"""`completion`: scripts for shells."""

EXAMPLES = (
    ('eval "$(gradcli completion bash)"', "in ~/.bashrc"),
    ('eval "$(gradcli completion zsh)"', "in ~/.zshrc, after compinit"),
    ("gradcli completion fish | source", "in ~/.config/fish/config.fish"),
)
FORMS: dict[str, str] = {}  # none
