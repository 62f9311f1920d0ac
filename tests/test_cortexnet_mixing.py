"""Mixup is convex, SpecAugment masks bands, both repeat for a generator and spare evaluation."""

import numpy as np
import pytest
import torch
from torch import nn

from cortexnet.frontends import LogMel
from cortexnet.mixing import SpecAugment, mixup, spec_augment


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_mixtures_lie_between_two_items_and_targets_weigh_them_alike():
    # Items are their own one-hot labels, so mixed sound and target must be the same.
    labels = torch.arange(6)
    mixed, targets = mixup(torch.eye(6), labels, 6, 0.4, generator())
    torch.testing.assert_close(mixed, targets)
    assert (targets >= 0).all() and ((targets > 0).sum(1) <= 2).all()
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_the_mean_over_the_batch_and_the_weights_are_those_of_beta():
    weights = []
    x = torch.arange(512.0)[:, None]
    for seed in range(20):
        _, targets = mixup(x, torch.arange(512), 512, 0.4, generator(seed))
        weights.append(targets.diagonal())
    weights = torch.cat(weights)
    assert weights.mean() == pytest.approx(0.5, abs=0.02)
    assert weights.var() == pytest.approx(0.25 / (2 * 0.4 + 1), rel=0.05)  # of Beta(a, a)


def test_mixup_repeats_for_a_generator_and_without_alpha_mixes_nothing():
    x, labels = torch.randn(8, 2, 3, generator=generator(9)), torch.arange(8) % 3
    a, b, c = (mixup(x, labels, 3, 1.0, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and not torch.equal(a[0], c[0])
    same, targets = mixup(x, labels, 3, 0, generator())
    assert torch.equal(same, x) and torch.equal(targets.argmax(1), labels)


def test_a_soft_target_costs_what_its_two_labels_cost():
    logits = torch.randn(5, 4, generator=generator(3))
    labels = torch.tensor([0, 1, 2, 3, 1])
    _, targets = mixup(torch.zeros(5, 1), labels, 4, 1.0, generator(4))
    expected = torch.stack(
        [
            nn.functional.cross_entropy(logits, torch.full((5,), k), reduction="none")
            for k in range(4)
        ],
        1,
    )
    cost = nn.functional.cross_entropy(logits, targets)
    torch.testing.assert_close(cost, (targets * expected).sum(1).mean())


def test_masks_are_whole_bands_and_stretches_no_wider_than_asked():
    S = torch.randn(400, 40, 60, generator=generator(1)) + 5
    masked = spec_augment(S, generator(), 1, 8, 1, 12, fill=0.0) == 0
    rows, columns = masked.all(2), masked.all(1)
    assert torch.equal(masked, rows[:, :, None] | columns[:, None, :])
    for bands, width in ((rows, 8), (columns, 12)):
        widths = bands.sum(1)
        assert set(widths.tolist()) == set(range(width + 1))  # uniform from 0, both ends included
        edges = (bands[:, 1:] & ~bands[:, :-1]).sum(1) + bands[:, 0]
        assert (edges == (widths > 0)).all()  # one unbroken band
        assert bands.any(0).all()  # that may lie anywhere


def test_masked_cells_hold_the_mean_of_their_item_and_others_are_untouched():
    S = torch.randn(6, 3, 20, 30, generator=generator(1)) + torch.arange(6.0).reshape(6, 1, 1, 1)
    masked = spec_augment(S, generator(2))
    changed = masked != S
    assert changed.any() and not changed.all()
    for item, original, cells in zip(masked, S, changed, strict=True):
        torch.testing.assert_close(item[cells], original.mean().expand(int(cells.sum())))
    # All channels of an item share its masks.
    assert torch.equal(changed.all(1), changed.any(1))
    flat = torch.full((2, 20, 30), 3.0)
    torch.testing.assert_close(spec_augment(flat, generator()), flat)


def test_masks_repeat_for_a_generator_and_wider_ones_than_the_input_fit():
    S = torch.randn(4, 10, 12, generator=generator(1))
    a, b, c = (spec_augment(S, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert spec_augment(S, generator(), freq_width=99, time_width=99).shape == S.shape
    assert torch.equal(spec_augment(S, generator(), 0, 4, 0, 4), S)


def test_the_hook_masks_a_front_end_in_training_only():
    frontend = LogMel(22050)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 22050)).astype("float32"))
    plain = frontend(x)
    hook = frontend.register_forward_hook(SpecAugment(generator(), fill=0.0))
    assert (frontend.train()(x) == 0).any()
    assert torch.equal(frontend.eval()(x), plain)
    hook.remove()
    assert torch.equal(frontend.train()(x), plain)
