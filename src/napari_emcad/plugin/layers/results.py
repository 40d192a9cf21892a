"""The results of a viewer, found again by the next job."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.layers.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_emcad.plugin.layers.target import Target


class Results:
    """The results of one viewer, to which it holds only a weak reference."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.proxy(viewer)
        self._results: list[Result] = []
        self._shown: WeakKeyDictionary[Labels, tuple[Callable[[], Any], str]] = WeakKeyDictionary()

    def begin(self, target: Target) -> Result:
        """Return the result that a job fills: the last one that fits its target, or a new one."""
        self._results = [result for result in self._results if result.reusable]
        fitting = [result for result in self._results if target.fits_layer_of(result.target)]
        if fitting and not target.new_layer:
            result = fitting[-1]
        else:
            self._hide_predecessors(target)
            result = Result(self._viewer, target)
            self._results.append(result)
            self._shown[result.layer] = weakref.ref(target.source), target.kind
        result.begin(target)
        return result

    def _hide_predecessors(self, target: Target) -> None:
        """Hide older results of the image, also edited ones, which the new one would cover."""
        for layer, (source, kind) in self._shown.items():
            if source() is target.source and kind == target.kind and is_open(self._viewer, layer):
                layer.visible = False

    def class_result_of(self, source: Image) -> Result | None:
        """Return the newest result with classes of an image; predictions take precedence."""
        results = [
            result
            for result in self._results
            if result.target.source is source
            and is_open(self._viewer, result.layer)
            and not result.target.settings.clean_up.separate
        ]
        results.sort(key=lambda result: result.target.kind == "prediction")
        return results[-1] if results else None

    def source_of(self, layer: Labels) -> Image | None:
        """Return the image that a result layer was computed from; None for any other layer."""
        shown = self._shown.get(layer)
        return None if shown is None else shown[0]()

    def layers_of(self, source: Image) -> list[Labels]:
        """Return the open result layers of an image."""
        layers = [one for one in self._shown if self.source_of(one) is source]
        return [layer for layer in layers if is_open(self._viewer, layer)]

    def remove_unedited(self, source: Image) -> bool:
        """Remove the results of an image that the user has not changed; return if others stay."""
        for result in [one for one in self._results if one.target.source is source]:
            if result.reusable:
                result.discard()
                self._results.remove(result)
        return bool(self.layers_of(source))
