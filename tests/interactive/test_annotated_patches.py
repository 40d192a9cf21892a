"""Every annotated pixel is in one patch at its position, for any axes and label offset."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad.annotation.label_rules import UNLABELED, LabelRule
from napari_emcad.annotation.record import Record
from napari_emcad.imaging.slices import as_slices
from napari_emcad.interactive.annotated_patches import (
    AnnotatedImage,
    read_targets,
    scan_annotations,
)
from napari_emcad.interactive.annotation_conflicts import conflict_message, merged_record


@st.composite
def scenes(draw):
    """Draw axes, image shape, and corner and shape of the annotation layer."""
    axes = "".join(draw(st.permutations(draw(st.sampled_from(["YX", "ZYX", "TZYX", "ZYXC"])))))
    sizes = {"C": 3} | {a: draw(st.integers(1, 3)) for a in "TZ"}
    sizes |= {a: draw(st.integers(1, 40)) for a in "YX"}
    corner, size = [], []
    for letter in axes.replace("C", ""):
        corner.append(draw(st.integers(0, sizes[letter] - 1)))
        size.append(draw(st.integers(1, sizes[letter] - corner[-1])))
    return axes, tuple(sizes[a] for a in axes), tuple(corner), tuple(size)


@settings(deadline=None, max_examples=150)
@given(scenes(), st.integers(1, 9), st.integers(0, 2**31), st.sampled_from([0.02, 0.5, 1]))
def test_every_annotated_pixel_is_in_one_patch_at_its_position(scene, block, seed, share):
    axes, shape, corner, size = scene
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, 2, 255], size).astype(np.uint8) * (rng.random(size) < share)
    slices = as_slices(np.zeros(shape, np.uint8), 3, axes, (0,) * 3 if "C" in axes else None)
    source = AnnotatedImage("a", "image", slices, labels, LabelRule(), corner, patch_size=block)
    targets = read_targets([source], 2)
    expected_target = np.full(slices.spatial_shape, UNLABELED, np.int16)
    part = tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))
    expected_target[part] = np.where(
        labels == 255, 0, np.where(labels == 0, UNLABELED, labels.astype(int))
    )
    counts = np.zeros(slices.spatial_shape, int)
    for key, patch in targets.items():
        where = slices.where(key.index, key.rows, key.columns)
        expected, counted = expected_target[where], counts[where]
        counted += 1
        assert np.array_equal(patch, expected.T if slices.transposed else expected)
        assert (patch != UNLABELED).any()
    assert counts.max(initial=0) <= 1
    assert (counts[expected_target != UNLABELED] == 1).all()


def annotations(label_arrays, names=("image", "image")):
    """Return annotations of one image, or of several with different names."""
    slices = as_slices(np.zeros(label_arrays[0].shape, np.uint8), 3, "ZYX"[-label_arrays[0].ndim :])
    return [
        AnnotatedImage(key, name, slices, labels, LabelRule(), image=name)
        for key, name, labels in zip("abc", names, label_arrays, strict=False)
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 2),
            st.integers(0, 28),
            st.sampled_from([0, 1, 2, 255]),
        ),
        max_size=30,
    ),
    st.sets(st.integers(0, 1), min_size=1),
)
def test_annotations_of_one_image_hold_out_the_same_pixels(strokes, enabled):
    label_arrays = [np.zeros((3, 12, 30), np.uint8) for _ in range(2)]
    record = Record()
    learned, validated = np.zeros((2, 3, 12, 30), bool)
    for which, z, x, value in strokes:
        label_arrays[which][z, 3:5, x : x + 3] = value
        sources = annotations(label_arrays)
        record = scan_annotations(sources, record, 2).frozen_split()
        chosen = [sources[n] for n in sorted(enabled)]
        merged = merged_record(chosen, record)
        classes_at = {}
        for key, patch in merged.patches.items():
            (z,) = key.index
            learned[z] |= patch.training_target() != UNLABELED
            validated[z] |= patch.validation_target() != UNLABELED
            for y, x in np.argwhere(patch.target != UNLABELED).tolist():
                classes_at.setdefault((z, y, x), set()).add(int(patch.target[y, x]))
        assert not (learned & validated).any()
        assert all(len(classes) == 1 for classes in classes_at.values())
        enabled_labels = [label_arrays[n] for n in sorted(enabled)]
        for (z, y, x), classes in classes_at.items():
            last = [labels[z, y, x] for labels in enabled_labels if labels[z, y, x]][-1]
            assert classes == {0 if last == 255 else last}
        count = int(
            (
                (label_arrays[0] != label_arrays[1]) & (label_arrays[0] > 0) & (label_arrays[1] > 0)
            ).sum()
        )
        message = conflict_message(chosen, record)
        assert (f"differ in {count:,} pixels" in message) == (count > 0 and len(enabled) == 2)


def test_annotations_of_two_images_are_independent():
    label_arrays = [np.full((12, 30), 1, np.uint8), np.full((12, 30), 2, np.uint8)]
    sources = annotations(label_arrays, ("one", "other"))
    record = scan_annotations(sources, Record(), 2)
    assert not conflict_message(sources, record)
    assert merged_record(sources, record).pixel_counts == {1: 360, 2: 360}


def test_a_renamed_image_keeps_its_patches():
    label_arrays = [np.full((12, 30), 1, np.uint8)]
    record = scan_annotations(annotations(label_arrays, ("one",)), Record(), 2)
    renamed = scan_annotations(annotations(label_arrays, ("other",)), record, 2)
    (before,), (after,) = record.patches.values(), renamed.patches.values()
    assert after is before
