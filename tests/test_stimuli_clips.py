"""A clip table survives the disk, and what cannot be used is refused by line."""

import numpy as np
import pandas as pd
import pytest

from stimuli import InputError, load_clips, save_clips, write_audio
from stimuli.clips import COLUMNS, waveform
from stimuli.folder import scan_folder


@pytest.fixture
def sounds(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("blues/blues.00000.wav", "blues/blues.00001.wav", "rock/loud.one.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_audio(tmp_path / name, rng.uniform(-0.3, 0.3, 22050), 22050)
    return tmp_path


def _csv(folder, text, name="m.csv"):
    (folder / name).write_bytes(text.encode())
    return folder / name


def test_folder_names_are_labels_and_gtzan_names_lose_the_folder(sounds):
    clips = scan_folder(sounds)
    assert list(clips.columns) == list(COLUMNS)
    assert clips["clip_id"].tolist() == ["blues.00000", "blues.00001", "rock/loud.one"]
    assert clips["label"].tolist() == ["blues", "blues", "rock"]
    assert clips["track"].tolist() == clips["group"].tolist()
    assert clips["track"].tolist() == ["blues.00000", "blues.00001", "loud.one"]
    assert clips["start"].isna().all()


def test_a_folder_passes_over_hidden_and_other_files(sounds):
    (sounds / "blues" / "notes.txt").write_text("x")
    (sounds / "blues" / ".blues.00009.wav").write_bytes(b"x")
    (sounds / ".cache").mkdir()
    (sounds / ".cache" / "a.wav").write_bytes(b"x")
    write_audio(sounds / "stray.wav", np.zeros(10), 22050)
    assert len(load_clips(sounds)) == 3


def test_equal_file_names_in_two_folders_are_two_tracks(tmp_path):
    for label in ("jazz", "rock"):
        (tmp_path / label).mkdir()
        write_audio(tmp_path / label / "01.wav", np.zeros(10), 22050)
    assert scan_folder(tmp_path)["group"].tolist() == ["jazz/01", "rock/01"]


def test_folders_without_audio_and_doubled_clips_are_refused(tmp_path, sounds):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no folders with audio"):
        scan_folder(tmp_path / "none")
    with pytest.raises(InputError, match="no such folder"):
        scan_folder(tmp_path / "absent")
    genres = tmp_path / "gtzan" / "genres"
    (genres / "rock").mkdir(parents=True)
    write_audio(genres / "rock" / "a.wav", np.zeros(10), 22050)
    with pytest.raises(InputError, match=f"name {genres}$"):
        scan_folder(tmp_path / "gtzan")
    write_audio(sounds / "blues" / "blues.00000.au", np.zeros(10), 22050)
    with pytest.raises(InputError, match=r"blues\.00000\.au.*blues\.00000\.wav"):
        scan_folder(sounds)


def test_a_saved_table_comes_back_and_can_be_moved(sounds, tmp_path):
    clips = scan_folder(sounds).assign(mood="calm", start=[0.1, np.nan, 0.0], end=[0.5, np.nan, 1])
    save_clips(clips, sounds / "manifest.csv")
    assert str(sounds) not in (sounds / "manifest.csv").read_text()
    pd.testing.assert_frame_equal(load_clips(sounds / "manifest.csv"), clips)
    moved = sounds.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert load_clips(moved / "manifest.csv")["path"].str.startswith(str(moved)).all()


def test_two_columns_are_enough(sounds):
    path = _csv(sounds, "path,label\nblues/blues.00000.wav,NA\nrock/loud.one.wav,1\n")
    clips = load_clips(path)
    assert clips["label"].tolist() == ["NA", "1"]
    assert clips["clip_id"].tolist() == ["blues/blues.00000", "rock/loud.one"]
    assert clips["group"].tolist() == ["blues.00000", "loud.one"]


def test_windows_tables_are_read(sounds):
    path = _csv(sounds, "\ufeffpath,label,start\r\nblues/blues.00000.wav,blues,0.5\r\n")
    assert load_clips(path)["start"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a CSV"),
        ("path,label\n", "no clips"),
        ("path,genre\nblues/blues.00000.wav,blues\n", "no column 'label'.*genre"),
        (
            "path,label\nblues/blues.00000.wav,blues\n\nrock/gone.wav,rock\n",
            "line 4: file not found",
        ),
        ("path,label\nblues/blues.00000.wav,blues\nrock/loud.one.wav,\n", "line 3: no label"),
        ("path,label\n,blues\n", "line 2: no path"),
        (
            "clip_id,path,label\na,blues/blues.00000.wav,b\na,rock/loud.one.wav,b\n",
            "line 3: clip_id 'a' is already on line 2",
        ),
        ("path,label,start,end\nrock/loud.one.wav,rock,2,1\n", "line 2: start 2 s is not before"),
        ("path,label,start\nrock/loud.one.wav,rock,soon\n", "line 2: start is 'soon'"),
        ("path,label\nrock/loud.one.wav,rock\na,b,c,d\n", "not a CSV"),
    ],
)
def test_unusable_tables_are_refused_by_line(sounds, text, message):
    with pytest.raises(InputError, match=rf"m\.csv.*{message}") as caught:
        load_clips(_csv(sounds, text))
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv"):
        load_clips(tmp_path / "absent.csv")


def test_waveform_is_the_part_of_the_row_at_one_level(sounds):
    clips = scan_folder(sounds)
    clips.loc[0, ["start", "end"]] = 0.25, 0.75
    x = waveform(clips.iloc[0], 22050, rms=0.1)
    assert abs(len(x) - 11025) <= 1
    assert np.sqrt(np.mean(x**2)) == pytest.approx(0.1, rel=1e-4)
    assert len(waveform(clips.iloc[1])) == 22050
