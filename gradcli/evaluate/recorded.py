"""The graphs that autograd recorded: operations with their values, gradients and names."""

import re
from dataclasses import dataclass

from torch import Tensor

from gradcli import core
from gradcli.errors import UsageError
from gradcli.evaluate.job import DTYPES, once_more
from gradcli.evaluate.trace import Trace, program_of
from gradcli.language.limits import GRAPH_NODES
from gradcli.results import Result, Subject


@dataclass(eq=False)
class GraphNode:
    """One operation, or an input if `pytorch`, PyTorch's name for it, is empty.

    `value` is None if it is unknown, in the middle of what PyTorch composed itself. `gradients` are
    those that reached the node, one for each output, in its shape, None where none did.
    """

    title: str
    pytorch: str
    value: Tensor | None
    gradients: tuple[Tensor | None, ...]
    operands: list["GraphNode"]


@dataclass(frozen=True)
class Picture:
    """The graph of one subject, named if there are several; the node of the result comes first."""

    name: str
    nodes: list[GraphNode]


def pictures(result: Result) -> list[Picture]:
    """The graph of each subject. Raises UsageError without one, SizeError for a large one."""
    subjects = [subject for subject in result.subjects if subject.kind != "jvp"]
    if not subjects:
        message = "--graph: this result has no graph, or one for each point"
        hint = "draw that of one gradient: gradcli grad EXPR NAME=T --graph tree, without --each, --train or flow"
        raise UsageError(message, hint=hint)
    with once_more(DTYPES[result.dtype]):
        return [_picture(subject) for subject in subjects]


def _picture(subject: Subject) -> Picture:
    live = core.require_grad(subject.inputs, subject.by)
    trace = Trace(program_of(subject), live, subject.state)
    results = (tensor for op in trace.operations for tensor in op.results)
    values = {tensor.grad_fn: tensor for tensor in results if tensor.grad_fn is not None}
    recorded = core.graph(trace.value, subject.upstream)
    hint = "draw part of the expression"
    GRAPH_NODES.check(len(recorded), "--graph: the graph is too large", hint=hint)
    names = {id(tensor): name for name, tensor in (*trace.steps.items(), *live.items())}
    nodes = {}
    for node, gradients in recorded.items():
        leaf, pytorch = core.leaf_of(node), ""
        value = values.get(node) if leaf is None else leaf
        title = names.get(id(value), "")
        if leaf is None:
            pytorch = node.name()
            title = f"{title and title + ' = '}{re.sub(r'Backward[0-9]*$', '', pytorch)}"
        nodes[node] = GraphNode(title, pytorch, value, gradients, [])
    for node, drawn in nodes.items():
        drawn.operands = [nodes[used] for used, _ in node.next_functions if used is not None]
    return Picture(subject.name, list(nodes.values()))
