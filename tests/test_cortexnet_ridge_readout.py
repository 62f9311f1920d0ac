"""Ridge read-out: closed form, blocks alike, calibrated on groups it was not fitted to."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import cortexnet
from cortexnet.classifiers import RidgeReadout


def classes(n=240, p=30, n_classes=3, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    x = rng.standard_normal((n_classes, p))[labels] + noise * rng.standard_normal((n, p))
    return x.astype(np.float32), labels


@pytest.mark.parametrize("p", [30, 400])  # fewer and more features than rows
def test_equals_scikit_learns_ridge_on_class_indicators(p):
    x, labels = classes(p=p)
    readout = RidgeReadout(3)
    readout.fit_with(x, labels, alpha=0.3)
    z = (x - x.mean(0)) / x.std(0)
    targets = np.where(labels[:, None] == np.arange(3), 1, -1)
    expected = Ridge(alpha=0.3 * p).fit(z, targets).predict(z)
    np.testing.assert_allclose(readout(torch.from_numpy(x)), expected, atol=2e-4)


def test_a_block_weighs_the_same_however_often_its_units_are_repeated():
    x, labels = classes()
    few, many = x[:, :10], x[:, 10:]
    once, thrice = RidgeReadout(3, (10, 20)), RidgeReadout(3, (30, 20))
    once.fit_with(np.hstack([few, many]), labels, alpha=0.1)
    tripled = np.hstack([few, few, few, many])
    thrice.fit_with(tripled, labels, alpha=0.1)
    a = once(torch.from_numpy(np.hstack([few, many])))
    torch.testing.assert_close(a, thrice(torch.from_numpy(tripled)), atol=1e-4, rtol=1e-4)


def test_probabilities_of_new_groups_are_neither_too_sure_nor_too_timid():
    """Tracks share a colour that tells nothing: in-sample scores would be far too sure."""
    rng = np.random.default_rng(1)
    x, labels = classes(n=1200, p=20, noise=3.0)
    groups = np.arange(1200) // 4
    labels = labels[groups * 4]
    means = rng.standard_normal((3, 20))
    x = (means[labels] + 2 * rng.standard_normal((300, 20))[groups]).astype(np.float32)
    x += rng.standard_normal(x.shape).astype(np.float32)
    train, test = groups < 150, groups >= 150
    readout = RidgeReadout(3)
    setting = readout.fit(x[train], labels[train], groups[train], groups[train])
    assert set(setting) == {"alpha", "sharpness"}
    p = readout(torch.from_numpy(x[test])).double().softmax(1).numpy()
    sure, right = p.max(1).mean(), (p.argmax(1) == labels[test]).mean()
    assert abs(sure - right) < 0.08
    assert setting["sharpness"] != pytest.approx(1, abs=0.05)


def test_the_decoder_of_a_network_answers_after_its_fit_and_is_kept_in_the_weights():
    torch.manual_seed(0)
    model = cortexnet.create_model("cortexnet_s", 2).eval()
    x = 0.05 * torch.randn(6, 22050)
    x[::2] *= torch.sin(torch.arange(22050) / 22050 * 2 * torch.pi * 8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    with torch.no_grad():
        features, before = model.fixed(x), model(x)
        areas = model.forward_areas(x)[0]
    model.fit_decoder([features[:4], features[4:]], labels)
    with torch.no_grad():
        after = model(x)
        torch.testing.assert_close(after, model.from_fixed(features))
        assert (after.argmax(1).numpy() == labels).all()
        assert not torch.allclose(before, after)
        for name, activity in model.forward_areas(x)[0].items():
            torch.testing.assert_close(activity, areas[name])
        other = cortexnet.create_model("cortexnet_s", 2).eval()
        other.load_state_dict(model.state_dict())
        torch.testing.assert_close(other(x), after)
        # Learning goes by the read-out that gradients reach.
        assert not torch.allclose(model.train().from_fixed(features), after)
