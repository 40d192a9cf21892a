"""Read a published file, set what it lacks (head, classes, size), and write a native checkpoint."""

import tempfile
from pathlib import Path

import napari_emcad

folder = Path(tempfile.mkdtemp())
published = folder / "model.pth"
napari_emcad.write_checkpoint(napari_emcad.bundled_checkpoint(), published)  # stands for your file

checkpoint = napari_emcad.read_checkpoint(published, head="finest", classes=["cell"], size=None)
napari_emcad.write_checkpoint(checkpoint, folder / "model.safetensors")
print(napari_emcad.read_checkpoint(folder / "model.safetensors").classes)
