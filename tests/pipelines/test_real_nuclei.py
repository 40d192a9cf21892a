"""Scores of the published and the bundled checkpoint on real nuclei."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from napari_emcad import bundled_checkpoint, read_checkpoint, segment
from napari_emcad.io.images.read import read_image
from napari_emcad.pipelines.evaluate import evaluate
from napari_emcad.pipelines.scores import mean_over_images

SHARED = Path(__file__).parents[3] / "shared"
DATA, PUBLISHED = SHARED / "data" / "dsb2018", SHARED / "checkpoints" / "nuclei_b0_published.pth"

pytestmark = [
    pytest.mark.slow("src", ":!src/napari_emcad/plugin"),
    pytest.mark.skipif(not PUBLISHED.is_file() or not DATA.is_dir(), reason="no real data here"),
]


@pytest.fixture(scope="module")
def rows():
    with (DATA / "index.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "test"]


def files_of(row):
    return DATA / "images" / f"{row['id']}.png", DATA / "labels" / f"{row['id']}.png"


def is_large(row) -> bool:
    return max(int(row["height"]), int(row["width"])) > 512


@pytest.fixture(scope="module")
def tiled(rows):
    """Return the scores of the 65 test images in tiles of 512, in order."""
    return list(evaluate(map(files_of, rows), read_checkpoint(PUBLISHED)))


def test_mean_dice_of_real_nuclei_equals_the_published_value(rows, tiled):
    assert len(rows) == len(tiled) == 65
    assert mean_over_images(tiled, "dice") == pytest.approx(0.9083, abs=0.002)


@pytest.mark.parametrize(
    ("kind", "dice"), [("dark", 0.9182), ("color", 0.8855), ("bright", 0.7131)]
)
def test_mean_dice_of_every_kind_of_image_equals_the_published_value(kind, dice, rows, tiled):
    chosen = [each for each, row in zip(tiled, rows, strict=True) if row["kind"] == kind]
    assert mean_over_images(chosen, "dice") == pytest.approx(dice, abs=0.004)


def test_whole_images_have_the_published_scores(rows, tiled):
    large = [row for row in rows if is_large(row)]  # of the others a tile is the whole
    whole = evaluate(map(files_of, large), read_checkpoint(PUBLISHED), tile=2048)
    scores = [next(whole) if is_large(row) else each for row, each in zip(rows, tiled, strict=True)]
    assert mean_over_images(scores, "dice") == pytest.approx(0.9083, abs=0.0005)
    for kind, dice in (("dark", 0.9182), ("color", 0.8855), ("bright", 0.7131)):
        chosen = [each for each, row in zip(scores, rows, strict=True) if row["kind"] == kind]
        assert mean_over_images(chosen, "dice") == pytest.approx(dice, abs=0.0005)


def test_the_bundled_checkpoint_has_the_documented_scores(rows):
    """See docs/checkpoints.md; nothing under 0.91 is bundled."""
    scores = list(evaluate(map(files_of, rows), bundled_checkpoint()))
    assert mean_over_images(scores, "dice") == pytest.approx(0.9238, abs=0.001)
    for kind, dice in (("dark", 0.9282), ("color", 0.8926), ("bright", 0.9088)):
        chosen = [each for each, row in zip(scores, rows, strict=True) if row["kind"] == kind]
        assert mean_over_images(chosen, "dice") == pytest.approx(dice, abs=0.002)


def test_labels_in_bfloat16_agree_with_those_in_float32(rows, with_bfloat16):
    model, dice = bundled_checkpoint(), []
    for row in [row for row in rows if not is_large(row)][::5]:
        image = read_image(files_of(row)[0])
        half, full = (
            segment(image.pixels, model, image.axes, device="cpu", full_precision=full).labels > 0
            for full in (False, True)
        )
        dice.append(2 * (half & full).sum() / max(half.sum() + full.sum(), 1))
    assert len(dice) >= 10
    assert sum(dice) / len(dice) > 0.999
