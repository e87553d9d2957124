"""The user's file, run as a module."""

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from gradcli.language.source import Source


def run(source: Source) -> ModuleType:
    """The module that a file makes, run as an import would run it: its folder comes first in
    sys.path, and its name is that of the file. Raises whatever the file raises.
    """
    path = os.path.abspath(source.label)
    folder, file = os.path.split(path)
    name = file.removesuffix(".py")
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"{name}_"  # PyTorch may be about to import the other one
    sys.path.insert(0, folder)
    sys.argv[:] = [source.label]
    module = ModuleType(name)
    module.__file__, module.__spec__ = path, ModuleSpec(name, None, origin=path)
    sys.modules[name] = module
    exec(compile(source.text, source.label, "exec"), vars(module))
    return module
