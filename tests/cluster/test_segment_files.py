"""Files that a cluster writes equal those of a single process, at any cut into parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_emcad import CleanUp, InferenceSettings, segment
from napari_emcad.cluster.layout import Layout
from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.cluster.segment_files import segment_files, segment_files_job
from napari_emcad.imaging.link_objects import LinkSettings, link_objects
from napari_emcad.io.images.read import read_image
from napari_emcad.io.segment_run import run_folder
from napari_emcad.pipelines.write_segmentation import write_segmentation


def compute(files, request, scheduler, check=lambda files: None):
    folder = run_folder(files[0].output, is_folder=False)
    return list(segment_files_job(files, request, folder, None, scheduler, check))


def expected(path, output, request):
    """Write what a single process computes."""
    image = read_image(path)
    result = segment(image.pixels, request.model, image.axes, settings=request.settings)
    if request.link is not None:
        labels, _ = link_objects(
            result.labels,
            result.axes,
            overlap=request.link.overlap,
            gap=request.link.gap,
            classes=result.summary.object_classes,
        )
        result = replace(result, labels=labels)
    write_segmentation(result, output, image)
    return output


def contents(path):
    """Return the bytes of a file, or of all files of a folder by name."""
    if path.is_file():
        return path.read_bytes()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


CASES = {
    "plain": {},
    "areas": {"clean_up": CleanUp(fill_holes=30, smallest_object=20)},
    "objects": {"clean_up": CleanUp(separate=True)},
    "stretched": {"stretch": True, "probabilities": True},
    "probabilities": {"probabilities": True, "batch": 3},
}


@pytest.mark.parametrize("layout", [Layout(3), Layout(1, 67)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_tiff_equals_that_of_a_single_process(
    tmp_path, scheduler, tiny_checkpoint, discs, layout, case
):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, discs(4, 110, 90), metadata={"axes": "ZYX"})
    settings = InferenceSettings("cpu", 64, **CASES[case])
    request = FilesRequest(tiny_checkpoint, settings, layout=layout)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = expected(path, tmp_path / "a" / "stack_labels.tif", request)
    files = [ImageFile(path, tmp_path / "b" / "stack_labels.tif")]
    compute(files, request, scheduler)
    assert contents(whole.parent) == contents(tmp_path / "b")


@pytest.mark.parametrize("extension", ["npy", "png", "nii.gz", "zarr", "mha"])
@pytest.mark.parametrize("case", ["plain", "objects"])
def test_every_format_equals_that_of_a_single_process(
    tmp_path, scheduler, tiny_checkpoint, discs, extension, case
):
    path = tmp_path / "flat.npy"
    np.save(path, discs(150, 130))
    request = FilesRequest(tiny_checkpoint, InferenceSettings("cpu", 64, **CASES[case]))
    whole = expected(path, tmp_path / f"a.{extension}", request)
    output = tmp_path / f"b.{extension}"
    compute([ImageFile(path, output)], request, scheduler)
    assert contents(output) == contents(whole)


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
@pytest.mark.parametrize("layout", [Layout(1, 1024), Layout(1)], ids=str)
@pytest.mark.parametrize("case", ["plain", "areas"])
def test_workers_write_the_chunks_of_ome_zarr(
    tmp_path, scheduler, tiny_checkpoint, discs, layout, case
):
    path = tmp_path / "large.npy"
    np.save(path, discs(2, 2500, 300))
    settings = InferenceSettings("cpu", 256, **CASES[case])
    request = FilesRequest(tiny_checkpoint, settings, axes="ZYX", layout=layout)
    image = read_image(path)
    result = segment(image.pixels, tiny_checkpoint, "ZYX", settings=settings)
    write_segmentation(result, tmp_path / "a.zarr", image)
    compute([ImageFile(path, tmp_path / "b.zarr")], request, scheduler)
    assert contents(tmp_path / "b.zarr") == contents(tmp_path / "a.zarr")


@pytest.mark.parametrize("layout", [Layout(1), Layout(2), Layout(1, 64)], ids=str)
def test_objects_are_linked_as_in_one_piece(tmp_path, scheduler, tiny_checkpoint, discs, layout):
    stack = np.repeat(discs(2, 1, 100, 90), 3, axis=1)
    stack[:, 1] = np.roll(stack[:, 1], 2, axis=-1)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "TZYX"})
    settings = InferenceSettings("cpu", 64, clean_up=CleanUp(separate=True))
    request = FilesRequest(tiny_checkpoint, settings, link=LinkSettings(0.3), layout=layout)
    whole = expected(path, tmp_path / "a.tif", request)
    compute([ImageFile(path, tmp_path / "b.tif")], request, scheduler)
    assert tifffile.imread(whole).max() > 4
    assert contents(tmp_path / "b.tif") == contents(whole)


@pytest.mark.parametrize("over", ["slice", "stack"])
def test_ranges_of_intensity_are_those_of_the_whole(
    tmp_path, scheduler, tiny_checkpoint, discs, over
):
    stack = discs(3, 150, 130).astype(np.uint16) * 7
    stack[:, 100:] += 900
    stack[2] //= 2
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "ZYX"})
    model = tiny_checkpoint.override(intensity="percentile", low=1, high=99, over=over)
    settings = InferenceSettings("cpu", 64, probabilities=True)
    request = FilesRequest(model, settings, layout=Layout(1, 60))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected(path, tmp_path / "a" / "s.tif", request)
    compute([ImageFile(path, tmp_path / "b" / "s.tif")], request, scheduler)
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


def test_columns_may_come_before_rows(tmp_path, scheduler, tiny_checkpoint, discs):
    path = tmp_path / "stack.npy"
    np.save(path, discs(3, 100, 90))
    settings = InferenceSettings("cpu", 64, probabilities=True)
    request = FilesRequest(tiny_checkpoint, settings, axes="YXZ", layout=Layout(7))
    image = read_image(path)
    result = segment(image.pixels, tiny_checkpoint, "YXZ", settings=settings)
    compute([ImageFile(path, tmp_path / "b_labels.npy")], request, scheduler)
    np.testing.assert_array_equal(np.load(tmp_path / "b_labels.npy"), result.labels)
    probabilities = tifffile.imread(tmp_path / "b_probabilities.tif")
    np.testing.assert_array_equal(probabilities, result.probabilities)


def test_many_images_are_segmented_by_one_call(tmp_path, scheduler, tiny_checkpoint, discs):
    files = {}
    for n in range(5):
        np.save(tmp_path / f"{n}.npy", discs(80, 90, seed=n))
        files[tmp_path / f"{n}.npy"] = tmp_path / "out" / f"{n}.npy"
    done = segment_files(files, tiny_checkpoint, scheduler=scheduler, tile=64)
    assert sorted(done.outputs) == sorted(files.values())
    assert not done.failed
    for path, output in files.items():
        labels = segment(np.load(path), tiny_checkpoint, tile=64).labels
        np.testing.assert_array_equal(np.load(output), labels)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{n}.npy" for n in range(5)
    ]
