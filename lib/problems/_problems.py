"""Data sets: X (n, d), y (n,), and the planted β* where there is one.

Notation. n samples (rows xᵢ), d coordinates, r = Xβ − y the residual, L(β) = ‖r‖²/4n the house loss,
D = diag(XᵀX/n). The sources' own experiment (002, "Numerical illustration"; 003, Fig. 4) is
``sparse_regression(40, 100, 5)``. Their toy for generalisation (002, "Toy examples") is ``fourier_features``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib.problems.designs import sample_design
from lib.records import as_array, as_coefficients, as_count, as_data, as_generator, as_positive


@dataclass(frozen=True)
class Problem:
    """A least-squares problem Xβ = y, validated.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs, one row a sample.
    y : array_like, shape (n,)
        Targets.
    beta_star : array_like, shape (d,), optional
        The predictor that was planted, when it is known.

    Raises
    ------
    ValueError
        When X or y is empty, not finite, or of the wrong shape.
    TypeError
        When they are not numbers.

    Examples
    --------
    >>> from lib.problems import Problem
    >>> Problem([[1.0, 2.0]], [1.0]).D.tolist()
    [1.0, 4.0]
    """

    X: np.ndarray
    y: np.ndarray
    beta_star: np.ndarray | None = None

    def __post_init__(self):
        X, y = as_data(self.X, self.y)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", y)
        if self.beta_star is not None:
            beta_star = as_array("beta_star", self.beta_star, ndim=1)
            if beta_star.shape != (X.shape[1],):
                raise ValueError(
                    f"beta_star must have one entry for each of the {X.shape[1]} columns of X; received "
                    f"{beta_star.shape[0]}. Match their lengths."
                )
            object.__setattr__(self, "beta_star", beta_star)

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.X.shape[0]

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return self.X.shape[1]

    @cached_property
    def D(self) -> np.ndarray:
        """Diagonal of XᵀX/n, shape (d,): the mean square of each column."""
        return (self.X**2).mean(axis=0)

    def loss(self, beta):
        """House loss L(β) = ‖Xβ − y‖²/4n.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictors.

        Returns
        -------
        ndarray, shape (...)
            One loss for each.
        """
        residual = as_array("beta", beta) @ self.X.T - self.y
        return (residual**2).sum(-1) / (4 * self.n)

    def squared_distance(self, beta):
        """‖β − β*‖²; for x ~ N(0, I) this is four times the house test loss.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictors.

        Returns
        -------
        ndarray, shape (...)
            One squared distance for each.

        Raises
        ------
        ValueError
            When the problem has no planted β*.
        """
        if self.beta_star is None:
            raise ValueError(
                "beta_star is None: these data have no planted predictor. Compare with another β instead."
            )
        return ((as_array("beta", beta) - self.beta_star) ** 2).sum(-1)


def sparse_regression(n, d, sparsity, *, rng=None, design="gaussian") -> Problem:
    """Noiseless sparse regression: y = Xβ*, β* = 1 on its first ``sparsity`` coordinates, 0 elsewhere.

    Parameters
    ----------
    n : int
        Number of samples.
    d : int
        Number of coordinates.
    sparsity : int
        Number of ones in β*, between 0 and d.
    rng : seed, SeedSequence or Generator, optional
        Randomness of X, as ``numpy.random.default_rng`` takes it.
    design : {"gaussian", "signs", "student", "correlated", "uniform", "scaled"}
        Law of the rows of X, see ``lib.problems.designs``: N(0, 1), ±1 with equal odds (then every xᵢⱼ² is
        1), and
        others.

    Returns
    -------
    Problem
        X (n, d), y (n,), beta_star (d,).

    Raises
    ------
    ValueError
        When a size is out of range or the design is unknown.
    TypeError
        When a size is not a whole number.

    References
    ----------
    Pesme, Pillaud-Vivien and Flammarion (2021), section "Experimental setup": n = 40, d = 100, sparsity 5.

    Examples
    --------
    >>> from lib.problems import sparse_regression
    >>> problem = sparse_regression(40, 100, 5, rng=1)
    >>> problem.X.shape, int(problem.beta_star.sum())
    ((40, 100), 5)
    """
    n, d = as_count("n", n), as_count("d", d)
    sparsity = as_count("sparsity", sparsity, least=0, most=d)
    X = sample_design(design, n, d, rng=rng)
    beta_star = np.zeros(d)
    beta_star[:sparsity] = 1.0
    return Problem(X, X @ beta_star, beta_star)


@dataclass(frozen=True, kw_only=True)
class FourierProblem(Problem):
    """Noiseless regression of a trigonometric polynomial on [0, 1); made by ``fourier_features``.

    Parameters
    ----------
    X, y, beta_star : ndarray, shapes (n, d), (n,), (d,)
        As in ``Problem``; β* in the coordinates of the scaled features.
    points : array_like, shape (n,)
        Where the function was sampled: X = features(points).
    decay : float
        Exponent p ≥ 0: the features of frequency i are divided by iᵖ.

    Examples
    --------
    >>> from lib.problems import fourier_features
    >>> problem = fourier_features(3, 4, decay=1.0, coefficients=[1.0, 0.0, 0.0, 0.0], rng=0)
    >>> problem.frequencies.tolist()
    [1, 1, 2, 2]
    """

    points: np.ndarray
    decay: float

    @property
    def frequencies(self) -> np.ndarray:
        """Frequency i of each coordinate, shape (d,): 1, 1, 2, 2, …, d/2, d/2."""
        return np.repeat(np.arange(1, self.d // 2 + 1), 2)

    def features(self, x):
        """φ(x) = (i⁻ᵖ cos 2πix, i⁻ᵖ sin 2πix) for i = 1 … d/2; the function of β is φ(x)·β.

        Parameters
        ----------
        x : array_like, shape (...)
            Points; the functions have period 1.

        Returns
        -------
        ndarray, shape (..., d)
            Cosine and sine of each frequency side by side.
        """
        return _waves(as_array("x", x), self.d, self.decay)

    def test_error(self, beta):
        """Normalised test error ∫₀¹ (φ·β − φ·β*)² dx / ∫₀¹ (φ·β*)² dx; predicting 0 has error 1.

        By Parseval's identity it is Σ i⁻²ᵖ(β − β*)² / Σ i⁻²ᵖβ*²: exact, without a grid.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictors.

        Returns
        -------
        ndarray, shape (...)
            One error for each.
        """
        weights = self.frequencies ** (-2.0 * self.decay)
        missed = as_array("beta", beta) - self.beta_star
        return (weights * missed**2).sum(-1) / (weights * self.beta_star**2).sum()


def fourier_features(n, d, *, coefficients, decay=0.0, rng=None) -> FourierProblem:
    """Noiseless samples of a planted trigonometric polynomial, y_k = φ(x_k)·β*, x_k uniform on [0, 1).

    The features are φ(x) = (i⁻ᵖ cos 2πix, i⁻ᵖ sin 2πix), i = 1 … d/2, with p the ``decay``.

    Parameters
    ----------
    n : int
        Number of samples.
    d : int
        Number of features, even: a cosine and a sine of each frequency, side by side.
    coefficients : array_like, shape (d,)
        β*, in the scaled features: the function planted is φ(x)·β*. Not all 0.
    decay : float, optional
        p ≥ 0: 1 on the slides' first page on it, 0 for features of equal size.
    rng : seed, SeedSequence or Generator, optional
        Randomness of the points, as ``numpy.random.default_rng`` takes it.

    Returns
    -------
    FourierProblem
        X (n, d), y (n,), beta_star (d,), points (n,); ``features`` and ``test_error`` are its methods.

    Raises
    ------
    ValueError
        When a size is out of range, d is odd, p is negative, or β* is 0, not finite, or of the wrong length.
    TypeError
        When a size is not a whole number.

    References
    ----------
    Pesme's slides, "Toy examples: implicit bias doesn't explain (on its own) generalisation".

    Examples
    --------
    >>> import numpy as np
    >>> from lib.problems import fourier_features
    >>> problem = fourier_features(20, 100, decay=1.0, coefficients=np.eye(100)[4], rng=0)
    >>> problem.X.shape, float(problem.test_error(np.zeros(100)))
    ((20, 100), 1.0)
    """
    n, d = as_count("n", n), as_count("d", d, least=2)
    if d % 2:
        raise ValueError(
            f"d must be even, a cosine and a sine of each frequency; received {d}. Take {d + 1}."
        )
    decay, beta_star = (
        as_positive("decay", decay, zero=True),
        as_coefficients("coefficients", coefficients, d),
    )
    if not beta_star.any():
        raise ValueError(
            "coefficients must not all be 0: the test error is relative to them; received zeros. Plant one."
        )
    points = as_generator(rng).random(n)
    X = _waves(points, d, decay)
    return FourierProblem(X, X @ beta_star, beta_star, points=points, decay=decay)


def _waves(x, d, decay):
    i = np.arange(1, d // 2 + 1)
    angle = 2 * np.pi * x[..., None] * i
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * i[:, None] ** -decay
    return waves.reshape(*x.shape, d)


def from_arrays(X, y) -> Problem:
    """A reader's own data, validated.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs; lists and data frames of numbers are welcome.
    y : array_like, shape (n,)
        Targets; a column of shape (n, 1) is flattened.

    Returns
    -------
    Problem
        The same numbers as float64, without a planted β*.

    Raises
    ------
    ValueError
        When X or y is empty, not finite, or of the wrong shape.
    TypeError
        When they are not numbers.

    Examples
    --------
    >>> from lib.problems import from_arrays
    >>> from_arrays([[1, 2]], [1]).d
    2
    """
    y = as_array("y", y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    return Problem(X, y)
