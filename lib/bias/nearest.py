"""The solution nearest to the start in the weights, beside the one that gradient flow picks there.

Notation (slides, "Implicit bias of the gradient flow": min ‖u − α1‖² + ‖v‖² ≠ min φ_α). In the house weights
the squared distance ‖w₊ − α‖² + ‖w₋ − α‖² to the start, minimised over the weights with w₊² − w₋² = β, is a
sum over coordinates: w₊ = α/(1 − λ), w₋ = α/(1 + λ) with −1 < λ < 1, so

    β = 4α²λ/(1 − λ²)²,    h_α(β) = 2α²λ²(1 + λ²)/(1 − λ²)²,    ∇h_α(β) = λ,    h*_α(λ) = 2α²λ²/(1 − λ²).

h is strictly convex: the nearest weights minimise a potential under Xβ = y, as the flow does; another one.
For a product u ⊙ v the distance is twice this, with u₀ = 2α.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.bias._equations import inconsistent, infeasible, judged
from lib.records import Solution, as_array, as_data, as_log_alpha

SMALLEST = np.log(1e-5)  # of α/√size: below it 1 − λ keeps too few digits in a floating-point λ
STEPS = 400


@dataclass(frozen=True)
class NearestWeights:
    """h_α(β), the least ‖w₊ − α‖² + ‖w₋ − α‖² over weights with w₊² − w₋² = β.

    For β far above α² it is |β| − 2α√|β| + …, for β far below β²/8α².

    Parameters
    ----------
    log_alpha : float or array_like, shape (d,)
        log α of the start.

    Raises
    ------
    ValueError
        When log α is not finite, or has more than one dimension.

    Examples
    --------
    >>> from lib.bias.nearest import NearestWeights
    >>> h = NearestWeights(0.0)  # from w± = 1 the weights (2, 2/3) are the nearest with 4 − 4/9
    >>> round(float(h.mirror([4 - 4 / 9])[0]), 12), round(float(h.value([4 - 4 / 9])), 12)
    (0.5, 1.111111111111)
    """

    log_alpha: float | np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "log_alpha", as_array("log_alpha", self.log_alpha, ndim=(0, 1)))

    def value(self, beta):
        """h_α(β), summed over the last axis.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor.

        Returns
        -------
        ndarray, shape (...)
            The squared distance.
        """
        beta, square = self._pair("beta", beta)
        s = _reciprocal(beta, square)  # λ² = 1 − 1/s, and s − 1 = (β/4α²)²/s³ without cancellation
        return (beta**2 / (8 * square) * (2 * s - 1) / s**3).sum(-1)

    def mirror(self, beta):
        """∇h_α(β) = λ, between −1 and 1.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor.

        Returns
        -------
        ndarray, shape (..., d)
            Mirror coordinates.
        """
        beta, square = self._pair("beta", beta)
        return beta / (4 * square * _reciprocal(beta, square) ** 2)

    def inverse_mirror(self, z):
        """∇h*_α(λ) = 4α²λ/(1 − λ²)², the inverse of ``mirror``.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates, between −1 and 1.

        Returns
        -------
        ndarray, shape (..., d)
            Predictor β.
        """
        z, square = self._inside(z)
        return 4 * square * z / ((1 - z) * (1 + z)) ** 2

    def conjugate(self, z):
        """h*_α(λ) = 2 Σⱼ αⱼ²λⱼ²/(1 − λⱼ²), summed over the last axis.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates, between −1 and 1.

        Returns
        -------
        ndarray, shape (...)
            The conjugate.
        """
        z, square = self._inside(z)
        return (2 * square * z**2 / ((1 - z) * (1 + z))).sum(-1)

    def _pair(self, name, value):
        value = as_array(name, value)
        if value.ndim == 0:
            raise ValueError(
                f"{name} must have coordinates on its last axis; received the number {value}. Pass [value]."
            )
        return value, np.exp(2 * as_log_alpha(self.log_alpha, value.shape[-1]))

    def _inside(self, z):
        z, square = self._pair("z", z)
        if (np.abs(z) >= 1).any():
            raise ValueError(
                f"z must be between −1 and 1; received {np.abs(z).max()}. No β has this mirror coordinate."
            )
        return z, square


def nearest_weights(log_alpha, X, y) -> Solution:
    """The β of the weights nearest to w± = α among all that fit the data: argmin { h_α(β) : Xβ = y }.

    Damped Newton in the n-dimensional dual, a last step in the primal.

    Parameters
    ----------
    log_alpha : float or array_like, shape (d,)
        log α of the start.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.

    Returns
    -------
    Solution
        ``beta`` (d,); ``dual`` (n,) with ∇h(beta) = Xᵀ dual; ``residual`` ‖Xβ − y‖/‖y‖; ``gap``, the duality
        gap over h(beta); ``status`` 0, INFEASIBLE or UNCERTIFIED.

    Raises
    ------
    ValueError
        When an array is not finite, shapes do not match, or α < 1e-5·√max|β| of the least-norm solution.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.bias.nearest import nearest_weights
    >>> nearest_weights(np.log(0.25), [[1.0, 2.0]], [1.0]).beta.round(4).tolist()
    [0.0986, 0.4507]
    """
    X, y = as_data(X, y)
    d = X.shape[1]
    log_alpha = as_log_alpha(log_alpha, d)
    least = np.linalg.lstsq(X, y)[0]
    defect = np.linalg.norm(X @ least - y) / (np.linalg.norm(y) or 1.0)
    if defect > 1e-10:
        return infeasible(X, defect, inconsistent(defect))
    if not y.any():
        return judged(X, y, np.zeros(d), np.zeros(len(y)), 0.0, 0)
    smallest = SMALLEST + np.log(np.abs(least).max()) / 2
    if log_alpha.min() < smallest:
        raise ValueError(
            f"log_alpha must be at least {smallest:.4g} for these data; received {log_alpha.min():.4g}. "
            "As α → 0 the nearest weights are those of lib.bias.basis_pursuit: take that."
        )
    potential = NearestWeights(log_alpha)
    p, iterations = _newton(np.exp(2 * log_alpha), X, y)
    beta = _polished(potential, X, y, p @ X)
    bregman = potential.value(beta) + potential.conjugate(p @ X) - beta @ (p @ X)
    gap = (abs(bregman) + abs(p @ (X @ beta - y))) / potential.value(beta)
    return judged(X, y, beta, p, float(gap), iterations)


def _reciprocal(beta, square):
    """The root s = 1/(1 − λ²) ≥ 1 of s³(s − 1) = (β/4α²)²: Newton's method from above, monotone."""
    b = np.abs(beta) / (4 * square)
    s = 1 + np.sqrt(b)
    for _ in range(60):
        s = s - (s - 1 - (b / s) ** 2 / s) / (4 - 3 / s)
    return s


def _newton(square, X, y):
    """Minimise 2 Σ α²λ²/(1 − λ²) − pᵀy over λ = Xᵀp inside (−1, 1)."""
    p = np.zeros(len(y))

    def value(p):
        z = p @ X
        if np.abs(z).max() >= 1:
            return np.inf
        return (2 * square * z**2 / ((1 - z) * (1 + z))).sum() - p @ y

    now, iterations = value(p), 0
    while iterations < STEPS:
        z = p @ X
        room = (1 - z) * (1 + z)
        slope = X @ (4 * square * z / room**2) - y
        step = -np.linalg.lstsq((X * (4 * square * (1 + 3 * z**2) / room**3)) @ X.T, slope, rcond=1e-15)[0]
        decrease, length = -slope @ step, 1.0
        if decrease <= 1e-14 * abs(
            now
        ):  # the rest is quadratically small; what it leaves of y is polished away
            break
        while (new := value(p + length * step)) > now - length * decrease / 4 and length > 1e-12:
            length /= 2
        p, now, iterations = p + length * step, min(new, now), iterations + 1
    return p, iterations


def _polished(potential, X, y, z):
    """What Newton leaves of the residual is taken away in the metric of the potential."""
    beta = potential.inverse_mirror(z)
    metric = np.sqrt(np.exp(2 * potential.log_alpha) * (1 + 3 * z**2) / ((1 - z) * (1 + z)) ** 3)
    for _ in range(3):
        beta = beta + metric * np.linalg.lstsq(X * metric, y - X @ beta, rcond=1e-14)[0]
    return beta
