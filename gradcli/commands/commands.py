"""The list of commands: name, request, panel of the help, and examples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcli.options.fields import Option

PANELS = ("Explore", "Learn", "Script")
HELP_COMMAND = "help"
ROOT_OPTIONS = {"--help": "this help, or that of a command", "--version": "the versions of gradcli and PyTorch"}
"""What `gradcli` takes besides a command."""


@dataclass(frozen=True, eq=False)
class Command:
    """One command. The paths name what is imported only when it is used.

    `path` leads to its request type, `page` to what answers without PyTorch if it can. `paths` are examples
    for --get. `forms` are the fields of `Shown` that have a meaning here, each with words of its own for help where the
    usual ones do not fit; None: all of them.
    """

    name: str
    path: str
    panel: str
    summary: str
    examples: tuple[tuple[str, str], ...]
    paths: str = ""
    forms: Mapping[str, str] | None = None
    page: str = ""

    @property
    def request(self) -> type[Any]:
        """The request type: its fields are the options, its docstring is the help.

        Whatever it is, it says what bounds a worker: `timeout`, `typed` and `device`, as in `Numeric`.
        """
        return _load("request", self.path)  # type: ignore[no-any-return]

    @property
    def output(self) -> "dict[str, Option]":
        """The options of output, by field of `Shown`."""
        from gradcli.options.fields import Paths, options
        from gradcli.options.shared import PICTURE_OUT, Shown

        known = options(Shown)
        forms = dict.fromkeys(known, "") if self.forms is None else self.forms
        found = {name: replace(known[name], help=said or known[name].help) for name, said in forms.items()}
        if self.paths:
            found["get"] = replace(found["get"], help=f"{found['get'].help}, such as {self.paths}")
        if getattr(self.request, "pictures", False):
            found["out"] = replace(found["out"], kind=PICTURE_OUT)
        if "out" in found and (files := getattr(self.request, "files", ())):
            found["out"] = replace(found["out"], kind=replace(found["out"].kind, paths=Paths("", files)))
        return found

    @property
    def options(self) -> "dict[str, Option]":
        """Everything that may follow the command, by field: words, its own options, those it shares, output."""
        from gradcli.options.fields import options

        return options(self.request) | self.output

    @property
    def answer(self) -> Callable[..., str | int | None] | None:
        """What may answer a call itself: a function of request, shown, world and the reading of stdin.

        It returns a page to print, an exit status where it has printed already, or None to leave it to a worker.
        """
        return _load("page", self.page) if self.page else None


def _load(room: str, path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(f"gradcli.commands.{module}.{room}"), name)


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "grad", "grad:Grad", "Explore", "value of an expression and its gradient for each input",
            (
                ("gradcli grad --fn mse --x 1 --w 2", "mean squared error: loss 1, dw = 2, dx = 4"),
                ("gradcli grad 'mse(w*x + b, y)' x=1,2 w=3 b=0 y=1,1", "any PyTorch formula"),
                ("gradcli grad --fn mse --x 1 --w 2 --get gradients.w", "one number for a script"),
            ),
            paths="value or gradients.w",
        ),
        Command(
            "activate", "activate:Activate", "Explore", "value and derivative of activations, side by side",
            (
                ("gradcli activate sigmoid tanh relu --x -2,0,2", "three activations side by side"),
                ("gradcli activate 'leaky_relu(0.2)' --x -1", "arguments follow the name"),
                ("seq -5 5 | gradcli activate gelu --x - --csv", "numbers from a pipe"),
            ),
            paths="functions.0.derivative.2",
        ),
        Command(
            "loss", "loss:Loss", "Explore", "loss value, its elements, and d loss / d pred",
            (
                ("gradcli loss mse sse l2_norm --pred 1,2,3 --target 0,0,0", "mean, sum and root of the squares"),
                ("gradcli loss cross_entropy --pred 2,1,0.1 --target 0", "logits against a class index"),
                ("gradcli loss 'huber(delta=2)' --pred 3 --target 0 --reduction sum", "with an argument"),
            ),
            paths="losses.0.gradient.2",
        ),
        Command(
            "softmax-jacobian", "softmax_jacobian:SoftmaxJacobian", "Explore", "probabilities and the Jacobian of softmax",
            (
                ("gradcli softmax-jacobian 2,1,0.1", "the whole Jacobian"),
                ("gradcli softmax-jacobian 2,1,0.1 --row 1", "the gradient of p_1 alone"),
                ("gradcli softmax-jacobian 2,1,0.1 --get label", "the predicted class"),
            ),
            paths="label or jacobian.0.1",
        ),
        Command(
            "jacobian", "jacobian:Jacobian", "Explore", "the whole Jacobian of an expression",
            (
                ("gradcli jacobian 'W @ x' W='1,2;3,4' x=1,1 --wrt x", "rows are outputs, columns are inputs"),
                ("gradcli jacobian 'stack([r*cos(t), r*sin(t)])' r=2 t=pi/3", "polar coordinates"),
                ("gradcli jacobian 'sigmoid(x)' x=-1,0,1 --csv", "for a spreadsheet"),
            ),
            paths="jacobian.x.0",
        ),
        Command(
            "hessian", "hessian:Hessian", "Explore", "the Hessian, its eigenvalues, minimum, maximum or saddle",
            (
                ("gradcli hessian 'x**2 - y**2' x=0 y=0", "a saddle"),
                ("gradcli hessian '(1-x)**2 + 100*(y-x**2)**2' x=1 y=1", "Rosenbrock's minimum"),
                ("gradcli hessian 'x.pow(4).sum()' x=1,2 --get eigenvalues", "the eigenvalues alone"),
            ),
            paths="kind or hessian.x.y",
        ),
        Command(
            "descend", "descend:Descend", "Explore", "gradient descent with any optimiser from torch.optim",
            (
                ("gradcli descend '(x - 3)**2' x=0", "100 steps with learning rate 0.1"),
                ("gradcli descend '(1-x)**2 + 100*(y-x**2)**2' x=-1 y=2 --optimizer lbfgs", "Rosenbrock's valley"),
                ("gradcli descend 'mse(w*x, y)' x=1,2,3 y=2,4,6 w=0 --wrt w --set momentum=0.9", "a slope, with momentum"),
            ),
            paths="stopped or parameters.x",
        ),
        Command(
            "plot", "plot:Plot", "Explore", "a curve and its derivative, in the terminal or as PNG or SVG",
            (
                ("gradcli plot sigmoid tanh relu", "catalogue functions over [-6, 6]"),
                ("gradcli plot 'sin(w*x)' x=-5,5 w=2", "any formula over any range"),
                ("gradcli plot 'x**2 - y**2' x=-2,2 y=-2,2", "two ranges: contour and gradient"),
            ),
            paths="curves.0.derivative.2",
            forms={
                "json": "",
                "csv": "",
                "get": "",
                "code": "",
                "out": "write to FILE instead: .png, .svg, .json, .csv, .npz or .npy",
                "precision": "significant digits of the numbers below the picture",
                "full": "show the full tables of --check and --expect",
                "quiet": "",
            },
        ),
        Command(
            "perceptron", "perceptron:Perceptron", "Learn", "forward pass and gradient of one layer, or its training",
            (
                ("gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1", "dE/dw_j = (O - t) O (1 - O) x_j"),
                ("gradcli perceptron --train and --activation step", "the perceptron rule learns AND"),
                ("gradcli perceptron --train xor --activation step --get converged", "but it cannot learn XOR"),
            ),
            paths="output or gradients.w.1",
        ),
        Command(
            "flow", "flow:Flow", "Learn", "gradient size layer by layer: vanishing, exploding or steady",
            (
                ("gradcli flow --activation sigmoid --activation relu --layers 20", "why deep sigmoid networks do not learn"),
                ("gradcli flow --activation relu --init kaiming --layers 50", "Kaiming's rule keeps the gradient steady"),
                ("gradcli flow --activation tanh --init xavier --get factors.tanh", "the factor per layer"),
            ),
            paths="factors.relu or layers.0.gradient_norm",
        ),
        Command(
            "why", "why:Why", "Learn", "reproduce, explain and fix a common PyTorch error",
            (
                ("gradcli why no-grad", "what happens, why, and how to fix it"),
                ("gradcli why 'grad can be implicitly created only for scalar outputs'", "a pasted error"),
                ("python train.py 2>&1 | gradcli why", "a traceback from a pipe"),
            ),
            forms={
                "json": "",
                "get": "one value by its path, such as cure or related.0; for the list, mistakes.0.name",
                "code": "the program that makes the mistake",
                "out": "write to FILE instead: .json",
                "quiet": "no hint",
            },
            page="why:page",
        ),
        Command(
            "functions", "functions:Functions", "Learn", "the catalogue: formula, derivative, range, kinks, PyTorch's name",
            (
                ("gradcli functions", "every activation and loss"),
                ("gradcli functions relu", "one function, with the slope that PyTorch uses at its kink"),
                ("gradcli functions 'elu(alpha=2)' --json", "with an argument, as JSON"),
            ),
            forms={
                "json": "",
                "get": "one value by its path, such as functions.0.kinks.0.pytorch",
                "out": "write to FILE instead: .json",
                "quiet": "no hint",
            },
            page="functions:page",
        ),
        Command(
            "batch", "batch:Batch", "Script", "one JSON job per line in, one JSON result per line out",
            (
                ("gradcli batch jobs.jsonl > results.jsonl", "a file of jobs"),
                ("gradcli batch jobs.jsonl --jobs 2", "two processes; results stay in order"),
                ("echo '{\"command\": \"grad\", \"fn\": \"mse\", \"x\": 1, \"w\": 2}' | gradcli batch", "one job from a pipe"),
            ),
            forms={"quiet": "no progress bar"},
            page="batch:run",
        ),
        Command(
            "server", "server:Server", "Script", "keep PyTorch loaded: a call takes hundredths of a second",
            (
                ("gradcli server start", "load PyTorch once; every later call of yours uses it"),
                ("gradcli server status", "is it running? exit status 0 or 1"),
                ("gradcli server stop", "stop it; calls in progress are finished"),
            ),
            forms={"json": "status as one JSON object on one line", "quiet": "print nothing: use the exit status"},
            page="server:run",
        ),
        Command(
            "completion", "completion:Completion", "Script", "completion script for bash, zsh or fish",
            (
                ('eval "$(gradcli completion bash)"', "in ~/.bashrc"),
                ('eval "$(gradcli completion zsh)"', "in ~/.zshrc, after compinit"),
                ("gradcli completion fish | source", "in ~/.config/fish/config.fish"),
            ),
            forms={},
            page="completion:page",
        ),
    )
}  # fmt: skip
