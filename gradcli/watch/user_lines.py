"""The user's own files: which line of them a running frame belongs to, and their syntax trees."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from types import CodeType, FrameType, TracebackType
from typing import TypeVar

import torch

from gradcli.watch.finding import Place

Node = TypeVar("Node", bound=ast.AST)

_INSTALLED = ("site-packages", "dist-packages")
_LIBRARIES = tuple(
    os.path.dirname(path) + os.sep
    for path in (os.__file__, torch.__file__, os.path.dirname(__file__))  # lib, torch, gradcli
)
"""The folders of Python, PyTorch and gradcli."""


class Places:
    """The places of a program: its own file, and the modules in its folder that are not installed
    packages. Each instruction has one Place.
    """

    def __init__(self, program: str) -> None:
        """`program` is the absolute path of its file."""
        folders = {os.path.dirname(program), os.path.dirname(os.path.realpath(program))}
        self._folders = tuple(os.path.join(folder, "") for folder in folders)
        self._files: dict[str, bool] = {program: True}
        self._known: dict[tuple[int, int], Place] = {}

    def nodes(self, *kinds: type[Node]) -> Iterator[tuple[str, Node]]:
        """The nodes of these kinds in the syntax trees of the user's files, in order, with the file."""
        for file in [file for file, own in self._files.items() if own]:
            for node in ast.walk(syntax_tree(file)):
                if isinstance(node, kinds):
                    yield file, node

    def users(self, file: str) -> bool:
        """Whether a file is the user's own."""
        known = self._files.get(file)
        if known is None:
            known = file.startswith(self._folders) and not (
                file.startswith(_LIBRARIES) or any(part in file for part in _INSTALLED)
            )
            self._files[file] = known
        return known

    def here(self, frame: FrameType | None) -> Place | None:
        """The innermost place of the user's files at or above a frame."""
        files = self._files
        while frame is not None:
            code = frame.f_code
            file = code.co_filename
            known = files.get(file)
            if known is None:
                known = self.users(file)
            if known:
                place = self._known.get((id(code), frame.f_lasti))
                return place or self._new(code, frame.f_lasti, frame.f_lineno)
            frame = frame.f_back
        return None

    def raised(self, traceback: TracebackType | None) -> list[Place]:
        """The places that an exception passed, the outermost first."""
        places = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if self.users(code.co_filename):
                places.append(self._new(code, traceback.tb_lasti, traceback.tb_lineno))
            traceback = traceback.tb_next
        return places

    def _new(self, code: CodeType, instruction: int, line: int | None) -> Place:
        key = id(code), instruction
        if key not in self._known:
            self._known[key] = Place(code.co_filename, line or code.co_firstlineno, code)
        return self._known[key]


def frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that it was called from, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


@cache
def syntax_tree(file: str) -> ast.AST:
    """The syntax tree of a file; an empty one if it cannot be read."""
    try:
        with open(file, "rb") as source_file:
            return ast.parse(source_file.read())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])
