"""One error that ended a program, and what is known about it."""

import re
import traceback

from torch import Tensor, nn

from gradcli.language import matching
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.operands import Operand, described
from gradcli.watch.record import Made
from gradcli.watch.watcher import Failure, Watcher


class Case:
    """One error, and what is known about it."""

    def __init__(
        self,
        watcher: Watcher,
        error: BaseException,
        message: str,
        raised: list[Place],
        failure: Failure | None,
    ) -> None:
        self.watcher = watcher
        self.record = watcher.record
        self.error = error
        self.message = message
        self.failure = failure
        self.place = failure.place if failure and failure.place else raised[-1]
        """The line that raised the error."""

    @property
    def modules(self) -> list[nn.Module]:
        """The modules that a variable of the user's holds where the error was raised."""
        entry = self.error.__traceback__
        found = {}
        while entry is not None:
            frame = entry.tb_frame
            if self.watcher.places.users(frame.f_code.co_filename):
                for value in (*frame.f_globals.values(), *frame.f_locals.values()):
                    if isinstance(value, nn.Module):
                        found[id(value)] = value
            entry = entry.tb_next
        return list(found.values())

    @property
    def operands(self) -> list[Operand]:
        """The tensors that the function which failed was given. Where PyTorch's own Python raised the
        error, those are its variables, and the first parameter of its module.
        """
        if self.failure:
            return self.failure.operands
        entry = self.error.__traceback__
        while entry is not None and entry.tb_next is not None:
            entry = entry.tb_next
        if entry is None or "torch" not in entry.tb_frame.f_globals.get("__name__", "").split("."):
            return []
        values = list(entry.tb_frame.f_locals.values())
        given = [value for value in values if isinstance(value, Tensor)]
        for module in values:
            if isinstance(module, nn.Module):
                given += list(module.parameters(recurse=False))[:1]
        places = self.watcher.places
        return described(given, self.watcher.origin, entry.tb_frame, places)

    def finding(self, entry: str, place: Place | None, text: str, *also: Also | None) -> Finding:
        """A finding at `place`, or at the line that raised the error if that was not seen. The line
        that raised it is always among the lines.
        """
        place = place or self.place
        lines = {each.place.address: each for each in reversed(also) if each}
        others = [each for address, each in reversed(lines.items()) if address != place.address]
        if self.place.address not in {place.address, *(each.place.address for each in others)}:
            others.append(Also(self.place, "the error is raised here"))
        return Finding(entry, place, text, tuple(others))

    @property
    def short(self) -> str:
        """The first sentence of the message."""
        return sentence(self.message)

    def entry(self, *choices: str) -> str | None:
        """The entry that explains the message, the first of `choices` if any of them does."""
        names = entries(self.error)
        return next((name for name in choices if name in names), names[0] if names else None)


def also_at(place: Place | None, text: str) -> Also | None:
    """A line that belongs to a finding; None if it was not seen."""
    return Also(place, text) if place else None


def sentence(message: str) -> str:
    """The first line of a message, cut at its first sentence where it is long."""
    line = message.strip().split("\n")[0]
    if len(line) > 120:
        line = re.split(r"(?<=[a-z)\]])[.:;] ", line)[0]
    return line if len(line) <= 240 else f"{line[:237]}..."


def entries(error: BaseException) -> list[str]:
    """The entries that explain an error, the first is the most likely."""
    lines = traceback.format_exception(error)
    return [mistake.name for mistake in matching.by_text("".join(lines)[-20_000:])]


def entry_of(error: BaseException) -> str | None:
    """The entry that explains an error; None if there is none."""
    return next(iter(entries(error)), None)


def tick(made: Made | None) -> int:
    """When a tensor was made; 0 if that was not seen."""
    return made.tick if made else 0
