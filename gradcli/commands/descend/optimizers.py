"""The optimisers of torch.optim: found by name in any case, made with the user's arguments, their
refusals translated.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gradcli.commands.descend.setting import Setting, Value
from gradcli.errors import GradcliError, MathError, UsageError
from gradcli.evaluate.refusals import words
from gradcli.language.suggest import did_you_mean


def available() -> dict[str, type[Optimizer]]:
    """The optimisers of the installed PyTorch by their names in lower case."""
    found = (value for value in vars(torch.optim).values() if isinstance(value, type))
    return {
        each.__name__.lower(): each
        for each in found
        if issubclass(each, Optimizer) and each is not Optimizer
    }


def asks_again(name: str) -> bool:
    """Whether an optimiser asks for the value several times in a step, and so cannot do without a
    function for it.
    """
    closure = inspect.signature(available()[name.lower()].step).parameters["closure"]
    return closure.default is inspect.Parameter.empty


class Chosen:
    """An optimiser with the arguments that the user gave it; nothing is made yet.

    Raises UsageError for a name or an argument that PyTorch does not know.
    """

    def __init__(self, name: str, lr: float, settings: Sequence[Setting]) -> None:
        known = available()
        bare = name.lower().removeprefix("torch.").removeprefix("optim.")
        if bare not in known:
            hint = did_you_mean(bare, known) or f"PyTorch has {', '.join(sorted(known))}"
            version = torch.__version__.partition("+")[0]
            raise UsageError(
                f"--optimizer: PyTorch {version} has no optimiser {name[:80]!r}", hint=hint
            )
        self.kind = known[bare]
        self.arguments: dict[str, Value] = {
            "lr": lr,
            **{setting.name: setting.value for setting in settings},
        }
        takes = {
            name: parameter.default
            for name, parameter in inspect.signature(self.kind).parameters.items()
            if name not in ("params", "lr")
        }
        for setting in settings:
            if setting.name not in takes:
                hint = did_you_mean(setting.name, takes) or f"its arguments: {', '.join(takes)}"
                raise UsageError(
                    f"--set: {self.name} has no argument {setting.name[:80]!r}", hint=hint
                )
            _check_kind(setting, takes[setting.name])

    @property
    def name(self) -> str:
        """PyTorch's name for it."""
        return self.kind.__name__

    @property
    def text(self) -> str:
        """It with its arguments, as a program has them: `lr=0.1, momentum=0.9`."""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())

    def over(self, parameters: Sequence[Tensor]) -> Optimizer:
        """The optimiser of these parameters, leaves of any shape.

        Raises UsageError where PyTorch refuses the arguments or the parameters.
        """
        arguments: dict[str, Any] = self.arguments
        try:
            return self.kind(parameters, **arguments)
        except (
            Exception
        ) as error:  # whatever a constructor of PyTorch's says to a value of the wrong kind
            raise UsageError(
                f"{self.name} cannot be created: {words(error)}", hint=f"it was given {self.text}"
            ) from None

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn what the optimiser says against a step into a MathError; what is wrong with the
        expression passes.
        """
        try:
            yield
        except (GradcliError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # an optimiser may meet an argument or a gradient that it cannot use as late as here
            raise MathError(
                f"{self.name} cannot take a step: {words(error)}",
                hint=f"it was given {self.text}; choose another with --optimizer",
            ) from None


def _check_kind(setting: Setting, default: object) -> None:
    """Raise a UsageError where a value is of another kind than the default, which PyTorch would
    only stumble over.
    """
    value = setting.value
    if isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int | float):
        fits, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    elif isinstance(default, tuple):
        fits = (
            isinstance(value, tuple)
            and len(value) == len(default)
            and not any(isinstance(v, str) for v in value)
        )
        wanted = f"{len(default)} numbers"
    else:
        return
    if not fits:
        usual = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
        raise UsageError(
            f"--set {setting.name}: expected {wanted}",
            hint=f"PyTorch's default: {setting.name}={usual}",
        )
