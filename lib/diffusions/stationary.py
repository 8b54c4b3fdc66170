"""What label noise leads to: a weighted Lasso in the mean, Gamma laws on its support, decay off it.

Notation (Pillaud-Vivien, Reygner & Flammarion 2022; 000, last part). β = w² (positive) or w₊² − w₋² (two
signs), D = diag(XᵀX/n), γ the step size, labels y ± 2δ; the flow is ``diffusions.label_noise_flow``, and the
derivations stand in the chapter on it. With c = 2γδ²D and g(β) = Xᵀ(Xβ − y)/n let

    β_c = argmin ‖Xβ − y‖²/2n + Σ_j c_j|β_j|    (over β ≥ 0 for the positive network),

S its support, H = X_SᵀX_S/n, P the projection onto the columns of X_S. Then, over a time T,

    on S       β_j ~ Gamma(shape β_c,j/4γδ², scale 4γδ²), independent; time means β_c ± 2δ√(γ/T)·√(H⁻¹)_jj,
    off S      log w_j/T → −(c_j + g_j) ≤ 0, with standard error 2δ√(γ/T)·‖(1 − P)X_j‖/√n,

all up to O(1/T), as long as H is invertible. All weights die if 2γδ² > λ* = max_j (Xᵀy/n)_j/D_j, and
not if it is below.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from lib.bias.penalty import mean_squares, singular, weighted_lasso
from lib.diffusions._diffusions import label_noise_flow
from lib.records import Record, Solution, as_data, as_positive

__all__ = [
    "LabelNoiseLaw",
    "LateMeans",
    "label_noise_law",
    "late_means",
]


@dataclass(frozen=True, kw_only=True)
class LabelNoiseLaw(Solution):
    """The Lasso that label noise solves, with its certificate, and the law of the flow around it.

    Parameters
    ----------
    beta : ndarray, shape (d,)
        β_c, the Lasso solution: what time means tend to.
    dual : ndarray, shape (n,)
        As in ``bias.lasso``, for the columns X_j/c_j and penalty 1.
    residual : float
        Worst violation of the optimality conditions, as there.
    gap : float
        Duality gap over ‖y‖²/2n.
    iterations : int
        Columns that entered the active set.
    status : int
        0 when the gap is at most 1e-10.
    message : str
        What is wrong otherwise.
    penalty : ndarray, shape (d,)
        c = 2γδ²D.
    scale : float
        4γδ², the scale of the Gamma laws.
    support : ndarray of bool, shape (d,)
        S.
    slack : ndarray, shape (d,)
        c + g, or c − |g| for two signs, at β_c: 0 on S, elsewhere the rate at which log w (the larger of
        log w₊ and log w₋) falls.
    rates : ndarray, shape (d,) or (2, d)
        Limit of log w/T, or of log w₊/T and log w₋/T.
    mean_spread : ndarray, shape (d,)
        √T times the standard error of a time mean of β over T; 0 off S, NaN where H is singular.
    rate_spread : ndarray, shape (d,)
        √T times the standard error of log w/T off S; 0 on S, NaN where H is singular.

    Examples
    --------
    >>> from lib.diffusions.stationary import label_noise_law
    >>> law = label_noise_law([[1.0, 2.0]], [1.0], step_size=0.01, label_noise=2.0)
    >>> law.variance.round(4).tolist(), law.shape.round(2).tolist()  # β_c = 0.92 and 0
    ([0.1472, 0.0], [5.75, 0.0])
    """

    penalty: np.ndarray
    scale: float
    support: np.ndarray
    slack: np.ndarray
    rates: np.ndarray
    mean_spread: np.ndarray
    rate_spread: np.ndarray

    @property
    def shape(self) -> np.ndarray:
        """Shape of each Gamma law, |β_c|/4γδ², (d,); below 1 it is piled up at 0, with long excursions."""
        return np.abs(self.beta) / self.scale

    @property
    def variance(self) -> np.ndarray:
        """Variance of each Gamma law, 4γδ²|β_c|, (d,)."""
        return np.abs(self.beta) * self.scale


def label_noise_law(X, y, *, step_size, label_noise, positive=True) -> LabelNoiseLaw:
    """Where the flow with label noise δ goes: the Lasso with penalty 2γδ²ΣD_j|β_j|, and the law around it.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs, no column zero.
    y : array_like, shape (n,)
        Targets.
    step_size : float
        γ.
    label_noise : float
        δ > 0.
    positive : bool, optional
        True is β = w², False the two-signed β = w₊² − w₋².

    Returns
    -------
    LabelNoiseLaw
        The minimiser with its certificate, and the parameters of the law.

    Raises
    ------
    ValueError
        When X or y is not finite, their shapes do not match, a column is zero, or δ or γ is not positive.
    TypeError
        When they are not numbers.

    Examples
    --------
    >>> from lib.diffusions.stationary import label_noise_law
    >>> law = label_noise_law([[1.0, 2.0]], [1.0], step_size=0.01, label_noise=2.0)
    >>> law.beta.round(12).tolist(), law.slack.round(12).tolist()
    ([0.92, 0.0], [0.0, 0.16])
    """
    X, y = as_data(X, y)
    step_size, label_noise = as_positive("step_size", step_size), as_positive("label_noise", label_noise)
    penalty = 2 * step_size * label_noise**2 * mean_squares(X)
    found = weighted_lasso(X, y, penalty, nonnegative=positive)
    g = X.T @ (X @ found.beta - y) / len(y)
    support = found.beta != 0
    slack = np.where(support, 0.0, penalty + g if positive else penalty - np.abs(g))
    rates = -slack if positive else -np.stack([penalty + g, penalty - g])
    inverse, outside = _spreads(X, support)
    size = 2 * label_noise * np.sqrt(step_size)
    return LabelNoiseLaw(
        **vars(found),
        penalty=penalty,
        scale=4 * step_size * label_noise**2,
        support=support,
        slack=slack,
        rates=rates,
        mean_spread=size * inverse,
        rate_spread=size * outside,
    )


@dataclass(frozen=True, kw_only=True)
class LateMeans(Record):
    """Averages of a label-noise flow over [burn_in, burn_in + length]; R paths.

    Parameters
    ----------
    beta : ndarray, shape (R, d)
        Time means of β, by the left-point rule.
    rates : ndarray, shape (R, d) or (R, 2, d)
        Gain of log w, or of log w₊ and log w₋, over the length.
    brownian : ndarray, shape (R, n)
        Gain of B over the length: the average of the noise that was put in.
    last : ndarray, shape (R, d)
        β at the end, which is no average.
    status : ndarray of int, shape (R,)
        0 where the path is finite to the end.
    message : str
        What happened to the others.

    Examples
    --------
    >>> from lib.diffusions.stationary import late_means
    >>> options = dict(log_alpha=0.0, step_size=0.01, label_noise=1.0, dt=0.1, rng=0)
    >>> late_means([[1.0]], [1.0], burn_in=10.0, length=40.0, **options).beta.shape
    (1, 1)
    """

    beta: np.ndarray
    rates: np.ndarray
    brownian: np.ndarray
    last: np.ndarray


def late_means(X, y, *, burn_in, length, **flow) -> LateMeans:
    """Time means of a label-noise flow once the start is forgotten.

    Both ends are states of the same path, so the identity of ``label_noise_flow`` holds between them too: for
    the positive network, exactly and for every dt,

        rates = −Xᵀ(Xβ̄ − y)/n − 2γδ²D + 2δ√(γ/n) Xᵀ brownian.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    burn_in : float
        What is left out, a multiple of dt.
    length : float
        Over which the means are taken, a multiple of dt.
    **flow
        What ``diffusions.label_noise_flow`` takes, without ``horizon`` and ``record``.

    Returns
    -------
    LateMeans
        One row a path.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value, or ``rng`` is a Generator, which could not be read twice.

    Examples
    --------
    >>> from lib.diffusions.stationary import late_means
    >>> options = dict(log_alpha=0.0, step_size=0.01, label_noise=1.0, dt=0.1, rng=0)
    >>> late_means([[1.0]], [1.0], burn_in=20.0, length=2000.0, **options).beta.round(1).tolist()
    [[1.0]]
    """
    burn_in, length = as_positive("burn_in", burn_in), as_positive("length", length)
    seed = flow.pop("rng", None)
    if not isinstance(seed, Integral | np.random.SeedSequence):
        raise TypeError(
            f"rng must be an int or a SeedSequence; received {type(seed).__name__}. The path is run twice."
        )
    steps = np.array([burn_in, length]) / as_positive("dt", flow.get("dt"))
    if np.abs(steps - steps.round()).max() > 1e-6:
        raise ValueError(
            f"burn_in and length must be multiples of dt; received {steps[0]:g} and {steps[1]:g} steps. "
            "Round them."
        )
    ends = burn_in, burn_in + length
    early, whole = (label_noise_flow(X, y, horizon=T, record=2, rng=_copy(seed), **flow) for T in ends)
    return LateMeans(
        beta=(ends[1] * whole.beta_mean - burn_in * early.beta_mean) / length,
        rates=(whole.log_w - early.log_w) / length,
        brownian=(whole.brownian - early.brownian) / length,
        last=whole.beta,
        status=whole.status,
        message=whole.message,
    )


def _copy(seed):
    """The same seed, not yet spawned from."""
    if isinstance(seed, Integral):
        return int(seed)
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key, pool_size=seed.pool_size)


def _spreads(X, support):
    """√(H⁻¹)_jj on the support and ‖(1 − P)X_j‖/√n off it, 0 elsewhere."""
    n, d = X.shape
    inverse, outside = np.zeros(d), np.zeros(d)
    Q, R = np.linalg.qr(X[:, support])
    if support.sum() > n or singular(R):
        return np.where(support, np.nan, 0.0), np.where(support, 0.0, np.nan)
    inverse[support] = np.sqrt(n) * np.linalg.norm(np.linalg.inv(R), axis=1)
    outside[~support] = np.linalg.norm(X - Q @ (Q.T @ X), axis=0)[~support] / np.sqrt(n)
    return inverse, outside
