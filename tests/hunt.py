"""Hunts for calls that end the process, hang or raise what they should not, by mutating PyTorch's own samples.

    python -m tests.hunt [--seed 0] [--seconds 300]

Each sample of the operator database is typed as an expression, one number or one input of it is changed to something
hostile, and value and gradient are computed in a forked child. What it finds belongs into `cases/hostile.txt`.
"""

import argparse
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from gradcli import core
from gradcli.errors import GradcliError
from gradcli.evaluate.machine import evaluate
from gradcli.supervise import bound_memory, silent_stderr
from gradcli.text.expression import parse
from gradcli.text.source import Source
from tests.operator_samples import ENTRIES, Typed, UntypableError, samples

NUMBERS = (
    "0",
    "-1",
    "-2",
    "2",
    "7",
    "-1000",
    "10**6",
    "10**12",
    "2**31",
    "2**62",
    "-2**62",
    "nan",
    "inf",
    "1e-300",
    "None",
    "True",
)
LIMIT = 6
"""Seconds that one call may take."""

Change = Callable[[Tensor, random.Random], Tensor]
TENSORS: dict[str, Change] = {
    "empty": lambda t, r: t.new_empty((0, *t.shape[1:])),
    "scalar": lambda t, r: t.reshape(-1)[0] if t.numel() else t.new_zeros(()),
    "flat": lambda t, r: t.reshape(-1),
    "one more dimension": lambda t, r: t.unsqueeze(0),
    "first row": lambda t, r: t[:1] if t.ndim else t,
    "doubled": lambda t, r: torch.cat([t, t]) if t.ndim else t,
    "integers": lambda t, r: t.to(torch.int64) if not t.is_complex() else t,
    "floats": lambda t, r: t.to(torch.float64),
    "huge": lambda t, r: t * 10**12 if t.dtype == torch.int64 else t * 1e30 if t.is_floating_point() else t,
    "negative": lambda t, r: -t.abs() - 3 if t.dtype not in (torch.bool, torch.complex128, torch.uint8) else t,
    "not a number": lambda t, r: torch.full_like(t, torch.nan) if t.is_floating_point() else t,
}


def mutated(text: str, inputs: dict[str, Tensor], chance: random.Random) -> tuple[str, dict[str, Tensor], str]:
    """The sample with one number of its text or one of its inputs changed, and what was changed."""
    places = list(re.finditer(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", text))
    if places and (not inputs or chance.random() < 0.5):
        place = chance.choice(places)
        number = chance.choice(NUMBERS)
        return text[: place.start()] + number + text[place.end() :], inputs, f"{place[0]} -> {number}"
    name = chance.choice(list(inputs))
    change = chance.choice(list(TENSORS))
    changed = TENSORS[change](inputs[name].detach(), chance)
    return text, {**inputs, name: changed}, f"{name} {list(inputs[name].shape)} {change}"


def attempt(text: str, inputs: dict[str, Tensor]) -> str:
    """What becomes of one call in a child of its own: fine, refused, or what went wrong."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        try:
            with silent_stderr():
                bound_memory()
                os.write(writer, compute(text, inputs).encode()[:500])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        said = file.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return (
            "hangs" if os.WTERMSIG(status) == signal.SIGALRM else f"dies of {signal.Signals(os.WTERMSIG(status)).name}"
        )
    return said or "dies silently"


def compute(text: str, inputs: dict[str, Tensor]) -> str:
    """Value and gradient in this process."""
    torch.set_default_dtype(torch.float64)
    try:
        live = {n: t.detach().requires_grad_() if t.is_floating_point() else t.detach() for n, t in inputs.items()}
        value = evaluate(parse(Source(text), tuple(live)), live).value
        by = {name: tensor for name, tensor in live.items() if tensor.requires_grad}
        if by and value.requires_grad:
            core.gradients(value.sum(), by)
    except GradcliError:
        return "refused"
    except (MemoryError, torch.OutOfMemoryError):
        return "refused"
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"
    return "fine"


def main() -> None:
    """Hunt for the given time, and print every find with the expression that shows it."""
    parser = argparse.ArgumentParser(description="mutates PyTorch's samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(arguments.seed)
    counted: Counter[str] = Counter()
    names = list(ENTRIES)
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        name = chance.choice(names)
        try:
            typed = [Typed(ENTRIES[name], sample) for sample in samples(ENTRIES[name], 4)]
        except (UntypableError, RuntimeError, TypeError, ValueError):
            continue
        for sample in typed:
            for _ in range(6):
                if not sample.inputs and not re.search(r"\d", sample.text):
                    break
                text, inputs, change = mutated(sample.text, sample.inputs, chance)
                found = attempt(text, inputs)
                counted[found.split(":")[0]] += 1
                if found not in ("fine", "refused"):
                    shapes = ", ".join(f"{n} {list(t.shape)} {t.dtype}" for n, t in inputs.items())
                    print(f"{name}: {found}\n    {text[:300]}\n    changed {change}; {shapes[:300]}", flush=True)
    print(dict(counted))


if __name__ == "__main__":
    main()
