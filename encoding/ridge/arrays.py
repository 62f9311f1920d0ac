"""Where the heavy products run: NumPy on the CPU, or PyTorch on a device.

Products, eigendecompositions and small systems look alike in both libraries; what differs is
gathered here, behind two classes of the same methods. Arrays go in and come out as NumPy's.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from ..errors import InputError


class Numpy:
    """On the CPU with BLAS and LAPACK as NumPy and SciPy find them."""

    xp = np
    label = ("numpy", "cpu")
    """Back-end and device, as `open_arrays` takes them."""

    def put(self, array, dtype) -> np.ndarray:
        """The array where the work is done."""
        return np.asarray(array, dtype)

    def get(self, array) -> np.ndarray:
        """Back from there."""
        return array

    def cast(self, array, dtype) -> np.ndarray:
        """In another precision; the same array where it has it."""
        return array.astype(dtype, copy=False)

    def empty(self, shape, dtype) -> np.ndarray:
        """To be filled."""
        return np.empty(shape, dtype)

    def mean(self, y) -> np.ndarray:
        """Of columns, summed in float64, in the precision of y."""
        return y.mean(0, dtype=np.float64).astype(y.dtype)

    def squares(self, x) -> np.ndarray:
        """Sums of squares over the last axis but one."""
        return np.einsum("...rv,...rv->...v", x, x)

    def product(self, a, b) -> np.ndarray:
        """a @ b, from host to host."""
        return a @ b

    def eigh(self, gram) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues, ascending, and eigenvectors of a float64 matrix, from host to host."""
        return scipy.linalg.eigh(gram, driver="evd", check_finite=False)

    def weighted_gram(self, U, weight) -> np.ndarray:
        """U diag(weight) U' for weights that are not negative, at half the cost of a product."""
        half = scipy.linalg.blas.dsyrk(1.0, (U * np.sqrt(weight)).T, trans=1, lower=1)
        return half + np.tril(half, -1).T

    def inverse(self, matrix) -> np.ndarray:
        """Of a positive definite matrix."""
        factor, failed = scipy.linalg.lapack.dpotrf(matrix, lower=1)
        if not failed:
            inverse, failed = scipy.linalg.lapack.dpotri(factor, lower=1)
        if failed:  # positive in theory, on the verge of rounding in fact
            return np.linalg.pinv(matrix, hermitian=True)
        return np.tril(inverse) + np.tril(inverse, -1).T


class Torch:
    """On a PyTorch device, which must know float64.

    Parameters
    ----------
    device : str, optional
        As "cuda" or "cuda:1"; default: the first CUDA device, or the CPU where there is none.

    Raises
    ------
    InputError
        PyTorch is not installed, or the device is not there or has no float64.
    """

    def __init__(self, device: str | None = None):
        try:
            import torch
        except ImportError as error:
            raise InputError(
                "backend torch: PyTorch is not installed; pip install torch, or give numpy"
            ) from error
        self.xp = torch
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.device = torch.zeros(1, dtype=torch.float64, device=device).device
        except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"device {device}: cannot be used with float64 ({reason}); give cpu"
            ) from error

        self.label = ("torch", str(self.device))

    def put(self, array, dtype):
        """As `Numpy.put`."""
        array = np.require(array, dtype, ["C", "W"])
        return self.xp.from_numpy(array).to(self.device)

    def get(self, array) -> np.ndarray:
        """As `Numpy.get`."""
        return array.cpu().numpy()

    def cast(self, array, dtype):
        """As `Numpy.cast`."""
        return array.to(self._dtype(dtype))

    def empty(self, shape, dtype):
        """As `Numpy.empty`."""
        return self.xp.empty(shape, dtype=self._dtype(dtype), device=self.device)

    def mean(self, y):
        """As `Numpy.mean`."""
        return y.mean(0, dtype=self.xp.float64).to(y.dtype)

    def squares(self, x):
        """As `Numpy.squares`."""
        return x.square().sum(-2)

    def product(self, a, b) -> np.ndarray:
        """As `Numpy.product`."""
        dtype = np.result_type(a, b)
        return self.get(self.put(a, dtype) @ self.put(b, dtype))

    def eigh(self, gram) -> tuple[np.ndarray, np.ndarray]:
        """As `Numpy.eigh`."""
        values, vectors = self.xp.linalg.eigh(self.put(gram, np.float64))
        return self.get(values), self.get(vectors)

    def weighted_gram(self, U, weight):
        """As `Numpy.weighted_gram`."""
        return (U * self.put(weight, np.float64)) @ U.T

    def inverse(self, matrix):
        """As `Numpy.inverse`."""
        factor, failed = self.xp.linalg.cholesky_ex(matrix)
        if failed:
            return self.xp.linalg.pinv(matrix, hermitian=True)
        return self.xp.cholesky_inverse(factor)

    def _dtype(self, dtype):
        return {4: self.xp.float32, 8: self.xp.float64}[np.dtype(dtype).itemsize]


NUMPY = Numpy()


def open_arrays(backend: str = "numpy", device: str | None = None) -> Numpy | Torch:
    """Back-end by name.

    Parameters
    ----------
    backend : "numpy" or "torch"
    device : str, optional
        Of torch, see `Torch`; numpy knows "cpu" alone.

    Raises
    ------
    InputError
        There is no such back-end or device.
    """
    if backend == "torch":
        return Torch(device)
    if backend != "numpy":
        raise InputError(f"backend is '{backend}'; give numpy or torch")
    if device not in (None, "cpu"):
        raise InputError(f"device {device}: numpy works on the cpu; give backend torch")
    return NUMPY
