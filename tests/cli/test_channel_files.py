"""Training and evaluation on images whose channels lie in files of their own."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.cli import main

nib = pytest.importorskip("nibabel")

WORDS = ("t1", "t1ce", "t2", "flair")


@pytest.fixture
def cases(tmp_path):
    """Return a data set of two cases, whose second modality alone shows a disc."""
    rows, columns = np.ogrid[:40, :48]
    disc = ((rows - 20) ** 2 + (columns - 16) ** 2 < 100)[..., None] & np.ones(2, bool)
    for number in (1, 2):
        folder = tmp_path / "data" / f"case_{number}"
        folder.mkdir(parents=True)
        noise = np.random.default_rng(number).integers(0, 9, disc.shape)
        for word in WORDS:
            voxels = (noise + 200 * disc * (word == "t1ce")).astype("i2")
            nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{folder.name}_{word}.nii.gz")
        labels = nib.Nifti1Image(disc.astype("u1"), np.eye(4))
        nib.save(labels, folder / f"{folder.name}_seg.nii.gz")
    return tmp_path / "data"


@pytest.mark.usefixtures("tiny_bundled")
def test_one_modality_is_chosen_by_its_number(cases, capsys):
    assert main(["evaluate", str(cases), "--channels", "1"]) == 0
    text = capsys.readouterr()
    assert "BraTS: 2 images" in text.err
    shown = [line for line in text.out.splitlines() if line.startswith("case_1")]
    assert float(shown[0].split()[1]) > 0.8
    assert main(["evaluate", str(cases), "--channels", "0"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("case_1")]
    assert float(shown[0].split()[1]) < 0.2


@pytest.mark.usefixtures("tiny_bundled")
def test_training_needs_a_choice_of_the_modalities(cases, tmp_path, capsys):
    quick = ["--set", "epochs=1", "--set", "crop=32", "--set", "batch=1"]
    command = ["train", str(cases), "--output", str(tmp_path / "run"), *quick]
    assert main(command) == 2
    assert "4 channels and the network takes" in capsys.readouterr().err
    assert main([*command, "--channels", "1"]) == 0
    assert "Its channels are case_1_t1.nii.gz, case_1_t1ce.nii.gz" in capsys.readouterr().err
