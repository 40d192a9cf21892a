"""Exported networks compute what the checkpoint computes; what cannot be exported is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import napari_emcad as ne
from napari_emcad.cli import main
from napari_emcad.imaging.intensity import normalize, standardize, value_range
from napari_emcad.io.images.samples import read_sample
from napari_emcad.model.export import UnsupportedZoomError, side_step


def real_image(checkpoint, height=256, width=320):
    """Return a part of a sample image as input of the network, ``(1, 3, H, W)``."""
    pixels = np.moveaxis(read_sample("nuclei_colour"), -1, 0)
    mirrored = np.pad(pixels, ((0, 0), (0, height), (0, width)), "reflect")[:, :height, :width]
    values = value_range(mirrored, checkpoint.preprocessing)
    planes = normalize(mirrored, values, checkpoint.preprocessing)
    return torch.from_numpy(standardize(planes, checkpoint.preprocessing))[None]


def expected(checkpoint, batch):
    """Return the logits of the checkpoint itself."""
    with torch.inference_mode():
        zoom = checkpoint.preprocessing.zoom
        return checkpoint.network().predict(batch, checkpoint.head, zoom).numpy()


def check_onnx(checkpoint, path, sizes):
    """Check an ONNX file against the checkpoint on a real image; return its metadata."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    for batch, height, width in sizes:
        images = real_image(checkpoint, height, width).repeat(batch, 1, 1, 1)
        (logits,) = session.run(["logits"], {"image": images.numpy()})
        np.testing.assert_allclose(logits, expected(checkpoint, images), rtol=0, atol=1e-4)
    return session.get_modelmeta().custom_metadata_map


@pytest.mark.slow("src/napari_emcad/io", "src/napari_emcad/model")
def test_onnx_computes_what_the_checkpoint_does(tiny_checkpoint, tmp_path):
    pytest.importorskip("onnxscript")
    checkpoint = replace(tiny_checkpoint.override(zoom=1), head="sum")
    path = tmp_path / "tiny.onnx"
    ne.export_onnx(checkpoint, path)
    metadata = check_onnx(checkpoint, path, [(1, 256, 320), (3, 64, 96), (1, 512, 64)])
    preprocessing = json.loads(metadata["preprocessing"])
    assert ne.Preprocessing.from_dict(preprocessing) == checkpoint.preprocessing
    assert json.loads(metadata["input"])["side_multiple"] == 32
    assert json.loads(metadata["output"])["activation"] == "sigmoid"
    assert "Subtract the mean [0.45]" in metadata["preprocessing_steps"]
    assert [c["name"] for c in json.loads(metadata["classes"])] == ["nucleus"]
    content = path.read_bytes()
    assert b"site-packages" not in content  # no paths of this computer
    assert b"napari_emcad/model" not in content


@pytest.mark.slow("src/napari_emcad/io", "src/napari_emcad/model")
def test_bundled_model_is_exported_with_its_zoom(tmp_path, capsys):
    pytest.importorskip("onnxscript")
    checkpoint = ne.bundled_checkpoint()
    path = tmp_path / "nuclei.onnx"
    assert main(["export", "--format", "onnx", "--output", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    metadata = check_onnx(checkpoint, path, [(1, 256, 320), (2, 128, 192)])
    assert json.loads(metadata["input"])["side_multiple"] == 64


@pytest.mark.slow("src/napari_emcad/io", "src/napari_emcad/model")
def test_program_computes_what_the_checkpoint_does(tiny_checkpoint, tmp_path):
    checkpoint = tiny_checkpoint.override(zoom=1)
    path = tmp_path / "tiny.pt2"
    ne.export_program(checkpoint, path)
    files = {"napari_emcad.json": ""}
    program = torch.export.load(path, extra_files=files).module()
    for batch, height, width in [(1, 256, 320), (3, 64, 96)]:
        images = real_image(checkpoint, height, width).repeat(batch, 1, 1, 1)
        with torch.inference_mode():
            logits = program(images).numpy()
        np.testing.assert_allclose(logits, expected(checkpoint, images), rtol=0, atol=1e-5)
    assert json.loads(files["napari_emcad.json"])["input"]["least_side"] == 64
    assert b"site-packages" not in path.read_bytes()


@pytest.mark.parametrize(
    ("zoom", "step"), [(1.0, 32), (1.5, 64), (2.0, 16), (0.5, 64), (1.25, 128), (0.125, 256)]
)
def test_sides_fit_the_zoom(zoom, step):
    assert side_step(zoom) == step
    assert step * zoom % 32 == 0


def test_a_zoom_without_practical_sizes_is_refused(tiny_checkpoint, tmp_path):
    with pytest.raises(UnsupportedZoomError, match=r"A zoom of 1\.37 .* zoom=1\.5"):
        ne.export_program(tiny_checkpoint.override(zoom=1.37), tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


def test_other_things_than_checkpoints_are_refused(tmp_path):
    with pytest.raises(TypeError, match="read_checkpoint"):
        ne.export_onnx("model.pth", tmp_path / "a.onnx")


def test_instant_models_are_refused(tmp_path, capsys):
    image = np.zeros((64, 64), np.uint8)
    image[20:40, 20:40] = 200
    strokes = np.zeros((64, 64), np.uint8)
    strokes[25:35, 25:35], strokes[:10] = 1, 255
    model = ne.fit_instant([image], [strokes], "YX")
    for write, name in [
        (ne.export_onnx, "a.onnx"),
        (ne.export_program, "a.pt2"),
        (ne.export_bioimageio, "a.zip"),
    ]:
        with pytest.raises(
            ne.CheckpointError, match=r"instant model cannot be exported.*fine_tune"
        ):
            write(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("write", "suffix"),
    [(ne.export_onnx, ".onnx"), (ne.export_program, ".pt2"), (ne.export_bioimageio, ".zip")],
)
def test_the_extension_is_checked(tiny_checkpoint, tmp_path, write, suffix):
    with pytest.raises(ne.CheckpointError, match=f"must end in \\{suffix}"):
        write(tiny_checkpoint, tmp_path / "model.safetensors")


@pytest.mark.parametrize("library", ["onnx", "onnxscript"])
def test_a_missing_library_is_named_with_its_command(
    tiny_checkpoint, tmp_path, monkeypatch, library
):
    for earlier in ("onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, earlier, sys)  # whether or not it is installed
    monkeypatch.setitem(sys.modules, library, None)
    command = rf'package {library}, .* python -m pip install "napari-emcad\[export\]"'
    with pytest.raises(ValueError, match=command):
        ne.export_onnx(tiny_checkpoint, tmp_path / "a.onnx")


def test_command_line_refuses_before_it_computes(tmp_path, capsys):
    path = tmp_path / "a.onnx"
    path.touch()
    arguments = ["export", "--format", "onnx", "--output", str(path)]
    assert main(arguments) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite", "--author", "A"]) == 2
    assert "are for --format bioimageio" in capsys.readouterr().err
    assert main(["export", "--format", "torch", "--output", str(tmp_path / "b.onnx")]) == 2
    assert "must end in .pt2" in capsys.readouterr().err
