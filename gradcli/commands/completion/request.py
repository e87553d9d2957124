"""`completion`: the script that makes a shell complete gradcli's words."""

from dataclasses import dataclass

from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import ValueKind, argument

SHELLS = ("bash", "zsh", "fish")
SHELL = ValueKind("|".join(SHELLS), lambda source: source.text, hints=SHELLS)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Print the completion script for a shell; no file is changed."""

    shell: str = argument(SHELL, "the shell to complete commands, options, functions and files in")

    def __post_init__(self) -> None:
        if self.shell not in SHELLS:
            hint = did_you_mean(self.shell, SHELLS) or f"choose one of {', '.join(SHELLS)}"
            raise UsageError(f"there is no completion for {self.shell[:40]!r}", hint=hint)
