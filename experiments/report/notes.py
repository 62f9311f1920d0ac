"""What a reader must know to read the numbers: the protocol, and what they do not say."""

from experiments.report.records import Subject
from experiments.report.results import Results
from experiments.report.wording import counted, listed, plain, whole


def protocol(subjects: list[Subject]) -> list[str]:
    """How responses were predicted, from what the results say; subjects done alike together."""
    groups: dict[str, list[str]] = {}
    for subject in subjects:
        groups.setdefault(_protocol(subject.protocol), []).append(subject.label)
    return [f"{listed(names)}: {text}" for text, names in groups.items()]


def _protocol(facts: dict) -> str:
    sentences = ["Each layer predicts the responses by ridge regression"]
    if facts.get("delays"):
        delays = listed([plain(d) for d in facts["delays"]])
        sentences[0] += f" on its features delayed by {delays} volumes"
    scored = []
    if facts.get("scheme"):
        scored.append(f"scheme: {plain(facts['scheme'])}")
    if facts.get("n_samples"):
        scored.append(counted(facts["n_samples"], "scored volume"))
    if facts.get("n_repeats", 1) > 1:
        scored.append(f"each the mean of {whole(facts['n_repeats'])} repeats")
    if scored:
        sentences[0] += f" ({'; '.join(scored)})"
    if facts.get("n_permutations"):
        sentences.append(
            f"values of p come from {whole(facts['n_permutations'])} permutations of whole clips "
            "within runs"
        )
    if facts.get("n_resamples"):
        sentences.append(
            f"intervals and shares come from {whole(facts['n_resamples'])} bootstrap resamples of "
            "whole clips within runs"
        )
    if facts.get("floor") is not None:
        sentences.append(
            "targets whose explainable variance is at or below "
            f"{plain(facts['floor'])} are not normalised by their ceiling"
        )
    first, *rest = sentences
    return ". ".join([first, *(s[0].upper() + s[1:] for s in rest)]) + "."


def how_to_read(results: Results) -> list[tuple[str, str]]:
    """Limits of what is shown, as (subject, text); only for what the page holds."""
    notes = []
    if results.classifiers:
        notes += [
            (
                "Intervals of accuracy",
                "They take the clips as independent. Clips of one recording, artist or album are "
                "not, so the true uncertainty is wider where these recur. Overlapping intervals do "
                "not show that two models are equal.",
            ),
            (
                "Segments and clips",
                "Segments of one clip are repeated looks at it. Accuracy over clips is the figure "
                "to compare; accuracy over segments is shown beside it.",
            ),
        ]
    if results.sweeps:
        notes.append(
            (
                "Sweeps",
                "The best of many cells looks better than it is on whatever chose it: the lowest "
                "validation loss, or worse, the highest accuracy on test clips. Settings that were "
                "not varied may suit some cells more than others.",
            )
        )
    if results.comparisons:
        notes.append(
            (
                "Comparisons",
                "They are of these trained models under these budgets, not of kinds of models: "
                "another budget or another seed may turn the order. Intervals over tracks leave "
                "out how much training itself varies; the circles of the learning curves show it. "
                "That two models are not shown to differ does not show that they are equal.",
            )
        )
    if results.truth:
        notes.append(
            (
                "Simulated responses",
                "They were made from stages of a model. That a stage is found again shows that "
                "the analysis works, and nothing about brains.",
            )
        )
    if results.subjects:
        notes += [
            (
                "Ceilings",
                "They come from repeats of clips. Where repeats lie within one run they share its "
                "slow noise, which counts as signal: such ceilings are too high.",
            ),
            (
                "Random networks",
                "A network with random weights predicts responses too, often better in deeper "
                "stages. A trained model's score means little without that of its untrained twin.",
            ),
        ]
    if results.subjects and not results.stage_tests:
        notes.append(
            (
                "No hierarchy is claimed",
                "The best stage of a region follows its signal-to-noise ratio as well as its "
                "function. A difference in best stage between regions is not evidence of a "
                "hierarchy by itself.",
            )
        )
    if results.stage_tests:
        notes += [
            (
                "Stages and regions",
                "A hierarchy is claimed only where the trained interaction (deep minus shallow "
                "stages, non-primary minus primary regions) exceeds that of every control, as "
                "observed and in 95 % of shared resamples, in four of five subjects; one subject "
                "never suffices. No evidence is not evidence of none.",
            ),
            (
                "Best stage and soft preference",
                "The best stage of a target follows its signal-to-noise ratio as well as its "
                "function. The soft preference is the mean stage weighted by scores; since stages "
                "share variance it lies between the first and the last even where one stage is all "
                "there is: compare regions, do not read it as a stage.",
            ),
        ]
    if results.searches or results.retrievals:
        notes.append(
            (
                "Similarity",
                "It is the cosine of two embeddings, standardised over the clips that were "
                "indexed: 0 is no more alike than any two of them, 1 the same, and values of "
                "different models or tables cannot be compared. It says what a model takes for "
                "alike, not what listeners do. Clips that the model was trained on lie close to "
                "their label because it learned them.",
            )
        )
    if results.benchmark and results.benchmark.controls:
        notes.append(
            (
                "Trained minus untrained",
                "Architecture and fixed stages alone predict much. What training adds is the "
                "difference from random or permuted weights, where its interval leaves out 0.",
            )
        )
    if results.benchmark:
        notes.append(
            (
                "Published values",
                "They are taken from the publication and not computed anew; small differences "
                "from this run mean nothing.",
            )
        )
    return notes
