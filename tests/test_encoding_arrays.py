"""Arrays of every container find their rows among the events, or say why not."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoding import InputError, load_array, samples_from_events

h5py = pytest.importorskip("h5py")
VOLUMES = 4  # a clip of 6 s at 1.5 s


def ds003720_like(n_training=3, n_test=2, clips=5, repeats=4):
    """Training runs of clips heard once, test runs of clips in the same order `repeats` times."""
    rows = []

    def add(run, split, order):
        for k, (clip, repeat, dummy) in enumerate(order):
            row = {"run": run, "onset": 6.0 * k, "duration": 6.0, "clip_id": clip}
            rows.append({**row, "repeat": repeat, "dummy": dummy, "split": split})

    for r in range(n_training):
        before = f"t{(r - 1) % n_training}-{clips - 1}"
        order = [(before, 1, True)] + [(f"t{r}-{c}", 1, False) for c in range(clips)]
        add(f"Training-{r + 1:02d}", "train", order)
    for r in range(n_test):
        order = [(f"v{r}-{clips - 1}", 1, True)]
        order += [(f"v{r}-{c}", n + 1, False) for n in range(repeats) for c in range(clips)]
        add(f"Test-{r + 1:02d}", "test", order)
    events = pd.DataFrame(rows)
    counts = (events.groupby("run").size() * VOLUMES).to_dict()
    return samples_from_events(events, counts, 1.5)


@pytest.fixture(scope="module")
def samples():
    return ds003720_like()


@pytest.fixture(scope="module")
def parts(samples):
    """What a preprocessing without dummies would have stored, and the whole with dummies at 0."""
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((len(samples), 7)).astype(np.float32)
    whole[samples["dummy"]] = 0
    kept = ~samples["dummy"].to_numpy()
    test = (samples["split"] == "test").to_numpy()
    mean = whole[kept & test].reshape(2, 4, 5 * VOLUMES, 7).mean(1).reshape(-1, 7)
    return whole, {
        "Resp_Training": whole[kept & ~test],
        "Resp_Test": whole[kept & test],
        "Resp_Test_Mean": mean,
    }


def test_the_sizes_of_the_experiment(samples):
    """12 x 400, 6 x 400 and 600 rows, for 12 + 6 runs of 40 clips of 10 volumes in ds003720."""
    assert len(samples) == (3 * 6 + 2 * 21) * VOLUMES
    assert (~samples["dummy"]).sum() == (3 * 5 + 2 * 20) * VOLUMES


def write(folder, kind, arrays, transpose=False):
    arrays = {name: a.T if transpose else a for name, a in arrays.items()}
    path = folder / f"responses.{kind}"
    if kind == "npz":
        np.savez(path, **arrays)
    elif kind == "zarr":
        import zarr

        group = zarr.open_group(str(path), mode="w")
        for name, a in arrays.items():
            group.create_array(name, data=np.ascontiguousarray(a))
    else:
        with h5py.File(path, "w", userblock_size=512 if kind == "mat" else 0) as file:
            for name, a in arrays.items():
                chunks = {"chunks": (2, 5), "compression": "gzip"} if kind == "mat" else {}
                item = file.create_dataset(name, data=a, **chunks)
                if kind == "mat":
                    item.attrs["MATLAB_class"] = np.bytes_("single")
    return path


@pytest.mark.parametrize("kind", ["npz", "h5", "mat", "zarr"])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.filterwarnings("ignore:.*transposed")
def test_training_and_test_parts_are_stacked_where_the_events_have_them(
    tmp_path, samples, parts, kind, transpose
):
    whole, arrays = parts
    responses = load_array(write(tmp_path, kind, arrays, transpose), samples)
    np.testing.assert_array_equal(responses.data, whole)
    assert responses.samples is samples


def test_parts_may_be_files_of_their_own(tmp_path, samples, parts):
    whole, arrays = parts
    paths = []
    for name in ("Resp_Test", "Resp_Training"):
        paths.append(tmp_path / f"{name}.npy")
        np.save(paths[-1], arrays[name])
    np.testing.assert_array_equal(load_array(paths, samples).data, whole)
    with pytest.raises(InputError, match="no responses for 160 of 220 volumes"):
        load_array(paths[1], samples)


def test_averaged_test_responses_stand_for_the_first_repeat_alone(tmp_path, samples, parts):
    _, arrays = parts
    arrays = {k: arrays[k] for k in ("Resp_Training", "Resp_Test_Mean")}
    responses = load_array(write(tmp_path, "h5", arrays), samples)
    kept = responses.samples[~responses.samples["dummy"]]
    assert (kept["split"] == "test").sum() == 2 * 5 * VOLUMES
    assert kept["repeat"].eq(1).all()
    rows = kept.index[kept["split"] == "test"]
    np.testing.assert_array_equal(responses.data[rows], arrays["Resp_Test_Mean"])


def test_a_mean_that_is_none_over_these_events_is_told(tmp_path, samples, parts):
    _, arrays = parts
    order = np.random.default_rng(1).permutation(len(arrays["Resp_Test"]))
    shuffled = {**arrays, "Resp_Test": arrays["Resp_Test"][order]}
    with pytest.warns(UserWarning, match="another order than the events"):
        load_array(write(tmp_path, "npz", shuffled), samples)


def test_plain_files_are_mapped_not_read(tmp_path, samples):
    data = np.random.default_rng(0).standard_normal((len(samples), 6)).astype(np.float32)
    np.save(tmp_path / "y.npy", data)
    np.save(tmp_path / "t.npy", data.T)
    np.savez(tmp_path / "y.npz", data)
    plain = load_array(tmp_path / "y.npy", samples)
    assert isinstance(plain.data, np.memmap)
    assert list(plain.targets.columns) == ["region", "column"]
    np.testing.assert_array_equal(load_array(tmp_path / "y.npz", samples).data, data)
    with pytest.warns(UserWarning, match="transposed"):
        turned = load_array(tmp_path / "t.npy", samples)
    assert isinstance(turned.data, np.memmap)
    np.testing.assert_array_equal(turned.data, data)
    contiguous = load_array(write(tmp_path, "h5", {"y": data}), samples)
    assert isinstance(contiguous.data, np.memmap)
    np.testing.assert_array_equal(contiguous.data, data)


@pytest.mark.parametrize("kind", ["npz", "mat", "zarr"])
def test_beyond_the_budget_copies_are_mapped(tmp_path, samples, parts, kind):
    whole, arrays = parts
    path = write(tmp_path, kind, arrays)
    cache = tmp_path / "cache"
    cache.mkdir()
    large = load_array(path, samples, memory=100, cache=cache)
    base = large.data if isinstance(large.data, np.memmap) else large.data.base
    assert isinstance(base, np.memmap)
    np.testing.assert_array_equal(large.data, whole)
    assert len(list(cache.iterdir())) == 1  # unpacked members are gone


@given(st.integers(1, 25), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_bad_columns_are_left_out_in_any_layout(tmp_path_factory, width, seed, transpose, small):
    """Against the one-line reference: keep what is finite and varies in every run."""
    samples = ds003720_like(2, 1, 2, 2)
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((len(samples), width + 1)).astype(np.float64)
    data[rng.integers(len(samples)), rng.random(width + 1) < 0.2] = np.inf
    data[np.ix_(samples["run"] == "Training-02", rng.random(width + 1) < 0.2)] = 3
    data[:, 0] = rng.standard_normal(len(samples))
    runs = samples["run"].to_numpy()
    kept = ~samples["dummy"].to_numpy()
    good = np.isfinite(data).all(0) & np.all(
        [np.nan_to_num(np.ptp(data[(runs == r) & kept], 0), nan=1) > 0 for r in set(runs)], axis=0
    )
    path = tmp_path_factory.mktemp("a") / "y.npy"
    np.save(path, data.T if transpose else data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        responses = load_array(
            path, samples, memory=0 if small else 2**30, transposed=transpose or None
        )
    np.testing.assert_array_equal(responses.targets["column"], np.flatnonzero(good))
    np.testing.assert_array_equal(responses.data, data[:, good].astype(np.float32))
    assert sum(responses.dropped.values()) == (~good).sum()


def test_what_is_left_out_is_counted_in_a_warning(tmp_path, samples):
    data = np.random.default_rng(0).standard_normal((len(samples), 7)).astype(np.float32)
    data[3, 5] = np.nan
    data[:, 2] = 4
    np.save(tmp_path / "y.npy", data)
    targets = pd.DataFrame({"region": list("abcdefg")})
    with pytest.warns(UserWarning) as caught:
        responses = load_array(tmp_path / "y.npy", samples, targets)
    assert any("1 of 7 targets hold NaN or infinite values, the first is number 5" in str(w.message)
               for w in caught)  # fmt: skip
    assert any("1 of 7 targets are constant" in str(w.message) for w in caught)
    assert responses.dropped == {"nan": 1, "constant": 1}
    assert "".join(responses.targets["region"]) == "abdeg"
    np.save(tmp_path / "flat.npy", np.zeros_like(data))
    with pytest.raises(InputError, match="every one of 7 targets"):
        load_array(tmp_path / "flat.npy", samples)


def test_when_both_axes_fit_the_reader_asks(tmp_path, samples):
    n = len(samples)
    data = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32)
    np.save(tmp_path / "y.npy", data)
    with pytest.raises(InputError, match="both axes fit"):
        load_array(tmp_path / "y.npy", samples)
    np.testing.assert_array_equal(
        load_array(tmp_path / "y.npy", samples, transposed=True).data, data.T
    )
    np.testing.assert_array_equal(
        load_array(tmp_path / "y.npy", samples, transposed=False).data, data
    )


def test_arrays_that_do_not_fit_say_what_was_found(tmp_path, samples, parts):
    n = len(samples)
    np.save(tmp_path / "y.npy", np.zeros((n - 1, 7), np.float32))
    with pytest.raises(InputError, match=rf"y\.npy.*\({n - 1}, 7\).*{n} rows or 220"):
        load_array(tmp_path / "y.npy", samples)
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"object\.npy"):
        load_array(tmp_path / "object.npy", samples)
    good = np.random.default_rng(0).standard_normal((n, 7)).astype(np.float32)
    np.savez(tmp_path / "two.npz", a=good, b=good)
    with pytest.raises(InputError, match="a, b, expected exactly one"):
        load_array(tmp_path / "two.npz", samples)
    np.testing.assert_array_equal(load_array(tmp_path / "two.npz", samples, name="b").data, good)
    with pytest.raises(InputError, match="no array c"):
        load_array(tmp_path / "two.npz", samples, name="c")
    with pytest.raises(InputError, match="no such file"):
        load_array(tmp_path / "none.npy", samples)
    with pytest.raises(InputError, match="no zarr store"):
        load_array(tmp_path, samples)
    _, arrays = parts
    narrow = {**arrays, "Resp_Test": arrays["Resp_Test"][:, :3]}
    del narrow["Resp_Test_Mean"]
    with pytest.raises(InputError, match=r"parts with \[3, 7\] targets"):
        load_array(write(tmp_path, "npz", narrow), samples)


def test_hdf5_files_that_point_to_other_files_are_refused(tmp_path, samples):
    (tmp_path / "raw").write_bytes(bytes(len(samples) * 8))
    with h5py.File(tmp_path / "y.h5", "w") as file:
        outside = [(str(tmp_path / "raw"), 0, len(samples) * 8)]
        file.create_dataset("y", (len(samples), 2), np.float32, external=outside)
    with pytest.raises(InputError, match="lie in other files"):
        load_array(tmp_path / "y.h5", samples)


def test_an_array_without_the_unmarked_dummies_is_recognised(tmp_path, samples):
    np.save(tmp_path / "y.npy", np.zeros((220, 7), np.float32))
    unmarked = samples.assign(dummy=False)
    with pytest.raises(InputError, match="without the first clip of every run: mark"):
        load_array(tmp_path / "y.npy", unmarked)


@pytest.mark.parametrize("kind", ["h5", "mat", "npy", "npz"])
def test_truncated_files_are_refused_before_the_work(tmp_path, samples, kind):
    data = np.random.default_rng(0).standard_normal((len(samples), 50)).astype(np.float32)
    if kind == "npy":
        path = tmp_path / "responses.npy"
        np.save(path, data)
    else:
        path = write(tmp_path, kind, {"y": data})
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=rf"responses\.{kind}"):
        load_array(path, samples)
