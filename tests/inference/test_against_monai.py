"""Tiling against MONAI's sliding windows.

MONAI pads a slice smaller than a window up to it; here such a side's tile is as short as the slice,
so the window given to MONAI is never larger than the slice.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from napari_emcad import segment
from napari_emcad.imaging.tiles import Blend, plan_tiles


def by_monai(predict, x, tile, overlap):
    window = [min(tile, side) for side in x.shape[2:]]
    with torch.inference_mode():
        return sliding_window_inference(
            x, window, 4, predict, overlap, mode="gaussian", sigma_scale=0.125
        )


def by_us(predict, x, tile, overlap):
    tiling = plan_tiles(tuple(x.shape[2:]), tile, overlap)
    height, width = tiling.tile
    full, blend = None, None
    for top in tiling.tops:
        for left in tiling.lefts:
            with torch.inference_mode():
                logits = predict(x[:, :, top : top + height, left : left + width])[0].numpy()
            if blend is None:
                blend, full = Blend(tiling, len(logits)), np.empty((len(logits), *tiling.shape))
            full[:, top : top + height, left : left + width] = blend.add(top, left, logits)
    return full


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.77])
@pytest.mark.parametrize(
    ("size", "tile"),
    [
        ((65, 97), 32),
        ((64, 64), 32),
        ((129, 40), 33),
        ((31, 200), 64),
        ((20, 30), 64),
        ((1, 90), 7),
    ],
    ids=str,
)
def test_blended_tiles_equal_monais(size, tile, overlap):
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 4, 5, padding=2)
    x = torch.randn(1, 3, *size)
    np.testing.assert_allclose(
        by_us(network, x, tile, overlap),
        by_monai(network, x, tile, overlap)[0].numpy(),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize("size", [(100, 131), (40, 90), (50, 33)])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_a_whole_segmentation_equals_monais(checkpoint, size, overlap):
    as_it_is = checkpoint(num_classes=3).override(intensity="none", mean=(0,), std=(1,))
    image = np.random.default_rng(0).standard_normal((*size, 3)).astype(np.float32)
    found = segment(image, as_it_is, "YXC", tile=64, overlap=overlap, probabilities=True)
    x = torch.from_numpy(image.transpose(2, 0, 1)[None])
    logits = by_monai(as_it_is.network().predict, x, 64, overlap)
    expected = torch.softmax(logits[0], 0).numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=1e-5)
