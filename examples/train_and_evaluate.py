"""Train a network on labeled arrays, and score it on others."""

import numpy as np

import napari_emcad


def discs(seed):
    """Return an image of bright discs on a dark background, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    mask = np.zeros((96, 96), np.uint8)
    for row, column in rng.integers(12, 84, (4, 2)):
        mask[(y - row) ** 2 + (x - column) ** 2 < 100] = 1
    return 40 + 120 * mask + rng.integers(0, 30, mask.shape), mask


images, labels = zip(*map(discs, range(5)), strict=True)
start = napari_emcad.initialize_checkpoint(encoder="pvt_v2_b0").override(
    classes=("disc",), intensity="percentile", low=0.5, high=99.5, size=None
)
result = napari_emcad.train(
    images[:4], labels[:4], start, epochs=3, crops_per_epoch=8, crop=96, batch=2
)
(score,) = napari_emcad.evaluate(images[4:], labels[4:], result.checkpoint)
print(f"{len(result.course.epochs)} epochs, Dice {score.mean('dice'):.3f} on the image left out")
