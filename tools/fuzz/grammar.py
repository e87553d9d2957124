"""Makes texts by grammars: literals, expressions, paths into results; and breaks every second
one.
"""

import random
from collections.abc import Callable, Sequence

from gradcli.catalogue import operators
from gradcli.catalogue.functions import ACTIVATIONS, CATALOGUE, LOSSES
from gradcli.language.literals.constructors import CONSTRUCTORS
from tools.fuzz import corpus, mutation

Chance = random.Random

# --- literals ------------------------------------------------------------------------------------

LITERAL_WORDS = (
    *"0123456789,;[]()+-*/=@ \n", "1.5", "-2", "1e3", "pi", "nan", "inf", "-inf", "True", "False", "NaN", "Infinity", "'NaN'",
    "null",
    "tensor(", "torch.tensor(", "array(", "np.array(", "np.float64(", "Parameter containing:", "torch.", "dtype=", "float32",
    "int64",
    "torch.int8", "torch.bool", "size=", "device='cuda:0'", "grad_fn=<AddBackward0>", "requires_grad=True", "...", "1j", "@-",
    "@",
    "@../data/good.npy", "@../data/two.npz:a", "@../data/two.npz", "@../data/good.csv", "@../data/good.json",
    "@../data/a.fifo.npy",
    "@../data/folder.npy", "@../data/dangling.pt", "@../data/empty.npy", "@/dev/zero", "@/dev/stdin", "@~/x.npy", ".npz:",
    *CONSTRUCTORS,
)  # fmt: skip
_SIDES = (
    "0",
    "1",
    "2",
    "3",
    "5",
    "-1",
    "2.0",
    "10**3",
    "100000",
    "268435457",
    "9223372036854775808",
    "inf",
    "x",
)


def literal(chance: Chance) -> str:
    """A tensor literal, right or wrong."""
    found = chance.choice(corpus.literals()) if chance.random() < 0.3 else _literal(chance)
    return (
        mutation.text(found, chance, LITERAL_WORDS, corpus.literals())
        if chance.random() < 0.6
        else found
    )


def right_literal(chance: Chance) -> str:
    """A tensor literal that is most likely right, and small."""
    return chance.choices((number, _row, _rows, _brackets, _made), (4, 4, 2, 2, 1))[0](chance)


def number(chance: Chance) -> str:
    """A number as a user writes it."""
    match chance.randrange(7):
        case 0:
            return str(chance.randrange(-3, 10))
        case 1:
            return f"{chance.uniform(-3, 3):.{chance.randrange(5)}f}"
        case 2:
            return f"{chance.uniform(-1, 1):g}e{chance.randrange(-30, 30)}"
        case 3:
            return chance.choice(
                ("pi", "pi/2", "-pi", "1/3", "2*pi", "inf", "-inf", "nan", "+1", "1.", ".5")
            )
        case 4:
            return repr(chance.uniform(-1e3, 1e3))
        case _:
            return f"{chance.uniform(-3, 3):.1f}"


def _several(chance: Chance, count: int | None = None) -> list[str]:
    return [number(chance) for _ in range(count or chance.randrange(1, 5))]


def _row(chance: Chance) -> str:
    return chance.choice((",", ", ")).join(_several(chance))


def _rows(chance: Chance) -> str:
    width = chance.randrange(1, 4)
    return chance.choice((";", "; ", "\n")).join(
        ",".join(_several(chance, width)) for _ in range(chance.randrange(1, 4))
    )


def _brackets(chance: Chance, depth: int = 0) -> str:
    """Nested lists, all as long as each other."""
    shape = [chance.randrange(1, 4) for _ in range(chance.randrange(1, 4))]
    sign = chance.choice(("[]", "[]", "()"))

    def level(sides: Sequence[int]) -> str:
        inner = [level(sides[1:]) if sides[1:] else number(chance) for _ in range(sides[0])]
        return f"{sign[0]}{', '.join(inner)}{sign[1]}"

    return level(shape)


def _made(chance: Chance) -> str:
    name = chance.choice([*CONSTRUCTORS])
    arguments = (
        ("2", "3") if name not in ("full", "linspace", "logspace", "arange") else ("0", "1", "3")
    )
    return f"{name}({','.join(arguments[: chance.randrange(1, 4)])})"


def _printed(chance: Chance) -> str:
    inside = _brackets(chance)
    form = chance.choice(
        ("tensor({})", "tensor({}, dtype=torch.float64)", "array({})", "tensor({}, grad_fn=<MulBackward0>)",
         "Parameter containing:\ntensor({}, requires_grad=True)", "tensor({}, dtype=torch.int64)",
         "np.array({}, dtype=float32)",
         "tensor({}, device='cuda:0')", "torch.tensor({})"),
    )  # fmt: skip
    return form.format(inside.replace(", ", " ") if chance.random() < 0.1 else inside)


def _sized(chance: Chance) -> str:
    name = chance.choice([*CONSTRUCTORS])
    sides = [chance.choice(_SIDES) for _ in range(chance.randrange(5))]
    form = chance.choice(("{}{}({})", "{}{}(({}))", "{}{}([{}])", "{}{}(size=({}))"))
    return form.format(chance.choice(("", "-", "+")), name, ",".join(sides))


def _spread(chance: Chance) -> str:
    return "\n".join("  ".join(_several(chance)) for _ in range(chance.randrange(1, 5)))


def _literal(chance: Chance) -> str:
    return chance.choice((number, _row, _rows, _brackets, _made, _printed, _sized, _spread))(chance)


# --- expressions --------------------------------------------------------------------------------

INPUTS = ("x", "y", "A", "t", "s")
_PLAIN = (
    "sin",
    "exp",
    "log",
    "relu",
    "sigmoid",
    "tanh",
    "abs",
    "sqrt",
    "softmax",
    "square",
    "neg",
    "sum",
    "mean",
    "max",
    "cumsum",
    "F.gelu",
)
"""Functions that take any tensor alone, so that more of what is made can be computed."""
_FUNCTIONS = sorted(operators.function_names())
_METHODS = sorted(operators.sections()["Tensor"])
_PROPERTIES = sorted(operators.sections()["properties"])
_MODULES = sorted(operators.sections()["nn"])
_SPACED = [
    f"{space}.{name}"
    for space, section in operators.SPACES.items()
    for name in operators.sections()[section]
    if "." not in name
]
_KEYWORDS = (
    "dim=0", "dim=-1", "dim=1", "dim=(0, 1)", "dim=None", "keepdim=True", "p=1", "p=inf", "p='fro'", "reduction='sum'",
    "reduction='none'", "dtype=torch.float64", "dtype=torch.int64", "weight=y", "alpha=2", "beta=0.5", "n=3", "size=(2, 2)",
    "eps=1e-3",
    "out=x", "inplace=True", "generator=None", "device='cpu'", "requires_grad=True", "training=False", "correction=0",
    "mode='nearest'",
)  # fmt: skip
_SAFE = ("x", "x", "y", "s", "2", "0.5", "x[:2]", "A[0, 0]", "x*y")
_ATOMS = (
    *INPUTS, *INPUTS, *INPUTS, *INPUTS, *_SAFE, *_SAFE, "1", "2", "0.5", "-1", "0", "pi", "e", "inf", "nan", "None", "True",
    "...", "'mean'", "1j", "x.shape",
    "len(x)", "x.T", "A.mT", "A[0]", "x[x > 0]", "x[1:]", "torch.float64", "torch.ones(3)", "randn(3)", "3",
)  # fmt: skip
_OPERATORS = (
    *"+-*/@",
    "**",
    *"+-*/@",
    "**",
    "//",
    "%",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "<",
    "<=",
    "==",
    "!=",
    ">",
    "and",
    "or",
    "is",
    "in",
)
EXPRESSION_WORDS = (
    *_ATOMS, *_OPERATORS, *_KEYWORDS, *"()[],.:;=\n#", "lambda", "for", "if", "else", "not", "import", "await", "yield",
    "del", "n = ",
    "+=", ":=", "f''", "__class__", "__import__('os')", ".data", ".item()", ".backward()", "torch.load", "F.", "nn.", "np.",
    "math.",
    "torch.linalg.", *_FUNCTIONS[::7], *(f".{name}()" for name in _METHODS[::7]),
)  # fmt: skip


def expression(chance: Chance) -> str:
    """An expression over `INPUTS`, right or wrong."""
    found = chance.choice(corpus.expressions()) if chance.random() < 0.2 else _statements(chance)
    return (
        mutation.text(found, chance, EXPRESSION_WORDS, corpus.expressions())
        if chance.random() < 0.3
        else found
    )


def right_expression(chance: Chance) -> str:
    """An expression that is most likely right: of elements of three numbers, made one at the
    end.
    """
    depth = chance.choice((1, 1, 2, 2, 3))
    steps = [f"n = {_right(chance, 1)}; "] if chance.random() < 0.25 else []
    found = _right(chance, depth, (*_VECTORS, "n") if steps else _VECTORS)
    return "".join(steps) + chance.choice(_MADE_ONE).format(found)


_VECTORS = (
    "x",
    "x",
    "y",
    "s*x",
    "x*y",
    "0*x",
    "x[:3]",
    "A[0, 0]*x",
    "x.abs()",
    "(A @ x[:2])[0]*y",
    "x + s",
    "x.detach()",
    "t*x",
    "-x",
    "2.",
    "1",
)
_MADE_ONE = (
    "({}).sum()", "({}).sum()", "mean({})", "({}).norm()", "({})[0]", "({}).max()", "({}).prod()", "({}).std()", "max({})",
    "amin({})",
    "torch.stack([{}, x]).sum()", "torch.linalg.norm({})", "({}).var(correction=0)", "({}).median()", "logsumexp({}, 0)",
    "({}) @ x",
    "torch.norm({}, p=1)", "({}).topk(2).values.sum()", "({}).sort().values[1]", "({}).cummax(0).values.sum()",
    "({}).clamp(0, 1).sum()",
)  # fmt: skip
_PAIRS = (
    "{} + {}", "{} - {}", "{} * {}", "{} / {}", "({}) ** ({})", "maximum({}, {})", "torch.min({}, {})",
    "where(x > 0, {}, {})", "atan2({}, {})",
    "torch.dist({}, {})", "clamp({}, max={})", "torch.fmod({}, {})", "torch.outer({}, {})[0]", "torch.hypot({}, {})",
    "xlogy({}, {})",
    "torch.lerp({}, {}, 0.5)", "copysign({}, {})", "cosine_similarity({}, {}, 0)", "torch.cross({}, {}, 0)",
    "F.pairwise_distance({}, {})",
)  # fmt: skip


def _right(chance: Chance, depth: int, atoms: Sequence[str] = _VECTORS) -> str:
    if depth <= 0:
        return chance.choice(atoms)
    one, two = _right(chance, depth - 1, atoms), _right(chance, depth - 1, atoms)
    match chance.randrange(6):
        case 0 | 1:
            return f"({chance.choice(_PAIRS).format(one, two)})"
        case 2:
            return f"{chance.choice(sorted(ACTIVATIONS))}({one})"
        case 3:
            kept = chance.choice(("", ", reduction='sum'", ", reduction='none'"))
            return f"{chance.choice(sorted(LOSSES))}({one}, {two}{kept})"
        case 4:
            return f"({one}).{chance.choice(_METHODS)}()"
        case _:
            return f"{chance.choice(_PLAIN)}({one})"


def _statements(chance: Chance) -> str:
    if chance.random() < 0.75:
        found = _expression(chance, chance.choice((1, 2, 2, 3, 4)))
        return f"({found}).sum()" if chance.random() < 0.7 else found
    names = [chance.choice(("n", "m", "x", "e", "mse")) for _ in range(chance.randrange(1, 4))]
    lines = [
        f"{name} {chance.choice(('=', '=', '+=', '*='))} {_expression(chance, 2)}" for name in names
    ]
    last = chance.choice(names) if chance.random() < 0.5 else _expression(chance, 2)
    return chance.choice(("; ", "\n")).join([*lines, last])


def _expression(chance: Chance, depth: int) -> str:
    if depth <= 0:
        return chance.choice(_SAFE if chance.random() < 0.6 else _ATOMS)

    def inner() -> str:
        return _expression(chance, depth - chance.choice((1, 1, 2)))

    def arguments() -> str:
        given = [inner() for _ in range(chance.choices(range(5), (5, 60, 25, 7, 3))[0])]
        return ", ".join(
            [*given, *chance.sample(_KEYWORDS, chance.choices(range(3), (85, 12, 3))[0])]
        )

    match chance.choices(range(14), (8, 9, 8, 6, 4, 5, 4, 2, 2, 2, 1, 4, 25, 20))[0]:
        case 12:
            return f"{chance.choice(_PLAIN)}({inner()})"
        case 13:
            return f"({inner()} {chance.choice('+-*/')} {inner()})"
        case 0:
            return f"{inner()} {chance.choice(_OPERATORS)} {inner()}"
        case 1:
            return f"{chance.choice(_FUNCTIONS)}({arguments()})"
        case 2:
            return f"({inner()}).{chance.choice(_METHODS)}({arguments()})"
        case 3:
            return f"{chance.choice([*CATALOGUE])}({arguments()})"
        case 4:
            return f"{chance.choice(_SPACED)}({arguments()})"
        case 5:
            return f"({inner()})[{', '.join(_index(chance) for _ in range(chance.choice((1, 1, 2, 3))))}]"
        case 6:
            return f"({inner()}).{chance.choice(_PROPERTIES)}"
        case 7:
            return f"({inner()}, {inner()})"
        case 8:
            return f"[{inner()}, {inner()}]"
        case 9:
            return f"{inner()} if {inner()} else {inner()}"
        case 10:
            return f"nn.{chance.choice(_MODULES)}({arguments()})({arguments()})"
        case _:
            return f"{chance.choice('-+~')}{inner()}"


def _index(chance: Chance) -> str:
    return chance.choice(
        (
            "0",
            "-1",
            "1",
            ":",
            "1:",
            "::2",
            ":-1",
            "...",
            "None",
            "t",
            "x > 0",
            "[0, 1]",
            "5",
            "2**63",
            "0.5",
            "s",
            "::0",
        )
    )


# --- paths, names, messages ---------------------------------------------------------------------

PATH_WORDS = (
    *".0123456789,-=@ ", "value", "gradients", "w", "x", "y", "inputs", "functions", "losses", "notes", "text", "name",
    "jacobian",
    "hessian", "eigenvalues", "steps", "parameters", "intermediates", "ledger", "expression", "..", "99999999999999999999",
    "-1", "None",
)  # fmt: skip
_PATHS = (
    "value", "gradients.w", "gradients.x.0", "gradients", "functions.0.value.2", "functions.0", "losses.1.gradient",
    "inputs.x.0.1",
    "notes.0.text", "defaults", "jacobian.x.0.1", "hessian.x.x", "eigenvalues.0", "kind", "stationary", "steps.3.parameters.x",
    "probabilities.1", "label", "z", "output", "history.0.w", "layers.2.gradient_norm", "verdict", "intermediates.n.gradient",
    "dtype",
)  # fmt: skip


def path(chance: Chance) -> str:
    """A `--get` path, right or wrong."""
    found = chance.choice(_PATHS)
    return mutation.text(found, chance, PATH_WORDS, _PATHS) if chance.random() < 0.7 else found


def expectation(chance: Chance) -> str:
    """An `--expect`, right or wrong."""
    key = chance.choice(("", "w=", "x=", "value=", f"{path(chance)}="))
    found = key + (right_literal(chance) if chance.random() < 0.7 else literal(chance))
    return mutation.text(found, chance, PATH_WORDS, _PATHS) if chance.random() < 0.2 else found


def function(chance: Chance) -> str:
    """A function of the catalogue by its name, with arguments or without, right or wrong."""
    name = chance.choice([*CATALOGUE])
    found = arguments(name, chance) if chance.random() < 0.3 else name
    words = (*"()=,.-", "nan", "1e400", "reduction", "alpha")
    return mutation.text(found, chance, words, [*CATALOGUE]) if chance.random() < 0.25 else found


def arguments(name: str, chance: Chance) -> str:
    """A function of the catalogue with a value for each of its parameters."""
    values = (0, -1, 0.5, 1e30, "mean", None, True, (1, 2))
    parameters = CATALOGUE[name].parameters
    given = [
        f"{each.name}={chance.choice((each.default, each.default, *values))!r}"
        for each in parameters
    ]
    return f"{name}({', '.join(given or [number(chance)])})"


def message(chance: Chance) -> str:
    """What may be pasted to `why`."""
    found = chance.choice(corpus.messages())
    words = (
        "RuntimeError: ",
        "Error: ",
        "\n",
        "Traceback",
        "Warning: ",
        "tensor",
        "[3, 4]",
        "0x7f",
        "\x1b[31m",
        "grad",
        "...",
        "of",
        "-",
    )
    return (
        mutation.text(found, chance, words, corpus.messages()) if chance.random() < 0.9 else found
    )


Draw = Callable[[Chance], str]
