"""Generated music repeats for a seed, and its genres are neither trivial nor chance."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stimuli import InputError
from stimuli.genres import BASS, CHORD_PATTERNS, CHORDS, DRUMS, GENRES, SCALES, STYLES
from stimuli.instruments import KITS, TIMBRES, drum, note
from stimuli.music import STEPS, render_track

RATE = 22050


def test_the_genres_are_those_of_gtzan():
    assert " ".join(GENRES) == "blues classical country disco hiphop jazz metal pop reggae rock"


def test_every_ingredient_of_every_style_exists():
    for style in STYLES.values():
        assert {timbre for timbre, _ in style.bass + style.chords + style.second} <= set(TIMBRES)
        assert {timbre for timbre, _ in style.lead} <= set(TIMBRES)
        assert {name for name, _ in style.drums} <= set(DRUMS)
        assert {kit for _, kit in style.drums} <= set(KITS)
        assert {pattern for _, pattern in style.bass} <= set(BASS)
        assert {pattern for _, pattern in style.chords + style.second} <= set(CHORD_PATTERNS)
        assert {scale for scale, _ in style.harmony} <= set(SCALES)
        assert {chord for _, bars in style.harmony for _, chord in bars} <= set(CHORDS)
        assert set(style.neighbours) < set(GENRES)
    patterns = [*BASS.values(), *CHORD_PATTERNS.values()]
    patterns += [stroke for drums in DRUMS.values() for stroke in drums.values()]
    assert {len(pattern) for pattern in patterns} == {STEPS}


@pytest.mark.parametrize("genre", GENRES)
def test_a_track_is_audio_at_a_usable_level(genre):
    x = render_track(genre, 3, 2.5)
    assert x.dtype == np.float32 and x.shape == (round(2.5 * RATE),)
    assert np.isfinite(x).all() and np.abs(x).max() < 1
    assert 0.03 < np.sqrt(np.mean(np.square(x))) < 0.2
    # Sounds throughout: no half second is silent.
    assert np.square(x).reshape(5, -1).mean(axis=1).min() > 1e-6


def test_a_seed_fixes_the_track_and_another_changes_it():
    np.testing.assert_array_equal(render_track("jazz", (4, 1), 1), render_track("jazz", (4, 1), 1))
    assert not np.array_equal(render_track("jazz", (4, 1), 1), render_track("jazz", (4, 2), 1))
    assert not np.array_equal(render_track("jazz", 4, 1), render_track("rock", 4, 1))


@pytest.mark.parametrize("name", ["piano", "clarinet", "sub_bass", "harpsichord"])
@pytest.mark.parametrize("hz", [82.4, 440.0])
def test_a_note_has_its_pitch(name, hz):
    x = note(hz, 1.0, TIMBRES[name], RATE, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 4 * RATE)) ** 2
    frequency = np.arange(len(power)) / 4
    near = np.abs(frequency / hz - np.maximum(np.round(frequency / hz), 1)) < 3 / hz
    assert power[near].sum() > 0.99 * power.sum()


def test_vibrato_moves_the_pitch_by_its_depth():
    x = note(440, 2.0, TIMBRES["violin"], RATE, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    band = (frequency > 380) & (frequency < 500)
    strong = frequency[band][spectrum[band] > 0.1 * spectrum[band].max()]
    cents = 1200 * np.log2(strong / 440)
    assert cents.max() == pytest.approx(28, abs=25) and cents.min() == pytest.approx(-28, abs=25)


def test_an_unknown_drum_or_genre_is_refused():
    with pytest.raises(ValueError, match="gong"):
        drum("gong", KITS["rock"], RATE, np.random.default_rng(0))
    with pytest.raises(InputError, match="no genre 'polka'"):
        render_track("polka", 0, 1)
    with pytest.raises(InputError, match="8000 Hz"):
        render_track("rock", 0, 1, sample_rate=8000)


def _mean_and_sd_of_log_bands(x):
    """Forty log-spaced bands from 50 Hz to 10 kHz over frames of 46 ms."""
    frames = x[: len(x) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.geomspace(50, 10000, 41) / (RATE / 1024)
    band = np.digitize(np.arange(power.shape[1]), edges)
    log = np.log10(np.stack([power[:, band == b].sum(axis=1) for b in np.unique(band)]) + 1e-6)
    return np.concatenate([log.mean(axis=1), log.std(axis=1)])


def test_an_ordinary_baseline_knows_most_held_out_tracks_but_not_all():
    features = np.array(
        [
            [_mean_and_sd_of_log_bands(render_track(genre, s, 4)) for s in range(13)]
            for genre in GENRES
        ]
    )
    train, test = features[:, :8].reshape(80, -1), features[:, 8:].reshape(50, -1)
    model = make_pipeline(StandardScaler(), SVC(C=10)).fit(train, np.repeat(GENRES, 8))
    assert 0.4 < model.score(test, np.repeat(GENRES, 5)) < 0.9
