"""Retrieval: neighbours are nearest, scores are those of the textbook, the index is current."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from cortexnet.retrieval import Index, build_index, embed_sound, evaluate_index
from cortexnet.retrieval.approximate import Graph
from cortexnet.retrieval.evaluate import (
    average_precision,
    chance_precision,
    group_bootstrap,
    query_scores,
)
from cortexnet.retrieval.neighbours import nearest, unit_rows
from stimuli import InputError, load_clips, write_audio
from stimuli.clips import waveform

RATE, SEGMENT = 8000, 4000


def unit(n, d, seed=0):
    return unit_rows(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32))


def table(n, n_labels=3, per_group=2):
    k = np.arange(n)
    return pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in k],
            "label": [f"label{i}" for i in k // per_group % n_labels],
            "group": [f"g{i}" for i in k // per_group],
            "path": "x.wav",
        }
    )


@settings(max_examples=20)
@given(
    n=st.integers(1, 40), q=st.integers(1, 9), k=st.integers(1, 50), seed=st.integers(0, 99),
    block=st.integers(1, 4000),
)  # fmt: skip
def test_blocks_find_what_a_full_sort_finds(n, q, k, seed, block):
    """Copies among the vectors tie and keep their order, whatever the size of the blocks."""
    vectors = unit(n, 5, seed)[np.random.default_rng(seed).integers(0, n, n)]
    queries = unit(q, 5, seed + 1)
    whole = np.round(queries @ vectors.T, 6)
    for row, (positions, similarities) in zip(
        whole, nearest(queries, vectors, k, block_bytes=block), strict=True
    ):
        expected = np.argsort(-row, kind="stable")[:k]
        # A block may round the last digit the other way.
        np.testing.assert_allclose(row[positions], row[expected], atol=2e-6)
        np.testing.assert_allclose(similarities, row[positions], atol=2e-6)


def test_own_group_is_never_found():
    vectors, groups = unit(30, 4), np.arange(30) % 7
    for g, (positions, _) in zip(
        groups, nearest(vectors, vectors, 30, groups, groups), strict=True
    ):
        assert set(positions) == set(np.flatnonzero(groups != g))


def test_the_graph_finds_nearly_what_exact_search_finds(tmp_path, monkeypatch):
    """Recall at 10 on clustered vectors, as embeddings are; from the cache as when just built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, 32))
    vectors = unit_rows(
        (centres[rng.integers(0, 40, 2500)] + 0.4 * rng.standard_normal((2500, 32))).astype("f4")
    )
    exact = nearest(vectors[:100], vectors, 10)
    built, read = (Graph(vectors, "index").nearest(vectors[:100], 10) for _ in range(2))
    shared = [len(set(a) & set(b)) / 10 for (a, _), (b, _) in zip(exact, built, strict=True)]
    assert np.mean(shared) > 0.99
    for (a, s), (b, t) in zip(built, read, strict=True):
        assert (a == b).all() and (s == t).all()
    Graph(vectors[:50], "index")  # an index that changed has one graph, not two
    assert len(list((tmp_path / "cortexnet").iterdir())) == 1


def test_average_precision_is_scikit_learns():
    rng = np.random.default_rng(0)
    for digits in (1, 6):  # with many ties, and with none
        for _ in range(25):
            scores = np.round(rng.standard_normal(30), digits).astype(np.float32)
            relevant = rng.random(30) < 0.3
            if relevant.any():
                expected = average_precision_score(relevant, scores)
                assert average_precision(scores, relevant) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n_relevant", "n"), [(1, 1), (1, 5), (2, 6), (4, 6), (6, 6)])
def test_chance_is_the_mean_over_all_orders(n_relevant, n):
    relevant = np.arange(n) < n_relevant
    falling = -np.arange(n, dtype=np.float32)
    orders = [average_precision(falling, relevant[list(p)]) for p in permutations(range(n))]
    assert chance_precision(n_relevant, n) == pytest.approx(np.mean(orders))


@settings(max_examples=12)
@given(n=st.integers(4, 25), seed=st.integers(0, 99), block=st.integers(1, 3000))
def test_query_scores_are_those_of_a_loop(n, seed, block):
    clips, vectors = table(n), unit(n, 4, seed)
    labels, groups = clips["label"].to_numpy(str), clips["group"].to_numpy(str)
    scores = query_scores(vectors, labels, groups, np.arange(n), (1, 3), block)
    for i in range(n):
        other = groups != groups[i]
        cosine, same = np.round(vectors[other] @ vectors[i], 6), (labels == labels[i])[other]
        assert scores["n"][i] == other.sum() and scores["n_relevant"][i] == same.sum()
        if same.any():
            expected = average_precision_score(same, cosine)
            assert scores["precision"][i] == pytest.approx(expected, abs=1e-4)
            first = np.argsort(-cosine, kind="stable")
            assert list(scores["hits"][i]) == [same[first[:k]].any() for k in (1, 3)]


def test_random_vectors_score_as_chance_says():
    """The measured means are those of chance, in all and for every label."""
    index = Index.of(table(300), np.random.default_rng(1).standard_normal((300, 50)))
    result = evaluate_index(index, n_resamples=500)
    assert result["mean_average_precision"] == pytest.approx(result["chance"], abs=0.01)
    for hit in result["hit_rate"].values():
        assert hit["rate"] == pytest.approx(hit["chance"], abs=0.06)
    means = [row["mean_average_precision"] for row in result["per_label"].values()]
    assert result["mean_average_precision"] == pytest.approx(np.mean(means))


def test_a_track_alone_does_not_make_retrieval_look_good():
    """Clips that resemble their own track only score at chance: the group is left out."""
    rng = np.random.default_rng(0)
    tracks = np.repeat(rng.standard_normal((100, 40)), 3, axis=0)
    clips = table(300, per_group=3)
    index = Index.of(clips, tracks + 0.01 * rng.standard_normal(tracks.shape))
    result = evaluate_index(index, n_resamples=200)
    assert result["mean_average_precision"] == pytest.approx(result["chance"], abs=0.05)
    assert evaluate_index(
        Index.of(clips.assign(group=clips["clip_id"]), tracks), n_resamples=200
    )["hit_rate"]["1"]["rate"] == pytest.approx(1)  # fmt: skip


def test_bootstrap_draws_groups_not_clips():
    """Copies of a value within its group add nothing to what is known."""
    rng = np.random.default_rng(0)
    values = rng.random((60, 1))
    once = group_bootstrap(values, np.arange(60), 4000, 0)
    thrice = group_bootstrap(np.repeat(values, 3, 0), np.repeat(np.arange(60), 3), 4000, 0)
    np.testing.assert_allclose(once, thrice)
    # The normal approximation, with 60 independent values.
    half = 1.96 * values.std() / np.sqrt(60)
    np.testing.assert_allclose(once[:, 0], values.mean() + np.array([-half, half]), atol=0.01)


def test_labels_of_a_single_group_are_counted_and_left_out():
    clips = table(18)
    clips.loc[:1, "label"] = "alone"
    index = Index.of(clips, np.random.default_rng(0).standard_normal((18, 4)))
    result = evaluate_index(index, n_resamples=50)
    assert result["n_without_relevant"] == 2 and "alone" not in result["per_label"]
    assert result["n_queries"] == 16
    with pytest.raises(InputError, match="no query has a clip of its label"):
        evaluate_index(index, np.array([0, 1]))


def test_vectors_are_standardised_embeddings_of_length_one():
    embeddings = np.random.default_rng(0).gamma(2, 5, (20, 6)).astype(np.float32)
    embeddings[:, 2] = 7  # a unit that does not vary says nothing
    index = Index.of(table(20), embeddings)
    z = StandardScaler().fit_transform(embeddings.astype(float))
    z[:, 2] = 0
    expected = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_allclose(index.vectors, expected, atol=1e-5)
    far = embeddings[:1] + np.eye(6, dtype=np.float32)[2] * 1e6
    np.testing.assert_allclose(index.project(far), index.vectors[:1], atol=1e-5)


def test_search_filters_by_label_and_keeps_away_from_what_is_passed_over():
    clips = table(60)
    index = Index.of(clips, np.random.default_rng(0).standard_normal((60, 8)))
    own = (clips["group"] == "g0").to_numpy()
    similarity = np.round(index.vectors @ index.vectors[0], 6)
    found = index.search(index.vectors[0], 5, ["label1"], own)
    candidates = np.flatnonzero((clips["label"] == "label1") & ~own)
    expected = candidates[np.argsort(-similarity[candidates])][:5]
    assert found["clip_id"].tolist() == clips["clip_id"][expected].tolist()
    np.testing.assert_allclose(found["similarity"], similarity[expected], atol=2e-6)
    near = index.search(index.vectors[0], 5, without=own, approximate=True)
    exact = index.search(index.vectors[0], 5, without=own)
    assert near["clip_id"].tolist() == exact["clip_id"].tolist()
    with pytest.raises(InputError, match="no clip has label 'labl'"):
        index.search(index.vectors[0], 5, ["labl"])
    with pytest.raises(InputError, match="no clip is left"):
        index.search(index.vectors[0], 5, without=np.ones(60, bool))


def test_many_clips_are_searched_by_graph_unless_told_otherwise(monkeypatch):
    index = Index.of(table(60), np.random.default_rng(0).standard_normal((60, 8)))
    assert not index.goes_by_graph(None) and index.goes_by_graph(True)
    monkeypatch.setattr("cortexnet.retrieval.index.MANY_CLIPS", 50)
    assert index.goes_by_graph(None) and not index.goes_by_graph(False)
    assert not index.goes_by_graph(True, ["label1"])
    # Without the extra, all are compared by default, and a graph is refused with the remedy.
    monkeypatch.setattr("cortexnet.retrieval.approximate.find_spec", lambda name: None)
    assert not index.goes_by_graph(None)
    with pytest.raises(InputError, match=r"pip install 'auditory-cortexnet\[ann\]'"):
        index.search(index.vectors[0], 5, approximate=True)


def test_taste_lies_between_what_is_liked_and_away_from_what_is_not():
    index = Index.of(table(40), np.random.default_rng(0).standard_normal((40, 8)))
    liked, disliked = np.array([1, 2, 3]), np.array([7])
    plain, careful = index.taste(liked, disliked[:0]), index.taste(liked, disliked)
    mean = index.vectors[liked].mean(0)
    np.testing.assert_allclose(plain, mean / np.linalg.norm(mean), atol=1e-6)
    assert careful @ index.vectors[7] < plain @ index.vectors[7]


class Bands(nn.Module):
    """Log energy in ten bands, times a weight; counts the sounds it was given."""

    sample_rate = RATE

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.tensor(weight)), 0

    def embed(self, waveform):
        self.calls += 1
        power = torch.fft.rfft(waveform).abs().square()[:, :2000]
        return self.weight * torch.log(power.unflatten(1, (10, 200)).mean(2) + 1e-6)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    rows = []
    for k in range(6):
        x = np.cumsum(rng.standard_normal(RATE)) if k % 2 else rng.standard_normal(RATE)
        write_audio(root / f"{k}.wav", 0.3 * x / np.abs(x).max(), RATE)
        rows.append({"path": f"{k}.wav", "label": ["white", "brown"][k % 2]})
    pd.DataFrame(rows).to_csv(root / "manifest.csv", index=False)
    return root


def test_a_clip_is_the_mean_of_its_segments(sounds):
    model = Bands().eval()
    wave = waveform(load_clips(sounds / "manifest.csv").iloc[0], RATE)
    pieces = embed_sound(model, wave, SEGMENT)
    assert pieces.shape == (2, 10)
    one_by_one = embed_sound(model, wave, SEGMENT, batch_size=1)
    np.testing.assert_allclose(pieces, one_by_one, atol=1e-5)
    with pytest.raises(InputError, match=r"0\.25 s of sound are less than the segment of 0\.50 s"):
        embed_sound(model, wave[:2000], SEGMENT)


def test_the_index_is_kept_and_follows_weights_sounds_and_table(sounds, tmp_path):
    clips, model = load_clips(sounds / "manifest.csv"), Bands().eval()
    first = build_index(model, clips, tmp_path, SEGMENT, "bands")
    assert model.calls == len(clips)
    again = build_index(model, clips, tmp_path, SEGMENT, "bands")
    assert model.calls == len(clips)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    with safe_open(tmp_path / "index.safetensors", "np") as file:
        np.testing.assert_array_equal(file.get_tensor("vectors"), first.vectors)
    assert load_clips(tmp_path / "clips.csv")["clip_id"].tolist() == clips["clip_id"].tolist()

    fewer = build_index(
        model, clips[1:], tmp_path, SEGMENT, "bands"
    )  # another table: nothing is embedded
    assert model.calls == len(clips) and len(fewer.vectors) == len(clips) - 1
    np.testing.assert_allclose(
        fewer.vectors,
        Index.of(clips[1:], np.stack([embed_sound(model, waveform(r, RATE), SEGMENT).mean(0)
                                      for _, r in clips[1:].iterrows()])).vectors,
        atol=1e-6,
    )  # fmt: skip
    relabelled = build_index(model, clips.assign(label="noise"), tmp_path, SEGMENT, "bands")
    assert set(relabelled.clips["label"]) == {"noise"}

    heavier = Bands(2.0).eval()
    build_index(heavier, clips, tmp_path, SEGMENT, "bands")
    assert heavier.calls == len(clips)
    other = Bands(2.0).eval()  # of the same weights
    build_index(other, clips, tmp_path, SEGMENT, "others")
    assert other.calls == len(clips)
    # The embeddings of the old weights are gone.
    assert len(list(tmp_path.glob("bands-*"))) == 1


def test_an_interrupted_index_goes_on_and_a_damaged_one_is_made_anew(sounds, tmp_path):
    clips, model = load_clips(sounds / "manifest.csv"), Bands().eval()

    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        build_index(model, clips, tmp_path, SEGMENT, "bands", progress=stop)
    assert not (tmp_path / "index.safetensors").exists()
    whole = build_index(model, clips, tmp_path, SEGMENT, "bands")
    assert model.calls == len(clips)
    (tmp_path / "index.safetensors").write_bytes(b"\x80\x04pickle")
    np.testing.assert_array_equal(
        build_index(model, clips, tmp_path, SEGMENT, "bands").vectors, whole.vectors
    )


def test_clips_that_cannot_be_indexed_are_named(sounds, tmp_path):
    clips = load_clips(sounds / "manifest.csv")
    clips.loc[2, "end"] = 0.3
    with pytest.raises(InputError, match=r"2\.wav: clip '2': 0\.30 s of sound") as caught:
        build_index(Bands().eval(), clips, tmp_path, SEGMENT, "bands")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="at least two clips"):
        build_index(Bands().eval(), clips[:1], tmp_path, SEGMENT, "bands")
