"""Running median of many series."""

import numba
import numpy as np


@numba.njit(cache=True)
def running_median(series, width):
    """Median of every window of `width` (odd) values, along the last axis.

    The window is kept sorted. When it moves on, the values between the place of the one that
    leaves and the place of the one that enters shift by one: written without branches this is one
    vectorised pass, which at 161 volumes beats heaps and bisection.

    Parameters
    ----------
    series : (n_series, n) float32, C order, finite
    width : int

    Returns
    -------
    (n_series, n - width + 1) float32
    """
    n_series, n = series.shape
    last = width - 1
    out = np.empty((n_series, n - last), np.float32)
    for row in range(n_series):
        window = np.sort(series[row, :width])
        out[row, 0] = window[width // 2]
        for start in range(1, n - last):
            old, new = series[row, start - 1], series[row, start + last]
            if new > old:
                for i in range(last):
                    here, above = window[i], window[i + 1]
                    entering = above if above < new else (new if here < new else here)
                    window[i] = here if here < old else entering
                window[last] = max(window[last], new)
            elif new < old:
                for i in range(last, 0, -1):
                    here, below = window[i], window[i - 1]
                    entering = below if below > new else (new if here > new else here)
                    window[i] = here if here > old else entering
                window[0] = min(window[0], new)
            out[row, start] = window[width // 2]
    return out
