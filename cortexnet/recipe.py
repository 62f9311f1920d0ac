"""How a network is trained, as plain values: the one list of settings that all commands share."""

import dataclasses

# Learning rate and weight decay that suit each optimiser, where neither recipe nor user says more.
# SGD's are those of the source project; Lion's steps have unit size, so its rate is a tenth of
# AdamW's and its decay ten times as large (Chen et al. 2023, section 5).
OPTIMIZERS = {
    "adamw": (2e-3, 0.05),
    "adam": (1e-3, 1e-6),
    "sgd": (1e-2, 1e-6),
    "rmsprop": (5e-4, 1e-6),
    "lion": (2e-4, 0.5),
}
SCHEDULES = ("one_cycle", "plateau", "cosine", "constant")


def _setting(default, about: str, **limits):
    return dataclasses.field(default=default, metadata={"help": about, **limits})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    epochs : int
        Passes over the clips; one random segment of every clip each.
    batch_size : int
        Segments a step, over all processes.
    optimizer : {"adamw", "adam", "sgd", "rmsprop", "lion"}
        "sgd" has Nesterov momentum of .9.
    schedule : {"one_cycle", "plateau", "cosine", "constant"}
        Of the learning rate. "plateau" divides it by five after five epochs without a lower
        validation loss and ends training below 1e-5; the others are set by `epochs`.
    learning_rate, weight_decay : float, optional
        The highest rate of the schedule. Default: the optimiser's own (`OPTIMIZERS`).
    label_smoothing : float
    balanced : bool
        Weigh the loss of a clip inversely to the frequency of its class.
    patience : int
        Epochs without a better validation loss before training stops.
    min_delta : float
        A validation loss is better if it is lower by more than this.
    segment : int
        Samples; 65,536 are 2.97 s at 22,050 Hz.
    seed : int
    augment : bool
        Segments are of random copies of their clip (`stimuli.augment`).
    mixup : float
        Parameter of the Beta distribution of the weights (`cortexnet.mixing.mixup`); 0 is none.
    spec_augment : bool
        Mask bands and frames of the front-end's output (`cortexnet.mixing.spec_augment`).

    Raises
    ------
    InputError
        If a value is none of those named or out of range.
    """

    epochs: int = _setting(14, "Passes over the clips.", min=1)
    batch_size: int = _setting(32, "Segments a step.", min=2)
    optimizer: str = _setting("adamw", "How weights are moved.", choices=tuple(OPTIMIZERS))
    schedule: str = _setting("one_cycle", "Of the learning rate.", choices=SCHEDULES)
    learning_rate: float | None = _setting(None, "Highest learning rate.", min=0)
    weight_decay: float | None = _setting(None, "Decay of weights towards zero.", min=0)
    label_smoothing: float = _setting(0.1, "Share of the target spread over classes.", min=0, max=1)
    balanced: bool = _setting(False, "Weigh classes inversely to their frequency.")
    patience: int = _setting(8, "Epochs without a better validation loss before the end.", min=1)
    min_delta: float = _setting(0.0, "Least difference that is better.", min=0)
    segment: int = _setting(2**16, "Samples of a segment.", min=1)
    seed: int = _setting(0, "Of everything random.", min=0)
    augment: bool = _setting(False, "Train on random augmented copies of the clips.")
    mixup: float = _setting(0.0, "Beta parameter of mixtures of two segments; 0: none.", min=0)
    spec_augment: bool = _setting(False, "Mask bands and frames of the spectrogram.")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), **field.metadata)
        for name, value in zip(
            ("learning_rate", "weight_decay"), OPTIMIZERS[self.optimizer], strict=True
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @classmethod
    def of(cls, model: str, **given) -> "Recipe":
        """The recipe of a model of the registry, with what is given (None: not given).

        A model's own learning rate and weight decay are meant for its own optimiser; with another
        one, that one's defaults take their place.
        """
        from cortexnet.registry import find_model  # torch: not needed to list the settings

        wanted = {key: value for key, value in given.items() if value is not None}
        own = dict(find_model(model).recipe)
        usual = own.get("optimizer", "adamw")
        if wanted.get("optimizer", usual) != usual:
            own = {k: v for k, v in own.items() if k not in ("learning_rate", "weight_decay")}
        return cls(**own | wanted)


def _check(name, value, help, choices=(), min=None, max=None):
    problem = ""
    if choices:
        if value not in choices:
            problem = f"'{value}'; choose one of {', '.join(choices)}"
    # Written so that NaN is refused too.
    elif value is not None and min is not None and not value >= min:
        problem = f"{value}; it must be at least {min}"
    elif value is not None and max is not None and not value <= max:
        problem = f"{value}; it must be at most {max}"
    if problem:
        from stimuli import InputError  # pandas: not needed to list the settings

        raise InputError(f"{name.replace('_', '-')} is {problem}")
