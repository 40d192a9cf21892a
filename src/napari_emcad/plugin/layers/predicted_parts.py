"""The parts of a prediction, so that a layer shows one model alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Where


class PredictedParts:
    """Remembers which parts of a layer were predicted, and with which model."""

    def __init__(self) -> None:
        self._model: object = None
        self._parts: list[Where] = []

    def add(self, part: Where) -> None:
        """Remember a part that was filled."""
        if part not in self._parts:
            self._parts.append(part)

    def begin(self, labels: NDArray[Any], part: Where, model: object = None) -> bool:
        """Clear the parts of another model, except for what is predicted now.

        Only what was filled is touched, so it takes no longer for a large stack.

        Parameters
        ----------
        labels
            Labels of the layer, which are changed in place.
        part
            The part that is predicted now; it keeps its labels until they are replaced.
        model
            The model; None for a network that learns, which is never the same as before.

        Returns
        -------
        bool
            Whether parts were cleared.
        """
        is_same, self._model = model is not None and model is self._model, model
        if is_same:
            return False
        kept = labels[part].copy()
        for old in self._parts:
            labels[old] = 0
        labels[part] = kept
        self._parts = [part]
        return True
