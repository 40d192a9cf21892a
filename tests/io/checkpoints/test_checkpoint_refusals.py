"""What is no PVT-EMCAD checkpoint is refused in one sentence that says what it is."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import struct
import zipfile

import imageio.v3 as iio
import numpy as np
import pytest
import safetensors.numpy
import tifffile
import torch
from torch import nn

from napari_emcad import (
    CheckpointError,
    ModelConfig,
    initialize_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from napari_emcad.io.checkpoints.sniff import EncoderOnlyError


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str, how: str) -> None:
        self.command, self.how = command, how

    def __reduce__(self):
        if self.how == "os":
            return os.system, (f"touch {self.command}",)
        return eval, (f"open({self.command!r}, 'w').close()",)


class Net(nn.Module):
    """A module that somebody pickled whole."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def thin(names_and_shapes):
    """Return tensors that take no room."""
    return {name: torch.zeros(()).expand(shape) for name, shape in names_and_shapes.items()}


@pytest.fixture(scope="session")
def resnet():
    """Return names and shapes of torchvision's ResNet-18."""
    from torchvision.models import resnet18

    with torch.device("meta"):
        return {name: tuple(each.shape) for name, each in resnet18().state_dict().items()}


@pytest.fixture(scope="session")
def native_bytes(state_of, tmp_path_factory):
    """Return the bytes of a native file."""
    folder = tmp_path_factory.mktemp("native")
    torch.save(state_of(), folder / "n.pth")
    write_checkpoint(read_checkpoint(folder / "n.pth"), folder / "n.safetensors", half=True)
    return (folder / "n.safetensors").read_bytes()


@pytest.fixture
def with_metadata(native_bytes, tmp_path):
    """Return a function: the native file with changed metadata; None takes an entry away."""

    def with_metadata(**changes: str | None):
        length = int.from_bytes(native_bytes[:8], "little")
        table = json.loads(native_bytes[8 : 8 + length])
        metadata = table["__metadata__"] | changes
        table["__metadata__"] = {k: v for k, v in metadata.items() if v is not None}
        header = json.dumps(table).encode()
        path = tmp_path / "changed.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header + native_bytes[8 + length :])
        return path

    return with_metadata


# -- no tensor file at all


def test_an_empty_file(tmp_path, refused):
    (tmp_path / "a.pth").touch()
    refused(tmp_path / "a.pth", "empty")


def test_a_missing_file(tmp_path, refused):
    refused(tmp_path / "nowhere.pth", "no such file")


def test_a_folder(tmp_path, refused):
    refused(tmp_path, "folder")


def test_a_path_with_an_unknown_user(refused):
    refused(pathlib.Path("~nobody-of-this-name.pth"))


def test_a_file_without_permission(save, state, refused, monkeypatch):
    path = save(state)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything

        def denied(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(pathlib.Path, "open", denied)
    refused(path, "permission")


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (b"hello, this is a note\n", "text file"),
        ("schön, 核".encode(), "text file"),
        (b"<!DOCTYPE html><html>not found</html>", "text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (bytes(4000), "unknown kind"),
        (b"\x00\x01\xfe\xff\x03" * 100, "unknown kind"),
    ],
)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_files_of_other_kinds(name, content, title, tmp_path, refused):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, title, "expected")


@pytest.mark.parametrize(
    ("ending", "title"),
    [(".png", "PNG"), (".jpg", "JPEG"), (".tif", "TIFF"), (".npy", "NumPy"), (".bmp", "BMP")],
)
def test_images_named_as_checkpoints(ending, title, tmp_path, refused):
    pixels, image = np.zeros((8, 8), np.uint8), tmp_path / f"image{ending}"
    write = {".npy": np.save, ".tif": tifffile.imwrite}.get(ending, iio.imwrite)
    write(image, pixels)
    refused(image.rename(tmp_path / "image.pth"), title, "expected")


# -- too large, cut short, damaged


def test_a_sparse_file_of_10_gb(tmp_path, refused):
    path = tmp_path / "large.pth"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(10 * 10**9)
    refused(path, "10 GB")


def test_a_zip_that_claims_more_than_4_gb(save, state, refused):
    path = save(state)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    for _ in range(2):
        content[entry + 24 : entry + 28] = struct.pack("<I", 2**32 - 2)
        entry = content.index(b"PK\x01\x02", entry + 4)
    path.write_bytes(content)
    refused(path, "9 GB")


@pytest.mark.parametrize("share", [0.0002, 0.01, 0.3, 0.7, 0.97, 0.9999])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_published_file_cut_short(zipped, share, save, state, refused):
    path = save({"model": state, "best": np.float64(0.5)}, zipped=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "cut short")


@pytest.mark.parametrize("length", [9, 100, 30_000, 100_000, -1])
def test_a_native_file_cut_short(length, native_bytes, tmp_path, refused):
    path = tmp_path / "n.safetensors"
    path.write_bytes(native_bytes[:length])
    message = refused(path)
    assert "cut short" in message or "damaged" in message


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"a": 5},
        {"a": {"dtype": "F32", "shape": [1]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": []}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, None]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, "4"]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, [4]]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": {"1": 4}}},
        {"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}},
        {"__metadata__": {"format": 5}},
        {"__metadata__": None},
    ],
)
def test_a_damaged_safetensors_header(table, native_file, refused):
    message = refused(native_file({}, table, b"0000"))
    assert "damaged" in message or "without napari-emcad's description" in message


def test_a_flipped_byte_within_a_tensor(state, save, refused):
    state["out_head1.bias"] = torch.tensor([0.123])
    path = save(state)
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(0.123).tobytes())] ^= 1
    path.write_bytes(content)
    refused(path, "cut short or damaged")


def test_a_file_without_checksums_opens(state, save):
    torch.serialization.set_crc32_options(False)
    try:
        path = save(state)
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(path).config == ModelConfig()


def test_torchs_warnings_are_not_passed_on(state, tmp_path, recwarn, refused):
    path = tmp_path / "network.pth"
    torch.save(state, path, pickle_protocol=4)
    refused(path)
    state["out_head1.weight"] = torch.zeros(1, 32, 1, 1).to_sparse_csr(dense_dim=2)
    torch.save(state, path)
    refused(path, "out_head1.weight")
    assert not [each for each in recwarn if "torch" in str(each.filename)]


# -- safetensors that are not ours


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_another_program(metadata, tmp_path, refused):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, path, metadata)
    refused(path, "safetensors", "description", ".pth")


def test_the_unchanged_native_file_opens(with_metadata):
    assert read_checkpoint(with_metadata()).config == ModelConfig()


@pytest.mark.parametrize("key", ["config", "preprocessing", "classes", "head", "history", "notes"])
@pytest.mark.parametrize("value", ["{", "", "5", "nonsense", None])
def test_damaged_metadata(key, value, with_metadata, refused):
    refused(with_metadata(**{key: value}), "description is damaged")


def test_metadata_nested_too_deeply(with_metadata, refused):
    refused(with_metadata(config="[" * 100_000), "damaged")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", '{"encoder": "resnet"}'),
        ("config", '{"encoder": ["pvt_v2_b0"]}'),
        ("config", '{"num_classes": "1"}'),
        ("config", '{"kernel_sizes": 3}'),
        ("config", '{"color\\nful": 3}'),
        ("preprocessing", '{"low": 5, "high": 1}'),
        ("preprocessing", '{"mean": [0.1, 0.2]}'),
        ("preprocessing", '{"size": "large"}'),
        ("classes", "[]"),
        ("classes", '[{"name": "a", "colour": "#ffffff"}, {"name": "b", "colour": "#ffffff"}]'),
        ("classes", '[{"name": "a", "colour": "mauve-ish"}]'),
        ("classes", '[{"name": null, "colour": "#ffffff"}]'),
        ("head", '"deepest"'),
        ("history", '"none"'),
        ("history", "[5]"),
        ("title", "5"),
        ("description", "null"),
        ("parent", "{}"),
        ("notes", "[1, {}]"),
        ("assumed", '[["a"]]'),
        ("classes", '[{"name": "a\\u001b[31m", "colour": "#ffffff"}]'),
        ("preprocessing", '{"size": Infinity}'),
        ("config", '{"kernel_sizes": [9999]}'),
    ],
)
def test_invalid_metadata(key, value, with_metadata, refused):
    refused(with_metadata(**{key: value}), "description is damaged")


@pytest.mark.parametrize(
    "config",
    [
        {"encoder": "pvt_v2_b1"},
        {"num_classes": 2},
        {"kernel_sizes": [1, 3]},
        {"kernel_sizes": [1, 3, 5, 7]},
        {"expansion_factor": 3},
        {"lgag_kernel_size": 1},
    ],
)
def test_a_native_config_that_contradicts_its_tensors(config, with_metadata, refused):
    classes = json.dumps([{"name": "a", "colour": "#ffffff"}])
    path = with_metadata(config=json.dumps({"encoder": "pvt_v2_b0"} | config), classes=classes)
    refused(path, "PVT-EMCAD-B")


# -- pickles that are more than tensors


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("how", ["os", "eval"])
@pytest.mark.parametrize("place", ["alone", "beside the weights", "nested"])
def test_code_in_a_pickle_does_not_run(zipped, how, place, save, state, tmp_path, refused):
    trace = tmp_path / "it_ran"
    payload = Payload(str(trace), how)
    content = {
        "alone": payload,
        "beside the weights": state | {"args": payload},
        "nested": {"model": state, "optimizer": {"state": [payload]}},
    }[place]
    path = save(content, zipped=zipped)
    refused(path, "would run code", "nothing was run")
    refused(path, "would run code", read=initialize_checkpoint)
    assert not trace.exists()


def test_the_code_of_these_tests_would_run(save, tmp_path):
    for how in ("os", "eval"):
        torch.load(save(Payload(str(tmp_path / how), how)), weights_only=False)
        assert (tmp_path / how).exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("module", [Net, lambda: nn.Linear(2, 2), lambda: nn.Sequential(Net())])
def test_a_pickled_module(module, zipped, save, refused):
    refused(save(module(), zipped=zipped), "pickled Python object", "state_dict()")


def test_a_torchscript_program(tmp_path, refused):
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("script/data.pkl", b"\x80\x02}.")
        archive.writestr("script/code/__torch__.py", "class Net(Module): ...")
    refused(path, "TorchScript", "state_dict()")


def test_a_zip_without_tensors(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "a.pth", "zip archive without tensors")


@pytest.mark.parametrize(
    "content", [{}, [], 5, "text", {"epoch": 3}, {"model": {}}, [torch.ones(3)], {"a\nb": 1}]
)
def test_pickles_without_named_tensors(content, save, refused):
    refused(save(content), "expected")


# -- tensors of something else


def test_another_network(save, refused):
    refused(save(thin({"encoder.weight": (3, 3), "decoder.weight": (3,)})), "unknown network")


def test_names_of_tensors_never_break_the_message(save, refused):
    refused(save(thin({"first\nsecond": (3, 3)})))


def test_a_resnet(resnet, save, refused):
    refused(save(thin(resnet)), "ResNet")


def test_an_emcad_decoder_on_a_resnet(resnet, state, save, refused):
    decoder = {k: v for k, v in state.items() if not k.startswith("backbone.")}
    refused(save(decoder | thin({f"backbone.{k}": v for k, v in resnet.items()})), "ResNet encoder")


def test_a_kan_variant(state, save, refused):
    kan = {k.replace("mscb4.0.pconv1", "kan4.layers"): v for k, v in state.items()}
    refused(save(kan), "KAN")


def test_another_decoder_on_pvt(state, save, refused):
    body = {k: v for k, v in state.items() if k.startswith("backbone.")}
    refused(save(body | thin({"decoder.up4.weight": (3, 3)})), "not the EMCAD decoder")


def test_an_emcad_decoder_alone(state, save, refused):
    refused(
        save({k: v for k, v in state.items() if k.startswith("decoder.")}), "decoder", "encoder"
    )


@pytest.mark.parametrize(
    "missing",
    [
        ["decoder.sab.conv.weight"],
        ["backbone.norm4.weight", "backbone.norm4.bias"],
        ["out_head3.weight", "out_head3.bias"],
        ["conv.1.num_batches_tracked"],
    ],
)
def test_an_emcad_without_some_tensors(missing, state, save, refused):
    for name in missing:
        del state[name]
    refused(save(state), f"without {len(missing)} of its 407 tensors", missing[0])


@pytest.mark.parametrize(
    "name",
    ["out_head1.weight", "decoder.mscb4.0.pconv1.0.weight", "backbone.block3.1.norm1.weight"],
)
def test_an_emcad_without_a_characteristic_tensor(name, state, save, refused):
    del state[name]
    refused(save(state))


def test_an_emcad_with_a_tensor_of_another_shape(state, save, refused):
    state["decoder.sab.conv.weight"] = torch.zeros(1, 2, 3, 3)
    refused(save(state), "decoder.sab.conv.weight", "(1, 2, 3, 3)", "(1, 2, 7, 7)")


@pytest.mark.parametrize(
    "name", ["decoder.mscb4.0.pconv1.0.weight", "out_head1.weight", "decoder.lgag3.W_g.0.weight"]
)
@pytest.mark.parametrize("shape", [(0, 0, 0, 0), (5, 1, 1, 1), (7, 256, 2, 2), (3,), ()])
def test_characteristic_tensors_of_odd_shapes(name, shape, state, save, refused):
    state[name] = torch.zeros(shape)
    refused(save(state))


def test_an_emcad_with_more_tensors(state, save, refused):
    more = {"decoder.refine.weight": (3, 3), "backbone.block5.0.norm1.weight": (3,)}
    refused(save(state | thin(more)), "2 tensors that such a network does not have")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_weights_that_are_not_finite(value, kind, state, save, refused):
    state["out_head2.bias"] = torch.tensor([value]).to(kind)
    refused(save(state), "out_head2.bias", "not finite")


def test_weights_that_are_not_finite_once_they_are_float32(state, save, refused):
    state["out_head2.bias"] = torch.tensor([1e300], dtype=torch.float64)
    refused(save(state), "out_head2.bias", "float32 cannot hold")


def test_a_variance_below_0(state, save, refused):
    name = "decoder.lgag3.psi.1.running_var"
    state[name] = torch.full_like(state[name], -1e-3)
    refused(save(state), name, "variances below 0")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(1, dtype=torch.complex64),
        torch.ones(1, dtype=torch.bool),
        torch.ones(1, dtype=torch.int32),
        torch.ones(1).to(torch.float8_e4m3fn),
    ],
    ids=["complex", "bool", "whole numbers", "float8"],
)
def test_weights_that_are_not_plain_numbers(tensor, state, save, refused):
    state["out_head1.bias"] = tensor
    refused(save(state), "out_head1.bias")


# -- a bare encoder


@pytest.fixture
def encoder_file(state, save):
    """Return a PVTv2 release file in its original names."""
    body = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    assert len(body) == 176
    return save(body | thin({"head.weight": (1000, 256), "head.bias": (1000,)}), "pvt_v2_b0.pth")


def test_a_bare_encoder_offers_to_start_from_it(encoder_file, refused):
    refused(encoder_file, "encoder alone", "initialize_checkpoint", kind=EncoderOnlyError)


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_a_network_starts_from_original_names(prefix, encoder_file, state, save, tmp_path):
    body = torch.load(encoder_file, weights_only=True)
    started = initialize_checkpoint(save({prefix + k: v for k, v in body.items()}), num_classes=3)
    assert started.config == ModelConfig(num_classes=3)
    assert started.origin.format == "new"
    write_checkpoint(started, tmp_path / "s.pth")
    written = torch.load(tmp_path / "s.pth", weights_only=True)
    for name, tensor in state.items():
        if name.startswith("backbone."):
            assert torch.equal(written[name], tensor), name


def test_a_network_starts_from_timms_names(save, refused):
    import timm

    torch.manual_seed(1)
    whole = timm.create_model("pvt_v2_b0").eval()
    path = save(whole.state_dict())
    refused(path, "initialize_checkpoint", kind=EncoderOnlyError)
    encoder, image = initialize_checkpoint(path).network().encoder, torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(image)[-1], whole.forward_features(image))


def test_the_weights_of_a_new_network_depend_on_the_seed():
    one, same, other = (initialize_checkpoint(seed=seed) for seed in (0, 0, 1))
    names = ("heads.stage1.weight", "encoder.patch_embed.proj.weight")
    for name in names:
        np.testing.assert_array_equal(one.tensors[name], same.tensors[name])
        assert not np.array_equal(one.tensors[name], other.tensors[name])
    assert "Untrained" in one.notes[0]


def test_starting_draws_nothing_from_the_callers_random_numbers():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initialize_checkpoint()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("change", ["missing", "other shape", "surplus", "not finite"])
def test_an_incomplete_encoder_is_refused(change, encoder_file, save, refused):
    body = torch.load(encoder_file, weights_only=True)
    if change == "missing":
        del body["norm4.weight"]
    elif change == "other shape":
        body["norm4.weight"] = torch.ones(5)
    elif change == "surplus":
        body["block5.weight"] = torch.ones(5)
    else:
        body["norm4.weight"] = torch.full((256,), torch.nan)
    refused(save(body), read=initialize_checkpoint)


def test_another_encoder_than_the_files_is_refused(encoder_file):
    with pytest.raises(CheckpointError, match=r"is the encoder pvt_v2_b0, not pvt_v2_b1; .*\.$"):
        initialize_checkpoint(encoder_file, encoder="pvt_v2_b1")
    assert initialize_checkpoint(encoder_file, encoder="pvt_v2_b0").config == ModelConfig()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0; it must be 1 to 65535"),
        ({"encoder": ["b0"]}, "encoder"),
        ({"clases": 3}, "A network has no clases; possible are activation"),
    ],
    ids=str,
)
def test_an_impossible_network_is_refused(config, message):
    with pytest.raises(CheckpointError, match=message):
        initialize_checkpoint(**config)


def test_a_checkpoint_is_no_encoder_to_start_from(state, save, refused):
    refused(save(state), "not a PVTv2 encoder", read=initialize_checkpoint)


def test_refusals_leave_no_temporary_file(save, state, tmp_path):
    del state["out_head1.weight"]
    path = save(state)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    assert sorted(tmp_path.iterdir()) == before
