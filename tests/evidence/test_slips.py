"""The slips that `--expect` finds in the ledger: each with its row, and never a wrong one.

The slips are made by a small reverse mode of this file's own, which leaves out exactly one thing.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import torch
from torch import Tensor

from gradcli.catalogue.slips import OMISSIONS
from gradcli.commands.grad.request import Grad
from gradcli.evaluate.job import Job
from gradcli.evidence.expect.omissions import Chain, named
from gradcli.options.fill import from_words
from gradcli.results import Subject
from tests.choice import rare
from tests.program import run

Shape = tuple[int, ...]
Back = Callable[[Tensor], Tensor]
SHAPES: dict[str, Shape] = {
    "a": (), "b": (3,), "c": (3,), "X": (4, 3), "Y": (4, 3), "W": (3, 3), "V": (3, 3),
}  # fmt: skip
CLASSES = torch.tensor([2, 0, 1, 1])
ACTIVATIONS = ("tanh", "sigmoid", "relu")


CLASSES_TEXT = f"tensor({CLASSES.tolist()})"


@dataclass(frozen=True)
class Use:
    """One use of a value by a step: what the step passes on to it, rightly and after each slip."""

    operand: str
    right: Back
    wrong: Mapping[str, Sequence[Back]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step `name = text`; `made` gives its value, and its uses from the values of all."""

    name: str
    text: str
    made: Callable[[Mapping[str, Tensor]], tuple[Tensor, list[Use]]]


def times(factor: Tensor, shape: Shape | None = None) -> Back:
    """The gradient times a factor, summed to a shape if one is given."""

    def back(g: Tensor) -> Tensor:
        return g * factor if shape is None else (g * factor).sum_to_size(shape)

    return back


def of_ones(back: Back) -> Back:
    return lambda g: back(torch.ones_like(g))


def scaled(back: Back, factor: Tensor) -> Back:
    return lambda g: factor * back(g)


def elementwise(
    operands: Sequence[str],
    values: Sequence[Tensor],
    slopes: Sequence[Tensor],
    swapped: Sequence[Sequence[Tensor]] = ((), ()),
    alien: Tensor | None = None,
) -> list[Use]:
    """The uses of a step whose local derivatives are `slopes`, summed over what was broadcast."""
    uses = []
    for place, (operand, value, slope) in enumerate(zip(operands, values, slopes, strict=True)):
        right, shape = times(slope, value.shape), value.shape
        wrong: dict[str, list[Back]] = {
            "missing-factor": [times(torch.ones_like(slope), shape)],
            "missing-sum": [times(slope)],
            "upstream": [of_ones(right)],
            "swapped": [times(other, shape) for other in swapped[place]],
            "alien": [] if alien is None else [times(alien, shape)],
        }
        uses.append(Use(operand, right, wrong))
    return uses


def binary(symbol: str, left: str, right: str, name: str) -> Step:
    def made(values: Mapping[str, Tensor]) -> tuple[Tensor, list[Use]]:
        a, b = values[left], values[right]
        one = torch.ones((), dtype=a.dtype)
        slopes = {"+": (one, one), "-": (one, -one), "*": (b, a), "/": (1 / b, -a / b**2)}[symbol]
        swapped = {
            "+": ((), ()), "-": ((-one,), (one,)), "*": ((a,), (b,)),
            "/": ((-a / b**2, 1 / a), (1 / b, -b / a**2)),
        }[symbol]  # fmt: skip
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[symbol]
        return value, elementwise((left, right), (a, b), slopes, swapped)

    return Step(name, f"{left} {symbol} {right}", made)


def unary(function: str, operand: str, name: str) -> Step:
    """A function of one operand, its slope, and a wrong slope that leaves out something else."""

    def made(values: Mapping[str, Tensor]) -> tuple[Tensor, list[Use]]:
        x = values[operand]
        y, slope, alien = {
            "sin": (x.sin(), x.cos(), x.sin()),
            "tanh": (x.tanh(), 1 - x.tanh() ** 2, 1 - x.tanh()),
            "sigmoid": (x.sigmoid(), x.sigmoid() * (1 - x.sigmoid()), x.sigmoid()),
            "relu": (x.relu(), (x > 0).double(), x),
            "exp": (x.exp(), x.exp(), 1 + x),
            "square": (x**2, 2 * x, x**2),
            "cube": (x**3, 3 * x**2, 3 * x**3),
        }[function]
        return y, elementwise((operand,), (x,), (slope,), alien=alien)

    powers = {"square": f"{operand}**2", "cube": f"{operand}**3"}
    return Step(name, powers.get(function, f"{function}({operand})"), made)


def product(left: str, right: str, name: str) -> Step:
    def made(values: Mapping[str, Tensor]) -> tuple[Tensor, list[Use]]:
        a, b = values[left], values[right]
        square = a.shape == b.shape

        def use(operand: str, right: Back, swapped: Back) -> Use:
            wrong: dict[str, list[Back]] = {
                "upstream": [of_ones(right)],
                "missing-factor": [times(torch.ones(()))] if square or operand == left else [],
                "swapped": [swapped] if square else [],
            }
            return Use(operand, right, wrong)

        to_left = use(left, lambda g: g @ b.T, lambda g: b.T @ g)
        return a @ b, [to_left, use(right, lambda g: a.T @ g, lambda g: g @ a.T)]

    return Step(name, f"{left} @ {right}", made)


def loss(text: str, operands: Sequence[str], name: str) -> Step:
    """A number made of whole tensors: a sum, a mean, mse, or cross_entropy with the classes `t`."""

    def made(values: Mapping[str, Tensor]) -> tuple[Tensor, list[Use]]:
        slopes: tuple[Tensor, ...]
        x = values[operands[0]]
        one = torch.ones_like(x)
        if text == "mse":
            slope = 2 * (x - values[operands[1]]) / x.numel()
            value, slopes = (x - values[operands[1]]).square().mean(), (slope, -slope)
        elif text == "cross_entropy":
            p, hot = x.softmax(1), torch.eye(3, dtype=x.dtype)[CLASSES]
            value, slopes = -(p.log() * hot).sum() / 4, ((p - hot) / 4,)
        else:
            slopes = (one if text == "sum" else one / x.numel(),)
            value = (x * slopes[0]).sum()
        uses = []
        for operand, slope in zip(operands, slopes, strict=True):
            wrong: dict[str, list[Back]] = {
                "missing-factor": [times(one)],
                "upstream": [of_ones(times(slope))],
                "swapped": [times(-slope)] if text == "mse" else [],
            }
            uses.append(Use(operand, times(slope), wrong))
        return value, uses

    arguments = [*operands, *(["t"] if text == "cross_entropy" else [])]
    return Step(name, f"{text}({', '.join(arguments)})", made)


@dataclass(frozen=True)
class Slip:
    """One slip: its name, the step, the use (None: all of the step), and which form of it."""

    name: str
    step: int
    use: int | None = None
    form: int = 0


@dataclass(frozen=True)
class Program:
    """Steps, the last of which is the value; differentiated by `by`."""

    steps: Sequence[Step]
    by: str

    @property
    def text(self) -> str:
        return "; ".join(f"{step.name} = {step.text}" for step in self.steps)

    def gradient(self, inputs: Mapping[str, Tensor], *slips: Slip, factor: float = 1.0) -> Tensor:
        """The gradient with these slips made; `factor` is that of the slip of this name."""
        values = dict(inputs)
        uses: list[list[Use]] = []
        for step in self.steps:
            values[step.name], found = step.made(values)
            uses.append(found)
        reached = {name: torch.zeros_like(value) for name, value in values.items()}
        reached[self.steps[-1].name] = torch.ones((), dtype=torch.float64)
        for number in reversed(range(len(self.steps))):
            upstream = reached[self.steps[number].name]
            for place, use in enumerate(uses[number]):
                back = use.right
                for slip in slips:
                    if slip.step == number and slip.use in (place, None):
                        if slip.name in ("missing-path", "factor"):
                            scale = torch.tensor(factor if slip.name == "factor" else 0.0)
                            back = scaled(back, scale)
                        elif slip.form < len(use.wrong.get(slip.name, ())):
                            back = use.wrong[slip.name][slip.form]
                reached[use.operand] = reached[use.operand] + back(upstream)
        return reached[self.by]

    def size(self, inputs: Mapping[str, Tensor]) -> int:
        """The number of elements that the last step sums."""
        values = dict(inputs)
        for step in self.steps[:-1]:
            values[step.name] = step.made(values)[0]
        operand = self.steps[-1].made(values)[1][0].operand
        return len(values[operand]) if "entropy" in self.steps[-1].text else values[operand].numel()

    def slips(self, inputs: Mapping[str, Tensor]) -> Iterator[Slip]:
        """Every slip of one use, and a forgotten upstream gradient of a whole step, on the path."""
        values = dict(inputs)
        made: list[list[Use]] = []
        leads, read = {self.by}, {self.steps[-1].name}
        for step in self.steps:
            values[step.name], uses = step.made(values)
            made.append(uses)
            leads |= {step.name for use in uses if use.operand in leads}
        for step, uses in zip(reversed(self.steps), reversed(made), strict=True):
            read |= {use.operand for use in uses if step.name in read}
        for number, (step, uses) in enumerate(zip(self.steps, made, strict=True)):
            if step.name not in read:
                continue
            if step.name in leads:
                yield Slip("upstream", number)
            for place, use in enumerate(uses):
                if use.operand not in leads:
                    continue
                yield Slip("missing-path", number, place)
                yield Slip("factor", number, place)
                for name, forms in use.wrong.items():
                    if name != "missing-sum" or use.operand == self.by:
                        yield from (Slip(name, number, place, form) for form in range(len(forms)))


def drawn(chance: random.Random) -> dict[str, Tensor]:
    """Numbers of both signs, none near 0."""
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    found = {}
    for name, shape in SHAPES.items():
        size = 0.4 + 1.2 * torch.rand(shape, generator=generator, dtype=torch.float64)
        found[name] = size * (torch.rand(shape, generator=generator) - 0.4).sign()
    return found


def program(chance: random.Random) -> Program:
    """A random program; its steps use earlier ones often, so that its chain is deep."""
    shapes: dict[str, Shape] = dict(SHAPES)
    steps: list[Step] = []

    def pick(*wanted: Shape) -> str:
        names = [name for name, shape in shapes.items() if not wanted or shape in wanted]
        return chance.choice(names[-4:] if chance.random() < 0.6 else names)

    for number in range(chance.randint(2, 6)):
        name, kind = f"s{number}", chance.random()
        if kind < 0.45:
            left = pick()
            right = pick((), (3,), shapes[left])
            steps.append(binary(chance.choice("+-**/"), left, right, name))
            shapes[name] = max(shapes[left], shapes[right], key=len)
        elif kind < 0.75:
            operand = pick()
            function = chance.choice(["sin", *ACTIVATIONS, "exp", "square", "cube"])
            steps.append(unary(function, operand, name))
            shapes[name] = shapes[operand]
        else:
            left, right = pick((4, 3), (3, 3)), pick((3, 3))
            steps.append(product(left, right, name))
            shapes[name] = shapes[left]
    last = steps[-1].name
    if shapes[last] == (4, 3) and chance.random() < 0.6:
        entropy = chance.random() < 0.5
        steps.append(
            loss("cross_entropy", [last], "L") if entropy else loss("mse", [last, "Y"], "L")
        )
    elif not shapes[last]:
        steps.append(unary("square", last, "L"))
    else:
        steps.append(loss(chance.choice(["sum", "mean"]), [last], "L"))
    inputs = drawn(chance)
    by = [name for name in SHAPES if any(Program(steps, name).slips(inputs))]
    return Program(steps, chance.choice(by))


def close(left: Tensor, right: Tensor, tolerance: float = 1e-6) -> bool:
    return left.shape == right.shape and torch.allclose(left, right, rtol=tolerance, atol=1e-9)


@dataclass(frozen=True)
class Case:
    """A program whose gradient was found with these slips made."""

    program: Program
    inputs: Mapping[str, Tensor]
    elsewhere: Mapping[str, Tensor]
    slips: tuple[Slip, ...]

    def gradient(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.program.gradient(inputs, *self.slips, factor=1.7)

    def job(self) -> bytes:
        inputs = {name: value.tolist() for name, value in self.inputs.items()}
        job = {
            "command": "grad", "expression": self.program.text, "dtype": "float64", "wrt": [self.program.by],
            "inputs": {**inputs, "t": CLASSES_TEXT},
            "expect": f"{self.program.by}={self.gradient(self.inputs).tolist()}",
        }  # fmt: skip
        return orjson.dumps(job)

    def gives(self, *slips: Slip) -> bool:
        """Whether these slips give the same gradient, at the given inputs and elsewhere."""
        return all(
            close(self.gradient(inputs), self.program.gradient(inputs, *slips))
            for inputs in (self.inputs, self.elsewhere)
        )

    def explained(self, name: str, row: str | None) -> bool:
        """Whether the slip that was named gives this gradient, by this file's own arithmetic."""
        given, right = self.gradient(self.inputs), self.program.gradient(self.inputs)
        if factor := {"sign": -1, "factor-2": 2, "factor-half": 0.5}.get(name):
            return close(given, factor * right, 1e-4)
        if name in ("transposed", "ratio"):
            given = given.T if name == "transposed" else given
            place = right.abs().argmax()
            return close(given, right * given.reshape(-1)[place] / right.reshape(-1)[place], 1e-3)
        if name in ("sum-for-mean", "mean-for-sum"):
            size = self.program.size(self.inputs)
            return close(given, right * size if name == "sum-for-mean" else right / size, 1e-4)
        if name == "activation-derivative":
            forgotten = (
                Slip("missing-factor", number, 0)
                for number, step in enumerate(self.program.steps)
                if step.text.startswith(ACTIVATIONS)
            )
            return self.gives(*forgotten)
        if name == "double-softmax":
            return False
        return any(
            self.gives(slip)
            for slip in self.program.slips(self.inputs)
            if slip.name == name and self.program.steps[slip.step].name == row
        )


def cases(chance: random.Random, programs: int) -> list[Case]:
    """Random programs, some of the slips of each, and things that are no slip of the contract."""
    found = []
    while programs:
        made, inputs, elsewhere = program(chance), drawn(chance), drawn(chance)
        right = made.gradient(inputs)
        if not right.isfinite().all() or not 1e-3 < float(right.abs().max()) < 1e4:
            continue
        programs -= 1
        slips = list(made.slips(inputs))
        sets: list[tuple[Slip, ...]] = [
            (slip,) for slip in chance.sample(slips, min(6, len(slips)))
        ]
        sets += [tuple(chance.sample(slips, 2)) for _ in range(2)]
        for each in sets:
            case = Case(made, inputs, elsewhere, each)
            given = case.gradient(inputs)
            if close(given, right, 1e-3) or not given.abs().max() > 1e-3:
                continue
            if given.shape != right.shape and each[0].name != "missing-sum":
                continue
            found.append(case)
    return found


def answers(found: Sequence[Case]) -> Iterator[tuple[Case, dict[str, Any]]]:
    """What `--expect` says to each, from one batch."""
    lines = run("batch", stdin=b"\n".join(case.job() for case in found)).stdout.splitlines()
    for case, line in zip(found, lines, strict=True):
        yield case, orjson.loads(line)


@pytest.mark.parametrize("number", [6, rare(60)])
def test_a_slip_that_is_named_is_the_one_that_was_made(number: int) -> None:
    """Or one that gives the same gradient everywhere around, by this file's arithmetic; or none."""
    named: list[bool] = []
    for case, answer in answers(cases(random.Random(19), number)):
        if "error" in answer:  # a gradient that was not summed, in a shape that nothing explains
            assert answer["error"]["kind"] == "shape"
            verdict: dict[str, Any] = {"slip": None}
        else:
            (verdict,) = answer["expect"].values()
            assert verdict["ok"] is False
        slip, row = verdict["slip"], verdict.get("row")
        assert slip is None or case.explained(slip, row), (case.program.text, case.slips, verdict)
        if len(case.slips) == 1 and case.slips[0].name not in ("alien", "factor"):
            named.append(slip is not None)
    assert len(named) > 100 * number / 60
    assert sum(named) > 0.95 * len(named)


# --- one by one ---------------------------------------------------------------------------------


def said(*words: str) -> tuple[str | None, str | None, str]:
    """The slip and the row of the only expectation, which failed, and the last line of the table."""
    ran = run("grad", *words, "--json")
    (verdict,) = ran.json["expect"].values()
    assert (ran.status, verdict["ok"]) == (1, False)
    rows = [row["name"] for row in run("grad", *words, "--json", "--explain").json["ledger"]]
    assert verdict.get("row") is None or verdict["row"] in rows
    return verdict["slip"], verdict.get("row"), run("grad", *words).stdout.splitlines()[-1]


def text(tensor: Tensor) -> str:
    return str(tensor.tolist())


X = torch.tensor([[1.0, 2.0], [3.0, -4.0], [0.5, 6.0]], dtype=torch.float64)
W = torch.tensor([[0.1, 0.2], [0.3, -0.4]], dtype=torch.float64)
B = torch.tensor([0.5, 0.25], dtype=torch.float64)
LINEAR = (f"X={text(X)}", f"W={text(W)}", f"b={text(B)}")
V, U = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([0.5, -0.5])
RESIDUAL = 2 * (X @ W + B)


@pytest.mark.parametrize(
    ("words", "slip", "row"),
    [
        (("a*b + a*c", "a=1.5", "b=2", "c=3.25", "--expect", "a=2"), "missing-path", "a*c"),
        (("a*b + a*c", "a=1.5", "b=2", "c=3.25", "--expect", "a=3.25"), "missing-path", "a*b"),
        (("w*x", "w=2", "x=3", "--expect", "w=2"), "swapped", "w*x"),
        (("a/b", "a=3", "b=5", "--expect", f"a={1 / 3}"), "swapped", "a/b"),
        (("x**2", "x=1,2,3", "--vjp", "1,0.5,2", "--expect", "2,4,6"), "upstream", "x**2"),
        (("x**2", "x=1,2,3", "--row", "1", "--expect", "2,4,6"), "upstream", "x**2"),
        (("sin(x**2)", "x=1.5", "--expect", f"{math.cos(2.25)}"), "missing-factor", "x**2"),
        (("sin(x**2)", "x=1.5", "--expect", "3"), "missing-factor", "sin(x**2)"),
        (("u = 3*x; v = sin(u); exp(v)", "x=0.7", "--expect", f"{3 * math.exp(math.sin(2.1))}"), "missing-factor", "v"),
        (("u = 3*x; v = sin(u); exp(v)", "x=0.7", "--expect", f"{3 * math.cos(2.1)}"), "missing-factor", "exp(v)"),
        (("c = x - x.mean(); sum(c**3)", "x=1,2,5", "--expect", f"{3 * 2.7777777778},{3 * 0.4444444444},{3 * 5.4444444444}"),
         "missing-path", "x.mean()"),
        (("d = x - x.mean(); sum(d/(d**2).mean()*u)", "x=-1,0,1", "u=0,1,5", "--expect", "x=-3,-1.5,4.5"),
         "missing-path", "d**2"),
        (("sum((X @ W + b)**2)", *LINEAR, "--expect", f"b={text(RESIDUAL)}"), "missing-sum", "X @ W + b"),
        (("sum(F.linear(X, W, b)**2)", *LINEAR, "--expect", f"b={text(2 * (X @ W.T + B))}"),
         "missing-sum", "F.linear(X, W, b)"),
        (("sum(sin(V @ u))", "V=1,2;3,5", "u=0.5,-0.5", "--expect", f"u={text(V @ torch.cos(V @ U))}"), "swapped", "V @ u"),
    ],
)  # fmt: skip
def test_each_slip_with_its_row(words: tuple[str, ...], slip: str, row: str) -> None:
    found = said(*words)
    assert found[:2] == (slip, row)
    assert f"(the row `{row}` of --explain)" in found[2]


def test_the_words_teach() -> None:
    given = ("p = sigmoid(z); mse(p, y)", "z=0.5", "y=1", "--wrt", "z")
    p = 1 / (1 + math.exp(-0.5))
    assert said(*given, "--expect", f"{p * (1 - p)}")[2] == (
        "missing-factor: yours leaves out the local derivative d(mse(p, y))/dp = 2*(p - y): multiply by it "
        "(the row `mse(p, y)` of --explain)"
    )


def test_a_slip_of_softmax() -> None:
    """Somebody takes the Jacobian of softmax for 1; and of two activations forgets one."""
    a, y = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0.0, 1.0, 0.0])
    p = a.softmax(0)
    words = ("p = softmax(a, 0); -sum(y*log(p))", "a=0.5,-1,2", "y=0,1,0", "--wrt", "a")
    assert said(*words, "--expect", text(-y / p))[:2] == ("missing-factor", "p")
    layers = ("h = tanh(u*x); sum(tanh(v*h))", "x=0.5,-1,2", "u=0.7", "v=1.5", "--wrt", "u")
    x, h = torch.tensor([0.5, -1.0, 2.0]), torch.tanh(0.7 * torch.tensor([0.5, -1.0, 2.0]))
    outer = 1.5 * (1 - torch.tanh(1.5 * h) ** 2)
    assert said(*layers, "--expect", text((outer * x).sum()))[:2] == ("missing-factor", "h")
    assert said(*layers, "--expect", text((1.5 * x).sum()))[:2] == ("activation-derivative", None)


def test_an_earlier_slip_comes_first() -> None:
    """Of a*a one path is half of it; a matrix product with its factors swapped is the transpose."""
    assert said("a*a", "a=3", "--expect", "3")[:2] == ("factor-half", None)
    words = ("sum(sin(A @ B))", "A=1,2;3,4", "B=0.1,0.7;0.3,0.5", "--wrt", "B")
    a, b = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[0.1, 0.7], [0.3, 0.5]])
    g = torch.cos(a @ b)
    assert said(*words, "--expect", text(g.T @ a))[:2] == ("transposed", None)
    assert said(*words, "--expect", text(g @ a.T))[:2] == ("swapped", "A @ B")


@pytest.mark.parametrize(
    "words",
    [
        ("u*v + sin(u) + 3*u", "u=0", "v=1", "--expect", "u=4"),  # either of the two paths
        ("(0*x).sum()", "x=1,2", "--expect", "1,1"),  # there is nothing in a gradient of 0
        ("sin(x)", "x=2", "--expect", "1"),  # 1 is what is left of any operation
        ("sum(sin(x))", "x=1,2", "--expect", "1,1.1"),
        ("exp(2*x)", "x=1", "--expect", "7.5"),  # 7.389, in too few digits to tell
        ("x.sum()", "x=rand(3,100000)", "--wrt", "x", "--expect", "x.0.5=3"),  # too large
    ],
)
def test_what_is_not_certain_is_not_named(words: tuple[str, ...]) -> None:
    assert said(*words)[:2] == (None, None)


def test_few_digits_name_a_slip_if_they_are_three() -> None:
    assert said("exp(2*x)", "x=1", "--expect", "7.39")[:2] == ("factor-half", None)
    assert said("exp(3*x)", "x=1", "--expect", "20.1")[:2] == ("missing-factor", "3*x")
    assert said("exp(3*x)", "x=1", "--expect", "20")[:2] == (None, None)


def test_a_shape_that_no_slip_explains_is_an_error() -> None:
    words = ("sum((X @ W + b)**2)", *LINEAR, "--expect", f"b={text(RESIDUAL + 1)}")
    ran = run("grad", *words)
    assert ran.status == 2
    assert "b has shape [2], but the expected value has [3, 2]" in ran.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("1,2,3", None),
        ("2/7,4/7,6/7", "1/7 times"),
        ("0.286,0.571,0.857", "1/7 times"),
        ("0.2,0.4,0.6", "1/10 times"),
        ("6.2832,12.566,18.85", "3.142 times"),
        ("2.90,5.80,8.71", None),
    ],
)
def test_off_by_one_constant(given: str, words: str | None) -> None:
    found = said("sum(x**2)", "x=1,2,3", "--expect", given)
    if given == "1,2,3":
        assert found[0] == "factor-half"
    else:
        assert found[:2] == ("ratio" if words else None, None)
        assert (words or "no known slip") in found[2]


def test_one_number_is_no_ratio_and_a_zero_must_stay_one() -> None:
    assert said("x**2", "x=3", "--expect", "2")[0] is None
    assert said("sum(x**2)", "x=1,2,0", "--expect", "2/7,4/7,0")[0] == "ratio"
    assert said("sum(x**2)", "x=1,2,0", "--expect", "2/7,4/7,1")[0] is None


def test_a_batch_gives_the_row() -> None:
    job = {"command": "grad", "expression": "sin(x**2)", "inputs": {"x": 1.5}, "expect": "x=3"}
    answer = orjson.loads(run("batch", stdin=orjson.dumps(job)).stdout)
    assert answer["expect"]["x"]["row"] == "sin(x**2)"


# --- at several points, as for a formula --------------------------------------------------------


def test_a_formula_must_be_that_of_the_slip_at_every_point() -> None:
    """At x = 1 a forgotten factor x does not show; at three points one slip is left."""
    job = Job(from_words(Grad, ["x", "x=1"], {}), lambda: "")
    points = [{"x": torch.tensor(x).double()} for x in (1.0, 0.3, -2.0)]
    subject = Subject("", "sin(x**2)", points[0], ("x",))

    def slip_of(formula: Callable[[Tensor], Tensor]) -> tuple[str, str] | None:
        pairs = [(point, formula(point["x"]), None) for point in points]
        found = named(subject, "x", pairs, job)
        return None if found is None else (found.slip, found.row)

    assert slip_of(lambda x: torch.cos(x**2)) == ("missing-factor", "x**2")
    assert slip_of(lambda x: 2 * x) == ("missing-factor", "sin(x**2)")
    assert slip_of(lambda x: 2 * x * torch.cos(x**2)) is None
    assert slip_of(lambda x: 2 + 0 * x) is None
    slips = {each.name for each in Chain(subject, "x", job).slips()}
    assert slips == set(OMISSIONS) - {"missing-path"}


def test_the_gradient_of_a_step() -> None:
    job = Job(from_words(Grad, ["x", "x=1"], {}), lambda: "")
    inputs = {"w": torch.tensor(0.7).double(), "x": torch.tensor(1.5).double()}
    subject = Subject("", "z = w*x; p = sin(z); p**3", inputs, ("w", "x"))
    p = torch.sin(inputs["w"] * inputs["x"])
    found = named(subject, "z", [(inputs, 3 * p**2, None)], job)
    assert found is not None
    assert (found.slip, found.row) == ("missing-factor", "p")
