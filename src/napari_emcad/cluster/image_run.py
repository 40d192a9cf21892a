"""One image of a run: its parts, what is finished of them, and its output."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from napari_emcad.cluster.assemble import Assembly
from napari_emcad.cluster.layout import Layout, choose_layout
from napari_emcad.cluster.tasks import ImageTask, installed_versions
from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.postprocess import label_dtype, stretches
from napari_emcad.io.images.file_names import extension_of
from napari_emcad.io.images.opened_image import ZarrPlace
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.zarr_writer import ZarrLabels
from napari_emcad.io.segment_run import file_identity
from napari_emcad.pipelines.segment import finest_level
from napari_emcad.pipelines.write_segmentation import write_probabilities, write_segmentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.cluster.request import FilesRequest, ImageFile
    from napari_emcad.cluster.tasks import ModelFile
    from napari_emcad.imaging.parts import Part
    from napari_emcad.io.segment_run import SegmentRun
    from napari_emcad.pipelines.segment import Segmentation


class ImageRun:
    """An image that is computed part by part.

    Parameters
    ----------
    file
        The image and its output.
    request
        What is done with all images.
    model_file
        The model, as workers read it.
    run
        The folder of the run.
    workers
        Number of workers that parts are cut for, unless the image is cut already.

    Attributes
    ----------
    file
        The image and its output.
    task
        What workers need to compute parts of it.
    parts
        Parts that the result is put together from.
    failed
        Whether it was given up.
    notices
        Remarks of the workers.

    Raises
    ------
    ValueError
        If the image cannot be read, its axes are ambiguous, or it has changed since the run began.
    """

    def __init__(
        self,
        file: ImageFile,
        request: FilesRequest,
        model_file: ModelFile,
        run: SegmentRun,
        workers: int,
    ) -> None:
        self.file, self._request, self._run = file, request, run
        self.failed, self.notices = False, list[str]()
        model, settings = request.model, request.settings
        self.image = read_image(file.path, request.options_of(file))
        request.check_image(self.image, file.output)
        pixels = finest_level(self.image.pixels)
        axes = request.axes or self.image.axes
        inputs = model.config.input_channels
        self.slices = as_slices(pixels, inputs, axes, request.channels)
        channels = model.config.num_classes
        layout = request.layout or choose_layout(
            self.slices, model.preprocessing, settings, channels, workers
        )
        identity = file_identity(file.path)
        entry = {"identity": identity, "layout": asdict(layout)}
        entry = run.begin_image(file.output, entry, request.overwrite)
        self.layout = Layout(**entry["layout"])
        self.parts = self.layout.parts(len(self.slices.indices))
        joins = settings.clean_up.active or stretches(settings, channels)
        self.task = ImageTask(
            name=file.name,
            path=file.path.absolute(),
            options=request.options_of(file),
            axes=self.slices.axes,
            channels=request.channels,
            shape=tuple(map(int, pixels.shape)),
            dtype=str(pixels.dtype),
            identity=json.dumps(identity),
            model=model_file,
            settings=settings,
            folder=run.image_folder(file.output).absolute(),
            joins=bool(self.layout.band) and joins,
            versions=installed_versions(),
        )
        self._zarr = self._zarr_writer()
        self.done = set(run.finished_parts(file.output))
        if self._zarr is not None:
            self._create_zarr()

    @property
    def name(self) -> str:
        """Name of the image for messages."""
        return self.file.name

    def missing(self) -> list[tuple[Part, list[Part]]]:
        """Return the parts that are not finished, and the missing bands that lead to them."""
        found = []
        for part in self.parts:
            bands = [band for band in self.bands(part) if band.key not in self.done]
            is_done = part.key in self.done if self.joins_or_whole else not bands
            if not is_done:
                found.append((part, bands))
        return found

    @property
    def joins_or_whole(self) -> bool:
        """Whether results of complete slices are written, rather than those of bands."""
        return self.task.joins or self.layout.band is None

    def bands(self, part: Part) -> list[Part]:
        """Return the bands of a part, none if it is computed in one piece."""
        return self.layout.bands(part, self.slices.height)

    @property
    def keys(self) -> list[str]:
        """Keys of all that is computed."""
        keys = [band.key for part in self.parts for band in self.bands(part)]
        return keys + ([part.key for part in self.parts] if self.joins_or_whole else [])

    @property
    def share(self) -> float:
        """Share of the image that is finished."""
        keys = self.keys
        return sum(key in self.done for key in keys) / len(keys)

    @property
    def is_complete(self) -> bool:
        """Whether all parts are finished."""
        return not self.failed and not self.missing()

    def finish(self, key: str) -> None:
        """Note that a part is finished."""
        self.done.add(key)
        self._run.finish_part(self.file.output, key)

    def write(self) -> Segmentation | None:
        """Write the output and note that; return the result unless workers wrote the labels.

        Raises
        ------
        ValueError
            If the format cannot hold the labels, or writing fails.
        """
        result = self._write_output()
        self._run.finish_image(self.file.output)
        return result

    def close(self) -> None:
        """Remove the parts, after the output was written."""
        self._run.remove_parts(self.file.output)

    def _write_output(self) -> Segmentation | None:
        settings, output = self._request.settings, self.file.output
        if self._zarr is not None:
            with self._zarr.describe_errors():
                self._zarr.publish(self.task.folder / "labels")
        if self._zarr is not None and not settings.probabilities:
            return None
        separate = settings.clean_up.separate
        parts = self.parts
        if not self.joins_or_whole:
            parts = [band for part in self.parts for band in self.bands(part)]
        assembly = Assembly(self.task.folder, self.slices, parts, separate, self._request.link)
        has_labels = self._zarr is None
        result = assembly.segmentation(self._request.model.classes, self.notices, has_labels)
        write: Callable[..., None] = write_segmentation if has_labels else write_probabilities
        write(result, output, self.image)
        return result if has_labels else None

    def _zarr_writer(self) -> ZarrLabels | None:
        """Return the writer of labels that workers write by chunk; None where objects are numbered.

        The numbers of objects are known only when all slices are computed.
        """
        settings, image = self._request.settings, self.image
        if extension_of(self.file.output) != ".zarr" or settings.clean_up.separate:
            return None
        if self._request.keeps_arrays:
            return None
        place = image.place if isinstance(image.place, ZarrPlace) else None
        axes, classes = self.slices.spatial_axes, self._request.model.classes
        return ZarrLabels(self.file.output, axes, image.scale, image.unit, classes, place)

    def _create_zarr(self) -> None:
        assert self._zarr is not None
        folder = self.task.folder / "labels"
        if not (folder / "0").exists():
            kind: Any = label_dtype(max(self._request.model.config.num_classes - 1, 1))
            with self._zarr.describe_errors():
                self._zarr.create(folder, self.slices.spatial_shape, kind)
        self.task = replace(self.task, zarr=folder / "0")
