"""Scattering by tensor operations: kymatio's numbers on its grid, gradients, any device."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from cortexnet.frontends.scattering import LogScattering
from cortexnet.scattering import Scattering1D
from cortexnet.scattering.graph import graph_of_plan, scatter_tensor
from cortexnet.scattering.plan import PRECISIONS, make_plan


def kymatio(J, shape, Q, T=None, dtype="float32", **options):
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of signals too short for the average
        peer = ScatteringTorch1D(J=J, shape=shape, Q=Q, T=T, **options)
    return peer.to(getattr(torch, dtype))


def order_errors(result, expected, order, edge=0):
    """Largest difference over the largest coefficient, order by order."""
    inside = slice(edge, expected.shape[-1] - edge)
    result, expected = result[..., inside], expected[..., inside]
    return [
        float(np.abs(result - expected)[..., rows, :].max() / np.abs(expected[..., rows, :]).max())
        for rows in (order == wanted for wanted in sorted(set(order)))
    ]


@st.composite
def options(draw):
    J = draw(st.integers(1, 7))
    shape = draw(st.integers(max(2**J, 16), 3000))
    Q = draw(st.tuples(st.integers(1, 12), st.integers(1, 3)))
    T = draw(st.one_of(st.none(), st.integers(1, shape)))
    return J, shape, Q, T, draw(st.sampled_from(["float32", "float64"]))


@settings(max_examples=15, deadline=None)
@given(options())
def test_kymatio_preset_is_kymatio(drawn):
    J, shape, Q, T, dtype = drawn
    x = np.random.default_rng(shape).standard_normal((2, shape)).astype(dtype)
    try:
        peer = kymatio(J, shape, Q, T, dtype)
    except AssertionError:  # a few pairs of Q, as (1, 3), that kymatio does not take
        reject()
    transform = Scattering1D(J, shape, Q, T, "kymatio", dtype)
    result, expected = transform(x), peer(torch.from_numpy(x)).numpy()
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype == dtype
    meta = transform.meta()
    assert meta["key"] == peer.meta()["key"]
    # kymatio keeps its filters in single precision in any case: 6e-8 of their peak
    limit = 2e-6 if dtype == "float32" else 1e-7
    assert max(order_errors(result, expected, meta["order"])) < limit


@settings(max_examples=8, deadline=None)
@given(st.integers(6, 8), st.integers(1, 12), st.integers(1, 2), st.floats(-1, 1), st.data())
def test_strict_is_kymatio_inside_signals_of_thirty_windows(J, Q1, Q2, octaves, data):
    # The shorter the average, the more of the alias of the moduli it leaves, kymatio's above all.
    T = round(2 ** (J + octaves))
    Q, dtype = (Q1, Q2), data.draw(st.sampled_from(["float32", "float64"]))
    more = data.draw(st.integers(0, 99))
    shape = 31 * max(2**J, T) + more
    x = np.random.default_rng(more).standard_normal((1, shape)).astype(dtype)
    strict, expected = (Scattering1D(J, shape, Q, T, p, dtype) for p in ("strict", "kymatio"))
    edge = strict.n_frames // 10
    errors = order_errors(strict(x), expected(x), strict.meta()["order"], edge)
    assert errors[0] < 2e-5
    assert max(errors[1:]) < 2e-3


def test_without_average_the_moduli_are_kymatios():
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 1000)))
    expected = kymatio(5, 1000, (3, 1), 0, "float64", out_type="dict")(x)
    result = Scattering1D(5, 1000, 3, 0, "kymatio", "float64")(x.numpy())
    assert list(result) == list(expected)
    for path, moduli in expected.items():
        assert result[path].shape == moduli.shape
        np.testing.assert_allclose(result[path], moduli, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("preset", ["standard", "strict"])
@pytest.mark.parametrize(
    ("J", "shape", "Q", "T"),
    [(6, 3000, (8, 1), None), (5, 777, (1, 2), 20), (4, 3000, (4, 1), 1), (7, 200, (3, 1), 200)],
)
def test_tensor_operations_equal_the_compiled_loops(J, shape, Q, T, preset, dtype):
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((3, shape)))
    transform = Scattering1D(J, shape, Q, T, preset, dtype)
    fast, tensor = transform(x), transform(x.requires_grad_())
    assert tensor.requires_grad
    assert tensor.dtype == fast.dtype == getattr(torch, dtype)
    errors = order_errors(tensor.detach().numpy(), fast.numpy(), transform.meta()["order"])
    # the compiled loops take the averaging window of order 2 as straight lines
    limits = [5e-6] * 3 if dtype == "float32" else [1e-13, 1e-13, 3e-6]
    assert all(error < limit for error, limit in zip(errors, limits, strict=True))


@pytest.mark.parametrize(("preset", "T"), [("strict", None), ("kymatio", 5)])
def test_gradient_is_that_of_finite_differences(preset, T):
    transform = Scattering1D(3, 40, 1, T, preset, "float64")
    x = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 40))).requires_grad_()
    assert torch.autograd.gradcheck(transform, x, atol=1e-7)


def test_gradients_of_float64_pass_a_float32_transform():
    x = torch.ones(2, 3, 100, dtype=torch.float64, requires_grad=True)
    result = Scattering1D(4, 100, 2)(x)
    assert result.shape[:2] == (2, 3)
    result.sum().backward()
    assert x.grad.shape == x.shape
    assert torch.isfinite(x.grad).all()


def test_silence_has_a_finite_gradient():
    x = torch.zeros(64, requires_grad=True)
    Scattering1D(3, 64, 1)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_filters_made_without_gradients_serve_with_them():
    transform = Scattering1D(4, 99, 2, preset="kymatio")
    with torch.inference_mode():
        transform(torch.ones(99))
    x = torch.ones(99, requires_grad=True)
    transform(x).sum().backward()
    assert x.grad is not None


def test_every_operation_is_on_the_device_of_the_signal():
    # Shapes without numbers: an operation with a tensor of the CPU raises.
    x = torch.empty(2, 3000, device="meta")
    plan = make_plan(3000, 6, (4, 1), 64, 2, PRECISIONS["standard"], "float32")
    result = scatter_tensor(x, graph_of_plan(plan))
    assert result.device == x.device
    transform = Scattering1D(6, 3000, 4)
    assert result.shape == (2, transform.n_coefficients, transform.n_frames)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("preset", ["standard", "kymatio"])
def test_graphics_processor_gives_the_same(preset):
    x = torch.randn(3, 3000, generator=torch.Generator().manual_seed(0))
    transform = Scattering1D(6, 3000, preset=preset)
    result = transform(x.cuda())
    assert result.is_cuda
    torch.testing.assert_close(result.cpu(), transform(x), rtol=0, atol=1e-5)


def test_front_end_has_gradients_on_request():
    front_end = LogScattering(J=6, Q=2)
    x = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0))
    silent = front_end(x)
    wanted = front_end(x.requires_grad_())
    for name in ("S1", "S2"):
        assert not silent[name].requires_grad
        torch.testing.assert_close(wanted[name].detach(), silent[name], rtol=1e-4, atol=1e-3)
    wanted["S2"].sum().backward()
    assert x.grad.abs().min() > 0
