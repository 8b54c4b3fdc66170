"""Fluctuation and dissipation: the effective temperature of SGD at stationarity.

Notation (Mignacco & Urbani 2022; slides "Characterizing SGD noise"). A field H added to the force,
w ← … + ηH, moves w by χ(k, l) = N⁻¹ Σ_j dw_j(k)/dH_j when it acts on steps l, …, k − 1. In equilibrium at
temperature T the fluctuation–dissipation theorem R(t, t′) = −T⁻¹∂_t C(t, t′) integrates to

    T χ_n = ΔC_n,     ΔC_n = ½(C_kk + C_{k−n,k−n}) − C_{k,k−n} = |w_k − w_{k−n}|²/2N,

for every lag of n steps. For SGD the ratio of the two defines T_eff(lag), which need not be constant.

Where training has no stationary state, noise is measured by the distance of two replicas (Mignacco & Urbani
2022): same data, same start, different batches, d(k) = |w_k − w′_k|²/N. In a stationary state that has
forgotten its start both are draws from one law given the data, and d = 2ΔC at long lags. For one mode of
curvature a, pushed in each step by s(k)·f with flags of correlation ρⁿ and φ = 1 − aη, the temperature is

    T = σ² η/(2 − aη) · (1 + ρφ)/(1 − ρφ),      σ² = b(1 − b)αΔ⟨l′²⟩,      ρ = 1 − η/(bτ), or 0 for vanilla.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.ensembles import streams
from lib.meanfield.margins import margin_loss
from lib.meanfield.mixture_statics import mixture_end
from lib.meanfield.mixtures import Mixture, TwinRuns
from lib.records import CONVERGED, DIVERGED, Record, as_array, as_count, as_positive

__all__ = ["ReplicaDistance", "Temperature", "effective_temperature", "mode_temperature", "replica_distance"]


@dataclass(frozen=True, kw_only=True)
class Temperature(Record):
    """Both sides of the theorem, run by run, and their ratio.

    Parameters
    ----------
    lags : ndarray, shape (n,)
        Lag times.
    correlation_drop : ndarray, shape (R, n)
        ΔC, the mean of |w_k − w_l|²/2N over the window.
    susceptibility : ndarray, shape (R, n)
        χ, the mean over the window.
    value : ndarray, shape (n,)
        T_eff: ratio of the means over runs.
    error : ndarray, shape (n,)
        Its standard error; NaN for a single run.
    status : int
        0, or 1 when the window holds numbers that are not finite.
    message : str
        What happened then, and the remedy.
    """

    lags: np.ndarray
    correlation_drop: np.ndarray
    susceptibility: np.ndarray
    value: np.ndarray
    error: np.ndarray


def effective_temperature(found, *, step_size, noise_variance, lags, start) -> Temperature:
    """T_eff(lag) = ΔC/χ, from correlation and response of the theory or of simulated runs.

    Parameters
    ----------
    found : MeanField
        With or without leading axis; of ``TwinRuns`` the twins' susceptibilities are taken, which are less
        noisy than sums of the response.
    step_size : float
        η of the run.
    noise_variance : float
        Δ of the run, which scales the response: χ = −Δ^{−1/2} Σ R.
    lags : array_like, shape (n,)
        Lag times, multiples of η.
    start : float
        Time from which the run counts as stationary; both ends of every lag lie after it.

    Returns
    -------
    Temperature
        Averages over the window, run by run, and the ratio of their means.

    Raises
    ------
    ValueError
        When a lag is no multiple of η, or does not fit into the window.
    TypeError
        When arguments are no numbers.

    Examples
    --------
    >>> from lib.meanfield.fluctuations import effective_temperature
    >>> from lib.meanfield import gaussian_mixture
    >>> run = gaussian_mixture(alpha=5, noise_variance=1.0, ridge=0.5, batch_fraction=0.3, step_size=0.4,
    ...                        steps=40, initial_variance=0.01, samples=1000, rng=0)
    >>> found = effective_temperature(run, step_size=0.4, noise_variance=1.0, lags=[0.4, 3.2], start=8.0)
    >>> found.value.round(2).tolist()
    [0.03, 0.03]
    """
    step_size, noise_variance = (
        as_positive("step_size", step_size),
        as_positive("noise_variance", noise_variance),
    )
    lags = as_array("lags", lags, ndim=1)
    steps = np.rint(lags / step_size).astype(int)
    C, R = (a if a.ndim == 3 else a[None] for a in (found.correlation, found.response))
    first, end = round(as_positive("start", start, zero=True) / step_size), C.shape[-1] - 1
    if (steps < 1).any() or (abs(steps * step_size - lags) > 1e-6 * lags).any() or steps.max() > end - first:
        raise ValueError(
            f"lags must be multiples of {step_size:g}, at most {max(end - first, 0) * step_size:g}, the "
            f"length of the window; received {lags.tolist()}. Choose others, or longer runs."
        )
    drop, chi = np.transpose([_window(C, R, n, first) for n in steps], (1, 2, 0))
    chi = chi / noise_variance**0.5
    if isinstance(found, TwinRuns):
        chi = np.transpose([_of_twins(found, n, first) for n in steps])
    value = drop.mean(0) / chi.mean(0)
    runs = len(drop)
    error = (
        (drop - value * chi).std(0, ddof=1) / runs**0.5 / chi.mean(0)
        if runs > 1
        else np.full_like(value, np.nan)
    )
    failed = not np.isfinite(value).all()
    message = (
        "Correlations or responses in the window are not finite. Choose a smaller step_size."
        if failed
        else ""
    )
    return Temperature(
        lags=lags,
        correlation_drop=drop,
        susceptibility=chi,
        value=value,
        error=error,
        status=int(failed),
        message=message,
    )


def mode_temperature(
    *,
    alpha,
    noise_variance,
    ridge,
    batch_fraction,
    step_size,
    loss="logistic",
    persistence=None,
    correlation=None,
) -> float:
    """T of a single mode with the mean curvature: an approximation in closed form, nothing fitted.

    Curvature and noise are those of the minimiser at ridge λ/b (``mixture_end``): a = b/V and
    σ² = b(1 − b)αΔ⟨l′²⟩.

    Parameters
    ----------
    alpha : float
        α.
    noise_variance : float
        Δ.
    ridge : float
        λ > 0.
    batch_fraction : float
        b.
    step_size : float
        η.
    loss : str
        "logistic" or "square".
    persistence : float, optional
        τ; None is vanilla SGD.
    correlation : float, optional
        ρ, if it shall not be that of the protocol: for controls.

    Returns
    -------
    float
        T = σ² η/(2 − aη) · (1 + ρφ)/(1 − ρφ) with φ = 1 − aη.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.fluctuations import mode_temperature
    >>> warm = {"alpha": 5.0, "noise_variance": 1.0, "ridge": 0.5, "batch_fraction": 0.3}
    >>> round(mode_temperature(**warm, step_size=0.2), 4), round(mode_temperature(**warm, step_size=0.1), 4)
    (0.0146, 0.007)
    """
    problem = Mixture(
        alpha=alpha,
        noise_variance=noise_variance,
        ridge=ridge,
        batch_fraction=batch_fraction,
        step_size=step_size,
        steps=1,
        initial_variance=0.0,
        loss=loss,
        persistence=persistence,
    )
    b = batch_fraction
    end = mixture_end(
        alpha=alpha, noise_variance=noise_variance, ridge=ridge / b, loss=loss
    ).raise_if_failed()
    rho = float(problem.batches.correlation(1)) if correlation is None else float(correlation)
    a, variance = b / end.response, b * (1 - b) * alpha * noise_variance * end.slope_square
    phi = 1 - a * step_size
    return variance * step_size / (2 - a * step_size) * (1 + rho * phi) / (1 - rho * phi)


@dataclass(frozen=True, kw_only=True)
class ReplicaDistance(Record):
    """How far two runs part that differ in their batches only.

    Parameters
    ----------
    times : ndarray, shape (T + 1,)
        t = kη.
    distance : ndarray, shape (R, T + 1)
        |w − w′|²/N, for each of R data sets.
    norm : ndarray, shape (R, T + 1)
        |w|²/N of the first of the two.
    status : ndarray of int, shape (R,)
        0 where every number is finite.
    message : str
        What happened otherwise, and the remedy.
    """

    times: np.ndarray
    distance: np.ndarray
    norm: np.ndarray


def replica_distance(*, dimension, replicas, rng=None, **physics) -> ReplicaDistance:
    """Two runs of SGD on the same mixture from the same start, each with its own batches.

    Parameters
    ----------
    dimension : int
        N.
    replicas : int
        R, data sets; each carries two runs.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; the first data sets do not depend on how many follow.
    **physics
        Everything else that ``simulate_gaussian_mixture`` takes.

    Returns
    -------
    ReplicaDistance
        With leading axis R.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.fluctuations import replica_distance
    >>> physics = {"alpha": 1, "noise_variance": 0.5, "ridge": 0.0, "step_size": 0.2, "steps": 20}
    >>> full = replica_distance(dimension=50, replicas=2, **physics, batch_fraction=1.0,
    ...                         initial_variance=0.01, rng=0)
    >>> full.distance.max().item()
    0.0
    """
    problem = Mixture(**physics)
    N, rule, step = as_count("dimension", dimension), margin_loss(problem.loss), problem.step_size
    M = as_count("alpha·dimension, rounded,", round(problem.alpha * N))
    found = np.empty((2, as_count("replicas", replicas), problem.steps + 1))
    for run, stream in enumerate(streams(rng, replicas)):
        x = N**-0.5 + problem.noise_variance**0.5 * stream.standard_normal((M, N))  # v = (1, …, 1)
        w = np.tile(problem.initial_variance**0.5 * stream.standard_normal(N), (2, 1))
        active = problem.batches.first(stream.random((2, M)))
        for k in range(problem.steps + 1):
            found[:, run, k] = np.square(w[0] - w[1]).mean(), np.square(w[0]).mean()
            force = active * rule.slopes(w @ x.T / N**0.5)[0]
            w = (1 - step * problem.ridge) * w - step / N**0.5 * (force @ x)
            active = problem.batches.next(active, stream.random((2, M)))
    lost = ~np.isfinite(found).all((0, 2))
    told = f"{lost.sum()} of {len(lost)} pairs diverged. Choose a smaller step_size, or a larger ridge."
    return ReplicaDistance(
        times=step * np.arange(problem.steps + 1),
        distance=found[0],
        norm=found[1],
        status=np.where(lost, DIVERGED, CONVERGED),
        message=told if lost.any() else "",
    )


def _window(C, R, n, first):
    """ΔC_n and −Σ R over n steps, averaged over all pairs (k, k − n) after ``first``; each (runs,)."""
    later = np.arange(first + n, C.shape[-1])
    square = np.diagonal(C, axis1=1, axis2=2)
    drop = (square[:, later] + square[:, later - n]) / 2 - C[:, later, later - n]
    total = np.concatenate([np.zeros_like(R[:, :, :1]), np.cumsum(R, axis=2)], axis=2)  # over l < column
    chi = total[:, later, later - n] - total[:, later, later]
    return drop.mean(1), chi.mean(1)


def _of_twins(found, n, first):
    """χ_n of twins switched on after ``first``, averaged over those that last n steps; (runs,)."""
    T = found.susceptibility.shape[-1]
    reach = [(s, k + n) for s, k in enumerate(found.switch_on) if k >= first and k + n < T]
    if not reach:
        raise ValueError(
            f"switch_on must hold a step after start with {n} steps left for the longest lag; received "
            f"{list(found.switch_on)} of {T - 1}. Switch a twin on earlier, or make the runs longer."
        )
    return np.mean([found.susceptibility[:, s, k] for s, k in reach], axis=0)
