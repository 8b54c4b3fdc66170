"""Laws of the rows of X: Gaussian, and what a Gaussian experiment may be broken with.

Every law but the last has entries of mean square 1, so that D = diag(XᵀX/n) is near 1 in every column and
only the shape of the data changes:

    gaussian     N(0, 1), independent
    signs        ±1 with equal odds: every x² is 1
    student      Student's t with 3 degrees of freedom over √3: infinite fourth moment
    correlated   Gaussian rows with covariance 0.7^|j − k| between columns j and k
    uniform      uniform on [0, √3]: positive, so that columns are correlated with a common direction
    scaled       Gaussian columns times 10^u, u uniform on [−½, ½]: mean squares from 0.1 to 10
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lib.records import as_count, as_generator

CORRELATION, DEGREES = 0.7, 3


def sample_design(design, n, d, *, rng=None) -> np.ndarray:
    """Draw X (n, d) from one of the named laws.

    Parameters
    ----------
    design : {"gaussian", "signs", "student", "correlated", "uniform", "scaled"}
        The law, as listed at the top of the module.
    n : int
        Number of rows.
    d : int
        Number of columns.
    rng : seed, SeedSequence or Generator, optional
        Randomness, as ``numpy.random.default_rng`` takes it.

    Returns
    -------
    ndarray, shape (n, d)
        The rows, independent of each other (given the scales, for "scaled").

    Raises
    ------
    ValueError
        When the design is unknown or a size is out of range.
    TypeError
        When a size is not a whole number.

    Examples
    --------
    >>> from lib.problems.designs import sample_design
    >>> sorted(set(sample_design("signs", 20, 3, rng=0).ravel().tolist()))
    [-1.0, 1.0]
    """
    n, d = as_count("n", n), as_count("d", d)
    if design not in DESIGNS:
        raise ValueError(f"design must be one of {sorted(DESIGNS)}; received {design!r}. Choose one of them.")
    return DESIGNS[design](as_generator(rng), (n, d))


def _gaussian(rng, shape):
    return rng.standard_normal(shape)


def _signs(rng, shape):
    return rng.choice([-1.0, 1.0], size=shape)


def _student(rng, shape):
    return rng.standard_t(DEGREES, shape) / np.sqrt(DEGREES / (DEGREES - 2))


def _correlated(rng, shape):
    columns = np.arange(shape[1])
    covariance = CORRELATION ** np.abs(columns[:, None] - columns)
    return rng.standard_normal(shape) @ np.linalg.cholesky(covariance).T


def _uniform(rng, shape):
    return rng.uniform(0.0, np.sqrt(3.0), shape)


def _scaled(rng, shape):
    return rng.standard_normal(shape) * 10 ** rng.uniform(-0.5, 0.5, shape[1])


DESIGNS: dict[str, Callable] = {
    "gaussian": _gaussian,
    "signs": _signs,
    "student": _student,
    "correlated": _correlated,
    "uniform": _uniform,
    "scaled": _scaled,
}
