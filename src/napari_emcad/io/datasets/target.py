"""From the values of label files to the classes that are trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import BACKGROUND, MOST_CLASSES
from napari_emcad.annotation.mask_values import mask_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_STEPS = 6
"""Most gray levels of a mask of classes that end with white."""

_MOST_CODES = 20
"""Most values of a label file that may be codes of classes instead of numbers of objects."""


def class_target(labels: NDArray[Any], classes: int | None, foreground: bool) -> NDArray[np.int16]:
    """Return class indices; 0 is the background, `UNLABELED` is ignored.

    Parameters
    ----------
    labels
        Values of a label file, of any shape.
    classes
        Number of classes without the background; None takes as many as the labels have.
    foreground
        Whether all labels above 0 are class 1.

    Raises
    ------
    ValueError
        If a value is no class; the message says what to do.
    """
    values = mask_target(labels, classes, foreground)
    largest = int(values.max(initial=0))
    if largest > MOST_CLASSES:
        raise ValueError(_advice(np.unique(values[values > 0]).tolist()))
    if classes is not None and largest > classes:
        raise ValueError(
            f"the labels hold {largest}, the classes are 1 to {classes}. If that is a class, list "
            f"it in classes.yaml beside the images to train on; if the labels number single "
            f"objects, use --foreground to make them all one class."
        )
    return values.astype(np.int16)


def _advice(present: list[int]) -> str:
    """Return what to do about labels above the largest class: objects, or codes of classes."""
    if len(present) > _MOST_CODES or len(present) > present[-1] / 2:
        return (
            f"the labels go up to {present[-1]} and seem to number single objects; use "
            f"--foreground to make them all one class."
        )
    soft = len(present) > _MOST_STEPS and present[-1] == BACKGROUND
    advice = " If the mask is black and white with gray edges, save it thresholded." * soft
    return (
        f"the labels go up to {present[-1]}, beyond {MOST_CLASSES} classes, with the values "
        f"{', '.join(map(str, present))}; save them with 0 for the background and the classes 1, "
        f"2, …, or use --foreground if all values above 0 are one kind of object.{advice}"
    )
