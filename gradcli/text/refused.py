"""What an expression may not hold, each with the reason and with what to write instead."""

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One thing that is refused: why, and the cure."""

    why: str
    cure: str = ""


_COPY = Refusal(
    "takes the number out of the graph, so it has no gradient", "leave it off: tensors are shown as numbers"
)
_DEVICE = Refusal("moves tensors between devices", "the device is chosen by --device")
_SEED = Refusal("seeds PyTorch's generator", "the seed is chosen by --seed")
_HOOK = Refusal("runs code of its own", "give a step a name (h = ...) and its gradient is shown")
_FILES = Refusal("reads or writes files", "give a file as an input: x=@data.npy")
_RUNS = Refusal("runs or changes more than an expression")
_OWN = "has parameters of its own"
_BACKWARD = Refusal("is what the command does by itself", "leave it off: gradcli grad shows the gradients")

NAMES = {
    **dict.fromkeys(("item", "tolist", "numpy"), _COPY),
    **dict.fromkeys(("cuda", "cpu", "to_mkldnn", "device", "pin_memory", "get_device"), _DEVICE),
    **dict.fromkeys(("manual_seed", "seed", "initial_seed", "get_rng_state", "Generator", "random"), _SEED),
    **dict.fromkeys(
        ("register_hook", "register_post_accumulate_grad_hook", "retain_grad", "register_forward_hook"), _HOOK
    ),
    **dict.fromkeys(("load", "save", "open", "from_file", "fromfile", "tofile", "savetxt", "loadtxt", "hub"), _FILES),
    **dict.fromkeys(("eval", "exec", "compile", "vmap", "jit", "ops", "classes", "utils", "library", "cond"), _RUNS),
    **dict.fromkeys(("getattr", "setattr", "delattr", "vars", "dir", "globals", "locals", "type", "id"), _RUNS),
    **dict.fromkeys(("input", "help", "exit", "quit", "breakpoint", "sys", "os"), _RUNS),
    **dict.fromkeys(("backward", "autograd", "grad_fn", "func"), _BACKWARD),
    "print": Refusal("writes to the terminal", "leave it off: the result is shown anyway"),
    "grad": Refusal("is what the command shows", "leave it off: gradcli grad shows the gradients"),
    "data": Refusal("cuts the graph in silence", "write .detach()"),
    "requires_grad": Refusal("is set by the command", "choose the inputs to differentiate by with --wrt"),
    "no_grad": Refusal("is a block, not a value", "write .detach() behind what is to be constant"),
    "type": Refusal("takes any type by its name", "write .double(), .float(), .half() or .long()"),
    "apply": Refusal("calls other code", "write the operation out"),
    "map": Refusal("calls other code", "write the operation on the whole tensor"),
    "Tensor": Refusal(
        "is the type of tensors", "write x.relu() for torch.Tensor.relu(x), torch.tensor([1.]) for a tensor"
    ),
    "Parameter": Refusal("makes a leaf of its own", "give it as an input: w=1,2"),
    "Variable": Refusal("is an old name of tensors", "write the input itself"),
    "empty": Refusal("shows memory that was never written", "write zeros(...)"),
    "empty_like": Refusal("shows memory that was never written", "write zeros_like(...)"),
    "resize": Refusal("shows memory that was never written", "write .reshape(...)"),
    "Linear": Refusal(_OWN, "write x @ W.T + b, with W and b as inputs"),
    "PReLU": Refusal("has a parameter of its own", "write F.prelu(x, weight)"),
    "Bilinear": Refusal(_OWN, "write F.bilinear(x, y, W, b), with W and b as inputs"),
    "Embedding": Refusal(_OWN, "write F.embedding(i, W), or W[i], with W as an input"),
    "LayerNorm": Refusal(_OWN, "write F.layer_norm(x, x.shape[-1:])"),
    "GroupNorm": Refusal(_OWN, "write F.group_norm(x, 1)"),
    **{f"Conv{n}d": Refusal(_OWN, f"write F.conv{n}d(x, W, b), with W and b as inputs") for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": Refusal(_OWN, "write F.batch_norm(x, None, None, training=True)") for n in (1, 2, 3)},
    **dict.fromkeys(
        ("RNN", "LSTM", "GRU"), Refusal(_OWN, "write a step: tanh(x @ W.T + h @ U.T), with W and U as inputs")
    ),
    "MultiheadAttention": Refusal(_OWN, "write F.scaled_dot_product_attention(q, k, v)"),
    "Identity": Refusal("changes nothing", "leave it off"),
    "Sequential": Refusal("holds other modules", "write the steps one behind the other: h = ...; ..."),
}
"""Names of PyTorch's and Python's that people try, and why not."""

KEYWORDS = {
    "out": "writes into another tensor",
    "inplace": "overwrites its input, which autograd needs",
    "generator": "takes a random generator; the seed is chosen by --seed",
    "device": "chooses a device; the command's is chosen by --device",
    "layout": "chooses a memory layout",
    "memory_format": "chooses a memory layout",
    "pin_memory": "chooses a kind of memory",
    "requires_grad": "makes a leaf of its own; give it as an input instead",
    "names": "names dimensions",
}
"""Arguments that no call may have."""

_OUT = "write it for whole tensors: x**2, sum(x), where(x > 0, x, 0)"

NODES: dict[type[ast.AST], Refusal] = {
    ast.Lambda: Refusal("a lambda is a function of its own", "write the expression out"),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), Refusal("comprehensions loop", _OUT)),
    **dict.fromkeys((ast.For, ast.While, ast.AsyncFor), Refusal("loops are not expressions", _OUT)),
    ast.JoinedStr: Refusal("an f-string runs code inside a text", "write the text itself"),
    ast.NamedExpr: Refusal("':=' binds a name inside an expression", "bind it first: n = ...; ..."),
    **dict.fromkeys((ast.Import, ast.ImportFrom), Refusal(
        "nothing is imported", "torch, F, nn, np and math are there already")),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef), Refusal(
        "definitions are not expressions", "name the steps instead: h = ...; ...")),
    **dict.fromkeys((ast.If, ast.Match), Refusal("statements do not choose", "write where(condition, this, that)")),
    **dict.fromkeys((ast.With, ast.AsyncWith), Refusal("'with' is no part of an expression", "write .detach() for no_grad")),
    **dict.fromkeys((ast.Raise, ast.Try, ast.Assert), Refusal("exceptions are not expressions", "leave it off")),
    **dict.fromkeys((ast.Global, ast.Nonlocal, ast.Pass), Refusal("this statement computes nothing", "leave it off")),
    **dict.fromkeys((ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.Break, ast.Continue), Refusal(
        "the last statement is the result as it is", "leave the word off")),
    ast.Delete: Refusal("'del' is no part of an expression", "leave it off"),
    ast.AnnAssign: Refusal("names have no annotations", "write n = ..."),
    ast.Dict: Refusal("dictionaries are no values of tensors", "write the arguments out"),
    ast.Set: Refusal("sets are no values of tensors", "write round brackets to group, [..] for a list"),
    ast.Starred: Refusal("'*' in front of a value unpacks it", "write the values out"),
    **{getattr(ast, name): refusal for name, refusal in {
        "TypeAlias": Refusal("'type' gives a type a name", "leave it off"), # since Python 3.12
        "TemplateStr": Refusal("a t-string runs code inside a text", "write the text itself"), # since 3.14
    }.items() if hasattr(ast, name)},
}  # fmt: skip
"""Kinds of syntax that are refused, and why."""

IN_PLACE = Refusal("changes a tensor in place, which autograd needs as it was")
PRIVATE = Refusal("is private to PyTorch or Python")
SETTER = Refusal("changes PyTorch for everything after it", "leave it off")


def refusal(name: str) -> Refusal | None:
    """Why `name` is refused wherever it stands; None for a name that is merely unknown."""
    if found := NAMES.get(name):
        return found
    if name.startswith("_"):
        return PRIVATE
    if name.endswith("_"):
        return IN_PLACE
    return SETTER if name.startswith("set_") else None
