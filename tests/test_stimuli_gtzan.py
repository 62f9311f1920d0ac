"""Any copy of GTZAN becomes one clip table, with its recordings, artists and published split."""

import warnings

import numpy as np
import pandas as pd
import pytest

from stimuli import InputError, ds003720, grouped_folds, gtzan, write_audio
from stimuli.recordings import known_pairs

TRACKS = ("blues.00000", "jazz.00040", "jazz.00054", "jazz.00067", "pop.00001")


def _copy(root, parent, tracks=TRACKS, suffix=".wav"):
    for track in tracks:
        folder = root / parent / track.split(".")[0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{track}{suffix}").write_bytes(b"")
    return root


def _load(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gtzan.load(*args, **kwargs)


def _whole(root):
    """All 1000 tracks by name, as empty files; jazz.00054 is then as corrupt as in most copies."""
    tracks = [f"{genre}.{number:05d}" for genre in gtzan.GENRES for number in range(100)]
    return _copy(root, "genres", tracks)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return _load(_whole(tmp_path_factory.mktemp("gtzan")))


@pytest.mark.parametrize("parent", [".", "genres", "genres_original", "Data/genres_original"])
@pytest.mark.parametrize("suffix", [".wav", ".au", ".MP3", ".flac"])
def test_common_copies_give_one_table(tmp_path, parent, suffix):
    clips = _load(_copy(tmp_path, parent, suffix=suffix))
    tracks = [track for track in TRACKS if track != "jazz.00054"]
    assert clips["track"].tolist() == clips["clip_id"].tolist() == tracks
    assert clips["label"].tolist() == ["blues", "jazz", "jazz", "pop"]
    assert clips["path"].iloc[0] == str(
        (tmp_path / parent / "blues" / f"blues.00000{suffix}").resolve()
    )
    assert clips["group"].tolist() == ["blues.00000", "jazz.00040", "jazz.00040", "pop.00001"]
    assert len(clips.attrs["missing"]) == 995 and "jazz.00054" not in clips.attrs["missing"]
    assert clips.attrs["corrupt"] == ["jazz.00054"]


def test_the_corrupt_track_is_named_and_a_sound_one_kept(tmp_path):
    _copy(tmp_path, ".")
    with pytest.warns(UserWarning, match=r"995 tracks are missing.*jazz\.00054 cannot be decoded"):
        gtzan.load(tmp_path)
    write_audio(tmp_path / "jazz" / "jazz.00054.wav", np.full(100, 0.1), 22050)
    clips = _load(tmp_path)
    assert "jazz.00054" in set(clips["track"]) and clips.attrs["corrupt"] == []


def test_one_track_in_two_formats_is_one_clip_and_other_sounds_are_named(tmp_path):
    _copy(tmp_path, ".")
    _copy(tmp_path, ".", ["blues.00000"], ".mp3")
    for name in ("mine.wav", "._blues.00000.wav", "notes.txt", "pop.00001.wav"):
        (tmp_path / "blues" / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"2 files are no tracks \(blues/mine\.wav"):
        clips = gtzan.load(tmp_path)
    assert clips["path"].iloc[0].endswith("blues.00000.wav") and len(clips) == 4


def test_genres_choose_the_folders(tmp_path):
    _copy(tmp_path, ".")
    assert _load(tmp_path, genres=["pop", "blues"])["label"].tolist() == ["pop", "blues"]
    _copy(tmp_path, ".", ["techno.00000"])
    with pytest.raises(InputError, match="'techno' is no genre of GTZAN"):
        gtzan.load(tmp_path)
    assert _load(tmp_path, genres=["techno", "pop"])["label"].tolist() == ["techno", "pop"]
    with pytest.raises(InputError, match=r"no folder 'rock' \(found: blues, jazz, pop, techno\)"):
        gtzan.load(tmp_path, genres=["rock"])


@pytest.mark.parametrize(
    ("name", "known"),
    [("blues.00000", True), ("rock.00099", True), ("rock.00100", False), ("techno.00001", False)],
)
def test_a_thousand_names_are_gtzans(name, known):
    assert gtzan.is_track(name) is known and not gtzan.is_track(f"{name}.wav")


def test_folders_that_are_no_copy_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        gtzan.load(tmp_path / "absent")
    with pytest.raises(InputError, match="no folder of a genre"):
        gtzan.load(tmp_path)
    (tmp_path / "blues").mkdir()
    with pytest.raises(InputError, match="no tracks such as"):
        gtzan.load(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_an_index_gives_artists_titles_and_recordings(tmp_path, encoding):
    _copy(tmp_path / "g", ".", [f"pop.{n:05d}" for n in range(8)])
    index = tmp_path / "index.txt"
    lines = [
        "pop.00000.wav ::: Beyoncé ::: Halo",
        "pop.00001.wav ::: Beyonce ::: Halo (remix)",
        "pop.00002.wav :::  ::: HALO!",
        "pop.00003.wav ::: Other ::: Hallo",
        "pop.00004.wav ::: Other ::: ",
        "pop.00005.wav ::: Other :::",
        "pop.00006.wav ::: ::: ",
        "jazz.00001.wav ::: Nobody ::: Halo",
    ]
    index.write_text("\n".join(lines), encoding=encoding)
    clips = _load(tmp_path / "g", index)
    assert clips["artist"].tolist() == ["Beyoncé", "Beyonce", "", *["Other"] * 3, "", ""]
    assert clips["title"].tolist()[:4] == ["Halo", "Halo (remix)", "HALO!", "Hallo"]
    assert clips["recording"].tolist()[:5] == [
        "Beyoncé: Halo",
        "Beyonce: Halo (remix)",
        "HALO!",
        "Other: Hallo",
        "",
    ]
    assert clips["group"].tolist()[:3] == ["pop.00000"] * 3
    assert clips["group"].tolist()[3:] == clips["track"].tolist()[3:]


def test_malformed_index_lines_are_named(tmp_path):
    index = tmp_path / "index.txt"
    index.write_text("blues.00000.wav ::: A ::: B\nblues.00001.wav; A; B\nx\n")
    with pytest.raises(InputError, match=r"index\.txt, line 2: 'blues\.00001\.wav; A; B' \(and 1"):
        gtzan.read_index(index)
    index.write_text("blues.00000.wav ::: A ::: B\nblues.00000.wav ::: C ::: D\n")
    with pytest.raises(InputError, match=r"line 2: .*each track once"):
        gtzan.read_index(index)
    index.write_text("\n")
    with pytest.raises(InputError, match="no lines"):
        gtzan.read_index(index)


def test_the_fault_filtered_split_has_its_published_sizes(whole):
    split = gtzan.fault_filtered(whole)
    # 443, but the corrupt jazz.00054 is one of them.
    assert split["split"].value_counts().to_dict() == {"train": 442, "test": 290, "valid": 197}
    corrupt = whole.iloc[:1].assign(track="jazz.00054")
    assert gtzan.fault_filtered(corrupt)["split"].tolist() == ["train"]
    assert len(whole) == 999 and len(split) == 999 - 70
    assert set(split["label"]) == set(gtzan.GENRES)
    pairs = known_pairs()
    side = split.set_index("track")["split"]
    both = pairs[pairs["a"].isin(side.index) & pairs["b"].isin(side.index)]
    assert (side[both["a"]].to_numpy() == side[both["b"]].to_numpy()).all()
    with pytest.raises(InputError, match=r"track 'techno\.00000' is none of GTZAN's"):
        gtzan.fault_filtered(whole.assign(track="techno.00000"))


def test_tracks_outside_the_experiment_share_no_title_with_it():
    clips = pd.DataFrame(
        {
            "track": list("abcdef"),
            "group": ["a", "a", "c", "d", "e", "f"],
            "artist": ["A", "A", "B", "", "E", "E"],
            "title": ["Song", "Song", "SONG (live)", "", "Other", "More"],
        }
    )
    heard = pd.DataFrame({"track": ["a", "e"], "split": ["train", "test"]})
    outside = gtzan.outside_experiment(clips, heard)
    assert outside["track"].tolist() == ["d", "f"]
    assert outside["test_artist"].tolist() == [False, True]


@pytest.mark.data
def test_the_split_is_that_of_the_published_ranges(data_dir):
    published = {}
    for line in (data_dir / "gtzan" / "fault_filtered_ranges.txt").read_text().splitlines():
        head, _, ranges = line.partition(":")
        genre, side, count = head.split()
        published[side, genre] = ranges.strip()
        if side != "excluded":
            assert gtzan.FAULT_FILTERED[side][genre] == ranges.strip()
            tracks = [n for r in ranges.split() for n in range(*_range(r))]
            assert len(tracks) == int(count.strip("()"))
    assert len(published) == 40


def _range(text):
    first, _, last = text.partition("-")
    return int(first), int(last or first) + 1


@pytest.fixture(scope="module")
def indexed(tmp_path_factory, data_dir):
    return _load(_whole(tmp_path_factory.mktemp("g")), data_dir / "gtzan" / "track_index.txt")


@pytest.mark.data
def test_the_fault_filtered_sides_share_no_artist(indexed):
    split = gtzan.fault_filtered(indexed)
    sides = split[split["artist"] != ""].groupby("artist")["split"].nunique()
    assert len(sides) > 200 and sides.max() == 1


@pytest.mark.data
def test_a_random_split_shares_most_artists_and_an_artist_aware_one_none(indexed):
    def shared(train, test):
        known = indexed["artist"].iloc[test].loc[lambda artist: artist != ""]
        return known.isin(indexed["artist"].iloc[train]).mean()

    assert shared(*grouped_folds(indexed, 5)[0]) > 0.8
    for train, test in grouped_folds(indexed, 5, by="artist"):
        assert shared(train, test) == 0
        assert not set(indexed["group"].iloc[train]) & set(indexed["group"].iloc[test])


@pytest.mark.data
def test_tracks_outside_the_scanner_have_their_published_numbers(indexed, data_dir):
    presentations = ds003720.load(data_dir / "ds003720")
    assert (~indexed["track"].isin(presentations["track"])).sum() == 459
    outside = gtzan.outside_experiment(indexed, presentations)
    assert len(outside) == 422 and (~outside["test_artist"]).sum() == 259
    tested = indexed[
        indexed["track"].isin(presentations.loc[presentations["split"] == "test", "track"])
    ]
    trained = indexed[
        indexed["track"].isin(presentations.loc[presentations["split"] == "train", "track"])
    ]
    known = tested[tested["artist"] != ""]
    assert (len(known), known["artist"].isin(trained["artist"]).sum()) == (58, 50)
