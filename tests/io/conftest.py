"""Published files of every kind, small enough to be written in milliseconds."""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_emcad import CheckpointError, ModelConfig, read_checkpoint
from napari_emcad.io.checkpoints.published import published_name
from napari_emcad.model.tensor_shapes import tensor_shapes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def state_of():
    """Return a function: a config's published state dict, whose tensors share one small storage."""

    def state(config: ModelConfig | None = None) -> dict[str, torch.Tensor]:
        shapes = tensor_shapes(config or ModelConfig())
        size = len(shapes) + max(map(prod, shapes.values()))
        base = torch.rand(size, generator=torch.Generator().manual_seed(0)) + 0.5
        named = {}
        for i, (name, shape) in enumerate(shapes.items()):
            part = base[i : i + prod(shape)].view(shape) if shape else torch.tensor(0)
            named[published_name(name)] = part
        return named

    return state


@pytest.fixture(scope="session")
def _b0(state_of) -> dict[str, torch.Tensor]:
    return state_of()


@pytest.fixture
def state(_b0) -> dict[str, torch.Tensor]:
    """Return a published B0 state dict; the dictionary is the test's own."""
    return dict(_b0)


@pytest.fixture
def save(tmp_path):
    """Return a function that pickles anything with torch."""

    def save(content: Any, name: str = "network.pth", zipped: bool = True) -> Path:
        path = tmp_path / name
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    return save


@pytest.fixture
def native_file(tmp_path):
    """Return a function: a safetensors file of given metadata, its header perhaps given whole."""

    def native_file(metadata: dict[str, str], table: Any = None, body: bytes = b"") -> Path:
        header = json.dumps(table if table is not None else {"__metadata__": metadata}).encode()
        path = tmp_path / "network.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header + body)
        return path

    return native_file


@pytest.fixture
def refused():
    """Return a function: one clear sentence with which a file is refused."""

    def refused(path: Path, *words: str, kind: type = CheckpointError, read=read_checkpoint) -> str:
        with pytest.raises(CheckpointError) as caught:
            read(path)
        message = str(caught.value)
        assert type(caught.value) is kind
        assert path.name in message
        assert message.splitlines() == [message]
        assert message.endswith(".")
        for word in words:
            assert word in message
        return message

    return refused
