"""The commands, one folder each, in the order of help. A new command is one folder and one line of
`COMMANDS`.

The parts of a folder are found by these names, and each is loaded only when it is used:

    __init__.py   EXAMPLES: calls to copy and their comments; PATHS: examples for --get;
                  HELP: output options whose help is not the usual one; FORMS: all output options of
                  a command that computes no numbers, and their help ("": usual)
    request.py    the request: its class has the command's name, its fields are the options
    compute.py    compute(request, job): the result of a request
    result.py     the result, its main arrays and paths, its closed forms
    show.py       tables(result, digits), or page(result, style, window) and document(result, digits)
    program.py    program(script, request, result): writes the PyTorch program of --code
    page.py       page(request, output, world, read_stdin): the answer that needs no PyTorch
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
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
"""The options of `gradcli` without a command."""


@dataclass(frozen=True, eq=False)
class Command:
    """One command, its panel in help, and its summary there."""

    name: str
    panel: str
    summary: str

    @property
    def folder(self) -> str:
        """The package of its parts."""
        return f"{__name__}.{self.name.replace('-', '_')}"

    @cached_property
    def request(self) -> type[Any]:
        """The request type: its fields are the options, its docstring is the help."""
        name = "".join(map(str.capitalize, self.name.split("-")))
        return getattr(import_module(f"{self.folder}.request"), name)  # type: ignore[no-any-return]

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Calls to copy, and what each shows."""
        return self._get("EXAMPLES", ())  # type: ignore[no-any-return]

    @cached_property
    def output(self) -> "dict[str, Option]":
        """The output options that it has, by field of `OutputOptions`."""
        from gradcli.options.fields import Paths, options
        from gradcli.options.shared import OUT, PICTURE_OPTIONS, OutputOptions, files_of

        known, files = options(OutputOptions), files_of(self.request)
        missing = {*getattr(self.request, "instead", ())}
        missing |= set() if find_spec(f"{self.folder}.program") else {"code"}
        missing |= set() if getattr(self.request, "pictures", False) else {*PICTURE_OPTIONS}
        usual = dict.fromkeys((name for name in known if name not in missing), "")
        forms: Mapping[str, str] = self._get("FORMS", usual | self._get("HELP", {}))
        output = {
            name: replace(known[name], help=text or known[name].help)
            for name, text in forms.items()
        }
        if paths := self._get("PATHS", ""):
            output["get"] = replace(output["get"], help=f"{output['get'].help}, such as {paths}")
        if "out" in output:
            text = forms["out"] or f"{known['out'].help}: {', '.join(files[:-1])} or {files[-1]}"
            kind = replace(OUT, paths=Paths("", files))
            output["out"] = replace(output["out"], kind=kind, help=text)
        return output

    @cached_property
    def options(self) -> "dict[str, Option]":
        """All its arguments and options by field: arguments, own options, shared ones, output."""
        from gradcli.options.fields import options

        return options(self.request) | self.output

    @cached_property
    def page(self) -> Callable[..., str | int | Callable[..., int] | None] | None:
        """The function that answers a call without a worker, if there is one.

        It returns a page to print, an exit status if it has printed, None for a worker to answer, or
        a function of what makes further calls, which returns the exit status of all of them.
        """
        path = f"{self.folder}.page"
        return import_module(path).page if find_spec(path) else None

    def _get(self, name: str, default: Any) -> Any:
        return getattr(import_module(self.folder), name, default)


COMMANDS = {
    command.name: command
    for command in (
        Command("grad", "Explore", "value of an expression and its gradient for each input"),
        Command("derive", "Explore", "the formula of the gradient, verified against autograd"),
        Command("activate", "Explore", "value and derivative of activations, side by side"),
        Command("loss", "Explore", "loss value, its elements, and d loss / d pred"),
        Command("softmax-jacobian", "Explore", "probabilities and the Jacobian of softmax"),
        Command("jacobian", "Explore", "the whole Jacobian of an expression"),
        Command("hessian", "Explore", "the Hessian, its eigenvalues, minimum, maximum or saddle"),
        Command("value", "Explore", "just the value, and the shape of every part"),
        Command("descend", "Explore", "gradient descent with any optimiser from torch.optim"),
        Command("plot", "Explore", "a curve and its derivative, in the terminal or as PNG or SVG"),
        Command("check", "Learn", "your own function, module or backward pass, checked"),
        Command("perceptron", "Learn", "forward pass and gradient of one layer, or its training"),
        Command("flow", "Learn", "gradient size layer by layer: vanishing, exploding or steady"),
        Command("why", "Learn", "reproduce, explain and fix a common PyTorch error"),
        Command(
            "functions", "Learn", "the catalogue: formula, derivative, range, kinks, PyTorch's name"
        ),
        Command("batch", "Script", "one JSON job per line in, one JSON result per line out"),
        Command("session", "Script", "the same line by line, with inputs that stay"),
        Command("server", "Script", "keep PyTorch loaded: a call takes hundredths of a second"),
        Command("completion", "Script", "completion script for bash, zsh or fish"),
    )
}
PANELS = tuple(dict.fromkeys(command.panel for command in COMMANDS.values()))
