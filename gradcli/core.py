"""The autograd wiring: the one place where gradcli calls PyTorch's differentiation.

Functions take tensors that autograd has recorded and return detached ones. What PyTorch refuses is
raised as a `MathError`.
"""

import math
import re
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradcli.errors import MathError

Via = Literal["grad", "backward"]
ROW_OVERHEAD = 125_000
VECTORISE_FROM = 3.75e9
"""The cost, in elements read, from which a Jacobian is vectorised, which may change the last digits.
One vjp costs as much as reading ROW_OVERHEAD elements (50 us), so this many take 1.5 s. Choosing by
the clock would make the last digits vary."""
CHUNK = 2**22
"""Elements that one vectorised step may hold, so that memory use stays near that of the result."""

_AFTER = re.compile(
    r" \(Triggered internally|\nException raised from|\(Could this error|\. This could be because"
)
_MISSING = re.compile(r"derivative for '?(?:aten::)?_?(\w+?)(_backward)?(?:: (\w+))?'? is not impl")
OTHER_DTYPE = "choose a dtype that supports it: --dtype float32"


class NoDerivativeError(MathError):
    """PyTorch has the function but no derivative of it, such as `torch.heaviside`."""


class NoForwardError(MathError):
    """PyTorch has the operation but no forward mode of it, such as `torch.cdist`."""


def no_forward(error: Exception, operation: str) -> NoForwardError | None:
    """The error of an operation without forward mode, from PyTorch's own; None for any other."""
    if not re.search("forward (?:AD|gradient)", str(error)):
        return None
    message = f"PyTorch has no forward mode of {operation}"
    return NoForwardError(message, why_entry="no-forward-mode")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a RuntimeError of PyTorch about a derivative into a MathError with a hint."""
    try:
        yield
    except RuntimeError as error:
        raise _refusal(error) from None


def message_of(error: Exception) -> str:
    """PyTorch's message without the place in its sources, its guesses and its list of backends."""
    return _AFTER.split(str(error), maxsplit=1)[0].strip()


def _refusal(error: RuntimeError) -> Exception:
    """The MathError for PyTorch's error about a derivative; an out-of-memory error is kept."""
    if isinstance(error, torch.OutOfMemoryError):
        return error
    message = message_of(error)
    if missing := _MISSING.search(message):
        name, backward, argument = missing.groups()
        what = f"{'second ' * bool(backward)}derivative of {'torch.' * hasattr(torch, name)}{name}"
        by = f" by its {argument}" if argument else ""
        entry = "no-second-derivative" if backward else "no-derivative-formula"
        hint = "differentiate by other inputs, with --wrt, or write .detach() after its operand"
        if name in ("heaviside", "floor_divide"):
            entry = "step-activation"
            hint = "use a smooth approximation, such as sigmoid for a step"
        return NoDerivativeError(f"PyTorch has no {what}{by}", why_entry=entry, hint=hint)
    if "does not require grad" in message:
        no_path = "the result does not depend on any input through differentiable operations"
        hint = "comparisons, argmax, rounding to integers and constants have no gradient"
        return MathError(no_path, hint=hint, why_entry="no-grad")
    message = f"PyTorch cannot differentiate this: {message}"
    if "Found dtype" in message:  # F.mse_loss of integers until 2.11, F.huber_loss still
        hint = "give all operands one dtype, as y.float() does for integers y"
        return MathError(message, hint=hint, why_entry="dtype-mix")
    return MathError(message, hint=OTHER_DTYPE if "not implemented for" in message else "")


def require_grad(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The same tensors, shapes and dtypes, those in `names` as detached leaves that record."""
    return {
        name: t.detach().requires_grad_() if name in names else t for name, t in tensors.items()
    }


def alias(tensor: Tensor) -> Tensor:
    """A view, in the tensor's shape, whose gradient is what passes through this one use of it."""
    if tensor.layout != torch.strided:
        return tensor.clone()
    return tensor.permute(tuple(range(tensor.ndim)))  # which passes a sparse gradient on


def gradients(
    output: Tensor,
    inputs: Mapping[str, Tensor],
    *,
    upstream: Tensor | None = None,
    via: Via = "grad",
    keep: bool = False,
) -> dict[str, Tensor | None]:
    """The gradient of `output` with respect to each input, in the input's shape and dtype.

    Without `upstream`, `output` holds one number; with it (in the shape of `output`) this is the
    vjp. `via` chooses autograd.grad or output.backward(); the numbers are the same. None means that
    the input is not on the path. `keep` keeps the graph for another call. Raises MathError if
    PyTorch cannot differentiate.
    """
    try:  # not `refusals`, for speed: every job of a batch runs this
        if upstream is not None:
            # Given to autograd itself, an upstream gradient makes it load SymPy: half a second.
            output = (output * upstream).sum()
        if via == "backward":
            for tensor in inputs.values():
                tensor.retain_grad()  # for steps on the way; a leaf keeps its gradient anyway
                tensor.grad = None
            output.backward(retain_graph=keep)  # type: ignore[no-untyped-call]
            return {name: materialize_zeros(tensor.grad) for name, tensor in inputs.items()}
        computed = _grad(output, tuple(inputs.values()), keep=keep)
    except RuntimeError as error:
        raise _refusal(error) from None
    return dict(zip(inputs, map(materialize_zeros, computed), strict=True))


def upstream_of(tensor: Tensor) -> list[Tensor]:
    """A list that holds what reaches a tensor that records, in its shape, once backward passes ran.

    Of several passes, such as those of a Jacobian's rows, it holds a sum in which they do not
    cancel: the factors are 1 plus multiples of the golden ratio modulo 1 (a Weyl sequence).
    Vectorised passes, and those of a second derivative, add nothing.
    """
    found: list[Tensor] = []
    passes = count()

    def add(gradient: Tensor | None) -> None:
        if gradient is None:  # only another output of the operation is used
            return
        batched = _batches is not None and _batches.is_batchedtensor(gradient)
        part = gradient.detach() * (1 + next(passes) * 0.618033988749895 % 1)
        found[:] = found if batched else [found[0] + part if found else part]
        if batched or torch.is_grad_enabled():  # the next passes differentiate the gradient
            hook.remove()

    hook: Any = tensor.register_hook(add)  # type: ignore[no-untyped-call]
    return found


def materialize_zeros(gradient: Tensor | None) -> Tensor | None:
    """The gradient, its zeros in memory: PyTorch may crash on reading the zero tensor of sgn."""
    return gradient.clone() if gradient is not None and gradient._is_zerotensor() else gradient


_engine: Any = getattr(torch.autograd.Variable, "_execution_engine", None)


def _grad(output: Tensor, inputs: tuple[Tensor, ...], *, keep: bool) -> tuple[Tensor | None, ...]:
    """`torch.autograd.grad` of one number.

    For a small job a third of its time goes into Python checks of what is known here, so the engine
    below it is called directly with the same arguments, but only if there is nothing to refuse.
    """
    if _engine is None or not (
        inputs and output.requires_grad and output.numel() == 1 and output.is_floating_point()
    ):
        return torch.autograd.grad(output, inputs, retain_graph=keep, allow_unused=True)
    upstream = (torch.ones_like(output),)
    arguments = ((output,), upstream, keep, False, inputs, True)
    computed: tuple[Tensor | None, ...] = _engine.run_backward(*arguments, accumulate_grad=False)
    return computed


def slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and dy_i/dx_i of an elementwise function at x, both in the shape of x."""
    x = x.detach().requires_grad_()
    y = function(x)
    slope = gradients(y.sum(), {"x": x})["x"]
    return y.detach(), torch.zeros_like(x) if slope is None else slope


def diagonal_slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and dy_i/dx_i, in the shape of x, of a function that mixes its last dimension.

    One vjp for each place along that dimension.
    """
    if not x.ndim:
        return slopes(function, x)
    x = x.detach().requires_grad_()
    y = function(x)
    diagonal = torch.zeros_like(x)
    for i in range(x.shape[-1]):
        slope = gradients(y[..., i].sum(), {"x": x}, keep=True)["x"]
        if slope is not None:
            diagonal[..., i] = slope[..., i]
    return y.detach(), diagonal


def jacobian(
    output: Tensor, inputs: Mapping[str, Tensor], touched: int
) -> dict[str, Tensor | None]:
    """d output / d input for each input, of shape output.shape + input.shape.

    Computed by one vjp per output or, if these would take long, by all of them vectorised.
    `touched` is the number of elements that one vjp reads, from which the cost is estimated. None
    means that the input is not on the path.
    """
    cost = output.numel() * (ROW_OVERHEAD + touched)
    if cost <= VECTORISE_FROM or _engine is None or _batches is None:
        return jacobian_rows(output, inputs)
    slopes = gradients(output.sum(), inputs, keep=True)
    on_path = {name: inputs[name] for name, slope in slopes.items() if slope is not None}
    try:
        blocks = _jacobian_vectorised(output, on_path)
    except RuntimeError:  # PyTorch cannot vectorise, for instance, sparse tensors
        return jacobian_rows(output, inputs)
    return {name: blocks.get(name) for name in inputs}


_batches: Any = getattr(torch._C, "_functorch", None)


def _jacobian_vectorised(output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same as torch.vmap computes it, a bounded number of rows at a time, written into the
    result.

    The first call of torch.vmap loads SymPy and PyTorch's compiler: more than a second. So the
    functions below it are called, with the same arguments. Whether PyTorch has to loop over the
    rows of an operation, which it warns of, is not the user's concern.
    """
    rows = output.numel()
    blocks = {name: tensor.new_empty(rows, *tensor.shape) for name, tensor in inputs.items()}
    size = max(1, CHUNK // (rows + sum(tensor.numel() for tensor in inputs.values())))
    for start in range(0, rows, size):
        count = min(size, rows - start)
        upstream = output.new_zeros(count, rows)
        upstream[torch.arange(count), torch.arange(start, start + count)] = 1
        level = _batches._vmap_increment_nesting(count, "error")
        try:
            batch = _batches._add_batch_dim(upstream.view(count, *output.shape), 0, level)
            arguments = ((output,), (batch,), True, False, tuple(inputs.values()), True)
            with warnings.catch_warnings(action="ignore"):
                parts = _engine.run_backward(*arguments, accumulate_grad=False)
            for block, part in zip(blocks.values(), parts, strict=True):
                block[start : start + count] = _batches._remove_batch_dim(part, level, count, 0)
        finally:
            _batches._vmap_decrement_nesting()
    return {name: block.view(output.shape + inputs[name].shape) for name, block in blocks.items()}


def jacobian_rows(output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """d output / d input, of shape output.shape + input.shape or None, by a vjp per output."""
    rows: dict[str, Tensor | None] = dict.fromkeys(inputs)
    flat = output.reshape(-1)
    for i in range(max(1, output.numel())):  # without outputs too: it tells which are on the path
        for name, row in gradients(flat[i : i + 1].sum(), inputs, keep=True).items():
            if row is None:
                continue
            block = rows[name]
            if block is None:
                block = rows[name] = row.new_zeros(output.numel(), *row.shape)
            block[i : i + 1] = row
    return {
        name: None if block is None else block.view(output.shape + inputs[name].shape)
        for name, block in rows.items()
    }


class ForwardMode(NamedTuple):
    """Forward mode while its level lasts: `make` gives a tensor a tangent in its shape and dtype, and
    `unpack` returns a tensor and its tangent, None if it has none (R. Wengert, "A simple automatic
    derivative evaluation program", Communications of the ACM 7, 1964).
    """

    make: Callable[[Tensor, Tensor], Tensor]
    unpack: Callable[[Tensor], tuple[Tensor, Tensor | None]]

    def dual(self, tensor: Tensor, tangent: Tensor) -> Tensor:
        """It records too, or PyTorch may read a 0-d one as a number: `y` in `clamp(x, 0, y)`."""
        recorded = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        return self.make(recorded, tangent)

    def duals(
        self, inputs: Mapping[str, Tensor], tangents: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The inputs, of any shape, those in `tangents` as dual numbers."""
        return {n: self.dual(t, tangents[n]) if n in tangents else t for n, t in inputs.items()}

    def tangent(self, value: Tensor) -> Tensor:
        """The tangent of what was computed of dual numbers, in its shape, detached; zeros if it has none."""
        found = materialize_zeros(self.unpack(value)[1])
        return torch.zeros_like(value.detach()) if found is None else found.detach()


@contextmanager
def forward_mode() -> Iterator[ForwardMode]:
    """A level of torch.autograd.forward_ad.

    Its own functions load PyTorch's compiler and SymPy, which takes a second, for formulas that only
    the derivative of a backward pass needs. So the C++ functions below them are called, if they
    exist, with the same arguments.
    """
    enter, leave, make, unpack = _DUAL
    with _without_fused_attention():
        if None in _DUAL:
            with forward_ad.dual_level():
                with warnings.catch_warnings(action="ignore"):  # of what the first call loads
                    forward_ad.make_dual(torch.zeros(()), torch.zeros(()))  # type: ignore[no-untyped-call]
                yield ForwardMode(forward_ad.make_dual, forward_ad.unpack_dual)
            return
        level = enter()
        try:
            yield ForwardMode(partial(make, level=level), partial(unpack, level=level))
        finally:
            leave(level=level)


@contextmanager
def _without_fused_attention() -> Iterator[None]:
    """Compute scaled_dot_product_attention by its definition: the fused kernels have no forward mode.

    torch.nn.attention.sdpa_kernel does the same, but it is in a deferred module, whose first use
    takes a second.
    """
    cuda: Any = torch.backends.cuda  # without types
    kernels = {
        cuda.enable_flash_sdp: cuda.flash_sdp_enabled(),
        cuda.enable_mem_efficient_sdp: cuda.mem_efficient_sdp_enabled(),
        cuda.enable_cudnn_sdp: cuda.cudnn_sdp_enabled(),
    }
    try:
        for enable in kernels:
            enable(False)
        yield
    finally:
        for enable, enabled in kernels.items():
            enable(enabled)


_DUAL: tuple[Any, ...] = (
    getattr(torch._C, "_enter_dual_level", None),
    getattr(torch._C, "_exit_dual_level", None),
    getattr(torch._VF, "_make_dual", None),
    getattr(torch._VF, "_unpack_dual", None),
)


def hessian(
    output: Tensor, inputs: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Gradient and Hessian of one number: hessian[a][b] has shape a.shape + b.shape; 0 off path."""
    slopes = _recorded_gradient(output, inputs)
    blocks: dict[str, dict[str, Tensor]] = {}
    for a, slope in slopes.items():
        blocks[a] = {b: slope.new_zeros(slope.shape + t.shape) for b, t in inputs.items()}
        if slope.requires_grad:
            rows = jacobian_rows(slope, inputs)
            blocks[a] |= {b: block.detach() for b, block in rows.items() if block is not None}
    return {name: slope.detach().clone() for name, slope in slopes.items()}, blocks


def hessian_product(
    output: Tensor, inputs: Mapping[str, Tensor], directions: Mapping[str, Tensor] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """The gradient of one number by each input; and that of the gradient's product with `directions`,
    which is the Hessian's product with them, without the Hessian (B. Pearlmutter, "Fast exact
    multiplication by the Hessian", Neural Computation 6, 1994; here by two backward passes).

    All have the shapes of the inputs. A direction left out is 0, a gradient off the path is 0, and
    its derivative None: so are all without directions.
    """
    slopes = _recorded_gradient(output, inputs)
    products: dict[str, Tensor | None] = dict.fromkeys(inputs)
    chosen = [name for name in directions or () if slopes[name].requires_grad]
    if directions is not None and chosen:
        with refusals():
            along = torch.cat([directions[name].reshape(-1) for name in chosen])
            flat = torch.cat([slopes[name].reshape(-1) for name in chosen])
        products = gradients(flat, inputs, upstream=along)
    return {name: slope.detach().clone() for name, slope in slopes.items()}, products


def _recorded_gradient(output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of one number by each input, recorded to be differentiated again; 0 off path."""
    leaves = tuple(inputs.values())
    with refusals():
        computed = torch.autograd.grad(output, leaves, create_graph=True, materialize_grads=True)
    return dict(zip(inputs, computed, strict=True))


def recording(function: Any) -> list[Any]:
    """A list that holds what the backward of an autograd.Function returned last: PyTorch keeps
    nothing of what it refuses, so the class is given a backward that records it.
    """
    returned: list[Any] = []
    own = function.backward

    def backward(ctx: Any, *upstream: Any) -> Any:
        gradients = own(ctx, *upstream)
        returned[:] = gradients if isinstance(gradients, tuple) else (gradients,)
        return gradients

    function.backward = staticmethod(backward)
    return returned


def walk(
    roots: Iterable[Any], most: float = math.inf, ends: Collection[str] = ()
) -> Iterator[tuple[Any, Any]]:
    """The nodes of PyTorch's graph from `roots` on, breadth first, at most `most`; each with the node
    that uses it, None for a root. Roots that are None are left out, and so is what only nodes with
    the names `ends` use.
    """
    seen: set[Any] = set()
    waiting = deque((root, None) for root in roots if root is not None)
    while waiting and len(seen) < most:
        node, user = waiting.popleft()
        if node in seen:
            continue
        seen.add(node)
        yield node, user
        if node.name() not in ends:
            waiting.extend((other, node) for other, _ in node.next_functions if other is not None)


def reached(output: Tensor, inputs: Mapping[str, Tensor]) -> set[str]:
    """The inputs, leaves of any shape that record, to which PyTorch's graph leads from `output`."""
    leaves = {id(leaf_of(node)) for node, _ in walk([output.grad_fn])}
    return {name for name, leaf in inputs.items() if leaf is output or id(leaf) in leaves}


def leaf_of(node: Any) -> Tensor | None:
    """The leaf whose gradient a node of PyTorch's graph accumulates; None for any other node."""
    return getattr(node, "variable", None)


def check_recorded(output: Tensor) -> None:
    """Raise the MathError of a result, any shape, that no differentiable operation leads to."""
    if not output.requires_grad:
        raise _refusal(RuntimeError("does not require grad"))


def graph(output: Tensor, upstream: Tensor | None) -> dict[Any, tuple[Tensor | None, ...]]:
    """The nodes of the graph that PyTorch recorded for `output`, each with the gradients that reached
    it in one backward pass: one for each output of its operation, in its shape, None where none did.

    The node of `output` comes first. `upstream` has the shape of `output`, as in `gradients`;
    without it, ones. The graph is freed.
    """
    check_recorded(output)
    upstream = torch.ones_like(output, requires_grad=False) if upstream is None else upstream
    root: Any = output.grad_fn or alias(output).grad_fn.next_functions[0][0]  # type: ignore[union-attr]
    reached: dict[Any, tuple[Tensor | None, ...]] = {node: () for node, _ in walk([root])}
    hooks = [node.register_prehook(partial(reached.__setitem__, node)) for node in reached]
    leaves = (leaf for leaf in map(leaf_of, reached) if leaf is not None)
    inputs = {str(number): leaf for number, leaf in enumerate(leaves)}
    gradients(output, inputs, upstream=upstream, via="backward")
    for hook in hooks:
        hook.remove()
    return reached


class AroundBackward(Protocol):
    """Runs a backward pass from `roots`, by calling `run`; `inputs` is empty and `fills` true if it
    fills the grad of every leaf.
    """

    def __call__(
        self, run: Callable[[], Any], roots: Sequence[Any], inputs: Sequence[Any], *, fills: bool
    ) -> Any:
        """What `run` returns."""


@contextmanager
def backward_passes(around: AroundBackward) -> Iterator[None]:
    """Run every backward pass of this process through `around`, whoever begins it: a program that
    is watched calls backward and grad as it likes.
    """
    autograd: Any = torch.autograd
    engine = autograd._engine_run_backward

    def run_backward(roots: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        inputs = args[3] if len(args) > 3 else ()
        fills = bool(kwargs.get("accumulate_grad", False))
        return around(lambda: engine(roots, *args, **kwargs), roots, inputs, fills=fills)

    autograd._engine_run_backward = run_backward
    try:
        yield
    finally:
        autograd._engine_run_backward = engine
