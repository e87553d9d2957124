"""A scheduler that steps before its optimizer."""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradcli.watch.detector import Detector
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.record import parameters_of


@dataclass(slots=True, eq=False)
class _Order:
    """The steps of one optimizer and of its schedulers."""

    ref: weakref.ref[Optimizer]
    stepped: Place | None = None
    """Where the optimizer's first step was."""
    early: Place | None = None
    """Where a scheduler stepped before that."""
    sure: bool = False
    """Whether that was a part of training, not the schedule wound forward to go on with it."""


class Schedules(Detector):
    """Compares the first step of each optimizer with those of its schedulers."""

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._orders: dict[int, _Order] = {}

    def _order(self, optimizer: Optimizer) -> _Order:
        order = self._orders.get(id(optimizer))
        if order is None or order.ref() is not optimizer:
            order = self._orders[id(optimizer)] = _Order(weakref.ref(optimizer))
        return order

    def scheduled(self, scheduler: LRScheduler, place: Place | None) -> None:
        """See whether the optimizer has stepped. Its step may rightly be left out where a gradient
        is not finite.
        """
        optimizer = scheduler.optimizer
        order = self._order(optimizer)
        if order.stepped is not None:
            order.sure = order.sure or place is order.early
        elif order.early is None and place is not None:
            grads = [each.grad for each in parameters_of(optimizer) if each.grad is not None]
            if all(bool(grad.isfinite().all()) for grad in grads):
                order.early = place
                order.sure = bool(grads)

    def stepping(self, optimizer: Optimizer, place: Place | None) -> None:
        """Remember the first step."""
        order = self._order(optimizer)
        order.stepped = order.stepped or place

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The schedulers that were early."""
        for order in self._orders.values():
            if order.early and order.stepped and order.sure:
                also = (Also(order.stepped, "the optimizer's first step"),)
                text = (
                    "the scheduler steps before the optimizer's first step, so the first learning "
                    "rate of the schedule is never used"
                )
                yield Finding("scheduler-order", order.early, text, also)
