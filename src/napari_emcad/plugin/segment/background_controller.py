"""Segments the file of the chosen image into OME-Zarr; the labels are shown while they grow."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.cluster.events import LabelsBegun
from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.inference.events import Progress
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.plugin.layers.attention import insert_layer, set_editable
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.layers.result_layers import new_labels_layer
from napari_emcad.plugin.segment.files_job import files_job
from napari_emcad.plugin.segment.request import layer_target
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels

    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.layers.target import Target
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.files_job import FilesDone
    from napari_emcad.plugin.segment.panel import SegmentPanel

_REFRESH_MS = 1000
_LARGEST_SLICE = 2**26
"""Pixels of a slice that napari can read again and again."""

_LARGEST_ARRAY = 2**28
"""Pixels of complete labels that are read into memory, where they can be edited."""


class BackgroundController(QObject):
    """Runs the segmentation of the chosen image's file, and shows its labels.

    What is finished stays on disk: the same image and file go on after a stop or a restart.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the Segment tab.
    model
        Returns the chosen model.
    """

    def __init__(
        self, context: Context, panel: SegmentPanel, model: Callable[[], SegmentationModel | None]
    ) -> None:
        super().__init__(panel)
        self._context, self._model = context, model
        self._viewer = context.viewer
        self._layer: Labels | None = None
        self._refresh_soon = qthrottled(self._refresh, timeout=_REFRESH_MS)
        panel.files.background_requested.connect(self.run)

    def run(self, output: Path) -> None:
        """Segment the file of the chosen image.

        Parameters
        ----------
        output
            The folder ``.zarr`` for the labels.
        """
        model, chosen = self._model(), self._context.image_input
        output = output if output.suffix == ".zarr" else output.with_name(f"{output.name}.zarr")
        reason = self._context.session.why_not_run() or chosen.problem or self._why_not(output)
        if reason or model is None or chosen.layer is None:
            self._context.show_message(reason or "Open a model first.", error=True)
            return
        options = chosen.options
        try:
            target = layer_target(chosen.layer, options, model)
        except (ValueError, TypeError) as error:
            self._context.show_message(str(error), error=True)
            return
        request = FilesRequest(
            model,
            options.settings,
            axes=options.axes,
            channels=options.channels,
            options=ReadOptions(level=options.level),
        )
        files = [ImageFile(Path(str(chosen.layer.source.path)), output)]
        self._context.runner.run(
            f"Segmenting {shorten(chosen.layer.name)}",
            partial(files_job, files, request),
            partial(self._ended, target, output),
            partial(self._show_event, target),
            on_abandon=self._forget,
        )

    def _why_not(self, output: Path) -> str:
        layer = self._context.image_input.layer
        path = layer.source.path if layer is not None else None
        if not path or not Path(path).exists():
            return "The image is not in a file; save it and open the file."
        if output.exists():
            return f"{output.name} exists already; choose another name."
        return ""

    def _show_event(self, target: Target, event: Any) -> None:
        if isinstance(event, LabelsBegun):
            self._open(target, event.path)
        elif isinstance(event, Progress):
            self._refresh_soon()

    def _open(self, target: Target, path: Path) -> None:
        """Show labels that are being written."""
        import zarr

        labels = zarr.open_array(path, mode="r")
        if _fits(labels, target) and prod(labels.shape[-2:]) <= _LARGEST_SLICE:
            self._add(target, labels)

    def _add(self, target: Target, labels: Any, editable: bool = False) -> None:
        self._layer = new_labels_layer(target, labels, target.geometry)
        insert_layer(self._viewer, self._layer)
        set_editable(self._layer, editable)

    def _refresh(self) -> None:
        if self._layer is not None and is_open(self._viewer, self._layer):
            self._layer.refresh()

    def _ended(self, target: Target, output: Path, outcome: Outcome) -> None:
        if outcome.error:
            self._forget()
            return
        done: FilesDone = outcome.result
        if done.failed:
            self._forget()
            self._context.show_message(" ".join(done.failed), error=True)
        elif done.stopped:
            self._forget()
            self._context.show_message(f"Stopped; choose {output.name} again for the rest.")
        else:
            hint = self._show_complete(target, output)
            self._context.show_message(f"The labels are in {output}. {hint}".strip())

    def _show_complete(self, target: Target, output: Path) -> str:
        """Show the complete labels in place of the growing ones; return why not, or ""."""
        import zarr

        self._forget()
        group = zarr.open_group(output, mode="r")
        levels: list[Any] = [group[name] for name in sorted(group.array_keys(), key=int)]
        finest = levels[0]
        if not _fits(finest, target):
            return "They cannot be shown on this layer; open the file."
        if prod(finest.shape) <= _LARGEST_ARRAY:
            self._add(target, np.asarray(finest), editable=True)
        elif len(levels) > 1 and prod(finest.shape[-2:]) > _LARGEST_SLICE:
            self._add(target, levels)
        else:
            self._add(target, finest)
        self._layer = None
        return ""

    def _forget(self) -> None:
        """Remove labels that are not written any more."""
        if self._layer is not None and is_open(self._viewer, self._layer):
            self._viewer.layers.remove(self._layer)
        self._layer = None


def _fits(labels: Any, target: Target) -> bool:
    """Return whether an array on disk can be the data of a layer on the target's image."""
    return bool(labels.shape == target.shape) and not target.repeats_channels
