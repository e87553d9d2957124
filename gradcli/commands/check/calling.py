"""Calls of the user's code: with the same random numbers every time, and its errors placed."""

import random
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from os import devnull
from typing import Any

import numpy as np
import torch

from gradcli import user_code
from gradcli.errors import CodeError, GradcliError, MathError
from gradcli.evaluate.refusals import why_entry
from gradcli.language.source import Source

COMPLEX = "the gradient is complex, but {name} is real; if its imaginary part is 0 or rounding, return .real"
_REFUSALS = (
    ("count", r"returned an incorrect number of gradients \(expected (?P<expected>\d+), got (?P<got>\d+)\)",
     "gradients that backward returned: {got}; inputs that forward takes: {expected}. Return None for one without"),
    ("count", r"a gradient different than None at position (?P<place>\d+), but",
     "backward returned a gradient for argument {place} of forward, which is a number: return None for it, or pass a tensor"),
    ("shape", r"an invalid gradient at index (?P<index>\d+) - got (?P<got>\[.*?]) but expected shape \D*(?P<expected>\[.*?])",
     "the gradient has shape {got}, but {{name}} has shape {expected}"),
    ("shape", r"an invalid gradient at index (?P<index>\d+) - (?P<got>.*)",
     "PyTorch refuses the gradient: {got}"),
    ("shape", r"expected Variable or None \(got (?P<got>.*)\)",
     "backward returned a {got} where PyTorch expects a tensor or None"),
    ("shape", r"input_is_complex == grad_is_complex", COMPLEX.replace("{", "{{").replace("}", "}}")),
)  # fmt: skip
"""What PyTorch says of gradients that it refuses: reason, pattern, and our words."""


class RefusedError(Exception):
    """What is wrong with the code as a whole, or, where PyTorch refuses what a Function's backward
    returned, with its input number `index`; `{name}` in the text stands for the input's name.
    """

    def __init__(self, reason: str, text: str, index: int | None = None) -> None:
        super().__init__(text)
        self.reason, self.text, self.index = reason, text, index


def _refused(error: BaseException) -> RefusedError | None:
    text = str(error.__context__ or error)
    for reason, pattern, words in _REFUSALS:
        if found := re.search(pattern, text):
            groups = found.groupdict()
            index = groups.get("index")
            return RefusedError(reason, words.format(**groups), int(index) if index else None)
    return None


class Calls:
    """Calls into one file. Until `quiet` is set, what it prints and warns of is shown, and what PyTorch
    warns of goes to whoever listens outside, with the line.
    """

    def __init__(self, source: Source, seed: int) -> None:
        self.source, self.seed = source, seed
        self.quiet = False
        self._shown: set[str] = set()
        """The warnings that were shown, each once."""

    def __call__(self, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """What `function` returns. Raises CodeError."""
        with self.user_code():
            return function(*args, **keywords)

    @contextmanager
    def user_code(self) -> Iterator[None]:
        """Seed all generators, and turn whatever is raised into a CodeError, but for a refusal of
        PyTorch that is about the gradients.
        """
        torch.default_generator.manual_seed(self.seed)
        np.random.seed(self.seed % 2**32)
        random.seed(self.seed)
        told: list[tuple[str, type[Warning], str, int]] = []

        def show(
            message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
        ) -> None:  # fmt: skip
            words, internal, _ = str(message).partition(" (Triggered internally")
            text = warnings.formatwarning(words, category, filename, lineno)
            warner = sys._getframe(2).f_globals.get("__name__", "")  # who called warnings.warn
            if internal or warner.partition(".")[0] == "torch":
                place = f"{filename}, line {lineno}: " if filename == self.source.label else ""
                told.append((place + words, category, filename, lineno))
            elif text not in self._shown:
                self._shown.add(text)
                sys.stderr.write(text)

        try:
            with warnings.catch_warnings(), ExitStack() as silence:
                warnings.simplefilter("ignore" if self.quiet else "default")
                warnings.showwarning = show
                if self.quiet:
                    null = silence.enter_context(open(devnull, "w", encoding="utf-8"))
                    silence.enter_context(redirect_stdout(null))
                    silence.enter_context(redirect_stderr(null))
                yield
        except CodeError:
            raise
        except (Exception, SystemExit) as error:
            known = isinstance(error, RuntimeError | TypeError | MathError)
            if known and (refused := _refused(error)):
                raise refused from None
            raise self._placed(error, [words for words, *_ in told]) from error
        for each in told:
            warnings.warn_explicit(*each)

    def _placed(self, error: BaseException, warned: Iterable[str]) -> CodeError:
        """The CodeError for an exception, with the entry of `why` that explains PyTorch's message. It
        is at the operation that autograd could not differentiate, if anomaly mode warned of one.
        """
        text = next((words for words in warned if "Error detected in" in words), "")
        lines = re.findall(rf'File "{re.escape(self.source.label)}", line (\d+)', text)
        shown = user_code.failure(error, self.source, int(lines[-1]) if lines else 0)
        if isinstance(error, RuntimeError | GradcliError):
            shown.why_entry = why_entry(shown.message.partition("line ")[2] or shown.message)
        return shown
