"""Labels of arrays: what is ignored is decided for all arrays of a call, as for files."""

from __future__ import annotations

import numpy as np
import pytest

import napari_emcad

Y, X = np.mgrid[:64, :64]
IMAGE = (20 + 180 * ((Y % 32 - 16) ** 2 + (X % 32 - 16) ** 2 < 80)).astype(np.uint8)
TRUE = (IMAGE > 100).astype(np.int64)


@pytest.fixture
def score(tiny_bundled):
    """Return a function that returns the Dice of images whose truths are given."""

    def score(*truths, **options):
        images = [IMAGE] * len(truths)
        model = napari_emcad.bundled_checkpoint()
        found = napari_emcad.evaluate(images, truths, model, "YX", device="cpu", **options)
        return [one.by_class[1] for one in found]

    return score


def test_255_of_one_array_is_void_in_all(score):
    with_void = np.where(Y < 8, 255, TRUE)
    background_and_void = np.where(Y < 40, 255, 0)
    alone = score(background_and_void)[0]
    beside = score(background_and_void, with_void)[0]
    assert alone.dice > 0  # 0 and 255 alone are a mask of one class
    ignored = np.where(Y < 40, -1, 0)
    assert beside == score(ignored)[0]


def test_further_values_are_ignored_on_request(score):
    marked = np.where(Y < 20, 7, TRUE)
    assert score(marked, ignore=(7,)) == score(np.where(Y < 20, -1, TRUE))
    assert score(marked)[0].dice < score(marked, ignore=(7,))[0].dice


def test_training_ignores_the_same(tiny_bundled, monkeypatch):
    from napari_emcad.pipelines import train as train_module

    seen = []

    def job(start, training, *rest):
        seen.extend(training)
        return
        yield

    monkeypatch.setattr(train_module, "train_job", job)
    truths = [np.where(Y < 8, 255, TRUE), np.where(Y < 40, 255, 0), np.where(Y < 20, 7, TRUE)]
    model = napari_emcad.bundled_checkpoint()
    napari_emcad.train([IMAGE] * 3, truths, model, "YX", held_out=0, ignore=(7,), epochs=1)
    targets = [np.asarray(one.target) for one in seen]
    assert [sorted(set(target.ravel().tolist())) for target in targets] == [
        [-1, 0, 1],
        [-1, 0],
        [-1, 0, 1],
    ]
