"""The series of a folder of DICOM files, and the one that a user chooses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.dicom.dataset import check_is_image, is_dicom, quiet, read_dataset
from napari_emcad.io.images.dicom.planes import Plane, planes_of, same_orientation
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Series:
    """Files that belong together.

    Attributes
    ----------
    number
        Number of the series, with a letter if several have it.
    uid, description, patient, modality
        As the files contain them, or "".
    size
        Columns, rows and frames.
    files
        The files, sorted by name.
    """

    number: str
    uid: str
    description: str
    patient: str
    modality: str
    size: tuple[int, int, int]
    files: tuple[Path, ...]

    @property
    def title(self) -> str:
        """The series in one line of a list."""
        columns, rows, frames = self.size
        words = [self.modality, self.description or "without a description"]
        words += [f"patient {self.patient}"] * bool(self.patient)
        return f"{self.number}: {', '.join(filter(None, words))}, {columns} × {rows} × {frames}"

    @property
    def name(self) -> str:
        """A name for files, of number and description."""
        words = "".join(c if c.isalnum() else " " for c in self.description).split()
        return "_".join([self.number, *words])


@dataclass(slots=True)
class _Group:
    """Files of one series that have the same size and direction."""

    key: tuple[Any, ...]
    plane: Plane
    header: Any
    files: list[Path] = field(default_factory=list)
    frames: int = 0


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder, and of those in it if it has none itself."""
    visible = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    files = [path for path in visible if path.is_file() and is_dicom(path)]
    if any(path.name != "DICOMDIR" for path in files):
        return [path for path in files if path.name != "DICOMDIR"]
    if any(path.is_file() and path.name != "DICOMDIR" for path in visible):
        return []
    return [file for path in visible if path.is_dir() for file in dicom_files(path)]


def find_series(folder: Path) -> tuple[list[Series], list[str]]:
    """Return the series of a folder sorted by number, and why files were left out.

    Raises
    ------
    ImageFileError
        If pydicom is not installed.
    """
    groups: list[_Group] = []
    problems: list[str] = []
    for path in dicom_files(folder):
        try:
            with quiet():
                header = read_dataset(path, pixels=False)
                check_is_image(path, header)
                _add(groups, path, header)
        except ImageFileError as error:
            problems.append(str(error))
    return _numbered(groups), problems


def choose_series(folder: Path, series: Sequence[Series], choice: str | None) -> Series:
    """Return the series that has a number, description or UID, or the only one.

    Raises
    ------
    ImageFileError
        If there is none or several; the message lists all of them.
    """
    fitting = [
        one
        for one in series
        if choice is None or choice in (one.number, one.uid, one.description, one.name)
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(one.title for one in series)
    problem = f"has {len(fitting)} series" if fitting else f"has no series {choice}"
    raise ImageFileError(f"{folder} {problem}; choose one by its number with --series: {listed}.")


def _add(groups: list[_Group], path: Path, header: Any) -> None:
    """Add a file to the group that it belongs to, or to a new one."""
    planes = planes_of(path, header)
    several = len(planes) > 1
    key = (
        str(header.get("SeriesInstanceUID") or "") or _without_uid(header),
        int(header.Rows),
        int(header.Columns),
        int(header.get("SamplesPerPixel", 1)),
        str(header.get("SOPInstanceUID", path)) if several else "",
        # screenshots, localizers and other patients may have the series, size and direction too
        str(header.get("SOPClassUID") or ""),
        "LOCALIZER" in (header.get("ImageType") or ()),
        str(header.get("PatientID") or ""),
    )
    for group in groups:
        if group.key == key and _fits(group.plane, planes[0]):
            break
    else:
        group = _Group(key, planes[0], header)
        groups.append(group)
    group.files.append(path)
    group.frames += len(planes)


def _without_uid(header: Any) -> str:
    """Return what tells apart series whose files do not contain the identity of their series."""
    names = ("PatientID", "PatientName", "StudyInstanceUID", "SeriesNumber", "SeriesDescription")
    return str([str(header.get(name) or "") for name in names])


def _fits(one: Plane, other: Plane) -> bool:
    """Return whether two planes have the same direction and pixel size, or both none."""
    if (one.orientation is None) != (other.orientation is None):
        return False
    if (one.spacing is None) != (other.spacing is None):
        return False
    if one.spacing and other.spacing:
        pairs = zip(one.spacing, other.spacing, strict=True)
        if any(abs(a - b) > 0.01 * a for a, b in pairs):
            return False
    return one.orientation is None or same_orientation((one, other))


def _numbered(groups: Sequence[_Group]) -> list[Series]:
    """Return the groups as series, whose numbers differ."""
    numbers = [str(group.header.get("SeriesNumber") or 0) for group in groups]
    series = []
    for index, (group, number) in enumerate(zip(groups, numbers, strict=True)):
        header = group.header
        same = [other for other, n in enumerate(numbers) if n == number]
        letter = _letters(same.index(index)) if len(same) > 1 else ""
        series.append(
            Series(
                f"{number}{letter}",
                str(header.get("SeriesInstanceUID", "")),
                str(header.get("SeriesDescription") or "").strip(),
                str(header.get("PatientID") or header.get("PatientName") or "").strip(),
                str(header.get("Modality") or ""),
                (int(header.Columns), int(header.Rows), group.frames),
                tuple(group.files),
            )
        )
    return sorted(series, key=lambda one: (_leading_number(one.number), one.number))


def _letters(index: int) -> str:
    """Return one or two letters that stand for a number, as columns of a spreadsheet."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _leading_number(text: str) -> int:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.lstrip("-").isdecimal() else 0
