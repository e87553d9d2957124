"""The optimisers of torch.optim: found by name, made with the user's arguments, errors reworded.

PyTorch wraps the methods of an optimiser in functions that keep torch.compile out of them, and that
load it (torch._dynamo, a second) to do so. Nothing is compiled here, so the methods are called
without these wrappers; the one thing that they do besides, to choose whether a step itself is
differentiable, is done here.
"""

import inspect
from collections.abc import Callable, Sequence
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
    kinds = (value for value in vars(torch.optim).values() if isinstance(value, type))
    kinds = (kind for kind in kinds if issubclass(kind, Optimizer) and kind is not Optimizer)
    return {kind.__name__.lower(): kind for kind in kinds}


def needs_closure(name: str) -> bool:
    """Whether the optimiser's `step` requires a closure: it computes the value several times."""
    closure = inspect.signature(available()[name.lower()].step).parameters["closure"]
    return closure.default is inspect.Parameter.empty


class Chosen:
    """An optimiser and its arguments, checked but not yet made.

    Raises UsageError for a name or an argument that PyTorch does not have.
    """

    def __init__(self, name: str, lr: float, settings: Sequence[Setting]) -> None:
        known = available()
        bare = name.lower().removeprefix("torch.").removeprefix("optim.")
        if bare not in known:
            hint = did_you_mean(bare, known) or f"PyTorch has {', '.join(sorted(known))}"
            version = torch.__version__.partition("+")[0]
            message = f"--optimizer: PyTorch {version} has no optimiser {name[:80]!r}"
            raise UsageError(message, hint=hint)
        self.kind = known[bare]
        self.arguments: dict[str, Value] = {"lr": lr}
        signature = inspect.signature(self.kind).parameters.items()
        takes = {name: each.default for name, each in signature if name not in ("params", "lr")}
        for setting in settings:
            if setting.name not in takes:
                hint = did_you_mean(setting.name, takes) or f"its arguments: {', '.join(takes)}"
                message = f"--set: {self.name} has no argument {setting.name[:80]!r}"
                raise UsageError(message, hint=hint)
            _check_type(setting, takes[setting.name])
            self.arguments[setting.name] = setting.value

    @property
    def name(self) -> str:
        """The name of the class, such as `SGD`."""
        return self.kind.__name__

    @property
    def text(self) -> str:
        """The arguments as Python code: `lr=0.1, momentum=0.9`."""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())

    def over(self, parameters: Sequence[Tensor]) -> Optimizer:
        """The optimiser of these parameters, leaves of any shape.

        Raises UsageError if PyTorch refuses the arguments or the parameters.
        """
        arguments: dict[str, Any] = self.arguments
        add = Optimizer.add_param_group
        try:
            Optimizer.add_param_group = inspect.unwrap(add)  # type: ignore[method-assign]
            return self.kind(parameters, **arguments)
        except Exception as error:  # an argument of the wrong type raises any of them
            message = f"{self.name} cannot be created: {words(error)}"
            raise UsageError(message, hint=f"it was given {self.text}") from None
        finally:
            Optimizer.add_param_group = add  # type: ignore[method-assign]

    def step(self, optimizer: Optimizer, closure: Callable[[], Tensor]) -> None:
        """Let `optimizer` take one step; its parameters keep their shapes, `closure` gives one number.

        Raises MathError if PyTorch refuses the gradients or an argument; errors of `closure` pass.
        """
        differentiable = optimizer.defaults.get("differentiable", False)
        try:
            with torch.set_grad_enabled(differentiable):
                inspect.unwrap(self.kind.step)(optimizer, closure)
        except (GradcliError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # some arguments and gradients are refused only in a step
            raise MathError(
                f"{self.name} cannot take a step: {words(error)}",
                hint=f"it was given {self.text}; choose another with --optimizer",
            ) from None


def _check_type(setting: Setting, default: object) -> None:
    """Raise a UsageError if a value has another type than the default: PyTorch does not check."""
    value = setting.value
    if isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int | float):
        fits, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    elif isinstance(default, tuple):
        numbers = value if isinstance(value, tuple) else ()
        fits = len(numbers) == len(default) and not any(isinstance(item, str) for item in numbers)
        wanted = f"{len(default)} numbers"
    else:
        return
    if not fits:
        usual = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
        hint = f"PyTorch's default: {setting.name}={usual}"
        raise UsageError(f"--set {setting.name}: expected {wanted}", hint=hint)
