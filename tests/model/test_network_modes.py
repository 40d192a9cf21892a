from __future__ import annotations

import pytest
import torch
from golden.fill import golden_input

from napari_emcad import ModelConfig, PvtEmcad, initialize_checkpoint


@pytest.fixture(scope="module")
def checkpoint():
    return initialize_checkpoint(seed=3)


def hooks_of(network):
    return [name for name, each in network.named_modules() if each._forward_hooks]


def test_a_checkpoint_gives_a_network_in_eval_mode(checkpoint):
    network = checkpoint.network()
    assert not any(each.training for each in network.modules())
    x = golden_input(3)
    with torch.inference_mode():
        assert torch.equal(network.predict(x), network.predict(x))


def test_networks_of_a_checkpoint_do_not_share_weights(checkpoint):
    one, other = checkpoint.network(), checkpoint.network()
    for parameter in one.parameters():
        parameter.data.fill_(7)
    again = checkpoint.network()
    for parameter_copy, fresh in zip(
        other.state_dict().values(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(parameter_copy, fresh)
    assert not any((each == 7).all() for each in other.parameters())


def test_a_network_of_a_checkpoint_can_be_trained(checkpoint):
    network = checkpoint.network().train()
    assert all(each.requires_grad and each.is_leaf for each in network.parameters())
    network.predict(golden_input(3), "sum").mean().backward()
    grey_stem_is_skipped = {
        f"grey_stem.{each}" for each in ("0.weight", "0.bias", "1.weight", "1.bias")
    }
    without = {name for name, each in network.named_parameters() if each.grad is None}
    assert without == grey_stem_is_skipped


def test_stochastic_depth_rises_linearly_and_acts_in_training_only(checkpoint):
    network = checkpoint.network(drop_path_rate=0.1)
    rates = [
        getattr(block.drop_path1, "drop_prob", 0.0)
        for i in range(4)
        for block in network.encoder[f"stages_{i}"].blocks
    ]
    assert rates == pytest.approx([0.1 * i / 7 for i in range(8)])
    x = golden_input(3)
    plain = checkpoint.network()
    with torch.inference_mode():
        assert torch.equal(network.predict(x), plain.predict(x))
    assert all(
        not getattr(block.drop_path1, "drop_prob", 0.0)
        for i in range(4)
        for block in plain.encoder[f"stages_{i}"].blocks
    )


def test_dropped_paths_change_the_training_forward(checkpoint):
    x = golden_input(3)
    network = checkpoint.network(drop_path_rate=0.9)
    for i in range(4):
        network.encoder[f"stages_{i}"].train()  # no batch norm in there
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(network.predict(x), network.predict(x))


def test_new_decoders_start_from_small_weights_and_no_bias():
    decoder = PvtEmcad(ModelConfig()).decoder
    convolutions = [each for each in decoder.modules() if isinstance(each, torch.nn.Conv2d)]
    drawn = torch.cat([each.weight.detach().flatten() for each in convolutions])
    assert drawn.mean().abs() < 1e-3
    assert drawn.std().item() == pytest.approx(0.02, rel=0.02)
    assert all((each.bias == 0).all() for each in convolutions if each.bias is not None)


def test_all_stages_share_one_spatial_attention(checkpoint):
    names = [name for name in checkpoint.network().state_dict() if "spatial_attention" in name]
    assert names == ["decoder.spatial_attention.conv.weight"]


def test_forward_intermediates_leaves_no_hook(checkpoint):
    network = checkpoint.network()
    with torch.inference_mode():
        network.forward_intermediates(golden_input(3))
    assert hooks_of(network) == []


def test_forward_intermediates_leaves_no_hook_after_an_error(checkpoint):
    network = checkpoint.network()
    network.heads["stage1"].weight.data = torch.zeros(1, 5, 1, 1)
    with pytest.raises(RuntimeError, match="channels"):
        network.forward_intermediates(golden_input(3))
    assert hooks_of(network) == []
    with pytest.raises(ValueError, match="shape"):
        network.forward_intermediates(torch.zeros(3, 64, 64))
    assert hooks_of(network) == []


def test_an_attention_is_between_0_and_1(golden_network):
    with torch.inference_mode():
        inside = golden_network("b0_rgb").forward_intermediates(golden_input(3) * 5)
    for stage in inside.values():
        for each in (stage.gate, stage.channel_attention, stage.spatial_attention):
            assert each is None or (each.min() >= 0 and each.max() <= 1)


def test_look_inside_is_a_deprecated_alias_of_forward_intermediates(checkpoint):
    network, x = checkpoint.network(), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        with pytest.warns(FutureWarning, match="use forward_intermediates"):
            stages = network.look_inside(x)
        expected = network.forward_intermediates(x)
    for stage, output in stages.items():
        assert torch.equal(output.logits, expected[stage].logits)
