"""Activity of any layer of any network: areas, recurrent steps, and modules by dotted name."""

import contextlib
import difflib
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from stimuli import InputError

PROBE_SECONDS = (2, 6)  # of the two sounds that show which axis is time


class Taps:
    """What named modules put out while the taps are open, call by call.

    A context manager: the hooks are gone when it closes, after an exception too. Outputs are
    copies, for a later layer may work in place.

    Parameters
    ----------
    model : nn.Module
    names : iterable of str
        Dotted, as ``model.named_modules()`` has them.

    Attributes
    ----------
    outputs : {name: list of Tensor}
        One tensor a call, emptied by `clear`.

    Raises
    ------
    InputError
        If there is no such module.

    Examples
    --------
    >>> with Taps(model, ["blocks.0", "gru"]) as taps:
    ...     model(waveform)
    >>> taps.outputs["gru"][0].shape
    """

    def __init__(self, model: nn.Module, names):
        self.modules = {name: find_module(model, name) for name in names}
        self.outputs: dict[str, list[Tensor]] = {name: [] for name in self.modules}
        self._handles = []

    def __enter__(self) -> "Taps":
        for name, module in self.modules.items():
            self._handles.append(module.register_forward_hook(self._keep(name)))
        return self

    def __exit__(self, *_) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def clear(self) -> None:
        """Forget what was put out so far."""
        for kept in self.outputs.values():
            kept.clear()

    def _keep(self, name):
        def hook(module, given, output):
            self.outputs[name].append(main_output(output, name).detach().clone())

        return hook


class LayerReader:
    """Reads layers of a model from sounds: ``reader(waveform)`` is as `model.forward_areas`.

    A layer is an area (``"belt"``), an area at an earlier recurrent step (``"belt@0"``), or a
    module by its dotted name (``"blocks.2.0"``), which is tapped while ``model(waveform)`` runs;
    of an area and a module of one name the area is read.
    A module that is called several times in one pass gives one layer a call, ``"NAME@0"``,
    ``"NAME@1"``...; a recurrent cell (`nn.GRUCell` and its like) is called once a frame, so its
    calls are the frames of one layer. Areas and modules together cost two passes.

    Parameters
    ----------
    model : nn.Module
        Run as it is: put it into evaluation mode before.
    layers : list of str, optional
        Default: all areas.
    steps : bool
        Where `layers` is not given: all areas at all recurrent steps.
    time_axis : int or {layer: int}, optional
        Axis of time in the output of tapped modules. Default: the axis that grows with the
        duration of the sound, measured once with two short noises; where none grows (pooled to
        a fixed size, padded to a fixed length) or several do, that of the module's type
        (`usual_time_axis`).
    frame_rates : {layer: float}, optional
        Frames a second of tapped modules. Default: equal frames over the whole sound.
    sample_rate : int, optional
        Hz. Default: the model's own.

    Raises
    ------
    InputError
        If there is no such layer, or a module is never called.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: list[str] | None = None,
        steps: bool = False,
        time_axis: int | Mapping[str, int] | None = None,
        frame_rates: Mapping[str, float] | None = None,
        sample_rate: int | None = None,
    ):
        self.model = model
        self.sample_rate = sample_rate or model.sample_rate
        areas = getattr(model, "areas", ())
        stepped = [area for area, n in getattr(model, "steps", {}).items() if n > 1]
        if layers is None and not areas:
            raise InputError("the model names no areas; name its layers (dotted module names)")
        self._wanted, self._modules = {}, {}  # names of areas; {layer: (module name, call)}
        for layer in areas if layers is None else dict.fromkeys(layers):
            base, call = split_call(layer)
            if layer in areas or base in stepped:
                self._wanted[layer] = base
            else:
                find_module(model, base, areas)
                self._modules[layer] = (base, call)
        self._all = layers is None and steps and bool(stepped)
        self._steps = self._all or any(layer != area for layer, area in self._wanted.items())
        self._frame_rates = frame_rates or {}
        if isinstance(time_axis, int):
            time_axis = dict.fromkeys(self._modules, time_axis)
        self._axes = {split_call(layer)[0]: axis for layer, axis in (time_axis or {}).items()}

    def __call__(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity ``{layer: (batch, time, unit)}`` and the end of each frame, seconds."""
        found, seconds = {}, {}
        if self._wanted:
            areas, ends = (
                self.model.forward_areas(waveform, steps=True)
                if self._steps
                else self.model.forward_areas(waveform)
            )
            for layer in areas if self._all else self._wanted:
                if layer not in areas:
                    raise InputError(f"no layer '{layer}'; there are {', '.join(areas)}")
                found[layer], seconds[layer] = areas[layer], ends[layer]
        if self._modules:
            duration = waveform.shape[-1] / self.sample_rate
            for layer, x in self._tap(waveform):
                found[layer] = x
                rate = self._frame_rates.get(layer)
                seconds[layer] = frame_ends(x.shape[1], duration, rate)
        return found, seconds

    def _tap(self, waveform: Tensor) -> Iterator[tuple[str, Tensor]]:
        names = dict.fromkeys(base for base, _ in self._modules.values())
        with Taps(self.model, names) as taps:
            self._measure_axes(taps)
            self.model(waveform)
        calls = {}
        for name, outputs in taps.outputs.items():
            if not outputs:
                raise InputError(f"module '{name}' is not called when the model runs")
            module, axis, frames = taps.modules[name], self._axes[name], []
            for x in outputs:
                here = usual_time_axis(module, x.ndim) if axis is None else axis
                frames.append(to_frames(x, here, len(waveform), name))
            is_cell = isinstance(module, nn.RNNCellBase)
            calls[name] = [torch.cat(frames, 1)] if is_cell else frames
        for layer, (name, call) in self._modules.items():
            n_calls = len(calls[name])
            if call is not None and call >= n_calls:
                raise InputError(f"no layer '{layer}': '{name}' is called {n_calls} x")
            if call is not None:
                yield layer, calls[name][call]
            elif n_calls == 1:
                yield layer, calls[name][0]
            else:
                yield from ((f"{name}@{k}", x) for k, x in enumerate(calls[name]))

    def _measure_axes(self, taps: Taps) -> None:
        """Find the time axis of each module that has none yet; leaves the taps empty."""
        unknown = [name for name in taps.modules if name not in self._axes]
        if not unknown:
            return
        shapes = []
        for seconds in PROBE_SECONDS:
            rng = np.random.default_rng(0)
            noise = 0.05 * rng.standard_normal((2, round(seconds * self.sample_rate)))
            # A model made for sounds of one length refuses: the module's type has to tell.
            with torch.no_grad(), contextlib.suppress(RuntimeError, ValueError):
                self.model(torch.as_tensor(noise, dtype=torch.float32))
            shapes.append({name: [x.shape for x in taps.outputs[name][:1]] for name in unknown})
            taps.clear()
        for name in unknown:
            pair = [shape for found in shapes for shape in found[name]]
            self._axes[name] = grown_axis(*pair) if len(pair) == 2 else None


def find_module(model: nn.Module, name: str, areas=()) -> nn.Module:
    """Module of a dotted name.

    Raises
    ------
    InputError
        Naming the areas and the modules whose names are nearest.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if name not in modules or not name:
        near = difflib.get_close_matches(name, list(modules), n=5, cutoff=0.4)
        there = [*areas, *near] or list(modules)[1:6]
        raise InputError(f"no layer '{name}' in {type(model).__name__}; there are "
                         f"{', '.join(there)}")  # fmt: skip
    return modules[name]


def split_call(layer: str) -> tuple[str, int | None]:
    """``"gru@1"`` to ``("gru", 1)``, ``"gru"`` to ``("gru", None)``."""
    name, _, call = layer.rpartition("@")
    return (name, int(call)) if name and call.isdecimal() else (layer, None)


def main_output(output, name: str = "") -> Tensor:
    """The tensor that a module hands on.

    Of tuples (the outputs of `nn.GRU`, `nn.LSTM`, attention) the first; of mappings
    ``last_hidden_state`` or else the first; packed sequences are padded,
    ``(batch, time, unit)``.

    Raises
    ------
    InputError
        If there is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(output, batch_first=True)[0]
    if isinstance(output, Mapping):
        output = [output.get("last_hidden_state"), *output.values()]
    if isinstance(output, tuple | list):
        for part in output:
            if part is not None:
                return main_output(part, name)
    raise InputError(f"layer '{name}' puts out no tensor but {type(output).__name__}")


def usual_time_axis(module: nn.Module, n_axes: int) -> int | None:
    """Axis of time by the module's type; None for ``(batch, unit)``, which has none.

    Recurrent layers and attention: by their ``batch_first``; layers that work on the last axis
    (linear, layer normalisation): the one before it; all others (convolution, pooling, batch
    normalisation in one or two dimensions): the last.
    """
    if n_axes == 2:
        return None
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return 1 if module.batch_first else 0
    return n_axes - 2 if isinstance(module, nn.Linear | nn.LayerNorm) else n_axes - 1


def grown_axis(short: tuple[int, ...], long: tuple[int, ...]) -> int | None:
    """The axis along which the output to a longer sound is longer, if it is one alone."""
    if len(short) != len(long):
        return None
    grown = [axis for axis, (a, b) in enumerate(zip(short, long, strict=True)) if b > a]
    return grown[0] if len(grown) == 1 else None


def to_frames(output: Tensor, time_axis: int | None, n_batch: int, name: str = "") -> Tensor:
    """Bring an output to ``(batch, time, unit)``; all other axes become units, in their order.

    Without a time axis the whole output is one frame. Time first means the batch second, as in
    recurrent layers that are not ``batch_first``.

    Raises
    ------
    InputError
        If there is no such axis, or batch and time share one.
    """
    shape = tuple(output.shape)
    if time_axis is not None and not -len(shape) <= time_axis < len(shape):
        raise InputError(f"layer '{name}' puts out {shape}: no axis {time_axis}; name another")
    axis = None if time_axis is None else time_axis % len(shape)
    if axis == 0 and len(shape) > 1:
        output, axis = output.transpose(0, 1), 1
    if output.ndim < 1 or output.shape[0] != n_batch:
        raise InputError(
            f"layer '{name}' puts out {shape} for {n_batch} sounds, which have no axis of their "
            "own there; tap another layer"
        )
    if axis is None:
        return output.reshape(n_batch, 1, -1)
    return output.movedim(axis, 1).reshape(n_batch, output.shape[axis], -1)


def frame_ends(n_frames: int, duration: float, frame_rate: float | None = None) -> np.ndarray:
    """End of each frame, seconds: at `frame_rate` Hz, or equal frames over the whole sound."""
    return np.arange(1, n_frames + 1) * (1 / frame_rate if frame_rate else duration / n_frames)
