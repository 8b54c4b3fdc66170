"""When least ℓ₁ finds the planted predictor, how small a start gradient flow needs for that, and how sure.

Notation (slides, "Numerical illustration"). β* ∈ ℝᵈ has k entries other than 0, on the support S, with signs
s; y = Xβ*. β* is the only solution of least ℓ₁ norm exactly when the columns X_S are independent and some
p ∈ ℝⁿ has X_Sᵀp = s and |x_jᵀp| < 1 off the support. The least possible μ = max |x_jᵀp| off the support is
here the *slack value*. It also sets the speed: as α → 0 the dual solution over log(1/α) tends to the p with
that μ, since ½Σα²cosh is least there; entries off the support are then of size α^{2(1−μ)}, and ‖β_α − β*‖
falls with that power of α. For Gaussian X the transition sits near n = δ(k, d), the statistical dimension of
the descent cone of ‖·‖₁ at β* (Amelunxen, Lotz, McCoy & Tropp 2014).
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

from lib.bias import _minimise
from lib.ensembles import streams
from lib.problems import sparse_regression
from lib.records import as_array, as_coefficients, as_count, as_design, as_positive

__all__ = ["distances", "half_way", "proportion_interval", "slack", "statistical_dimension"]


def distances(n, d, sparsity, log_alpha, *, draws, rng=None) -> tuple[np.ndarray, np.ndarray]:
    """How far least ℓ₁ and the flow's limits for several α end from β*, on fresh Gaussian data each time.

    Parameters
    ----------
    n, d, sparsity : int
        As for ``problems.sparse_regression``: β* is 1 on its first ``sparsity`` coordinates.
    log_alpha : array_like, shape (A,)
        log α of each limit, argmin φ_α; empty when only least ℓ₁ is asked for.
    draws : int
        How many data sets.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; draw number i does not depend on how many follow.

    Returns
    -------
    pursuit : ndarray, shape (draws,)
        ‖β − β*‖/‖β*‖ of basis pursuit.
    limits : ndarray, shape (draws, A)
        The same of the minimiser of φ_α under Xβ = y.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value, or sparsity is 0.
    RunFailed
        When a solver's certificate does not hold.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.bias.support import distances
    >>> pursuit, limits = distances(20, 40, 2, np.log([1.0, 1e-6]), draws=2, rng=0)
    >>> bool((pursuit < 1e-10).all()), bool((limits[:, 1] < 1e-3).all()), bool((limits[:, 0] > 0.1).all())
    (True, True, True)
    """
    d, sparsity = as_count("d", d), as_count("sparsity", sparsity)
    log_alpha = as_array("log_alpha", log_alpha, ndim=1)
    levels, size = np.tile(log_alpha[:, None], (1, d)), np.sqrt(sparsity)
    pursuit, limits = np.empty(as_count("draws", draws)), np.empty((draws, len(log_alpha)))
    for k, stream in enumerate(streams(rng, draws)):
        problem = sparse_regression(n, d, sparsity, rng=stream)
        found = _minimise.basis_pursuit(problem.X, problem.y).raise_if_failed()
        pursuit[k] = problem.squared_distance(found.beta) ** 0.5 / size
        if len(levels):
            found = _minimise.minimise_many(levels, problem.X, problem.y).raise_if_failed()
            limits[k] = problem.squared_distance(found.beta) ** 0.5 / size
    return pursuit, limits


def slack(X, beta_star, *, nonnegative=False) -> float:
    """Least μ with X_Sᵀp = sign(β*_S) and |x_jᵀp| ≤ μ off the support: where it is below 1, β* is found.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    beta_star : array_like, shape (d,)
        The planted predictor; only its signs matter.
    nonnegative : bool, optional
        Whether only β ≥ 0 compete: then x_jᵀp ≤ μ is asked for, without a lower bound.

    Returns
    -------
    float
        μ; infinite when the signs cannot be met or X_S has dependent columns, where several β fit on S alone;
        negative infinite when β* has no zero entry and X_S independent columns.

    Raises
    ------
    ValueError
        When an argument is not finite, the shapes do not match, or β* is 0, or negative where β ≥ 0.

    Examples
    --------
    >>> from lib.bias.support import slack
    >>> round(slack([[1.0, 2.0]], [0.0, 1.0]), 12), round(slack([[1.0, 2.0]], [1.0, 0.0]), 12)
    (0.5, 2.0)
    """
    X = as_design(X)
    beta_star = as_coefficients("beta_star", beta_star, X.shape[1])
    support = beta_star != 0
    if not support.any() or (nonnegative and (beta_star < 0).any()):
        raise ValueError(
            "beta_star must have an entry other than 0, and none below 0 if nonnegative; received "
            f"{np.count_nonzero(support)} such entries, the least {beta_star.min():g}. Plant something else."
        )
    inside, outside = X[:, support], X[:, ~support]
    if np.linalg.matrix_rank(inside) < inside.shape[1]:
        return np.inf
    if outside.shape[1] == 0:
        return -np.inf
    ones = np.ones((outside.shape[1], 1))
    bounds = np.hstack([outside.T, -ones])
    if not nonnegative:
        bounds = np.vstack([bounds, np.hstack([-outside.T, -ones])])
    found = optimize.linprog(
        np.append(np.zeros(len(X)), 1.0),
        A_ub=bounds,
        b_ub=np.zeros(len(bounds)),
        A_eq=np.hstack([inside.T, np.zeros((inside.shape[1], 1))]),
        b_eq=np.sign(beta_star[support]),
        bounds=[(None, None)] * len(X) + [(None if nonnegative else 0.0, None)],
    )
    return -np.inf if found.status == 3 else float(found.fun) if found.success else np.inf


def statistical_dimension(d, sparsity, *, nonnegative=False) -> float:
    """How many Gaussian samples least ℓ₁ needs for a β* with k nonzeros: δ = min over τ ≥ 0 of a sum.

    k(1 + τ²) + (d − k) E[(|g| − τ)₊²] with g ~ N(0, 1); with β ≥ 0 known, E[(g − τ)₊²] instead
    (Amelunxen, Lotz, McCoy & Tropp 2014, Proposition 4.5). The chance of success crosses ½ near n = δ.

    Parameters
    ----------
    d : int
        Number of coordinates.
    sparsity : int
        k, between 1 and d.
    nonnegative : bool, optional
        Whether only β ≥ 0 compete.

    Returns
    -------
    float
        δ, between k and d; at most 2√(d/k) above the exact statistical dimension.

    Raises
    ------
    ValueError
        When a size is out of range.

    Examples
    --------
    >>> from lib.bias.support import statistical_dimension
    >>> round(statistical_dimension(100, 5), 2), round(statistical_dimension(100, 5, nonnegative=True), 2)
    (20.39, 16.71)
    """
    d = as_count("d", d)
    k = as_count("sparsity", sparsity, most=d)
    sides = 1 if nonnegative else 2

    def bound(tau):
        beyond = (1 + tau * tau) * stats.norm.sf(tau) - tau * stats.norm.pdf(tau)
        return k * (1 + tau * tau) + (d - k) * sides * beyond

    least = optimize.minimize_scalar(bound, bounds=(0.0, 2 + np.sqrt(2 * np.log(d / k))), method="bounded")
    return float(min(least.fun, bound(0.0)))


def proportion_interval(successes, trials, *, level=0.95) -> tuple[np.ndarray, np.ndarray]:
    """Clopper–Pearson interval for a probability: it holds the truth at least as often as ``level`` says.

    Parameters
    ----------
    successes : int or array_like of int
        How often it happened.
    trials : int or array_like of int
        How often it was tried.
    level : float, optional
        Coverage, below 1.

    Returns
    -------
    low, high : ndarray
        Ends of the interval.

    Raises
    ------
    ValueError
        When there are no trials, more successes than trials, or a level outside (0, 1).

    Examples
    --------
    >>> from lib.bias.support import proportion_interval
    >>> [round(float(end), 4) for end in proportion_interval(60, 60)]
    [0.9404, 1.0]
    """
    k, n = np.broadcast_arrays(np.asarray(successes), np.asarray(trials))
    level = as_positive("level", level)
    if level >= 1 or (n < 1).any() or (k < 0).any() or (k > n).any():
        raise ValueError(
            "trials must be at least 1, successes between 0 and trials, level below 1; received "
            f"{successes!r:.40}, {trials!r:.40}, {level}. Count again."
        )
    side = (1 - level) / 2
    low = np.where(k > 0, stats.beta.ppf(side, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.ppf(1 - side, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


def half_way(x, successes, trials) -> tuple[float, float]:
    """Where a rising chance of success crosses ½: logistic fit of most likelihood, with its standard error.

    Parameters
    ----------
    x : array_like, shape (T,)
        What the chance depends on, such as the number of samples.
    successes : array_like of int, shape (T,)
        How often it happened at each.
    trials : array_like of int, shape (T,), or int
        How often it was tried.

    Returns
    -------
    centre, error : float
        The crossing, and its standard error from the observed information.

    Raises
    ------
    ValueError
        When the shapes do not fit, or nothing changes: all fail or all succeed.

    Examples
    --------
    >>> from lib.bias.support import half_way
    >>> centre, error = half_way([1, 2, 3, 4, 5], [0, 5, 20, 35, 40], 40)
    >>> round(centre, 6), round(error, 2)
    (3.0, 0.11)
    """
    x = np.asarray(x, dtype=np.float64)
    k, n = (np.broadcast_to(np.asarray(v, dtype=np.float64), x.shape) for v in (successes, trials))
    if x.ndim != 1 or len(x) < 2 or (k < 0).any() or (k > n).any() or not 0 < k.sum() < n.sum():
        raise ValueError(
            f"successes must be counts, some but not all of trials, for at least two x; received {k.sum():g} "
            f"of {n.sum():g} at {x.size} x. Choose x on both sides of the transition."
        )

    def minus_log_likelihood(theta):
        t = (x - theta[0]) * np.exp(theta[1])
        return (k * np.logaddexp(0, -t) + (n - k) * np.logaddexp(0, t)).sum()

    start = [np.average(x, weights=np.abs(np.gradient(k / n, x)) + 1e-9), np.log(4 / np.ptp(x))]
    centre, rate = optimize.minimize(minus_log_likelihood, start, method="Nelder-Mead", tol=1e-10).x
    slope, chance = np.exp(rate), 1 / (1 + np.exp(-(x - centre) * np.exp(rate)))
    weight = n * chance * (1 - chance)
    z = np.stack([np.full_like(x, -slope), x - centre])
    return float(centre), float(np.sqrt(np.linalg.inv((z * weight) @ z.T)[0, 0]))
