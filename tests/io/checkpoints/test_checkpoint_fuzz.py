"""Whatever bytes a file holds: a checkpoint or a CheckpointError, never anything else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property_tests import examples

from napari_emcad import CheckpointError, read_checkpoint, write_checkpoint
from napari_emcad.model.tensor_shapes import tensor_shapes

FORMATS = ("zip", "plain", "native")
KEYS = ("config", "preprocessing", "classes", "head", "title", "history", "assumed", "notes")
STARTS = [b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x02}q\x00", b"\x40\0\0\0\0\0\0\0{"]

fuzz = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def valid(state_of, tmp_path_factory):
    """Return a folder with one valid file of each format."""
    folder = tmp_path_factory.mktemp("valid")
    torch.save(state_of(), folder / "zip")
    torch.save(state_of(), folder / "plain", _use_new_zipfile_serialization=False)
    write_checkpoint(read_checkpoint(folder / "zip"), folder / "n.safetensors", half=True)
    (folder / "n.safetensors").rename(folder / "native")
    return folder


def read_or_refuse(path) -> None:
    message, read = path.name, None
    try:
        read = read_checkpoint(path)
    except CheckpointError as error:
        message = str(error)
    assert message.splitlines() == [message]
    assert path.name in message
    if read is None:
        return
    shapes = {name: tensor.shape for name, tensor in read.tensors.items()}
    assert shapes == tensor_shapes(read.config)
    assert all(np.isfinite(each).all() for each in read.tensors.values())


@settings(fuzz, max_examples=examples(150))
@given(start=st.sampled_from(STARTS), content=st.binary(max_size=300))
def test_random_bytes(start, content, tmp_path):
    path = tmp_path / "random.pth"
    path.write_bytes(start + content)
    read_or_refuse(path)


@pytest.mark.parametrize("kind", FORMATS)
@settings(fuzz, max_examples=examples(60))
@given(data=st.data())
def test_flipped_bytes(kind, data, valid, tmp_path):
    path = valid / kind
    size = path.stat().st_size
    anywhere = st.integers(0, 60_000) | st.integers(size - 30_000, size - 1)
    changes = data.draw(
        st.dictionaries(anywhere | st.integers(0, size - 1), st.binary(min_size=1, max_size=1))
    )
    with path.open("r+b") as file:
        before = {}
        for place, byte in changes.items():
            file.seek(place)
            before[place] = file.read(1)
            file.seek(place)
            file.write(byte)
    try:
        read_or_refuse(path)
    finally:
        with path.open("r+b") as file:
            for place, byte in before.items():
                file.seek(place)
                file.write(byte)


@pytest.mark.parametrize("kind", FORMATS)
@settings(fuzz, max_examples=examples(25))
@given(share=st.floats(0, 0.9999))
def test_cut_files_are_always_refused(kind, share, valid, tmp_path):
    content = (valid / kind).read_bytes()
    path = tmp_path / kind
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


@settings(fuzz, max_examples=examples(60))
@given(changes=st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=2))
def test_random_metadata(changes, valid, tmp_path):
    path, content = tmp_path / "n", (valid / "native").read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    table["__metadata__"] |= {key: json.dumps(value) for key, value in changes.items()}
    header = json.dumps(table).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    read_or_refuse(path)


@settings(fuzz, max_examples=examples(60))
@given(
    changes=st.dictionaries(
        st.sampled_from(["encoder", "num_classes", "kernel_sizes", "expansion_factor", "spam"])
        | st.sampled_from(["input_channels", "dw_parallel", "aggregation", "lgag_kernel_size"]),
        values,
        min_size=1,
        max_size=2,
    )
)
def test_random_architectures(changes, valid, tmp_path):
    content = (valid / "native").read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    config = json.loads(table["__metadata__"]["config"]) | changes
    table["__metadata__"]["config"] = json.dumps(config)
    header = json.dumps(table).encode()
    path = tmp_path / "n"
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    read_or_refuse(path)


@settings(fuzz, max_examples=examples(60))
@given(
    changes=st.dictionaries(
        st.sampled_from(["size", "mean", "std", "low", "high", "intensity", "over", "classes"])
        | st.sampled_from(["head", "kernel_sizes", "activation", "input_channels", "dw_parallel"]),
        values,
        min_size=1,
        max_size=2,
    )
)
def test_random_overrides(changes, valid):
    message = "."
    try:
        read_checkpoint(valid / "zip", **changes).network()
    except CheckpointError as error:
        message = str(error)
    assert message.splitlines() == [message]
