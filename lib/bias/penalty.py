"""The weighted Lasso that label noise solves: minimiser, largest penalty, recovery of a planted support.

Notation. D = diag(XᵀX/n), H = X_SᵀX_S/n on a support S, g(β) = Xᵀ(Xβ − y)/n. The criterion is

    ‖Xβ − y‖²/2n + λ Σ_j weights_j|β_j|,    weights = D for label noise, which fixes λ = 2γδ²,

over all β, or over β ≥ 0 for the network β = w². It is solved by ``bias.lasso`` in the columns X_j/weights_j.
The irrepresentable condition is that of Zhao & Yu (2006), with these weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.bias._minimise import lasso
from lib.records import Record, Solution, as_coefficients, as_data, as_design

__all__ = ["Recovery", "largest_penalty", "recovery", "weighted_lasso"]

SINGULAR = 1e-10  # of the largest diagonal entry of R in X_S = QR


def weighted_lasso(X, y, weights, *, nonnegative=False) -> Solution:
    """Minimise ‖Xβ − y‖²/(2n) + Σ_j weights_j|β_j|, over all β or over β ≥ 0.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    weights : array_like, shape (d,)
        All greater than 0; 2γδ²D for label noise.
    nonnegative : bool, optional
        Whether β ≥ 0 is asked for.

    Returns
    -------
    Solution
        ``beta`` (d,); ``dual``, ``residual`` and ``gap`` as in ``bias.lasso``, for the columns X_j/weights_j
        and penalty 1, the same minimum.

    Raises
    ------
    ValueError
        When an array is not finite, the shapes do not match, or a weight is not greater than 0.

    Examples
    --------
    >>> from lib.bias.penalty import weighted_lasso
    >>> weighted_lasso([[1.0, 2.0]], [1.0], [0.1, 0.4]).beta.round(12).tolist()
    [0.9, 0.0]
    """
    X, y = as_data(X, y)
    weights = _as_weights(weights, X.shape[1])
    found = lasso(X / weights, y, 1.0, nonnegative=nonnegative)
    return Solution(**vars(found) | {"beta": found.beta / weights})


def largest_penalty(X, y, *, positive=True) -> float:
    """λ* = max_j (Xᵀy/n)_j/D_j: with 2γδ² above it all weights die, below it some live.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs, no column zero.
    y : array_like, shape (n,)
        Targets.
    positive : bool, optional
        True is β = w²; False the two-signed network, with |Xᵀy|.

    Returns
    -------
    float
        λ*, at least 0.

    Raises
    ------
    ValueError
        When X or y is not finite, their shapes do not match, or a column is zero.

    Examples
    --------
    >>> from lib.bias.penalty import largest_penalty
    >>> largest_penalty([[1.0, 0.5]], [1.0])
    2.0
    """
    X, y = as_data(X, y)
    slope = X.T @ y / len(y) / mean_squares(X)
    return float(max(0.0, slope.max() if positive else np.abs(slope).max()))


@dataclass(frozen=True, kw_only=True)
class Recovery(Record):
    """Whether a small penalty finds the support of a planted β*, from y = Xβ*.

    Parameters
    ----------
    overlap : ndarray, shape (d,)
        v_j = X_jᵀX_S(X_SᵀX_S)⁻¹(D_S s)/D_j off the support, s the signs of β*; NaN on it.
    worst : float
        max v_j, or max |v_j| for two signs; −inf without a coordinate off the support.
    limit : float
        Up to this penalty λ the Lasso has the planted signs and nothing else, if ``worst`` ≤ 1.
    status : int
        0.
    message : str
        Empty.

    Examples
    --------
    >>> from lib.bias.penalty import Recovery
    >>> Recovery(overlap=[0.5], worst=0.5, limit=1.0).holds
    True
    """

    overlap: np.ndarray
    worst: float
    limit: float

    @property
    def holds(self) -> bool:
        """Irrepresentable condition, with room: ``worst`` < 1."""
        return self.worst < 1


def recovery(X, beta_star, *, weights=None, positive=True) -> Recovery:
    """The irrepresentable condition of the Lasso with penalty λΣ_j weights_j|β_j|, and how far it reaches.

    For y = Xβ* and 0 < λ ≤ ``limit`` the minimiser on S is β*_S − λH⁻¹(D_S s), and the slack off S is
    λD_j(1 − v_j), or λD_j(1 − |v_j|): so v_j < 1 decides, and says how fast label noise removes coordinate j.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    beta_star : array_like, shape (d,)
        The planted predictor; not 0, and ≥ 0 if positive.
    weights : array_like, shape (d,), optional
        D unless given.
    positive : bool, optional
        True is β = w², False the two-signed network.

    Returns
    -------
    Recovery
        v, its worst entry and the largest penalty it speaks about.

    Raises
    ------
    ValueError
        When shapes or signs do not match, or the columns of the support depend on each other.

    Examples
    --------
    >>> from lib.bias.penalty import recovery
    >>> recovery([[1.0, 0.5], [0.0, 1.0]], [1.0, 0.0]).overlap.tolist()
    [nan, 0.4]
    """
    X = as_design(X)
    beta_star = as_coefficients("beta_star", beta_star, X.shape[1])
    weights = mean_squares(X) if weights is None else _as_weights(weights, X.shape[1])
    if not beta_star.any() or (positive and beta_star.min() < 0):
        raise ValueError(
            "beta_star must not be 0, and at least 0 everywhere for the positive network; received values "
            f"from {beta_star.min()} to {beta_star.max()}. Pass positive=False for two signs."
        )
    on = beta_star != 0
    Q, R = np.linalg.qr(X[:, on])
    if on.sum() > len(X) or singular(R):
        raise ValueError(
            f"the {on.sum()} columns of the support must be independent; received some that are not. "
            "Take a sparser beta_star or more rows."
        )
    signs, n = np.sign(beta_star[on]), len(X)
    force = np.linalg.solve(R.T, weights[on] * signs)
    overlap = np.where(on, np.nan, X.T @ (Q @ force) / weights)
    move = signs * n * np.linalg.solve(R, force)
    off = overlap[~on] if positive else np.abs(overlap[~on])
    reach = np.abs(beta_star[on])[move > 0] / move[move > 0]
    return Recovery(
        overlap=overlap, worst=float(off.max(initial=-np.inf)), limit=float(reach.min(initial=np.inf))
    )


def mean_squares(X):
    """D, or a sentence when a column is zero: its weight never moves."""
    D = (X**2).mean(0)
    if not D.all():
        raise ValueError(
            f"X must have no zero column; received zeros in column {int(D.argmin())}. "
            "Remove it: its weight never moves."
        )
    return D


def _as_weights(weights, d):
    weights = as_coefficients("weights", weights, d)
    if weights.min() <= 0:
        raise ValueError(f"weights must be greater than 0; received {weights.min()}. Remove free columns.")
    return weights


def singular(R):
    sizes = np.abs(R.diagonal())
    return sizes.min(initial=np.inf) <= SINGULAR * sizes.max(initial=0.0)
