"""Modules that need timm or torchvision load triton before, see `triton_preload`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import napari_emcad

PACKAGE = Path(napari_emcad.__file__).parent
NEED_TRITON = ("timm", "torchvision")


def runtime_imports(path):
    """Yield the names that a module imports when it is imported, in order."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if any(name.split(".")[0] in NEED_TRITON for name in runtime_imports(path))
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_triton_is_loaded_first(path):
    names = list(runtime_imports(path))
    first = next(k for k, name in enumerate(names) if name.split(".")[0] in NEED_TRITON)
    assert "napari_emcad.model.triton_preload" in names[:first]


def test_there_are_such_modules():
    assert {"encoder", "onednn"} <= {path.stem for path in MODULES}
