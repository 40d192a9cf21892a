"""Every tensor that is made says its device, so that no job mixes devices by accident."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import napari_emcad

MAKERS = {
    *("arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn"),
    *("randperm", "tensor", "zeros"),
}
"""Functions of torch that make a tensor on the default device unless another one is given."""


def makers_without_device(source):
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = ast.unparse(node.func)
        named = {keyword.arg for keyword in node.keywords}
        if called in {f"torch.{name}" for name in MAKERS} and "device" not in named:
            yield node.lineno, ast.unparse(node)


def test_the_check_finds_a_tensor_without_a_device():
    assert list(makers_without_device("x = torch.zeros(3)\ny = torch.ones(2, device=d)")) == [
        (1, "torch.zeros(3)")
    ]


@pytest.mark.parametrize(
    "path",
    sorted(Path(napari_emcad.__file__).parent.rglob("*.py")),
    ids=lambda path: str(path.relative_to(Path(napari_emcad.__file__).parent)),
)
def test_every_new_tensor_has_a_device(path):
    assert list(makers_without_device(path.read_text(encoding="utf-8"))) == []
