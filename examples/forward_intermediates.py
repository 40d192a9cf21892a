"""Read the intermediate results of the decoder stages: logits and attention gates."""

import torch

import napari_emcad

network = napari_emcad.bundled_checkpoint().network()
with torch.inference_mode():
    stages = network.forward_intermediates(torch.randn(1, 3, 96, 128))
for number, stage in stages.items():
    gate = "none" if stage.gate is None else f"{float(stage.gate.mean()):.2f}"
    print(f"stage {number}: logits {tuple(stage.logits.shape)}, mean gate {gate}")
