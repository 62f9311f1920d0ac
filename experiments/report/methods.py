"""Methods as sentences to paste, made from what the results and their provenance say."""

from experiments.report import notes
from experiments.report.records import (
    Benchmark,
    Classifier,
    Comparison,
    StageTest,
    Subject,
    split_layer,
)
from experiments.report.results import Results
from experiments.report.rsa_records import MIXTURE, RSA
from experiments.report.wording import counted, listed, plain, whole

# Front-end or fixed layers that a model's name tells of, the longer names first.
FRONT_ENDS = (
    ("joint_scattering", "joint time-frequency scattering [anden2019]"),
    ("scattering", "time scattering [anden2014]"),
    ("modulation", "spectrotemporal modulation energies [chi2005]"),
    ("cortexnet", "spectrotemporal fields on a cochleagram [chi2005]"),
)
COVARIANCES = {
    "diagonal": "their covariance, shrunk to its diagonal [schaefer2005]",
    "identity": "their covariance, shrunk to the identity [ledoit2004]",
    "variances": "their variances",
}
COMPARED = {
    "rho-a": "Spearman's rho with ties broken at random [schuett2023]",
    "spearman": "Spearman's rho",
    "kendall": "Kendall's tau-a",
    "cosine": "the cosine",
    "corr": "Pearson's r",
    "whitened-cosine": "the whitened cosine [diedrichsen2021]",
}
WITHIN = {
    "drop": "Pairs of clips of one run were left out.",
    "partial": "The dissimilarity of runs was taken out of all dissimilarities by least squares.",
    "keep": "Pairs within and between runs were kept.",
}


def methods(results: Results) -> dict[str, list[str]]:
    """What was done, as {heading: sentences}, with ``[keys]`` of sources; only what is known.

    Parameters
    ----------
    results : Results
    """
    found = {
        "Models": models(results.classifiers),
        "Classification": classification(results.classifiers, results.comparisons),
        "Encoding": encoding(results.subjects),
        "Dissimilarities": [line for rsa in results.rsas for line in dissimilarities(rsa)],
        "Stages and regions": stages(results.stage_tests),
        "Natural sounds": sounds(results.benchmark) if results.benchmark else [],
        "Software": software(results.provenance),
    }
    return {heading: sentences for heading, sentences in found.items() if sentences}


def models(classifiers: list[Classifier]) -> list[str]:
    """Front-ends and recipes; models made alike in one sentence."""
    groups: dict[str, list[str]] = {}
    for c in classifiers:
        groups.setdefault(_recipe(c), []).append(c.model)
    sentences = []
    for text, names in groups.items():
        names = list(dict.fromkeys(names))
        if text:
            sentences.append(f"{listed(names)} {'was' if len(names) == 1 else 'were'} {text}.")
    names = list(dict.fromkeys(c.model for c in classifiers))
    for start, what in FRONT_ENDS:
        own = [n for n in names if n.startswith(start)]
        names = [n for n in names if n not in own]
        if own:
            sentences.append(f"{listed(own)} {'starts' if len(own) == 1 else 'start'} from {what}.")
    return sentences


def _recipe(c: Classifier) -> str:
    recipe = c.recipe
    if not recipe:
        return ""
    parts = []
    if recipe.get("epochs"):
        parts.append(f"trained for at most {counted(recipe['epochs'], 'epoch')}")
    if recipe.get("optimizer"):
        rate = recipe.get("learning_rate")
        parts.append(f"with {recipe['optimizer']}" + (f" (learning rate {rate:g})" if rate else ""))
    for key, words in (
        ("schedule", "a {} schedule"),
        ("batch_size", "batches of {} segments"),
        ("segment", "segments of {} samples"),
        ("label_smoothing", "label smoothing of {}"),
        ("mixup", "mixup of parameter {}"),
        ("seed", "seed {}"),
    ):
        if recipe.get(key) not in (None, 0, 0.0, False) or (key == "seed" and key in recipe):
            value = str(recipe[key]).replace("_", "-")
            parts.append(words.format(value))
    parts += [
        words
        for key, words in (
            ("balanced", "losses weighed inversely to the frequency of classes"),
            ("augment", "random augmented copies of clips"),
            ("spec_augment", "masked bands and frames"),
        )
        if recipe.get(key)
    ]
    text = ", ".join(parts)
    if text and c.best_epoch is not None:
        text += "; the weights of the epoch with the lowest validation loss were kept"
    return text


def classification(classifiers: list[Classifier], comparisons: list[Comparison]) -> list[str]:
    """Which clips were held out, and how accuracies are bounded and compared."""
    sentences = []
    for tested_on, n, n_classes in dict.fromkeys(
        (c.tested_on, c.n_clips, len(c.labels)) for c in classifiers
    ):
        sentences.append(
            f"Accuracy was measured on {counted(n, 'clip')} of "
            f"{counted(n_classes, 'class', 'classes')} ({tested_on})."
        )
    if classifiers:
        sentences.append(
            "A clip's class is that of the highest mean probability over its segments; intervals "
            "are 95 % Wilson intervals over clips [wilson1927]."
        )
    if len({c.model for c in classifiers}) > 1:
        sentences.append("Models were compared on the same clips by an exact test [mcnemar1947].")
    for c in comparisons:
        sentences.append(
            f"{listed(c.names)} were compared on the same {counted(c.n_clips, 'clip')} of "
            f"{counted(c.n_tracks, 'track')}: exact test of pairs [mcnemar1947], corrected over "
            "pairs [holm1979], intervals by drawing tracks."
        )
    return sentences


def encoding(subjects: list[Subject]) -> list[str]:
    """Delays, ridge, folds, ceilings, permutations and resamples."""
    if not subjects:
        return []
    sentences = notes.protocol(subjects)
    sentences.append(
        "The penalty of the ridge regression [hoerl1970] was chosen for each target on training "
        "data alone, leaving out whole runs or sessions in turn."
    )
    if any(s.ceiling(region) is not None for s in subjects for region in s.regions):
        sentences.append(
            "Ceilings of r follow from the signal power of repeated clips "
            "[sahani2003; schoppe2016]."
        )
    if any(s.protocol.get("n_permutations") for s in subjects):
        sentences.append("No p can be zero: (b + 1) / (m + 1) [phipson2010].")
    if any(s.protocol.get("n_resamples") for s in subjects):
        sentences.append("Clips are the blocks of the bootstrap [kuensch1989].")
    return sentences


def dissimilarities(found: RSA) -> list[str]:
    """Distances, their normalisation, comparisons, ceilings and tests."""
    facts = found.protocol
    source = " [walther2016]" if facts["distance"] == "crossnobis" else ""
    sentences = [
        f"Dissimilarities of {counted(facts['n_clips'], 'clip')} were {facts['distance']} distances"
        f"{source} of response patterns ({counted(facts['n_repeats'], 'presentation')} of each "
        f"clip, {counted(len(found.subjects), 'subject')}) and {facts['model_distance']} distances "
        "of the mean activity of each layer over a clip."
    ]
    if facts["noise"] in COVARIANCES:
        sentences.append(
            f"Patterns were normalised by the noise between repeats: {COVARIANCES[facts['noise']]}."
        )
    if facts["within_runs"] in WITHIN:
        sentences.append(WITHIN[facts["within_runs"]])
    sentences.append(f"Compared were {counted(facts['n_pairs'], 'pair')} of clips.")
    names = listed([COMPARED.get(m, m) for m in (found.method, *found.measures)])
    sentences.append(f"Similarity was measured by {names}.")
    if any(split_layer(layer)[1] == MIXTURE for layer in found.layers):
        sentences.append(
            "A non-negative mixture of each model's layers was fitted to pairs that share no clip "
            "with those it was tested on."
        )
    if found.ceilings:
        sentences.append(
            "Noise ceilings are the mean similarity of subjects to the pool of the others (lower) "
            "and of all (upper) [nili2014]."
        )
    drawn = "subjects and clips" if len(found.subjects) > 1 else "clips"
    sentences.append(
        f"Intervals and differences of layers come from {whole(facts['n_resamples'])} bootstrap "
        f"resamples of {drawn} [schuett2023], values of p from {whole(facts['n_permutations'])} "
        "permutations of clips [phipson2010], alone and against the best of all layers; "
        "differences are corrected within each region [holm1979]."
    )
    if found.rdms is not None:
        sentences.append("Planes are by metric multidimensional scaling [borg2005].")
    return sentences


def stages(tests: list[StageTest]) -> list[str]:
    """The rule, its controls, and the null of the rank correlation."""
    sentences = []
    for test in tests:
        controls = listed(dict.fromkeys(test.controls.values())) if test.controls else "none"
        sentences.append(
            f"Stages of {test.label}, from shallow to deep, were {listed(test.stages)}; networks "
            f"and features that could refute their order: {controls}."
        )
        axes = listed(dict.fromkeys(one.axis for one in test.subjects.values()))
        sentences.append(
            f"The soft preference was correlated by ranks with the {axes}, one-sided against maps "
            "as smooth by Moran spectral randomisation [wagner2015]."
        )
    if tests:
        sentences.append(
            "A hierarchy is supported if the interaction of the trained model, (deep − shallow "
            "stages) × (non-primary − primary regions) in units of the mean r of each group, "
            "exceeds that of every control, as observed and in 95 % of shared resamples of whole "
            "clips within runs, in at least four fifths of the subjects."
        )
    return sentences


def sounds(bench: Benchmark) -> list[str]:
    """The protocol of the 165 sounds."""
    sentences = [
        "Six components of responses to 165 natural sounds [norman2015] were predicted after a "
        "published protocol [tuckute2023]."
    ]
    facts = [f"{name.replace('_', ' ')}: {plain(value)}" for name, value in bench.protocol.items()]
    if facts:
        sentences.append(f"Protocol: {'; '.join(facts)}.")
    if any("banded" in r2 for r2 in bench.r2.values()):
        sentences.append("All stages together have a weight each: banded ridge [nunez2019].")
    return sentences


def software(provenance: list[tuple[str, dict]]) -> list[str]:
    """Versions, machine and seeds, those of several folders once."""
    versions = {}
    for _, value in provenance:
        for name, version in (value.get("versions") or {}).items():
            if version is not None:
                versions.setdefault(name, []).append(version)
    if not versions:
        return []
    names = [f"{name} {' and '.join(dict.fromkeys(v))}" for name, v in versions.items()]
    sentences = [f"Computed with {listed(names)}."]
    seeds = [value.get("seed", (value.get("config") or {}).get("seed")) for _, value in provenance]
    seeds = list(dict.fromkeys(str(seed) for seed in seeds if seed is not None))
    if seeds:
        sentences.append(f"Random numbers start from seed {listed(seeds)}.")
    return sentences
