"""matplotlib as it was delivered: it obeys no settings of the user, knows no fonts but its own, and
keeps no caches.

A picture is then the same on every machine, and nothing but the picture is written.
"""

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def _settled(data: str) -> Iterator[None]:
    """Be in the folder of matplotlib's own settings, without the variables that name others: the
    first ones found count.
    """
    named = {
        name: os.environ.pop(name) for name in ("MATPLOTLIBRC", "MPLBACKEND") if name in os.environ
    }
    here = (
        os.open(".", os.O_RDONLY) if hasattr(os, "fchdir") else os.getcwd()
    )  # the folder's name may be gone
    os.chdir(data)
    try:
        yield
    finally:
        os.chdir(here)
        if isinstance(here, int):
            os.close(here)
        os.environ.update(named)


def _load() -> None:
    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    data = str(Path(found.origin).with_name("mpl-data"))

    def cache() -> str:
        """The folder of lists of fonts. It is asked for just before fonts are looked for: the
        moment to say which.
        """
        fonts: Any = sys.modules["matplotlib.font_manager"]
        find = fonts.findSystemFonts
        fonts.findSystemFonts = lambda paths=None, fontext="ttf": (
            find(paths) if paths and fontext == "ttf" else []
        )
        fonts.json_dump = lambda *_: None
        return data

    logging.getLogger("matplotlib").setLevel(
        logging.ERROR
    )  # its remarks on settings and fonts do not concern the user
    with _settled(data):
        matplotlib: Any = importlib.import_module("matplotlib")
        matplotlib.get_configdir, matplotlib.get_cachedir = lambda: data, cache
        importlib.import_module("matplotlib.font_manager")


if "matplotlib.font_manager" not in sys.modules:  # a notebook may have loaded it
    _load()
