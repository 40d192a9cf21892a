"""Medical volumes on the command line: labels go back where the image lies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_emcad import cli, initialize_checkpoint, read_checkpoint, segment, write_checkpoint
from napari_emcad.io.images.read import read_image

pytestmark = pytest.mark.usefixtures("tiny_bundled")

if TYPE_CHECKING:
    from pathlib import Path

nib = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")
h5py = pytest.importorskip("h5py")

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.1, -0.2, 0.15) @ np.diag([0.78, -0.77, 2.45]), [120.0, -80.0, 33.0]
)


@pytest.fixture(scope="session")
def organs(tmp_path_factory, ct) -> Path:
    """Return a network with one input and nine classes, the background among them.

    It is untrained; its biases are such that no class is favored.
    """
    path = tmp_path_factory.mktemp("network") / "organs.safetensors"
    names = ("aorta", "gallbladder", "kidney l", "kidney r", "liver", "pancreas", "spleen", "colon")
    start = initialize_checkpoint(num_classes=9, input_channels=1, seed=1)
    start = start.override(classes=names, size=None)
    found = segment(ct.T, start, "ZYX", probabilities=True).probabilities
    mean = np.log(found).mean(axis=(1, 2, 3))
    bias = start.tensors["heads.stage1.bias"] - mean
    tensors = {**start.tensors, "heads.stage1.bias": bias}
    write_checkpoint(replace(start, tensors=tensors), path)
    return path


@pytest.fixture(scope="session")
def ct() -> np.ndarray:
    """Return a volume ``(columns, rows, slices)`` of int16 in Hounsfield units."""
    random = np.random.default_rng(0)
    coarse = random.integers(-1024, 3072, (6, 5, 4))
    return coarse.repeat(12, 0).repeat(12, 1).astype("i2")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capfd, organs):
    """Return a function that segments: exit status, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = cli.main(["segment", *map(str, arguments), "--checkpoint", str(organs)])
        messages = capfd.readouterr()
        return status, messages.out, messages.err

    return run


def expected_labels(ct: np.ndarray, affine: np.ndarray, organs: Path) -> np.ndarray:
    """Return the labels of axial slices, in the order of the file, by nibabel's orientations."""
    orientations = nib.orientations
    start = orientations.io_orientation(affine)
    turn = orientations.ornt_transform(start, orientations.axcodes2ornt("LPS"))
    back = orientations.ornt_transform(orientations.axcodes2ornt("LPS"), start)
    axial = orientations.apply_orientation(ct, turn).T
    labels = segment(axial, read_checkpoint(organs), "ZYX").labels
    return orientations.apply_orientation(labels.T, back)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_ct_volume_gets_labels_to_the_voxel(order, run, folder, ct, organs):
    affine = OBLIQUE.copy()
    affine[:, :3] = affine[:, list(order)]
    voxels = ct.transpose(order)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / "ct.nii.gz")
    status, out, err = run("ct.nii.gz")
    assert (status, out.splitlines()) == (0, ["ct_labels.nii.gz"])
    assert "axial slices" in err
    written, original = nib.load("ct_labels.nii.gz"), nib.load("ct.nii.gz")
    assert written.shape == original.shape
    np.testing.assert_array_equal(written.affine, original.affine)
    for name in ("qform_code", "sform_code", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(written.header[name], original.header[name])
    assert written.get_data_dtype() == np.uint8
    labels = np.asarray(written.dataobj)
    assert len(np.unique(labels)) > 2
    np.testing.assert_array_equal(labels, expected_labels(voxels, affine, organs))
    assert b"1 aorta" in written.header["descrip"].item()


@pytest.mark.parametrize("extension", ["nii", "nrrd", "mha", "mgz"])
def test_labels_are_of_the_kind_of_the_image(extension, run, folder, ct, organs):
    if extension == "mgz":
        nib.save(nib.MGHImage(ct, OBLIQUE), "a.mgz")
    else:
        nib.save(nib.Nifti1Image(ct, OBLIQUE), "a.nii")
        sitk.WriteImage(sitk.ReadImage("a.nii"), f"a.{extension}")
    status, out, _ = run(f"a.{extension}")
    assert (status, out.strip()) == (0, f"a_labels.{extension}")
    expected = expected_labels(ct, OBLIQUE, organs)
    if extension == "mgz":
        np.testing.assert_array_equal(np.asarray(nib.load("a_labels.mgz").dataobj), expected)
        return
    written, image = sitk.ReadImage(f"a_labels.{extension}"), sitk.ReadImage(f"a.{extension}")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), expected.T)
    np.testing.assert_allclose(written.GetDirection(), image.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(written.GetOrigin(), image.GetOrigin(), atol=1e-4)


def test_a_dicom_series_gives_nifti_in_its_place(run, folder, ct, organs, write_series):
    array = ct.T + np.int16(0)
    write_series(folder / "scan", array.astype("i2"))
    status, out, _ = run("scan")
    assert (status, out.strip()) == (0, "scan_labels.nii.gz")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames("scan"))
    image, written = reader.Execute(), sitk.ReadImage("scan_labels.nii.gz")
    labels = segment(sitk.GetArrayFromImage(image), read_checkpoint(organs), "ZYX").labels
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), labels)
    np.testing.assert_allclose(written.GetDirection(), image.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(written.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(written.GetSpacing(), image.GetSpacing(), rtol=1e-5)


def test_a_dicom_series_gives_a_segmentation_if_asked(run, folder, ct, organs, write_series):
    highdicom = pytest.importorskip("highdicom")
    study = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "SliceThickness": 2.5}
    write_series(folder / "scan", ct.T + np.int16(0), places=[2, 0, 3, 1], **study)
    status, out, err = run("scan", "--format", "dcm", "--probabilities")
    assert (status, out.strip()) == (0, "scan_labels.dcm"), err
    assert run("scan", "--output", "scan.nii.gz")[0] == 0
    written = highdicom.seg.segread("scan_labels.dcm")
    names = [written.get_segment_description(n).segment_label for n in written.segment_numbers]
    assert names == [label.name for label in read_checkpoint(organs).classes]
    volume = written.get_volume(combine_segments=True)
    expected = sitk.GetArrayFromImage(sitk.ReadImage("scan.nii.gz"))
    step = 1 if volume.affine[2, 0] > 0 else -1  # highdicom may count planes to the feet
    np.testing.assert_array_equal(volume.array[::step], expected)
    assert (folder / "scan_probabilities.nii.gz").exists()
    assert run("scan", "--format", "dcm", "--separate", "--overwrite")[0] == 0
    assert "object 1 = 1" in read_image(folder / "scan_labels.dcm").note


@pytest.mark.parametrize("name", ["IM1", "IM1.IMA", "1.2.3", "IM1.dcm"])
def test_labels_of_a_dicom_file_of_any_name_keep_its_place(name, run, folder, ct, write_series):
    write_series(folder / "scan", ct.T[:1] + np.int16(0))
    next((folder / "scan").iterdir()).rename(folder / name)
    status, out, _ = run(name)
    assert status == 0
    assert out.strip().endswith("_labels.nii.gz")


def test_a_segmentation_that_cannot_be_written_is_refused_first(run, folder, ct, write_series):
    write_series(folder / "scan", ct.T)
    status, out, err = run("scan", "--format", "dcm")
    assert (status, out) == (2, "")
    assert "StudyInstanceUID" in err
    assert "of 4" not in err  # nothing was computed


def test_all_series_or_the_chosen_one(run, folder, ct, write_series):
    for number, name in ((2, "Arterial phase"), (5, "Portal/venous")):
        write_series(
            folder / "scan", ct.T[:2] + np.int16(number), first=number, SeriesNumber=number,
            SeriesDescription=name,
        )  # fmt: skip
    status, out, err = run("scan")
    assert status == 0
    assert out.split() == [
        "scan_2_Arterial_phase_labels.nii.gz",
        "scan_5_Portal_venous_labels.nii.gz",
    ]
    assert "2: CT, Arterial phase, patient P1, 72 × 60 × 2" in err
    status, out, _ = run("scan", "--series", "5", "--output", "one.nii")
    assert (status, out.strip()) == (0, "one.nii")
    status, out, err = run("scan", "--series", "7", "--output", "two.nii")
    assert (status, out) == (2, "")
    assert "no series 7" in err


def test_other_formats_and_planes(run, folder, ct):
    nib.save(nib.Nifti1Image(ct, OBLIQUE), "a.nii.gz")
    for extension in ("nii", "nrrd", "mha"):
        status, out, _ = run("a.nii.gz", "--format", extension, "--overwrite")
        assert (status, out.strip()) == (0, f"a_labels.{extension}")
    results = [
        sitk.GetArrayFromImage(sitk.ReadImage(f"a_labels.{e}")) for e in ("nii", "nrrd", "mha")
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    status, _, err = run(
        "a.nii.gz", "--slices", "coronal", "--output", "c.nii.gz", "--probabilities"
    )
    assert status == 0
    assert "coronal slices" in err
    assert nib.load("c.nii.gz").shape == ct.shape
    assert nib.load("c_probabilities.nii.gz").shape == (*ct.shape, 9)


def test_arrays_by_name(run, folder, ct, organs):
    with h5py.File("a.h5", "w") as file:
        file["first"], file["second"] = ct.T, ct.T[::-1]
    status, out, err = run("a.h5", "--axes", "ZYX")
    assert (status, out) == (2, "")
    assert "first 4×60×72" in err
    status, out, _ = run("a.h5", "--axes", "ZYX", "--image-key", "second", "--format", "npy")
    assert (status, out.strip()) == (0, "a_labels.npy")
    labels = segment(ct.T[::-1], read_checkpoint(organs), "ZYX").labels
    np.testing.assert_array_equal(np.load("a_labels.npy"), labels)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("labels.jpg", "cannot be written as .jpg"),
        ("labels.xyz", "create the folder"),
        ("labels.dcm", "a DICOM segmentation needs a DICOM image"),
        ("labels.h5", "cannot be written as .h5"),
    ],
)
def test_an_unknown_extension_does_not_become_a_folder(output, words, run, folder, ct):
    nib.save(nib.Nifti1Image(ct, OBLIQUE), "a.nii.gz")
    status, out, err = run("a.nii.gz", "--output", output)
    assert (status, out) == (2, "")
    assert words in err
    assert not (folder / output).exists()


def test_the_format_and_the_name_must_agree(run, folder, ct):
    nib.save(nib.Nifti1Image(ct, OBLIQUE), "a.nii.gz")
    status, _, err = run("a.nii.gz", "--output", "a.tif", "--format", "nii")
    assert status == 2
    assert "--format" in err


@pytest.mark.usefixtures("tiny_bundled")
def test_notes_about_images_are_printed_by_train_and_evaluate(tmp_path, capsys):
    """Pictures and masks are all shown upside down; stored, they agree."""
    from PIL import Image

    y, x = np.mgrid[:64, :64]
    mask = ((y - 20) ** 2 + (x - 20) ** 2 < 100).astype(np.uint8)
    for name in ("a", "b"):
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / "images").mkdir(exist_ok=True)
        picture = Image.fromarray(20 + 200 * mask)
        exif = picture.getexif()
        exif[274] = 3
        picture.save(tmp_path / "images" / f"{name}.png", exif=exif)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png", exif=exif)
    assert cli.main(["evaluate", str(tmp_path)]) == 0
    text = capsys.readouterr().err
    assert "a.png is meant to be turned or mirrored" in text
    assert "a.png: a.png" not in text
    quick = ["--set", "epochs=1", "--set", "crops_per_epoch=1", "--set", "batch=1"]
    assert cli.main(["train", str(tmp_path), "--output", str(tmp_path / "run"), *quick]) == 0
    text = capsys.readouterr().err
    assert "a.png is meant to be turned or mirrored" in text
    assert "The same holds for 1 other image." in text


@pytest.mark.usefixtures("tiny_bundled")
def test_notes_about_labels_are_printed_once_per_kind(tmp_path, capsys):
    """Three masks hold a second picture, one has gray edges; the images are usual."""
    from PIL import Image

    y, x = np.mgrid[:64, :64]
    mask = 255 * ((y - 20) ** 2 + (x - 20) ** 2 < 100).astype(np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate(("a", "b1", "c22", "d")):
        Image.fromarray(mask // 2 + np.uint8(number)).save(tmp_path / "images" / f"{name}.png")
        picture = tmp_path / "masks" / f"{name}.{'png' if name == 'd' else 'pgm'}"
        Image.fromarray(mask).save(picture)
        picture.write_bytes(picture.read_bytes() * 2)
    soft = (255 * ((12 - np.hypot(y - 20, x - 20)) / 2).clip(0, 1)).astype("u1")
    Image.fromarray(soft).save(tmp_path / "masks" / "d.png")
    quick = ["--set", "epochs=1", "--set", "crops_per_epoch=1", "--set", "batch=1"]
    for command in (["evaluate"], ["train", "--output", str(tmp_path / "run"), *quick]):
        assert cli.main([*command, str(tmp_path)]) == 0
        text = capsys.readouterr().err
        lines = [line for line in text.splitlines() if "a.pgm holds 2 pictures" in line]
        assert len(lines) == 1
        assert "The same holds for 2 other images." in lines[0]
        assert "b1.pgm" not in text
        assert "c22.pgm" not in text
        assert "d.png: a mask of 0 and 255" in text


@pytest.mark.usefixtures("tiny_bundled")
def test_what_holds_for_image_and_labels_is_printed_once(tmp_path, capsys):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        voxels = random.integers(0, 255, (32, 40, 3)).astype("u1")
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "images" / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(voxels // 200, np.eye(4)), tmp_path / "labels" / f"{name}.nii.gz")
    assert cli.main(["evaluate", str(tmp_path)]) == 0
    text = capsys.readouterr().err
    assert text.count("axial slices") == 1
    assert "The same holds for 1 other image." in text
