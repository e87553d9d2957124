"""Which layer of a network failed, and what is wrong with its input, from PyTorch's traceback."""

import ast
import copy
import inspect
from traceback import walk_tb
from typing import Any, NamedTuple

from torch import Tensor, nn

from gradcli.language.assignment import in_expression

_TAKES = """
    in_features: Linear AdaptiveLogSoftmaxWithLoss LinearCrossEntropyLoss: * n
    in_channels: Conv1d ConvTranspose1d: n length | batch n length
    in_channels: Conv2d ConvTranspose2d: n height width | batch n height width
    in_channels: Conv3d ConvTranspose3d: n depth height width | batch n depth height width
    num_features: BatchNorm1d: batch n | batch n length
    num_features: InstanceNorm1d: n length | batch n length
    num_features: BatchNorm2d: batch n height width
    num_features: InstanceNorm2d: n height width | batch n height width
    num_features: BatchNorm3d: batch n depth height width
    num_features: InstanceNorm3d: n depth height width | batch n depth height width
    num_channels: GroupNorm: batch n *
    num_parameters: PReLU: batch n *
    normalized_shape: LayerNorm RMSNorm: * n
    input_size: RNN LSTM GRU: length n | length batch n
    input_size: RNNCell LSTMCell GRUCell: n | batch n
    embed_dim: MultiheadAttention: length n | length batch n"""
_FORMS = {
    name: (setting, [form.split() for form in forms.split(" | ")])
    for setting, names, forms in (line.strip().split(": ") for line in _TAKES.strip().split("\n"))
    for name in names.split()
}
"""The setting of a layer that one size of its input must equal, and the shapes that the input may
have, in which that size is n."""


class Failed(NamedTuple):
    """The call of a module that raised an error: the module and its arguments, in order."""

    module: nn.Module
    arguments: tuple[Any, ...]

    def title(self, whole: nn.Module, text: str) -> str:
        """Its name in the expression, as a part of `whole`, which `text` calls: `net[2]`."""
        name = text if text.replace(".", "").isidentifier() else type(whole).__name__
        path = next((path for path, part in whole.named_modules() if part is self.module), "")
        return in_expression(f"{name}.{path}") if path else name

    @property
    def fault(self) -> tuple[str, str]:
        """What is wrong with its input, and what to do; two empty texts if nothing is known."""
        given = self.arguments[0] if self.arguments else None
        if isinstance(given, tuple):
            message = "its input must be one tensor, but the layer before it returns a tuple"
            return message, "call that layer by itself, and take its output: h = lstm(x)[0]"
        if not isinstance(given, Tensor):
            return "", ""
        if isinstance(self.module, nn.Embedding | nn.EmbeddingBag):
            return _index_fault(given, self.module.num_embeddings)
        setting, size, forms = _sizes(self.module)
        sizes = _candidates(forms, given)
        if not forms or size in sizes:
            return "", ""
        shapes = ([str(size) if part == "n" else part for part in form] for form in forms)
        listed = " or ".join(f"[{', '.join(shape)}]" for shape in shapes)
        fact = f"its input must have shape {listed} ({setting} is {size})"
        hint = f"make it for {sizes[0]}, or give it {size}" if sizes else "reshape its input"
        if sizes and not self._may_have(sizes[0]):
            hint = f"give it {size}"
        return f"{fact}, but it has {list(given.shape)}", hint

    def cured(self, node: ast.AST) -> str:
        """The call that makes the module, but for its input; empty if that is not what is wrong."""
        setting, size, forms = _sizes(self.module)
        given = self.arguments[0] if self.arguments else None
        if not isinstance(given, Tensor) or not isinstance(node, ast.Call):
            return ""
        sizes = _candidates(forms, given)
        if not sizes or size in sizes or not self._may_have(sizes[0]):
            return ""
        call = copy.deepcopy(node)
        settings = [*inspect.signature(type(self.module)).parameters]
        place = settings.index(setting) if setting in settings else 0  # LSTM takes *args
        if place < len(call.args):
            call.args[place] = ast.Constant(sizes[0])
        for keyword in call.keywords:
            if keyword.arg == setting:
                keyword.value = ast.Constant(sizes[0])
        return ast.unparse(call)

    def _may_have(self, size: int) -> bool:
        """Whether its heads or groups, if it has any, divide this size."""
        divisors = ("num_heads", "num_groups", "groups")
        return all(size % getattr(self.module, name, 1) == 0 for name in divisors)


def failed(error: BaseException | None) -> Failed | None:
    """The innermost call of a module that an exception of PyTorch passed through."""
    found = None
    for frame, _ in walk_tb(error.__traceback__ if error else None):
        if frame.f_code.co_name == "_call_impl":
            called = frame.f_locals
            found = Failed(called["self"], (*called["args"], *called["kwargs"].values()))
    return found


def _sizes(module: nn.Module) -> tuple[str, int, list[list[str]]]:
    """The setting of a layer that its input must agree with, its value, and the shapes that fit."""
    setting, forms = _FORMS.get(type(module).__name__, ("", []))
    size = getattr(module, setting, 0)
    if isinstance(size, tuple):
        size, forms = size[-1], forms if len(size) == 1 else []
    if getattr(module, "batch_first", False):
        forms = [["batch", *form[:1], "n"] if "batch" in form else form for form in forms]
    return setting, size, forms


def _candidates(forms: list[list[str]], given: Tensor) -> list[int]:
    """The sizes of a tensor that the setting may mean: one for each form with as many dimensions."""
    sizes = []
    for form in forms:
        if "*" in form and given.ndim >= len(form) - 1:
            sizes.append(given.shape[-1 if form[-1] == "n" else form.index("n")])
        elif "*" not in form and given.ndim == len(form):
            sizes.append(given.shape[form.index("n")])
    return sizes


def _index_fault(given: Tensor, count: int) -> tuple[str, str]:
    if given.is_floating_point():
        message = "its input must be indices, whole numbers, but it has floats"
        return message, "write i=tensor([0, 1]), or x.long()"
    wrong = given[(given < 0) | (given >= count)]
    if not wrong.numel():
        return "", ""
    message = f"an index is {int(wrong[0])}, but num_embeddings is {count}"
    return message, f"the indices go from 0 to {count - 1}"
