"""A convolutional network on the samples themselves."""

from torch import nn

from cortexnet.networks.norm import make_norm
from cortexnet.networks.staged import Block, StagedNetwork, initialise, linear_layers
from cortexnet.registry import register_model

CHANNELS = (128, 128, 128, *[256] * 6, 512, 512)


@register_model(
    "samplecnn_basic",
    "Lee, Park, Kim & Nam 2017 (arXiv 1703.01789), 3^9 model",
    # As published: 59,049 samples make one frame; 66,150 are 3 s.
    recipe={"batch_size": 16, "learning_rate": 1e-3, "segment": 66_150},
)
def samplecnn_basic(
    n_classes: int, sample_rate: int = 22050, norm: str = "batch", dropout: float = 0.5
) -> StagedNetwork:
    """Eleven convolutions of three samples; the first strides by 3, nine are pooled by 3.

    Parameters
    ----------
    n_classes : int
    sample_rate : int
        Hz.
    norm : str
        A kind of `make_norm`.
    dropout : float
        After the sixth and the last convolution.
    """
    blocks, n_in, last = {}, 1, len(CHANNELS)
    for i, n_out in enumerate(CHANNELS, 1):
        stride, padding = (3, 0) if i == 1 else (1, 1)
        layers = [nn.Conv1d(n_in, n_out, 3, stride, padding), make_norm(norm, n_out, 1), nn.ReLU()]
        moves = [(3, stride, padding)]
        if 1 < i < last:
            layers.append(nn.MaxPool1d(3))
            moves.append((3, 3, 0))
        if i in (6, last):
            layers.append(nn.Dropout(dropout))
        blocks[f"conv{i}"] = Block(nn.Sequential(*layers), tuple(moves))
        n_in = n_out
    classifier = linear_layers((n_in,), n_classes, dropout)
    network = StagedNetwork(blocks, nn.AdaptiveAvgPool1d(1), classifier, sample_rate, sample_rate)
    initialise(network)
    return network
