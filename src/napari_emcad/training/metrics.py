"""Scores of a segmentation against a truth, by their right names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """Agreement of two masks, from their pixel counts.

    Attributes
    ----------
    true_positive, false_positive, false_negative
        Pixels in both, in the prediction alone, in the truth alone.
    """

    true_positive: int
    false_positive: int
    false_negative: int

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN), the F1 of pixels; 1 if both masks are empty."""
        return _ratio(
            2 * self.true_positive,
            2 * self.true_positive + self.false_positive + self.false_negative,
        )

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), intersection over union; 1 if both masks are empty."""
        return _ratio(
            self.true_positive, self.true_positive + self.false_positive + self.false_negative
        )

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 1 if nothing was predicted and nothing was there."""
        if not self.true_positive + self.false_positive:
            return float(not self.false_negative)
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 1 if nothing was there to be found."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)


def score(predicted: NDArray[Any], truth: NDArray[Any]) -> Scores:
    """Return the scores of one mask against another.

    Parameters
    ----------
    predicted, truth
        Arrays of one shape; what is not 0 counts as the object.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"The shapes differ: predicted {predicted.shape}, truth {truth.shape}.")
    found, wanted = predicted != 0, truth != 0
    both = int(np.count_nonzero(found & wanted))
    return Scores(both, int(np.count_nonzero(found)) - both, int(np.count_nonzero(wanted)) - both)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
