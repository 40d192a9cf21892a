"""The images that a path stands for: a file, those of a folder, or its DICOM series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.io.images.dicom.dataset import is_dicom
from napari_emcad.io.images.dicom.series import choose_series, dicom_files, find_series
from napari_emcad.io.images.file_names import (
    extension_of,
    is_image_folder,
    label_extension,
    stem_of,
)
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import check_has_series

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.images.dicom.series import Series


@dataclass(frozen=True, slots=True)
class ImageSource:
    """One image to read.

    Attributes
    ----------
    path
        A file, or the folder of a series.
    stem
        Name without extension, for files that are made from the image.
    label_extension
        Extension of the file in which its labels are written by default.
    series
        Number of the series in the folder, None for a file.
    """

    path: Path
    stem: str
    label_extension: str
    series: str | None = None

    @property
    def name(self) -> str:
        """Name of the image for messages."""
        return self.path.name if self.series is None else self.stem


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The images that a path stands for.

    Attributes
    ----------
    sources
        The images.
    notes
        The list of the series if there are several, and why files were left out.
    """

    sources: tuple[ImageSource, ...]
    notes: tuple[str, ...] = ()


def find_images(path: Path, series: str | None = None) -> FoundImages:
    """Return the images of a path.

    Parameters
    ----------
    path
        A file, a Zarr folder, a folder of files, or a folder of DICOM series.
    series
        Number, description or UID of a DICOM series; None takes all series.

    Raises
    ------
    ImageFileError
        If a folder has no images or not the series, or a series is chosen of something else.
    """
    check_has_series(path, series)
    if not path.is_dir() or is_image_folder(path):
        return FoundImages((_file(path),))
    files = dicom_files(path)
    if not files:
        return FoundImages(tuple(map(_file, image_files(path))))
    found, problems = find_series(path)
    if not found and problems:
        raise ImageFileError(problems[0])
    chosen = found if series is None else [choose_series(path, found, series)]
    notes = list(problems)
    if len(found) > 1:
        notes.append(f"{path} has {len(found)} series: {'; '.join(one.title for one in found)}.")
    sources = [_series(path, one, len(found) == 1) for one in chosen]
    if series is None:
        known = set(files) | {path / "DICOMDIR"}
        others = [file for file in path.iterdir() if file.is_file() and file not in known]
        visible = any(file.name[0] != "." for file in others)
        listed = image_files(path) if visible else []
        # files without extension beside DICOM files, such as VERSION, are no images
        sources += [_file(file) for file in listed if file not in known and file.suffix]
    return FoundImages(tuple(sources), tuple(notes))


def _file(path: Path) -> ImageSource:
    extension = label_extension(path)
    if extension == ".tif" and extension_of(path) not in (".tif", ".tiff") and is_dicom(path):
        extension = ".nii.gz"  # DICOM files often have no extension, or one of numbers
    return ImageSource(path, stem_of(path), extension)


def _series(folder: Path, series: Series, is_only: bool) -> ImageSource:
    """Return a series of a folder; of one file, the file itself."""
    if len(series.files) == 1:
        file = series.files[0]
        return ImageSource(file, stem_of(file), ".nii.gz")
    name = folder.resolve().name
    stem = name if is_only else f"{name}_{series.name}"
    return ImageSource(folder, stem, ".nii.gz", series.number)
