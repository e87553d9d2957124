"""What autograd recorded for each subject of a result: the operations with their values, gradients,
and names of the user's.
"""

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
    """One operation, or an input where `pytorch`, PyTorch's name for it, is empty.

    `value` is None where it is not known: in the middle of what PyTorch put together itself.
    `gradients` are those that reached it, one for each output, None where none did.
    """

    title: str
    pytorch: str
    value: Tensor | None
    gradients: tuple[Tensor | None, ...]
    operands: list["GraphNode"]


@dataclass(frozen=True)
class Picture:
    """The graph of one subject, called `name` where there are several: its nodes, that of the
    result first.
    """

    name: str
    nodes: list[GraphNode]


def pictures(result: Result) -> list[Picture]:
    """The graph of each thing that was differentiated.

    Raises UsageError where there is none, and SizeError where one has too many nodes.
    """
    if not result.subjects:
        raise UsageError(
            "--graph: this result has no graph, or one for each point",
            hint="draw that of one gradient: gradcli grad EXPR NAME=T --graph tree, without --each, --train or flow",
        )
    with once_more(DTYPES[result.dtype]):
        return [_picture(subject) for subject in result.subjects]


def _picture(subject: Subject) -> Picture:
    live = core.require_grad(subject.inputs, subject.by)
    done = Trace(program_of(subject), live, subject.state, lambda step, operands: None)
    made = (tensor for one in done.operations for tensor in one.results)
    values = {tensor.grad_fn: tensor for tensor in made if tensor.grad_fn is not None}
    recorded = core.graph(done.value, subject.upstream)
    GRAPH_NODES.check(
        len(recorded), "--graph: the graph is too large", hint="draw part of the expression"
    )
    names = {id(tensor): name for name, tensor in (*done.steps.items(), *live.items())}
    nodes = {}
    for node in recorded:
        value = values.get(node.function) if node.leaf is None else node.leaf
        name = names.get(id(value), "")
        if node.leaf is None:
            name = f"{name and name + ' = '}{re.sub(r'Backward[0-9]*$', '', node.name)}"
        nodes[node] = GraphNode(
            name, "" if node.leaf is not None else node.name, value, node.gradients, []
        )
    for node, drawn in nodes.items():
        drawn.operands = [nodes[operand] for operand in node.operands]
    return Picture(subject.name, list(nodes.values()))
