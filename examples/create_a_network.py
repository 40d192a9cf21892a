"""Create a PVT-EMCAD network as a torch module, and print the shapes of its four heads."""

import torch

import napari_emcad

model = napari_emcad.create_model("pvt_v2_b0", in_channels=3, num_classes=9)
with torch.inference_mode():
    heads = model(torch.zeros(1, 3, 224, 224))
print(*(tuple(logits.shape) for logits in heads), sep="\n")
