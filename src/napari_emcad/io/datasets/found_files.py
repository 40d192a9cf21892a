"""The labeled images that were found in a folder, and how their labels are to be read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_emcad.io.datasets.color_table import ColorTable

LabeledFile = tuple[Path, tuple[Path, ...]]
"""An image file with its label files."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFiles:
    """The labeled images of a folder.

    Attributes
    ----------
    layout
        Name of the layout.
    pairs
        Image files with their label files: one, or several masks that are united.
    problems
        A message for every image without labels.
    class_names
        Names of classes 1, 2, …; None if the data set has none.
    coding
        What the values, colors or outlines in the label files stand for.
    names
        Names of images other than their file names, such as the path within the data set.
    cases
        Volume or patient of images that are parts of one; they stay together in every split.
    channels
        Files of the channels of an image, in order, of images that have a file per channel.
    axes
        Axes of images by the number of their axes, as far as the layout says.
    splits
        Parts that the data set names: ``"train"``, ``"val"``, ``"test"``.
    notes
        Remarks for the user.
    summary
        Numbers of cases, slices and classes as text; "" counts the images.
    """

    layout: str
    pairs: tuple[LabeledFile, ...]
    problems: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
    coding: LabelCoding = field(default_factory=LabelCoding)
    names: Mapping[Path, str] = field(default_factory=dict)
    cases: Mapping[Path, str] = field(default_factory=dict)
    channels: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)
    axes: Mapping[int, str] = field(default_factory=dict)
    splits: Mapping[str, FoundFiles] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    summary: str = ""

    def __str__(self) -> str:
        if self.summary:
            return f"{self.layout}: {self.summary}"
        masks = sum(len(labels) for _, labels in self.pairs)
        several = f" with {masks:,} masks" if masks > len(self.pairs) else ""
        parts = ", ".join(f"{len(part.pairs):,} {name}" for name, part in self.splits.items())
        count = len(self.pairs)
        split = f" ({parts})" if parts else ""
        return f"{self.layout}: {count:,} image{'s' * (count != 1)}{several}{split}"

    def name_of(self, image: Path) -> str:
        """Return the name of an image for messages and tables, in composed form."""
        return composed(self.names.get(image, image.name))

    def case_of(self, image: Path) -> str:
        """Return the name of the volume or patient that an image belongs to, or its own."""
        return composed(self.cases.get(image, "")) or self.name_of(image)

    def channel_files(self, image: Path) -> tuple[Path, ...]:
        """Return the files of the channels of an image; the image alone if it has one file."""
        return self.channels.get(image, (image,))

    def with_splits(self, splits: Mapping[str, Iterable[LabeledFile]]) -> FoundFiles:
        """Return the same files in named parts; each part is read as the whole is."""
        parts = {
            name: replace(self, pairs=tuple(pairs), splits={}, notes=(), summary="")
            for name, pairs in splits.items()
        }
        return replace(self, splits=parts)

    def with_coding(self, **changes: object) -> FoundFiles:
        """Return the same files with other fields of their `LabelCoding`, in all splits too."""
        splits = {name: part.with_coding(**changes) for name, part in self.splits.items()}
        coding = replace(self.coding, **changes)  # type: ignore[arg-type]
        return replace(self, coding=coding, splits=splits)

    def with_colors(self, colors: ColorTable) -> FoundFiles:
        """Return the same files, whose masks are decoded by a table and have its classes."""
        found = self.with_coding(colors=colors)
        parts = {n: replace(part, class_names=colors.names) for n, part in found.splits.items()}
        return replace(found, class_names=colors.names, splits=parts)


def as_found(
    files: FoundFiles | Iterable[tuple[Path, Path | Sequence[Path]]],
) -> FoundFiles:
    """Return image files with one or several label files as `FoundFiles`, and those as they are."""
    if isinstance(files, FoundFiles):
        return files
    pairs = (
        (image, (labels,) if isinstance(labels, Path) else tuple(labels)) for image, labels in files
    )
    return FoundFiles("files", tuple(pairs))
