"""PyTorch's refusals in gradcli's words: errors about shapes and dtypes become a ShapeError."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from torch import Tensor

from gradcli import core
from gradcli.errors import GradcliError, ShapeError

_UNNAMED = re.compile(r"[\w.]*<(?:lambda|locals)>[\w.<>]*\(\)")
"""Python's name for a function of ours that has no name of its own."""
_ASSERT = re.compile(
    r'\S+ INTERNAL ASSERT FAILED at "[^"]*":\d+, please report a bug to PyTorch\.\s*(?=\S)'
)
_CLASS = re.compile(r"<class '([\w.]+)'>")


@contextmanager
def translated(what: str, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Turn PyTorch's exceptions into a ShapeError about `what`, with the shapes of `tensors`."""
    try:
        yield
    except GradcliError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        message, hint = words(error), _hint(error, tensors)
        entry = why_entry(message)
        raise ShapeError(f"{what}: {message}", hint=hint, why_entry=entry) from None


def words(error: Exception) -> str:
    """PyTorch's message on one line, without the place in its sources."""
    text = _UNNAMED.sub("it", _CLASS.sub(r"\1", _ASSERT.sub("", core.message_of(error))))
    return re.sub(r"\s+", " ", text).strip()[:500] or type(error).__name__


@lru_cache(256)  # a picture or a batch may be refused at thousands of points
def why_entry(message: str) -> str:
    """The entry of `gradcli why` that explains a message of PyTorch; empty if none does."""
    from gradcli.language import matching  # the mistakes and programs, which only an error needs

    return next((mistake.name for mistake in matching.by_text(message)), "")


def _hint(error: Exception, tensors: Mapping[str, Tensor]) -> str:
    text = str(error)
    if "not implemented for" in text:
        return core.OTHER_DTYPE
    shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
    return f"shapes: {shapes}" if shapes else ""
