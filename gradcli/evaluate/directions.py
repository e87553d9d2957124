"""Directions of derivatives as tensors: `--jvp` and `--hvp` name an input and give its tangent."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradcli.errors import ShapeError, UsageError
from gradcli.evaluate.job import Job, not_floating
from gradcli.evaluate.networks import in_shape
from gradcli.language.literals.constructors import Made
from gradcli.language.suggest import did_you_mean
from gradcli.options.inputs import Input
from gradcli.results import Inputs

LISTED = 16
"""Random numbers in a note, at most."""


class Directions(dict[str, Tensor]):
    """The directions of an option by input. `made` makes them, in the order given, before a network
    draws its parameters; `fit` then gives each the shape and dtype of its input.
    """

    def __init__(self, given: Sequence[Input], job: Job, option: str) -> None:
        self._given, self._job, self._option = given, job, option

    def made(self, inputs: Inputs) -> dict[str, Tensor]:
        """Make the directions, tensors of any shape, which are not inputs. Raises what a literal raises."""
        self.update({item.name: self._job.tensor(item.literal) for item in self._given})
        return {}

    def fit(self, inputs: Inputs) -> None:
        """Fit the directions to their inputs.

        Raises UsageError for a name that is not an input, MathError for an input of integers,
        ShapeError for a direction in another shape.
        """
        for item in self._given:
            self[item.name] = self._fitted(item, inputs)

    def _fitted(self, item: Input, inputs: Inputs) -> Tensor:
        name, option = item.name, self._option
        if (tensor := inputs.get(name)) is None:
            known = [each for each, tensor in inputs.items() if tensor.is_floating_point()]
            hint = did_you_mean(name, known) or f"the inputs are {', '.join(inputs)}"
            if parts := [each for each in known if each.startswith(f"{name}.")]:
                hint = f"give a direction of each parameter, such as {option} {parts[0]}=T"
            raise UsageError(f"{option}: there is no input {name!r}", hint=hint)
        if not tensor.is_floating_point():
            raise not_floating(name, tensor)
        direction = self[name].to(tensor.dtype)
        if "." in name:
            direction = in_shape(direction, tensor)
        if direction.shape != tensor.shape:
            ones = f"ones({','.join(map(str, tensor.shape))})" if tensor.ndim else "1"
            message = f"the direction of {name} has shape {list(direction.shape)}, but {name} has {list(tensor.shape)}"
            hint = f"give one number for each element of {name}, such as {option} '{name}={ones}'"
            raise ShapeError(message, span=item.literal.source.whole, hint=hint)
        if isinstance(item.literal, Made) and item.literal.random:
            self._job.note("direction", f"{option} drew {name} = {drawn(direction)}")
        return direction


def drawn(tensor: Tensor) -> str:
    """Random numbers, of any shape, as a literal that reads back to the same, if they are few."""
    if tensor.numel() > LISTED:
        return f"{tensor.numel()} random numbers, which the table shows"

    def shortest(number: float) -> float:
        texts = (f"{number:.{digits}g}" for digits in range(6, 18))
        return next(float(text) for text in texts if tensor.new_tensor(float(text)) == number)

    numbers = [shortest(number) for number in tensor.reshape(-1).tolist()]
    literal = torch.tensor(numbers, dtype=torch.float64).reshape(tensor.shape).tolist()
    return str(literal).replace(" ", "")
