"""Any network as a model: its layers named as areas."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from torch import Tensor, nn

from cortexnet.taps import LayerReader, find_module, main_output


class Adapted(nn.Module):
    """A network whose layers are read as areas; see `adapt`."""

    def __init__(self, network, sample_rate, layers, frontend, time_axis, frame_rates, readout):
        super().__init__()
        self.network, self.sample_rate, self.areas = network, sample_rate, tuple(layers)
        self.frontend = frontend if frontend is not None else nn.Identity()
        self._layers = {area: f"network.{layer}" for area, layer in layers.items()}
        self._readout = readout
        # The reader measures axes of time once; it holds this model, so not as a submodule.
        self._reader_options = {
            "time_axis": self._by_module(time_axis),
            "frame_rates": self._by_module(frame_rates),
        }
        self._reader = None

    def _by_module(self, given):
        if isinstance(given, Mapping):
            return {self._layers[area]: value for area, value in given.items()}
        return given

    def forward(self, waveform: Tensor) -> Tensor:
        """What the network puts out for waveforms ``(batch, samples)``."""
        return main_output(self.network(self.frontend(waveform)))

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity ``{area: (batch, time, unit)}``, without gradients, and the end of each frame.

        Equal frames over the whole sound, unless their rates were given.
        """
        if self._reader is None:
            # In a tuple, where torch does not look for submodules.
            self._reader = (LayerReader(self, list(self._layers.values()), **self._reader_options),)
        activity, seconds = self._reader[0](waveform)
        return (
            {area: activity[layer] for area, layer in self._layers.items()},
            {area: seconds[layer] for area, layer in self._layers.items()},
        )

    def embed(self, waveform: Tensor) -> Tensor:
        """Input of the read-out, or the mean over time of the last area, ``(batch, unit)``."""
        if self._readout is None:
            return self.forward_areas(waveform)[0][self.areas[-1]].mean(1)
        seen = []
        module = self.network.get_submodule(self._readout)
        handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            self(waveform)
        finally:
            handle.remove()
        return seen[0].flatten(1)


def adapt(
    network: nn.Module,
    sample_rate: int,
    layers: Mapping[str, str] | Iterable[str] | None = None,
    frontend: Callable[[Tensor], Tensor] | None = None,
    time_axis: int | Mapping[str, int] | None = None,
    frame_rates: Mapping[str, float] | None = None,
    readout: str | None = None,
) -> Adapted:
    """Make a model of any network, so that all commands and functions take it.

    Parameters
    ----------
    network : nn.Module
        Maps waveforms ``(batch, samples)``, or what `frontend` makes of them, to anything.
    sample_rate : int
        Of the waveforms, Hz.
    layers : {area: module name} or names, optional
        Dotted names of modules in their order, as in ``network.named_modules()``; names alone are
        those of the areas too. Outputs may be tuples, as those of `nn.GRU` and `nn.LSTM`. Default:
        the network's children.
    frontend : callable, optional
        Waveforms to the network's input. A module's parameters and buffers belong to the model.
    time_axis : int or {area: int}, optional
        Default: measured, as the axis that grows with the duration of the sound
        (`cortexnet.taps.LayerReader`).
    frame_rates : {area: float}, optional
        Frames a second. Default: equal frames over the whole sound.
    readout : str, optional
        Dotted name of the last linear layer: its input is the embedding. Default: the mean over
        time of the last area.

    Returns
    -------
    model : nn.Module
        With ``sample_rate``, ``areas``, ``forward_areas`` and ``embed``.

    Raises
    ------
    InputError
        If there is no such layer.
    """
    if layers is None:
        layers = [name for name, _ in network.named_children()]
    if not isinstance(layers, Mapping):
        layers = {name: name for name in layers}
    for name in (*layers.values(), *([readout] if readout else [])):
        find_module(network, name)
    return Adapted(network, sample_rate, layers, frontend, time_axis, frame_rates, readout)
