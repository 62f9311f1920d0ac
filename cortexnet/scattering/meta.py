"""Which wavelets each scattering coefficient went through."""

import numpy as np

from cortexnet.scattering.filters import Wavelet


def scattering_paths(first: list[Wavelet], second: list[Wavelet]) -> list[tuple[int, ...]]:
    """Wavelet numbers of every coefficient: ``()``, then ``(n1,)``, then ``(n1, n2)``.

    The modulus of a band holds no energy above its width, so only second wavelets with a larger
    subsampling than the first follow it.
    """
    paths: list[tuple[int, ...]] = [()]
    paths += [(n1,) for n1 in range(len(first))]
    paths += [
        (n1, n2) for n1, one in enumerate(first) for n2, two in enumerate(second) if two.j > one.j
    ]
    return paths


def subsampling(wavelet: Wavelet, hop: int) -> int:
    """kymatio divides by 2 to this power at each order; the coefficients here follow it."""
    return min(wavelet.j, hop.bit_length() - 1)


def scattering_scale(first: list[Wavelet], second: list[Wavelet], hop: int) -> np.ndarray:
    """Factor (n_coefficients,) by which coefficients are smaller than the averages they stand for.

    Parameters
    ----------
    first, second : list of Wavelet
    hop : int
        Samples from frame to frame.
    """
    families = first, second
    exponents = [
        sum(subsampling(family[n], hop) for family, n in zip(families, path, strict=False))
        for path in scattering_paths(first, second)
    ]
    return 2.0 ** -np.array(exponents)


def scattering_meta(first: list[Wavelet], second: list[Wavelet]) -> dict:
    """Meta-data of the coefficients, in their order in the output.

    Returns
    -------
    dict
        ``key``, list of tuples of wavelet numbers; ``order`` (n_coefficients,) int; ``xi`` and
        ``sigma`` in cycles per sample, ``j`` and ``n``, each (n_coefficients, 2), with NaN where an
        order has no wavelet. The keys and arrays of kymatio's ``meta()``.
    """
    paths = scattering_paths(first, second)
    meta = {"order": np.array([len(path) for path in paths])}
    for field in ("xi", "sigma", "j"):
        meta[field] = np.full((len(paths), 2), np.nan)
        for row, path in enumerate(paths):
            for column, (family, number) in enumerate(zip((first, second), path, strict=False)):
                meta[field][row, column] = getattr(family[number], field)
    meta["n"] = np.array([path + (np.nan,) * (2 - len(path)) for path in paths], dtype=float)
    meta["key"] = paths
    return meta
