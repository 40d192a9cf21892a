"""Tool tips of the fields of `DetailsForm`."""

from __future__ import annotations

DETAIL_TIPS = {
    "_activation": "Activation of the decoder's blocks, which the tensors do not show (ReLU6)",
    "_parallel": "Depth-wise kernels side by side or one after the other (parallel)",
    "_head": "Head whose logits are the prediction: the finest one, or the sum of all four",
    "_inputs": "Channels that the network takes; one is turned into three by the gray stem",
    "_intensity": "How pixel values become 0 … 1 for the network",
    "_low": "Value, or percentile, that is black to the network",
    "_high": "Value, or percentile, that is white to the network",
    "_over": "Pixels that percentiles are computed from (every slice)",
    "_norm": "Mean that is subtracted and standard deviation that is divided by afterwards",
    "_native": "Native resolution in tiles, or all images resized to one size",
    "_zoom": "Factor by which images are enlarged, for small objects",
    "_height": "Height in pixels to which images are resized (352)",
    "_width": "Width in pixels to which images are resized (352)",
}
"""Texts by the name of the field's attribute."""
