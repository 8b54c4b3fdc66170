"""A problem on the circle where all expectations of SGD and of its equations are exact, without Monte Carlo.

Notation as in ``weak_orders``: η the step of SGD, c the drift and s the noise of the equation

    dX = −(f + c η f′²)′ dt + (s η Σ)^{1/2} dW,      Σ = (1/n) Σ (f_i′ − f′)².

A function of the angle is its values at M equally spaced nodes; products with trigonometric polynomials of
low degree lose nothing there, so one step of SGD and the generator of the equation are M × M matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.linalg import expm

from lib.records import as_array, as_count, as_generator, as_positive


@dataclass(frozen=True)
class Circle:
    r"""The problem f_i(x) = a_i (1 − cos(x − c_i)) on the circle, where expectations need no Monte Carlo.

    A function of the angle is represented by its values at M equally spaced nodes; one step of SGD, and the
    generator of a stochastic equation, then are M × M matrices.

    Parameters
    ----------
    amplitudes, centres : array_like, shape (n,)
        a_i and c_i.
    points : int, optional
        M, even. 48, 64 and 96 agree to 1e-11 when the a_i are O(1).

    Raises
    ------
    ValueError
        When the shapes differ, or M is odd.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.modified.circle import Circle
    >>> circle = Circle([1.0, 0.6, 1.4], [0.0, 1.3, 2.5])
    >>> round(float(circle.sgd(np.cos, 1 / 16, 16)[0]), 9)
    0.892257637
    """

    amplitudes: np.ndarray
    centres: np.ndarray
    points: int = 64

    def __post_init__(self):
        a, c = as_array("amplitudes", self.amplitudes, ndim=1), as_array("centres", self.centres, ndim=1)
        if a.shape != c.shape or len(a) == 0:
            raise ValueError(
                "amplitudes and centres must have one entry each for every sample; received "
                f"{len(a)} and {len(c)}. Match their lengths."
            )
        if as_count("points", self.points, least=4) % 2:
            raise ValueError(f"points must be even; received {self.points}. Choose {self.points + 1}.")
        object.__setattr__(self, "amplitudes", a)
        object.__setattr__(self, "centres", c)

    @property
    def nodes(self) -> np.ndarray:
        """Starting angles 2πj/M.

        Returns
        -------
        ndarray, shape (M,)
            The grid.
        """
        return 2 * np.pi * np.arange(self.points) / self.points

    def gradients(self, x) -> np.ndarray:
        """Derivatives f_i′(x) = a_i sin(x − c_i).

        Parameters
        ----------
        x : array_like, shape (...)
            Angles.

        Returns
        -------
        ndarray, shape (n, ...)
            One row for each sample.
        """
        x = as_array("x", x)
        a, c = (v.reshape(-1, *(1,) * x.ndim) for v in (self.amplitudes, self.centres))
        return a * np.sin(x - c)

    def coefficients(self, step_size: float, *, drift=0.25, noise=1.0, centred=True):
        """Drift and squared diffusion coefficient of the stochastic equation, at the nodes.

        Parameters
        ----------
        step_size : float
            η > 0.
        drift, noise : float, optional
            As in ``sde_moments``.
        centred : bool, optional
            As in ``sde_moments``.

        Returns
        -------
        drift, diffusion : ndarray, shape (M,)
            −(f + c η f′²)′ and s η Σ.
        """
        step_size, x = as_positive("step_size", step_size), self.nodes
        samples = self.gradients(x)
        slope = samples.mean(0)
        curvature = self.gradients(x + np.pi / 2).mean(0)  # f_i″(x) = a_i cos(x − c_i) = f_i′(x + π/2)
        variance = (samples**2).mean(0) - centred * slope**2
        return -slope * (1 + 2 * drift * step_size * curvature), noise * step_size * variance

    def sgd(self, g: Callable, step_size: float, steps: int) -> np.ndarray:
        """E g(x_N) for SGD with batch size 1, started from each node.

        Parameters
        ----------
        g : callable
            Test function of the angle, smooth and 2π-periodic, elementwise.
        step_size : float
            η > 0.
        steps : int
            N.

        Returns
        -------
        ndarray, shape (M,)
            The expectations.
        """
        step_size, x = as_positive("step_size", step_size), self.nodes
        step = np.mean([self._interpolation(x - step_size * slope) for slope in self.gradients(x)], axis=0)
        return np.linalg.matrix_power(step, as_count("steps", steps, least=0)) @ g(x)

    def sde(self, g: Callable, step_size: float, time: float, *, drift=0.25, noise=1.0, centred=True):
        """E g(X_t) for the stochastic equation of ``sde_moments``, started from each node.

        Parameters
        ----------
        g : callable
            Test function of the angle.
        step_size : float
            η > 0.
        time : float
            t ≥ 0 in the flow's units.
        drift, noise : float, optional
            As in ``sde_moments``.
        centred : bool, optional
            As in ``sde_moments``.

        Returns
        -------
        ndarray, shape (M,)
            exp(t (b D + ½ σ² D²)) g, with D the Fourier derivative.
        """
        b, variance = self.coefficients(step_size, drift=drift, noise=noise, centred=centred)
        first, second = self._derivatives()
        generator = b[:, None] * first + variance[:, None] / 2 * second
        return expm(as_positive("time", time, zero=True) * generator) @ g(self.nodes)

    def euler_maruyama(self, g: Callable, step_size, steps, *, dt=None, drift=0.0, noise=1.0):
        """E g after Euler–Maruyama steps of that equation, each a Gaussian wrapped around the circle.

        Parameters
        ----------
        g : callable
            Test function of the angle.
        step_size : float
            η in the equation.
        steps : int
            Number of steps.
        dt : float, optional
            Their length; η by default.
        drift, noise : float, optional
            As in ``sde_moments``, except that the drift is that of order 1 by default.

        Returns
        -------
        ndarray, shape (M,)
            The expectations, one for each starting node.
        """
        dt = as_positive("step_size", step_size) if dt is None else as_positive("dt", dt)
        b, variance = self.coefficients(step_size, drift=drift, noise=noise)
        step = self._interpolation(self.nodes + dt * b, variance=dt * variance)
        return np.linalg.matrix_power(step, as_count("steps", steps, least=0)) @ g(self.nodes)

    def _interpolation(self, x, variance=0.0):
        # Σ_k e^{ikx} ĝ_k for |k| < M/2, a cosine at M/2; a Gaussian of variance v damps mode k by e^{−k²v/2}
        half = self.points // 2
        k = np.arange(1, half + 1)
        weight = np.where(k < half, 2.0, 1.0) / self.points
        angle = x[:, None, None] - self.nodes[None, :, None]
        damping = np.exp(-(k**2) * np.reshape(variance, (-1, 1, 1)) / 2)
        cosines = np.cos(k * angle)
        cosines[..., -1] = np.cos(half * x)[:, None] * np.cos(half * self.nodes)[None, :]
        return 1 / self.points + (weight * damping * cosines).sum(-1)

    def _derivatives(self):
        k = np.fft.fftfreq(self.points, 1 / self.points)
        odd = np.where(np.abs(k) < self.points // 2, k, 0)  # the mode M/2 has no derivative on the grid
        basis = np.fft.fft(np.eye(self.points), axis=0)
        first = np.fft.ifft(1j * odd[:, None] * basis, axis=0).real
        return first, np.fft.ifft(-(k**2)[:, None] * basis, axis=0).real


def coupled_paths(circle: Circle, x0: float, step_size: float, steps: int, *, substeps=8, paths=1, rng=None):
    """Paths of SGD and of its order-1 equation driven by common random numbers.

    The equation takes Euler–Maruyama steps of η/substeps. The normalised sum S of a step's normals becomes
    the uniform number Φ(S) by which SGD picks its sample, the gradients sorted so that large S pushes both
    the same way. Both marginal laws are kept; the difference of two averages loses most of its variance.

    Parameters
    ----------
    circle : Circle
        The problem.
    x0 : float
        Common starting angle.
    step_size : float
        η > 0.
    steps : int
        N.
    substeps : int, optional
        Euler–Maruyama steps within one step of SGD.
    paths : int, optional
        R.
    rng : int, SeedSequence or Generator, optional
        Randomness.

    Returns
    -------
    sgd, sde : ndarray, shape (R, N + 1)
        Angles at the times 0, η, …, Nη.

    Examples
    --------
    >>> from lib.modified.circle import Circle, coupled_paths
    >>> sgd, sde = coupled_paths(Circle([1.0, 0.6], [0.0, 1.3]), 1.0, 0.1, 5, rng=0)
    >>> sgd.shape, sde.shape
    ((1, 6), (1, 6))
    """
    rng, step_size = as_generator(rng), as_positive("step_size", step_size)
    steps, substeps = as_count("steps", steps), as_count("substeps", substeps)
    sgd = np.full((as_count("paths", paths), steps + 1), as_array("x0", x0, ndim=0), dtype=float)
    sde, dt, n = sgd.copy(), step_size / substeps, len(circle.amplitudes)
    for k in range(steps):
        normals, x = rng.standard_normal((substeps, len(sgd))), sde[:, k]
        for normal in normals:
            samples = circle.gradients(x)
            x = x - dt * samples.mean(0) + np.sqrt(dt * step_size) * samples.std(0) * normal
        rank = np.minimum((n * stats.norm.cdf(normals.sum(0) / np.sqrt(substeps))).astype(int), n - 1)
        descending = -np.sort(-circle.gradients(sgd[:, k]), axis=0)
        sgd[:, k + 1] = sgd[:, k] - step_size * np.take_along_axis(descending, rank[None], axis=0)[0]
        sde[:, k + 1] = x
    return sgd, sde
