"""The jobs that `gradcli batch` is timed with: small, and all different."""

import random
from collections.abc import Iterator
from typing import Any


def jobs(count: int, texts: str = "few", first: int = 0) -> Iterator[dict[str, Any]]:
    """So many small grad jobs, all different: numbers, vectors and matrices in a handful of
    expressions, and --fn.

    With texts `all` constants stand in each expression, so that every text is different too. The
    jobs are numbered from `first`, and different for each.
    """
    draw = random.Random(first)

    def number() -> float:
        return round(draw.uniform(-2, 2), 4)

    def vector(size: int) -> list[float]:
        return [number() for _ in range(size)]

    def job(i: int) -> dict[str, Any]:
        n = draw.randint(2, 5)
        few = (
            {"fn": "mse", "x": number(), "w": number()},
            {"fn": "sigmoid", "x": number(), "w": number(), "b": number()},
            {
                "expression": "mse(w*x + b, y)",
                "inputs": {"x": vector(n), "w": number(), "b": number(), "y": vector(n)},
            },
            {"expression": "sigmoid(w*x).sum()", "inputs": {"x": vector(n), "w": vector(n)}},
            {"expression": "(x**2).sum()", "inputs": {"x": [vector(n) for _ in range(2)]}},
            {"expression": "softmax(a)[1]", "inputs": {"a": vector(n)}},
            {
                "expression": "tanh(w @ x).sum()",
                "inputs": {"w": [vector(n) for _ in range(3)], "x": vector(n)},
            },
            {
                "expression": "log(1 + exp(-y*(w*x)))",
                "inputs": {"y": number(), "w": number(), "x": number()},
            },
        )
        different = (
            {
                "expression": f"mse({number()}*w*x + 0.{i}, y)",
                "inputs": {"x": vector(n), "w": number(), "y": vector(n)},
            },
            {
                "expression": f"sigmoid(w*x + 0.{i}).sum()",
                "inputs": {"x": vector(n), "w": vector(n)},
            },
            {"expression": f"({number()}*x**2 + 0.{i}*x).sum()", "inputs": {"x": vector(n)}},
            {"expression": f"log(1.{i} + exp(-y*x))", "inputs": {"y": number(), "x": number()}},
        )
        chosen = few if texts == "few" else different
        return {"id": i, "command": "grad", **chosen[i % len(chosen)]}

    return map(job, range(first, first + count))
