"""The list of commands: name, request, panel of the help, and examples."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gradcli.requests.shared import Numeric

PANELS = ("Explore", "Learn", "Script")


@dataclass(frozen=True)
class Command:
    """One command. `path` names its request type, which is imported only when the command is used."""

    name: str
    path: str
    panel: str
    summary: str
    examples: tuple[tuple[str, str], ...]

    @property
    def request(self) -> type[Numeric]:
        """The request type: its fields are the options, its docstring is the help."""
        module, _, name = self.path.partition(":")
        found: Any = getattr(import_module(f"gradcli.requests.{module}"), name)
        return found  # type: ignore[no-any-return]


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "grad", "grad:Grad", "Explore", "value of an expression and its gradient by each input",
            (
                ("gradcli grad --fn mse --x 1 --w 2", "the lecture's case: loss 1, dw = 2, dx = 4"),
                ("gradcli grad 'mse(w*x + b, y)' x=1,2 w=3 b=0 y=1,1", "any formula of PyTorch's"),
                ("gradcli grad --fn mse --x 1 --w 2 --get gradients.w", "one number for a script"),
            ),
        ),
        Command(
            "activate", "activate:Activate", "Explore", "value and derivative of activations, side by side",
            (
                ("gradcli activate sigmoid tanh relu --x -2,0,2", "three activations beside each other"),
                ("gradcli activate 'leaky_relu(0.2)' --x -1", "arguments follow the name"),
                ("seq -5 5 | gradcli activate gelu --x - --csv", "numbers from a pipe"),
            ),
        ),
        Command(
            "loss", "loss:Loss", "Explore", "loss value, its elements, and d loss / d pred",
            (
                ("gradcli loss mse sse l2_norm --pred 1,2,3 --target 0,0,0", "mean, sum and root of the squares"),
                ("gradcli loss cross_entropy --pred 2,1,0.1 --target 0", "logits against a class index"),
                ("gradcli loss 'huber(delta=2)' --pred 3 --target 0 --reduction sum", "with an argument"),
            ),
        ),
        Command(
            "softmax-jacobian", "softmax_jacobian:SoftmaxJacobian", "Explore", "probabilities and the Jacobian of softmax",
            (
                ("gradcli softmax-jacobian 2,1,0.1", "the whole Jacobian"),
                ("gradcli softmax-jacobian 2,1,0.1 --row 1", "the gradient of p_1 alone"),
                ("gradcli softmax-jacobian 2,1,0.1 --get label", "the predicted class"),
            ),
        ),
        Command(
            "jacobian", "derivatives:Jacobian", "Explore", "the whole Jacobian of an expression",
            (
                ("gradcli jacobian 'W @ x' W='1,2;3,4' x=1,1 --wrt x", "rows are outputs, columns are inputs"),
                ("gradcli jacobian 'stack([r*cos(t), r*sin(t)])' r=2 t=pi/3", "polar coordinates"),
                ("gradcli jacobian 'sigmoid(x)' x=-1,0,1 --csv", "for a spreadsheet"),
            ),
        ),
        Command(
            "hessian", "derivatives:Hessian", "Explore", "the Hessian, its eigenvalues, minimum, maximum or saddle",
            (
                ("gradcli hessian 'x**2 - y**2' x=0 y=0", "a saddle"),
                ("gradcli hessian '(1-x)**2 + 100*(y-x**2)**2' x=1 y=1", "Rosenbrock's minimum"),
                ("gradcli hessian 'x.pow(4).sum()' x=1,2 --get eigenvalues", "the eigenvalues alone"),
            ),
        ),
        Command(
            "perceptron", "perceptron:Perceptron", "Learn", "one layer forward and its gradient, or its training",
            (
                ("gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1", "dE/dw_j = (O - t) O (1 - O) x_j"),
                ("gradcli perceptron --train and --activation step", "the perceptron rule learns AND"),
                ("gradcli perceptron --train xor --activation step --get converged", "and never XOR"),
            ),
        ),
    )
}  # fmt: skip
