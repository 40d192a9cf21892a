"""Give objects one number through the slices of a stack, and measure their volumes."""

import numpy as np

import napari_emcad

labels = np.zeros((5, 64, 64), np.uint16)
for z in range(5):  # numbered anew in every slice
    labels[z, 10 + z : 30 + z, 10:30], labels[z, 40:50, 35:60] = 2 * z + 1, 2 * z + 2

linked, _ = napari_emcad.link_objects(labels, "ZYX", overlap=0.25)
table = napari_emcad.measure(linked, axes="ZYX", scale={"Z": 2, "Y": 0.5, "X": 0.5}, unit="µm")
for number, volume in zip(table.columns["label"], table.columns["volume"], strict=True):
    print(f"object {number}: {volume:.0f} µm³")
