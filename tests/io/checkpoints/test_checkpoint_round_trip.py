"""What is written is what was read: published, native, and back."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_emcad import (
    CheckpointError,
    ClassLabel,
    ModelConfig,
    Preprocessing,
    bundled_checkpoint,
    initialize_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from napari_emcad.io.checkpoints.native import FORMAT_VERSION

# sha256 over "name shape" lines, sorted, of published files as they are in use.
PUBLISHED_NAMES = {
    "b0_rgb": (ModelConfig(), "77693c23a50ad078b961d5b06d176a65182e2a490231814a93c9db11d164e095"),
    "b0_gray": (
        ModelConfig(num_classes=9, input_channels=1),
        "c719f68ad7f9c290499995c54b2bc9ca3e12c80481a1a9eaf6ba3de73178b400",
    ),
    "b2_rgb": (
        ModelConfig("pvt_v2_b2", num_classes=2),
        "cf7ddc062f3c2054afb8a7c15b17de7948aab37a26ee260cb0075d623eb0d96c",
    ),
}


@pytest.fixture
def described(state, save):
    """Return a checkpoint in which every piece of metadata differs from its default."""
    state["conv.1.num_batches_tracked"] = torch.tensor(7)
    read = read_checkpoint(save(state), activation="relu", dw_parallel=False)
    return replace(
        read,
        preprocessing=Preprocessing("percentile", 1, 99, "stack", (0.5,), (0.25,), (96, 128)),
        classes=(ClassLabel("noyau · 核", "#123456"),),
        head="sum",
        title="A title\nof two lines",
        description="What “it” does ☂",
        history=({"event": "trained", "epochs": 3, "rates": [1e-4, 1e-5], "by": None},),
        parent="0f" * 32,
        assumed=("classes",),
        notes=("one", "two"),
    )


def same_tensors(one, other) -> bool:
    return list(one) == list(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(map(np.asarray, one.values()), map(np.asarray, other.values()), strict=True)
    )


@pytest.mark.parametrize("case", PUBLISHED_NAMES)
def test_names_and_shapes_are_those_of_published_files(case, state_of):
    config, expected = PUBLISHED_NAMES[case]
    lines = sorted(f"{name} {tuple(each.shape)}" for name, each in state_of(config).items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == expected


@pytest.mark.parametrize(
    ("encoder", "keys"), [("pvt_v2_b0", 407), ("pvt_v2_b1", 407), ("pvt_v2_b2", 563)]
)
def test_published_to_native_to_published_is_the_identity(encoder, keys, state_of, save, tmp_path):
    state = state_of(ModelConfig(encoder, num_classes=4))
    native, published = tmp_path / "native.safetensors", tmp_path / "published.pth"
    write_checkpoint(read_checkpoint(save(state)), native)
    write_checkpoint(read_checkpoint(native), published)
    back = torch.load(published, weights_only=True)
    native.unlink()
    published.unlink()
    assert type(back) is dict
    assert len(back) == keys
    assert {type(each) for each in back.values()} == {torch.Tensor}
    assert same_tensors({name: back[name] for name in state}, state)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_number_types_survive_the_round_trip(kind, state, save, tmp_path):
    state = {k: v.to(kind) if v.is_floating_point() else v for k, v in state.items()}
    write_checkpoint(read_checkpoint(save(state)), tmp_path / "n.safetensors")
    write_checkpoint(read_checkpoint(tmp_path / "n.safetensors"), tmp_path / "p.pth")
    back = torch.load(tmp_path / "p.pth", weights_only=True)
    assert same_tensors({name: back[name] for name in state}, state)


def test_native_files_keep_everything(described, tmp_path):
    path = tmp_path / "a.safetensors"
    write_checkpoint(described, path)
    back = read_checkpoint(path)
    assert same_tensors(dict(sorted(back.tensors.items())), dict(sorted(described.tensors.items())))
    for each in fields(back):
        if each.name not in ("tensors", "origin"):
            assert getattr(back, each.name) == getattr(described, each.name), each.name
    assert back.origin.format == "native"
    assert back.origin.path == str(path)
    assert back.origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_origin_and_sha256_name_the_file(state, save):
    path = save(state)
    origin = read_checkpoint(path).origin
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (origin.path, origin.sha256, origin.format) == (str(path), digest, "published")


def test_tensors_are_read_only(state, save):
    with pytest.raises(TypeError):
        read_checkpoint(save(state)).tensors["grey_stem.0.bias"] = np.zeros(3)


@pytest.mark.parametrize("version", [str(FORMAT_VERSION + 1), "99", "", "-1", "1.5", "²", "9" * 50])
def test_newer_or_unknown_format_versions_are_refused_with_advice(version, native_file, refused):
    path = native_file({"format": "napari-emcad", "format_version": version})
    refused(path, "version", "update napari-emcad")


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_half_precision_halves_the_file_and_keeps_counters(ending, described, tmp_path):
    full, half = tmp_path / f"full.{ending}", tmp_path / f"half.{ending}"
    write_checkpoint(described, full)
    write_checkpoint(described, half, half=True)
    assert half.stat().st_size < 0.52 * full.stat().st_size
    back = read_checkpoint(half)
    for name, tensor in back.tensors.items():
        wanted = np.int64 if name.endswith("num_batches_tracked") else np.float16
        assert tensor.dtype == wanted
        np.testing.assert_array_equal(tensor, described.tensors[name].astype(wanted))
    assert {each.dtype for each in back.network().parameters()} == {torch.float32}


def test_weights_too_large_for_half_precision_are_refused(state, save, tmp_path):
    state["out_head1.bias"] = torch.tensor([1e6])
    with pytest.raises(CheckpointError, match="float16"):
        write_checkpoint(read_checkpoint(save(state)), tmp_path / "x.pth", half=True)
    assert not (tmp_path / "x.pth").exists()


def test_the_network_has_the_weights_of_the_file_and_is_new_each_time(state, save):
    checkpoint = read_checkpoint(save(state))
    one, two = checkpoint.network(), checkpoint.network()
    assert not one.training
    torch.testing.assert_close(
        one.heads["stage1"].weight, state["out_head1.weight"], rtol=0, atol=0
    )
    with torch.no_grad():
        one.heads["stage1"].weight.zero_()
    torch.testing.assert_close(
        two.heads["stage1"].weight, state["out_head1.weight"], rtol=0, atol=0
    )
    assert np.asarray(checkpoint.tensors["heads.stage1.weight"]).all()


@pytest.mark.parametrize("target", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.chmod"])
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    target, ending, described, tmp_path, monkeypatch
):
    path = tmp_path / f"kept.{ending}"
    path.write_bytes(b"what was here before")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    listed = sorted(tmp_path.iterdir())
    monkeypatch.setattr(target, full)
    with pytest.raises(CheckpointError) as caught:
        write_checkpoint(described, path)
    assert "No space left" in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"what was here before"
    assert sorted(tmp_path.iterdir()) == listed


def test_an_interrupted_write_leaves_nothing_behind(described, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    listed = sorted(tmp_path.iterdir())
    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(described, tmp_path / "new.pth")
    assert sorted(tmp_path.iterdir()) == listed


def test_unwritable_folders_are_refused(described, tmp_path):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "file").write_text("")
    for path in ("missing/x.pth", "folder.pth", "file/x.safetensors"):
        with pytest.raises(CheckpointError, match="cannot be written"):
            write_checkpoint(described, tmp_path / path)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_folder_without_permission_is_refused(described, tmp_path, monkeypatch):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkstemp", denied)
    with pytest.raises(CheckpointError, match="Permission denied"):
        write_checkpoint(described, tmp_path / "x.pth")


@pytest.mark.parametrize("name", ["x", "x.onnx", "x.pth.txt", "x.safetensor"])
def test_other_endings_are_refused_with_the_right_ones(name, described, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        write_checkpoint(described, tmp_path / name)
    assert name in str(caught.value)
    assert ".safetensors" in str(caught.value)
    assert ".pth" in str(caught.value)
    assert not (tmp_path / name).exists()


@pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX's")
def test_new_files_follow_the_umask_and_old_ones_keep_their_mode(described, tmp_path):
    new, old = tmp_path / "new.pth", tmp_path / "old.pth"
    old.write_bytes(b"")
    old.chmod(0o600)
    before = os.umask(0o027)
    try:
        write_checkpoint(described, new)
        write_checkpoint(described, old)
    finally:
        os.umask(before)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


def test_paths_may_be_strings_and_start_at_home(described, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_checkpoint(described, "~/home.pth")
    assert (tmp_path / "home.pth").exists()
    assert read_checkpoint("~/home.pth").config.num_classes == 1


def test_a_new_network_survives_the_published_format(tmp_path):
    started = initialize_checkpoint(num_classes=3, kernel_sizes=(1, 3), aggregation="concat")
    write_checkpoint(started, tmp_path / "s.pth")
    back = read_checkpoint(tmp_path / "s.pth")
    assert back.config == started.config
    assert same_tensors(back.tensors, {name: started.tensors[name] for name in back.tensors})


def test_the_bundled_checkpoint_is_small_half_precision_and_described():
    bundled = bundled_checkpoint()
    assert bundled.parameters == 3_916_795
    assert bundled.config == ModelConfig()
    assert [each.name for each in bundled.classes] == ["nucleus"]
    assert bundled.title
    assert bundled.description
    assert bundled.assumed == ()
    assert bundled.preprocessing.size is None
    kinds = {str(each.dtype) for each in bundled.tensors.values()}
    assert kinds == {"float16", "int64"}
    import napari_emcad

    asset = Path(napari_emcad.__file__).parent / "assets" / "nuclei_b0.safetensors"
    assert asset.stat().st_size <= 8.5e6
