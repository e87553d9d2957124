"""Modules of torch.nn with parameters: made once, their parameters as inputs, applied layer by layer.

An expression that makes such modules is run once. Then it is rewritten: what made a module gives that
module, and a call of it becomes the calls of its layers, each with its parameters as operands. So
evidence, formulas and notes see functions of tensors, and running it again draws nothing.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from gradcli.catalogue.functions import ACTIVATIONS
from gradcli.catalogue.operators import DRAWING
from gradcli.errors import GradcliError, ShapeError, UsageError
from gradcli.evaluate import failed_layers, files, library
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.language.assignment import in_expression
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.expressions.substitution import parsed
from gradcli.language.file_names import FromFile
from gradcli.language.literals.literal import Literal
from gradcli.language.suggest import did_you_mean
from gradcli.results import Inputs

More: TypeAlias = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def make_inputs(
    job: Job, literals: Mapping[str, Literal], more: More = lambda given: {},
    at: More = lambda given: {}
) -> dict[str, Tensor]:  # fmt: skip
    """The inputs of a request, those that `more` makes of them, and the parameters of the modules that
    the job's expressions make; the expressions are then rewritten. An expression of one point or sample
    is run at that of `at`, which takes the place of the whole input.

    Parameters come in PyTorch's order, and each has the value of its literal or file, or the one that
    PyTorch drew. Raises UsageError for a parameter that no module has, ShapeError for one of another
    shape, and what running the expressions raises.
    """
    modules = {name for program in job.programs for name in program.modules}
    paths = [name for name in literals if "." in name]
    files_of = ((n, each) for n, each in literals.items() if isinstance(each, FromFile))
    whole = {name: literal for name, literal in files_of if name in modules}
    made = {n: job.tensor(literal) for n, literal in literals.items() if n not in whole}
    given = {name: made.pop(name) for name in paths}
    made |= more(made)
    for name, literal in whole.items():
        for path, tensor in files.read_all(literal).items():
            given.setdefault(f"{name}.{path}", tensor.to(job.device))
    parameters: dict[str, Tensor] = {}
    if modules:
        point = made | at(made)
        linked = [_Linking(each, point, given, {*paths}, whole, job) for each in job.programs]
        job.programs = [each.program() for each in linked]
        for each in linked:
            parameters |= each.parameters
    for name in paths:
        if name not in parameters:
            raise no_parameter(name, list(parameters))
    phrases = _phrases(parameters, given, job.seed)
    job.modules += [phrase for phrase in phrases if phrase not in job.modules]
    return made | parameters


def _phrases(parameters: Inputs, given: Inputs, seed: int) -> Iterator[str]:
    """How many parameters each module has, and whether PyTorch initialized them."""
    for module in dict.fromkeys(name.partition(".")[0] for name in parameters):
        own = {n: t.numel() for n, t in parameters.items() if n.startswith(f"{module}.")}
        count, left = sum(own.values()), sum(size for n, size in own.items() if n not in given)
        text = f"{module}: {count:,} parameter{'s' if count != 1 else ''}"
        some = "" if left == count else f"{left:,} of them "
        yield f"{text}, {some}initialized with seed {seed}" if left else text


def no_parameter(name: str, known: list[str]) -> UsageError:
    """The error of a parameter that is not one of those known, or that no module has."""
    hint = "the expression makes no module with parameters, such as net = nn.Linear(2, 1)"
    if known:
        hint = did_you_mean(name, known) or f"the parameters are {', '.join(known[:8])}"
    return UsageError(f"there is no parameter {name!r}", hint=hint)


class Made(NamedTuple):
    """A module, and the generator's states, uint8 [bytes], before and after drawing its numbers."""

    module: nn.Module
    before: Tensor
    after: Tensor

    def again(self) -> nn.Module:
        """The module; where the expression starts again from the same numbers, as if it drew again."""
        if torch.equal(torch.get_rng_state(), self.before):
            torch.set_rng_state(self.after)
        return self.module


class Layer(NamedTuple):
    """One call of a layer, with its name in the expression: a function of its input and `operands`,
    or, without a path, the module in the mode that it was in. A parameter stands for itself.
    """

    title: str
    module: nn.Module
    path: str
    operands: list[Any]
    keywords: dict[str, Any]


@dataclass
class _Linking:
    """One run of an expression, in which its modules are made, and what it is rewritten from."""

    source: Expression
    inputs: Inputs
    given: Inputs
    typed: set[str]
    """The parameters that the user gave by themselves; the others are from files."""
    whole: Mapping[str, FromFile]
    job: Job
    parameters: dict[str, Tensor] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """The names of parameters and modules by their ids."""
    made: dict[int, Made] = field(default_factory=dict)
    calls: dict[int, list[Layer]] = field(default_factory=dict)
    read: dict[int, str] = field(default_factory=dict)
    """The names of the parameters that the expression reads itself."""
    titles: dict[int, str] = field(default_factory=dict)
    """The names of the layers that the steps of the rewritten expression apply."""
    makers: dict[int, tuple[Step, nn.Module]] = field(default_factory=dict)
    """Each module with the step that made it, by the module's id."""

    def __post_init__(self) -> None:
        start = self.state = torch.get_rng_state()
        try:
            with torch.no_grad(), library.Bounded():
                evaluate(self.source, {**self.inputs, **self.given}, self._before, self._after)
        except GradcliError as error:
            layer = failed_layers.failed(error.__context__)
            if layer and (maker := self.makers.get(id(layer.module))):
                error.span = maker[0].span
                node = self.source.origins[self.source.steps.index(maker[0])]
                if cured := layer.cured(node):
                    error.hint = f"write {cured}"
            raise
        drawn = [state for made in self.made.values() for state in (made.before, made.after)]
        states = [start, *drawn, torch.get_rng_state()]
        if not all(map(torch.equal, states[::2], states[1::2])):
            torch.set_rng_state(start)  # the expression draws too, in between

    def _before(self, step: Step, operands: list[Any]) -> None:
        self.job.before(step, operands)
        self.state = torch.get_rng_state()
        module = operands[0] if operands else None
        if not isinstance(module, nn.Module):
            return
        if step.kind == "apply":
            layers = [*leaves(module)]
            if any(id(part) in self.names for part in (module, *layers)):
                self.calls[id(step)] = [call for layer in layers for call in self._calls(layer)]
        elif step.kind == "attribute":
            parameter = module._parameters.get(step.name)
            self.read[id(step)] = self.names.get(id(parameter), "")

    def _after(self, step: Step, value: Any) -> None:
        if step.kind != "call" or not isinstance(value, nn.Module):
            return
        self.makers[id(value)] = step, value
        if library.is_layer(step.name):
            self.made[id(step)] = Made(value, self.state, torch.get_rng_state())
        for name, maker in self.source.modules.items():
            if maker is step:
                self._name(name, value)

    def _name(self, name: str, module: nn.Module) -> None:
        """Name the parameters and parts of a module, and give the parameters their values."""
        self.names = part_names(name, module) | self.names
        parameters = dict(module.named_parameters(remove_duplicate=False))
        buffers = dict(module.named_buffers(remove_duplicate=False))
        if name in self.whole:
            self._check_file(name, {*parameters}, {*parameters, *buffers})
            for path, buffer in buffers.items():
                if (given := self.given.get(f"{name}.{path}")) is not None:
                    buffer.copy_(_fitting(f"{name}.{path}", given, buffer))
        for path, parameter in parameters.items():
            key = f"{name}.{path}"
            shown = self.names.setdefault(id(parameter), key)
            if key in self.given and (shown == key or name in self.whole):
                parameter.data = _fitting(key, self.given[key], parameter)
            self.parameters[shown] = parameter.detach()

    def _check_file(self, name: str, needed: set[str], known: set[str]) -> None:
        """Raise UsageError unless a file holds all parameters of a module, and only what it has."""
        stored = {key[len(name) + 1 :] for key in self.given if key.startswith(f"{name}.")}
        missing = sorted(needed - stored)
        other = sorted(path for path in stored - known if f"{name}.{path}" not in self.typed)
        if not missing and not other:
            return
        wrong = f"no {missing[0]}" if missing else f"{other[0]}, but the module does not"
        found = f"the file has {', '.join(sorted(stored)[:8])}"
        hint = f"{found}\nthe module has {', '.join(sorted(needed)[:8])}"
        before = other[0].removesuffix(missing[0]) if missing and other else ""
        if before and all(path.startswith(before) for path in stored):
            hint = f"its names begin with {before}: leave that out of them when you save it"
        raise UsageError(f"the file has {wrong}", span=self.whole[name].span, hint=hint)

    def _calls(self, module: nn.Module) -> Iterator[Layer]:
        """The calls that a layer is written as: one, or two if it pads its input first."""
        name = self.names.get(id(module), type(module).__name__)
        copy = library.with_parameters(module, {})
        if getattr(module, "padding_mode", "zeros") != "zeros":
            pad: Any = module
            sides = tuple(pad._reversed_padding_repeated_twice)
            yield Layer(f"{name}.padded", copy, "F.pad", [sides], {"mode": pad.padding_mode})
        yield Layer(name, copy, *(function_of(module) or ("", [], {})))

    def program(self) -> Expression:
        """The expression, with a call of each layer in place of the calls of modules."""
        written: list[tuple[Step, ast.AST]] = []
        starts = [0]
        for step, node in zip(self.source.steps, self.source.origins, strict=True):
            written += self._written(step, node)
            starts.append(len(written))
        steps, origins = zip(*written, strict=True)
        moved = (
            step._replace(value=starts[step.value]) if step.kind in ("jump", "branch") else step
            for step in steps
        )
        names = tuple(dict.fromkeys((*self.source.names, *self.parameters)))
        return replace(
            self.source, steps=tuple(moved), origins=origins, names=names, modules={},
            layers=self.titles
        )  # fmt: skip

    def _written(self, step: Step, node: ast.AST) -> Iterator[tuple[Step, ast.AST]]:
        if made := self.made.get(id(step)):
            yield step._replace(kind="network", value=made), node
        elif name := self.read.get(id(step)):
            yield Step("layers", step.span, value=((), 0)), node
            yield Step("load", step.span, name=name), node
        elif id(step) in self.calls:
            yield from self._layers(step, node, self.calls[id(step)])
        else:
            yield step, node

    def _layers(
        self, step: Step, node: ast.AST, layers: list[Layer]
    ) -> Iterator[tuple[Step, ast.AST]]:
        """The calls of the layers, one after another, on what the call of the module is given."""
        take, keywords = step.take - 1, step.keywords
        if keywords and layers:  # the names of arguments are those of the module, not of a function
            pads = layers[0].path == "F.pad"
            layers = [layers[pads]._replace(path=""), *layers[pads + 1 :]]
        below = tuple(layer.module for layer in reversed(layers) if not layer.path)
        yield Step("layers", step.span, value=(below, take)), node
        for layer in layers:
            origin = node if layer is layers[-1] else parsed(layer.title)
            if layer.path:
                operands, added = [*layer.operands, *layer.keywords.values()], (*layer.keywords,)
                made = Step("call", step.span, take + len(operands), layer.path, added)
            else:
                listed = dict(layer.module.named_parameters(remove_duplicate=False))
                operands, added = [*listed.values()], tuple(f".{name}" for name in listed)
                count = take + 1 + len(operands)
                made = Step("apply", step.span, count, "", (*keywords, *added), "layer")
            for operand in operands:
                if isinstance(operand, nn.Parameter):
                    yield Step("load", step.span, name=self.names[id(operand)]), node
                else:
                    yield Step("constant", step.span, value=operand), node
            self.titles[id(made)] = layer.title
            yield made, origin
            take, keywords = 1, ()


def in_shape(given: Tensor, own: Tensor) -> Tensor:
    """What is given for a parameter, in its shape if only leading sides of size 1 are left out."""
    leading = own.shape[max(own.ndim - given.ndim, 0) :]
    same = given.shape == leading and given.numel() == own.numel()
    return given.reshape(own.shape) if same else given


def _fitting(name: str, given: Tensor, own: Tensor) -> Tensor:
    """The value given for a parameter, in its dtype and shape. Raises ShapeError for another shape."""
    if (fitted := in_shape(given, own)).shape == own.shape:
        return fitted.detach().to(own.dtype)
    message = f"{name} has shape {list(own.shape)}, but {list(given.shape)} was given"
    shape = ",".join(map(str, own.shape))
    raise ShapeError(message, hint=f"it takes a value such as {name}='randn({shape})'")


def part_names(name: str, module: nn.Module) -> dict[int, str]:
    """The names in an expression of a module of this name and of its parts, by their ids."""
    parts = module.named_modules()
    return {id(part): in_expression(f"{name}.{path}" if path else name) for path, part in parts}


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of a module in the order in which they are applied, without those that do nothing."""
    waiting = [module]
    while waiting:
        part = waiting.pop()
        if type(part) is nn.Sequential:
            waiting.extend(reversed(part))
        elif not isinstance(part, nn.Identity) and (
            part.training or not isinstance(part, _DROPOUT)
        ):
            yield part


_DROPOUT = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout
)  # fmt: skip


# --- layers as functions ------------------------------------------------------------------------

Written: TypeAlias = tuple[str, list[Any], dict[str, Any]] | None


def function_of(module: nn.Module) -> Written:
    """The function that a layer applies, with its operands after the input and its keywords; None if
    only the module itself can be called.
    """
    return _FUNCTIONS.get(type(module), _activation)(module)


def activation_of(module: Any) -> Call | None:
    """The activation of the catalogue that a layer applies, with those settings that are not the
    default; None if the layer is something else.
    """
    entry = _ACTIVATIONS.get(type(module).__name__.lower())
    if entry is None or entry.name in DRAWING or (entry.mixes and module.dim is None):
        return None
    settings = {name: getattr(module, name, value) for name, value in entry.defaults.items()}
    given = {name: value for name, value in settings.items() if not isinstance(value, Tensor)}
    changed = {name: value for name, value in given.items() if value != entry.defaults[name]}
    return Call(entry.name, entry, changed)


def _activation(module: Any) -> Written:
    entry, own = _ACTIVATIONS.get(type(module).__name__.lower()), [*module.parameters()]
    if entry and own:
        return entry.torch, own, {}
    if (call := activation_of(module)) is None:
        return None
    along = {"dim": module.dim} if call.entry.mixes else {}
    return call.entry.path, [], {**call.arguments, **along}


_ACTIVATIONS = {name.replace("_", ""): entry for name, entry in ACTIVATIONS.items()}


def _changed(module: Any, **defaults: Any) -> dict[str, Any]:
    """The settings of a module that are not PyTorch's default, which may be one number for all sides."""
    own = {name: getattr(module, name) for name in defaults}
    sets = {name: {*value} if isinstance(value, tuple) else {value} for name, value in own.items()}
    return {name: value for name, value in own.items() if sets[name] != {defaults[name]}}


def _convolution(module: Any) -> Written:
    settings = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    name = type(module).__name__.lower().replace("transpose", "_transpose")
    if "_" in name:
        settings["output_padding"] = 0
    if module.padding_mode != "zeros":
        del settings["padding"]  # which is a call of its own
    return f"F.{name}", [module.weight, module.bias], _changed(module, **settings)


def _affine(module: Any) -> dict[str, Any]:
    """The weight and bias of a normalisation that has them, and its changed eps."""
    own = {name: getattr(module, name, None) for name in ("weight", "bias")}
    named = {name: value for name, value in own.items() if value is not None}
    return named | _changed(module, eps=1e-5)


def _batch_norm(module: Any) -> Written:
    if module.training or module.running_mean is None:
        return "F.batch_norm", [None, None], {**_affine(module), "training": True}
    return None


_FUNCTIONS: Mapping[type[nn.Module], Callable[[Any], Written]] = {
    nn.Linear: lambda m: ("F.linear", [m.weight, m.bias], {}),
    nn.Bilinear: lambda m: ("F.bilinear", [m.weight, m.bias], {}),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    nn.LayerNorm: lambda m: ("F.layer_norm", [m.normalized_shape], _affine(m)),
    nn.GroupNorm: lambda m: ("F.group_norm", [m.num_groups], _affine(m)),
    nn.RMSNorm: lambda m: ("F.rms_norm", [m.normalized_shape], {"weight": m.weight, **_changed(m, eps=None)}),
    nn.Embedding: lambda m: None if m.max_norm else ("F.embedding", [m.weight], _changed(m, padding_idx=None)),
    nn.Flatten: lambda m: ("torch.flatten", [m.start_dim, m.end_dim], {}),
}  # fmt: skip
"""The functions that modules apply, and with which operands after the input; None if none does."""
