"""The detectors of silent faults, the most telling first."""

from gradcli.watch.detector import Detector
from gradcli.watch.detectors.flags import Flags
from gradcli.watch.detectors.kept_graphs import KeptGraphs
from gradcli.watch.detectors.loss_calls import Losses, MovingTargets
from gradcli.watch.detectors.lost_numbers import LostNumbers
from gradcli.watch.detectors.moves import Updates
from gradcli.watch.detectors.samples import Samples
from gradcli.watch.detectors.schedules import Schedules
from gradcli.watch.detectors.step_functions import StepFunctions
from gradcli.watch.detectors.values import Numbers

DETECTORS: tuple[type[Detector], ...] = (
    Losses, Numbers, Updates, Flags, Samples, LostNumbers, StepFunctions, MovingTargets, Schedules, KeptGraphs,
)  # fmt: skip
