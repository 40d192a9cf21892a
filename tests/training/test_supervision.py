"""Deep supervision: the sums of heads that the loss is computed on."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch.nn import functional as F

from napari_emcad.training.losses import LOSSES
from napari_emcad.training.supervision import SUBSETS, Supervision


@pytest.fixture
def heads():
    torch.manual_seed(1)
    return [torch.randn(2, 3, 64 // s, 96 // s) for s in (32, 16, 8, 4)]


@pytest.fixture
def target():
    return torch.randint(0, 3, (2, 64, 96))


def enlarged(heads):
    return [F.interpolate(each, (64, 96), mode="bilinear") for each in heads]


def test_mutation_is_the_loss_of_all_fifteen_sums(heads, target):
    """All sums are enlarged by themselves, as in the paper."""
    maps = enlarged(heads)
    expected = 0
    for size in range(1, 5):
        for subset in combinations(maps, size):
            expected = expected + LOSSES["ce_dice"](sum(subset), target)
    assert len(SUBSETS["mutation"]) == 15
    found = Supervision("mutation", LOSSES["ce_dice"])(heads, target)
    torch.testing.assert_close(found, expected)


def test_deep_last_and_their_sum(heads, target):
    loss, maps = LOSSES["bce_dice"], enlarged(heads)
    each = sum(loss(one, target) for one in maps)
    torch.testing.assert_close(Supervision("deep", loss)(heads, target), each)
    torch.testing.assert_close(Supervision("last", loss)(heads, target), loss(maps[-1], target))
    both = each + loss(sum(maps), target)
    torch.testing.assert_close(Supervision("deep_and_sum", loss)(heads, target), both)


def test_four_enlargements_serve_fifteen_sums(heads, target, monkeypatch):
    calls = []
    real = F.interpolate
    monkeypatch.setattr(F, "interpolate", lambda *a, **k: calls.append(1) or real(*a, **k))
    Supervision("mutation", LOSSES["ce_dice"])(heads, target)
    assert len(calls) == 4


def test_learned_weights_start_equal_sum_to_fifteen_and_are_trained(heads, target):
    learned = Supervision("learned", LOSSES["ce_dice"])
    plain = Supervision("mutation", LOSSES["ce_dice"])
    torch.testing.assert_close(learned(heads, target), plain(heads, target))
    optimizer = torch.optim.SGD(learned.parameters(), 1.0)
    before = learned(heads, target)
    before.backward()
    optimizer.step()
    assert learned(heads, target) < before
    assert float(learned.weights.detach().sum()) == pytest.approx(15)
