"""`--check` of results with many points: `--each`, the curves of `plot`, the layers of `flow`."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradcli.evaluate.job import Job
from gradcli.evidence.check.compare import SCALED, compare, scaled
from gradcli.evidence.check.probes import evenly, probe
from gradcli.results import Checked, Points, Result

_NONE = torch.empty(0, dtype=torch.float64)


def check_points(result: Result, points: Points, job: Job) -> dict[str, Checked]:
    """The check of evenly spaced points, by the name of the input or of the number they give."""
    by_name: dict[str, list[Checked]] = {points.name: []} if points.size else {}
    room = probe(points.at(0), job).affordable if points.total else 0
    for i in evenly(points.total, room):
        subject = points.at(i)
        prober = probe(subject, job)
        for name in subject.by:
            if (checked := compare(result, subject, name, prober)) is None:
                continue
            places = [points.label(i, name, place) for place in checked.places]
            checked = replace(checked, places=places)
            key = f"{points.name}.{name}".removeprefix(".")
            if points.size:
                key, checked = points.name, scaled(checked, points.size(i))
            by_name.setdefault(key, []).append(checked)
    return {name: _joined(checks, points) for name, checks in by_name.items()}


def _joined(checks: Sequence[Checked], points: Points) -> Checked:
    """The verdicts on several points as those on one input."""

    def joined(name: str) -> Tensor:
        return torch.cat([_NONE, *(getattr(check, name) for check in checks)])

    remarks = dict.fromkeys(remark for check in checks for remark in check.remarks)
    if len(checks) < points.total:
        remarks[f"{len(checks)} of {points.total} {points.what}, evenly spaced"] = None
    closed = checks and all(check.closed is not None for check in checks)
    return Checked(
        max((check.max_abs_error for check in checks), default=0.0),
        max((check.max_rel_error for check in checks), default=0.0),
        all(check.ok for check in checks),
        verdicts=[verdict for check in checks for verdict in check.verdicts],
        places=[place for check in checks for place in check.places],
        remarks=[*remarks, *points.remarks], closed=joined("closed") if closed else None,
        **{name: joined(name) for name in (*SCALED, "relative")},
    )  # fmt: skip
