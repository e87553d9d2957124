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
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from gradcli import batch
from gradcli.evaluate.job import default_dtype
from tools.derivations import Block, Row, row

Shape = tuple[int, ...]
INPUTS: Mapping[str, Shape] = {
    "x": (3,), "y": (3,), "b": (2,), "s": (), "t": (), "X": (3, 2), "Y": (3, 2), "W": (2, 4), "A": (2, 2), "v": (4,),
}  # fmt: skip
SIZES = (2, 3, 4)
_UNARY = (
    "sin({})", "cos({})", "tanh({})", "sigmoid({})", "exp({})", "exp(-{}**2)", "log({}**2 + 1)", "log(abs({}))", "sqrt({}**2 + 2)",
    "abs({})", "-{}", "{}**2", "{}**3", "1/{}", "1/(1 + exp({}))", "relu({})", "softplus({})", "{}/2", "3*{}", "1 - {}", "{} + 0.5",
    "gelu({})", "silu({})", "elu({})", "atan({})", "clamp({}, -1, 1)", "log1p(exp({}))", "square({})", "erf({})", "sinh({})",
    "logsigmoid({})", "leaky_relu({})", "sign({})", "detach({})", "{}**4/4", "2**{}", "expm1({})", "cosh({})", "softsign({})",
)  # fmt: skip
_BINARY = (
    "{} + {}", "{} - {}", "{}*{}", "{}/{}", "{}*{} + {}", "maximum({}, {})", "where({} > 0, {}, {})", "mse({}, {}, reduction='none')",
    "hypot({}, {})", "logaddexp({}, {})", "minimum({}, {})", "lerp({}, {}, 0.3)", "atan2({}, {})", "abs({})**{}", "addcmul({}, {}, {})",
)  # fmt: skip
_WHOLE = (
    "sum({})", "mean({})", "norm({})", "logsumexp({}.flatten(), 0)", "({}).sum()", "max({})", "({}).var()", "std({})", "prod({})",
    "sum({}**2)", "sum({})/2", "mse({}, {})", "smooth_l1({}, {})", "bce_with_logits({}, sigmoid({}))", "huber({}, {})",
)  # fmt: skip
_ALONG = (
    "sum({}, {})", "mean({}, {})", "logsumexp({}, {})", "prod({}, {})", "amax({}, {})", "norm({}, dim={})", "var({}, {})",
    "({})[:, {}]", "({}).sum(dim={})",
)  # fmt: skip
_KEPT = (
    "softmax({}, {})", "log_softmax({}, {})", "cumsum({}, {})", "flip({}, [{}])", "{0} - {0}.mean({1}, keepdim=True)",
    "normalize({}, dim={})", "{0}/sum({0}**2, {1}, keepdim=True)", "roll({}, 1, {})",
)  # fmt: skip


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
        read = {node for node in compile_names(expression)}
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
        return self.leaf_of(
            {2: ("b", "A[0]", "X[1]"), 3: ("x", "y", "X[:, 0]"), 4: ("v", "W[0]")}[size]
        )

    def leaf_of(self, names: Sequence[str]) -> str:
        return self.chance.choice(names)

    def operand(self, shape: Shape, depth: int) -> str:
        """An operand that broadcasts to a shape: in brackets where it is no name or call."""
        kind = self.chance.random()
        if kind < 0.08:
            return self.chance.choice(("2", "0.5", "3"))
        if kind < 0.25 and shape:
            shape = shape[1:] if self.chance.random() < 0.6 else ()
        return f"({self.tensor(shape, depth)})"

    def tensor(self, shape: Shape, depth: int) -> str:
        """An expression of exactly that shape, if what broadcasts is as large as it should be."""
        if depth <= 0:
            return self.leaf(shape)
        choose: Callable[[Sequence[str]], str] = self.chance.choice
        inner = f"({self.tensor(shape, depth - 1)})"
        kinds = ["unary", "unary", "binary", "binary", "binary"]
        kinds += [["whole", "whole", "whole", "dot"], ["along", "kept", "product", "index"], ["kept", "product", "product", "T"]][
            len(shape)
        ]  # fmt: skip
        match choose(kinds):
            case "unary":
                return choose(_UNARY).format(inner)
            case "binary":
                form = choose(_BINARY)
                count = form.count("{}")
                operands = [inner, *(self.operand(shape, depth - 1) for _ in range(count - 1))]
                if "mse" in form:
                    operands = [inner, f"({self.tensor(shape, depth - 1)})"]
                elif form[0] == "{":
                    self.chance.shuffle(operands)
                else:
                    operands = [self.wide(each, inner) for each in operands]
                return form.format(*operands)
            case "whole":
                whole = self.shape()
                form = choose(_WHOLE)
                count = form.count("{}")
                return form.format(*(f"({self.tensor(whole, depth - 1)})" for _ in range(count)))
            case "dot":
                size = choose(SIZES)  # type: ignore[arg-type]
                return " @ ".join(f"({self.tensor((size,), depth - 1)})" for _ in range(2))  # type: ignore[arg-type]
            case "along":
                other, dim = choose(SIZES), choose((0, 1))  # type: ignore[arg-type]
                form = choose(_ALONG)
                dim = 1 if "[:" in form else dim  # type: ignore[assignment]
                matrix = (other, shape[0]) if dim == 0 else (shape[0], other)
                place = 0 if "[:" in form else dim
                return form.format(f"({self.tensor(matrix, depth - 1)})", place)  # type: ignore[arg-type]
            case "kept":
                return choose(_KEPT).format(inner, self.chance.randrange(len(shape)))
            case "product":
                size = choose(SIZES)  # type: ignore[arg-type]
                left, right = (
                    ((*shape[:1], size), (size, *shape[1:]))
                    if len(shape) == 2 or self.chance.random() < 0.5
                    else ((size,), (size, *shape))
                )
                return f"({self.tensor(left, depth - 1)}) @ ({self.tensor(right, depth - 1)})"  # type: ignore[arg-type]
            case "index":
                rows = choose(SIZES)  # type: ignore[arg-type]
                return f"({self.tensor((rows, *shape), depth - 1)})[{choose(('0', '-1', '1'))}]"  # type: ignore[arg-type]
            case _:
                return f"({self.tensor(shape[::-1], depth - 1)}).T"

    def wide(self, operand: str, inner: str) -> str:
        """A number as a tensor, for functions that take tensors only."""
        return inner if operand in ("2", "0.5", "3") else operand


def compile_names(expression: str) -> set[str]:
    """The names that an expression reads or binds."""
    return set(compile(expression, "", "exec").co_names)


def blocks(seed: int, count: int) -> Iterator[Block]:
    """Expressions that PyTorch computes, as far as their drawing shows."""
    for number in range(count):
        yield Generator(f"{seed} {number}").block()


def derived(wanted: Sequence[Block]) -> list[Row]:
    """Each block through `derive`, in one batch; without those that have no finite value."""
    results = [*batch.run(block.job for block in wanted)]
    rows = []
    for block, result in zip(wanted, results, strict=True):
        message = result.get("error", {}).get("message", "")
        try:
            rows.append(row(block, result))
        except ValueError as error:  # no point is well conditioned
            if "no point" not in str(error):
                raise
        assert "internal error" not in message, (block.expression, message)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="random expressions through gradcli derive")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with default_dtype(torch.float64):
        rows = derived([*blocks(options.seed, options.count)])
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
