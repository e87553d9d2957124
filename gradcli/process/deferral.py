"""Half of PyTorch's start: the modules of PyTorch that no gradient needs are loaded when they are
first used.

`import torch` executes 730 modules of PyTorch. Two thirds of its time go into those for exporting,
compiling, quantising and distributing models. A list of them, made for one version of PyTorch by
`python -m tools.deferral`, is data beside this file. A listed module is empty at first, and a name
that another module imports from it is a stand-in. The first use of any of them executes all of
them, in PyTorch's own order and as the same module objects, and puts what they define in the place
of the stand-ins. From then on nothing differs from a plain import.

This also holds if one is used while PyTorch itself is still loading: each module then finds at
least what it finds in a plain import, because all that a plain import executes before it has been
executed here too.
"""

import gc
import operator
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from opcode import opmap
from types import MappingProxyType, ModuleType
from typing import Any, ClassVar

from gradcli.installed import torch_version

NOW = "!"
"""What marks a module that is loaded at once."""
_WATCHING = ("TORCH_LOGS", "TORCH_TRACE", "TORCHDYNAMO_", "TORCHINDUCTOR_", "PYTORCH_JIT")
"""How the variables begin with which somebody watches, or changes, what deferred modules do."""
_UNTIL_THEN: Mapping[str, Callable[..., Any]] = MappingProxyType({
    "torch.compiler.is_compiling": lambda: False,
    "torch.compiler.is_exporting": lambda: False,
    "torch.backends.mha.get_fastpath_enabled": lambda: True,
})  # fmt: skip
"""What a function of a deferred module answers as long as that is not executed: optimizers
and attention ask."""
_IMPORT_FROM = opmap["IMPORT_FROM"]
_BY_IMPORT = ("__cached__", "__file__", "__loader__", "__package__", "__path__", "__spec__")
"""What the import system sets in a module before it executes it."""


def listed(version: str) -> list[str]:
    """The modules of a version of PyTorch in the order in which it executes them, those that are
    not deferred with NOW before them; none if there is no list for that version.
    """
    try:
        with open(file(version), encoding="ascii") as names:
            return names.read().split()
    except OSError:
        return []


def file(version: str) -> str:
    """Where the list for a version of PyTorch is."""
    return f"{os.path.dirname(__file__)}/modules-{version.partition('+')[0]}.txt"


def load() -> None:
    """Load PyTorch, its listed modules deferred.

    It is loaded plainly if there is no list for its version, or one of the variables of _WATCHING is
    set.
    """
    plain = "torch" in sys.modules or any(name.startswith(_WATCHING) for name in os.environ)
    if plain or not (names := listed(torch_version())):
        import_module("torch")
        return
    deferral = Incomplete.deferral = Deferral(names)
    sys.meta_path.insert(0, deferral)
    torch = import_module("torch")
    # A deferred module does this for torch.Generator, which is C code and cannot ask for it.
    torch._C._set_generator_metaclass(torch._opaque_base.OpaqueBaseMeta)
    deferral.loaded = True


def is_used() -> bool:
    """Whether a deferred module has been used; all of them have been executed then."""
    return hasattr(Incomplete, "deferral") and Incomplete.deferral.complete


class Incomplete(ModuleType):
    """A package of PyTorch whose deferred submodules are loaded, still empty, when asked for."""

    deferral: ClassVar["Deferral"]

    def __getattr__(self, name: str) -> Any:
        return self.deferral.missing(self, name)


class Deferred(Incomplete):
    """A listed module that has not been executed."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(value, Deferred):  # what it calls its submodules, it says when executed
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        self.deferral.execute()
        return dir(self)


class StandIn:
    """A name imported from a deferred module. Its first use executes the module."""

    def __init__(self, module: Deferred, name: str) -> None:
        vars(self).update(module=module, name=name)

    def meant(self) -> Any:
        """What the name means."""
        own = vars(self)
        return getattr(Incomplete.deferral.executed(own["module"]), own["name"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.meant(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.meant(), name, value)

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call what the name means."""
        return self.meant()(*values, **named)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.meant(),)


_OPERATORS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    "__bool__": bool, "__len__": len, "__iter__": iter, "__getitem__": operator.getitem,
    "__contains__": operator.contains, "__eq__": operator.eq, "__hash__": hash, "__repr__": repr,
    "__or__": operator.or_, "__ror__": lambda meant, other: other | meant,
    "__instancecheck__": lambda meant, value: isinstance(value, meant),
    "__subclasscheck__": lambda meant, kind: issubclass(kind, meant),
})  # fmt: skip
"""The other uses of a stand-in while PyTorch loads."""


for _name, _use in _OPERATORS.items():
    setattr(StandIn, _name, lambda self, *values, use=_use: use(self.meant(), *values))


class Deferral(MetaPathFinder):
    """Finds PyTorch's modules, the listed ones as empty modules until any of them is used."""

    def __init__(self, names: Sequence[str]) -> None:
        self.order = [name.removeprefix(NOW) for name in names]
        self.names = frozenset(self.order)
        self.later = frozenset(name for name in names if not name.startswith(NOW))
        self.loaded = False
        """Whether PyTorch is loaded: from then on a name is used when it is imported."""
        self.complete = False
        self.modules: dict[str, Deferred] = {}
        """The deferred modules so far."""
        self.packages: list[Incomplete] = []
        """The executed packages so far."""
        self.stand_ins: dict[str, list[tuple[dict[str, Any], str]]] = {}
        """The namespaces and keys of stand-ins, by the module that they come from."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, as the other finders say, and how it is loaded."""
        if fullname not in self.names:
            return None
        others = (each for each in sys.meta_path if each is not self)
        found = (each.find_spec(fullname, path, target) for each in others)
        spec = next(filter(None, found), None)
        if spec is None or not isinstance(loader := spec.loader, SourceFileLoader):
            return spec
        if self.complete:
            if fullname in self.modules:
                loader.create_module = self._emptied  # type: ignore[method-assign]
                loader.exec_module = partial(self._fill, loader.exec_module)  # type: ignore[method-assign]
        elif fullname in self.later:
            loader.create_module = self._deferred  # type: ignore[method-assign]
            loader.exec_module = lambda module: None  # type: ignore[method-assign]
        elif spec.submodule_search_locations is not None:
            loader.create_module = self._package  # type: ignore[method-assign]
        return spec

    def _deferred(self, spec: ModuleSpec) -> ModuleType:
        module = self.modules[spec.name] = Deferred(spec.name)
        return module

    def _package(self, spec: ModuleSpec) -> ModuleType:
        self.packages.append(package := Incomplete(spec.name))
        return package

    def _emptied(self, spec: ModuleSpec) -> ModuleType:
        """The same module object, as the import system expects a new one."""
        module = self.modules[spec.name]
        module.__class__ = ModuleType  # type: ignore[assignment]
        for name in _BY_IMPORT:
            vars(module).pop(name, None)
        return module

    def _fill(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Execute a module, and replace the stand-ins for what it defines."""
        execute(module)
        for namespace, key in self.stand_ins.pop(module.__name__, ()):
            if type(stand_in := namespace.get(key)) is StandIn:
                namespace[key] = stand_in.meant()

    def missing(self, module: Incomplete, name: str) -> Any:
        """A name that a module does not define yet."""
        submodule = f"{module.__name__}.{name}"
        if not isinstance(module, Deferred):
            if submodule in self.names and submodule not in sys.modules and not self.complete:
                return import_module(submodule)
        elif name not in _BY_IMPORT:
            if self.loaded and not self.complete and (known := _UNTIL_THEN.get(submodule)):
                return known
            if self.loaded or self.complete or name.startswith("__"):
                return getattr(self.executed(module), name)
            frame = sys._getframe(2)
            if frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM:
                return StandIn(module, name)
            if frame.f_code.co_name != "_handle_fromlist":  # which asks for a submodule
                return getattr(self.executed(module), name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    def executed(self, module: Deferred) -> ModuleType:
        """The module, executed, and with it all others."""
        self.execute()
        return import_module(module.__name__)

    def execute(self) -> None:
        """Execute all deferred modules, with everything set as it was when PyTorch was loaded."""
        if self.complete:
            return
        self.complete = True
        for namespace, key in _stand_ins():
            source = vars(namespace[key])["module"].__name__
            self.stand_ins.setdefault(source, []).append((namespace, key))
        bound = list(self._bound())
        for name in self.modules:
            del sys.modules[name]
        with _as_when_loading() if self.loaded else nullcontext():
            for name in self.order:
                if name in self.modules:
                    import_module(name)
        sys.meta_path.remove(self)
        for namespace, key, value in bound:
            if value is None:
                namespace.pop(key, None)
            else:
                namespace[key] = value
        for namespace, key in _stand_ins():  # those that came by during the execution
            namespace[key] = namespace[key].meant()
        for package in self.packages:
            package.__class__ = ModuleType  # type: ignore[assignment]

    def _bound(self) -> Iterator[tuple[dict[str, Any], str, Any]]:
        """What executed packages call their deferred modules: often not a module, or nothing."""
        for name in self.modules:
            parent, _, key = name.rpartition(".")
            if parent and parent not in self.modules:
                namespace = vars(sys.modules[parent])
                yield namespace, key, namespace.get(key)


def _stand_ins() -> Iterator[tuple[dict[str, Any], str]]:
    """The namespaces of PyTorch's modules, and the keys in them, that hold a stand-in."""
    for name, module in list(sys.modules.items()):
        if name.startswith("torch") and module is not None:
            for key, value in list(vars(module).items()):
                if type(value) is StandIn:
                    yield vars(module), key


@contextmanager
def _as_when_loading() -> Iterator[None]:
    """PyTorch's defaults, no warnings, and no collection of garbage, which would find none."""
    import torch

    dtype, collects = torch.get_default_dtype(), gc.isenabled()
    gc.disable()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.enable_grad(), torch._C.DisableTorchFunction(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(dtype)
        if collects:
            gc.enable()
