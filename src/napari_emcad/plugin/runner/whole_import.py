"""Imports in threads that no other thread sees half done.

Libraries look into ``sys.modules`` instead of importing: scipy asks for ``torch.Tensor`` at every
rotation of the 3-D view, and magicgui for ``pandas.DataFrame``. While another thread imports such a
module, its attributes do not exist yet, and AttributeError is raised. Here the module answers
instead: with a class that has no instances, or once it is complete.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

NO_INSTANCES: dict[str, tuple[str, ...]] = {"torch": ("Tensor",), "pandas": ()}
"""Guarded modules, with their classes of which no instance exists before the import has ended."""

_PATIENCE_S = 20.0
"""Longest wait for a module; two imports that wait for each other end in an AttributeError."""


class _NoInstances:
    """Stands for a class of a module that is being imported."""


class _WholeLoader:
    """Executes a module with its own loader; other threads see no missing attribute meanwhile."""

    def __init__(self, loader: Any, classes: Sequence[str]) -> None:
        self._loader, self._classes = loader, classes

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module, or None for the usual one."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module."""
        importing, done = threading.get_ident(), threading.Event()

        def answer(name: str) -> Any:
            if threading.get_ident() != importing and not name.startswith("__"):
                if name in self._classes:
                    return _NoInstances
                done.wait(_PATIENCE_S)
                if name in vars(module):
                    return vars(module)[name]
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        vars(module)["__getattr__"] = answer
        try:
            self._loader.exec_module(module)
        finally:
            if vars(module).get("__getattr__") is answer:
                del vars(module)["__getattr__"]
            done.set()


class WholeImports:
    """A finder for ``sys.meta_path`` that guards the import of some modules.

    Parameters
    ----------
    modules
        Names of the modules, see `NO_INSTANCES`.
    """

    def __init__(self, modules: Mapping[str, Sequence[str]]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of a guarded module as the other finders find it, else None."""
        if name not in self._modules:
            return None
        others = (finder for finder in sys.meta_path if not isinstance(finder, WholeImports))
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _WholeLoader(spec.loader, self._modules[name])  # type: ignore[assignment]
        return spec


def guard_imports() -> None:
    """Guard the imports of `NO_INSTANCES` from now on; safe to call twice."""
    if not any(isinstance(finder, WholeImports) for finder in sys.meta_path):
        sys.meta_path.insert(0, WholeImports(NO_INSTANCES))
