"""PyTorch's pools of threads in forks of a process that is what the server is: none hangs, none
differs from a cold process.

    python -m tools.forks [--number 1000]

It prints what it found and ends with 1 where a fork differs. It is run as a process of its own:
nothing may use PyTorch before.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections import Counter

from gradcli.cli import serve
from gradcli.process.server_worker import load, prepare

WORK = """
import torch
import torch.nn.functional as F

def work():
    torch.manual_seed(0)
    x = torch.randn(1_000_000, requires_grad=True)
    (slope,) = torch.autograd.grad((torch.sigmoid(x) * x).sum(), [x])
    A = torch.randn(200, 200, requires_grad=True)
    (by_A,) = torch.autograd.grad(torch.linalg.solve(A + 20 * torch.eye(200), A).sum() + torch.linalg.svdvals(A).sum(), [A])
    image, kernel = torch.randn(2, 8, 64, 64, requires_grad=True), torch.randn(8, 8, 3, 3, requires_grad=True)
    by_kernel, = torch.autograd.grad(F.conv2d(image, kernel).pow(2).sum(), [kernel])
    threads = [line for line in open("/proc/self/status") if line.startswith("Threads")][0].split()[1]
    return torch.get_num_threads(), int(threads), *(repr(t.double().sum().item()) for t in (slope, by_A, by_kernel))
"""
"""What each fork computes, and what it says of it: threads asked for, threads there, and digits of
the results."""


def differing(number: int) -> int:
    """How many of that many forks do not say what a cold process says."""
    os.environ["OPENBLAS_NUM_THREADS"] = (
        "1"  # NumPy's pool, idle in a cold process and absent in a fork, is not the question
    )
    cold = subprocess.run(
        [sys.executable, "-c", WORK + "print(work())"], capture_output=True, text=True, check=True
    ).stdout
    origin = load(serve.PROGRAM, {})
    for _ in prepare(serve.PROGRAM):
        pass
    scope: dict[str, object] = {}
    exec(WORK, scope)
    work = scope["work"]
    assert callable(work)
    found: Counter[str] = Counter()
    for _ in range(number):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            origin.restore_threads()
            os.write(writer, f"{work()}\n".encode())
            os._exit(0)
        os.close(writer)
        with open(reader, encoding="utf-8") as said:
            found[said.read()] += 1
        os.waitpid(pid, 0)
    print(f"cold: {cold.strip()}\n{number} forks: {dict(found)}")
    return number - found[cold]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="threads in forks")
    parser.add_argument("--number", type=int, default=1_000)
    sys.exit(min(1, differing(parser.parse_args().number)))
