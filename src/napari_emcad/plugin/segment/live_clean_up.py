"""Threshold and clean-up act on the last result at once, without running the network again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.inference.events import Progress
from napari_emcad.inference.logit_cache import LogitCache
from napari_emcad.plugin.layers.scope import scope_of
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.events import InferenceSettings, Region
    from napari_emcad.plugin.layers.image_input import SegmentOptions
    from napari_emcad.plugin.layers.result import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.panel import SegmentPanel

    Relabeled = tuple[Region, tuple[int, ...]]

_PAUSE_MS = 40


@dataclass(slots=True, eq=False)
class _Computed:
    """A result with the logits of its slices.

    Attributes
    ----------
    result, cache, options
        Layers, logits, and how the job read and segmented the image.
    shown
        Settings of the slices whose labels were computed again.
    """

    result: Result
    cache: LogitCache
    options: SegmentOptions
    shown: dict[Index, InferenceSettings] = field(default_factory=dict)

    def settings_of(self, index: Index) -> InferenceSettings:
        """Return the settings that a slice shows."""
        return self.shown.get(index, self.options.settings)


class LiveCleanUp(QObject):
    """Computes labels again when the fields of the clean-up change.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the Segment tab.
    """

    def __init__(self, context: Context, panel: SegmentPanel) -> None:
        super().__init__(panel)
        self._context, self._form = context, panel.clean_up
        self._viewer, self._session = context.viewer, context.session
        self._input = context.image_input
        self._computed: _Computed | None = None
        self._job: JobThread | None = None
        self._update_soon = qthrottled(self._update, timeout=_PAUSE_MS)
        self._input.changed.connect(self._update_soon)
        self._viewer.dims.events.current_step.connect(self._update_soon)
        self._session.running_changed.connect(self._update_soon)
        self._form.apply_requested.connect(self.apply)

    def begin(self, result: Result, slices: Slices, options: SegmentOptions) -> None:
        """Follow a job that computes a result, and forget the one before."""
        self._computed = _Computed(result, LogitCache(slices), options)
        self._form.show_live("", False)

    def add(self, region: Region) -> None:
        """Keep the logits of a region."""
        if self._computed is not None:
            self._computed.cache.add(region)

    def forget(self) -> None:
        """Drop the logits."""
        self._computed = None
        self._form.show_live("", False)

    @property
    def largest_probability(self) -> float | None:
        """Largest probability of the only class in the slices that are kept; None without any."""
        return None if self._computed is None else self._computed.cache.largest_probability

    # -- the slice on screen

    def _update(self, _: Any = None) -> None:
        """Compute the visible slice again if its settings are no longer those of the fields."""
        computed, settings, index = self._computed, self._settings(), self._visible_index()
        if self._job is not None or computed is None or settings is None or index is None:
            return
        if index not in computed.cache or computed.settings_of(index) == settings:
            self._show(computed, settings)
            return
        result = computed.result
        first = result.numbers.first_free(result.labels_at(computed.cache.box(index)))
        self._job = JobThread(lambda _: _relabel_job(computed.cache, index, settings, first))
        self._job.ended.connect(
            lambda outcome: self._ended(outcome, computed, index, settings, first)
        )
        self._job.start()

    def _ended(
        self,
        outcome: Outcome,
        computed: _Computed,
        index: Index,
        settings: InferenceSettings,
        first: int,
    ) -> None:
        self._job = None
        if outcome.error or computed is not self._computed or self._settings() is None:
            return
        region, classes = outcome.result
        computed.result.relabel([region], classes, first)
        computed.shown[index] = settings
        self._show(computed, settings)
        self._update()  # the fields may have changed meanwhile

    def _settings(self) -> InferenceSettings | None:
        """Return the job's settings with the present threshold and clean-up.

        None if they cannot be applied: a job runs, another image or model is chosen, or the result
        was edited, closed, or would need another kind of layer.
        """
        computed = self._computed
        if computed is None or self._session.running is not None or self._input.problem:
            return None
        target, present, before = computed.result.target, self._input.options, computed.options
        models = (self._session.checkpoint, self._session.instant)
        fits = (
            target.source is self._input.layer,
            any(target.checkpoint is model for model in models),
            computed.result.unedited,
            _reading(present) == _reading(before),
        )
        if not all(fits):
            return None
        return replace(
            before.settings,
            threshold=present.settings.threshold,
            stretch=present.settings.stretch,
            clean_up=present.settings.clean_up,
        )

    def _visible_index(self) -> Index | None:
        layer = self._input.layer
        if layer is None or self._input.problem:
            return None
        try:
            options = replace(self._input.options, scope="slice")
            return scope_of(self._viewer, layer, options).index
        except ValueError:
            return None

    def _show(self, computed: _Computed, settings: InferenceSettings) -> None:
        """Show whether other slices have other settings."""
        count = computed.cache.count
        others = count > 1 and any(
            computed.settings_of(index) != settings for index in computed.cache.indices
        )
        complete = computed.cache.complete
        message = ""
        if others or (computed.shown and not complete and count > 1):
            message = "The new settings act on the slices that you look at."
            message += "" if complete else " Press Segment for all of them."
        self._form.show_live(message, others and complete)

    # -- all slices

    def apply(self) -> None:
        """Compute the labels of all slices again; a stopped job changes nothing."""
        computed, settings = self._computed, self._settings()
        if computed is None or settings is None:
            return
        self._context.runner.run(
            "Applying to all slices",
            lambda stop: _relabel_all_job(computed.cache, settings, stop),
            lambda outcome: self._applied(outcome, computed, settings),
        )

    def _applied(self, outcome: Outcome, computed: _Computed, settings: InferenceSettings) -> None:
        if outcome.error or outcome.result is None or computed is not self._computed:
            return
        regions, classes = outcome.result
        computed.result.relabel(regions, classes)
        computed.shown = dict.fromkeys(computed.cache.indices, settings)
        self._show(computed, settings)

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        if self._job is not None:
            self._job.abandon()
        self._computed = None
        self._input.changed.disconnect(self._update_soon)
        self._viewer.dims.events.current_step.disconnect(self._update_soon)
        self._session.running_changed.disconnect(self._update_soon)


def _reading(options: SegmentOptions) -> tuple[Any, ...]:
    """Return what a result depends on besides threshold and clean-up of areas."""
    separate = options.settings.clean_up.separate
    return options.axes, options.channels, options.level, separate


def _relabel_job(
    cache: LogitCache, index: Index, settings: InferenceSettings, first: int
) -> Generator[Any, None, Relabeled]:
    yield from ()
    return cache.relabel(index, settings, first)


def _relabel_all_job(
    cache: LogitCache, settings: InferenceSettings, stop: threading.Event
) -> Generator[Any, None, tuple[list[Region], tuple[int, ...]] | None]:
    """Return new labels of all slices and the classes of all objects; None if it is stopped."""
    regions: list[Region] = []
    classes: tuple[int, ...] = ()
    for index in cache.indices:
        if stop.is_set():
            return None
        region, new = cache.relabel(index, settings, len(classes))
        regions.append(region)
        classes += new
        yield Progress(len(regions), cache.count)
    return regions, classes
