"""The process of a program that calls a function of gradcli: after the call it is as it was before."""

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from gradcli.evaluate.job import default_dtype

_ALONE = threading.RLock()
"""PyTorch's defaults and its generator belong to the whole process: one call at a time."""


@contextmanager
def undisturbed(device: str = "cpu", *, user_code: bool = False) -> Iterator[None]:
    """PyTorch as a command finds it, for a call that computes on `device`. The generators, the default
    dtype and device, and the modes of the caller are put back; with `user_code` also what a file of
    the user's is run with.
    """
    kind = device.partition(":")[0]
    drawing = [*range(torch.get_device_module(kind).device_count())] if kind in _DRAWING else []
    with _ALONE, ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(drawing, device_type=kind if drawing else "cuda"))
        stack.enter_context(default_dtype(torch.float32))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        # torch.get_default_device sees no `with device` before 2.8.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for each in {"cpu", kind}:
            if torch.is_autocast_enabled(each):
                stack.enter_context(torch.autocast(each, enabled=False))
        if torch.is_anomaly_enabled():
            stack.callback(torch.set_anomaly_enabled, True, torch.is_anomaly_check_nan_enabled())
            torch.set_anomaly_enabled(False)
        if user_code:
            stack.callback(np.random.set_state, np.random.get_state())
            stack.callback(random.setstate, random.getstate())
            stack.callback(_put_back, sys.argv, sys.argv[:])
            stack.callback(_put_back, sys.path, sys.path[:])
            stack.callback(_forget, set(sys.modules))
        yield


_DRAWING = frozenset({"cuda", "xpu"})
"""The devices that have generators of their own."""


def _forget(before: set[str]) -> None:
    """Remove the new modules that were not imported, but run from a file."""
    for name, module in [*sys.modules.items()]:
        if name not in before and getattr(module.__spec__, "loader", name) is None:
            del sys.modules[name]


def _put_back(names: list[str], before: list[str]) -> None:
    names[:] = before
