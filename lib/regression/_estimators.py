"""Least squares by gradient flow, ridge and their noisy versions: estimators and exact risks.

Notation (003 is Yang's notes, 2025, §5.1). X (n, p) is fixed, y = Xβ₀ + η with Cov η = σ²I, the loss is
‖y − Xβ‖²/2n, flows and descent start at 0. Ŝ = XᵀX/n has eigenvalues s_j and eigenvectors v_j, w_j = v_jᵀβ₀.
Every estimator here multiplies the least-squares coefficients, direction by direction, by a filter:

    gradient flow 1 − e^{−ts},        ridge s/(s + λ),        gradient descent 1 − (1 − εs)^k,

so with remaining = 1 − filter, bias² = Σ w_j²·remaining_j² and variance = (σ²/n) Σ filter_j²/s_j.
Ridge minimises ‖y − Xβ‖²/2n + λ‖β‖²/2, half of (21); gradient flow at time t then goes with λ = 1/t.
In the Bayes risks β₀ ~ (0, (ρ²/p)I), and a = ρ²n/(σ²p) is the signal-to-noise ratio in units of time.
"""

from __future__ import annotations

import numpy as np

from lib.records import as_array, as_coefficients, as_count, as_data, as_positive, as_times
from lib.regression.sampling import DESCENT, FLOW, Risk, sampled_risk
from lib.regression.shrinkage import built, kept, spectrum


def gradient_flow(X, y, t):
    """Gradient flow on ‖y − Xβ‖²/2n from 0: β(t) = (XᵀX)⁺(I − e^{−tXᵀX/n})Xᵀy.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,)
        Labels.
    t : float or array_like, shape (T,)
        Time, at least 0.

    Returns
    -------
    ndarray, shape (p,) or (T, p)
        The coefficients; (24) of 003, Lemma 5.1.

    Raises
    ------
    ValueError
        When t < 0, or X or y is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import gradient_flow
    >>> [round(float(b), 6) for b in gradient_flow([[1.0], [1.0]], [2.0, 2.0], 1.0)]
    [1.264241]
    """
    design, projected = _projected(X, y)
    return (built(design.s, as_times("t", t)[..., None]) * projected) @ design.V.T


def ridge(X, y, penalty):
    """Ridge, the minimiser of ‖y − Xβ‖²/2n + penalty·‖β‖²/2: β = (XᵀX + n·penalty·I)⁻¹Xᵀy.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,)
        Labels.
    penalty : float or array_like, shape (T,)
        λ, at least 0; 0 gives the least-squares solution of least norm.

    Returns
    -------
    ndarray, shape (p,) or (T, p)
        The coefficients; (22) of 003.

    Raises
    ------
    ValueError
        When the penalty is negative, or X or y is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import ridge
    >>> [round(float(b), 6) for b in ridge([[1.0], [1.0]], [2.0, 2.0], 1.0)]
    [1.0]
    """
    design, projected = _projected(X, y)
    return (projected / (design.s + as_times("penalty", penalty)[..., None])) @ design.V.T


def risk_gradient_flow(X, beta0, sigma, t, *, metric=None) -> Risk:
    """Risk of gradient flow at time t: E‖β(t) − β₀‖² over the label noise.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    beta0 : array_like, shape (p,)
        Planted coefficients β₀.
    sigma : float
        Standard deviation of the label noise, at least 0.
    t : float or array_like, shape (T,)
        Time, at least 0.
    metric : array_like, shape (p, p), optional
        Measure the error by ‖·‖²_metric instead: XᵀX/n gives the risk on the sample, the population
        covariance the risk on new data.

    Returns
    -------
    Risk
        Bias² = Σ w_j² e^{−2ts_j}, variance = (σ²/n) Σ (1 − e^{−ts_j})²/s_j, exact to rounding.

    Raises
    ------
    ValueError
        When t < 0, or an input is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import risk_gradient_flow
    >>> round(float(risk_gradient_flow([[1.0], [1.0]], [1.0], 1.0, 1.0).total), 6)
    0.335123
    """
    time = as_times("t", t)[..., None]
    s = (design := spectrum(X)).s
    return _risk(design, beta0, sigma, kept(s, time), built(s, time), metric)


def risk_ridge(X, beta0, sigma, penalty, *, metric=None) -> Risk:
    """Risk of ridge: E‖β − β₀‖² over the label noise.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    beta0 : array_like, shape (p,)
        Planted coefficients β₀.
    sigma : float
        Standard deviation of the label noise, at least 0.
    penalty : float or array_like, shape (T,)
        λ, at least 0.
    metric : array_like, shape (p, p), optional
        Measure the error by ‖·‖²_metric instead of ‖·‖².

    Returns
    -------
    Risk
        Bias² = Σ w_j² (λ/(s_j + λ))², variance = (σ²/n) Σ s_j/(s_j + λ)², exact to rounding.

    Raises
    ------
    ValueError
        When the penalty is negative, or an input is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import risk_ridge
    >>> float(risk_ridge([[1.0], [1.0]], [1.0], 1.0, 1.0).total)
    0.375
    """
    penalty = as_times("penalty", penalty)[..., None]
    s = (design := spectrum(X)).s
    return _risk(design, beta0, sigma, penalty / (s + penalty), 1 / (s + penalty), metric)


def risk_stochastic_flow(
    X, beta0, sigma, step_size, batch_size, t, *, replacement=True, drift=0.0, centred=True
) -> Risk:
    """Risk of stochastic gradient flow (27) at time t, over the label noise and the sampling, exactly.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    beta0 : array_like, shape (p,)
        Planted coefficients β₀.
    sigma : float
        Standard deviation of the label noise, at least 0.
    step_size : float
        ε of the diffusion coefficient Q_ε; below the stability limit.
    batch_size : int
        m, between 1 and n.
    t : float or array_like, shape (T,)
        Time, at least 0.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    drift : float, optional
        The drift is −∇(f + drift·ε|∇f|²): 0 is (27), ¼ agrees with SGD to order ε².
    centred : bool, optional
        False forgets to subtract the mean gradient in Q_ε; wrong, and kept to be compared with.

    Returns
    -------
    Risk
        ``sampling`` is what the noise adds to gradient flow. No Monte Carlo and no time step: exact to
        rounding up to rank 50, to 1e-10 beyond.

    Raises
    ------
    ValueError
        When t < 0, the batch is larger than n, ε reaches the stability limit (the sentence gives it), or an
        input is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import risk_stochastic_flow
    >>> risk = risk_stochastic_flow([[1.0], [2.0]], [1.0], 0.5, 0.1, 1, [0.0, 1.0])
    >>> [round(float(part), 6) for part in risk.total]
    [1.0, 0.054805]
    """
    options = {"replacement": replacement, "drift": drift, "centred": centred}
    return sampled_risk(X, beta0, sigma, step_size, batch_size, as_times("t", t), algorithm=FLOW, **options)


def risk_stochastic_gradient_descent(
    X, beta0, sigma, step_size, batch_size, steps, *, replacement=True, centred=True
) -> Risk:
    """Risk of SGD (25) after a number of steps, over the label noise and the sampling, exactly.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    beta0 : array_like, shape (p,)
        Planted coefficients β₀.
    sigma : float
        Standard deviation of the label noise, at least 0.
    step_size : float
        ε, below the stability limit.
    batch_size : int
        m, between 1 and n; n without replacement is gradient descent.
    steps : int or array_like of int, shape (T,)
        Number of steps; the flow's time is steps·step_size.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    centred : bool, optional
        False forgets to subtract the mean gradient in the covariance; wrong, kept to be compared with.

    Returns
    -------
    Risk
        ``sampling`` is what sampling adds to gradient descent.

    Raises
    ------
    ValueError
        When steps < 0, the batch is larger than n, ε reaches the stability limit (the sentence gives it), or
        an input is empty, not finite or of the wrong shape.
    TypeError
        When steps are not whole numbers.

    Examples
    --------
    >>> from lib.regression import risk_stochastic_gradient_descent
    >>> risk = risk_stochastic_gradient_descent([[1.0], [1.0]], [1.0], 0.0, 0.5, 1, 2)
    >>> round(float(risk.total), 6)
    0.0625
    """
    steps = as_times("steps", steps)
    if (steps != np.rint(steps)).any():
        raise TypeError(
            f"steps must be whole numbers; received {steps}. Pass ints, time divided by step_size."
        )
    options = {"replacement": replacement, "centred": centred}
    return sampled_risk(X, beta0, sigma, step_size, batch_size, steps, algorithm=DESCENT, **options)


def signal_time(n, p, radius, sigma) -> float:
    """Signal-to-noise ratio as a time, a = ρ²n/(σ²p).

    Ridge with λ = 1/a has the least risk, averaged over β₀, of all estimators linear in y.

    Parameters
    ----------
    n, p : int
        Rows and columns of the design.
    radius : float
        ρ, with β₀ ~ (0, (ρ²/p)I).
    sigma : float
        Standard deviation of the label noise.

    Returns
    -------
    float
        The time a; gradient flow stopped there pays at most a factor 1.2147.

    Raises
    ------
    ValueError
        When an argument is not positive.

    Examples
    --------
    >>> from lib.regression import signal_time
    >>> signal_time(20, 5, 1.0, 0.5)
    16.0
    """
    n, p = as_count("n", n), as_count("p", p)
    return as_positive("radius", radius) ** 2 * n / (as_positive("sigma", sigma) ** 2 * p)


def bayes_risk_gradient_flow(X, radius, sigma, t) -> Risk:
    """Risk of gradient flow averaged over β₀ ~ (0, (ρ²/p)I).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    radius : float
        ρ.
    sigma : float
        Standard deviation of the label noise, at least 0.
    t : float or array_like, shape (T,)
        Time, at least 0.

    Returns
    -------
    Risk
        Bias² = (ρ²/p) Σ e^{−2ts_j} over all p directions, variance as in ``risk_gradient_flow``.

    Raises
    ------
    ValueError
        When t < 0, or an input is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import bayes_risk_gradient_flow
    >>> float(bayes_risk_gradient_flow([[1.0], [1.0]], 2.0, 1.0, 0.0).total)
    4.0
    """
    time = as_times("t", t)[..., None]
    s = (design := spectrum(X)).s
    return _bayes_risk(design, radius, sigma, kept(s, time), built(s, time))


def bayes_risk_ridge(X, radius, sigma, penalty) -> Risk:
    """Risk of ridge averaged over β₀ ~ (0, (ρ²/p)I); least at penalty 1/a, where it is (σ²/n) Σ a/(1 + as_j).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    radius : float
        ρ.
    sigma : float
        Standard deviation of the label noise, at least 0.
    penalty : float or array_like, shape (T,)
        λ, at least 0.

    Returns
    -------
    Risk
        Bias² = (ρ²/p) Σ (λ/(s_j + λ))² over all p directions, variance as in ``risk_ridge``.

    Raises
    ------
    ValueError
        When the penalty is negative, or an input is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.regression import bayes_risk_ridge
    >>> round(float(bayes_risk_ridge([[1.0], [1.0]], 1.0, 1.0, 0.5).total), 6)
    0.333333
    """
    penalty = as_times("penalty", penalty)[..., None]
    s = (design := spectrum(X)).s
    return _bayes_risk(design, radius, sigma, penalty / (s + penalty), 1 / (s + penalty))


def _projected(X, y):
    # Vᵀ Xᵀy/n: every estimator is V diag(filter/s) times this
    X, y = as_data(X, y)
    design = spectrum(X)
    return design, np.sqrt(design.s / design.n) * (design.U.T @ y)


def _risk(design, beta0, sigma, remaining, inverse, metric):
    """Risk of the filter 1 − ``remaining`` = s·``inverse``, (..., r)."""
    beta0, sigma = as_coefficients("beta0", beta0, design.p), as_positive("sigma", sigma, zero=True)
    w = design.V.T @ beta0
    error = (beta0 - design.V @ w) + (w * remaining) @ design.V.T  # β₀ − E β̂
    if metric is None:
        squared, cost = (error**2).sum(-1), np.ones(len(w))
    else:
        metric = _as_metric(metric, design.p)
        squared = np.einsum("...i,ij,...j->...", error, metric, error)
        cost = np.einsum("ij,ik,kj->j", design.V, metric, design.V)
    variance = sigma**2 / design.n * (inverse**2 * design.s) @ cost
    return Risk(bias2=squared[()], variance=variance[()])


def _bayes_risk(design, radius, sigma, remaining, inverse):
    radius, sigma = as_positive("radius", radius), as_positive("sigma", sigma, zero=True)
    bias2 = radius**2 / design.p * ((remaining**2).sum(-1) + design.p - len(design.s))
    variance = sigma**2 / design.n * (inverse**2 * design.s).sum(-1)
    return Risk(bias2=bias2[()], variance=variance[()])


def _as_metric(metric, p):
    metric = as_array("metric", metric, ndim=2)
    if metric.shape != (p, p):
        raise ValueError(
            f"metric must have shape ({p}, {p}); received {metric.shape}. Pass a covariance matrix."
        )
    return metric
