"""The experiment's file names are read and written without loss."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli import InputError
from stimuli.clip_names import ClipName, format_clip_name, parse_clip_name

NAMES = st.builds(
    ClipName,
    st.sampled_from(["Training", "Test"]),
    st.integers(1, 120),
    st.integers(1, 120),
    st.builds(
        "{}.{:05d}".format, st.sampled_from(["blues", "hiphop", "reggae"]), st.integers(0, 99999)
    ),
    st.integers(1, 60),
)


def test_the_papers_example_is_understood():
    name = parse_clip_name("Test_run-06-40_reggae.00013_15s.wav")
    assert name == ClipName("Test", 6, 40, "reggae.00013", 15)


@settings(max_examples=50, deadline=None)
@given(NAMES)
def test_names_survive_a_round_trip(name):
    assert parse_clip_name(format_clip_name(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "reggae.00013.wav",
        "Test_run-06-40_reggae.00013_15s.mp3",
        "Test_run-00-40_reggae.00013_15s.wav",
        "Test_run-06-00_reggae.00013_15s.wav",
        "../Test_run-06-40_reggae.00013_15s.wav",
        "Test_run-06-40_../x.00013_15s.wav",
        "Test_run-06-40_reggae.00013_15s.wav\n",
    ],
)
def test_other_names_are_refused_with_an_example(name):
    with pytest.raises(InputError, match=r"expected for instance Test_run-06-40_reggae"):
        parse_clip_name(name)
