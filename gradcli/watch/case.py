"""One error that ended a program, and what is known about it."""

import re
import traceback
from dataclasses import dataclass
from types import FrameType

from torch import Tensor, nn

from gradcli.language import matching
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.operands import Operand, described
from gradcli.watch.record import Made, Record
from gradcli.watch.watcher import Failure, Watcher


@dataclass
class Case:
    """One error, and what is known about it."""

    watcher: Watcher
    error: BaseException
    place: Place
    """The line that raised the error."""
    failure: Failure | None

    @property
    def record(self) -> Record:
        """What is remembered of the program."""
        return self.watcher.record

    @property
    def message(self) -> str:
        """What the error says."""
        return str(self.error)

    @property
    def frames(self) -> list[FrameType]:
        """The frames that the error passed, the one that raised it last."""
        return [frame for frame, _ in traceback.walk_tb(self.error.__traceback__)]

    @property
    def modules(self) -> list[nn.Module]:
        """The modules that a variable of the user's holds where the error was raised."""
        found = {}
        for frame in self.frames:
            if self.watcher.places.users(frame.f_code.co_filename):
                for value in (*frame.f_globals.values(), *frame.f_locals.values()):
                    if isinstance(value, nn.Module):
                        found[id(value)] = value
        return list(found.values())

    @property
    def operands(self) -> list[Operand]:
        """The tensors that the function which failed was given. Where PyTorch's own Python raised the
        error, those are its variables, and the first parameter of its module.
        """
        if self.failure:
            return self.failure.operands
        frame = self.frames[-1]
        if "torch" not in frame.f_globals.get("__name__", "").split("."):
            return []
        values = list(frame.f_locals.values())
        given = [value for value in values if isinstance(value, Tensor)]
        for module in values:
            if isinstance(module, nn.Module):
                given += list(module.parameters(recurse=False))[:1]
        return described(given, self.watcher.origin, frame, self.watcher.places)

    @property
    def made(self) -> Made | None:
        """How the first of these was made; None if that was not seen."""
        return self.operands[0].made if self.operands else None

    def finding(self, entry: str, place: Place | None, text: str, *also: Also) -> Finding:
        """A finding at `place`, or at the line that raised the error if that was not seen. The line
        that raised it is always among the lines.
        """
        place = place or self.place
        lines: dict[tuple[str, int], Also] = {}
        for each in (*also, Also(self.place, "the error is raised here")):
            if each.place.address != place.address:
                lines.setdefault(each.place.address, each)
        return Finding(entry, place, text, tuple(lines.values()))

    @property
    def short(self) -> str:
        """The first line of the message, cut after 40 characters or more at the end of a sentence where
        it is long.
        """
        line = self.message.strip().split("\n")[0]
        if len(line) > 120 and (sentence := re.match(r".{40,}?[a-z)\]](?=[.:;] )", line)):
            line = sentence[0]
        return line if len(line) <= 240 else f"{line[:237]}..."

    def entry(self, *choices: str) -> str | None:
        """The entry that explains the error, the first of `choices` if any of them does."""
        lines = traceback.format_exception(self.error, chain=False)
        names = [mistake.name for mistake in matching.by_text("".join(lines)[-20_000:])]
        return next((name for name in choices if name in names), names[0] if names else None)
