"""Classic classifiers: their read-outs, inner folds, votes, and scattering from sound to run."""

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import cortexnet
from cortexnet.activations import extract
from cortexnet.classifiers import AffineReadout, LogisticReadout, RBFReadout
from cortexnet.classifiers.features import FeatureClassifier
from cortexnet.evaluation import clip_means
from cortexnet.registry import create_model
from stimuli import InputError, load_clips, write_audio
from stimuli.synthesis import am_noise, harmonic_complex

READOUTS = (RBFReadout, LogisticReadout, AffineReadout)


def blobs(n=30, p=6, n_classes=3, seed=0):
    """Classes around means two standard deviations apart, features of unequal scale."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), n)
    x = rng.standard_normal((len(labels), p)) + 2 * np.eye(n_classes, p)[labels]
    return x * np.logspace(0, 2, p) + 5, labels


def logits_of(readout, x):
    with torch.inference_mode():
        return readout(torch.as_tensor(x, dtype=torch.float32)).numpy()


@pytest.mark.parametrize("kind", READOUTS)
def test_a_readout_tells_blobs_apart_and_comes_back_from_its_tensors(kind):
    readout = kind(3)
    assert readout.fit(*blobs()).keys() == kind.default.keys()
    x, labels = blobs(seed=1)
    expected = logits_of(readout, x)
    assert (expected.argmax(1) == labels).mean() > 0.75
    again = kind(3)
    again.load_state_dict(readout.state_dict())
    np.testing.assert_array_equal(logits_of(again, x), expected)


def test_a_block_weighs_the_same_however_often_its_units_are_repeated():
    x, labels = blobs()
    few, many = x[:, :2], x[:, 2:]
    tripled = np.hstack([few, few, few, many])
    once, thrice = RBFReadout(3, blocks=(2, 4)), RBFReadout(3, blocks=(6, 4))
    once.fit_with(x, labels, **RBFReadout.default)
    thrice.fit_with(tripled, labels, **RBFReadout.default)
    np.testing.assert_allclose(logits_of(once, x), logits_of(thrice, tripled), atol=1e-3)
    plain = RBFReadout(3)
    plain.fit_with(x, labels, **RBFReadout.default)
    assert np.abs(logits_of(once, x) - logits_of(plain, x)).max() > 0.01


@pytest.mark.parametrize("kind", READOUTS)
def test_standardisation_is_that_of_the_rows_it_was_fitted_on(kind):
    x, labels = blobs()
    readout = kind(3)
    readout.fit(x, labels)
    np.testing.assert_allclose(readout.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(readout.scale, x.std(0), rtol=1e-5)
    scaled = kind(3)
    scaled.fit(1000 * x - 7, labels)
    np.testing.assert_allclose(logits_of(scaled, 1000 * x - 7), logits_of(readout, x), atol=2e-3)


@pytest.mark.parametrize("kind", READOUTS)
def test_a_class_never_seen_is_never_chosen(kind):
    x, labels = blobs(n_classes=2)
    readout = kind(4)
    readout.fit(x, 2 * labels + 1)
    assert set(logits_of(readout, blobs(seed=2)[0]).argmax(1)) <= {1, 3}
    assert np.isfinite(logits_of(readout, x)).all()


@pytest.mark.parametrize("kind", READOUTS)
def test_a_readout_that_is_not_fitted_says_so(kind):
    with pytest.raises(RuntimeError, match="not fitted"):
        kind(3)(torch.zeros(1, 6))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_support_vector_machine_is_scikit_learns_one_a_class(n_classes):
    (x, labels), (new, _) = blobs(n_classes=n_classes), blobs(seed=1)
    readout = RBFReadout(n_classes, C=3.0, gamma=2.0)
    assert readout.fit(x, labels) == {"C": 3.0, "gamma": 2.0}
    z, z_new = ((a - x.mean(0)) / x.std(0) for a in (x, new))
    machines = [SVC(C=3.0, gamma=2.0 / x.shape[1]).fit(z, labels == k) for k in range(n_classes)]
    expected = np.stack([one.decision_function(z_new) for one in machines], 1)
    np.testing.assert_allclose(logits_of(readout, new), expected, atol=2e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_is_scikit_learns(n_classes):
    (x, labels), (new, _) = blobs(n_classes=n_classes), blobs(seed=1)
    readout = LogisticReadout(n_classes, C=0.1)
    readout.fit(x, labels)
    machine = LogisticRegression(C=0.1).fit((x - x.mean(0)) / x.std(0), labels)
    expected = machine.predict_proba((new - x.mean(0)) / x.std(0))
    found = torch.from_numpy(logits_of(readout, new)).softmax(1)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_affine_residual_is_the_distance_from_the_space_of_the_class():
    (x, labels), (new, _) = blobs(), blobs(seed=1)
    readout = AffineReadout(3, dimension=2)
    readout.fit(x, labels)
    z, z_new = ((a - x.mean(0)) / x.std(0) for a in (x, new))
    for k in range(3):
        own = z[labels == k]
        directions = np.linalg.svd(own - own.mean(0))[2][:2].T
        away = (z_new - own.mean(0)).T
        left = away - directions @ np.linalg.lstsq(directions, away, rcond=None)[0]
        found = -2 * readout.temperature.item() * logits_of(readout, new)[:, k]
        np.testing.assert_allclose(found, (left**2).sum(0), rtol=1e-3)


def test_affine_spaces_tell_classes_with_one_mean_apart():
    # What the classifier is for: a class is the directions in which it varies.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 120)
    x = 0.1 * rng.standard_normal((240, 6))
    for k in (0, 1):
        x[labels == k, 3 * k : 3 * k + 3] += 3 * rng.standard_normal((120, 3))
    train = np.arange(240) % 2 == 0
    right = {}
    for dimension in (1, 3):
        readout = AffineReadout(2, dimension=dimension)
        readout.fit(x[train], labels[train])
        right[dimension] = (logits_of(readout, x[~train]).argmax(1) == labels[~train]).mean()
    assert right[3] > 0.97
    assert right[1] < 0.95
    assert AffineReadout(2).fit(x, labels)["dimension"] in (2, 5)


class Spy(RBFReadout):
    """Notes the first feature of the rows each fold is fitted on and tested on."""

    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.seen = []

    def fit_with(self, features, labels, **setting):
        self.fitted = set(features[:, 0])
        super().fit_with(features, labels, **setting)

    def forward(self, features):
        self.seen.append((self.fitted, set(features[:, 0].tolist())))
        return super().forward(features)


def test_inner_folds_never_split_a_group():
    x, labels = blobs()
    groups = np.arange(90) // 5
    x[:, 0] = groups
    spy = Spy(3)
    spy.fit(x, labels, groups)
    assert len(spy.seen) == 3 * len(spy.grid)
    for train, test in spy.seen:
        assert test and not train & test
    assert {group for _, test in spy.seen for group in test} == set(groups)


def test_with_one_group_a_class_the_default_is_taken():
    x, labels = blobs()
    assert RBFReadout(3).fit(x, labels, groups=labels) == RBFReadout.default
    assert RBFReadout(3, C=2.0).fit(x, labels, groups=labels) == {"C": 2.0, "gamma": 1.0}


def test_a_setting_is_judged_on_what_the_folds_held_out():
    # Directions of a class beyond the true one fit its noise: they must not be chosen.
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 60)
    x = 1.2 * np.eye(3, 30)[labels] + rng.standard_normal((180, 30))
    assert AffineReadout(3).fit(x, labels)["dimension"] < 20


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"C": 0}, "C = 0"),
        ({"gamma": "auto"}, "gamma = 'auto'"),
        ({"depth": 2}, "no option 'depth'"),
    ],
)
def test_wrong_hyper_parameters_are_named(options, words):
    with pytest.raises(InputError, match=words):
        RBFReadout(3, **options)
    with pytest.raises(InputError, match="vote = 'loudest'"):
        create_model("scattering_svm", 3, vote="loudest")


class Given(torch.nn.Module):
    """A read-out whose logits are its features."""

    def forward(self, features):
        return features


def test_majority_counts_segments_and_mean_weighs_them():
    features = torch.nn.Identity()
    features.sample_rate = 22050
    p = torch.tensor([[0.51, 0.49], [0.51, 0.49], [0.05, 0.95], [0.6, 0.4], [0.1, 0.9]]).log()
    clips = np.array([0, 0, 0, 1, 1])
    chosen = {}
    for vote in ("mean", "majority"):
        model = FeatureClassifier(features, ("a",), Given(), vote)
        probabilities = model.classify(p).double().softmax(1).numpy()
        np.testing.assert_array_equal(probabilities.argmax(1), p.argmax(1))
        chosen[vote] = clip_means(probabilities, clips)[0]
    assert chosen["mean"].argmax(1).tolist() == [1, 1]
    # the second clip is a tie, which the mean breaks
    assert chosen["majority"].argmax(1).tolist() == [0, 1]
    np.testing.assert_allclose(chosen["majority"][0], [2 / 3, 1 / 3], atol=1e-3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Steady and modulated sounds, six tracks each of two clips of 1.5 s; a third are the test."""
    root = tmp_path_factory.mktemp("sounds")
    rows = []
    for label, make in (("steady", harmonic_complex), ("modulated", am_noise)):
        for k in range(12):
            sound = make(1.5, *((200 + 10 * k, 8) if label == "steady" else (4 + 0.1 * k,)))
            noise = np.random.default_rng(k).standard_normal(len(sound)).astype(np.float32)
            write_audio(root / f"{label}-{k}.wav", sound + 0.002 * noise, 22050)
            rows.append({"path": f"{label}-{k}.wav", "label": label, "group": f"{label}{k // 2}"})
    table = pd.DataFrame(rows)
    table.to_csv(root / "manifest.csv", index=False)
    split = np.where(np.arange(24) % 12 >= 8, "test", "")
    return load_clips(root / "manifest.csv").assign(split=split)


@pytest.mark.parametrize(
    "name", ["scattering_svm", "scattering_lda", "scattering_logreg", "joint_scattering_svm"]
)
def test_scattering_classifiers_are_trained_and_say_what_they_chose(clips, tmp_path, name):
    options = {"rates": (4, 8)} if name.startswith("joint") else {"T": 0.1, "Q": 2}
    recipe = cortexnet.Recipe(segment=22050, batch_size=16)
    run = cortexnet.train_run(name, clips, tmp_path / "run", recipe, options=options)
    assert run.card["readout"].keys() == run.model.readout.default.keys()
    assert cortexnet.evaluate_run(cortexnet.load_run(run.folder)).report["clip_accuracy"] == 1


def test_each_order_is_a_feature_space_of_its_own(clips, tmp_path):
    model = create_model("scattering_svm", 2, T=0.1, Q=2)
    store = extract(model, clips.iloc[:2], tmp_path / "s.zarr", "scattering_svm", bin_seconds=0.5)
    group = zarr.open_group(store, mode="r")
    with torch.inference_mode():
        expected = model.features(torch.zeros(1, 33075))
    for order in ("S1", "S2"):
        assert group[order].shape == (2, 3, expected[order].shape[1])
        assert np.isfinite(group[order][:]).all()


def test_the_recurrent_network_is_its_two_parts_and_hears_the_order_of_frames():
    torch.manual_seed(0)
    model = create_model("scattering_lstm", 4).eval()
    x = 0.05 * torch.randn(2, 40000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        frames = model.fixed(x)
        assert frames.dtype == torch.float32
        assert abs(frames.shape[1] - 40000 / 22050 * model.fixed_rate) <= 1
        logits = model.from_fixed(frames)
        torch.testing.assert_close(model(x), logits)
        assert (model.from_fixed(frames.flip(1)) - logits).abs().max() > 1e-4
        # what comes later does not change what was
        changed = torch.cat([frames[:, :9], frames[:, 9:] + 1], 1)
        early = [model.states(f)[:, :9] for f in (frames, changed)]
    torch.testing.assert_close(*early)


def test_the_recurrent_network_is_trained_on_cached_frames(clips, tmp_path):
    recipe = cortexnet.Recipe(segment=22050, batch_size=8, epochs=12, learning_rate=5e-3)
    options = {"Q": 1, "hidden": 16}
    run = cortexnet.train_run("scattering_lstm", clips, tmp_path, recipe, options=options)
    assert cortexnet.evaluate_run(run).report["clip_accuracy"] == 1
