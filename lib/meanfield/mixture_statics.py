"""Where training on the Gaussian mixture ends: the minimiser of a convex energy, for N → ∞, without dynamics.

Notation as in ``mixtures``: energy Σ_μ l(r_μ) + ½λ|w|², λ > 0. Cavity argument, once for a sample and once
for a coordinate. A sample that was left out has the margin ρ = m + √(ΔQ) g, g ~ N(0, 1), Q = |w|²/N; put
back, it moves w until its own margin is r, the proximal point r + ΔV l′(r) = ρ. With f = l′(r) and
f′ = df/dρ = l″/(1 + ΔV l″) the rest is

    V = 1/(λ + αΔ⟨f′⟩),      m = −αV⟨f⟩,      Q = m² + αΔV²⟨f²⟩,

three equations for three numbers. V is the response of a weight to a force: χ of ``fluctuations`` at infinite
lag for the full batch. The drift of SGD with batch fraction b is b times that of ridge λ/b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import root
from scipy.special import erfc

from lib.meanfield.margins import margin_loss
from lib.records import CONVERGED, DIVERGED, Record, as_positive

__all__ = ["MixtureEnd", "mixture_end"]

NODES = 201  # of the Gauss–Hermite rule
SMOOTH = ("logistic", "square")
LARGE, RATIO = 4.0, 1.5  # where the path of ridges starts, and its ratio
NEWTON = 100  # steps to the proximal point


@dataclass(frozen=True, kw_only=True)
class MixtureEnd(Record):
    """The minimiser of the mixture's energy.

    Parameters
    ----------
    magnetisation : float
        m = w·v/N.
    norm : float
        Q = |w|²/N, with the part along v.
    response : float
        V, the mean of dw_j/dH_j for a force H on the weights.
    slope_square : float
        ⟨l′(r)²⟩ over the samples.
    training_loss : float
        ⟨l(r)⟩.
    training_error : float
        Share of the samples with r < 0.
    test_error : float
        ½ erfc(m/√(2ΔQ)).
    residual : float
        Largest miss of the three equations.
    status : int
        0, or 1 when the residual is above 1e-9.
    message : str
        What happened then, and the remedy.
    """

    magnetisation: float
    norm: float
    response: float
    slope_square: float
    training_loss: float
    training_error: float
    test_error: float
    residual: float


def mixture_end(*, alpha, noise_variance, ridge, loss="logistic") -> MixtureEnd:
    """Solve the three equations of the minimiser.

    Parameters
    ----------
    alpha : float
        α = M/N.
    noise_variance : float
        Δ.
    ridge : float
        λ > 0.
    loss : str
        "logistic" or "square".

    Returns
    -------
    MixtureEnd
        With its residual.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.mixture_statics import mixture_end
    >>> found = mixture_end(alpha=2, noise_variance=0.5, ridge=1.0).raise_if_failed()
    >>> round(found.magnetisation, 3), round(found.test_error, 4)
    (0.563, 0.1045)
    """
    if loss not in SMOOTH:
        raise ValueError(
            f"loss must be {' or '.join(SMOOTH)}, whose curvature is continuous; received {loss!r}. "
            "Choose one."
        )
    alpha, delta = as_positive("alpha", alpha), as_positive("noise_variance", noise_variance)
    ridge, rule = as_positive("ridge", ridge), margin_loss(loss)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()

    def averages(m, Q, V):
        cavity = m + np.sqrt(delta * Q) * nodes
        r = _proximal(rule, cavity, delta * V)
        slope, curvature = rule.slopes(r)
        return r, weights @ slope, weights @ slope**2, weights @ (curvature / (1 + delta * V * curvature))

    def miss(logarithms, at):
        m, Q, V = np.exp(logarithms)
        _, f, square, answer = averages(m, Q, V)
        wanted = -alpha * V * f, m * m + alpha * delta * V * V * square, 1 / (at + alpha * delta * answer)
        return np.array([m, Q, V]) / np.array(wanted) - 1

    force = -float(rule.slopes(np.zeros(1))[0][0])  # of a sample at w = 0: at a large ridge m is αf/λ
    far = max(0.0, np.ceil(np.log(LARGE * alpha * (1 + delta) / ridge) / np.log(RATIO)))
    path = ridge * RATIO ** np.arange(far, -1, -1)
    m = alpha * force / path[0]
    found = np.log([m, m * m + alpha * delta * (force / path[0]) ** 2, 1 / path[0]])
    for at in path:  # from where the answer is known down to the ridge asked for
        found = root(miss, found, args=(at,), tol=1e-13).x
    m, Q, V = np.exp(found).tolist()
    r, _, square, _ = averages(m, Q, V)
    residual = float(np.abs(miss(found, ridge)).max())
    failed = not residual < 1e-9
    return MixtureEnd(
        magnetisation=m,
        norm=Q,
        response=V,
        slope_square=float(square),
        training_loss=float(weights @ rule.value(r)),
        training_error=_below_zero(rule, m, Q, V, delta),
        test_error=float(0.5 * erfc(m / np.sqrt(2 * delta * Q))),
        residual=residual,
        status=DIVERGED if failed else CONVERGED,
        message=f"The equations are left with a residual of {residual:.1g}. Choose a larger ridge."
        if failed
        else "",
    )


def _proximal(rule, cavity, strength):
    """r with r + strength·l′(r) = cavity: Newton's method, between bounds that hold for any convex l."""
    other = cavity - strength * rule.slopes(cavity)[0]
    low, high, r = np.minimum(cavity, other), np.maximum(cavity, other), (cavity + other) / 2
    for _ in range(NEWTON):
        slope, curvature = rule.slopes(r)
        miss = r + strength * slope - cavity
        low, high = np.where(miss < 0, r, low), np.where(miss > 0, r, high)
        better = r - miss / (1 + strength * curvature)
        better = np.where((better >= low) & (better <= high), better, (low + high) / 2)
        done, r = np.abs(better - r).max() <= 1e-14 * (1 + np.abs(r).max()), better
        if done:
            break
    return r


def _below_zero(rule, m, Q, V, delta):
    """Probability of r < 0: r increases with the cavity margin, so it is that of cavity < ΔV l′(0)."""
    edge = delta * V * float(rule.slopes(np.zeros(1))[0][0])
    return float(0.5 * erfc((m - edge) / np.sqrt(2 * delta * Q)))
