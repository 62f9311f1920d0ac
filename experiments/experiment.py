"""An experiment from sounds to a verdict: a TOML file, checked before anything is done."""

import dataclasses
from dataclasses import field
from pathlib import Path

from cortexnet.controls import KINDS, is_trainable
from cortexnet.recipe import Recipe
from cortexnet.registry import create_model, find_model, model_label
from encoding.regions.atlas import HCP_MMP1
from experiments.baselines import BASELINES, PROJECTED, PROJECTION
from experiments.stages import HCP
from experiments.toml_recipe import check_keys, near, read_toml, recipe_file
from stimuli import InputError

SHIPPED = ("ds003720", "miniature")
REFERENCE = "reference"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What `experiments.run.run_experiment` does.

    Attributes
    ----------
    title : str
        Of the report.
    models : tuple of str
        Trained on the tracks that nobody heard, tested on the clips that were heard.
    stages_of : str
        The model whose stages are tested beside its controls: the first of `models`, or
        "reference".
    baselines : tuple of str
        Run as they are: fixed features, "cochleagram" and "random_projection"
        (`experiments.baselines`).
    reference : bool
        Also the network that drives the simulated brain of the miniature.
    rms : float
        Root mean square to which clips are brought; full scale is 1.
    controls : {kind of `cortexnet.controls`: number of networks}
        Untrained counterparts of `stages_of`, seeds 0, 1, ...
    training : {model: {field of `Recipe`: value}}
        Where it is not as the model has it.
    responses : dict
        kind, space and confounds of `experiments.encode.bids_responses`.
    regions : dict
        atlas, surfaces, extended and same_space of `experiments.stages.run_stages`; without an
        atlas regions are those of the data set's own labels.
    tests : dict
        permutations, resamples and shuffles.
    """

    title: str
    models: tuple[str, ...]
    stages_of: str
    baselines: tuple[str, ...] = ()
    reference: bool = False
    rms: float = 0.05
    controls: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    responses: dict = field(default_factory=dict)
    regions: dict = field(default_factory=dict)
    tests: dict = field(default_factory=dict)

    def recipe_of(self, model: str, seed: int) -> Recipe:
        """How a model is trained with a seed."""
        return Recipe.of(model, seed=seed, **self.training.get(model, {}))


# Kinds of the keys of the file and of its tables.
KEYS = {
    "title": str,
    "models": [str],
    "stages_of": str,
    "baselines": [str],
    "reference": bool,
    "rms": float,
    "controls": dict,
    "training": dict,
    "responses": dict,
    "regions": dict,
    "tests": dict,
}
TABLES = {
    "controls": dict.fromkeys(KINDS, int),
    "responses": {"kind": str, "space": str, "confounds": str},
    "regions": {"atlas": [str], "surfaces": [str], "extended": bool, "same_space": bool},
    "tests": {"permutations": int, "resamples": int, "shuffles": int},
}
FIELDS = {f.name: f.type for f in dataclasses.fields(Recipe) if f.name != "seed"}
TESTS = {"permutations": 2000, "resamples": 1000, "shuffles": 10}
_LEAST = {"permutations": 100, "resamples": 100, "shuffles": 0}
_RESPONSES = ("volume", "surface", "cifti")


def read_experiment(source: str | Path) -> Experiment:
    """Read and check a recipe.

    Parameters
    ----------
    source : str or Path
        A TOML file, or "ds003720" or "miniature". Relative paths in it count from its folder.

    Raises
    ------
    InputError
        In one line that names the file: for a key, model, control or setting that there is not, or
        a value of another kind or out of range, or a label file or surface that is missing.
    """
    path = recipe_file(source, SHIPPED)
    found = read_toml(path, make_experiment)
    regions = dict(found.regions)
    for key, known in (("atlas", HCP_MMP1), ("surfaces", HCP)):
        files = [path.parent / name for name in regions.get(key, ()) if name != known]
        for file in files:
            if not file.is_file():
                raise InputError(f"{path}: regions.{key}: no file {file}; name one or {known}")
        if files:
            regions[key] = [str(file) for file in files]
    return dataclasses.replace(found, regions=regions)


def make_experiment(value: dict, title: str = "experiment") -> Experiment:
    """Experiment of the content of a recipe file; raises as `read_experiment`, without the file."""
    check_keys(value, KEYS)
    for name, kinds in TABLES.items():
        check_keys(value.get(name, {}), kinds, f"{name}.")
    if "models" not in value:
        raise InputError('no models; name some, such as models = ["cortexnet_z"]')
    first = REFERENCE if value.get("reference") else value["models"][0]
    kept = {key: tuple(v) if isinstance(v, list) else v for key, v in value.items()}
    found = Experiment(
        **{"title": title, "stages_of": first}
        | kept
        | {"tests": TESTS | value.get("tests", {}), "controls": value.get("controls", {})}
    )
    _check_names(found)
    _check_numbers(found)
    _check_training(found)
    return found


def _check_names(found: Experiment) -> None:
    for model in found.models:
        find_model(model)  # says which there are
    labels = [model_label(model) for model in found.models]
    if len(set(labels)) < len(labels):
        raise InputError("two models would have one name; name each once")
    for name in found.baselines:
        if name in found.models:
            raise InputError(f"{name} is among the models and the baselines; name it once")
        if name not in BASELINES and is_trainable(create_model(name, 2)):
            raise InputError(f"baseline {name} is trained; name it among the models")
    if PROJECTION in found.baselines and PROJECTED not in found.models + found.baselines:
        raise InputError(f"{PROJECTION} projects {PROJECTED}; name it among the baselines too")
    known = [*found.models, *([REFERENCE] if found.reference else [])]
    if found.stages_of not in known:
        raise InputError(f"stages_of is '{found.stages_of}'{near(found.stages_of, known)}")
    kind = found.responses.get("kind", "volume")
    if kind not in _RESPONSES:
        raise InputError(f"responses.kind is '{kind}'; choose one of {', '.join(_RESPONSES)}")


def _check_numbers(found: Experiment) -> None:
    if not 0 < found.rms < 1:
        raise InputError(f"rms is {found.rms}; give a level between 0 and 1")
    for key, given in found.tests.items():
        if given < _LEAST[key]:
            raise InputError(f"tests.{key} is {given}; it must be at least {_LEAST[key]}")
    for kind, given in found.controls.items():
        if given < 0:
            raise InputError(f"controls.{kind} is {given}; it must be at least 0")
    tested = found.stages_of
    if tested == REFERENCE or not any(found.controls.values()):
        return
    if not is_trainable(create_model(tested, 2)):
        raise InputError(f"{tested} has fixed features only, so it has no controls; leave them out")


def _check_training(found: Experiment) -> None:
    for model, settings in found.training.items():
        if model not in found.models:
            raise InputError(f"unknown model 'training.{model}'{near(model, found.models)}")
        if not isinstance(settings, dict):
            raise InputError(f"training.{model} must be a table of settings")
        check_keys(settings, FIELDS, f"training.{model}.")
        try:
            found.recipe_of(model, 0)
        except InputError as error:
            raise InputError(f"training.{model}: {error}") from error
