"""What an expression may not contain, with the reason and what to write instead."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """One thing that is refused: why, and the hint."""

    why: str
    hint: str = ""


def _table(text: str) -> dict[str, Refusal]:
    """The refusal of each name in lines of `NAMES: WHY | HINT`."""
    rows = (line.partition(": ") for line in text.strip().splitlines())
    reasons = ((names, Refusal(*reason.split(" | "))) for names, _, reason in rows)
    return {name: reason for names, reason in reasons for name in names.split()}


NAMES = _table("""
item tolist numpy: takes the number out of the graph, so it has no gradient | leave it out: tensors are shown as numbers
cuda cpu to_mkldnn device pin_memory get_device: moves tensors between devices | choose the device with --device
manual_seed seed initial_seed get_rng_state Generator random: seeds PyTorch's generator | choose the seed with --seed
register_hook register_post_accumulate_grad_hook: runs code in the backward pass | name a step (h = ...) to see its gradient
retain_grad register_forward_hook: runs code in the backward pass | name a step (h = ...) to see its gradient
load save open from_file fromfile tofile savetxt loadtxt hub: reads or writes files | give a file as an input: x=@data.npy
eval exec compile vmap jit ops classes utils library cond: does more than compute a value
getattr setattr delattr vars dir globals locals id: does more than compute a value
input help exit quit breakpoint sys os: does more than compute a value
backward autograd grad_fn func: is called by the command | leave it out: gradcli grad shows the gradients
print: writes to the terminal | leave it out: the result is shown anyway
grad: is shown by the command | leave it out: gradcli grad shows the gradients
data: cuts the graph silently | write .detach()
requires_grad requires_grad_: is set by the command | --wrt chooses the inputs that get a gradient
no_grad: is a block, not a value | write .detach() after what should be constant
type: takes the name of any type | write .double(), .float(), .half() or .long()
apply: calls another function | write out the operation
map: calls another function | write the operation on the whole tensor
Tensor: is the class of tensors | write x.relu() for torch.Tensor.relu(x), torch.tensor([1.]) for a tensor
Parameter: creates a new leaf | give it as an input: w=1,2
Variable: is an obsolete wrapper of tensors | write the input itself
empty: returns uninitialized memory | write zeros(...)
empty_like: returns uninitialized memory | write zeros_like(...)
resize: returns uninitialized memory | write .reshape(...)
SyncBatchNorm: needs several processes | write nn.BatchNorm1d(n)
ModuleList ModuleDict ParameterList ParameterDict Container Module: cannot be called | write nn.Sequential(...)
DataParallel parallel: spreads a module over several devices | leave it out: write the module itself
UninitializedParameter UninitializedBuffer Buffer: creates a new leaf | give it as an input: w=1,2
init: fills tensors in place | give the numbers: net.weight=zeros(3,2)
""")
"""Names of PyTorch and Python that people try, and why they are refused."""

MODULES = _table("""
forward: is called by the module | call the module: net(x)
parameters named_parameters state_dict children modules: returns no tensor | the parameters are inputs: net.0.weight
named_children named_modules buffers named_buffers: returns no tensor | the parts of a network are net[0], net[1], ...
double float half bfloat16 type to: changes the dtype of the parameters | choose it with --dtype
zero_grad: clears gradients, and there are none yet | leave it out
load_state_dict: reads parameters | give them as inputs: net=@weights.pt
add_module append extend insert register_parameter: changes the module | write all parts into nn.Sequential(...)
in_features out_features in_channels out_channels: is a setting of the module | write the number
running_mean running_var num_batches_tracked: is changed by every call | load it with a state dict: net=@weights.pt
""")
"""Names that a module of torch.nn has, and why they are refused."""

KEYWORDS = {
    "out": "writes into another tensor", "inplace": "overwrites its input, which autograd needs",
    "generator": "takes a random generator; use --seed", "device": "chooses a device; use --device",
    "layout": "chooses a memory layout", "memory_format": "chooses a memory layout", "names": "names dimensions",
    "pin_memory": "chooses a kind of memory", "requires_grad": "creates a new leaf; give it as an input instead",
}  # fmt: skip
"""Arguments that no call may have."""

NODES = _table("""
Lambda: lambda is not allowed | write out the expression
ListComp SetComp: comprehensions are not allowed | write it for whole tensors: x**2, sum(x), where(x > 0, x, 0)
DictComp GeneratorExp: comprehensions are not allowed | write it for whole tensors: x**2, sum(x), where(x > 0, x, 0)
For While AsyncFor: loops are not allowed | write it for whole tensors: x**2, sum(x), where(x > 0, x, 0)
JoinedStr: f-strings are not allowed: they run code | write a plain string
TemplateStr: t-strings are not allowed: they run code | write a plain string
NamedExpr: ':=' is not allowed | assign it first: n = ...; ...
Import ImportFrom: imports are not allowed | torch, F, nn, np and math are already available
FunctionDef AsyncFunctionDef ClassDef: definitions are not allowed | name the steps instead: h = ...; ...
If Match: 'if' and 'match' are not allowed | write where(condition, this, that)
With AsyncWith: 'with' is not allowed | use .detach() instead of no_grad
Raise Try Assert: exceptions are not allowed | leave it out
Global Nonlocal Pass: this statement computes nothing | leave it out
Return Yield YieldFrom Await Break Continue: the last statement is already the result | leave the keyword out
Delete: 'del' is not allowed | leave it out
TypeAlias: 'type' statements are not allowed | leave it out
AnnAssign: annotations are not allowed | write n = ...
Dict: dictionaries are not supported | write out the arguments
Set: sets are not supported | use (..) to group, [..] for a list
Starred: unpacking with * is not allowed here | write out the values
""")
"""Refused kinds of syntax by their names in `ast`: TypeAlias since 3.12, TemplateStr since 3.14."""

IN_PLACE = Refusal("changes a tensor in place, and autograd needs its old value")
PRIVATE = Refusal("is private to PyTorch or Python")
LAZY = Refusal(
    "takes its sizes from its first input", "write the sizes, such as nn.Linear(x.shape[-1], 3)"
)
SETTER = Refusal("changes PyTorch's global state", "leave it out")


def refusal(name: str) -> Refusal | None:
    """Why `name` is refused everywhere; None for a name that is only unknown."""
    if name in NAMES:
        return NAMES[name]
    if name.startswith("_"):
        return PRIVATE
    if name.endswith("_"):
        return IN_PLACE
    if name.startswith("Lazy"):
        return LAZY
    return SETTER if name.startswith("set_") else None
