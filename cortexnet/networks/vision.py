"""Networks made for pictures, from torchvision, on log-mel spectrograms.

Their layers are torchvision's. What differs: one channel in, the spectrogram is the picture; the
pooled map and so the classifier have the size that 128 bands x 128 frames lead to.
"""

from collections.abc import Callable, Iterable

import torchvision.models as tv
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from cortexnet.networks.norm import make_norm
from cortexnet.networks.staged import Block, MelNetwork, initialise, linear_layers
from cortexnet.registry import register_model

# (kernel, stride, padding) along time; see `Block.moves`.
_HALVE, _STEM, _VALID = (2, 2, 0), ((7, 2, 3), (3, 2, 1)), (3, 2, 0)


def alexnet(n_classes: int, sample_rate: int, norm: str, dropout=0.5) -> MelNetwork:
    """AlexNet; without normalisation unless it is asked for."""
    layers = list(tv.alexnet().features)
    starts = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    parts = [layers[i:j] for i, j in zip(starts, [*starts[1:], None], strict=True)]
    moves = (((11, 4, 2), _VALID), (_VALID,), (), (), (_VALID,))
    blocks = {
        f"conv{i}": Block(_plain(part, norm), move)
        for i, (part, move) in enumerate(zip(parts, moves, strict=True), 1)
    }
    classifier = linear_layers((256 * 3 * 3, 4096, 4096), n_classes, dropout)
    return _network(blocks, 3, classifier, sample_rate, norm)


def vgg(depth: str, n_classes: int, sample_rate: int, norm: str, dropout=0.5) -> MelNetwork:
    """VGG; without normalisation unless it is asked for."""
    layers, blocks = list(make_layers(cfgs[depth])), {}
    ends = [i for i, layer in enumerate(layers, 1) if isinstance(layer, nn.MaxPool2d)]
    for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False), 1):
        blocks[f"block{i}"] = Block(_plain(layers[start:end], norm), (_HALVE,))
    classifier = linear_layers((512 * 4 * 4, 4096, 4096), n_classes, dropout)
    network = _network(blocks, 4, classifier, sample_rate, norm)
    initialise(network)  # as torchvision does in its constructor, which is not used here
    for layer in classifier:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.01)
            nn.init.zeros_(layer.bias)
    return network


def resnet(name: str, n_classes: int, sample_rate: int, norm: str) -> MelNetwork:
    """ResNet: stem and four groups of residual blocks."""
    net = getattr(tv, name)(num_classes=n_classes)
    blocks = {"stem": Block(nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool), _STEM)}
    for i in range(1, 5):
        moves = () if i == 1 else ((3, 2, 1),)
        blocks[f"layer{i}"] = Block(getattr(net, f"layer{i}"), moves)
    return _network(blocks, 1, nn.Sequential(nn.Flatten(), net.fc), sample_rate, norm)


def densenet121(n_classes: int, sample_rate: int, norm: str) -> MelNetwork:
    """DenseNet: stem and four dense blocks; transitions belong to the block they lead to."""
    net = tv.densenet121(num_classes=n_classes)
    f = net.features
    blocks = {
        "stem": Block(nn.Sequential(f.conv0, f.norm0, f.relu0, f.pool0), _STEM),
        "block1": Block(f.denseblock1),
        "block2": Block(nn.Sequential(f.transition1, f.denseblock2), (_HALVE,)),
        "block3": Block(nn.Sequential(f.transition2, f.denseblock3), (_HALVE,)),
        "block4": Block(
            nn.Sequential(f.transition3, f.denseblock4, f.norm5, nn.ReLU(inplace=True)), (_HALVE,)
        ),
    }
    return _network(blocks, 1, nn.Sequential(nn.Flatten(), net.classifier), sample_rate, norm)


def inception_v3(n_classes: int, sample_rate: int, norm: str, dropout=0.5) -> MelNetwork:
    """Inception v3 without the auxiliary classifier."""
    # torchvision's own initial weights have an SD of .1 throughout: untrained, with the running
    # statistics at 0 and 1, activity would grow to 1e9.
    net = tv.inception_v3(
        num_classes=n_classes, aux_logits=False, init_weights=False, dropout=dropout
    )
    parts = {
        "stem1": (("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
                  (_VALID, (3, 1, 0), _VALID)),
        "stem2": (("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"), ((3, 1, 0), _VALID)),
        "mixed5": (("Mixed_5b", "Mixed_5c", "Mixed_5d"), ()),
        "mixed6": (("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), (_VALID,)),
        "mixed7": (("Mixed_7a", "Mixed_7b", "Mixed_7c"), (_VALID,)),
    }  # fmt: skip
    blocks = {
        area: Block(nn.Sequential(*(getattr(net, name) for name in names)), moves)
        for area, (names, moves) in parts.items()
    }
    classifier = nn.Sequential(nn.Flatten(), net.dropout, net.fc)
    return _network(blocks, 1, classifier, sample_rate, norm)


def _network(blocks, size, classifier, sample_rate, norm) -> MelNetwork:
    network = MelNetwork(blocks, nn.AdaptiveAvgPool2d(size), classifier, sample_rate)
    _one_channel(network)
    if norm != "batch":
        _replace_norms(network.blocks, norm)
    return network


def _plain(layers: Iterable[nn.Module], norm: str) -> nn.Sequential:
    """Layers of a network that has no normalisation, with one behind each convolution if wanted."""
    with_norms = []
    for layer in layers:
        with_norms.append(layer)
        if isinstance(layer, nn.Conv2d) and norm != "none":
            with_norms.append(make_norm(norm, layer.out_channels))
    return nn.Sequential(*with_norms)


def _replace_norms(module: nn.Module, kind: str) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, make_norm(kind, child.num_features))
        else:
            _replace_norms(child, kind)


def _one_channel(network: nn.Module) -> None:
    """Let the first convolution, made for three colours, take one channel."""
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    first.in_channels, first.weight = 1, nn.Parameter(first.weight.detach()[:, :1].clone())


def _register(name: str, source: str, build: Callable, *row, norm="batch", learning_rate=1e-3):
    @register_model(name, source, {"batch_size": 16, "learning_rate": learning_rate})
    def build_row(n_classes, sample_rate=22050, norm=norm, **options):
        return build(*row, n_classes, sample_rate, norm, **options)


# Without normalisation the first steps must be small.
_PLAIN = {"norm": "none", "learning_rate": 1e-4}
_register("alexnet", "Krizhevsky 2014 (arXiv 1404.5997), torchvision", alexnet, **_PLAIN)
for _name, _depth in {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}.items():
    _register(_name, "Simonyan & Zisserman 2015, torchvision", vgg, _depth, **_PLAIN)
_register(
    "googlenet",
    "Inception v3 without auxiliary classifier (Szegedy et al. 2016), torchvision",
    inception_v3,
)
for _name in ("resnet34", "resnet50"):
    _register(_name, "He et al. 2016, torchvision", resnet, _name)
_register("densenet121", "Huang et al. 2017, torchvision", densenet121)
