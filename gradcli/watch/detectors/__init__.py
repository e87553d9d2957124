"""The detectors of silent faults, the most telling first."""

from gradcli.watch.detector import Detector
from gradcli.watch.detectors.loss_calls import Losses
from gradcli.watch.detectors.moves import Updates
from gradcli.watch.detectors.values import Numbers

DETECTORS: tuple[type[Detector], ...] = (Losses, Numbers, Updates)
