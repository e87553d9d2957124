"""What PyTorch says when it refuses a call, in gradcli's words: shapes and dtypes become a
ShapeError with its hint.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from gradcli.errors import GradcliError, Location, ShapeError

_UNNAMED = re.compile(r"[\w.]*<(?:lambda|locals)>[\w.<>]*\(\)")
"""What Python calls a function of ours that has no name of its own."""
_ASSERT = re.compile(
    r'\S+ INTERNAL ASSERT FAILED at "[^"]*":\d+, please report a bug to PyTorch\.\s*(?=\S)'
)
_CLASS = re.compile(r"<class '([\w.]+)'>")


@contextmanager
def translated(
    what: str, tensors: Mapping[str, Tensor], span: Location | None = None
) -> Iterator[None]:
    """Turn any exception of PyTorch's inside the block into a ShapeError about `what`, with the
    shapes of `tensors`.
    """
    try:
        yield
    except GradcliError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        said = words(error)
        raise ShapeError(
            f"{what}: {said}", span=span, hint=_hint(error, tensors), why_entry=why_entry(said)
        ) from None


def words(error: Exception) -> str:
    """PyTorch's message on one line, without where in its own sources it was raised."""
    text = (
        str(error)
        .split(" (Triggered internally")[0]
        .split("\nException raised from")[0]
        .split("(Could this error")[0]
    )
    text = _UNNAMED.sub("it", _CLASS.sub(r"\1", _ASSERT.sub("", text)))
    return re.sub(r"\s+", " ", text).strip()[:500] or type(error).__name__


def why_entry(said: str) -> str:
    """The entry of `gradcli why` that explains what PyTorch said; empty where none does."""
    from gradcli.language import (
        matching,
    )  # the mistakes and their programs, which only an error needs

    return next((mistake.name for mistake in matching.by_text(said)), "")


def _hint(error: Exception, tensors: Mapping[str, Tensor]) -> str:
    text = str(error)
    if "not implemented for" in text:
        return "PyTorch does not have this operation in this dtype: try --dtype float32"
    shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
    return f"shapes: {shapes}" if shapes else ""
