"""Load matplotlib without the user's settings, with its own fonts only, and without caches.

A picture is then the same on every machine, and only the picture is written.
"""

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any


@contextmanager
def _own_settings(data: str) -> Iterator[None]:
    """Change to the folder of matplotlib's own settings, and unset the variables that name others:
    matplotlib takes the first settings that it finds.
    """
    variables = [name for name in ("MATPLOTLIBRC", "MPLBACKEND") if name in os.environ]
    values = {name: os.environ.pop(name) for name in variables}
    # As a descriptor where possible, because the folder may no longer have a name.
    folder = os.open(".", os.O_RDONLY) if hasattr(os, "fchdir") else os.getcwd()
    os.chdir(data)
    try:
        yield
    finally:
        os.chdir(folder)
        if isinstance(folder, int):
            os.close(folder)
        os.environ.update(values)


def _own_fonts(find: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """matplotlib's search for fonts without those of the system."""
    return wraps(find)(
        lambda paths=None, fontext="ttf": find(paths) if paths and fontext == "ttf" else []
    )


def _load() -> None:
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    data = str(Path(spec.origin).with_name("mpl-data"))

    def cache() -> str:
        """The folder of font lists, requested just before fonts are searched: restrict that too."""
        fonts: Any = sys.modules["matplotlib.font_manager"]
        fonts.findSystemFonts = _own_fonts(fonts.findSystemFonts)
        fonts.json_dump = lambda *_: None
        return data

    # Warnings about settings and fonts do not concern the user.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with _own_settings(data):
        matplotlib: Any = importlib.import_module("matplotlib")
        matplotlib.get_configdir, matplotlib.get_cachedir = lambda: data, cache
        fonts: Any = importlib.import_module("matplotlib.font_manager")
    matplotlib.get_cachedir = matplotlib.get_configdir
    fonts.findSystemFonts = fonts.findSystemFonts.__wrapped__  # for what its own fonts do not have


if "matplotlib.font_manager" not in sys.modules:  # a notebook may have loaded it
    _load()
