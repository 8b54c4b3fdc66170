"""Learning curves at infinite time: what a penalised fit knows after n = αd samples of structured data.

Notation (004 is Mignacco's talk, 2022; Loureiro et al. 2021). Losses are *summed*, fields are w·v/√d. The
best error of any algorithm and the uniform bound, :mod:`lib.perceptron`, are reachable from here as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib import covariate
from lib.perceptron import bayes_optimal, rademacher_bound  # noqa: F401
from lib.records import UNCERTIFIED, Record, as_array, as_positive

__all__ = ["LearningCurve", "covariate_model"]

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
        Excess risk ρ + q − 2m for ridge (label noise not added), arccos(m/√(ρq))/π for logistic.
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
    g = (y − x)²/2, y = ν + N(0, σ²). Logistic: g = log(1 + e^{−yx}), y = sign ν. The equations are at the
    head of ``lib.covariate``.

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
    point = getattr(covariate, task)(model, penalty)
    good = np.isfinite(point.residual) and point.residual <= RESIDUAL
    remedy = "use a larger penalty, or fewer decades between the eigenvalues."
    return LearningCurve(
        **{name: float(getattr(point, name)) for name in ("V", "m", "q", "error", "training", "residual")},
        status=0 if good else UNCERTIFIED,
        message="" if good else f"The fixed point is reached only to {point.residual:.1e}: {remedy}",
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
    return covariate.Model(
        omega,
        kappa**2,
        rho,
        as_positive("alpha", alpha),
        as_positive("noise_variance", noise_variance, zero=True),
    )
