"""`perceptron`: one layer forward and its gradient, or its training."""

from dataclasses import dataclass

from gradcli.catalogue.functions import Activation as ActivationEntry
from gradcli.catalogue.functions import Loss as LossEntry
from gradcli.errors import UsageError
from gradcli.language.calls import Call, parse_call
from gradcli.language.literals import literal
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.options.fields import (
    ACTIVATION,
    LOSS,
    NUMBER,
    TENSOR,
    TENSORS,
    WHOLE,
    ValueKind,
    option,
)
from gradcli.options.shared import ExplainOptions, WrtOptions

GATES = ("and", "or", "xor", "nand")
DATA = ValueKind(
    "DATA", lambda source: source.text, hints=GATES, paths=TENSORS,
    outside=lambda text: literal.parse(Source(text, "--train")) if text.startswith("@") else None,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Perceptron(WrtOptions, ExplainOptions):
    """One layer, z = x @ w.T + b and O = activation(z): its gradient, or with --train its training
    from zeros.
    """

    x: Literal | None = option(TENSOR, "inputs: [in], or [batch, in]", None)
    w: Literal | None = option(
        TENSOR, "weights: [in] for one output, or [out, in] as nn.Linear.weight", None
    )
    b: Literal | None = option(TENSOR, "bias: one number, or [out]", None, shown="0")
    target: Literal | None = option(TENSOR, "targets t, with the shape of the output", None)
    activation: Call = option(
        ACTIVATION,
        "the activation",
        parse_call(Source("sigmoid"), ActivationEntry),
        shown="sigmoid",
    )
    loss: Call = option(
        LOSS,
        "the loss; half_sse is E = 1/2 sum (O - t)^2",
        parse_call(Source("half_sse"), LossEntry),
        shown="half_sse",
    )
    train: str = option(
        DATA,
        "data to train on: and, or, xor, nand, or @FILE with the target in the last column",
        "",
    )
    lr: float | None = option(NUMBER, "learning rate of --train", None, shown="1")
    epochs: int | None = option(
        WHOLE, "maximum number of passes over the data of --train", None, shown="100"
    )

    @property
    def formula_names(self) -> tuple[str, ...]:
        """The names that a formula of --expect may use: those of the inputs, z and O."""
        return (*self.literals, "z", "O")

    @property
    def timed(self) -> str:  # type: ignore[override]
        """What `timeout` limits: with --train one pass over the data."""
        return "one epoch" if self.train else ""

    def __post_init__(self) -> None:
        ExplainOptions.__post_init__(self)
        if self.train:
            self._check_training()
            return
        for name in ("lr", "epochs"):
            if getattr(self, name) is not None:
                hint = f"leave out --{name}, or add --train and"
                raise UsageError(f"--{name} requires --train", hint=hint)
        for name in ("x", "w", "target"):
            if getattr(self, name) is None:
                hint = "gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1"
                raise UsageError(f"--{name} is missing", hint=hint)

    def _check_training(self) -> None:
        for name in ("x", "w", "b", "target", "wrt"):
            if getattr(self, name) not in (None, ()):
                message = f"--{name} cannot be used with --train, which starts from zeros"
                raise UsageError(message, hint=f"leave out --{name}")
        for name, does in (("explain", "follows"), ("check", "compares")):
            if getattr(self, name):
                message = f"--{name} {does} one gradient, but --train computes many"
                raise UsageError(message, hint="give --x, --w and --target")
        if self.train not in GATES and not self.train.startswith("@"):
            hint = f"one of {', '.join(GATES)}, or @FILE"
            raise UsageError(f"--train: there is no data set {self.train!r}", hint=hint)
        if self.loss.entry.mixes == "row":
            name = self.loss.entry.name
            message = f"--loss: {name} compares several outputs, but --train trains one"
            raise UsageError(message, hint="such as half_sse, mse or bce")
        if self.epochs is not None and not 1 <= self.epochs <= 1_000_000:
            raise UsageError("--epochs must be from 1 to 1,000,000")
