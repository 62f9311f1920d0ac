"""The 165 natural sounds come in the order of the response profiles."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from stimuli import InputError, nh2015, write_audio
from stimuli.audio import audio_duration

NAMES = ["stim9_rain", "stim10_flute"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wav").mkdir()
    for name in NAMES:
        write_audio(tmp_path / "wav" / f"{name}.wav", np.zeros(100), 44100)
    (tmp_path / "category_labels.csv").write_text("stim9_rain,Nature\nstim10_flute,Music\n")
    savemat(tmp_path / "components.mat", {"stim_names": np.array([NAMES], dtype=object)})
    return tmp_path


def test_sounds_come_in_the_order_of_the_components(folder):
    clips = nh2015.load(folder)
    assert clips["clip_id"].tolist() == NAMES
    assert clips["label"].tolist() == ["Nature", "Music"]
    assert clips["group"].tolist() == NAMES


def test_an_incomplete_folder_is_refused(folder):
    (folder / "wav" / "stim9_rain.wav").unlink()
    with pytest.raises(InputError, match=r"stim9_rain\.wav: no such file"):
        nh2015.load(folder)
    (folder / "components.mat").write_bytes(b"")
    with pytest.raises(InputError, match=r"components\.mat: no readable 'stim_names'"):
        nh2015.load(folder)
    for name in ("components.mat", "category_labels.csv"):
        (folder / name).unlink()
        with pytest.raises(InputError, match=f"no {name}"):
            nh2015.load(folder)
        (folder / name).touch()
    with pytest.raises(InputError, match="no wav"):
        nh2015.load(folder / "wav")


def test_categories_in_another_order_are_refused(folder):
    (folder / "category_labels.csv").write_text("stim10_flute,Music\nstim9_rain,Nature\n")
    with pytest.raises(InputError, match="line 1: expected 'stim9_rain"):
        nh2015.load(folder)
    (folder / "category_labels.csv").write_text("stim9_rain,Nature\n")
    with pytest.raises(InputError, match=r"1 sounds, but components\.mat has 2"):
        nh2015.load(folder)


@pytest.mark.data
def test_the_real_folder_has_165_sounds_of_two_seconds_in_eleven_categories(data_dir):
    clips = nh2015.load(data_dir / "nh2015")
    assert len(clips) == 165 and clips["label"].nunique() == 11
    components = loadmat(data_dir / "nh2015" / "components.mat")
    assert components["R"].shape[0] == len(clips)
    labels = [str(cell[0]) for cell in components["category_labels"].ravel()]
    assert clips["label"].tolist() == labels
    assert all(audio_duration(path) == pytest.approx(2, abs=0.01) for path in clips["path"])
