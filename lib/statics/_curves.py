"""Learning curves at infinite time: what a penalised fit knows after n = αd samples of structured data.

Notation (004 is Mignacco's talk, 2022; Loureiro et al. 2021). Losses are *summed*, fields are w·v/√d. The
best error of any algorithm and the uniform bound, :mod:`lib.statics.perceptron`, are reachable from here
as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from lib.records import UNCERTIFIED, Record, as_array, as_positive
from lib.statics import _covariate

__all__ = ["BestPenalty", "LearningCurve", "best_penalty", "covariate_model"]

TASKS = ("ridge", "logistic")
RESIDUAL = 1e-9


@dataclass(frozen=True, kw_only=True)
class LearningCurve(Record):
    """A penalised fit of the Gaussian covariate model in high dimension.

    Parameters
    ----------
    V : float
        (1/d) tr Ω(λ + V̂Ω)⁻¹: how far a field moves when its own sample is left out, in units of the loss's
        slope.
    m : float
        κ·w/√d, the covariance of teacher's and student's field.
    q : float
        w·Ωw/d, the variance of the student's field.
    error : float
        Risk without label noise. Ridge: E(ν − x)² = ρ + q − 2m; it does not fall below ρ − Σκᵢ²/ωᵢ, what
        the features miss of the teacher. Logistic: the probability of a wrong sign, arccos(m/√(ρq))/π.
    training : float
        Mean loss on the training set: (y − x)² for ridge, log(1 + e^{−yx}) for logistic.
    residual : float
        Largest relative change of V, q, m when the equations are applied once more.
    status : int
        0 when the residual is at most 1e-9.
    message : str
        What to do otherwise.
    """

    V: float
    m: float
    q: float
    error: float
    training: float
    residual: float


def covariate_model(
    eigenvalues, alignment, *, rho, alpha, penalty, task="ridge", noise_variance=0.0
) -> LearningCurve:
    """Error of ŵ = argmin Σ g(w·v/√d, y) + (λ/2)‖w‖² as d → ∞ at fixed α = n/d.

    Features v ~ N(0, Ω) and the teacher's field ν ~ N(0, ρ) are jointly Gaussian with Cov(ν, v) = κ. Ridge:
    g = (y − x)²/2, y = ν + N(0, σ²). Logistic: g = log(1 + e^{−yx}), y = sign ν.

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        ωᵢ of Ω, none negative, not all zero. Isotropic features need one: ``[1.0]``.
    alignment : array_like, shape (d,)
        κ in the eigenbasis of Ω. Isotropic features with the teacher θ itself: ``[√ρ]``.
    rho : float
        ρ = E ν², positive, at least Σκᵢ²/ωᵢ.
    alpha : float
        Samples a feature, n/d.
    penalty : float
        λ > 0, on the *sum* of losses. scikit-learn: ``alpha=λ`` for Ridge, ``C=1/λ`` for
        LogisticRegression, with features v/√d and no intercept.
    task : {"ridge", "logistic"}
        Which loss.
    noise_variance : float
        σ² of ridge's labels.

    Returns
    -------
    LearningCurve
        V, m, q, error, training loss, and the residual of the fixed point.

    Raises
    ------
    ValueError
        When shapes or signs do not fit, κ is more than ρ can hold, or logistic labels are asked to carry
        noise.

    Notes
    -----
    For any loss g that is convex in its first argument, λ > 0 and a spectrum with a limit, the fixed point is
    (Loureiro et al. 2021, with sums of losses, fields w·v/√d, and their Φᵀθ₀/√p absorbed in κ)::

        V = (1/d) Σ ωᵢ/(λ + V̂ωᵢ)
        q = (q̂/d) Σ ωᵢ²/(λ + V̂ωᵢ)² + m̂² Σ κᵢ²ωᵢ/(λ + V̂ωᵢ)²
        m = m̂ Σ κᵢ²/(λ + V̂ωᵢ)

        V̂ = −α E_ξ Σ_y Z(y, ω₀) ∂f/∂ω
        q̂ = α E_ξ Σ_y Z(y, ω₀) f²
        m̂ = α E_ξ Σ_y f ∂Z/∂ω₀

    with ξ ~ N(0, 1), the student's field without the sample ω = √q ξ, the teacher's mean given it
    ω₀ = (m/√q) ξ and variance V₀ = ρ − m²/q, the label's probability Z(y, ω₀) = P(label y | ν ~ N(ω₀, V₀)),
    and f(y, ω) = (prox − ω)/V, where prox = argminₓ (x − ω)²/2V + g(x, y) is the proximal map of the loss:
    the field after the sample was learnt. Σ_y is an integral for labels that are real numbers. The training
    loss is E_ξ Σ_y Z g(prox, y).

    References
    ----------
    Loureiro, Gerbelot, Cui, Goldt, Krzakala, Mézard, Zdeborová, NeurIPS 2021, Theorem 1; Mignacco's slides
    "learning curves".

    Examples
    --------
    >>> from lib.statics import covariate_model
    >>> curve = covariate_model([1.0], [1.0], rho=1.0, alpha=2.0, penalty=0.1, task="logistic")
    >>> round(curve.error, 6), curve.residual < 1e-12
    (0.179662, True)
    """
    model = _model(eigenvalues, alignment, rho, alpha, noise_variance)
    penalty = as_positive("penalty", penalty)
    if task not in TASKS:
        raise ValueError(f"task must be one of {TASKS}; received {task!r}. Choose one of them.")
    if task == "logistic" and model.noise:
        raise ValueError(
            f"noise_variance is for ridge; received {noise_variance} with task='logistic'. "
            "Noise inside the sign is a larger rho with the same alignment: pass rho + noise_variance."
        )
    point = getattr(_covariate, task)(model, penalty)
    good = np.isfinite(point.residual) and point.residual <= RESIDUAL
    remedy = "use a larger penalty, or fewer decades between the eigenvalues."
    return LearningCurve(
        **{name: float(getattr(point, name)) for name in ("V", "m", "q", "error", "training", "residual")},
        status=0 if good else UNCERTIFIED,
        message="" if good else f"The fixed point is reached only to {point.residual:.1e}: {remedy}",
    )


@dataclass(frozen=True, kw_only=True)
class BestPenalty(Record):
    """The penalty with the smallest error, and the learning curve's point there.

    Parameters
    ----------
    penalty : float
        λ.
    curve : LearningCurve
        The fixed point at it.
    status : int
        0 when λ is inside the bounds and the fixed point certified.
    message : str
        What to do otherwise.
    """

    penalty: float
    curve: LearningCurve


def best_penalty(
    eigenvalues, alignment, *, rho, alpha, task="ridge", noise_variance=0.0, bounds=(1e-5, 10.0)
) -> BestPenalty:
    """Find the λ that makes the error of :func:`covariate_model` smallest, by Brent's method in log λ.

    At the minimum the error is flat: 1 % in λ costs less than 1e-6 of the error on isotropic features.

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        ωᵢ.
    alignment : array_like, shape (d,)
        κ in the eigenbasis of Ω.
    rho : float
        ρ.
    alpha : float
        Samples a feature.
    task : {"ridge", "logistic"}
        Which loss.
    noise_variance : float
        σ² of ridge's labels.
    bounds : tuple of float
        Smallest and largest λ to look at. On isotropic features without label noise logistic regression's
        best λ is close to 0.11/α² at large α.

    Returns
    -------
    BestPenalty
        λ and the point of the learning curve.

    Raises
    ------
    ValueError
        As :func:`covariate_model`, and when the bounds are not positive and increasing.

    References
    ----------
    Aubin, Krzakala, Lu, Zdeborová, NeurIPS 2020: logistic regression with the best λ against the best error.

    Examples
    --------
    >>> from lib.statics import best_penalty
    >>> found = best_penalty([1.0], [1.0], rho=1.0, alpha=2.0, noise_variance=0.1)
    >>> round(found.penalty, 2)  # ridge: σ²
    0.1
    """
    low, high = (as_positive("bounds", bound) for bound in bounds)
    if not low < high:
        raise ValueError(f"bounds must increase; received {bounds}. Pass the smaller λ first.")
    settings = {"rho": rho, "alpha": alpha, "task": task, "noise_variance": noise_variance}
    covariate_model(eigenvalues, alignment, penalty=high, **settings)  # the inputs, checked at the door
    model, known = _model(eigenvalues, alignment, rho, alpha, noise_variance), []

    def error(log_penalty):
        near = min(known, key=lambda pair: abs(np.log(pair[0]) - log_penalty), default=None)
        more = {"near": near} if task == "logistic" else {}
        point = getattr(_covariate, task)(model, np.exp(log_penalty), **more)
        known.append((np.exp(log_penalty), point))
        return np.log(point.error)

    ends = np.log([low, high])
    found = minimize_scalar(error, bounds=ends, method="bounded", options={"xatol": 0.01}).x
    best = covariate_model(eigenvalues, alignment, penalty=np.exp(found), **settings)
    message = best.message
    if np.abs(found - ends).min() < 0.05:
        message = f"The error still falls at λ = {np.exp(found):.2g}, an end of the bounds: widen them."
    return BestPenalty(
        penalty=float(np.exp(found)), curve=best, status=UNCERTIFIED if message else 0, message=message
    )


def _model(eigenvalues, alignment, rho, alpha, noise_variance):
    """The inputs of the fixed point, checked at the door."""
    omega, kappa = as_array("eigenvalues", eigenvalues, ndim=1), as_array("alignment", alignment, ndim=1)
    if omega.shape != kappa.shape or not omega.size:
        raise ValueError(
            f"alignment must have one entry for each eigenvalue; received {kappa.size} for {omega.size}. "
            "Rotate κ into the eigenbasis of Ω and keep every entry."
        )
    if omega.min() < 0 or not omega.any():
        raise ValueError(
            "eigenvalues must be those of a covariance, none negative and one positive; received a smallest "
            f"of {omega.min():.3g}. Clip rounding errors to 0 before the call."
        )
    rho = as_positive("rho", rho)
    if np.any(kappa[omega == 0]):
        raise ValueError(
            "alignment must be 0 where an eigenvalue is: a feature without variance has no covariance. "
            "Set those entries to 0."
        )
    held = float((kappa[omega > 0] ** 2 / omega[omega > 0]).sum())
    if held > rho * (1 + 1e-9):
        raise ValueError(
            f"rho must be at least Σκᵢ²/ωᵢ = {held:.6g}, what the features hold of the teacher; received "
            f"{rho:.6g}. Check the scaling: κ = Cov(ν, v), without a factor √d."
        )
    return _covariate.Model(
        omega,
        kappa**2,
        rho,
        as_positive("alpha", alpha),
        as_positive("noise_variance", noise_variance, zero=True),
    )
