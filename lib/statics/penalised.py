"""Penalised fits at finite size: the experiments that learning curves predict.

Notation as in :mod:`lib.statics`: losses are summed, fields are w·v/√d, n samples, d features, R replicas
(fresh data in each). ŵ = argmin Σ g(w·v/√d, y) + (λ/2)‖w‖², g = (y − x)²/2 or log(1 + e^{−yx})."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from lib.ensembles import run_blocks
from lib.records import UNCERTIFIED, Record, as_array, as_count, as_positive

TASKS = ("ridge", "logistic")
GRADIENT = 1e-9
NEWTON_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Fit(Record):
    """One penalised fit with its certificate.

    Parameters
    ----------
    weights : ndarray, shape (d,)
        ŵ.
    gradient : float
        Norm of the objective's gradient at ŵ, relative to its norm at 0.
    iterations : int
        Newton steps; 1 for ridge.
    status : int
        0 when the gradient is at most 1e-9.
    message : str
        What to do otherwise.
    """

    weights: np.ndarray
    gradient: float
    iterations: int


@dataclass(frozen=True, kw_only=True)
class Experiment(Record):
    """Fits on fresh data, R times; compare with :class:`lib.statics.LearningCurve`.

    Parameters
    ----------
    m, q : ndarray, shape (R,)
        κ·w/√d and w·Ωw/d, from the exact moments of the features.
    error : ndarray, shape (R,)
        The population's, label noise not added. Ridge: ρ + q − 2m, exact for any features. Logistic: the
        fraction of wrong labels on fresh samples, or over all items of a data set.
    unseen : ndarray, shape (R,)
        The error over the items of a data set that were not drawn; NaN where none is left. For a population
        without end every further item is unseen, and this is ``error``.
    training : ndarray, shape (R,)
        Mean loss on the training set: (y − x)² or log(1 + e^{−yx}).
    status : ndarray of int, shape (R,)
        0 where the fit is certified.
    message : str
        What to do otherwise.
    """

    m: np.ndarray
    q: np.ndarray
    error: np.ndarray
    unseen: np.ndarray
    training: np.ndarray


def fit(v, y, penalty, *, task="ridge") -> Fit:
    """Minimise Σ g(w·v/√d, y) + (λ/2)‖w‖².

    Ridge by one Cholesky factor, in the smaller of n and d; logistic by Newton's method with step halving,
    which converges from 0 because the objective is strongly convex.

    Parameters
    ----------
    v : array_like, shape (n, d)
        Features.
    y : array_like, shape (n,)
        Labels; ±1 for logistic.
    penalty : float
        λ > 0 on the sum of losses.
    task : {"ridge", "logistic"}
        Which loss.

    Returns
    -------
    Fit
        Weights and relative gradient.

    Raises
    ------
    ValueError
        When shapes do not fit, λ is not positive, the task is unknown or a logistic label is not ±1.

    Examples
    --------
    >>> from lib.statics.penalised import fit
    >>> fit([[1.0]], [2.0], 1.0).weights.round(12).tolist()
    [1.0]
    """
    v, y = as_array("v", v, ndim=2), as_array("y", y, ndim=1)
    penalty = as_positive("penalty", penalty)
    if len(v) != len(y) or not v.size:
        raise ValueError(
            f"y must have one label for each row of v; received {len(y)} for {v.shape}. Match them."
        )
    if task not in TASKS:
        raise ValueError(f"task must be one of {TASKS}; received {task!r}. Choose one of them.")
    if task == "logistic" and not np.all(np.abs(y) == 1):
        raise ValueError(f"Logistic labels must be −1 or 1; received {np.unique(y)[:4]}. Recode them.")
    A = v / np.sqrt(v.shape[1])
    w, iterations = _ridge(A, y, penalty) if task == "ridge" else _logistic(A, y, penalty)
    at_zero = np.linalg.norm(_slope(A, y, np.zeros_like(w), 0.0, task))
    gradient = float(np.linalg.norm(_slope(A, y, w, penalty, task)) / max(at_zero, np.finfo(float).tiny))
    good = gradient <= GRADIENT
    return Fit(
        weights=w,
        gradient=gradient,
        iterations=iterations,
        status=0 if good else UNCERTIFIED,
        message="" if good else f"The gradient is still {gradient:.1e} of its start: use a larger penalty.",
    )


def experiment(
    features, *, samples, penalty, task="ridge", noise_variance=0.0, replicas=1, rng=None, tests=4000
) -> Experiment:
    """Draw training sets, fit, and measure what :func:`lib.statics.covariate_model` predicts.

    Parameters
    ----------
    features : lib.statics.features.Features
        The population.
    samples : int
        n, in each training set; α = n/d.
    penalty : float
        λ > 0 on the sum of losses.
    task : {"ridge", "logistic"}
        Ridge: y = ν + N(0, σ²). Logistic: y = sign ν.
    noise_variance : float
        σ² of ridge's labels.
    replicas : int
        Training sets.
    rng : seed, SeedSequence or Generator, optional
        Randomness.
    tests : int
        Fresh samples for the logistic error of each replica, in a population without end.

    Returns
    -------
    Experiment
        m, q, error over the population and over what was not drawn, training loss of each replica.

    Raises
    ------
    ValueError
        When a size or the penalty is out of range, or the task is unknown.

    Examples
    --------
    >>> from lib.statics.features import gaussian_features
    >>> from lib.statics.penalised import experiment
    >>> features = gaussian_features([1.0] * 20, [0.05**0.5] * 20, rho=1.0)
    >>> run = experiment(features, samples=40, penalty=0.1, rng=0)
    >>> run.error.shape, bool(run.training[0] < 0.1)
    ((1,), True)
    """
    samples, tests = as_count("samples", samples), as_count("tests", tests)
    spread = np.sqrt(as_positive("noise_variance", noise_variance, zero=True))

    def one(rng):
        drawn, others = (
            features.split(rng, samples) if features.split else (features.draw(rng, samples), None)
        )
        v, nu = drawn
        y = nu + spread * rng.standard_normal(samples) if task == "ridge" else _sign(nu)
        found = fit(v, y, penalty, task=task)
        w = found.weights / np.sqrt(features.d)
        m, q = features.alignment @ w, w @ features.covariance @ w
        x = v @ w
        training = ((y - x) ** 2 if task == "ridge" else np.logaddexp(0, -y * x)).mean()
        if task == "ridge":
            error = features.rho + q - 2 * m
        elif others is None:
            error = _missed(w, *features.draw(rng, tests), task)
        else:
            error = _missed(w, *(np.concatenate(pair) for pair in zip(drawn, others, strict=True)), task)
        unseen = error if others is None else _missed(w, *others, task)
        row = {"m": m, "q": q, "error": error, "unseen": unseen, "training": training}
        return row | {"status": found.status}

    def block(drawn):  # one dense factorisation a replica: a loop costs nothing here
        rows = [one(rng) for rng in drawn]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    found = run_blocks(block, rng, replicas)
    message = "" if not found["status"].any() else "Some fits are not certified: use a larger penalty."
    return Experiment(**found, message=message)


def _sign(nu):
    return np.where(nu >= 0, 1.0, -1.0)


def _missed(w, v, nu, task):
    """Mean squared difference from the field for ridge, fraction of wrong signs for logistic."""
    if not len(nu):
        return np.nan
    x = v @ w
    return np.mean((nu - x) ** 2 if task == "ridge" else _sign(x) != _sign(nu))


def _slope(A, y, w, penalty, task):
    """Gradient of the objective."""
    x = A @ w
    return penalty * w - A.T @ (y - x if task == "ridge" else y * expit(-y * x))


def _ridge(A, y, penalty):
    n, d = A.shape
    if n < d:
        return A.T @ cho_solve(cho_factor(A @ A.T + penalty * np.eye(n)), y), 1
    return cho_solve(cho_factor(A.T @ A + penalty * np.eye(d)), A.T @ y), 1


def _logistic(A, y, penalty):
    w = np.zeros(A.shape[1])

    def height(w):
        return np.logaddexp(0, -y * (A @ w)).sum() + penalty / 2 * w @ w

    for iterations in range(1, NEWTON_STEPS + 1):
        s = expit(-y * (A @ w))
        hessian = (A.T * (s * (1 - s))) @ A + penalty * np.eye(len(w))
        slope = _slope(A, y, w, penalty, "logistic")
        move = cho_solve(cho_factor(hessian), slope)
        now = height(w)
        decrement = slope @ move / (1 + now)  # twice what a full step gains, in the quadratic model
        size = 1.0
        if decrement > 1e-8:  # below, full steps converge and the gain is lost in rounding
            size = next((2.0**-j for j in range(30) if height(w - 2.0**-j * move) < now), 2.0**-30)
        w = w - size * move
        if decrement < 1e-24:
            return w, iterations
    return w, NEWTON_STEPS
