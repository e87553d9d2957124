"""What an expression may not hold, each with the reason and with what to write instead."""

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One thing that is refused: why, and the cure."""

    why: str
    cure: str = ""


_COPY = Refusal(
    "takes the number out of the graph, so it has no gradient", "leave it out: tensors are shown as numbers"
)
_DEVICE = Refusal("moves tensors between devices", "choose the device with --device")
_SEED = Refusal("seeds PyTorch's generator", "choose the seed with --seed")
_HOOK = Refusal("runs code in the backward pass", "name a step (h = ...) to see its gradient")
_FILES = Refusal("reads or writes files", "give a file as an input: x=@data.npy")
_RUNS = Refusal("does more than compute a value")
_OWN = "has its own parameters"
_BACKWARD = Refusal("is called by the command", "leave it out: gradcli grad shows the gradients")

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
    "print": Refusal("writes to the terminal", "leave it out: the result is shown anyway"),
    "grad": Refusal("is shown by the command", "leave it out: gradcli grad shows the gradients"),
    "data": Refusal("cuts the graph silently", "write .detach()"),
    "requires_grad": Refusal("is set by the command", "choose the inputs to differentiate by with --wrt"),
    "no_grad": Refusal("is a block, not a value", "write .detach() after what should be constant"),
    "type": Refusal("takes the name of any type", "write .double(), .float(), .half() or .long()"),
    "apply": Refusal("calls another function", "write out the operation"),
    "map": Refusal("calls another function", "write the operation on the whole tensor"),
    "Tensor": Refusal(
        "is the class of tensors", "write x.relu() for torch.Tensor.relu(x), torch.tensor([1.]) for a tensor"
    ),
    "Parameter": Refusal("creates a new leaf", "give it as an input: w=1,2"),
    "Variable": Refusal("is an obsolete wrapper of tensors", "write the input itself"),
    "empty": Refusal("returns uninitialized memory", "write zeros(...)"),
    "empty_like": Refusal("returns uninitialized memory", "write zeros_like(...)"),
    "resize": Refusal("returns uninitialized memory", "write .reshape(...)"),
    "Linear": Refusal(_OWN, "write x @ W.T + b, with W and b as inputs"),
    "PReLU": Refusal("has its own parameter", "write F.prelu(x, weight)"),
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
    "Identity": Refusal("changes nothing", "leave it out"),
    "Sequential": Refusal("contains other modules", "write the steps one after another: h = ...; ..."),
}
"""Names of PyTorch's and Python's that people try, and why not."""

KEYWORDS = {
    "out": "writes into another tensor",
    "inplace": "overwrites its input, which autograd needs",
    "generator": "takes a random generator; use --seed",
    "device": "chooses a device; use --device",
    "layout": "chooses a memory layout",
    "memory_format": "chooses a memory layout",
    "pin_memory": "chooses a kind of memory",
    "requires_grad": "creates a new leaf; give it as an input instead",
    "names": "names dimensions",
}
"""Arguments that no call may have."""

_OUT = "write it for whole tensors: x**2, sum(x), where(x > 0, x, 0)"

NODES: dict[type[ast.AST], Refusal] = {
    ast.Lambda: Refusal("lambda is not allowed", "write out the expression"),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), Refusal(
        "comprehensions are not allowed", _OUT)),
    **dict.fromkeys((ast.For, ast.While, ast.AsyncFor), Refusal("loops are not allowed", _OUT)),
    ast.JoinedStr: Refusal("f-strings are not allowed: they run code", "write a plain string"),
    ast.NamedExpr: Refusal("':=' is not allowed", "assign it first: n = ...; ..."),
    **dict.fromkeys((ast.Import, ast.ImportFrom), Refusal(
        "imports are not allowed", "torch, F, nn, np and math are already available")),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef), Refusal(
        "definitions are not allowed", "name the steps instead: h = ...; ...")),
    **dict.fromkeys((ast.If, ast.Match), Refusal("'if' and 'match' are not allowed", "write where(condition, this, that)")),
    **dict.fromkeys((ast.With, ast.AsyncWith), Refusal("'with' is not allowed", "use .detach() instead of no_grad")),
    **dict.fromkeys((ast.Raise, ast.Try, ast.Assert), Refusal("exceptions are not allowed", "leave it out")),
    **dict.fromkeys((ast.Global, ast.Nonlocal, ast.Pass), Refusal("this statement computes nothing", "leave it out")),
    **dict.fromkeys((ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.Break, ast.Continue), Refusal(
        "the last statement is already the result", "leave the keyword out")),
    ast.Delete: Refusal("'del' is not allowed", "leave it out"),
    ast.AnnAssign: Refusal("annotations are not allowed", "write n = ..."),
    ast.Dict: Refusal("dictionaries are not supported", "write out the arguments"),
    ast.Set: Refusal("sets are not supported", "use (..) to group, [..] for a list"),
    ast.Starred: Refusal("unpacking with * is not allowed here", "write out the values"),
    **{getattr(ast, name): refusal for name, refusal in {
        "TypeAlias": Refusal("'type' statements are not allowed", "leave it out"), # since Python 3.12
        "TemplateStr": Refusal("t-strings are not allowed: they run code", "write a plain string"), # since 3.14
    }.items() if hasattr(ast, name)},
}  # fmt: skip
"""Kinds of syntax that are refused, and why."""

IN_PLACE = Refusal("changes a tensor in place, and autograd needs its old value")
PRIVATE = Refusal("is private to PyTorch or Python")
SETTER = Refusal("changes PyTorch's global state", "leave it out")


def refusal(name: str) -> Refusal | None:
    """Why `name` is refused wherever it stands; None for a name that is merely unknown."""
    if found := NAMES.get(name):
        return found
    if name.startswith("_"):
        return PRIVATE
    if name.endswith("_"):
        return IN_PLACE
    return SETTER if name.startswith("set_") else None
