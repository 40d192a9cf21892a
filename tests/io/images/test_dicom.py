"""DICOM files and series, against pydicom and SimpleITK."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import PLANES, ReadOptions
from napari_emcad.io.images.write_labels import write_result

pydicom = pytest.importorskip("pydicom")
sitk = pytest.importorskip("SimpleITK")
imagecodecs = pytest.importorskip("imagecodecs")

AXIAL = ((1, 0, 0), (0, 1, 0))
SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
"""Files that come with pydicom."""


def volume(shape=(6, 9, 8), kind="i2", seed=0) -> np.ndarray:
    low, high = (0, 200) if kind == "u1" else (-1024, 3072) if kind[0] == "i" else (0, 4096)
    return np.random.default_rng(seed).integers(low, high, shape).astype(kind)


def directions(angles=(0, 0, 0), order=(0, 1, 2)) -> tuple[np.ndarray, np.ndarray]:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*angles)
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)[:, list(order)]
    return matrix[:, 0], matrix[:, 1]


def refusal(path: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(ImageFileError) as error:
        read_image(path, options)
    message = str(error.value)
    assert message.splitlines() == [message]
    assert message.endswith(".")
    assert path.name in message
    return message


def read_with_itk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


# -- series


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.permutations(range(3)),
    st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    st.randoms(use_true_random=False),
    st.sampled_from(PLANES),
)
def test_series_of_any_orientation(tmp_path, write_series, order, angles, random, plane):
    shutil.rmtree(tmp_path / "ct", ignore_errors=True)
    places = list(range(6))
    random.shuffle(places)
    array = volume()
    write_series(tmp_path / "ct", array, directions(angles, order), places=places)
    opened = read_image(tmp_path / "ct")
    expected = read_with_itk(tmp_path / "ct")
    np.testing.assert_array_equal(opened.pixels, sitk.GetArrayFromImage(expected))
    np.testing.assert_array_equal(opened.pixels, array[np.argsort(places)])
    sizes = [opened.scale[axis] for axis in "XYZ"]
    np.testing.assert_allclose(sizes, expected.GetSpacing(), rtol=1e-5)
    lps = np.diag([-1, -1, 1, 1]) @ opened.geometry.affine
    np.testing.assert_allclose(lps[:3, 3], expected.GetOrigin(), atol=1e-4)
    direction = np.array(expected.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(lps[:3, :3], direction * expected.GetSpacing(), atol=1e-4)

    resliced = read_image(tmp_path / "ct", ReadOptions(plane=plane))
    if plane == "axial":
        axial = sitk.DICOMOrient(expected, "LPS")
        np.testing.assert_array_equal(resliced.pixels, sitk.GetArrayFromImage(axial))
    labels = (resliced.pixels > 1000).astype("u1")
    write_result(tmp_path / "labels.nii.gz", labels, "ZYX", resliced)
    written = sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), opened.pixels > 1000)
    np.testing.assert_allclose(written.GetDirection(), expected.GetDirection(), atol=1e-4)
    np.testing.assert_allclose(written.GetOrigin(), expected.GetOrigin(), atol=1e-3)


@pytest.mark.parametrize("extension", [".dcm", ".IMA", "", ".1234567"])
def test_files_of_any_ending(extension, tmp_path, write_series):
    array = volume()
    write_series(tmp_path / "ct", array, extension=extension)
    np.testing.assert_array_equal(read_image(tmp_path / "ct").pixels, array)
    one = read_image(tmp_path / "ct" / f"I0000{extension}")
    np.testing.assert_array_equal(one.pixels, array[0])
    assert (one.axes, one.scale["Y"], one.scale["X"]) == ("YX", 0.7, 0.8)
    write_result(tmp_path / "one.nii.gz", (one.pixels > 0).astype("u1"), "YX", one)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "one.nii.gz")))
    np.testing.assert_array_equal(written[0], array[0] > 0)


def test_files_without_a_preamble(tmp_path, write_series):
    array = volume()
    write_series(tmp_path / "ct", array[:1])
    dataset = pydicom.dcmread(tmp_path / "ct" / "I0000.dcm")
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    for name, implicit in (("a", True), ("b", False)):
        pydicom.dcmwrite(tmp_path / name, dataset, implicit_vr=implicit, little_endian=True)
        content = (tmp_path / name).read_bytes()
        start = content.index(b"\x08\x00\x16\x00")
        (tmp_path / name).write_bytes(content[start:])
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, array[0])


def test_several_series_are_listed_and_one_is_chosen(tmp_path, write_series):
    arrays = volume(), volume((4, 5, 5), seed=1)
    names = ("Thorax", "Localizer")
    for number, (array, name) in enumerate(zip(arrays, names, strict=True), 3):
        write_series(
            tmp_path / "ct", array, first=number, SeriesNumber=number, SeriesDescription=name
        )
    message = refusal(tmp_path / "ct")
    assert "3: CT, Thorax, patient P1, 8 × 9 × 6" in message
    assert "4: CT, Localizer, patient P1, 5 × 5 × 4" in message
    for choice, array in (("3", arrays[0]), ("Localizer", arrays[1])):
        opened = read_image(tmp_path / "ct", ReadOptions(series=choice))
        np.testing.assert_array_equal(opened.pixels, array)
    assert "no series 9" in refusal(tmp_path / "ct", ReadOptions(series="9"))


def test_series_of_one_number_get_letters(tmp_path, write_series):
    arrays = volume(), volume(seed=1)
    for number, array in enumerate(arrays):
        write_series(tmp_path / "ct", array, first=number)
    assert "1a: CT" in refusal(tmp_path / "ct")
    opened = read_image(tmp_path / "ct", ReadOptions(series="1b"))
    np.testing.assert_array_equal(opened.pixels, arrays[1])
    assert "2 series" in refusal(tmp_path / "ct", ReadOptions(series=""))


def test_planes_of_two_directions_are_two_series(tmp_path, write_series):
    uid = pydicom.uid.generate_uid()
    write_series(tmp_path / "ct", volume(), SeriesInstanceUID=uid)
    sagittal = ((0, 1, 0), (0, 0, -1))
    write_series(tmp_path / "ct", volume(seed=1), sagittal, first=1, SeriesInstanceUID=uid)
    assert "2 series" in refusal(tmp_path / "ct")


def test_nested_folders_and_an_index(tmp_path, write_series):
    array = volume()
    write_series(tmp_path / "disc" / "DICOM" / "S1", array)
    (tmp_path / "disc" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    np.testing.assert_array_equal(read_image(tmp_path / "disc").pixels, array)


def test_gaps_and_unequal_distances_are_said(tmp_path, write_series):
    write_series(tmp_path / "a", volume((5, 6, 6)), places=[0, 1, 2, 4, 5])
    opened = read_image(tmp_path / "a")
    assert "1 planes seem to be missing" in opened.note
    assert opened.scale["Z"] == pytest.approx(2.5)
    write_series(tmp_path / "b", volume((5, 6, 6)), places=[0, 1, 2, 3.4, 5])
    assert "2.5 to 4 mm apart" in read_image(tmp_path / "b").note
    write_series(tmp_path / "c", volume((5, 6, 6)))
    assert "mm" not in read_image(tmp_path / "c").note


def test_several_planes_per_position_are_times(tmp_path, write_series):
    array = volume((8, 5, 6))
    write_series(tmp_path / "mr", array, places=[0, 1, 2, 3] * 2)
    opened = read_image(tmp_path / "mr")
    assert opened.axes == "TZYX"
    np.testing.assert_array_equal(opened.pixels, array.reshape(2, 4, 5, 6))
    assert "2 planes" in opened.note
    write_series(tmp_path / "odd", volume((7, 5, 6)), places=[0, 1, 2, 3, 0, 1, 2])
    assert "1 planes at some positions and 2 at others" in refusal(tmp_path / "odd")


def test_copies_are_left_out(tmp_path, write_series):
    array = volume()
    write_series(tmp_path / "ct", array)
    shutil.copy(tmp_path / "ct" / "I0000.dcm", tmp_path / "ct" / "copy.dcm")
    opened = read_image(tmp_path / "ct")
    np.testing.assert_array_equal(opened.pixels, array)
    assert "copies" in opened.note


def test_planes_without_positions_are_in_the_order_of_their_numbers(tmp_path, write_series):
    array = volume()
    write_series(tmp_path / "ct", array, step=None)
    opened = read_image(tmp_path / "ct")
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.geometry is None
    assert "order of their numbers" in opened.note
    write_series(tmp_path / "us", volume((1, 5, 5)), step=None)
    write_series.plane(tmp_path / "us" / "b.dcm", volume((5, 5)), None, AXIAL, None)


def test_a_tilted_gantry_is_said_and_kept(tmp_path, write_series):
    for number, pixels in enumerate(volume()):
        position = (0, 0.5 * number, 2.0 * number)
        write_series.plane(
            tmp_path / "ct" / f"{number}", pixels, position, AXIAL, (1, 1), SeriesInstanceUID="1.2"
        )
    opened = read_image(tmp_path / "ct")
    assert "tilted gantry" in opened.note
    np.testing.assert_allclose(opened.geometry.affine[:3, 2], (0, -0.5, 2))


# -- numbers


@pytest.mark.parametrize(
    ("kind", "slope", "intercept"),
    [("u1", 1, 0), ("i2", 1, 0), ("u2", 1, -1024), ("u2", 2, 0), ("i2", 0.5, 3), ("u1", 300, 0)],
)
def test_slope_and_intercept_in_a_wide_enough_type(tmp_path, write_series, kind, slope, intercept):
    array = volume(kind=kind)
    array[0, 0, 0] = np.iinfo(kind).max
    write_series(tmp_path / "ct", array, RescaleSlope=slope, RescaleIntercept=intercept)
    opened = read_image(tmp_path / "ct")
    expected = np.array(array, float) * slope + intercept
    np.testing.assert_array_equal(opened.pixels, expected)
    if slope == 1 and intercept == 0:
        assert opened.pixels.dtype == array.dtype


def test_every_plane_has_its_own_slope(tmp_path, write_series):
    array = volume((3, 5, 5), "u2")
    for number, slope in enumerate((1.5, 2.0, 0.25)):
        position = (0, 0, number)
        write_series.plane(
            tmp_path / "pt" / str(number),
            array[number],
            position,
            AXIAL,
            (1, 1),
            SeriesInstanceUID="1.2",
            RescaleSlope=slope,
            RescaleIntercept=0,
        )
    expected = array * np.array([1.5, 2, 0.25])[:, None, None]
    np.testing.assert_array_equal(read_image(tmp_path / "pt").pixels, expected)


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 12)])
def test_monochrome1_is_inverted_and_said(tmp_path, write_series, kind, bits):
    array = volume((1, 6, 7), kind) // 2
    write_series(
        tmp_path / "cr", array, PhotometricInterpretation="MONOCHROME1", BitsStored=bits,
        HighBit=bits - 1,
    )  # fmt: skip
    opened = read_image(tmp_path / "cr")
    total = -1 if kind[0] == "i" else 2**bits - 1
    np.testing.assert_array_equal(opened.pixels, total - array[0].astype(int))
    assert "MONOCHROME1" in opened.note


@pytest.mark.parametrize("planar", [0, 1])
def test_colors_by_pixel_and_by_plane(tmp_path, write_series, planar):
    colors = np.random.default_rng(0).integers(0, 255, (2, 6, 7, 3)).astype("u1")
    stored = colors if planar == 0 else np.moveaxis(colors, -1, 1).reshape(colors.shape)
    write_series(tmp_path / "us", stored, PlanarConfiguration=planar)
    opened = read_image(tmp_path / "us")
    np.testing.assert_array_equal(opened.pixels, colors)
    assert opened.axes == "ZYXC"


# -- packed pixels

PACKED = {
    "RLE": ("RLELossless", None),
    "JPEG 2000": ("JPEG2000Lossless", lambda a: imagecodecs.jpeg2k_encode(a, reversible=True)),
    "JPEG-LS": ("JPEGLSLossless", imagecodecs.jpegls_encode),
    "lossless JPEG": ("JPEGLosslessSV1", lambda a: imagecodecs.ljpeg_encode(a)),
    "deflated": ("DeflatedExplicitVRLittleEndian", None),
    "big endian": ("ExplicitVRBigEndian", None),
}


@pytest.mark.parametrize("packing", PACKED)
def test_packed_pixels(tmp_path, write_series, packing):
    name, encode = PACKED[packing]
    syntax = getattr(pydicom.uid, name)
    array = volume((1, 40, 30), "u2")
    write_series(tmp_path / "ct", array, BitsStored=12, HighBit=11)
    path = tmp_path / "ct" / "I0000.dcm"
    dataset = pydicom.dcmread(path)
    if packing == "RLE":
        dataset.compress(syntax, generate_instance_uid=False)
    elif encode is not None:
        dataset.PixelData = pydicom.encaps.encapsulate([encode(array[0])])
        dataset["PixelData"].is_undefined_length = True
    elif packing == "big endian":
        dataset.PixelData = array.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path, dataset, implicit_vr=False, little_endian=packing != "big endian", overwrite=True
    )
    np.testing.assert_array_equal(read_image(path).pixels, array[0])


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("SC_rgb_*cr.dcm")), ids=lambda p: p.name)
@pytest.mark.parametrize("other", sorted(SAMPLES.glob("SC_rgb_[dgrj]*.dcm")), ids=lambda p: p.name)
def test_colors_of_all_packings_are_the_same(path, other):
    expected = read_image(path).pixels.astype(float)
    colors = read_image(other).pixels
    colors = colors[0] if colors.ndim == 4 else colors
    if colors.shape != expected.shape:
        pytest.skip("another picture")
    scaled = colors * (255 / np.iinfo(colors.dtype).max)
    assert np.abs(scaled - expected).mean() < 3


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_implicit",
                                  "MR_small_jpeg_ls_lossless", "MR_small_bigendian"])  # fmt: skip
def test_gray_of_all_packings_is_the_same(name):
    expected = read_image(SAMPLES / "MR_small.dcm").pixels
    np.testing.assert_array_equal(read_image(SAMPLES / f"{name}.dcm").pixels, expected)


def test_a_jpeg_that_is_wrongly_called_rgb_is_converted(tmp_path, write_series):
    colors = np.full((1, 16, 16, 3), (200, 30, 40), "u1")
    write_series(tmp_path / "us", colors)
    path = tmp_path / "us" / "I0000.dcm"
    dataset = pydicom.dcmread(path)
    packed = imagecodecs.jpeg8_encode(colors[0], level=95)
    dataset.PixelData = pydicom.encaps.encapsulate([packed])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    dataset.save_as(path)
    assert np.abs(read_image(path).pixels.astype(int) - colors[0]).max() < 6


def test_a_palette_gives_its_colors():
    opened = read_image(SAMPLES / "examples_palette.dcm")
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(SAMPLES / "examples_palette.dcm")))
    assert opened.pixels.dtype == np.uint8
    if expected.ndim == 4:
        high = expected[0] >> 8 if expected.dtype == np.uint16 else expected[0]
        np.testing.assert_array_equal(opened.pixels, high)


# -- multi-frame


def multi_frame(path: Path, array: np.ndarray, write_series, **attributes) -> Path:
    write_series.plane(path, array[0], None, AXIAL, None, SeriesInstanceUID="1.2")
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = len(array)
    dataset.PixelData = array.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path)
    return path


def test_a_movie_is_time(tmp_path, write_series):
    array = volume((5, 6, 7), "u1")
    path = multi_frame(tmp_path / "us.dcm", array, write_series, FrameTime=40)
    opened = read_image(path)
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.axes == "TYX"


@pytest.mark.parametrize(
    ("attributes", "depth", "words"),
    [
        ({"SpacingBetweenSlices": 3.5, "SliceThickness": 2}, 3.5, ""),
        ({"SpacingBetweenSlices": -3.5}, 3.5, ""),
        ({"SliceThickness": 2}, 2, "the thickness of the planes, 2 mm, is taken as their distance"),
        ({}, None, ""),
        ({"SliceThickness": 0}, None, ""),
    ],
)
def test_planes_without_positions_keep_their_distance(
    attributes, depth, words, tmp_path, write_series
):
    array = volume((5, 6, 7), "u1")
    given = {"PixelSpacing": [0.5, 0.6], **attributes}
    path = multi_frame(tmp_path / "sc.dcm", array, write_series, **given)
    folder = write_series(tmp_path / "files", array, step=None, spacing=(0.5, 0.6), **attributes)
    for opened in (read_image(path), read_image(folder)):
        np.testing.assert_array_equal(opened.pixels, array)
        assert opened.axes == "ZYX"
        assert opened.scale == {"Y": 0.5, "X": 0.6} | ({"Z": depth} if depth else {})
        assert words in opened.note
        assert ("thickness" in opened.note) == bool(words)
    labels = tmp_path / "labels.nii.gz"
    write_result(labels, array, "ZYX", read_image(path))
    sizes = sitk.ReadImage(str(labels)).GetSpacing()
    np.testing.assert_allclose(sizes, (0.6, 0.5, depth or 1), rtol=1e-6)


def test_a_movie_has_no_distance_of_planes(tmp_path, write_series):
    array = volume((5, 6, 7), "u1")
    path = multi_frame(
        tmp_path / "us.dcm", array, write_series, FrameTime=40, SliceThickness=2,
        PixelSpacing=[0.5, 0.6],
    )  # fmt: skip
    assert read_image(path).scale == {"Y": 0.5, "X": 0.6}


def test_enhanced_frames_are_sorted_by_position(tmp_path, write_series):
    array, places = volume((4, 6, 7), "u2"), [2, 0, 3, 1]
    per_frame = []
    for place in places:
        group, position = pydicom.Dataset(), pydicom.Dataset()
        transform = pydicom.Dataset()
        position.ImagePositionPatient = [0, 0, 3 * place]
        transform.RescaleSlope, transform.RescaleIntercept = 1 + place, -10
        group.PlanePositionSequence = [position]
        group.PixelValueTransformationSequence = [transform]
        per_frame.append(group)
    shared, orientation, measures = (pydicom.Dataset() for _ in range(3))
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.6], 3
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    path = multi_frame(
        tmp_path / "mr.dcm", array, write_series, PerFrameFunctionalGroupsSequence=per_frame,
        SharedFunctionalGroupsSequence=[shared],
    )  # fmt: skip
    opened = read_image(path)
    scaled = np.array([a * (1.0 + p) - 10 for a, p in zip(array, places, strict=True)])
    np.testing.assert_array_equal(opened.pixels, scaled[np.argsort(places)])
    assert (opened.axes, opened.scale) == ("ZYX", {"Z": 3, "Y": 0.5, "X": 0.6})


# -- refusals


def test_objects_without_images_are_refused_by_name():
    expected = {
        "rtdose": "RT Dose Storage",
        "rtplan": "RT Plan Storage",
        "test-SR": "Comprehensive SR Storage",
        "waveform_ecg": "12-lead ECG Waveform Storage",
    }
    for name, words in expected.items():
        assert words in refusal(SAMPLES / f"{name}.dcm")


@pytest.mark.parametrize(
    "change", [{"PhotometricInterpretation": "CMYK"}, {"PhotometricInterpretation": "HSV"}]
)
def test_unknown_colors(tmp_path, write_series, change):
    write_series(tmp_path / "us", volume((1, 5, 5), "u1"), **change)
    assert change["PhotometricInterpretation"] in refusal(tmp_path / "us" / "I0000.dcm")


def test_a_series_of_a_file(tmp_path, write_series):
    write_series(tmp_path / "ct", volume())
    assert "--series" in refusal(tmp_path / "ct" / "I0000.dcm", ReadOptions(series="1"))


def test_mosaics(tmp_path, write_series):
    write_series(tmp_path / "mr", volume((1, 8, 8)), ImageType=["ORIGINAL", "PRIMARY", "MOSAIC"])
    assert "dcm2niix" in refusal(tmp_path / "mr" / "I0000.dcm")


def test_unknown_packings(tmp_path, write_series):
    write_series(tmp_path / "us", volume((1, 5, 5), "u1"))
    path = tmp_path / "us" / "I0000.dcm"
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"12345678"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.save_as(path)
    assert "MPEG2" in refusal(path)


def test_damaged_files(tmp_path, write_series):
    (tmp_path / "a.dcm").write_bytes(b"hello")
    assert "not a DICOM file" in refusal(tmp_path / "a.dcm")
    write_series(tmp_path / "ct", volume((1, 50, 50)))
    path = tmp_path / "ct" / "I0000.dcm"
    path.write_bytes(path.read_bytes()[:-500])
    assert "damaged" in refusal(path)


def test_planes_whose_order_is_unknown(tmp_path, write_series):
    for name in "ab":
        write_series.plane(
            tmp_path / "ct" / name, volume((5, 5)), None, AXIAL, None, SeriesInstanceUID="1.2"
        )
    assert "order is not known" in refusal(tmp_path / "ct")


def test_planes_beside_each_other(tmp_path, write_series):
    for number in range(2):
        position = (number * 50, 0, 0)
        write_series.plane(
            tmp_path / "ct" / str(number), volume((5, 5)), position, AXIAL, (1, 1),
            SeriesInstanceUID="1.2",
        )  # fmt: skip
    assert "beside each other" in refusal(tmp_path / "ct")


def test_nothing_is_printed(tmp_path, write_series, capfd):
    write_series(tmp_path / "ct", volume())
    read_image(tmp_path / "ct")
    for path in SAMPLES.glob("SC_*.dcm"):
        read_image(path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["PatientID", "SeriesNumber", "StudyInstanceUID"])
def test_series_without_an_identity_are_told_apart(name, tmp_path, write_series):
    volume = np.arange(6 * 4 * 5, dtype=np.int16).reshape(6, 4, 5)
    for number, part in enumerate((volume[:3], volume[3:])):
        places = range(3 * number, 3 * number + 3)
        other = {"SeriesInstanceUID": "", name: f"{number + 1}"}
        write_series(tmp_path / "a", part, places=places, first=number, **other)
    with pytest.raises(ImageFileError, match="has 2 series"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk.dcm", "JPEG-lossy.dcm", "JPEGLSNearLossless_08.dcm"]
)
def test_labels_packed_with_losses_are_refused(name):
    assert read_image(SAMPLES / name).pixels.size
    with pytest.raises(ImageFileError, match="in a way that changes labels"):
        read_labels(SAMPLES / name)


SCREENSHOT = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize(
    "other",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"SOPClassUID": SCREENSHOT},
        {"PatientID": "P2"},
    ],
)
def test_other_images_of_a_series_are_no_planes_of_its_volume(tmp_path, write_series, other):
    """They have the UID, size and direction of the series, and lie behind its last plane."""
    array = volume((4, 9, 8))
    write_series(tmp_path / "ct", array[:3], SeriesInstanceUID="1.2.3", ImageType=["ORIGINAL"])
    own = {"SeriesInstanceUID": "1.2.3", "ImageType": ["ORIGINAL"]} | other
    write_series(tmp_path / "ct", array[3:], origin=(-10.0, 20.0, 37.5), first=500, **own)
    assert "has 2 series" in refusal(tmp_path / "ct")
    opened = read_image(tmp_path / "ct", ReadOptions(series="1a"))
    np.testing.assert_array_equal(opened.pixels, array[:3])
