"""The copy that inference uses computes what the network computes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_emcad import bundled_checkpoint, create_model
from napari_emcad.model.fuse import fused_copy


def with_random_norms(network):
    """Give batch norms the statistics and weights of a trained network."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.normal_(0.3, 0.5, generator=generator)
            module.running_var.uniform_(0.2, 3, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "pvt_v2_b0"},
        {"activation": "relu"},
        {"kernel_sizes": (3,), "num_classes": 9},
        {"encoder": "pvt_v2_b2"},
        {"dw_parallel": False},
        {"aggregation": "concat"},
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_of_all_heads_differ_by_rounding_alone(options, channels, tiny_encoder):
    network = with_random_norms(create_model(**({"encoder": tiny_encoder} | options)))
    before = copy.deepcopy(network.state_dict())
    fused = fused_copy(network)
    x = torch.randn(2, channels, 70, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for expected, found in zip(network(x), fused(x), strict=True):
            scale = float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5 * scale)
    folded = nn.BatchNorm2d, nn.ChannelShuffle
    assert not [one for one in fused.modules() if isinstance(one, folded)]
    convs = [one for one in fused.modules() if isinstance(one, nn.Conv2d)]
    assert not [one for one in convs if one.groups > 1 and one.kernel_size == (1, 1)]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_bundled_network_differs_by_less_than_1e_4():
    network = bundled_checkpoint().network().eval()
    x = torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        difference = fused_copy(network).predict(x) - network.predict(x)
    assert difference.abs().max() < 1e-4


def test_a_network_in_training_is_refused():
    with pytest.raises(ValueError, match="call eval"):
        fused_copy(create_model().train())
