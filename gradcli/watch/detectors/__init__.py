"""The detectors of silent faults."""

from gradcli.watch.detector import Detector

DETECTORS: tuple[type[Detector], ...] = ()
