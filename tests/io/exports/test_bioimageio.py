"""Model packages pass the test of bioimageio.core; what bioimage.io lacks is refused."""

from __future__ import annotations

from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
import yaml

import napari_emcad as ne
from napari_emcad.io.exports.processing import preprocessing_operations


@pytest.fixture
def gray_checkpoint(tiny_encoder):
    """Return a random network for gray CT images with two classes and the background."""
    checkpoint = ne.initialize_checkpoint(
        encoder=tiny_encoder, num_classes=3, input_channels=1, seed=2
    )
    preprocessing = ne.Preprocessing("range", -125, 275, mean=0.3, std=0.2)
    return replace(checkpoint, preprocessing=preprocessing, head="sum", title="CT: é")


def run_test_of_bioimageio(path):
    """Return the summary of bioimage.io's own test of a package."""
    pytest.importorskip("onnxscript")
    pydantic = pytest.importorskip("pydantic")
    if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 14):
        pytest.skip("bioimageio.spec 0.5.12 cannot read files with pydantic 2.14")
    return pytest.importorskip("bioimageio.core").test_model(path)


# bioimageio.spec leaves files open
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow("src/napari_emcad/io", "src/napari_emcad/model")
@pytest.mark.parametrize("kind", ["color", "gray"])
def test_packages_pass_the_test_of_bioimageio(kind, tiny_checkpoint, gray_checkpoint, tmp_path):
    pytest.importorskip("onnxscript")
    checkpoint = tiny_checkpoint.override(zoom=1) if kind == "color" else gray_checkpoint
    path = tmp_path / "package.zip"
    ne.export_bioimageio(checkpoint, path, authors=["A. Person"], license="CC0-1.0")
    with ZipFile(path) as package:
        description = yaml.safe_load(package.read("bioimageio.yaml"))
        probabilities = np.load(package.open("output.npy"))
    assert description["license"] == "CC0-1.0"
    assert np.ptp(probabilities) > 0  # a test with one value alone would test little
    channels = description["outputs"][0]["axes"][1]["channel_names"]
    names = [label.name for label in checkpoint.classes]
    assert channels == (names if kind == "color" else ["background", *names])
    summary = run_test_of_bioimageio(path)
    assert summary.status == "passed", summary.format()


def test_preprocessing_in_terms_of_bioimageio(tiny_checkpoint, gray_checkpoint):
    ranged = {op["id"]: op.get("kwargs") for op in preprocessing_operations(gray_checkpoint)}
    assert list(ranged) == [
        "ensure_dtype",
        "scale_linear",
        "clip",
        "fixed_zero_mean_unit_variance",
    ]
    assert ranged["scale_linear"] == {"gain": 1 / 400, "offset": 125 / 400}
    every = tiny_checkpoint.override(mean=(1, 2, 3), std=(1, 1, 2))
    separate = replace(every, preprocessing=replace(every.preprocessing, pool_channels="none"))
    operations = {op["id"]: op.get("kwargs") for op in preprocessing_operations(separate)}
    assert operations["scale_range"]["axes"] == ["y", "x"]
    assert operations["fixed_zero_mean_unit_variance"]["axis"] == "channel"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"zoom": 1, "size": 352}, r"cannot resize images to 352 × 352: export it as ONNX"),
        ({"over": "stack"}, "cannot take percentiles over a whole stack: .* over=slice"),
        ({"low": 0, "high": 0.5}, r"cannot have an upper percentile of 0\.5"),
        ({"std": 1e-9}, "cannot have a standard deviation below 1e-06"),
    ],
)
def test_what_bioimageio_lacks_is_refused(tiny_checkpoint, tmp_path, settings, names):
    with pytest.raises(ne.CheckpointError, match=names):
        ne.export_bioimageio(tiny_checkpoint.override(**settings), tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())
