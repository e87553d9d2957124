"""Directions of derivatives as tensors: `--jvp` and `--hvp` name an input and give its tangent."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gradcli.errors import ShapeError, UsageError
from gradcli.evaluate.job import Job, not_floating
from gradcli.language.literals.constructors import Made
from gradcli.language.suggest import did_you_mean
from gradcli.options.inputs import Input

LISTED = 16
"""Random numbers in a note, at most."""


def directions(
    given: Sequence[Input], inputs: Mapping[str, Tensor], job: Job, option: str
) -> dict[str, Tensor]:
    """The tangent of each input in `given`, made in that order, in the input's shape and dtype.

    Raises UsageError for a name that is not an input, MathError for an input of integers, ShapeError
    for a direction in another shape, and what a literal raises.
    """
    return {item.name: _direction(item, inputs, job, option) for item in given}


def _direction(item: Input, inputs: Mapping[str, Tensor], job: Job, option: str) -> Tensor:
    name, place = item.name, item.literal.source.whole
    if (tensor := inputs.get(name)) is None:
        hint = did_you_mean(name, inputs) or f"the inputs are {', '.join(inputs)}"
        raise UsageError(f"{option}: there is no input {name!r}", hint=hint)
    if not tensor.is_floating_point():
        raise not_floating(name, tensor)
    direction = job.tensor(item.literal).to(tensor.dtype)
    if direction.shape != tensor.shape:
        ones = f"ones({','.join(map(str, tensor.shape))})" if tensor.ndim else "1"
        message = f"the direction of {name} has shape {list(direction.shape)}, but {name} has {list(tensor.shape)}"
        hint = f"give one number for each element of {name}, such as {option} '{name}={ones}'"
        raise ShapeError(message, span=place, hint=hint)
    if isinstance(item.literal, Made) and item.literal.random:
        job.note("direction", f"{option} drew {name} = {drawn(direction)}")
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
