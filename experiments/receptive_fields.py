"""Receptive fields of a model beside those of auditory cortex: measurement, table, file."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import nn

from cortexnet import probing
from cortexnet import receptive_fields as rf
from cortexnet.controls import fit_fixed_norms, random_weights
from cortexnet.registry import create_model
from cortexnet.runs import load_run
from cortexnet.tuning import Tuning, ripple_tuning, tone_tuning
from stimuli import InputError
from stimuli.genres import GENRES
from stimuli.music import render_track

# Human auditory cortex: median integration window (75 % of its mass) by distance from primary
# cortex, intracranial recordings of Norman-Haignere et al. 2022.
HUMAN_WINDOWS = (("0-10 mm", 74), ("10-20 mm", 136), ("20-30 mm", 274))


@dataclass(frozen=True)
class Goal:
    """What the networks are designed after: published ranges (None: no bound) and their sources."""

    window_ms: tuple[float, float]
    octaves: tuple[float, float | None]
    source: str
    rates_hz: tuple[float, float] | None = None


GOALS = {
    "A1": Goal((60, 100), (0, 1), "Chi 2005; Bendor & Wang 2008", (2, 64)),
    "belt": Goal((130, 200), (1, 2.5), "Rauschecker 1995; Santoro 2014"),
    "parabelt": Goal((270, 400), (3, None), "Kikuchi 2010; Norman-Haignere 2022"),
    "T2/T3": Goal((1000, 4000), (5, None), "our own choice: global, seconds"),
}


@dataclass(frozen=True)
class Fields:
    """Everything measured of one model, by area."""

    model: str
    trained: bool
    time: dict[str, rf.TimeWindow]
    frequency: dict[str, rf.Effect]
    tones: dict[str, Tuning]
    ripples: dict[str, Tuning]
    n_units: dict[str, int]
    n_bands: dict[str, int]


def load_model(source: str, seed: int = 0, options: dict | None = None) -> tuple[nn.Module, bool]:
    """A trained run, or a model with random weights and norms fitted on generated music.

    Parameters
    ----------
    source : str
        Folder of a run or name of a model.
    seed : int
        Of random weights and music.
    options : dict, optional
        Of a model that is not a run.

    Returns
    -------
    model : nn.Module, in evaluation mode
    trained : bool

    Raises
    ------
    InputError
        If it is neither a run nor a model, or a run is given options.
    """
    if (Path(source) / "card.json").exists():
        if options:
            raise InputError(f"{source}: a run has its options already; --option is for models")
        return load_run(Path(source)).model.eval(), True
    model = random_weights(lambda: create_model(source, n_classes=2, **options or {}), seed)
    fit_fixed_norms(model, (render_track(g, [seed, i], 3.0) for i, g in enumerate(GENRES)))
    return model.eval(), False


def measure(
    source: str,
    seed: int = 0,
    steps: bool = False,
    report=lambda line: None,
    options: dict | None = None,
) -> Fields:
    """Measure windows, bandwidths and tuning of every area of a model.

    Parameters
    ----------
    source : str
        Folder of a run or name of a model.
    seed : int
        Of weights (if untrained) and stimuli.
    steps : bool
        Also the earlier steps of recurrent areas.
    report : callable
        Given a line of text as work goes on.
    options : dict, optional
        Of a model that is not a run.
    """
    model, trained = load_model(source, seed, options)
    torch.manual_seed(seed)
    report(f"{source}: integration windows")
    time = rf.time_windows(model, steps=steps, seed=seed)
    report(f"{source}: bandwidths")
    frequency = rf.frequency_tuning(model, steps=steps, seed=seed)
    report(f"{source}: tones and ripples")
    tones, ripples = tone_tuning(model, steps=steps), ripple_tuning(model, steps=steps)
    sample = torch.from_numpy(
        probing.octave_noise(1, 2.0, model.sample_rate, np.random.default_rng(0))
    )
    with torch.inference_mode():
        n_units = {k: x.shape[2] for k, x in probing.areas_of(model, sample, steps)[0].items()}
    n_bands = probing.band_counts(model, sample, steps)
    name = Path(source).name if trained else source
    return Fields(name, trained, time, frequency, tones, ripples, n_units, n_bands)


def goal_of(area: str) -> Goal | None:
    """Goal of an area or stream (``belt``, ``belt_caudal``, ``belt@2``), None for other layers."""
    fitting = [name for name in GOALS if area.partition("@")[0].startswith(name)]
    return GOALS[fitting[0]] if fitting else None


def summary(fields: Fields) -> dict:
    """Result as JSON: ``{model, trained, areas: [...], goals, human_windows_ms, protocol}``.

    Widths are ``[median, lower quartile, upper quartile]`` over units.
    """
    return {
        "model": fields.model,
        "trained": fields.trained,
        "areas": [_row(fields, area) for area in fields.time],
        "goals": {
            name: {key: value for key, value in asdict(goal).items() if value is not None}
            for name, goal in GOALS.items()
        },
        "human_windows_ms": dict(HUMAN_WINDOWS),
        "protocol": {
            "window": "shortest time that holds 75 / 95 % of the mean absolute change of a unit "
            "when 20 ms of noise are replaced by another noise",
            "bandwidth": "shortest stretch of log frequency that holds 75 / 95 % of the change "
            f"when a sixth of an octave of noise is raised by {probing.RAISE:g} dB",
            "limit": f"oldest replaced moment that changes any unit by {rf.TOLERANCE:g} of its SD",
            "units": f"at most {probing.MAX_UNITS} of an area, drawn at random",
            "untrained": "random weights; fixed normalisations fitted on generated music",
        },
    }


def _row(fields: Fields, area: str) -> dict:
    time, frequency = fields.time[area], fields.frequency[area]
    spread = rf.median_and_quartiles
    best = np.array(fields.tones[area].characteristic())
    preferred = fields.ripples[area].best()
    return {
        "area": area,
        "n_units": fields.n_units[area],
        "silent": float(time.silent.mean()),
        "window_ms": {str(q): spread(1000 * time.width(q / 100)) for q in (75, 95)},
        "delay_ms": spread(1000 * time.median()),
        "limit_ms": 1000 * time.reach,
        "contained": bool(time.contained),
        "lead_ms": 1000 * time.lead,
        "octaves": {str(q): spread(frequency.width(q / 100)) for q in (75, 95)},
        "best_frequency_hz": spread(best),
        "tonotopy": _tonotopy(fields, area),
        "best_rate_hz": spread([rate for rate, _, _ in preferred]),
        "best_scale_cyc_per_oct": spread([scale for _, scale, _ in preferred]),
    }


def positions(fields: Fields, area: str) -> tuple[np.ndarray, np.ndarray]:
    """Place on the area's frequency axis and best frequency (Hz) of its units that answer."""
    tones = fields.tones[area]
    return tones.units[~tones.silent] % fields.n_bands[area], np.array(tones.characteristic())


def _tonotopy(fields: Fields, area: str) -> float | None:
    """Rank correlation of place and best frequency; None without places or variation."""
    if area not in fields.n_bands:
        return None
    place, best = positions(fields, area)
    if len(set(place)) < 2 or len(set(best)) < 2:
        return None
    return float(scipy.stats.spearmanr(place, best)[0])


def table_rows(result: dict) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and cells of the table that people read, from `summary`."""
    header = ("area", "units", "window 75 % (quartiles)", "95 %", "goal", "delay", "limit", "lead",
              "octaves 75 % (quartiles)", "95 %", "goal", "tonotopy")  # fmt: skip
    rows = []
    for row in result["areas"]:
        goal = goal_of(row["area"])
        window, octaves = row["window_ms"], row["octaves"]
        rows.append((
            row["area"],
            f"{row['n_units']:,}",
            _spread(window["75"], ".0f", " ms"),
            _middle(window["95"], ".0f", " ms"),
            "" if goal is None else f"{goal.window_ms[0]:g}-{goal.window_ms[1]:g} ms",
            _middle(row["delay_ms"], ".0f", " ms"),
            f"{'' if row['contained'] else '> '}{row['limit_ms']:.0f} ms",
            f"{row['lead_ms']:.0f} ms",
            _spread(octaves["75"], ".1f", ""),
            _middle(octaves["95"], ".1f", ""),
            "" if goal is None else octaves_goal(goal),
            "" if row["tonotopy"] is None else f"{row['tonotopy']:.2f}",
        ))  # fmt: skip
    return header, rows


def octaves_goal(goal: Goal) -> str:
    """Goal of the bandwidth in words."""
    low, high = goal.octaves
    if high is None:
        return f">= {low:g}"
    return f"<= {high:g}" if low == 0 else f"{low:g}-{high:g}"


def _middle(values: list[float] | None, form: str, unit: str) -> str:
    return "-" if values is None else f"{values[0]:{form}}{unit}"


def _spread(values: list[float] | None, form: str, unit: str) -> str:
    if values is None:
        return "-"
    return f"{values[0]:{form}}{unit} ({values[1]:{form}}-{values[2]:{form}})"
