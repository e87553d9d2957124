"""Expressions that compute each number of their value from the numbers at the same place alone: one
run of such an expression computes it at many points.
"""

from gradcli.catalogue.activations import ACTIVATIONS
from gradcli.catalogue.derivative_rules import ELEMENTWISE, FORMULAS, SYNONYMS
from gradcli.catalogue.operators import RANDOM
from gradcli.language.expressions.program import Expression, Step, once

FUNCTIONS = (
    {*FORMULAS, *ELEMENTWISE, *(entry.name for entry in ACTIVATIONS if not entry.mixes)}
    - {"fill"}  # which takes its number from a tensor of no dimensions
    - RANDOM
)
"""Elementwise functions and operators that draw no random numbers."""


@once
def pointwise(program: Expression) -> bool:
    """Whether all steps are known to be elementwise, if the inputs are of one shape and dtype or 0-d."""
    return all(map(_elementwise, program.steps))


def _elementwise(step: Step) -> bool:
    match step.kind:
        case "constant" | "load" | "store" | "drop":
            return True
        case "compare":
            return step.take == 2 and not step.name.endswith("in")
        case "operator" | "call" | "method":
            name = step.name.rpartition(".")[2]
            return SYNONYMS.get(name, name) in FUNCTIONS and (name != "where" or step.take == 3)
    return False
