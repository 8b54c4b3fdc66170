"""Least squares one eigenvalue at a time: what a filter keeps, and how far gradient flow can be from ridge.

Notation (003 is Yang's notes, 2025, Theorem 5.1; Ali, Kolter & Tibshirani 2019). An eigenvalue s of
Ŝ = XᵀX/n and a time t enter only through x = ts. Gradient flow keeps the filter 1 − e^{−x}, ridge with
λ = c/t the filter x/(x + c); c = 1 is the comparison of the theorem. Risks are sums over eigenvalues, so a
bound on the ratio at every x is a bound for every design, and a design with one eigenvalue attains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import exprel, gammainc

from lib.records import as_design, as_positive, as_times


@dataclass(frozen=True)
class Spectrum:
    """A fixed design by its singular values, on its row space.

    Parameters
    ----------
    n, p : int
        Rows and columns of X.
    s : ndarray, shape (r,)
        Non-zero eigenvalues of Ŝ = XᵀX/n, largest first; r is the rank.
    U : ndarray, shape (n, r)
        Left singular vectors.
    V : ndarray, shape (p, r)
        Eigenvectors of Ŝ.

    Examples
    --------
    >>> from lib.regression.shrinkage import spectrum
    >>> spectrum([[1.0, 1.0], [1.0, 1.0]]).V.shape
    (2, 1)
    """

    n: int
    p: int
    s: np.ndarray
    U: np.ndarray
    V: np.ndarray


def spectrum(X) -> Spectrum:
    """Decompose a design: the eigenvalues and eigenvectors of Ŝ = XᵀX/n on the row space of X.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.

    Returns
    -------
    Spectrum
        Singular values below max(n, p)·eps times the largest count as zero.

    Raises
    ------
    ValueError
        When X is empty or not finite.

    Examples
    --------
    >>> from lib.regression.shrinkage import spectrum
    >>> [round(float(s), 6) for s in spectrum([[2.0, 0.0], [0.0, 1.0]]).s]
    [2.0, 0.5]
    """
    X = as_design(X)
    n, p = X.shape
    U, d, Vt = np.linalg.svd(X, full_matrices=False)
    keep = d > max(n, p) * np.finfo(float).eps * d[0]
    return Spectrum(n, p, d[keep] ** 2 / n, U[:, keep], Vt[keep].T)


def kept(rate, clock, step=0.0):
    """What is left of a mode: e^{−rate·t} after the time t, or (1 − step·rate)^k after k steps.

    Parameters
    ----------
    rate : ndarray, shape (..., r)
        Rates of the modes.
    clock : ndarray, shape (..., 1)
        Times, or numbers of steps when ``step`` is not 0.
    step : float, optional
        Step size of the descent, 0 for a flow.

    Returns
    -------
    ndarray, shape (..., r)
        One minus the filter.

    Examples
    --------
    >>> from lib.regression.shrinkage import kept
    >>> kept(1.0, 2, 0.5)
    0.25
    """
    return np.exp(-rate * clock) if step == 0 else (1 - step * rate) ** clock


def built(rate, clock, step=0.0):
    """What has been learned of a mode, over its rate: (1 − kept)/rate, accurate down to rate 0.

    Parameters
    ----------
    rate : ndarray, shape (..., r)
        Rates of the modes, at least 0.
    clock : ndarray, shape (..., 1)
        Times, or numbers of steps when ``step`` is not 0.
    step : float, optional
        Step size of the descent, 0 for a flow.

    Returns
    -------
    ndarray, shape (..., r)
        The filter over the rate; the time itself at rate 0.

    Examples
    --------
    >>> from lib.regression.shrinkage import built
    >>> float(built(0.0, 2.0))
    2.0
    """
    if step == 0:
        return clock * exprel(-rate * clock)
    slow = np.clip(step * rate, 1e-300, 0.5)
    gone = np.where(step * rate < 0.5, -np.expm1(clock * np.log1p(-slow)), 1 - kept(rate, clock, step))
    return gone * step / np.maximum(step * rate, 1e-300)


# --- gradient flow against ridge ---------------------------------------------------------------------


class Extremum(NamedTuple):
    """Where a ratio is extreme, and what it is there.

    Parameters
    ----------
    at : float
        The place.
    value : float
        The ratio.

    Examples
    --------
    >>> from lib.regression.shrinkage import Extremum
    >>> Extremum(1.0, 2.0).value
    2.0
    """

    at: float
    value: float


def bias_ratio(x, *, multiple=1.0):
    """Bias² of gradient flow over bias² of ridge at λ = multiple/t, for one eigenvalue: [e^{−x}(x + c)/c]².

    Parameters
    ----------
    x : float or array_like, shape (T,)
        t·s, at least 0.
    multiple : float, optional
        c in λ = c/t.

    Returns
    -------
    ndarray, shape () or (T,)
        At most 1 for every x exactly when c ≥ 1.

    Raises
    ------
    ValueError
        When x is negative or c is not positive.

    Examples
    --------
    >>> from lib.regression.shrinkage import bias_ratio
    >>> bool(bias_ratio(0.5) < 1 < bias_ratio(0.5, multiple=0.5))
    True
    """
    x, c = as_times("x", x), as_positive("multiple", multiple)
    return (np.exp(-x) * (1 + x / c)) ** 2


def variance_ratio(x, *, multiple=1.0):
    """Variance of gradient flow over that of ridge at λ = multiple/t, for one eigenvalue.

    Parameters
    ----------
    x : float or array_like, shape (T,)
        t·s, at least 0.
    multiple : float, optional
        c in λ = c/t.

    Returns
    -------
    ndarray, shape () or (T,)
        [(1 − e^{−x})(x + c)/x]². For c = 1 it tends to 1 at both ends; its supremum is ``variance_constant``.

    Raises
    ------
    ValueError
        When x is negative or c is not positive.

    Examples
    --------
    >>> from lib.regression.shrinkage import variance_ratio
    >>> float(variance_ratio(0.0))
    1.0
    """
    x, c = as_times("x", x), as_positive("multiple", multiple)
    return (exprel(-x) * (x + c)) ** 2


def bayes_ratio(x, *, multiple=1.0):
    """Risk of gradient flow at t = multiple·a over that of the best ridge: one eigenvalue, mean over β₀.

    Parameters
    ----------
    x : float or array_like, shape (T,)
        a·s with a the ``signal_time``, at least 0.
    multiple : float, optional
        c in t = c·a.

    Returns
    -------
    ndarray, shape () or (T,)
        (1 + x)[e^{−2cx} + (1 − e^{−cx})²/x], never below 1.

    Raises
    ------
    ValueError
        When x is negative or c is not positive.

    Examples
    --------
    >>> from lib.regression.shrinkage import bayes_ratio
    >>> float(bayes_ratio(0.0))
    1.0
    """
    x, c = as_times("x", x), as_positive("multiple", multiple)
    return (1 + x) * (np.exp(-2 * c * x) + x * (c * exprel(-c * x)) ** 2)


def filter_gap(x):
    """How much more gradient flow keeps than ridge at λ = 1/t: (1 − e^{−x}) − x/(1 + x).

    Parameters
    ----------
    x : float or array_like, shape (T,)
        t·s, at least 0.

    Returns
    -------
    ndarray, shape () or (T,)
        Never negative; ``filter_constant`` is its supremum.

    Raises
    ------
    ValueError
        When x is negative.

    Examples
    --------
    >>> from lib.regression.shrinkage import filter_gap
    >>> float(filter_gap(0.0))
    0.0
    """
    x = as_times("x", x)
    return gammainc(2, x) / (1 + x)  # 1 − (1 + x)e^{−x}, without cancellation near 0


def variance_constant() -> Extremum:
    """The sharp constant of Theorem 5.1 (b) and (c), supₓ ``variance_ratio``.

    Returns
    -------
    Extremum
        ``at`` solves 1/(eˣ − 1) + 1/(1 + x) = 1/x to rounding; ``value`` is 1.68591 (printed: 1.6862).

    Examples
    --------
    >>> from lib.regression.shrinkage import variance_constant
    >>> print(f"{variance_constant().value:.5f}")
    1.68591
    """
    x = brentq(lambda x: 1 / np.expm1(x) + 1 / (1 + x) - 1 / x, 0.5, 10.0, xtol=1e-14, rtol=1e-14)
    return Extremum(x, float(variance_ratio(x)))


def filter_constant() -> Extremum:
    """The sharp constant between the paths, supₓ ``filter_gap``.

    ‖β_flow(t) − β_ridge(1/t)‖ is at most this times the norm of the least-squares solution, at every t.

    Returns
    -------
    Extremum
        ``at`` solves eˣ = (1 + x)² to rounding; ``value`` is 0.20363.

    Examples
    --------
    >>> from lib.regression.shrinkage import filter_constant
    >>> print(f"{filter_constant().value:.5f}")
    0.20363
    """
    x = brentq(lambda x: x - 2 * np.log1p(x), 1.0, 10.0, xtol=1e-14, rtol=1e-14)
    return Extremum(x, float(filter_gap(x)))


def bayes_constant(*, multiple=1.0) -> Extremum:
    """The most gradient flow at t = multiple·a can lose to the best ridge, supₓ ``bayes_ratio``.

    Parameters
    ----------
    multiple : float, optional
        c in t = c·a.

    Returns
    -------
    Extremum
        For c = 1 the value is 1.21466 (Ali, Kolter & Tibshirani 2019 print 1.2147).

    Raises
    ------
    ValueError
        When c is not positive.

    Examples
    --------
    >>> from lib.regression.shrinkage import bayes_constant
    >>> print(f"{bayes_constant().value:.5f}")
    1.21466
    """
    multiple = as_positive("multiple", multiple)

    def loss(log_x):
        return -float(bayes_ratio(np.exp(log_x), multiple=multiple))

    # the ratio may have one hump on each side of the x where the two filters cross
    grid = np.linspace(-9.0, 12.0, 400)
    best = grid[np.argmin([loss(z) for z in grid])]
    z = minimize_scalar(loss, bounds=(best - 0.1, best + 0.1), method="bounded", options={"xatol": 1e-9}).x
    return Extremum(float(np.exp(z)), -loss(z))


def best_multiple() -> Extremum:
    """The stopping time t = c·a whose worst case over all designs is least.

    Returns
    -------
    Extremum
        ``at`` is c, 0.457; ``value`` the worst Bayes risk over that of the best ridge, 1.0786.

    Examples
    --------
    >>> from lib.regression.shrinkage import best_multiple
    >>> print(f"{best_multiple().at:.3f} {best_multiple().value:.4f}")
    0.457 1.0786
    """
    found = minimize_scalar(
        lambda c: bayes_constant(multiple=c).value,
        bounds=(0.2, 1.0),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return Extremum(float(found.x), float(found.fun))
