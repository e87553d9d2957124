"""`descend --explain`: the updates of every optimiser, against plain torch.optim and by their own
formulas read back from the table.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
import torch._dynamo  # which the plain loops load; descend itself does not

from gradcli.evaluate.job import default_dtype
from tests.commands.test_descend import OPTIMIZERS
from tests.program import run

EXPRESSION = "(cos(x) + 2)*((A - 1)**2).sum() + exp(x/4) + (A**4).sum()/10"
MATRIX = "(cos(A[0,0]) + 2)*((A - 1)**2).sum() + (A**4).sum()/10"
TALL = "exp(A[2,1]/4) + (A**4).sum()/10 - A.sum()"
START = {"x": 0.7, "A": [[1.5, -0.5], [0.25, 2.0]]}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "dampening": 0.25}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    ("sgd", {"weight_decay": 0.1, "foreach": True}),
    ("sgd", {"momentum": 0.9, "fused": True}),
    ("adam", {}),
    ("adam", {"betas": (0.5, 0.75), "eps": 0.01}),
    ("adam", {"amsgrad": True, "maximize": True}),
    ("adam", {"weight_decay": 0.1, "fused": True}),
    ("adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "foreach": True}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0.0}),
    ("adamw", {"amsgrad": True, "weight_decay": 0.3, "maximize": True}),
    ("nadam", {}),
    ("nadam", {"weight_decay": 0.1, "momentum_decay": 0.1}),
    ("nadam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("radam", {}),
    ("radam", {"weight_decay": 0.1, "maximize": True}),
    ("radam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adamax", {}),
    ("adamax", {"weight_decay": 0.1, "betas": (0.5, 0.75), "maximize": True}),
    ("adagrad", {}),
    ("adagrad", {"lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 2.0}),
    ("adagrad", {"maximize": True}),
    ("adadelta", {}),
    ("adadelta", {"weight_decay": 0.1, "rho": 0.5, "maximize": True}),
    ("rmsprop", {}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1}),
    ("rmsprop", {"momentum": 0.5, "alpha": 0.5, "maximize": True}),
    ("rprop", {}),
    ("rprop", {"etas": (0.25, 1.5), "step_sizes": (0.02, 0.15), "maximize": True}),
    ("asgd", {}),
    ("asgd", {"lambd": 0.1, "alpha": 0.5, "t0": 2.0, "weight_decay": 0.1}),
    ("asgd", {"maximize": True}),
    ("adafactor", {}),
    ("adafactor", {"weight_decay": 0.1, "d": 1.5, "beta2_decay": -0.5, "eps": (0.001, 0.1)}),
    ("adafactor", {"maximize": True, "foreach": True}),
    ("muon", {}),
    ("muon", {"nesterov": False, "weight_decay": 0.0}),
    ("muon", {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}),
    ("lbfgs", {}),
    ("lbfgs", {"max_iter": 1}),
    ("lbfgs", {"max_iter": 4, "history_size": 3}),
    ("lbfgs", {"line_search_fn": "strong_wolfe", "max_iter": 3}),
]


def words(name: str, arguments: Mapping[str, Any], dtype: str) -> list[str]:
    """The call of ten steps; of a matrix alone where the optimiser takes nothing else."""
    given = [EXPRESSION, "x=0.7", "A=1.5,-0.5;0.25,2"]
    if name == "muon":
        given = [MATRIX, "A=1.5,-0.5;0.25,2"]
    text = {True: "true", False: "false"}
    for key, value in arguments.items():
        listed = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        given += [
            "--set",
            f"{key}={text.get(value, listed) if value in (True, False) and isinstance(value, bool) else listed}",
        ]
    return [
        "descend",
        *given,
        "--optimizer",
        name,
        "--steps",
        "10",
        "--lr",
        "0.05",
        "--dtype",
        dtype,
        "--explain",
        "--full",
    ]


if __name__ == "__main__":
    import time, sys

    for name, args in [c for c in CASES if not sys.argv[1:] or c[0] in sys.argv[1:]]:
        for dtype in ("float64", "float32", "float16", "bfloat16"):
            t = time.time()
            r = run(*words(name, args, dtype), "--json")
            dt = time.time() - t
            msg = r.stderr.strip()[:300] if r.status else ""
            n = len(r.json.get("updates") or []) if r.status == 0 else ""
            notes = [x["code"] for x in r.json["notes"]] if r.status == 0 else ""
            print(name, args, dtype, r.status, n, notes, f"{dt:.2f}", msg)
