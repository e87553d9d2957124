"""What the programs of the mistakes of training print, from closed forms."""

import math


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _softmax(a: list[float]) -> list[float]:
    return [math.exp(x) / sum(map(math.exp, a)) for x in a]


def _incomplete_gamma(a: float, x: float) -> float:
    """The regularised lower incomplete gamma function, by its series."""
    terms = [x**n / math.prod(a + k for k in range(n + 1)) for n in range(60)]
    return math.pow(x, a) * math.exp(-x) * sum(terms) / math.gamma(a)


P = _softmax([2.0, 1.0, 0.1])


def _squash(x: float) -> float:
    """The slope of (sigmoid(x) - 0.2) ** 2."""
    return 2 * (_sigmoid(x) - 0.2) * _sigmoid(x) * _sigmoid(-x)


WRONG: dict[str, list[float]] = {
    "never-updated": [1, 1, 1],
    "zeroed-before-step": [1, 1, 1],
    "not-in-optimizer": [],
    "stale-optimizer": [],
    "plain-list": [0],
    "parameter-copy": [12],
    "zero-init": [0, 0],
    "nll-of-probabilities": [-P[0], -P[0] * (1 - P[0]), P[0] * P[1], P[0] * P[2]],
    "softmax-over-batch": [_sigmoid(2) + 0.5, _sigmoid(-2) + 0.5],
    "one-class": [0, 0, 0],
    "masked-row": [0.5, 0.5, math.nan, math.nan, 0.25, -0.25, 0, 0],
    "padded-mean": [3],
    "graph-kept": [],
    "micro-batches": [30],
    "clipped-too-late": [-10],
    "exploding": [50 * 2**49],
    "clamped": [0.6, 0],
    "linear-only": [],
    "eval-forgotten": [],
    "train-forgotten": [],
}
"""Where PyTorch says nothing: what the program of the mistake prints."""

RIGHT: dict[str, list[float]] = {
    "never-updated": [0.8, 0.64, 0.512],
    "zeroed-before-step": [0.8, 0.64, 0.512],
    "not-in-optimizer": [],
    "stale-optimizer": [],
    "plain-list": [4],
    "empty-optimizer": [1],
    "optimizer-argument": [1],
    "duplicate-parameter": [2, 2],
    "parameter-copy": [36],
    "zero-init": [2],
    "frozen": [1, 1],
    "scheduler-order": [0.8],
    "sparse-adam": [0, -0.2, 0],
    "nll-of-probabilities": [-math.log(P[0]), P[0] - 1, P[1], P[2]],
    "softmax-over-batch": [1, 1],
    "one-class": [
        (math.log1p(math.exp(0.3)) + math.log1p(math.exp(-2))) / 2, _sigmoid(0.3) / 2, _sigmoid(-2) / 2,
    ],
    "masked-row": [0.5, 0.5, 0.5, 0.5, 0.25, -0.25, 0, 0],
    "sampled": [1],
    "padded-mean": [4],
    "graph-kept": [5],
    "indexed-grad": [2],
    "micro-batches": [15],
    "clipped-too-late": [9],
    "exploding": [1],
    "clamped": [_squash(0.5), _squash(3)],
    "linear-only": [],
    "distribution-nan": [0],
    "index-dtype": [2, 3],
    "index-range": [2, 3],
    "image-target": [math.log(3)],
    "sequence-target": [math.log(10)],
    "no-batch-dimension": [1, 3],
    "truth-of-tensor": [1],
    "one-element": [0.375],
    "batchnorm-one": [1, 3],
    "view-layout": [0, 3, 1, 4, 2, 5],
    "view-size": [2, 48],
    "cat-sizes": [1, 4, 7, 7],
    "conv-channels": [1, 8, 26, 26],
    "conv-dimensions": [8, 26, 26],
    "image-too-small": [1, 8, 4, 4],
    "rnn-sizes": [2, 5, 8],
    "module-init": [2, 1],
    "forward-missing": [1, 1],
    "forward-returns-none": [1, 1],
    "several-outputs": [4, 1, 1],
    "parameter-assigned": [1, 1],
    "load-sizes": [2],
    "load-names": [],
    "hook-and-inplace": [1, 1],
    "vmap-escaped": [2, 2],
    "half-on-cpu": [1, 0, 0, 1],
    "eval-forgotten": [],
    "train-forgotten": [],
    "old-function": [2],
    "function-shape": [1] * 6,
    "no-backward": [2],
    "once-differentiable": [18],
    "no-derivative-formula": [
        (_incomplete_gamma(1.501, 1.0) - _incomplete_gamma(1.499, 1.0)) / 0.002,
    ],
    "no-second-derivative": [1, 1, 1, 1],
    "no-forward-mode": [0.6],
    "optimizer-setting": [1.3],
    "closure-missing": [3],
    "resumed-optimizer": [0.5],
    "forward-arguments": [1],
    "attention-sizes": [2, 5, 12],
    "normalized-shape": [2, 8, 5],
    "einsum-subscripts": [2, 3, 5],
    "not-a-tensor": [3],
    "save-for-backward": [3, 3],
    "hook-on-constant": [2, 2],
    "flag-of-result": [],
    "copied-result": [6],
    "integer-inplace": [1.5, 2.5],
    "inplace-overlap": [1, 3, 5],
    "view-in-no-grad": [1, 0],
    "checkpoint-changed": [1, 1, 0],
    "checkpoint-inputs": [2, 2],
    "checkpoint-grad": [1, 1],
    "scaler-half": [1, 1],
    "scaler-unused": [1, 1],
    "scaler-twice": [1, 1],
    "clip-nonfinite": [math.hypot(0.5 / math.sqrt(1.01), 5)],
    "ddp-unused": [1, 1],
    "ddp-twice": [2],
    "ddp-not-started": [1, 1],
    "compiled-twice": [6, 12],
    "output-overwritten": [2 * math.sin(1), 2 * math.sin(1)],
    "cudnn-eval": [12, 2],
}  # fmt: skip
"""What the cured program prints."""
