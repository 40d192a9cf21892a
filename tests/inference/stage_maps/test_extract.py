"""Stage maps: their values, their place on the image, and the blending of tiles."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from golden.fill import CASES, answers, case, golden_input, write_published
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from napari_emcad import (
    AxesError,
    InferenceSettings,
    Notice,
    Progress,
    Scope,
    read_checkpoint,
    segment,
    stage_maps,
)
from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.inference.stage_maps.extract import OutOfMemory
from napari_emcad.inference.stage_maps.grid import make_grid
from napari_emcad.inference.stage_maps.keys import parse_map_keys
from napari_emcad.inference.uncertainty import entropy, mutual_information
from napari_emcad.pipelines.stage_maps_job import stage_maps_job

STRIDES = {4: 32, 3: 16, 2: 8, 1: 4}
STAGES = tuple(STRIDES)


def bare(checkpoint, **fields):
    """Return a checkpoint without preprocessing."""
    return checkpoint.override(**{"intensity": "none", "mean": (0,), "std": (1,), **fields})


# -- values of maps


@pytest.fixture(scope="module", params=CASES)
def golden(request, tmp_path_factory):
    """Return a golden checkpoint and case."""
    path = tmp_path_factory.mktemp(request.param) / "published.pth"
    write_published(path, case(request.param)["shapes"])
    channels = case(request.param)["input_channels"]
    checkpoint = read_checkpoint(path, input_channels=channels, activation="relu6")
    return bare(checkpoint, size=None), channels, answers(request.param)


def test_every_map_is_the_golden_one(golden):
    checkpoint, channels, expected = golden
    widths = checkpoint.config.widths
    names = ["logits", "gate", "spatial", "channel"]
    names += [f"{kind}:{n}:{c}" for kind in ("encoder", "decoder") for n in STAGES
              for c in range(0, widths[n], 7)]  # fmt: skip
    inside = stage_maps(golden_input(channels).numpy(), checkpoint, names, "ZCYX", "cpu")
    homes = {"spatial": "spatial_attention", "channel": "channel_attention"}
    for number, maps in enumerate(inside):
        for name, found in maps.items():
            kind, stage, *part = name.split(":")
            whole = expected[f"{homes.get(kind, kind)}_{stage}"][number]
            wanted = whole[int(part[0])] if part else whole
            values = found.values.reshape(wanted.shape)
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-4, err_msg=name)


def test_derived_maps_are_arithmetic_on_the_golden_logits(golden):
    checkpoint, channels, expected = golden
    inside = stage_maps(golden_input(channels).numpy(), checkpoint, "all", "ZCYX", "cpu")[0]
    heads = {n: expected[f"logits_{n}"][:1] for n in STAGES}
    total = None
    for n in STAGES:
        size = heads[n].shape[-2:]
        parts = [
            F.interpolate(torch.tensor(heads[m]), size, mode="bilinear")[0].numpy()
            for m in STAGES[: STAGES.index(n) + 1]
        ]
        total = np.sum(parts, axis=0)
        one = len(total) == 1
        found = inside[f"sum:{n}"].values
        np.testing.assert_allclose(found, total[0] if one else total, atol=1e-3)
        probability = inside[f"probability:{n}"].values
        probabilities = class_probabilities(heads[n][0])
        np.testing.assert_allclose(
            probability, probabilities[1] if one else probabilities, atol=1e-4
        )
        if n < 4:
            added = inside[f"delta:{n}"].values
            assert np.abs(added).max() <= 1
            assert added.shape == found.shape
    np.testing.assert_allclose(
        inside["entropy"].values, entropy(class_probabilities(heads[1][0])), atol=1e-3
    )
    assert 0 <= inside["disagreement"].values.min() <= inside["disagreement"].values.max() <= 1


@pytest.mark.parametrize("zoom", [1, 1.5, 0.7])
def test_the_finest_logits_enlarged_are_the_segmentation(checkpoint, picture, zoom):
    model = checkpoint(num_classes=3).override(zoom=zoom)
    found = stage_maps(picture, model, "logits:1")[0]["logits:1"].values
    expected = segment(picture, model, probabilities=True).probabilities
    seen = [max(round(zoom * each), 1) for each in picture.shape[:2]]
    padded = np.pad(found, ((0, 0), (0, 1), (0, 1)), mode="edge")
    large = F.interpolate(torch.tensor(padded)[None], scale_factor=4, mode="bilinear")
    there = F.interpolate(
        large[..., : seen[0], : seen[1]], picture.shape[:2], mode="bilinear", antialias=True
    )
    inner = (slice(None), slice(0, -9), slice(0, -9))  # beyond them the network's padding is read
    np.testing.assert_allclose(
        class_probabilities(there[0].numpy())[inner], expected[inner], atol=2e-3
    )


def test_all_heads_enlarged_are_the_segmentation_by_their_sum(checkpoint, picture):
    image = picture[:64, :64]
    model = replace(checkpoint(num_classes=3), head="sum")
    maps = stage_maps(image, model, "logits")[0]
    whole = sum(
        F.interpolate(torch.tensor(each.values)[None], (64, 64), mode="bilinear")
        for each in maps.values()
    )
    expected = segment(image, model, probabilities=True).probabilities
    np.testing.assert_allclose(class_probabilities(whole[0].numpy()), expected, atol=1e-4)


def test_a_class_is_its_channel_and_no_class_all_of_them(checkpoint, picture):
    maps = stage_maps(picture, checkpoint(num_classes=4), ["probability:2", "probability:2:3"])[0]
    assert maps["probability:2"].values.shape == (4, 12, 10)
    np.testing.assert_array_equal(maps["probability:2"].values[3], maps["probability:2:3"].values)
    np.testing.assert_allclose(maps["probability:2"].values.sum(0), 1, rtol=1e-5)


def test_maps_have_the_limits_of_their_kind(checkpoint, picture):
    maps = stage_maps(picture, checkpoint(), ["all", "flip_disagreement", "encoder:2:5"])[0]
    for name, each in maps.items():
        kind = name.split(":")[0]
        assert each.diverging == (kind in ("logits", "sum", "delta"))
        low, high = each.limits
        assert low < high
        assert low - 1e-6 <= each.values.min() <= each.values.max() <= high + 1e-6, name
        assert not each.diverging or low == -high


def test_flip_disagreement_compares_predictions_on_mirror_images(checkpoint, picture):
    image, model = picture[:64, :64], checkpoint(num_classes=3)  # without padding
    views = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
    probabilities = [
        class_probabilities(stage_maps(each, model, "logits:1")[0]["logits:1"].values)
        for each in views
    ]
    back = [
        probabilities[0],
        probabilities[1][..., ::-1],
        probabilities[2][:, ::-1],
        probabilities[3][:, ::-1, ::-1],
    ]
    found = stage_maps(image, model, "flip_disagreement")[0]["flip_disagreement"].values
    np.testing.assert_allclose(found, mutual_information(back), atol=1e-4)
    assert found.max() > 1e-4


def test_temperature_changes_uncertainty_alone(checkpoint, picture):
    names = ["entropy", "probability:1"]
    usual = stage_maps(picture, checkpoint(), names)[0]
    warm = stage_maps(picture, checkpoint(), names, temperature=50)[0]
    assert warm["entropy"].values.min() > usual["entropy"].values.min()
    np.testing.assert_array_equal(warm["probability:1"].values, usual["probability:1"].values)
    for wrong in (0, -1, float("nan"), float("inf"), None, "warm"):
        with pytest.raises(ValueError, match="must be above 0 and finite"):
            stage_maps(picture, checkpoint(), temperature=wrong)


def test_maps_are_read_only(checkpoint, picture):
    inside = stage_maps(picture, checkpoint(), ["all", "decoder:1:3"])
    for each in inside[0].values():
        for shown in (each, each.transpose()):
            with pytest.raises(ValueError, match="read-only"):
                shown.values[...] = 5


# -- where they lie


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0.125, 8), st.integers(32, 700))
def test_maps_cover_the_image_and_no_map_pixel_is_superfluous(height, width, zoom, tile):
    from napari_emcad import Preprocessing

    image = np.broadcast_to(np.uint8(0), (height, width))
    grid = make_grid(as_slices(image, 3, "YX"), Preprocessing(zoom=zoom), tile, 0.25)
    for stage, stride in STRIDES.items():
        for axis, length in enumerate((height, width)):
            factor, count = grid.factor(stage)[axis], grid.map_shape(stage)[axis]
            assert factor == pytest.approx(stride * length / max(round(zoom * length), 1))
            assert count * factor >= length - 1e-6
            assert (count - 1) * factor < length - 1e-9
        tiling = grid.tiling(stage)
        assert all(top * stride % 32 == 0 for top in (*tiling.tops, *tiling.lefts))
        assert tiling.tops[-1] + tiling.tile[0] == tiling.shape[0] >= grid.map_shape(stage)[0]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([0.5, 1, 1.37, 1.5, 2]))
def test_extents_are_exact_for_any_size_and_zoom(checkpoint, height, width, zoom):
    model = bare(checkpoint(), zoom=zoom, size=None)
    maps = stage_maps(np.zeros((height, width), np.float32), model, ["spatial", "gate"], "YX")[0]
    for each in maps.values():
        (top, bottom), (left, right) = each.extent
        assert top == pytest.approx(-0.5, abs=1e-6)
        assert left == pytest.approx(-0.5, abs=1e-6)
        rows, columns = each.values.shape
        seen = [max(round(zoom * s), 1) for s in (height, width)]
        stride = each.key.stride
        expected = [
            -(-n // stride) * stride * s / n for n, s in zip(seen, (height, width), strict=True)
        ]
        assert (bottom - top, right - left) == pytest.approx(expected, abs=1e-6)
        assert each.offset == pytest.approx([(f - 1) / 2 for f in each.factor], abs=1e-6)
        assert (rows, columns) == tuple(-(-n // stride) for n in seen)


def test_a_map_of_stride_32_is_exact_to_a_millionth(checkpoint):
    found = stage_maps(np.zeros((512, 512), np.uint8), checkpoint().override(zoom=1.5), "spatial:4")
    assert found[0]["spatial:4"].extent == ((-0.5, 511.5), (-0.5, 511.5))


def test_maps_lie_on_the_pixels_that_they_show(as_it_is, checkpoint, monkeypatch):
    """Replace the heads by the mean under a map pixel, so that its values show its place."""
    size, zoom = (70, 90), 1.5
    ramp = np.add.outer(np.arange(size[0]) * 1.0, np.arange(size[1]) * 1000.0).astype(np.float32)

    def record(recorder, patch, keys):
        x = torch.tensor(patch.pixels)[:1]
        return {k: F.avg_pool2d(x, STRIDES[k.stage]).numpy() for k in keys}

    monkeypatch.setattr("napari_emcad.inference.stage_maps.recorder.MapRecorder._record", record)
    for tile in (512, 64):
        maps = stage_maps(ramp, as_it_is.override(zoom=zoom), "logits", "YX", tile=tile)[0]
        for each in maps.values():
            (fy, fx), (oy, ox) = each.factor, each.offset
            rows, columns = (np.arange(n) for n in each.values.shape)
            expected = np.add.outer(oy + fy * rows, 1000 * (ox + fx * columns))
            inner = (slice(1, -2), slice(1, -2))
            np.testing.assert_allclose(each.values[inner], expected[inner], rtol=2e-4, atol=2)


def test_a_scope_moves_maps_to_its_corner(checkpoint, picture):
    scope = Scope(rows=(10, 70), columns=(21, 60))
    part = stage_maps(picture, checkpoint(), ["gate:2"], scope=scope)[0]["gate:2"]
    cut = stage_maps(picture[10:70, 21:60], checkpoint(), ["gate:2"])[0]["gate:2"]
    np.testing.assert_array_equal(part.values, cut.values)
    assert part.offset == pytest.approx((cut.offset[0] + 10, cut.offset[1] + 21))


def test_maps_of_a_transposed_image_are_transposed(checkpoint, picture):
    usual = stage_maps(picture, checkpoint(num_classes=3), ["logits", "encoder:3"], "YXC")[0]
    turned = picture.transpose(1, 0, 2)
    found = stage_maps(turned, checkpoint(num_classes=3), ["logits", "encoder:3"], "XYC",
                    scope=Scope(rows=(0, 90), columns=(0, 75)))[0]  # fmt: skip
    for name, each in usual.items():
        np.testing.assert_array_equal(found[name].values, each.values.swapaxes(-1, -2))
        assert found[name].factor == each.factor[::-1]
        assert found[name].offset == each.offset[::-1]


def test_resized_slices_have_another_factor_along_each_axis(checkpoint, picture):
    model = checkpoint().override(size=(64, 96))
    found = stage_maps(picture, model, "gate:2", tile=32)[0]["gate:2"]
    assert found.values.shape == (8, 12)
    assert found.factor == pytest.approx((8 * 90 / 64, 8 * 75 / 96))
    np.testing.assert_allclose(found.extent, [(-0.5, 89.5), (-0.5, 74.5)])


# -- tiles


@pytest.fixture
def local(monkeypatch):
    """Make all maps depend on their own pixels alone, so that context cannot change them."""

    def record(recorder, patch, keys):
        x = torch.tensor(patch.pixels)[:1]
        widths = recorder._network.config.widths
        return {k: _local(F.avg_pool2d(x, k.stride), k, widths) for k in keys}

    monkeypatch.setattr("napari_emcad.inference.stage_maps.recorder.MapRecorder._record", record)


def _local(mean, key, widths):
    if key.kind == "channel":
        return np.ones((widths[key.stage], 1, 1), np.float32)
    if key.kind == "flip_disagreement":
        return torch.cat([mean] * 3).numpy()
    count = widths[key.stage] if key.is_rgb else 1
    return torch.cat([torch.sin(mean * k) for k in range(1, count + 1)]).numpy()


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5])
@pytest.mark.parametrize("tile", [32, 64, 96, 100])
@pytest.mark.parametrize("zoom", [1, 1.3])
def test_tiled_maps_are_those_of_the_whole(as_it_is, local, tile, overlap, zoom):
    image = np.random.default_rng(0).standard_normal((150, 203)).astype(np.float32)
    model, names = as_it_is.override(zoom=zoom), ["all", "flip_disagreement", "encoder:2:3"]
    whole = stage_maps(image, model, names, "YX")
    expected = whole[0]
    tiled = stage_maps(image, model, names, "YX", tile=tile, overlap=overlap)
    tiled._colors = whole._colors  # else fitted to other samples
    maps = tiled[0]
    for name, each in expected.items():
        np.testing.assert_allclose(maps[name].values, each.values, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("tile", [160, 64])
def test_colors_agree_in_every_tile_and_run(checkpoint, picture, tile):
    large = np.pad(picture, ((0, 200), (0, 200), (0, 0)), mode="wrap")
    first, second = (
        stage_maps(large, checkpoint(), ["decoder", "encoder"], tile=tile)[0] for _ in range(2)
    )
    for name, each in first.items():
        np.testing.assert_array_equal(each.values, second[name].values)


def test_the_same_tile_twice_has_the_same_colors(checkpoint):
    half = np.random.default_rng(0).uniform(0, 255, (64, 640, 3)).astype(np.uint8)
    image = np.concatenate([half, half])  # rows of tiles that see the same
    for name, each in stage_maps(image, checkpoint(), ["decoder"], tile=64, overlap=0)[0].items():
        above, below = np.split(each.values, 2, axis=1)
        np.testing.assert_allclose(above, below, atol=1e-5, err_msg=name)


def test_slices_of_a_stack_share_colors(checkpoint, picture):
    stack = np.stack([picture, picture // 2, picture])
    inside = stage_maps(stack, checkpoint(), "decoder:1", "ZYXC")
    first, middle, last = (each["decoder:1"].values for each in inside)
    np.testing.assert_array_equal(first, last)
    assert np.abs(first - middle).max() > 0.05
    alone = stage_maps(picture // 2, checkpoint(), "decoder:1")[0]["decoder:1"].values
    assert np.abs(alone - middle).max() > 0.01


def test_real_tiles_join_without_a_seam(checkpoint, picture):
    """Steps between pixels are no larger at the borders of tiles than elsewhere."""
    large = np.pad(picture, ((0, 230), (0, 245), (0, 0)), mode="symmetric")
    for name, each in stage_maps(large, checkpoint(), ["logits:1", "gate"], tile=128)[0].items():
        steps = np.abs(np.diff(each.values, axis=-1)).mean(0)
        at = [128 * k * 3 // 4 // each.key.stride for k in (1, 2)]
        borders = [steps[b - 1] for b in at if b < len(steps)]
        assert max(borders) < 3 * steps.mean(), name


# -- images that are hard


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 1), (2, 3)])
@pytest.mark.parametrize("zoom", [0.125, 1, 1.5])
def test_tiny_images_have_maps_of_a_pixel(checkpoint, shape, zoom):
    image = np.full(shape, 7, np.uint8)
    maps = stage_maps(image, checkpoint().override(zoom=zoom), ["all", "flip_disagreement"], "YX")[
        0
    ]
    for name, each in maps.items():
        assert np.isfinite(each.values).all(), name
        assert name.startswith("channel") or min(each.values.shape) >= 1


def test_nan_and_infinity_do_not_spread(checkpoint, picture):
    image = picture.astype(np.float32)
    image[10, 10], image[40, 3] = np.nan, np.inf
    for name, each in stage_maps(image, checkpoint(), ["all"])[0].items():
        assert np.isfinite(each.values).all(), name
    nothing = np.full((40, 50), np.nan)
    assert np.isfinite(stage_maps(nothing, checkpoint(), "gate:1", "YX")[0]["gate:1"].values).all()


def test_channel_attention_has_no_place(checkpoint, picture):
    for name, each in stage_maps(picture, checkpoint(), "channel", tile=64)[0].items():
        assert each.values.shape == (checkpoint().config.widths[int(name[-1])],)
        assert (each.factor, each.offset, each.extent) == (None, None, None)
        assert 0 <= each.values.min() <= each.values.max() <= 1


def test_channel_attention_of_tiles_is_their_mean(checkpoint, picture):
    image = np.tile(picture[:64, :64], (1, 2, 1))
    tiled = stage_maps(image, checkpoint(), "channel:2", tile=64, overlap=0)[0]["channel:2"]
    one = stage_maps(image[:, :64], checkpoint(), "channel:2")[0]["channel:2"]
    np.testing.assert_allclose(tiled.values, one.values, atol=1e-5)


class Lazy:
    """A slide that records the largest part that was read at once."""

    shape, dtype, largest = (9000, 6000), np.dtype(np.uint8), 0

    def __getitem__(self, part):
        rows, columns = part[:2]
        size = (rows.stop - rows.start, columns.stop - columns.start)
        Lazy.largest = max(Lazy.largest, size[0] * size[1])
        return np.zeros(size, np.uint8)


def test_large_slides_are_read_in_bands(as_it_is, local):
    found = stage_maps(Lazy(), as_it_is.override(zoom=0.2), ["probability:1", "encoder:1"], "YX")[0]
    assert found["probability:1"].values.shape == (450, 300)
    assert Lazy.largest < 6000 * 9000 / 2


def test_maps_larger_than_memory_are_refused(checkpoint):
    slide = np.broadcast_to(np.uint8(0), (10**7, 10**6))
    with pytest.raises(ValueError, match=r"would need .* GiB, this computer has"):
        stage_maps(slide, checkpoint(), "logits", "YX")


def test_bad_requests_are_refused_before_anything_is_computed(checkpoint, picture):
    for wrong in ({"maps": "gate:4"}, {"tile": 8}, {"axes": "ZYX", "maps": "gate", "tile": 0}):
        with pytest.raises(ValueError, match=r"\.$"):
            stage_maps(picture, checkpoint(), **wrong)
    with pytest.raises(AxesError):
        stage_maps(np.zeros((3, 50, 60)), checkpoint())
    with pytest.raises(TypeError):
        stage_maps(picture, checkpoint(), spam=1)
    with pytest.raises(IndexError, match=r"no slice 1; there are 1\."):
        stage_maps(picture, checkpoint())[1]
    with pytest.raises(IndexError, match=r"no slice \(0,\)"):
        stage_maps(picture, checkpoint())[(0,)]
    with pytest.raises(ValueError, match="largest is 0; a picture has at least 1 row"):
        stage_maps(picture, checkpoint()).picture(0, 0)


# -- how the job goes


def test_stacks_are_lazy(checkpoint, picture):
    looked = []
    stack = np.stack([picture, picture[::-1], picture[:, ::-1]])
    inside = stage_maps(stack, checkpoint(), "gate:1", "TYXC", on_event=looked.append)
    assert (len(inside), inside.stacked_axes, looked) == (3, "T", [])
    last = inside[-1]["gate:1"].values
    assert [e for e in looked if isinstance(e, Progress)] == [Progress(0, 1), Progress(1, 1)]
    count = len(looked)
    np.testing.assert_array_equal(inside[2,]["gate:1"].values, last)
    assert len(looked) == count  # the last one is kept
    np.testing.assert_array_equal(
        stage_maps(picture[:, ::-1], checkpoint(), "gate:1")[0]["gate:1"].values, last
    )


@pytest.mark.parametrize("maps", ["gate", "decoder"])
def test_a_stop_acts_within_a_tile(checkpoint, picture, maps, monkeypatch):
    from napari_emcad.inference.stage_maps import recorder as module

    stop, calls, real = threading.Event(), [], module.MapRecorder._record

    def stopping(recorder, patch, keys):
        calls.append(patch)
        if len(calls) == 3:
            stop.set()
        return real(recorder, patch, keys)

    monkeypatch.setattr(module.MapRecorder, "_record", stopping)
    inside = stage_maps(picture, checkpoint(), maps, tile=32, overlap=0.5, stop=stop)
    with pytest.raises(InterruptedError, match=r"Stopped before slice \(\) was complete"):
        inside[0]
    assert len(calls) == 3
    slices = as_slices(np.stack([picture] * 2), 3, "ZYXC")
    wanted = parse_map_keys(maps, checkpoint().config)
    job = stage_maps_job(slices, checkpoint(), wanted, inside._settings, stop)
    events, summary = drained(job)
    assert all(isinstance(each, Progress) for each in events)
    assert (summary.ending, summary.slices_done, summary.slices_total) == ("stopped", 0, 2)


def drained(job):
    """Return a job's events and its result."""
    events = []
    while True:
        try:
            events.append(next(job))
        except StopIteration as ended:
            return events, ended.value


def test_when_memory_runs_out_the_tile_is_halved(checkpoint, picture, monkeypatch):
    from napari_emcad.inference.stage_maps import recorder as module

    large = np.pad(picture, ((0, 100), (0, 100), (0, 0)), mode="wrap")
    expected = stage_maps(large, checkpoint(), ["gate:1", "decoder:2"], tile=64)[0]
    real = module.MapRecorder._record

    def short(recorder, patch, keys):
        if patch.pixels[0].size > 64 * 64:
            raise torch.OutOfMemoryError
        return real(recorder, patch, keys)

    monkeypatch.setattr(module.MapRecorder, "_record", short)
    events = []
    found = stage_maps(
        large, checkpoint(), ["gate:1", "decoder:2"], tile=128, on_event=events.append
    )[0]
    assert [e.text for e in events if isinstance(e, Notice)] == [
        "Memory ran out on cpu; went on with tiles of 64 pixels."
    ]
    for name, each in expected.items():
        np.testing.assert_array_equal(found[name].values, each.values)


def test_short_memory_for_the_smallest_tile_is_reported(checkpoint, picture, monkeypatch):
    def short(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("napari_emcad.inference.stage_maps.recorder.MapRecorder._record", short)
    with pytest.raises(OutOfMemory, match=r"short even for one tile of \d+ pixels"):
        stage_maps(picture, checkpoint(), "gate:1")[0]


def test_only_requested_maps_are_recorded(checkpoint, picture, monkeypatch):
    from napari_emcad.inference.stage_maps import recorder as module

    requested, real = [], module.MapRecorder._record
    monkeypatch.setattr(
        module.MapRecorder, "_record", lambda *given: requested.append(given[2]) or real(*given)
    )
    stage_maps(picture, checkpoint(), ["sum:3", "gate:1", "probability:4"])[0]
    assert [str(key) for key in requested[0]] == ["logits:4", "logits:3", "gate:1"]
    stage_maps(picture, checkpoint(), ["entropy"])[0]
    assert [str(key) for key in requested[1]] == ["logits:1"]


def test_values_can_be_kept_and_are_single_precision(checkpoint, picture):
    for name, each in stage_maps(picture, checkpoint(), ["all"])[0].items():
        assert each.values.dtype == np.float32, name
        assert each.values.flags.c_contiguous, name


def test_a_finished_job_keeps_no_memory(checkpoint, picture):
    slices = as_slices(picture, 3, "YXC")
    network, wanted = (
        checkpoint().network(),
        parse_map_keys(["all", "flip_disagreement"], checkpoint().config),
    )
    how = (slices, checkpoint(), wanted, InferenceSettings(tile=64), threading.Event())
    drained(stage_maps_job(*how, network=network))
    before = _tensors()
    drained(stage_maps_job(*how, network=network))
    assert _tensors() == before
    assert not any(each._forward_hooks for each in network.modules())
    assert next(network.parameters()).device.type == "cpu"


def _tensors():
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())
