"""The fixed points of the Gaussian covariate model: where (V, q, m) stop moving.

Notation (Loureiro et al. 2021, arXiv 2102.08127, with Φᵀθ₀/√p absorbed in κ). ωᵢ are the eigenvalues of the
covariance Ω of the features, κᵢ the covariances of feature i (in Ω's eigenbasis) with the teacher's field
ν, ρ = E ν², λ the penalty, α = n/d. With sums of losses (not means) and fields w·v/√d,

    V = (1/d) Σ ωᵢ/(λ + V̂ωᵢ)
    q = (q̂/d) Σ ωᵢ²/(λ + V̂ωᵢ)² + m̂² Σ κᵢ²ωᵢ/(λ + V̂ωᵢ)²
    m = m̂ Σ κᵢ²/(λ + V̂ωᵢ)

and V̂, q̂, m̂ come from the loss: the expectations stand in the docstring of
:func:`lib.statics.covariate_model`. For logistic labels only y = +1 is integrated, by symmetry. Overlaps
are kept as t with m = √(ρq) tanh t, so that V₀ = ρ − m²/q = ρ/cosh² t never cancels."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, root
from scipy.special import expit, ndtr

__all__: list[str] = []

STEPS_A_DECADE = 6  # continuation of the logistic fixed point in λ
SQRT_TAU = np.sqrt(2 * np.pi)


class Model(NamedTuple):
    """What the fixed point depends on; see the head of this module."""

    omega: np.ndarray
    kappa2: np.ndarray
    rho: float
    alpha: float
    noise: float


class Point(NamedTuple):
    """A fixed point, what it predicts, and how well it satisfies its equations."""

    V: float
    q: float
    t: float
    m: float
    error: float
    training: float
    residual: float


def _traces(model, penalty, V_hat, q_hat, m_hat):
    """(V, q, m) from the hatted parameters: the spectral half of the equations."""
    share = 1 / (penalty + V_hat * model.omega)
    V = (model.omega * share).mean()
    q = q_hat * ((model.omega * share) ** 2).mean() + m_hat**2 * (model.kappa2 * model.omega * share**2).sum()
    return V, q, m_hat * (model.kappa2 * share).sum()


# --- ridge: V from one equation, then m, then q from a linear one ---------------------------------


def ridge(model: Model, penalty: float) -> Point:
    """The fixed point for g = (y − x)²/2, y = ν + noise."""

    def rise(log_V):
        V = np.exp(log_V)
        return np.log((model.omega / (penalty + model.alpha / (1 + V) * model.omega)).mean()) - log_V

    top = np.log(model.omega.mean() / penalty)  # V at α = 0, above every other
    low = np.log((model.omega / (penalty + model.alpha * model.omega)).mean())  # V̂ at V = 0, its largest
    V = np.exp(brentq(rise, low - 1e-9, top + 1e-9, xtol=1e-15, rtol=8.9e-16, maxiter=500))
    V_hat = model.alpha / (1 + V)
    slope = _traces(model, penalty, V_hat, model.alpha / (1 + V) ** 2, 0.0)[
        1
    ]  # q enters its own equation linearly
    _, fixed, m = _traces(model, penalty, V_hat, 0.0, V_hat)
    q = (slope * (model.rho + model.noise - 2 * m) + fixed) / (1 - slope)
    excess = model.rho + q - 2 * m
    q_hat = model.alpha * (excess + model.noise) / (1 + V) ** 2
    again = np.array(_traces(model, penalty, V_hat, q_hat, V_hat))
    scale = np.array([V, q, max(abs(m), np.finfo(float).tiny)])
    residual = float(np.abs((again - [V, q, m]) / scale).max())
    t = np.arctanh(min(m / np.sqrt(model.rho * q), 1 - 1e-16)) if m else 0.0
    return Point(V, q, float(t), m, excess, (excess + model.noise) / (1 + V) ** 2, residual)


# --- logistic: three equations, continued from λ where they are easy ------------------------------


def proximal(field, V):
    """argminₓ (x − ω)²/2V + log(1 + e^{−x}), elementwise: the root of h(x) = x − ω − V/(1 + eˣ).

    h increases, is convex left of 0 and concave right of it: Newton's method from the side of 0 runs to the
    root without ever passing it, so it needs no bracket. (A bracket that counts its own ends as outside
    cycles.)

    Parameters
    ----------
    field : ndarray
        ω.
    V : float
        Width, positive.

    Returns
    -------
    ndarray
        x.
    """
    x = np.where(field + V / 2 > 0, np.maximum(field, 0), np.minimum(field + V, 0))
    for _ in range(200):
        s = expit(-x)
        move = (x - field - V * s) / (1 + V * s * (1 - s))
        x = x - move
        if np.all(np.abs(move) <= 4e-16 * (np.abs(x) + np.abs(field) + V)):
            break
    return x


def _grid(q, t):
    """Points ξ and weights of E over N(0, 1), fine enough for the prox (strip π/√q) and for Φ(ξ sinh t)."""
    step = min(0.05, 0.6 / np.sqrt(q), 0.6 / np.sinh(max(t, 1e-3)))
    xi = np.linspace(-10, 10, 2 * int(np.ceil(10 / step)) + 1)
    weight = np.exp(-(xi**2) / 2)
    return xi, weight / weight.sum()


def _logistic_hats(model, V, q, t):
    """V̂, q̂, m̂ and the training loss of the logistic loss at (V, q, t)."""
    xi, weight = _grid(q, t)
    weight = 2 * weight * ndtr(np.sinh(t) * xi)  # both labels, by symmetry
    x = proximal(np.sqrt(q) * xi, V)
    s = expit(-x)
    bend = s * (1 - s)
    xi_m, weight_m = _grid(q, 0.0)  # φ(ξ sinh t) φ(ξ): a Gaussian of width 1/cosh t
    s_m = expit(-proximal(np.sqrt(q) / np.cosh(t) * xi_m, V))
    V_hat = model.alpha * (weight @ (bend / (1 + V * bend)))
    m_hat = 2 * model.alpha / (SQRT_TAU * np.sqrt(model.rho)) * (weight_m @ s_m)
    return V_hat, model.alpha * (weight @ s**2), m_hat, weight @ np.logaddexp(0, -x)


def _logistic_residual(model, penalty, unknowns):
    """Logarithms of new over old for V, q and m."""
    V, q, t = np.exp(unknowns[0]), np.exp(unknowns[1]), unknowns[2]
    V_hat, q_hat, m_hat, _ = _logistic_hats(model, V, q, t)
    new_V, new_q, new_m = _traces(model, penalty, V_hat, q_hat, m_hat)
    if not model.kappa2.any():
        return np.array([np.log(new_V / V), np.log(new_q / q), t])
    m = np.sqrt(model.rho * q) * np.tanh(abs(t) + 1e-300)
    return np.array([np.log(new_V / V), np.log(new_q / q), np.log(new_m / m)])


def _newton(residual, x):
    """Powell's hybrid method, started again with a fresh Jacobian where its updates have gone stale."""
    for _ in range(6):
        found = root(residual, x, tol=1e-13)
        x = found.x
        if np.abs(found.fun).max() < 1e-12:
            break
    return x


def _iterate(model, penalty, sweeps=60):
    """A first guess where the plain iteration converges: λ not small."""
    V, q, t = 1.0, 1.0, 0.1
    for _ in range(sweeps):
        V_hat, q_hat, m_hat, _ = _logistic_hats(model, V, q, t)
        new_V, new_q, m = _traces(model, penalty, V_hat, q_hat, m_hat)
        V, q = np.sqrt(V * new_V), np.sqrt(q * new_q)
        t = np.arctanh(min(m / np.sqrt(model.rho * new_q), 0.999))
    return np.array([np.log(V), np.log(q), t])


def logistic(model: Model, penalty: float, near: tuple[float, Point] | None = None) -> Point:
    """The fixed point for g = log(1 + e^{−yx}), y = sign ν.

    Continued from λ = 1 (or above) downwards, or from a point that is known: ``near`` = (λ, point).
    """
    start = near[0] if near else max(1.0, penalty)
    decades = abs(np.log10(start / penalty))
    path = np.log(np.geomspace(start, penalty, 1 + int(np.ceil(STEPS_A_DECADE * decades))))
    known = near and np.array([np.log(near[1].V), np.log(near[1].q), near[1].t])
    solved = [known if near else _iterate(model, start)]
    for k, log_penalty in enumerate(path):
        guess = solved[-1] if k < 2 else 2 * solved[-1] - solved[-2]
        solved = [*solved[-1:], _newton(partial(_logistic_residual, model, np.exp(log_penalty)), guess)]
    V, q, t = np.exp(solved[-1][0]), np.exp(solved[-1][1]), solved[-1][2]
    training = _logistic_hats(model, V, q, t)[3]
    residual = float(np.abs(_logistic_residual(model, penalty, solved[-1])).max())
    m = np.sqrt(model.rho * q) * np.tanh(t)
    return Point(V, q, t, m, np.arctan2(1, np.sinh(t)) / np.pi, training, residual)
