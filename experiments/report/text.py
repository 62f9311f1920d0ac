"""Sentences computed from the results: no claim is made that a number does not carry."""

from statistics import median

from experiments.report.players import RATE, SECONDS, Players
from experiments.report.records import Classifier, Retrieval, Search, StageTest, Subject
from experiments.report.recovery import Recovery, recoveries
from experiments.report.results import Results
from experiments.report.rsa_records import RSA
from experiments.report.wording import (
    counted,
    decimal,
    decimal_range,
    listed,
    percent,
    percent_range,
    whole,
)


def summary(results: Results) -> list[str]:
    """The page's first sentences.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of str, at most one for each test of stages and each way of testing classifiers, and one
    each for the sweeps, the comparisons, the planted truth, the models' order in the brain, the
    dissimilarities, the neighbours of each model, and the natural sounds
    """
    found = recoveries(results)
    sentences = [verdict(test) for test in results.stage_tests]
    sentences += [ranking(rows) for rows in by_test(results.classifiers).values()]
    if found:
        sentences.append(recovered(found))
    sentences += [f"{s.label}: {s.sentences[0]}" for s in results.sweeps if s.sentences]
    sentences += [f"{c.label}: {c.sentences[0]}" for c in results.comparisons]
    noise = {(row.subject, row.region) for row in found if row.planted.stage is None}
    sentences += leading_models(results.subjects, noise)
    sentences += [line for found in results.rsas for line in similarity(found)[:1]]
    sentences += [agreement(retrieval) for retrieval in results.retrievals]
    if results.benchmark:
        sentences += natural_sounds(results.benchmark.r2, results.benchmark.published)
    return sentences


def verdict(test: StageTest) -> str:
    """What the rule says of the order of a model's stages."""
    return f"{test.sentence[0].upper()}{test.sentence[1:]} (stages of {test.label})."


def by_test(classifiers: list[Classifier]) -> dict[str, list[Classifier]]:
    """Classifiers that were tested alike, the most accurate first."""
    groups: dict[str, list[Classifier]] = {}
    for c in sorted(classifiers, key=lambda c: (-c.clip_accuracy, c.label)):
        groups.setdefault(c.tested_on, []).append(c)
    return groups


def ranking(rows: list[Classifier]) -> str:
    """Which model classifies best, whether the next one's interval overlaps, and chance."""
    first, *others = rows
    how = f"{first.tested_on}, {counted(first.n_clips, 'clip')}"
    if not others:
        return (
            f"{first.label} classifies {_accuracy(first)} of the clips correctly ({how}); "
            f"{_chance(rows)}."
        )
    second = others[0]
    low, high = (
        max(first.interval[0], second.interval[0]),
        min(first.interval[1], second.interval[1]),
    )
    overlap = "their intervals overlap" if low <= high else "their intervals do not overlap"
    if first.clip_accuracy == second.clip_accuracy:
        order = f"{first.label} and {second.label} both classify {_accuracy(first)} correctly"
    else:
        order = (
            f"{first.label} classifies most clips correctly, {_accuracy(first)}; next is "
            f"{second.label} with {_accuracy(second)}, and {overlap}"
        )
    return f"Of {len(rows)} models ({how}), {order}; {_chance(rows)}."


def _accuracy(c: Classifier) -> str:
    return (
        f"{percent(c.clip_accuracy)} (95\N{NO-BREAK SPACE}% interval {percent_range(*c.interval)})"
    )


def _chance(rows: list[Classifier]) -> str:
    """Chance, or its range, and how many intervals lie above it."""
    above = sum(c.interval[0] > c.chance for c in rows)
    levels = " to ".join(dict.fromkeys(percent(f(c.chance for c in rows)) for f in (min, max)))
    where = (
        f"{above} of {len(rows)} intervals lie"
        if len(rows) > 1
        else ("the interval lies" if above else "the interval does not lie")
    )
    return f"chance is {levels}, and {where} above it"


def recovered(rows: list[Recovery]) -> str:
    """In how many regions the planted stage came back, and what was found in noise."""
    parts = []
    planted = [row for row in rows if row.planted.stage is not None]
    noise = [row for row in rows if row.planted.stage is None and row.agrees is not None]
    if planted:
        regions = list(dict.fromkeys(row.region for row in planted))
        whole = [r for r in regions if all(row.agrees for row in planted if row.region == r)]
        hits, subjects = sum(bool(row.agrees) for row in planted), {row.subject for row in planted}
        parts.append(
            f"the planted stage came out best in every subject in {len(whole)} of "
            f"{counted(len(regions), 'region')} with a signal ({hits} of "
            f"{counted(len(planted), 'case')}, {counted(len(subjects), 'subject')})"
        )
    if noise:
        false = sum(not row.agrees for row in noise)
        parts.append(
            f"a layer predicted responses (corrected p ≤ .05) in {false} of "
            f"{counted(len(noise), 'case')} of noise alone"
        )
    return f"The responses are simulated: {'; '.join(parts) or 'nothing could be compared'}."


def leading_models(subjects: list[Subject], noise: set[tuple[str, str]]) -> list[str]:
    """Which model predicts best in how many regions; noise alone is left out."""
    wins, clear, parts, cases = {}, 0, [], 0
    for subject in subjects:
        for region in subject.regions:
            fits = {
                model: subject.fits[best[region].layer, region]
                for model, best in subject.best_by_model.items()
                if region in best and subject.fits[best[region].layer, region].mean_r is not None
            }
            if (subject.label, region) in noise or len(fits) < 2:
                continue
            first, second, *_ = sorted(fits, key=lambda model: -fits[model].mean_r)
            wins[first] = wins.get(first, 0) + 1
            low, high = fits[first].low, fits[second].high
            clear += low is not None and high is not None and low > high
            if fits[first].r_normalised is not None:
                parts.append(fits[first].r_normalised)
            cases += 1
    if not cases:
        return []
    order = sorted(wins, key=lambda model: (-wins[model], model))
    found = listed(f"{model} in {wins[model]}" for model in order)
    ceiling = (
        f" The best layer reaches a median of {percent(median(parts))} of the ceiling."
        if parts
        else ""
    )
    return [
        f"Of {counted(cases, 'region-by-subject case')}, the best mean r belongs to {found}; in "
        f"{clear} its interval lies clear of the next model's.{ceiling}"
    ]


def similarity(found: RSA) -> list[str]:
    """Where any layer is similar beyond chance, which stage is best there, and how many are clear.

    Beyond chance is a p_max of .05 or less: the best of all layers counts as one look.
    """
    clear = [
        region
        for region in found.regions
        if any(_low(found.fits[layer, region].p_max) for layer in found.layers)
    ]
    regions = counted(len(found.regions), "region")
    first = (
        f"Dissimilarities of {counted(found.protocol['n_clips'], 'clip')} "
        f"({counted(len(found.subjects), 'subject')}, {found.label}) agree with those of a layer "
        f"beyond chance (p, best of all ≤ .05) in {len(clear)} of {regions}"
    )
    if not clear:
        return [f"{first}."]
    stages = "; ".join(
        f"{region} {layer} ({decimal(found.fits[layer, region].mean)})"
        for region in clear
        if (layer := found.best(region))
    )
    sentences = [f"{first}. The best stage there is: {stages}."]
    rows = [row for region in clear for row in found.differences.get(region, [])]
    if rows:
        differ = sum(_low(row["p_holm"]) for row in rows)
        sentences.append(
            f"Of {counted(len(rows), 'pair')} of layers in these regions, {differ} differ (Holm-"
            "corrected p ≤ .05)."
        )
    return sentences


def _low(p: float | None) -> bool:
    return p is not None and p <= 0.05


def natural_sounds(ours: dict[str, dict], published: dict[str, dict]) -> list[str]:
    """The best mean r2 of this run beside the best of the published models."""
    best = _top(ours)
    if best is None:
        return []
    text = f"On 165 natural sounds the best of this run is {best} in mean r²"
    other = _top(published)
    return [f"{text}; of the published models it is {other}." if other else f"{text}."]


def agreement(retrieval: Retrieval) -> str:
    """How well the neighbours of a model agree with labels, beside chance."""
    score = retrieval.total
    known = score.low is not None
    interval = (
        f"95\N{NO-BREAK SPACE}% interval {decimal_range(score.low, score.high)}; " if known else ""
    )
    return (
        f"Ranked by the embedding of {retrieval.label}, clips of a query's label come first with a "
        f"mean average precision of {decimal(score.precision)} ({interval}chance "
        f"{decimal(score.chance)}). Queries: {whole(score.n_queries)} ({retrieval.queries}), among "
        f"{counted(retrieval.n_candidates, 'clip')}."
    )


def searched(search: Search) -> str:
    """How a search was made, and in how many of its clips the label agrees."""
    compared = "by an approximate search" if search.approximate else "all compared"
    parts = [f"{counted(search.n_clips, 'clip')}, {compared}"]
    if search.labels:
        parts.append(f"only {listed(search.labels)}")
    parts.append(f"clips of the same group {'allowed' if search.same_group else 'left out'}")
    known = [s.same_label for s in search.found if s.same_label is not None]
    agree = f" {known.count(True)} of {len(known)} have the label asked for." if known else ""
    return f"Searched: {'; '.join(parts)}.{agree}"


def playable(players: Players) -> str:
    """How many sounds are on the page, their form and size, and how many are not."""
    megabytes = f"{players.n_bytes / 1e6:.1f}\N{NO-BREAK SPACE}MB"
    parts = [
        f"{counted(players.n, 'sound')} on this page ({megabytes}): the first {SECONDS} s, mono, "
        f"{RATE // 1000} kHz MP3, all at one level."
    ]
    if players.n_beyond:
        limit = f"{players.limit_bytes / 1e6:.0f}\N{NO-BREAK SPACE}MB"
        parts.append(
            f"{counted(players.n_beyond, 'sound')} more would exceed the limit of {limit}."
        )
    if players.missing:
        n_missing = counted(len(players.missing), "file")
        parts.append(f"{n_missing} could not be read, first {players.missing[0]}.")
    return " ".join(parts)


def _top(models: dict[str, dict]) -> str | None:
    known = {name: r2["mean"] for name, r2 in models.items() if r2.get("mean") is not None}
    if not known:
        return None
    name = max(known, key=known.get)
    return f"{name} with {decimal(known[name])}"
