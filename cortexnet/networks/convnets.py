"""Convolutional baselines on log-mel spectrograms, in one and in two dimensions."""

from dataclasses import dataclass

from torch import Tensor, nn

from cortexnet.networks.norm import make_norm
from cortexnet.networks.staged import Block, MelNetwork, linear_layers
from cortexnet.registry import register_model


@dataclass(frozen=True)
class Spec1D:
    """A row of the 1-D networks: mel bands are channels, convolutions are not padded.

    Attributes
    ----------
    layers : tuple of (channels, kernel, pool, normalised)
    length : int
        Frames that are left of 1024, to which others are pooled.
    hidden : tuple of int
        Widths of the linear layers.
    dropout : float
        Default, between the linear layers.
    """

    layers: tuple[tuple[int, int, int, bool], ...]
    length: int
    hidden: tuple[int, ...]
    dropout: float


CNN1D = {
    "cnn1d_5l": Spec1D(
        ((64, 7, 3, True), (64, 7, 3, True), (64, 3, 1, True), (64, 3, 1, False), (64, 3, 3, True)),
        length=35,
        hidden=(2048, 1024),
        dropout=0.5,
    ),
    "cnn1d_base": Spec1D(
        ((32, 8, 8, True), (32, 8, 8, True), (64, 4, 4, True)), length=3, hidden=(64,), dropout=0.0
    ),
}


@dataclass(frozen=True)
class Spec2D:
    """A row of the 2-D networks: 3 x 3 convolutions, then perhaps a GRU.

    Attributes
    ----------
    channels : tuple of int
    pools : tuple of (mel, frame)
    hidden : tuple of int
        Widths of the linear layers.
    size : int
        Of the map that the linear layers see, in bands and in frames.
    gru : {"", "mel", "time"}
        The axis along which a bidirectional GRU of 512 units runs.
    dropout : float
        Default, between the linear layers.
    """

    channels: tuple[int, ...]
    pools: tuple[tuple[int, int], ...]
    hidden: tuple[int, ...]
    size: int = 1
    gru: str = ""
    dropout: float = 0.5


_FOUR, _GRU = (64, 128, 256, 512), (512, 256)
CNN2D = {
    "cnn2d_4l": Spec2D(_FOUR, ((2, 2), (2, 2), (4, 4), (4, 4)), (1024, 256), size=2),
    "cnn2d_4l_gru": Spec2D(_FOUR, ((2, 2), (2, 2), (4, 4), (8, 8)), _GRU, gru="mel"),
    "cnn2d_4l_gru_time": Spec2D(_FOUR, ((2, 2), (2, 2), (4, 2), (8, 2)), _GRU, gru="time"),
    "cnn2d_5l": Spec2D((32, *_FOUR), ((2, 2), (2, 2), (2, 2), (4, 4), (4, 4)), (256, 128)),
}


class Recurrence(nn.Module):
    """Bidirectional GRU along one axis of ``(batch, channel, mel, frame)``.

    Along ``mel``, which pooling has left one band long, it starts anew in every frame and so
    recurs over nothing; along ``time`` it runs through the frames.

    Parameters
    ----------
    n_in, n_units : int
        Channels in, and units a direction.
    axis : {"mel", "time"}
    """

    def __init__(self, n_in: int, n_units: int, axis: str):
        super().__init__()
        self.axis = axis
        self.gru = nn.GRU(n_in, n_units, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        self.gru.flatten_parameters()  # loading and moving may have scattered the weights
        if self.axis == "mel":
            x = x.transpose(2, 3)
        rows = x.movedim(1, 3)  # (batch, across, along, channel)
        y = self.gru(rows.flatten(0, 1))[0].unflatten(0, rows.shape[:2]).movedim(3, 1)
        return y.transpose(2, 3) if self.axis == "mel" else y


def cnn1d(spec: Spec1D, n_classes: int, sample_rate: int, norm: str, dropout: float) -> MelNetwork:
    """Network of a row of `CNN1D`."""
    blocks, n_in = {}, 128
    for i, (n_out, kernel, pool, normalised) in enumerate(spec.layers, 1):
        layers = [
            nn.Conv1d(n_in, n_out, kernel),
            make_norm(norm if normalised else "none", n_out, 1),
            nn.ReLU(inplace=True),
            nn.MaxPool1d(pool),
        ]
        bands_as_channels = [nn.Flatten(1, 2)] if i == 1 else []
        moves = ((kernel, 1, 0), (pool, pool, 0))
        blocks[f"conv{i}"] = Block(nn.Sequential(*bands_as_channels, *layers), moves)
        n_in = n_out
    classifier = linear_layers((n_in * spec.length, *spec.hidden), n_classes, dropout)
    return MelNetwork(blocks, nn.AdaptiveMaxPool1d(spec.length), classifier, sample_rate)


def cnn2d(spec: Spec2D, n_classes: int, sample_rate: int, norm: str, dropout: float) -> MelNetwork:
    """Network of a row of `CNN2D`."""
    blocks, n_in = {}, 1
    for i, (n_out, pool) in enumerate(zip(spec.channels, spec.pools, strict=True), 1):
        layers = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1),
            make_norm(norm, n_out),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(pool, ceil_mode=True),  # ceil: the end of a short sound counts too
        )
        blocks[f"conv{i}"] = Block(layers, ((pool[1], pool[1], 0),))
        n_in = n_out
    if spec.gru:
        blocks["gru"] = Block(Recurrence(n_in, 512, spec.gru))
        n_in = 1024
    classifier = linear_layers((n_in * spec.size**2, *spec.hidden), n_classes, dropout)
    return MelNetwork(blocks, nn.AdaptiveMaxPool2d(spec.size), classifier, sample_rate)


def _register(name, build, spec, source, **recipe) -> None:
    # Ten and more times the parameters of cortexnet_z: smaller batches and steps.
    @register_model(name, source, {"batch_size": 16, "learning_rate": 1e-3} | recipe)
    def build_row(n_classes, sample_rate=22050, norm="batch", dropout=spec.dropout):
        return build(spec, n_classes, sample_rate, norm, dropout)


for _name, _spec in CNN1D.items():
    # The source's 1024 frames (23.8 s) are longer than the clips; 384 (8.92 s) fit into 9 s.
    _register(_name, cnn1d, _spec, f"{len(_spec.layers)}-layer 1-D CNN", segment=3 * 2**16)
for _name, _spec in CNN2D.items():
    _register(_name, cnn2d, _spec, f"{len(_spec.channels)}-layer 2-D CNN")
