"""A program, run and watched from its first line to its last, and everything that was found."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gradcli.watch.detectors import DETECTORS
from gradcli.watch.diagnosis import Diagnosis
from gradcli.watch.finding import Finding
from gradcli.watch.run_program import Outcome, run_program
from gradcli.watch.user_lines import Places
from gradcli.watch.watcher import Watcher


@dataclass(frozen=True)
class Examination:
    """How a program ended, and the findings, the most telling first."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    watched: str
    """How much was watched, in words."""


def examine(file: str, arguments: Sequence[str] = ()) -> Examination:
    """Run a program in this process as `python FILE ARGUMENTS` would, and look for its faults.

    What caused an error comes first; faults that did not end the program follow.
    """
    watcher = Watcher(Places(os.path.abspath(file)), DETECTORS)
    diagnosis = Diagnosis(watcher)
    outcome = run_program(file, arguments, watcher.watching())
    findings: dict[tuple[str, str, int], Finding] = {}
    error = outcome.error or outcome.exit
    found = [finding for detector in watcher.detectors for finding in detector.ended(error)]
    cause = diagnosis.of(error) if error else None
    if cause is None and outcome.error is None:
        cause = diagnosis.caught(outcome.status)
    first = [cause] if cause else []
    if cause and cause.entry == "grad-none":  # which a flag that was set too late explains
        first = [finding for finding in found if finding.entry == "late-flag"] + first
    for finding in first + found:
        findings.setdefault((finding.entry, *finding.place.address), finding)
    return Examination(outcome, tuple(findings.values()), watcher.record.summary)
