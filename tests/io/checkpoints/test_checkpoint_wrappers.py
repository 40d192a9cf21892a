"""What trainers, compilers and profilers wrap around a published state dict is taken off."""

from __future__ import annotations

import argparse
import io
from collections import OrderedDict

import numpy as np
import pytest
import torch

from napari_emcad import ModelConfig, read_checkpoint


@pytest.fixture
def bare(state, save):
    return read_checkpoint(save(state, "bare.pth"))


def same(one, other) -> bool:
    return (
        one.config == other.config
        and set(one.tensors) == set(other.tensors)
        and all(
            one.tensors[name].dtype == other.tensors[name].dtype
            and np.array_equal(one.tensors[name], other.tensors[name])
            for name in one.tensors
        )
    )


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."],
)
def test_prefixes_are_stripped(prefix, state, save, bare):
    assert same(read_checkpoint(save({prefix + k: v for k, v in state.items()})), bare)


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict"])
def test_dictionaries_around_the_state_dict_are_opened(key, state, save, bare):
    assert same(read_checkpoint(save({key: state})), bare)
    assert same(read_checkpoint(save({"epoch": 3, key: OrderedDict(state)})), bare)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_training_state_is_opened(zipped, state, save, bare):
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 12,
        "model": {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": {"last_epoch": 12, "_last_lr": [1e-4]},
        "scaler": {},
        "args": argparse.Namespace(lr=1e-4, encoder="pvt_v2_b0", kernel_sizes=[1, 3, 5], note=None),
        "best_dice": np.float64(0.91),
        "best_loss": np.float32(0.2),
        "best_epoch": np.int64(11),
        "improved": np.bool_(True),
        "step": np.int32(4),
    }
    assert same(read_checkpoint(save(content, zipped=zipped)), bare)


def test_numpy_scalars_pickled_by_numpy_1_are_read(state, save, bare, tmp_path):
    written = save({"model": state, "best_dice": np.float64(0.91)}, "new.pth", zipped=False)
    content, new = written.read_bytes(), b"cnumpy._core.multiarray\nscalar\n"
    assert new in content
    old = tmp_path / "old.pth"
    old.write_bytes(content.replace(new, b"cnumpy.core.multiarray\nscalar\n"))
    assert same(read_checkpoint(old), bare)


def test_profilers_counters_are_dropped(state, save, bare):
    counters = {
        f"{name.removesuffix('.weight')}.{what}": torch.zeros(1, dtype=torch.float64)
        for name in list(state)[:120]
        if name.endswith(".weight")
        for what in ("total_ops", "total_params")
    }
    counters |= {"total_ops": torch.zeros(1), "module.total_params": torch.zeros(1)}
    read = read_checkpoint(save(state | counters))
    assert same(read, bare)
    assert read.notes == ()


def test_extra_heads_are_left_out_and_named(state, save, bare):
    extra = {
        "cls_head.0.weight": torch.ones(4, 256),
        "cls_head.0.bias": torch.ones(4),
        "conf_head.weight": torch.ones(1, 32, 1, 1),
        "embed_head.weight": torch.full((16, 32, 1, 1), torch.nan),
        "neg_queue": torch.ones(16, 64),
        "queue_ptr": torch.zeros(1, dtype=torch.int64),
    }
    read = read_checkpoint(save({f"module.{k}": v for k, v in (state | extra).items()}))
    assert same(read, bare)
    (note,) = read.notes
    for name in extra:
        assert name in note


def test_bfloat16_is_read_exactly(state, save):
    halved = {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()}
    read = read_checkpoint(save(halved))
    weight = read.tensors["heads.stage1.weight"]
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, halved["out_head1.weight"].float().numpy())


def test_float16_is_read_as_it_is(state, save):
    read = read_checkpoint(save({k: v.half() if v.ndim else v for k, v in state.items()}))
    assert read.tensors["heads.stage1.weight"].dtype == np.float16
    assert read.network().heads["stage1"].weight.dtype == torch.float32


def test_parameters_and_views_are_read(state, save, bare):
    state["out_head1.weight"] = torch.nn.Parameter(state["out_head1.weight"])
    state["conv.0.weight"] = state["conv.0.weight"].expand(3, 1, 1, 1)
    assert same(read_checkpoint(save(state)), bare)


@pytest.mark.parametrize("name", ["network", "network.pt", "network.PTH", "network.bin", "n.tar"])
@pytest.mark.parametrize("zipped", [True, False])
def test_content_decides_not_the_name(name, zipped, state, save, bare):
    assert same(read_checkpoint(save(state, name, zipped)), bare)


def test_a_native_file_may_have_any_name(state, save, bare, tmp_path):
    from napari_emcad import write_checkpoint

    write_checkpoint(bare, tmp_path / "n.safetensors")
    (tmp_path / "n.safetensors").rename(tmp_path / "n.pth")
    assert same(read_checkpoint(tmp_path / "n.pth"), bare)


def test_a_trained_gray_stem_means_one_input_channel(state, save):
    state["conv.1.num_batches_tracked"] = torch.tensor(4000)
    read = read_checkpoint(save(state))
    assert read.config == ModelConfig(input_channels=1)
    assert (read.preprocessing.low, read.preprocessing.high) == (-125, 275)
    assert read.preprocessing.size == (224, 224)


def test_settings_that_a_published_file_lacks_are_listed(state, save):
    read = read_checkpoint(save(state, "polyps.pth"))
    assert set(read.assumed) == {"activation", "dw_parallel", "preprocessing", "head", "classes"}
    assert read.title == "polyps"
    assert read.preprocessing.size == (352, 352)
    assert read.head == "finest"


def test_reading_from_memory_mapped_or_read_only_files_changes_nothing(state, save):
    path = save(state)
    before = path.read_bytes()
    path.chmod(0o444)
    read_checkpoint(path).network()
    assert path.read_bytes() == before
    assert list(torch.load(io.BytesIO(before), weights_only=True)) == list(state)
