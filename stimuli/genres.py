"""Ten styles of generated music, as data: what each genre draws its tracks from.

Time is written on a grid of sixteen steps a bar. In drum patterns `X`, `x`, `o` are strokes from
loud to soft. In chord patterns `x` strikes the chord, `a` plays its next tone, `-` holds. In bass
patterns `r`, `3`, `5`, `6`, `8` are scale steps above the root, `w` walks. A progression lists
chords of one bar each as (semitones above the key, quality).
"""

from dataclasses import dataclass

CHORDS = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "min9": (0, 3, 10, 14),
    "9": (0, 4, 10, 14),
    "5": (0, 7, 12),
}

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

DRUMS = {
    "none": {},
    "timpani": {"tom": "X...........o.o."},
    "shuffle": {
        "ride": "X.x.X.x.X.x.X.x.",
        "kick": "X.......X.....o.",
        "snare": "....X.......X...",
    },
    "rock": {"hat": "X.x.X.x.X.x.X.x.", "kick": "X.....x.X.......", "snare": "....X.......X..."},
    "rock_drive": {
        "open": "X.x.X.x.X.x.X.x.",
        "kick": "X...x...X.x.x...",
        "snare": "....X.......X...",
    },
    "half_time": {
        "ride": "X...x...X...x...",
        "kick": "X.....x...x.....",
        "snare": "........X.......",
    },
    "disco": {
        "kick": "X...X...X...X...",
        "open": "..x...x...x...x.",
        "snare": "....X.......X...",
        "hat": "x.oxx.oxx.oxx.ox",
    },
    "house": {"kick": "X...X...X...X...", "clap": "....X.......X...", "open": "..x...x...x...x."},
    "pop": {"hat": "x.x.x.x.x.x.x.x.", "kick": "X.....x...X.....", "clap": "....X.......X..."},
    "ballad": {"hat": "x...x...x...x...", "kick": "X.........x.....", "rim": "....x.......x..."},
    "boom_bap": {
        "hat": "x.x.x.xox.x.x.xo",
        "kick": "X..x....x.X.....",
        "snare": "....X.......X..o",
    },
    "trap": {"hat": "xoxoxoxoxxxoxoxx", "kick": "X......x..x.....", "clap": "........X......."},
    "swing": {"ride": "X...X.x.X...X.x.", "hat": "....x.......x...", "kick": "o...o...o...o..."},
    "brushes": {
        "shaker": "x.o.x.o.x.o.x.o.",
        "kick": "o.......o.......",
        "rim": "......o.....o...",
    },
    "one_drop": {"hat": "x.x.x.x.x.x.x.x.", "kick": "........X.......", "rim": "........X.....o."},
    "steppers": {"kick": "X...X...X...X...", "rim": "........X.......", "hat": "..x...x...x..ox."},
    "train": {"snare": "o.oxX.oxo.oxX.ox", "kick": "X...x...X...x..."},
    "two_step": {
        "hat": "..x...x...x...x.",
        "kick": "X.......X.......",
        "snare": "....x.......x...",
    },
    "double_kick": {
        "kick": "XxXxXxXxXxXxXxXx",
        "snare": "....X.......X...",
        "crash": "X...............",
        "open": "X...x...X...x...",
    },
    "thrash": {"kick": "X.x.X.x.X.x.X.x.", "snare": "..X...X...X...X.", "ride": "X...X...X...X..."},
}

BASS = {
    "none": "................",
    "eighths": "r-r-r-r-r-r-r-r-",
    "long": "r---------------",
    "halves": "r-------5-------",
    "root_fifth": "r-----..5-----..",
    "boogie": "r-r-3-3-5-5-6-6-",
    "walk": "w---w---w---w---",
    "octaves": "r-8-r-8-r-8-r-8-",
    "dub": "r---..r-5-....8-",
    "funk": "r-.r..8-..r-.5-.",
    "sub": "r-------..r-----",
    "sixteenths": "rrrrrrrrrrrrrrrr",
    "push": "r-----r-r-----5-",
}

CHORD_PATTERNS = {
    "none": "................",
    "sustain": "x---------------",
    "halves": "x-------x-------",
    "quarters": "x--.x--.x--.x--.",
    "strum": "x---x-x-..x-x-x-",
    "country_strum": "..x-..x-..x-..x-",
    "shuffle": "x-.xx-.xx-.xx-.x",
    "skank": "..x...x...x...x.",
    "double_skank": "..xx..xx..xx..xx",
    "stabs": "....x-......x-..",
    "charleston": "x-....x-........",
    "offbeats": "..x-..x-..x-..x-",
    "scratch": "x.xx.xx.x.xx.xx.",
    "arpeggio": "a-a-a-a-a-a-a-a-",
    "alberti": "aaaaaaaaaaaaaaaa",
    "chug": "x-xxx-xxx-xxx-xx",
    "gallop": "x.xxx.xxx.xxx.xx",
    "eighths": "x-x-x-x-x-x-x-x-",
    "loop": "a-..a-..a-a-....",
}


@dataclass(frozen=True)
class Style:
    """What a genre draws from; each tuple is a set of equally likely choices.

    Parameters
    ----------
    tempo : (low, high)
        Beats per minute.
    swing : (low, high)
        Where in a pair the second step falls: 0.5 even, 0.67 triplets.
    swung_steps : {1, 2}
        1 swings sixteenths, 2 eighths.
    drums : tuple of (pattern, kit)
    bass, chords, second : tuple of (timbre, pattern)
        `second` is another chord part.
    lead : tuple of (timbre, density)
        Share of the eighths (of the sixteenths for "rap") on which a melody note starts.
    harmony : tuple of (scale, progression)
    levels_db : (drums, bass, chords, lead)
        Balance of the parts, in dB relative to each other.
    drive : (low, high)
        Distortion of the chord part; 0 is clean.
    treble_db, bandwidth_hz, reverb, hiss_db : (low, high)
        Mix of the track; reverberation and hiss relative to the music.
    swell_db : (low, high)
        Slow changes of loudness.
    lead_presence : float
        Share of the tracks with a lead.
    neighbours : tuple of str
        Genres to borrow from.
    """

    tempo: tuple[float, float]
    drums: tuple[tuple[str, str], ...]
    bass: tuple[tuple[str, str], ...]
    chords: tuple[tuple[str, str], ...]
    second: tuple[tuple[str, str], ...]
    lead: tuple[tuple[str, float], ...]
    harmony: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
    neighbours: tuple[str, ...]
    swing: tuple[float, float] = (0.5, 0.5)
    swung_steps: int = 2
    levels_db: tuple[float, float, float, float] = (-3.0, -3.0, -3.0, -1.0)
    drive: tuple[float, float] = (0.0, 0.0)
    treble_db: tuple[float, float] = (-4.0, 4.0)
    bandwidth_hz: tuple[float, float] = (7000.0, 10500.0)
    reverb: tuple[float, float] = (0.05, 0.3)
    hiss_db: tuple[float, float] = (-46.0, -26.0)
    swell_db: tuple[float, float] = (0.0, 2.0)
    lead_presence: float = 0.8


def _bars(text):
    """Chords written as `0:maj 5:7`."""
    return tuple((int(bar.split(":")[0]), bar.split(":")[1]) for bar in text.split())


_TWELVE_BARS = _bars("0:7 5:7 0:7 0:7 5:7 5:7 0:7 0:7 7:7 5:7 0:7 7:7")
_ONE_FIVE_SIX_FOUR = _bars("0:maj 7:maj 9:min 5:maj")
_SIX_FOUR_ONE_FIVE = _bars("9:min 5:maj 0:maj 7:maj")
_ONE_FOUR_FIVE = _bars("0:maj 0:maj 5:maj 5:maj 0:maj 7:maj 0:maj 0:maj")
_TWO_FIVE_ONE = _bars("2:min7 7:9 0:maj7 9:min7")

STYLES = {
    "blues": Style(
        tempo=(62, 128),
        swing=(0.58, 0.67),
        drums=(("shuffle", "vintage"), ("two_step", "vintage"), ("rock", "rock"), ("none", "rock")),
        bass=(("bass", "boogie"), ("upright_bass", "walk"), ("bass", "push"), ("bass", "none")),
        chords=(
            ("electric_guitar", "shuffle"),
            ("guitar", "shuffle"),
            ("piano", "quarters"),
            ("guitar", "arpeggio"),
        ),
        second=(("organ", "sustain"), ("piano", "charleston"), ("organ", "none")),
        lead=(("harmonica", 0.35), ("electric_guitar", 0.5), ("voice", 0.4)),
        harmony=(("blues", _TWELVE_BARS), ("blues", _bars("0:7 0:7 5:7 0:7 7:7 0:7"))),
        drive=(0.0, 2.5),
        levels_db=(-5, -5, -2, 1),
        treble_db=(-4, 1),
        hiss_db=(-30, -22),
        bandwidth_hz=(5000, 7500),
        neighbours=("rock", "country", "jazz"),
    ),
    "classical": Style(
        tempo=(52, 140),
        drums=(("none", "rock"), ("none", "rock"), ("none", "rock"), ("timpani", "rock")),
        bass=(("cello", "halves"), ("cello", "long"), ("cello", "none"), ("piano", "halves")),
        chords=(
            ("piano", "alberti"),
            ("piano", "arpeggio"),
            ("strings", "sustain"),
            ("harpsichord", "arpeggio"),
            ("guitar", "arpeggio"),
        ),
        second=(("strings", "sustain"), ("strings", "halves"), ("brass", "none")),
        lead=(("violin", 0.5), ("flute", 0.45), ("clarinet", 0.4), ("piano", 0.6)),
        harmony=(
            ("major", _bars("0:maj 5:maj 7:7 0:maj 9:min 2:min 7:7 0:maj")),
            ("minor", _bars("0:min 5:min 7:7 0:min 8:maj 3:maj 7:7 0:min")),
        ),
        reverb=(0.2, 0.6),
        swell_db=(2, 8),
        levels_db=(-9, -5, -1, 0),
        treble_db=(-10, -3),
        hiss_db=(-40, -30),
        bandwidth_hz=(6500, 9500),
        neighbours=("jazz", "country"),
    ),
    "country": Style(
        tempo=(84, 152),
        swing=(0.5, 0.58),
        drums=(
            ("train", "brushes"),
            ("two_step", "brushes"),
            ("two_step", "rock"),
            ("rock", "rock"),
        ),
        bass=(("bass", "root_fifth"), ("upright_bass", "root_fifth"), ("bass", "halves")),
        chords=(("guitar", "country_strum"), ("guitar", "strum"), ("banjo", "alberti")),
        second=(("strings", "sustain"), ("banjo", "arpeggio"), ("piano", "none")),
        lead=(("voice", 0.45), ("violin", 0.5), ("electric_guitar", 0.5)),
        harmony=(("pentatonic", _ONE_FOUR_FIVE), ("major", _bars("0:maj 5:maj 0:maj 7:maj"))),
        levels_db=(-6, -6, 0, 0),
        treble_db=(1, 5),
        hiss_db=(-40, -32),
        bandwidth_hz=(7500, 10000),
        neighbours=("rock", "blues", "pop"),
    ),
    "disco": Style(
        tempo=(106, 132),
        drums=(("disco", "rock"), ("disco", "electronic"), ("house", "rock")),
        bass=(("picked_bass", "octaves"), ("synth_bass", "octaves"), ("picked_bass", "funk")),
        chords=(("muted_guitar", "scratch"), ("epiano", "offbeats"), ("muted_guitar", "offbeats")),
        second=(("strings", "sustain"), ("brass", "stabs"), ("strings", "halves")),
        lead=(("voice", 0.4), ("strings", 0.3), ("brass", 0.3)),
        harmony=(
            ("minor", _bars("0:min7 5:9 0:min7 10:maj")),
            ("dorian", _bars("0:min7 0:min7 5:7 5:7")),
            ("major", _ONE_FIVE_SIX_FOUR),
        ),
        levels_db=(0, -3, -3, -3),
        treble_db=(3, 7),
        hiss_db=(-38, -30),
        bandwidth_hz=(8500, 10500),
        neighbours=("pop", "hiphop", "rock"),
    ),
    "hiphop": Style(
        tempo=(80, 108),
        swing=(0.5, 0.62),
        swung_steps=1,
        drums=(("boom_bap", "electronic"), ("boom_bap", "vintage"), ("trap", "electronic")),
        bass=(("sub_bass", "sub"), ("sub_bass", "funk"), ("bass", "dub"), ("sub_bass", "long")),
        chords=(("epiano", "loop"), ("piano", "loop"), ("synth", "stabs"), ("guitar", "loop")),
        second=(("pad", "sustain"), ("strings", "none"), ("brass", "none")),
        lead=(("rap", 0.7), ("rap", 0.55), ("rap", 0.8), ("voice", 0.3)),
        harmony=(
            ("minor", _bars("0:min7 8:maj7")),
            ("minor", _bars("0:min 0:min 5:min 7:min")),
            ("dorian", _bars("0:min9 5:9")),
        ),
        reverb=(0.0, 0.15),
        lead_presence=0.95,
        levels_db=(0, 1, -9, -1),
        treble_db=(-2, 2),
        hiss_db=(-34, -26),
        bandwidth_hz=(7000, 10000),
        neighbours=("pop", "reggae", "disco"),
    ),
    "jazz": Style(
        tempo=(72, 215),
        swing=(0.58, 0.68),
        drums=(
            ("swing", "brushes"),
            ("swing", "vintage"),
            ("brushes", "brushes"),
            ("none", "rock"),
        ),
        bass=(("upright_bass", "walk"), ("upright_bass", "walk"), ("upright_bass", "halves")),
        chords=(("piano", "charleston"), ("piano", "stabs"), ("guitar", "quarters")),
        second=(("brass", "stabs"), ("organ", "none"), ("piano", "none")),
        lead=(("sax", 0.6), ("brass", 0.5), ("piano", 0.65), ("clarinet", 0.5)),
        harmony=(
            ("major", _TWO_FIVE_ONE),
            ("dorian", _bars("0:min9 0:min9 5:9 5:9")),
            ("blues", _TWELVE_BARS),
        ),
        levels_db=(-6, -2, -4, -1),
        treble_db=(-7, -2),
        hiss_db=(-34, -26),
        bandwidth_hz=(5500, 8000),
        neighbours=("blues", "classical"),
    ),
    "metal": Style(
        tempo=(96, 190),
        drums=(
            ("double_kick", "rock"),
            ("thrash", "rock"),
            ("rock_drive", "rock"),
            ("half_time", "rock"),
        ),
        bass=(("picked_bass", "eighths"), ("picked_bass", "sixteenths")),
        chords=(("power_guitar", "chug"), ("power_guitar", "gallop"), ("power_guitar", "eighths")),
        second=(("power_guitar", "halves"), ("power_guitar", "none"), ("pad", "none")),
        lead=(("power_guitar", 0.8), ("voice", 0.5), ("rap", 0.4)),
        harmony=(
            ("phrygian", _bars("0:5 0:5 1:5 0:5")),
            ("minor", _bars("0:5 8:5 10:5 0:5")),
            ("minor", _bars("0:5 3:5 0:5 10:5")),
        ),
        drive=(6, 20),
        reverb=(0.0, 0.2),
        lead_presence=0.6,
        levels_db=(-2, -6, 3, -5),
        treble_db=(1, 5),
        hiss_db=(-42, -36),
        bandwidth_hz=(8000, 10500),
        neighbours=("rock",),
    ),
    "pop": Style(
        tempo=(86, 130),
        drums=(
            ("pop", "electronic"),
            ("house", "electronic"),
            ("ballad", "rock"),
            ("rock", "rock"),
        ),
        bass=(("synth_bass", "eighths"), ("bass", "push"), ("synth_bass", "long")),
        chords=(
            ("piano", "quarters"),
            ("synth", "offbeats"),
            ("guitar", "strum"),
            ("square", "arpeggio"),
        ),
        second=(("pad", "sustain"), ("strings", "sustain"), ("synth", "arpeggio")),
        lead=(("voice", 0.5), ("voice", 0.4), ("synth", 0.4)),
        harmony=(("major", _ONE_FIVE_SIX_FOUR), ("major", _SIX_FOUR_ONE_FIVE)),
        lead_presence=0.95,
        levels_db=(-3, -4, -3, 2),
        treble_db=(2, 6),
        hiss_db=(-46, -40),
        bandwidth_hz=(9000, 10500),
        neighbours=("disco", "rock", "hiphop"),
    ),
    "reggae": Style(
        tempo=(66, 96),
        swing=(0.5, 0.62),
        swung_steps=1,
        drums=(("one_drop", "vintage"), ("one_drop", "rock"), ("steppers", "rock")),
        bass=(("bass", "dub"), ("sub_bass", "dub"), ("bass", "push")),
        chords=(("muted_guitar", "skank"), ("organ", "skank"), ("muted_guitar", "double_skank")),
        second=(("organ", "skank"), ("piano", "skank"), ("brass", "none")),
        lead=(("voice", 0.4), ("brass", 0.3), ("voice", 0.5)),
        harmony=(
            ("major", _bars("0:maj 5:maj")),
            ("minor", _bars("0:min 10:maj")),
            ("major", _bars("0:maj 2:min 5:maj 0:maj")),
        ),
        reverb=(0.1, 0.45),
        levels_db=(-4, 3, -4, -4),
        treble_db=(-7, -2),
        hiss_db=(-36, -28),
        bandwidth_hz=(5500, 8000),
        neighbours=("hiphop", "pop"),
    ),
    "rock": Style(
        tempo=(96, 156),
        drums=(
            ("rock", "rock"),
            ("rock_drive", "rock"),
            ("half_time", "rock"),
            ("rock", "vintage"),
        ),
        bass=(("picked_bass", "eighths"), ("bass", "push"), ("bass", "eighths")),
        chords=(
            ("power_guitar", "strum"),
            ("power_guitar", "eighths"),
            ("electric_guitar", "strum"),
            ("electric_guitar", "arpeggio"),
        ),
        second=(("organ", "sustain"), ("electric_guitar", "arpeggio"), ("piano", "none")),
        lead=(("voice", 0.45), ("electric_guitar", 0.5), ("power_guitar", 0.5)),
        harmony=(
            ("pentatonic", _bars("0:5 10:5 5:5 0:5")),
            ("major", _ONE_FIVE_SIX_FOUR),
            ("blues", _bars("0:5 0:5 5:5 7:5")),
        ),
        drive=(1, 9),
        levels_db=(-1, -5, 0, -2),
        treble_db=(-1, 3),
        hiss_db=(-40, -32),
        bandwidth_hz=(7500, 10000),
        neighbours=("metal", "country", "blues", "pop"),
    ),
}

GENRES = tuple(STYLES)
