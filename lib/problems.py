"""Data sets: X (n, d), y (n,), and the planted β* where there is one.

Notation. n samples (rows xᵢ), d coordinates, r = Xβ − y the residual, L(β) = ‖r‖²/4n the house loss,
D = diag(XᵀX/n). The sources' own experiment (002, "Numerical illustration"; 003, Fig. 4) is
``sparse_regression(40, 100, 5)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib.records import as_array, as_count, as_data, as_generator

DESIGNS: dict[str, Callable] = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
}


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
    design : {"gaussian", "signs"}
        Law of the entries of X: N(0, 1), or ±1 with equal odds (then every xᵢⱼ² is 1).

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
    if design not in DESIGNS:
        raise ValueError(f"design must be one of {sorted(DESIGNS)}; received {design!r}. Choose one of them.")
    X = DESIGNS[design](as_generator(rng), (n, d))
    beta_star = np.zeros(d)
    beta_star[:sparsity] = 1.0
    return Problem(X, X @ beta_star, beta_star)


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
