"""How large a step the stochastic flow bears: the theorem's bound, the energy's scale, and counted failures.

Notation (003, Theorem 5.5; Pesme, Pillaud-Vivien & Flammarion 2021, Theorem 1). γ is the step size in the
noise 2√(γL/n), D = diag(XᵀX/n), λ_max the largest eigenvalue of XᵀX/n, p the probability of failure. The
energy V of ``DiffusionRun.energy_defect`` falls on average if γ Σ_j D_j(√(β̃_j² + 4α⁴) + √(β_j² + 4α⁴)) < 2.
Near the interpolator β̃ itself that is γ < γ_c: an order of magnitude, and no theorem.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, binomtest

from lib import bias
from lib.records import as_array, as_coefficients, as_count, as_data, as_design, as_log_alpha

__all__ = ["energy_scale", "failure_interval", "median_interval", "theorem_scale"]


def theorem_scale(X, y, *, log_alpha, failure) -> float:
    """The step size of Theorem 5.5 without its constant: below a constant times this, P(failure) ≤ p.

    [ln(4/p) λ_max max{‖β₁‖₁ ln(‖β₁‖₁/min_i α_i²), ‖α‖₂²}]⁻¹, with β₁ an interpolator of least ℓ₁ norm.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets, not all zero.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights.
    failure : float
        p, above 0 and at most ½.

    Returns
    -------
    float
        A step size γ.

    Raises
    ------
    ValueError
        When p is out of range, y is 0, Xβ = y has no solution, or the arrays do not match.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.diffusions.step_sizes import theorem_scale
    >>> round(1 / theorem_scale([[1.0]], [1.0], log_alpha=np.log(0.1), failure=0.5), 4)  # ln 8 · ln 100
    9.5762
    """
    X, y = as_data(X, y)
    if not 0 < failure <= 0.5:
        raise ValueError(f"failure must be above 0 and at most 0.5; received {failure}. Choose another p.")
    log_alpha = as_log_alpha(log_alpha, X.shape[1])
    norm = np.abs(bias.basis_pursuit(X, y).raise_if_failed().beta).sum()
    if norm == 0:
        raise ValueError("y must not be zero: then β = 0 fits from the start. Pass other targets.")
    largest = np.linalg.norm(X, 2) ** 2 / len(X)
    size = max(norm * (np.log(norm) - 2 * log_alpha.min()), np.exp(2 * log_alpha).sum())
    return float(1 / (np.log(4 / failure) * largest * size))


def energy_scale(X, beta, *, log_alpha) -> float:
    """The step size γ_c = 1/Σ_j D_j √(β_j² + 4α_j⁴) at which the mean energy stops falling near β.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    beta : array_like, shape (d,)
        An interpolator, such as the planted predictor.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights.

    Returns
    -------
    float
        A step size γ.

    Raises
    ------
    ValueError
        When the arrays do not match.

    Examples
    --------
    >>> from lib.diffusions.step_sizes import energy_scale
    >>> round(energy_scale([[1.0, 2.0]], [0.0, 0.5], log_alpha=-20.0), 12)
    0.5
    """
    X = as_design(X)
    beta, log_alpha = as_coefficients("beta", beta, X.shape[1]), as_log_alpha(log_alpha, X.shape[1])
    return float(1 / ((X**2).mean(0) @ np.hypot(beta, 2 * np.exp(2 * log_alpha))))


def failure_interval(failures, runs):
    """Where the probability of failure lies, by the count: the 95 % interval of Clopper and Pearson.

    Exact binomial: for every probability, counts whose interval misses it have probability at most 5 %.

    Parameters
    ----------
    failures : int
        Runs that failed.
    runs : int
        Runs in all.

    Returns
    -------
    low, high : float
        Ends of the interval.

    Raises
    ------
    ValueError
        When the counts are out of range.
    TypeError
        When they are not whole numbers.

    Examples
    --------
    >>> from lib.diffusions.step_sizes import failure_interval
    >>> low, high = failure_interval(0, 60)
    >>> low, round(high, 3)
    (0.0, 0.06)
    """
    runs = as_count("runs", runs)
    failures = as_count("failures", failures, least=0, most=runs)
    interval = binomtest(failures, runs).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def median_interval(values):
    """Where the median of the law lies that some runs are drawn from: the exact 95 % interval by ranks.

    Between the k-th smallest and the k-th largest value, with the largest k for which fewer than k of n fair
    coins show heads with probability at most 2.5 %. No law is assumed, and no scale: the interval of
    the logarithms is the logarithm of the interval.

    Parameters
    ----------
    values : array_like, shape (n,)
        One number a run, at least 6 of them.

    Returns
    -------
    low, high : float
        Ends of the interval.

    Raises
    ------
    ValueError
        When there are fewer than 6 values, or one is not finite.

    Examples
    --------
    >>> from lib.diffusions.step_sizes import median_interval
    >>> median_interval([5.0, 1.0, 4.0, 2.0, 6.0, 3.0])
    (1.0, 6.0)
    """
    values = np.sort(as_array("values", values, ndim=1))
    if len(values) < 6:
        raise ValueError(
            f"values must hold at least 6 runs for a 95 % interval; received {len(values)}. Simulate more."
        )
    k = max(1, int(binom.ppf(0.025, len(values), 0.5)))
    return float(values[k - 1]), float(values[-k])
