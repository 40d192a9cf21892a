from __future__ import annotations

import pytest
import timm
import torch
from golden.fill import case, fill, golden_input
from reference import OPTIONS, Reference, published_shapes
from timm.models.pvt_v2 import checkpoint_filter_fn

from napari_emcad import read_checkpoint

VARIANTS = {
    "published": {},
    "concat": {"aggregation": "concat"},
    "sequential": {"dw_parallel": False},
    "sequential concat": {"dw_parallel": False, "aggregation": "concat"},
    "one kernel": {"kernel_sizes": (3,)},
    "four kernels": {"kernel_sizes": (1, 3, 5, 7), "num_classes": 4},
    "expansion 6": {"expansion_factor": 6},
    "expansion 1, concat": {"expansion_factor": 1, "aggregation": "concat"},
    "gate kernel 1": {"lgag_kernel_size": 1},
    "gate kernel 5": {"lgag_kernel_size": 5},
    "relu": {"activation": "relu"},
    "b1": {"encoder": "pvt_v2_b1", "num_classes": 2},
    "b3": {"encoder": "pvt_v2_b3", "dw_parallel": False},
}
UNSAID = ("activation", "dw_parallel")
close = {"rtol": 1e-4, "atol": 1e-4}


def picture():
    return golden_input(3)[:1, :, :, :64]


def loud(shapes):
    """Return filled tensors whose MSCBs go beyond 6, where relu6 differs from relu."""
    tensors = {name: torch.from_numpy(array) for name, array in fill(shapes).items()}
    for name, tensor in tensors.items():
        if name.endswith(("pconv1.1.weight", "dwconvs.0.1.weight")):
            tensor *= 6
    return tensors


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request, tmp_path_factory):
    """Return options, published tensors and the checkpoint read from their file."""
    options = OPTIONS | VARIANTS[request.param]
    path = tmp_path_factory.mktemp("reference") / "published.pth"
    tensors = loud(published_shapes(**options))
    torch.save(tensors, path)
    checkpoint = read_checkpoint(path, **{name: options[name] for name in UNSAID})
    path.unlink()
    return options, tensors, checkpoint


@pytest.fixture(scope="module")
def inside(variant):
    with torch.inference_mode():
        return variant[2].network().forward_intermediates(picture())


def test_the_names_of_the_reference_are_the_published_ones():
    for name in ("b0_rgb", "b2_rgb"):
        options = OPTIONS | {key: case(name)[key] for key in ("encoder", "num_classes")}
        shapes = {key: list(shape) for key, shape in published_shapes(**options).items()}
        assert shapes == case(name)["shapes"]


def test_the_architecture_is_read_from_the_shapes(variant):
    options, _, checkpoint = variant
    assert {name: getattr(checkpoint.config, name) for name in options} == options


def test_decoder_and_heads_agree_with_the_formulae(variant, inside):
    options, tensors, _ = variant
    with torch.inference_mode():
        expected = Reference(tensors, **options)({n: each.encoder for n, each in inside.items()})
    for n, maps in expected.items():
        for name, value in maps.items():
            found = getattr(inside[n], name)
            if value is None:
                assert found is None
            else:
                error = (found - value).abs().max() / value.abs().max().clamp(min=1)
                assert error < 1e-4, f"{name} of stage {n}"


@pytest.mark.parametrize("variant", ["published", "b1", "b3"], indirect=True)
def test_encoder_maps_agree_with_timm(variant, inside):
    options, tensors, _ = variant
    original = {
        name.removeprefix("backbone."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.")
    }
    with torch.device("meta"):
        encoder = timm.create_model(options["encoder"], num_classes=0)
    encoder.load_state_dict(checkpoint_filter_fn(original, encoder), assign=True)
    with torch.inference_mode():
        maps = encoder.eval().forward_intermediates(picture(), intermediates_only=True)
    for n, expected in enumerate(maps, start=1):
        torch.testing.assert_close(inside[n].encoder, expected, **close)


@pytest.mark.parametrize("variant", ["published"], indirect=True)
@pytest.mark.parametrize("changes", [{"activation": "relu"}, {"dw_parallel": False}])
def test_options_that_files_do_not_contain_change_the_output(variant, inside, changes):
    with torch.inference_mode():
        logits = variant[2].override(**changes).network()(picture())
    for n, changed in zip((4, 3, 2, 1), logits, strict=True):
        assert not torch.allclose(changed, inside[n].logits, rtol=1e-2, atol=1e-2)
