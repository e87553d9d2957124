"""The row of padding_idx, which `embedding` passes no gradient to on purpose."""

from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class PaddingHeld(TorchFunctionMode):
    """Runs code with the rows of padding_idx held at the numbers that they had in the first run.

    `rows` are these rows, [columns], one for each call of `embedding` that has a padding_idx.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Tensor] = []
        self._calls = 0

    def __enter__(self) -> "PaddingHeld":
        self._calls = 0
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is functional.embedding and (place := given.get("padding_idx")) is not None:
            indices, weight = args
            if self._calls == len(self.rows):
                self.rows.append(weight[place].detach().clone())
            weight = weight.clone()
            weight[place] = self.rows[self._calls]
            self._calls += 1
            args = indices, weight
        return func(*args, **given)
