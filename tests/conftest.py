"""Configuration of all tests: private settings, and Triton loaded before any OpenGL canvas."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.mkdtemp(prefix="napari-emcad-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_HOME) / "settings.yaml")
os.environ["XDG_CONFIG_HOME"] = _HOME
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads slow small images down
os.environ.setdefault("NAPARI_EMCAD_CPU_BFLOAT16", "0")  # the same numbers on every computer

from hypothesis import HealthCheck, settings  # noqa: E402

for name in ("fixed", "full"):  # which has more examples, see property_tests.py
    settings.register_profile(
        name, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.register_profile("fuzz", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

import slow_selection  # noqa: E402
from slow_selection import pytest_addoption, pytest_collection_modifyitems  # noqa: E402, F401

from napari_emcad.model import triton_preload  # noqa: E402, F401  (before the first GL canvas)


def pytest_configure(config):
    """Record slow tests, and ignore a false alarm of hypothesis on Python 3.14."""
    slow_selection.pytest_configure(config)
    config.addinivalue_line(
        "filterwarnings",
        "ignore:It looks like `register_random`:hypothesis.errors.HypothesisWarning",
    )


@pytest.fixture
def with_bfloat16(monkeypatch):
    """Let the CPU compute in bfloat16, which is slow without instructions for it."""
    monkeypatch.setenv("NAPARI_EMCAD_CPU_BFLOAT16", "1")


@pytest.fixture(autouse=True, scope="session")
def frozen_heap():
    """Take what is imported out of garbage collection, which takes 0.5 s with torch loaded.

    The package collects garbage when memory runs out, napari with every removed layer.
    """
    import timm
    import torch

    assert all((timm, torch))
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def tiny_encoder():
    """Register an encoder for tests of what is done with a network, and return its name."""
    from tiny_encoder import TINY

    from napari_emcad.model.encoders import ENCODERS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, TINY.name, TINY)
        yield TINY.name


@pytest.fixture(scope="module")
def tiny_checkpoint(tiny_encoder):
    """Return the bundled checkpoint with a tiny network, which segments bright discs as well."""
    from dataclasses import replace

    from napari_emcad import bundled_checkpoint, read_checkpoint

    tiny = read_checkpoint(Path(__file__).parent / "golden" / "tiny.safetensors")
    return replace(bundled_checkpoint(), config=tiny.config, tensors=tiny.tensors)


@pytest.fixture(scope="module")
def tiny_bundled(tiny_checkpoint, tmp_path_factory):
    """Let the package come with the tiny checkpoint, as its model and as its general network."""
    from napari_emcad.io.checkpoints import files, general

    package = tmp_path_factory.mktemp("package") / "napari_emcad"
    (package / "assets").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for module, path in ((files, files._BUNDLED), (general, f"assets/{general._FILE}")):
            files.write_checkpoint(tiny_checkpoint, package / path, half=True)
            patch.setattr(module, "files", lambda _: package)
        yield


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory):
    """Return a native file of an untrained network with two classes and the background."""
    from napari_emcad import initialize_checkpoint, write_checkpoint

    path = tmp_path_factory.mktemp("network") / "two.safetensors"
    started = initialize_checkpoint(num_classes=3, seed=3)
    write_checkpoint(started.override(classes=("nucleus", "debris"), size=None), path, half=True)
    return path


@pytest.fixture(scope="session")
def write_series():
    """Return a function that writes an array ``(planes, rows, columns)`` as a DICOM series."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    def plane(path, pixels, position, directions, spacing, **attributes):
        import numpy as np

        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        uid = generate_uid()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.Modality, dataset.PatientID = "CT", "P1"
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        color = pixels.ndim == 3
        dataset.SamplesPerPixel = 3 if color else 1
        dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
        if color:
            dataset.PlanarConfiguration = 0
        bits = 8 * pixels.dtype.itemsize
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        if position is not None:
            dataset.ImagePositionPatient = [f"{value:.9g}" for value in position]
            dataset.ImageOrientationPatient = [f"{value:.9g}" for value in np.ravel(directions)]
        if spacing is not None:
            dataset.PixelSpacing = list(spacing)
        name = "OB" if bits == 8 else "OW"
        dataset.add_new("PixelData", name, pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
        for key, value in attributes.items():
            setattr(dataset, key, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return dataset

    def write_series(
        folder,
        array,
        directions=((1, 0, 0), (0, 1, 0)),
        spacing=(0.7, 0.8),
        step=2.5,
        origin=(-10.0, 20.0, 30.0),
        places=None,
        extension=".dcm",
        first=0,
        **attributes,
    ):
        import numpy as np

        normal = np.cross(*directions)
        attributes = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": 1} | attributes
        places = range(len(array)) if places is None else places
        for number, (pixels, place) in enumerate(zip(array, places, strict=True)):
            position = None if step is None else origin + normal * step * place
            path = folder / f"I{(number * 7 + first) % 1000:04}{extension}"
            plane(
                path, pixels, position, directions, spacing, InstanceNumber=number + 1, **attributes
            )
        return folder

    write_series.plane = plane
    return write_series
