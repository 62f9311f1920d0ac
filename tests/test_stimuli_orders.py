"""The MATLAB lists give the same table as the events."""

import h5py
import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from scipy.io import loadmat, savemat

from stimuli import InputError, ds003720
from stimuli.excerpts import experiment_excerpts
from stimuli.miniature import LAYOUTS, write_events
from stimuli.orders import ORDER_FILES, read_order


def _names(table):
    """{task: (rows, runs)} of file names of a presentation table."""
    heard = table[~table["dummy"]]
    return {
        task: np.array(
            [run["file"].tolist() for _, run in heard[heard["split"] == split].groupby("run")],
            object,
        ).T
        for task, split in (("Training", "train"), ("Test", "test"))
    }


def _write_v73(path, variable, names, as_chars=False):
    """A MATLAB 7.3 file: HDF5 behind 512 bytes, arrays reversed, cells as references."""
    codes = np.vectorize(lambda name: np.frombuffer(name.encode("utf-16-le"), "<u2"), otypes="O")
    with h5py.File(path, "w", userblock_size=512) as file:
        if as_chars:
            letters = np.array([[list(map(ord, name)) for name in row] for row in names], "u2")
            file[variable] = letters.T
            file[variable].attrs["MATLAB_class"] = np.bytes_("char")
        else:
            references = np.empty(names.shape, h5py.ref_dtype)
            for i, index in enumerate(np.ndindex(names.shape)):
                cell = file.create_dataset(f"#refs#/{i}", data=codes(names)[index][:, None])
                cell.attrs["MATLAB_class"] = np.bytes_("char")
                references[index] = cell.ref
            file.create_dataset(variable, data=references.T, dtype=h5py.ref_dtype)
            file[variable].attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def _write_orders(folder, names, write=None):
    folder.mkdir()
    for task, (file, variable) in ORDER_FILES.items():
        if write is None:
            savemat(folder / file, {variable: names[task]})
        else:
            write(folder / file, variable, names[task])
    return folder


@pytest.fixture(scope="module", params=["small", "full"])
def miniature(request, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    write_events(out, seed=3, layout=LAYOUTS[request.param])
    return out


def test_both_routes_agree_on_the_miniature(miniature):
    events, lists = ds003720.load(miniature / "bids"), ds003720.load_orders(miniature / "orders")
    assert_frame_equal(events, lists)
    assert events["n_volumes"].nunique() == 1
    assert not events["leak"].any() and (events["group"] == events["track"]).all()


def test_all_kinds_of_matlab_files_hold_the_same_names(miniature, tmp_path):
    path, (file, variable) = tmp_path / "x.mat", ORDER_FILES["Test"]
    cells = read_order(miniature / "orders" / file, variable)
    width = max(map(len, cells.ravel()))
    padded = np.vectorize(lambda name: name.ljust(width), otypes=[object])(cells)
    _write_v73(path, variable, cells)
    assert (read_order(path, variable) == cells).all()
    _write_v73(path, variable, padded, as_chars=True)
    assert (read_order(path, variable) == cells).all()
    savemat(path, {variable: padded.astype(str)})
    assert (read_order(path, variable) == cells).all()
    savemat(path, {variable: cells}, do_compression=True)
    assert (read_order(path, variable) == cells).all()


@pytest.fixture
def own_names():
    """The order of ds003720, from the shipped excerpts alone."""
    tracks = experiment_excerpts()["track"].to_numpy()
    training, test = tracks[:480].reshape(12, 40), np.tile(tracks[480:].reshape(6, 10), 4)
    return {
        task: np.array(
            [
                [f"{task}_run-{r:02d}-{i:02d}_{t}_15s.wav" for i, t in enumerate(run, 1)]
                for r, run in enumerate(runs, 1)
            ],
            object,
        ).T
        for task, runs in (("Training", training), ("Test", test))
    }


def test_the_experiments_own_lists_need_no_excerpts(own_names, tmp_path):
    table = ds003720.load_orders(_write_orders(tmp_path / "orders", own_names))
    assert_frame_equal(table, ds003720.load_orders())
    assert len(table) == 18 * 41 and table["dummy"].sum() == 18
    assert table.loc[table["leak"] & ~table["dummy"], "track"].nunique() == 6
    first = table[table["run"] == "Training-01"]["track"].iloc[0]
    assert first == table[table["run"] == "Training-12"]["track"].iloc[-1]


def test_another_order_needs_its_own_excerpts(own_names, tmp_path):
    names = own_names["Training"]
    a, b = names[0, 0], names[1, 0]
    names[0, 0], names[1, 0] = b.replace("01-02_", "01-01_"), a.replace("01-01_", "01-02_")
    folder = _write_orders(tmp_path / "orders", own_names)
    message = r"ExpTrnOrder\.mat, row 1, column 1: .* where ds003720 has .*; put excerpts\.tsv"
    with pytest.raises(InputError, match=message):
        ds003720.load_orders(folder)
    experiment_excerpts().to_csv(folder / "excerpts.tsv", sep="\t", index=False)
    assert len(ds003720.load_orders(folder)) == 18 * 41


def test_another_size_needs_its_own_excerpts(own_names, tmp_path):
    own_names["Test"] = own_names["Test"][:39]
    with pytest.raises(
        InputError, match=r"ExpValOrder\.mat: 39 x 6 names .* 40 x 6.*excerpts\.tsv"
    ):
        ds003720.load_orders(_write_orders(tmp_path / "orders", own_names))


def test_misplaced_and_malformed_names_are_refused_by_place(own_names, tmp_path):
    own_names["Test"][39, 5] = "reggae.wav"
    with pytest.raises(
        InputError, match=r"ExpValOrder\.mat, row 40, column 6: 'reggae\.wav' is no"
    ):
        ds003720.load_orders(_write_orders(tmp_path / "a", own_names))
    own_names["Training"] = own_names["Training"].T
    with pytest.raises(InputError, match=r"row 1, column 2: .* belongs elsewhere"):
        ds003720.load_orders(_write_orders(tmp_path / "b", own_names))


@pytest.mark.parametrize("write", [None, _write_v73])
def test_another_variable_is_refused_and_those_found_are_named(own_names, tmp_path, write):
    folder = _write_orders(tmp_path / "orders", own_names, write)
    with pytest.raises(
        InputError, match=r"ExpTrnOrder\.mat: no variable 'Order' \(found: TrnOrd\)"
    ):
        read_order(folder / "ExpTrnOrder.mat", "Order")


def test_other_kinds_of_variables_are_refused(tmp_path):
    path = tmp_path / "x.mat"
    for value in (np.eye(3), {"a": 1}, np.array([[1, "a"]], object), np.array([[["a"]]], object)):
        savemat(path, {"TrnOrd": value})
        with pytest.raises(InputError, match=r"x\.mat: 'TrnOrd' is "):
            read_order(path, "TrnOrd")
    with h5py.File(path, "w") as file:
        file["TrnOrd"] = np.eye(3)
        file["group/x"] = 1
    for variable in ("TrnOrd", "group"):
        with pytest.raises(InputError, match=rf"x\.mat: '{variable}' is "):
            read_order(path, variable)


@pytest.mark.parametrize("write", [None, _write_v73])
def test_a_file_cut_off_anywhere_is_refused(own_names, tmp_path, write):
    names = {task: names[:5] for task, names in own_names.items()}
    folder = _write_orders(tmp_path / "orders", names, write)
    whole = (folder / "ExpValOrder.mat").read_bytes()
    path = tmp_path / "cut.mat"
    for size in np.linspace(0, len(whole) - 9, 40).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut\.mat"):
            read_order(path, "ValOrd")


def test_missing_files_and_times_are_refused(miniature, tmp_path):
    with pytest.raises(InputError, match=r"ExpTrnOrder\.mat: no such file"):
        ds003720.load_orders(tmp_path)
    names = {
        task: read_order(miniature / "orders" / file, variable)
        for task, (file, variable) in ORDER_FILES.items()
    }
    folder = _write_orders(tmp_path / "orders", names)
    lines = (miniature / "orders" / "excerpts.tsv").read_text().splitlines()
    (folder / "excerpts.tsv").write_text("\n".join(lines[:1] + lines[2:]))
    with pytest.raises(InputError, match=rf"excerpts\.tsv: no track {lines[1].split()[0]}"):
        ds003720.load_orders(folder)
    track, start, _ = lines[1].split()
    wrong = f"{track}\t{start}\t{float(start) + 7:g}"
    (folder / "excerpts.tsv").write_text("\n".join([lines[0], wrong, *lines[2:]]))
    with pytest.raises(InputError, match=rf"{track} from .* to .* s, but its file's name says"):
        ds003720.load_orders(folder)


@pytest.mark.data
@pytest.mark.parametrize("write", [None, _write_v73])
def test_both_routes_agree_on_the_experiment(data_dir, tmp_path, write):
    events = ds003720.load(data_dir / "ds003720")
    folder = _write_orders(tmp_path / "orders", _names(events), write)
    assert_frame_equal(events, ds003720.load_orders(folder))
    if write is None:
        assert loadmat(folder / "ExpValOrder.mat")["ValOrd"].shape == (40, 6)
