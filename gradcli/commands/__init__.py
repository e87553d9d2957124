"""The commands, one folder each, in the order of help. A new command is one folder and one line of
`COMMANDS`.

What a folder holds is found by these names, and each part is loaded only when it is used:

    __init__.py   EXAMPLES, and where they are needed PATHS and FORMS: what help shows
    request.py    the request: its class is named as the command, its fields are the options
    compute.py    compute(request, job): the request as a result
    result.py     what the result holds, and what it says of itself
    show.py       tables(result, digits), or page(result, style, window)
    program.py    program(script, request, result): the PyTorch program of --code
    page.py       page(request, output, world, read_stdin): what can be answered without PyTorch
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcli.options.fields import Option

HELP_COMMAND = "help"
ROOT_OPTIONS = {
    "--help": "this help, or that of a command",
    "--version": "the versions of gradcli and PyTorch",
}
"""What `gradcli` takes besides a command."""


@dataclass(frozen=True, eq=False)
class Command:
    """One command: its name, its panel in help, and its line there."""

    name: str
    panel: str
    summary: str

    @property
    def folder(self) -> str:
        """The package that holds its parts."""
        return f"{__name__}.{self.name.replace('-', '_')}"

    @property
    def request(self) -> type[Any]:
        """The request type: its fields are the options, its docstring is the help.

        Whatever it is, it says what bounds a worker: `timeout`, `typed` and `device`, as in
        `ComputeOptions`.
        """
        name = "".join(map(str.capitalize, self.name.split("-")))
        return getattr(import_module(f"{self.folder}.request"), name)  # type: ignore[no-any-return]

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Calls to copy, and what each shows."""
        return self._said("EXAMPLES", ())  # type: ignore[no-any-return]

    @property
    def output(self) -> "dict[str, Option]":
        """The options of output that have a meaning here, by field of `OutputOptions`."""
        from gradcli.options.fields import Paths, options
        from gradcli.options.shared import PICTURE_OUT, OutputOptions

        known = options(OutputOptions)
        every = [name for name in known if name != "code" or find_spec(f"{self.folder}.program")]
        forms: Mapping[str, str] = self._said("FORMS", dict.fromkeys(every, ""))
        found = {
            name: replace(known[name], help=said or known[name].help)
            for name, said in forms.items()
        }
        if paths := self._said("PATHS", ""):
            found["get"] = replace(found["get"], help=f"{found['get'].help}, such as {paths}")
        if getattr(self.request, "pictures", False):
            found["out"] = replace(found["out"], kind=PICTURE_OUT)
        if "out" in found and (files := getattr(self.request, "files", ())):
            found["out"] = replace(
                found["out"], kind=replace(found["out"].kind, paths=Paths("", files))
            )
        return found

    @property
    def options(self) -> "dict[str, Option]":
        """Everything that may follow the command, by field: words, its own options, those it
        shares, output.
        """
        from gradcli.options.fields import options

        return options(self.request) | self.output

    @property
    def page(self) -> Callable[..., str | int | None] | None:
        """What may answer a call itself: a function of request, shown, world and the reading of
        stdin.

        It returns a page to print, an exit status where it has printed already, or None to leave it
        to a worker.
        """
        path = f"{self.folder}.page"
        return import_module(path).page if find_spec(path) else None

    def _said(self, name: str, default: Any) -> Any:
        return getattr(import_module(self.folder), name, default)


COMMANDS = {
    command.name: command
    for command in (
        Command("grad", "Explore", "value of an expression and its gradient for each input"),
        Command("activate", "Explore", "value and derivative of activations, side by side"),
        Command("loss", "Explore", "loss value, its elements, and d loss / d pred"),
        Command("softmax-jacobian", "Explore", "probabilities and the Jacobian of softmax"),
        Command("jacobian", "Explore", "the whole Jacobian of an expression"),
        Command("hessian", "Explore", "the Hessian, its eigenvalues, minimum, maximum or saddle"),
        Command("descend", "Explore", "gradient descent with any optimiser from torch.optim"),
        Command("plot", "Explore", "a curve and its derivative, in the terminal or as PNG or SVG"),
        Command("perceptron", "Learn", "forward pass and gradient of one layer, or its training"),
        Command("flow", "Learn", "gradient size layer by layer: vanishing, exploding or steady"),
        Command("why", "Learn", "reproduce, explain and fix a common PyTorch error"),
        Command(
            "functions", "Learn", "the catalogue: formula, derivative, range, kinks, PyTorch's name"
        ),
        Command("batch", "Script", "one JSON job per line in, one JSON result per line out"),
        Command("server", "Script", "keep PyTorch loaded: a call takes hundredths of a second"),
        Command("completion", "Script", "completion script for bash, zsh or fish"),
    )
}
PANELS = tuple(dict.fromkeys(command.panel for command in COMMANDS.values()))
