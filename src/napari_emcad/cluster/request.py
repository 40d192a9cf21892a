"""What is done with many images: the request of `segment_files`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cluster.tasks import installed_versions
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.io.images.dicom.segmentation_writer import source_images
from napari_emcad.io.images.file_names import extension_of
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read_options import ReadOptions

if TYPE_CHECKING:
    from napari_emcad.cluster.layout import Layout
    from napari_emcad.imaging.link_objects import LinkSettings
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.segmentation_model import SegmentationModel


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image to segment.

    Attributes
    ----------
    path
        The file, or the folder of a series.
    output
        The file for its labels.
    name
        Name for messages.
    series
        Number of the series in a folder of DICOM files.
    """

    path: Path
    output: Path
    name: str = ""
    series: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "output", Path(self.output))
        object.__setattr__(self, "name", self.name or self.path.name)


@dataclass(frozen=True, slots=True, eq=False)
class FilesRequest:
    """What is done with all images.

    Attributes
    ----------
    model
        A checkpoint or an instant model.
    settings
        Settings of the inference.
    options
        Choices where files can be read in several ways.
    axes, channels
        As for `napari_emcad.segment`.
    link
        How numbered objects are linked through the slices; None leaves them as they are.
    overwrite
        Whether an unfinished run with other settings may be dropped.
    keeps_arrays
        Whether `ImageDone` events need the labels as arrays.
    layout
        How images are cut into parts; None chooses. The result does not depend on it.
    """

    model: SegmentationModel
    settings: InferenceSettings = field(default_factory=InferenceSettings)
    options: ReadOptions = field(default_factory=ReadOptions)
    axes: str | None = None
    channels: tuple[int | None, ...] | int | None = None
    link: LinkSettings | None = None
    overwrite: bool = False
    keeps_arrays: bool = False
    layout: Layout | None = None

    def __post_init__(self) -> None:
        if self.link is not None and not self.settings.clean_up.separate:
            raise ValueError("Objects are linked after they are numbered; choose separate as well.")

    def options_of(self, file: ImageFile) -> ReadOptions:
        """Return how an image is read."""
        return replace(self.options, series=file.series)

    def binding(self, model_sha256: str) -> dict[str, Any]:
        """Return all that the result depends on, besides the images."""
        return {
            "checkpoint": model_sha256,
            **asdict(self.settings),
            "reading": asdict(replace(self.options, series=None)),
            "axes": self.axes,
            "channels": self.channels,
            "link": None if self.link is None else asdict(self.link),
            "versions": installed_versions(),
        }

    def check_image(self, image: OpenedImage, output: Path) -> None:
        """Refuse a stack as PNG and a DICOM segmentation of another image, before it is computed.

        Raises
        ------
        ImageFileError
            The message says what to write instead.
        """
        if extension_of(output) == ".dcm":
            source_images(output, image)
        axes = self.axes or image.axes
        dimensions = len(image.pixels.shape) - ("C" in (axes or ""))
        if output.suffix.lower() == ".png" and axes and dimensions > 2:
            raise ImageFileError(
                f"{output}: PNG holds flat images; write the stack as .tif or .npy."
            )
