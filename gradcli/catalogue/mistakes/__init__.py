"""The mistakes that `gradcli why` knows: by family, by name, and by the other names they go by."""

from collections.abc import Mapping

from gradcli.catalogue.mistakes.backward_calls import START, TWICE
from gradcli.catalogue.mistakes.entry import Mistake
from gradcli.catalogue.mistakes.in_place import IN_PLACE
from gradcli.catalogue.mistakes.leaving import LEAVING
from gradcli.catalogue.mistakes.missing import MISSING
from gradcli.catalogue.mistakes.modules import MODULES
from gradcli.catalogue.mistakes.own_functions import OWN_FUNCTIONS
from gradcli.catalogue.mistakes.shapes import FUNC, SHAPES
from gradcli.catalogue.mistakes.silent import SILENT
from gradcli.catalogue.mistakes.sizes import SIZES
from gradcli.catalogue.mistakes.tools import TOOLS
from gradcli.catalogue.mistakes.updates import UPDATES
from gradcli.catalogue.mistakes.wrong_losses import LOSSES
from gradcli.catalogue.mistakes.wrong_numbers import NUMBERS

FAMILIES: Mapping[str, tuple[Mistake, ...]] = {
    "no gradient": (*MISSING, *LEAVING),
    "starting backward": START,
    "backward again": TWICE,
    "changed in place": IN_PLACE,
    "training loop": UPDATES,
    "numbers": NUMBERS,
    "losses": LOSSES,
    "losses and gradients in training": SILENT,
    "shapes and types": SHAPES,
    "sizes and indices": SIZES,
    "modules": MODULES,
    "own functions, hooks and copies": OWN_FUNCTIONS,
    "tools around the loop": TOOLS,
    "torch.func": FUNC,
}
"""The order within a family, and of the families, is that of how often a mistake is met: of several
that PyTorch says the same about, the first is the commonest."""

MISTAKES: Mapping[str, Mistake] = {
    mistake.name: mistake for family in FAMILIES.values() for mistake in family
}

ALIASES: Mapping[str, str] = {
    "amp": "scaler-half",
    "argmax": "not-differentiable",
    "checkpoint": "checkpoint-changed",
    "comparison": "not-differentiable",
    "complex-step": "complex-loss",
    "ddp": "ddp-unused",
    "deepcopy": "copied-result",
    "diagonal": "jacobian-shape",
    "direction": "vjp-shape",
    "dropout": "eval-forgotten",
    "exploding-gradient": "exploding",
    "gradient-accumulation": "micro-batches",
    "integer-input": "int-dtype",
    "memory": "graph-kept",
    "module-list": "plain-list",
    "nan": "not-a-number",
    "no-derivative": "step-activation",
    "rebound": "non-leaf-grad",
    "requires-grad": "no-grad",
    "retain-graph": "backward-twice",
    "rsample": "sampled",
    "saturated": "saturation",
    "these-sizes": "fixed-size",
    "upstream": "vjp-shape",
    "vanishing": "saturation",
    "zero-grad": "accumulate",
}
"""Other names, those of notes among them, and the mistakes that they mean."""


def family_of(mistake: Mistake) -> str:
    """The family that a mistake belongs to."""
    return next(family for family, members in FAMILIES.items() if mistake in members)
