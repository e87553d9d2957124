"""Makes jobs on expressions that make modules: networks that fit together, networks that do not, and
any module with any arguments.
"""

from collections.abc import Mapping
from typing import Any

from gradcli.catalogue import operators
from tools.fuzz import grammar, mutation
from tools.fuzz.grammar import Chance

_LAYERS = sorted(operators.sections()["layers"])
_PLAIN = (
    "nn.Tanh()", "nn.ReLU()", "nn.Sigmoid()", "nn.GELU()", "nn.Dropout(0.5)", "nn.Softmax(-1)", "nn.Identity()",
    "nn.LayerNorm({0})", "nn.BatchNorm1d({0})", "nn.PReLU()", "nn.RMSNorm({0})", "nn.Flatten()", "nn.GroupNorm(1, {0})",
)  # fmt: skip
"""Layers between two linear ones, for so many features."""
_OTHERS: Mapping[str, str] = {
    "nn.Conv1d(1, 2, 3)": "ones(2,1,5)",
    "nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2))": "randn(2,1,4,4)",
    "nn.ConvTranspose2d(1, 1, 2, stride=2)": "ones(1,1,2,2)",
    "nn.Embedding(5, 3)": "tensor([0,2,4])",
    "nn.EmbeddingBag(5, 3)": "tensor([[0,2],[4,1]])",
    "nn.LSTM(3, 2)": "randn(4,3)",
    "nn.GRU(3, 2, batch_first=True)": "randn(2,4,3)",
    "nn.RNNCell(3, 2)": "randn(2,3)",
    "nn.BatchNorm2d(2)": "randn(3,2,2,2)",
    "nn.InstanceNorm1d(2, affine=True)": "randn(3,2,4)",
    "nn.TransformerEncoderLayer(4, 2, 8, 0.)": "randn(3,4)",
    "nn.LocalResponseNorm(2)": "randn(1,4,2)",
}
"""Modules with an input that each of them takes."""
_CALLS = (
    "{}({})", "{}({})", "({})({}).sum()", "net = {}; net({}).sum()", "net = {}; mse(net({}), 0)", "net = {}; net({})[0].sum()",
    "net = {}; net.eval(); net({}).sum()", "net = {}; net({}) + net[0].weight.norm()", "net = {}; net(net({})).sum()",
    "net = {}; h = net[0]({}); (h**2).sum()", "net = {}; cross_entropy(net({}), tensor([0, 1, 0]))",
)  # fmt: skip
_WORDS = (
    "net", "net[0]", "net[-1]", ".weight", ".bias", ".parameters()", ".eval()", ".requires_grad_(False)", "bias=False", "nn.",
    "nn.Linear(2, 1)", "nn.Sequential(", "nn.Parameter(x)", "net = ", "dtype=torch.float64", *"(),[]=;.",
)  # fmt: skip
_GIVEN = (
    "net.0.weight",
    "net.0.bias",
    "net.weight",
    "linear.weight",
    "net.9.weight",
    "net.0",
    "net.0.weight.x",
)


def network(chance: Chance) -> tuple[str, str]:
    """The text of a module, most likely right, and that of its input."""
    if chance.random() < 0.3:
        return chance.choice([*_OTHERS.items()])
    if chance.random() < 0.15:
        numbers = ", ".join(chance.choice("1234") for _ in range(chance.randrange(5)))
        return f"nn.{chance.choice(_LAYERS)}({numbers})", chance.choice([*_OTHERS.values()])
    features = first = chance.randrange(1, 4)
    layers = []
    for _ in range(chance.randrange(1, 4)):
        after = chance.randrange(1, 4) if chance.random() < 0.9 else 100_000
        layers.append(f"nn.Linear({features}, {after}{chance.choice(('', '', ', bias=False'))})")
        features = after if chance.random() < 0.95 else features + 1
        if chance.random() < 0.8:
            layers.append(chance.choice(_PLAIN).format(features))
    given = chance.choice(
        (f"randn(3,{first})", f"randn(3,{first})", f"ones(3,{first})", f"randn({first})")
    )
    return (layers[0] if len(layers) == 1 else f"nn.Sequential({', '.join(layers)})"), given


def job(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job on a module, with any evidence."""
    module, given = network(chance)
    command = chance.choices(
        ("grad", "value", "flow", "derive", "descend", "jacobian", "hessian"), (40, 12, 12, 12, 12, 7, 5)
    )[0]  # fmt: skip
    text = module if command == "flow" else chance.choice(_CALLS).format(module, "x")
    if chance.random() < 0.15:
        text = mutation.text(text, chance, _WORDS, [*_OTHERS])
    elif chance.random() < 0.15:
        text = mutation.number(text, chance)
    inputs = {"x": given if chance.random() < 0.9 else grammar.literal(chance)}
    if chance.random() < 0.15:
        inputs[chance.choice(_GIVEN)] = chance.choice(("ones(2,3)", "1", "0,0", "1,2;3,4"))
    dtype = chance.choice(("float32", "float64", "bfloat16"))
    found = {"command": command, "inputs": inputs, "timeout": 10, "dtype": dtype}
    found["net" if command == "flow" else "expression"] = text
    if command == "descend":
        found |= {"steps": 2, "optimizer": chance.choice(("sgd", "adam", "lbfgs", "rmsprop"))}
    for key, commands, value in (
        ("explain", ("grad", "descend"), True),
        ("check", ("grad", "flow", "jacobian"), True),
        ("shapes", ("value",), True),
        ("steps", ("derive",), True),
        ("wrt", ("grad", "derive", "descend"), [chance.choice(("net", "x", "net.0.weight", "w"))]),
        ("jvp", ("grad",), {"x": given}),
        ("hvp", ("hessian",), {"x": given}),
        ("each", ("grad",), "x"),
        ("expect", ("grad",), [grammar.expectation(chance)]),
        ("init", ("flow",), chance.choice(("xavier", "kaiming", "normal"))),
    ):
        if command in commands and chance.random() < 0.2:
            found[key] = value
    return {**more, **found}
