"""Random expressions for `derive`: elementwise functions, broadcasting, products of matrices,
reductions, indices and named steps, each with the shape that it must have.

    python -m tools.random_formulas [--count 1000] [--seed 0]

Their gradients are derived in one batch, and every text that is shown is compared with autograd in
float64 at new points, as `tools.derivations` does. Prints how many are shown and how many have no
formula, with the reasons, and every text that is wrong; ends with 1 if there is one.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from gradcli import batch
from gradcli.evaluate.job import default_dtype
from tools.derivations import Block, Row, row

Shape = tuple[int, ...]
INPUTS: Mapping[str, Shape] = {
    "x": (3,), "y": (3,), "b": (2,), "s": (), "t": (), "X": (3, 2), "Y": (3, 2), "W": (2, 4), "A": (2, 2), "v": (4,),
}  # fmt: skip
SIZES = (2, 3, 4)
NUMBERS = ("2", "0.5", "3")
_UNARY = (
    "sin({})", "cos({})", "tanh({})", "sigmoid({})", "exp({})", "exp(-{}**2)", "log({}**2 + 1)", "log(abs({}))",
    "sqrt({}**2 + 2)", "abs({})", "-{}", "{}**2", "{}**3", "1/{}", "1/(1 + exp({}))", "relu({})", "softplus({})",
    "{}/2", "3*{}", "1 - {}", "{} + 0.5", "gelu({})", "silu({})", "elu({})", "atan({})", "clamp({}, -1, 1)",
    "log1p(exp({}))", "square({})", "erf({})", "sinh({})", "logsigmoid({})", "leaky_relu({})", "sign({})", "detach({})",
    "{}**4/4", "2**{}", "expm1({})", "cosh({})", "softsign({})",
)  # fmt: skip
_BINARY = (
    "{} + {}", "{} - {}", "{}*{}", "{}/{}", "{}*{} + {}", "maximum({}, {})", "where({} > 0, {}, {})", "hypot({}, {})",
    "logaddexp({}, {})", "minimum({}, {})", "lerp({}, {}, 0.3)", "atan2({}, {})", "abs({})**{}", "addcmul({}, {}, {})",
)  # fmt: skip
_WHOLE = (
    "sum({})", "mean({})", "norm({})", "logsumexp({}.flatten(), 0)", "({}).sum()", "max({})", "({}).var()", "std({})",
    "prod({})", "sum({}**2)", "sum({})/2", "mse({}, {})", "smooth_l1({}, {})", "bce_with_logits({}, sigmoid({}))",
    "huber({}, {})",
)  # fmt: skip
_ALONG = (
    "sum({}, {})", "mean({}, {})", "logsumexp({}, {})", "prod({}, {})", "amax({}, {})", "norm({}, dim={})",
    "var({}, {})", "({}).sum(dim={})",
)  # fmt: skip
_KEPT = (
    "softmax({}, {})", "log_softmax({}, {})", "cumsum({}, {})", "flip({}, [{}])", "{0} - {0}.mean({1}, keepdim=True)",
    "normalize({}, dim={})", "{0}/sum({0}**2, {1}, keepdim=True)", "roll({}, 1, {})",
)  # fmt: skip
_KINDS = (
    ("whole", "whole", "whole", "dot"),
    ("along", "kept", "product", "index", "column"),
    ("kept", "product", "product", "T"),
)
"""How a tensor of so many dimensions may be made, besides elementwise functions."""


class Generator:
    """Draws one expression; its steps are those that it may read."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)
        self.known: dict[str, Shape] = dict(INPUTS)

    def block(self) -> Block:
        """An expression of up to five named steps, with the inputs that it reads."""
        statements = []
        for name in ("h", "k", "p", "q", "z")[: self.chance.choice((0, 0, 1, 2, 3, 4, 5))]:
            shape = self.shape()
            text = self.tensor(shape, self.chance.choice((1, 2, 2)))
            statements.append(f"{name} = {text}")
            self.known[name] = shape
        last = self.tensor(
            self.chance.choice(((), (), self.shape())), self.chance.choice((1, 2, 3))
        )
        expression = "; ".join([*statements, last])
        read = compile(expression, "", "exec").co_names
        given = {
            name: "randn(" + ",".join(map(str, shape)) + ")" if shape else self.number()
            for name, shape in INPUTS.items()
            if name in read
        }
        return Block(expression, "", expression, given or {"s": "2"}, {}, {})

    def number(self) -> str:
        return str(round(self.chance.uniform(-2, 2), 2))

    def shape(self) -> Shape:
        return self.chance.choice([*INPUTS.values(), (3, 4), (2, 3), (3, 3)])

    def leaf(self, shape: Shape) -> str:
        """A name of that shape, or one that broadcasts to it."""
        exact = [name for name, known in self.known.items() if known == shape]
        fitting = [
            name
            for name, known in self.known.items()
            if len(known) < len(shape) and known == shape[len(shape) - len(known) :]
        ]
        if exact and (not fitting or self.chance.random() < 0.85):
            new = [name for name in exact if name not in INPUTS]
            return self.chance.choice(new if new and self.chance.random() < 0.6 else exact)
        if len(shape) == 2:
            rows, columns = (self.vector(size) for size in shape)
            return f"outer({rows}, {columns})"
        return self.vector(*shape) if shape else "s"

    def vector(self, size: int) -> str:
        """A vector of that size."""
        names = {2: ("b", "A[0]", "X[1]"), 3: ("x", "y", "X[:, 0]"), 4: ("v", "W[0]")}
        return self.chance.choice(names[size])

    def operand(self, shape: Shape, depth: int) -> str:
        """An operand that broadcasts to a shape: in brackets where it is no name or call."""
        kind = self.chance.random()
        if kind < 0.08:
            return self.chance.choice(NUMBERS)
        if kind < 0.25 and shape:
            shape = shape[1:] if self.chance.random() < 0.6 else ()
        return self.within(shape, depth)

    def tensor(self, shape: Shape, depth: int) -> str:
        """An expression of exactly that shape, if what broadcasts is as large as it should be."""
        if depth <= 0:
            return self.leaf(shape)
        choose, size, less = self.chance.choice, self.chance.choice(SIZES), depth - 1
        inner = self.within(shape, less)
        match choose(["unary", "unary", "binary", "binary", "binary", *_KINDS[len(shape)]]):
            case "unary":
                return choose(_UNARY).format(inner)
            case "binary":
                form = choose(_BINARY)
                operands = [
                    inner,
                    *(self.operand(shape, less) for _ in range(form.count("{}") - 1)),
                ]
                if form[0] == "{":
                    self.chance.shuffle(operands)
                else:  # these take tensors only
                    operands = [inner if each in NUMBERS else each for each in operands]
                return form.format(*operands)
            case "whole":
                whole, form = self.shape(), choose(_WHOLE)
                return form.format(*(self.within(whole, less) for _ in range(form.count("{}"))))
            case "dot":
                return f"{self.within((size,), less)} @ {self.within((size,), less)}"
            case "along":
                dim = choose((0, 1))
                matrix = (*shape, size) if dim else (size, *shape)
                return choose(_ALONG).format(self.within(matrix, less), dim)
            case "kept":
                return choose(_KEPT).format(inner, self.chance.randrange(len(shape)))
            case "product":
                left, right = (*shape[:1], size), (size, *shape[1:])
                if len(shape) == 1 and choose((True, False)):
                    left, right = (size,), (size, *shape)
                return f"{self.within(left, less)} @ {self.within(right, less)}"
            case "index":
                return f"{self.within((size, *shape), less)}[{choose(('0', '-1', '1'))}]"
            case "column":
                return f"{self.within((*shape, size), less)}[:, {choose(('0', '-1', '1'))}]"
            case _:
                return f"{self.within(shape[::-1], less)}.T"

    def within(self, shape: Shape, depth: int) -> str:
        """An expression of that shape in brackets."""
        return f"({self.tensor(shape, depth)})"


def blocks(seed: int, count: int) -> Iterator[Block]:
    """Expressions that PyTorch computes, as far as their drawing shows."""
    for number in range(count):
        yield Generator(f"{seed} {number}").block()


def judged(wanted: Sequence[Block], answers: Iterable[Mapping[str, Any]]) -> list[Row]:
    """What became of each block by the answers of a batch, without those that have no good point."""
    rows = []
    for block, answer in zip(wanted, answers, strict=True):
        message = answer.get("error", {}).get("message", "")
        assert "internal error" not in message, (block.expression, message)
        try:
            rows.append(row(block, answer))
        except ValueError as error:
            if "no point" not in str(error):
                raise
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="random expressions through gradcli derive")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with default_dtype(torch.float64):
        wanted = [*blocks(options.seed, options.count)]
        rows = judged(wanted, batch.run(block.job for block in wanted))
    reasons = Counter(reason for each in rows for reason in each.missing.values())
    errors = sum("every input" in each.missing for each in rows)
    print(f"expressions {len(rows)}, refused or not finite {errors}")
    print(f"formulas shown {sum(len(each.texts) for each in rows)}")
    print(f"no formula     {sum(len(each.missing) for each in rows) - errors}")
    for reason, count in reasons.most_common(25):
        print(f"    {count:5} {reason}")
    for each in rows:
        for name, reason in each.missing.items():
            if "did not verify" in reason:
                print(f"  {each.block.expression}    {each.block.inputs}  {name}")
    found = [each for each in rows if each.wrong]
    print(f"wrong          {len(found)}")
    for each in found:
        print(f"  {each.block.expression}    {each.block.inputs}")
        for name, how in each.wrong.items():
            print(f"      {name}: {each.texts[name]}\n      {how}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
