"""Tensors from literals: the one place that makes them, in the job's dtype and on its device."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gradcli.errors import LiteralError
from gradcli.evaluate import files
from gradcli.language.file_names import FromFile
from gradcli.language.literals.constructors import CONSTRUCTORS, Made
from gradcli.language.literals.literal import FromStdin, Held, Literal, Numbers, parse_stream
from gradcli.language.literals.literal_grammar import INTEGERS
from gradcli.language.source import Source

_CONSTRUCTORS: Mapping[str, Callable[..., Tensor]] = {n: getattr(torch, n) for n in CONSTRUCTORS}
_KEPT: Mapping[str, torch.dtype] = {name: getattr(torch, name) for name in ("bool", *INTEGERS)}
"""The dtypes of numbers that keep their dtype; all others take the job's."""


class TensorMaker:
    """Makes tensors from literals: `TensorMaker(torch.float32, "cpu", sys.stdin.read)(literal)`.

    `read_stdin` returns the text of standard input, and is called once for each literal that stands
    for it. Random numbers come from PyTorch's default generator, which the caller seeds.
    Constructors run on the CPU, so that an input holds the same numbers on every device.
    """

    def __init__(
        self, dtype: torch.dtype, device: torch.device | str, read_stdin: Callable[[], str]
    ) -> None:
        self.dtype = dtype
        self.device = device
        self.read_stdin = read_stdin

    def __call__(self, literal: Literal) -> Tensor:
        """The detached tensor for `literal`. Raises LiteralError, FileError, SizeError."""
        match literal:
            case Numbers():
                dtype, shape = _KEPT.get(literal.dtype, self.dtype), literal.shape
                values = literal.values if shape else literal.values[0]
                flat = torch.tensor(values, dtype=dtype, device=self.device)
                return flat if len(shape) < 2 else flat.reshape(shape)
            case Made():
                made = self._made(literal)
                return made if literal.sign > 0 else made.neg_()
            case FromStdin():
                return self(parse_stream(Source(self.read_stdin(), "standard input")))
            case FromFile():
                stored = files.read(literal)
                if not isinstance(stored, Tensor):
                    return self(stored)
                dtype = torch.bool if stored.dtype == torch.bool else self.dtype
                return stored.to(device=self.device, dtype=dtype)
            case Held():
                stored = files.held(literal)
                kept = stored.dtype == torch.bool or isinstance(literal.value, Tensor)
                dtype = stored.dtype if kept and not stored.is_floating_point() else self.dtype
                return stored.to(device=self.device, dtype=dtype)

    def _made(self, literal: Made) -> Tensor:
        make = _CONSTRUCTORS[literal.name]
        try:
            return make(**literal.arguments, dtype=self.dtype, device="cpu").to(self.device)
        except RuntimeError as error:
            if "without overflow" not in str(error):
                raise
            dtype = str(self.dtype).removeprefix("torch.")
            place = literal.source.whole
            hint = f"use smaller numbers{'' if dtype == 'float64' else ', or --dtype float64'}"
            message = f"{literal.name}: a number is too large for {dtype}"
            raise LiteralError(message, span=place, hint=hint) from None
