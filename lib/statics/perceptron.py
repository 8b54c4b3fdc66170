"""The perceptron with a teacher: the best error any algorithm can reach, and what a uniform bound says.

Notation (004 is Mignacco's talk, 2022; the papers are named at each function). Inputs have d coordinates,
there are n = αd samples with labels sign(θ·x/√d). Overlaps: m = w·θ/d, q = w·w/d, ρ = θ·θ/d = 1; a
classifier with overlaps (m, q) errs with probability arccos(m/√(ρq))/π. φ and Φ are the normal density and
distribution function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf, gammaincinv, log_ndtr, logsumexp

from lib.records import Record, as_positive

TEACHERS = ("gaussian", "binary")
_X = np.linspace(-10, 10, 801)  # the trapezoidal rule on it is exact to rounding for what is integrated here
_W = np.exp(-(_X**2) / 2) / np.exp(-(_X**2) / 2).sum()


@dataclass(frozen=True, kw_only=True)
class BayesOptimal(Record):
    """The best any algorithm can do, and what the known polynomial ones reach.

    Parameters
    ----------
    alpha : float
        Samples a dimension.
    overlap : float
        q = E w·θ/d of the posterior mean.
    error : float
        arccos(√q)/π, the probability of a wrong label.
    gibbs_error : float
        arccos(q)/π, that of one student drawn from the posterior (Gibbs) in place of its mean. Two such draws
        overlap by the same q as a draw and the teacher.
    algorithmic_overlap, algorithmic_error : float
        The same on the branch that starts without information. Between the two thresholds of the ±1 teacher
        it is worse than the best; elsewhere they agree.
    residual : float
        |log(new/old)| of q/(1 − q) in the state evolution.
    status : int
        0.
    message : str
        Empty.
    """

    alpha: float
    overlap: float
    error: float
    gibbs_error: float
    algorithmic_overlap: float
    algorithmic_error: float
    residual: float


def bayes_optimal(alpha, *, teacher="gaussian") -> BayesOptimal:
    """Smallest classification error from n = αd Gaussian inputs with labels sign(θ·x/√d).

    State evolution in one number, a = √(q/(1 − q)):
    q̂ = (2α/(1 − q)) E φ(aξ)²/Φ(aξ), then q = q̂/(1 + q̂) for a Gaussian teacher, q = E tanh(q̂ + √q̂ ξ)
    for a ±1 teacher; the error is arccos(√q)/π. The ±1 teacher is found exactly (q = 1) above α_IT.

    Parameters
    ----------
    alpha : float
        Samples a dimension, positive.
    teacher : {"gaussian", "binary"}
        Law of the entries of θ: N(0, 1), or ±1 with equal odds.

    Returns
    -------
    BayesOptimal
        Overlap and error, and those of the branch without information.

    Raises
    ------
    ValueError
        When alpha is not positive or the teacher is unknown.

    References
    ----------
    Barbier, Krzakala, Macris, Miolane, Zdeborová, PNAS 2019; Györgyi 1990 for the ±1 teacher. Mignacco's
    slide "Bayes-optimal performance".

    Examples
    --------
    >>> from lib.statics.perceptron import bayes_optimal
    >>> round(bayes_optimal(2.0).error, 6)
    0.174534
    >>> round(bayes_optimal(2.0).gibbs_error, 6)
    0.240312
    >>> bayes_optimal(1.4, teacher="binary").error
    0.0
    """
    alpha = as_positive("alpha", alpha)
    if teacher not in TEACHERS:
        raise ValueError(f"teacher must be one of {TEACHERS}; received {teacher!r}. Choose one of them.")
    if teacher == "gaussian":
        a = np.exp(
            brentq(lambda log_a: np.log(_q_hat(np.exp(log_a), alpha)) - 2 * log_a, -40, 40, xtol=1e-14)
        )
        reached = best = _overlap_and_error(a)
        residual = abs(np.log(_q_hat(a, alpha)) - 2 * np.log(a))
    else:
        found = transitions()
        reached, residual = _uninformed(alpha, found)
        best = (1.0, 0.0) if alpha > found.information else reached
    return BayesOptimal(
        alpha=alpha,
        overlap=best[0],
        error=best[1],
        gibbs_error=float(2 * np.arcsin(np.sin(np.pi * best[1]) / np.sqrt(2)) / np.pi),  # 1 − q = sin²(π ε)
        algorithmic_overlap=reached[0],
        algorithmic_error=reached[1],
        residual=float(residual),
    )


@dataclass(frozen=True)
class Transitions:
    """Where learning a ±1 teacher becomes possible, and where it becomes easy.

    Parameters
    ----------
    information : float
        α_IT: above it the data determine the teacher.
    overlap_before : float
        q just below α_IT.
    algorithm : float
        α_AMP: above it message passing finds the teacher; the end (spinodal) of the uninformed branch.
    overlap_end : float
        q at α_AMP.
    """

    information: float
    overlap_before: float
    algorithm: float
    overlap_end: float


@cache
def transitions() -> Transitions:
    """The first-order transition of the ±1 teacher.

    α_AMP is the largest α(q) = q̂(q)/q̂₁(q) on the branch that starts at q = 0, where q = E tanh(q̂ + √q̂
    ξ) defines q̂(q) and q̂₁ is the state evolution's q̂ at α = 1. α_IT is where the free entropy f = −qq̂/2
    − q̂/2 + E log cosh(q̂ + √q̂ ξ) + 2α E Φ(aξ) log Φ(aξ) of that branch equals −log 2, its value at q = 1.

    Returns
    -------
    Transitions
        α_IT = 1.2447, α_AMP = 1.4926, and q at both.

    References
    ----------
    Györgyi, Phys. Rev. A 41 (1990); Barbier et al., PNAS 2019.

    Examples
    --------
    >>> from lib.statics.perceptron import transitions
    >>> round(transitions().algorithm, 3)
    1.493
    """
    top = minimize_scalar(
        lambda h: -_alpha_of(h), bounds=(0.5, 8.0), method="bounded", options={"xatol": 1e-9}
    ).x
    end = _alpha_of(top)

    def balance(q_hat):
        return _free_entropy(q_hat) + np.log(2)

    at = brentq(balance, 0.3, top, xtol=1e-14)
    return Transitions(_alpha_of(at), _tanh_overlap(at), end, _tanh_overlap(top))


def rademacher_bound(alpha) -> float:
    """Rademacher complexity of the classifiers sign(w·x), replica symmetric: R = 1 − 2e(α).

    e is the least fraction of random labels that is misclassified (Gardner and Derrida): 0 for α ≤ 2, else
    H(x) with α ∫₀ˣ t²φ(t)dt = 1, so that R = erf(x/√2). In expectation, no w has an error that exceeds its
    training error by more than R; R bounds the error itself where the training error is 0.

    Above α = 2 replica symmetry is broken: RS underestimates e and so overestimates R. It decays as α^{−1/3},
    the true R as α^{−1/2}: see :func:`rademacher_lower_bound`.

    Parameters
    ----------
    alpha : float
        Samples a dimension, positive.

    Returns
    -------
    float
        R, in (0, 1]; 1 says nothing.

    Raises
    ------
    ValueError
        When alpha is not positive.

    References
    ----------
    Abbara, Aubin, Krzakala, Zdeborová, MSML 2020. Mignacco's slide "Rademacher bound".

    Examples
    --------
    >>> from lib.statics.perceptron import rademacher_bound
    >>> rademacher_bound(1.5), round(rademacher_bound(4.0), 6)
    (1.0, 0.875993)
    """
    alpha = as_positive("alpha", alpha)
    if alpha <= 2:
        return 1.0
    return float(erf(np.sqrt(gammaincinv(1.5, 2 / alpha))))  # ∫₀ˣ t²φ = P(3/2, x²/2)/2


def rademacher_lower_bound(alpha) -> float:
    """Correlation of Hebb's rule with random labels: a lower bound on the Rademacher complexity.

    w = Σ ε_μ x_μ puts on its own sample the field ε_μ w·x_μ = ‖x_μ‖² + Σ_{ν≠μ} ε_μ ε_ν x_μ·x_ν, which for
    d → ∞ is d(1 + √α z) with z ~ N(0, 1). Its labels correlate with the random ones by 2Φ(1/√α) − 1 =
    erf(1/√(2α)), and the best w is at least as good. It decays as α^{−1/2}, the true exponent.

    Parameters
    ----------
    alpha : float
        Samples a dimension, positive.

    Returns
    -------
    float
        The correlation, in (0, 1).

    Raises
    ------
    ValueError
        When alpha is not positive.

    Examples
    --------
    >>> from lib.statics.perceptron import rademacher_bound, rademacher_lower_bound
    >>> round(rademacher_lower_bound(4.0), 6), rademacher_lower_bound(4.0) < rademacher_bound(4.0)
    (0.382925, True)
    """
    return float(erf(1 / np.sqrt(2 * as_positive("alpha", alpha))))


def _log_mean(log_values):
    """log of E over ξ ~ N(0, 1) of e^{log_values(ξ)}."""
    return logsumexp(log_values, b=_W)


def _q_hat(a, alpha):
    """q̂ = (2α/(1 − q)) E φ(aξ)²/Φ(aξ), at ξ = x√(1 − q) where the integrand has width 1."""
    u = a * _X / np.hypot(1, a)
    log_mean = _log_mean(-(u**2) / 2 - log_ndtr(u)) - np.log(np.hypot(1, a)) - np.log(2 * np.pi)
    return 2 * alpha * (1 + a**2) * np.exp(log_mean)


def _overlap_and_error(a):
    return float(a**2 / (1 + a**2)), float(np.arctan2(1, a) / np.pi)


def _tanh_overlap(q_hat):
    return float(_W @ np.tanh(q_hat + np.sqrt(q_hat) * _X))


def _alpha_of(q_hat):
    """The α at which q̂ is a fixed point of the ±1 teacher's state evolution."""
    q = _tanh_overlap(q_hat)
    return float(q_hat / _q_hat(np.sqrt(q / (1 - q)), 1.0))


def _free_entropy(q_hat):
    q, alpha = _tanh_overlap(q_hat), _alpha_of(q_hat)
    h = q_hat + np.sqrt(q_hat) * _X
    log_phi = log_ndtr(np.sqrt(q / (1 - q)) * _X)
    prior = -q_hat / 2 + _W @ (np.logaddexp(h, -h) - np.log(2))
    return -q * q_hat / 2 + prior + 2 * alpha * (_W @ (np.exp(log_phi) * log_phi))


def _uninformed(alpha, found):
    """Overlap and error of the ±1 teacher on the branch from q = 0, and the residual."""
    if alpha >= found.algorithm:
        return (1.0, 0.0), 0.0
    top = brentq(lambda h: _tanh_overlap(h) - found.overlap_end, 0.1, 20, xtol=1e-14)
    q_hat = np.exp(brentq(lambda s: np.log(_alpha_of(np.exp(s)) / alpha), -60, np.log(top), xtol=1e-14))
    q = _tanh_overlap(q_hat)
    return (q, float(np.arccos(np.sqrt(q)) / np.pi)), abs(np.log(_alpha_of(q_hat) / alpha))
