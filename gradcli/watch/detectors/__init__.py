"""The detectors of silent faults, the most telling first."""

from gradcli.watch.detector import Detector
from gradcli.watch.detectors.losses import Losses
from gradcli.watch.detectors.numbers import Numbers
from gradcli.watch.detectors.updates import Updates

DETECTORS: tuple[type[Detector], ...] = (Losses, Numbers, Updates)
