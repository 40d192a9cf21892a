"""Write every kind of file of volumes with its own library, read it back, and compare.

    python benchmarks/formats.py [--data DIR] [--quick] [--json]

A row per kind, a column per property: pixels, axes, spacing, unit, orientation. Labels of every
volume are written and read again by the library of the kind they are written in. ``--quick`` takes
a small volume instead of one of 128 × 112 × 32 voxels. ``--data`` lists what is read of every file
and DICOM series below a folder: shape, type, axes, spacing and note, or why it is refused.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import nibabel
import nrrd
import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
import zarr
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.sources import find_images
from napari_emcad.io.images.write_labels import write_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PROPERTIES = ("pixels", "axes", "spacing", "unit", "orientation", "labels")
SIZES = np.array([0.78, 0.75, 2.5])


@dataclass(frozen=True)
class Volume:
    """Voxels ``(i, j, k)`` with their RAS+ affine in mm."""

    voxels: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def axial(self) -> NDArray[Any]:
        """Slices towards the head, rows to the back, columns to the left, by nibabel."""
        orientations = nibabel.orientations
        start = orientations.io_orientation(self.affine)
        turn = orientations.ornt_transform(start, orientations.axcodes2ornt("LPS"))
        return orientations.apply_orientation(self.voxels, turn).T


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of files to read")
    parser.add_argument("--quick", action="store_true", help="a small volume")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    volume = _volume((24, 20, 6) if args.quick else (128, 112, 32))
    table = {}
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            table[name] = _row(write(Path(folder), volume), volume)
    wrong = sum(value == "wrong" for row in table.values() for value in row.values())
    files = _read_folder(args.data) if args.data else {}
    if args.json:
        print(json.dumps({"kinds": table, "wrong": wrong, "files": files}))
        return
    print(f"| kind | {' | '.join(PROPERTIES)} |")
    print("|---" * (len(PROPERTIES) + 1) + "|")
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(row[key] for key in PROPERTIES) + " |")
    print(f"\n{wrong} wrong")
    for name, text in files.items():
        print(f"{name}: {text}")


def _volume(shape: tuple[int, int, int]) -> Volume:
    """Return a volume of int16, -1024 … 3071, of an oblique acquisition."""
    voxels = np.random.default_rng(0).integers(-1024, 3072, shape).astype(np.int16)
    rotation = nibabel.eulerangles.euler2mat(0.1, -0.2, 0.15) @ np.diag([1.0, -1, -1])
    affine = nibabel.affines.from_matvec(rotation * SIZES, [120.0, -80.0, 33.0])
    return Volume(voxels, affine)


def _row(path: Path, volume: Volume) -> dict[str, str]:
    """Return for every property whether it was read right; "-" if the kind does not have it."""
    try:
        opened = read_image(path)
    except ImageFileError as error:
        return dict.fromkeys(PROPERTIES, f"refused: {error}")
    geometry, is_array = opened.geometry, path.suffix in (".h5", ".npz")
    in_file_order = is_array or path.is_dir() or path.suffix in (".tif", ".zarr")
    expected = volume.voxels.T if in_file_order else volume.axial
    row = dict.fromkeys(PROPERTIES, "-")
    row["pixels"] = _mark(np.array_equal(opened.pixels, expected))
    if is_array:
        return row
    row["axes"] = _mark(opened.axes == "ZYX")
    row["spacing"] = _mark(np.allclose([opened.scale[a] for a in "XYZ"], SIZES, rtol=1e-4))
    row["unit"] = _mark(opened.unit == "mm")
    if geometry is not None:
        row["orientation"] = _mark(np.allclose(geometry.affine, volume.affine, atol=1e-3))
    if path.suffix in (".tif", ".zarr"):
        labels = path.parent / f"labels{path.suffix}"
        write_result(labels, (np.asarray(opened.pixels) > 1000).astype(np.uint8), "ZYX", opened)
        written = tifffile.imread(labels) if path.suffix == ".tif" else zarr.open(labels)["0"][:]
        row["labels"] = _mark(np.array_equal(written, volume.voxels.T > 1000))
        return row
    labels = path.parent / "labels.nii.gz"
    write_result(labels, (opened.pixels > 1000).astype(np.uint8), "ZYX", opened)
    written = np.asarray(nibabel.load(labels).dataobj)
    row["labels"] = _mark(np.array_equal(written, volume.voxels > 1000))
    return row


def _read_folder(folder: Path) -> dict[str, str]:
    """Return what is read of every image of a folder and of the folders in it, as text."""
    texts = {}
    for one in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        try:
            sources = find_images(one).sources
        except ImageFileError:
            continue
        for source in sources:
            name = f"{one.relative_to(folder) / source.name}"
            try:
                opened = read_image(source.path, ReadOptions(series=source.series))
            except ImageFileError as error:
                texts[name] = f"refused: {error}"
                continue
            shape = " × ".join(map(str, opened.pixels.shape))
            sizes = {axis: round(size, 4) for axis, size in opened.scale.items()}
            words = (shape, opened.pixels.dtype, opened.axes, sizes, opened.unit, opened.note)
            texts[name] = " ".join(map(str, words))
    return texts


def _mark(is_right: bool) -> str:
    return "right" if is_right else "wrong"


# -- writers


def _nibabel(image_type: Any, name: str) -> Callable[[Path, Volume], Path]:
    def write(folder: Path, volume: Volume) -> Path:
        image = image_type(volume.voxels, volume.affine)
        if hasattr(image.header, "set_xyzt_units"):
            image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / name)
        return folder / name

    return write


def _itk_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.T))
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    image.SetSpacing(SIZES.tolist())
    image.SetDirection((lps[:3, :3] / SIZES).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def _itk(name: str) -> Callable[[Path, Volume], Path]:
    def write(folder: Path, volume: Volume) -> Path:
        sitk.WriteImage(_itk_image(volume), str(folder / name))
        return folder / name

    return write


def _nrrd(folder: Path, volume: Volume) -> Path:
    header = {
        "space": "right-anterior-superior",
        "space directions": volume.affine[:3, :3].T,
        "space origin": volume.affine[:3, 3],
    }
    nrrd.write(str(folder / "a.nrrd"), volume.voxels, header)
    return folder / "a.nrrd"


def _dicom(compress: bool) -> Callable[[Path, Volume], Path]:
    def write(folder: Path, volume: Volume) -> Path:
        lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
        series = generate_uid()
        for number in range(volume.voxels.shape[2]):
            dataset = _dicom_plane(volume.voxels[:, :, number].T, lps, number)
            dataset.SeriesInstanceUID = series
            if compress:
                dataset.compress(RLELossless, generate_instance_uid=False)
            dataset.save_as(folder / f"{number * 7919 % 1009:04}", enforce_file_format=True)
        return folder

    return write


def _dicom_plane(pixels: NDArray[Any], lps: NDArray[np.float64], number: int) -> Any:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    position = lps[:3, 3] + lps[:3, 2] * number
    dataset.ImagePositionPatient = [f"{value:.9g}" for value in position]
    directions = lps[:3, :2] / SIZES[:2]
    dataset.ImageOrientationPatient = [f"{value:.9g}" for value in directions.T.ravel()]
    dataset.PixelSpacing = [SIZES[1], SIZES[0]]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    stored = (pixels.astype(np.int32) + 1024).astype("<u2")
    dataset.add_new("PixelData", "OW", stored.tobytes())
    return dataset


def _tiff(folder: Path, volume: Volume, **options: Any) -> Path:
    sizes = dict(zip("XYZ", SIZES.tolist(), strict=True))
    metadata = {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
    metadata |= {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"} | {"axes": "ZYX"}
    array = np.ascontiguousarray(volume.voxels.T)
    tifffile.imwrite(
        folder / "a.tif", array, ome=True, metadata={"axes": "ZYX"} | metadata, **options
    )
    return folder / "a.tif"


def _imagej(folder: Path, volume: Volume) -> Path:
    array = np.ascontiguousarray(volume.voxels.T).astype(np.float32)
    metadata = {"axes": "ZYX", "spacing": SIZES[2], "unit": "mm"}
    resolution = (1 / SIZES[0], 1 / SIZES[1])
    tifffile.imwrite(folder / "a.tif", array, imagej=True, resolution=resolution, metadata=metadata)
    return folder / "a.tif"


def _ome_zarr(version: str) -> Callable[[Path, Volume], Path]:
    def write(folder: Path, volume: Volume) -> Path:
        new = version == "0.5"
        group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=3 if new else 2)
        group.create_array("full", data=np.ascontiguousarray(volume.voxels.T))
        axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
        transforms = [{"type": "scale", "scale": SIZES[::-1].tolist()}]
        dataset = {"path": "full", "coordinateTransformations": transforms}
        metadata = {"multiscales": [{"axes": axes, "datasets": [dataset], "version": version}]}
        group.attrs.update({"ome": metadata | {"version": version}} if new else metadata)
        return folder / "a.zarr"

    return write


def _hdf5(folder: Path, volume: Volume) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["image"], file["label"] = volume.voxels.T, volume.voxels.T > 1000
    return folder / "a.h5"


def _npz(folder: Path, volume: Volume) -> Path:
    np.savez(folder / "a.npz", imgs=volume.voxels.T, gts=volume.voxels.T > 1000)
    return folder / "a.npz"


WRITERS: dict[str, Callable[[Path, Volume], Path]] = {
    "NIfTI-1 (.nii)": _nibabel(nibabel.Nifti1Image, "a.nii"),
    "NIfTI-1 (.nii.gz)": _nibabel(nibabel.Nifti1Image, "a.nii.gz"),
    "NIfTI-2 (.nii.gz)": _nibabel(nibabel.Nifti2Image, "a.nii.gz"),
    "NIfTI pair (.hdr, .img)": _nibabel(nibabel.Nifti1Pair, "a.img"),
    "MGH (.mgz)": _nibabel(nibabel.MGHImage, "a.mgz"),
    "NRRD by ITK": _itk("a.nrrd"),
    "NRRD by pynrrd, RAS": _nrrd,
    "detached NRRD (.nhdr)": _itk("a.nhdr"),
    "MetaImage (.mha)": _itk("a.mha"),
    "MetaImage (.mhd, .raw)": _itk("a.mhd"),
    "NIfTI by ITK": _itk("a.nii.gz"),
    "DICOM series": _dicom(compress=False),
    "DICOM series, RLE": _dicom(compress=True),
    "OME-TIFF": _tiff,
    "OME-TIFF, LZW": partial(_tiff, compression="lzw"),
    "OME-TIFF, tiled, Zstandard": partial(_tiff, compression="zstd", tile=(64, 64)),
    "ImageJ TIFF": _imagej,
    "OME-Zarr 0.4": _ome_zarr("0.4"),
    "OME-Zarr 0.5": _ome_zarr("0.5"),
    "HDF5": _hdf5,
    "NPZ": _npz,
}

if __name__ == "__main__":
    main()
