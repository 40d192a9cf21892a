"""Learn the brain from strokes in one slice of an MR volume, and segment the whole NIfTI file.

Needs the extra `medical`; the volume comes with nibabel.
"""

from pathlib import Path

import nibabel
import numpy as np

import napari_emcad
from napari_emcad.cli import main

folder = Path(nibabel.__file__).parent / "tests" / "data"
scan = nibabel.load(folder / "example4d.nii.gz").slicer[..., 0]
nibabel.save(scan, "head.nii.gz")

# As in the window and in a terminal, rows count to the back and columns to the patient's left.
volume = nibabel.as_closest_canonical(scan).get_fdata()[::-1, ::-1].transpose(2, 1, 0)
image = volume[12]
scribbles = np.zeros(image.shape, np.uint8)  # 0 is unlabeled, 255 background, 1 the first class
scribbles[40:44, 50:80] = 1  # brain
scribbles[2:5, 5:60] = 255  # air
scribbles[:, 63:65][image[:, 63:65] < 60] = 255

model = napari_emcad.fit_instant([image], [scribbles], classes=["brain"])
napari_emcad.write_instant(model, "brain.safetensors")
main(["segment", "head.nii.gz", "--checkpoint", "brain.safetensors", "--overwrite"])

labels = nibabel.load("head_labels.nii.gz")
milliliters = (labels.get_fdata() > 0).sum() * np.prod(labels.header.get_zooms()[:3]) / 1000
print(f"{labels.shape}, the affine of the image: {np.allclose(labels.affine, scan.affine)}")
print(f"{milliliters:.0f} mL")
