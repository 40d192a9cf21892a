"""Score a network on slices with known labels."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import standardize
from napari_emcad.imaging.tiles import Blend, plan_tiles
from napari_emcad.training.metrics import Scores, mean_score, score, sum_scores

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.segmenter import Head, Segmenter
    from napari_emcad.training.samples import LabeledSlice

_TILE, _OVERLAP = 768, 0.25


def validate(
    network: Segmenter,
    slices: Sequence[LabeledSlice],
    preprocessing: Preprocessing,
    stop: threading.Event,
    head: Head = "finest",
) -> tuple[dict[int, Scores], ...]:
    """Return the scores of all classes, over the labeled pixels of the slices, slice by slice.

    Parameters
    ----------
    network
        It is put into eval mode meanwhile.
    slices
        Labeled slices.
    preprocessing
        Mean, standard deviation and zoom.
    stop
        Set it to end after the current slice; the result has fewer slices then.
    head
        The head whose logits are the prediction.
    """
    scores = []
    with eval_mode(network):
        for source in slices:
            if stop.is_set():
                break
            predicted = predict_labels(network, source, preprocessing, head)
            scores.append(_score_classes(predicted, source.target, network.config.num_classes))
    return tuple(scores)


@contextmanager
def eval_mode(network: Segmenter) -> Iterator[None]:
    """Put a network into eval mode, and all of its modules back into their own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():  # frozen norms stay frozen
            module.training = mode


def mean_dice(scores: Sequence[Mapping[int, Scores]]) -> float:
    """Return the mean Dice of images, see `mean_score`."""
    return mean_score(scores, "dice")


def mean_iou(scores: Sequence[Mapping[int, Scores]]) -> float:
    """Return the mean IoU of images, see `mean_score`."""
    return mean_score(scores, "iou")


def pool_by_image(
    scores: Sequence[Mapping[int, Scores]], slices: Sequence[LabeledSlice]
) -> tuple[dict[int, Scores], ...]:
    """Return the scores of every image or volume, from the pixels of all of its slices together.

    Parameters
    ----------
    scores
        Scores by class of every slice, see `validate`.
    slices
        The slices.
    """
    by_image: dict[str, list[Mapping[int, Scores]]] = {}
    for one, source in zip(scores, slices, strict=True):
        by_image.setdefault(source.image_name, []).append(one)
    return tuple(
        {k: sum_scores(one[k] for one in image) for k in image[0]} for image in by_image.values()
    )


def predict_labels(
    network: Segmenter, source: LabeledSlice, preprocessing: Preprocessing, head: Head
) -> NDArray[np.integer]:
    """Return the classes that a network in eval mode predicts for a slice, ``(H, W)``."""
    inputs = network.config.input_channels
    height, width = source.target.shape
    planes = np.broadcast_to(source.planes, (inputs, height, width))
    pixels = torch.from_numpy(standardize(planes, preprocessing))
    device = next(network.parameters()).device
    tiling = plan_tiles((height, width), _TILE, _OVERLAP, preprocessing.zoom)
    blend = Blend(tiling, network.config.num_classes)
    labels = np.zeros((height, width), np.int64)
    for rows, columns in tiling:
        with torch.inference_mode():
            tile = pixels[None, :, rows, columns].to(device)
            logits = network.predict(tile, head, preprocessing.zoom)
        mean = blend.add(rows.start, columns.start, logits[0].float().cpu().numpy())
        labels[rows, columns] = mean.argmax(0) if len(mean) > 1 else mean[0] > 0
    return labels


def _score_classes(
    predicted: NDArray[np.integer], target: NDArray[np.integer], num_classes: int
) -> dict[int, Scores]:
    labeled = target != UNLABELED
    predicted, truth = predicted[labeled], target[labeled]
    return {k: score(predicted == k, truth == k) for k in range(1, max(num_classes, 2))}
