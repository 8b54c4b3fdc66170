"""Dynamical mean-field theory of SGD: what high-dimensional learning curves look like without any N.

Two problems of the slides, each with its simulator: the binary Gaussian mixture (``mixtures``) and sign
retrieval from a warm start (``sign_retrieval``). The theory is a sum rule for a process of one margin
(``effective_process``), exact for N → ∞ at any step size: nothing is expanded in η.

Monte Carlo is the only error: O(K^{−1/2}) in the number K of effective samples, with a bias O(1/K). It can
only be read from independent runs, because the samples of one run share their kernels:
``gaussian_mixture_runs`` makes them. Memory is K·T²/2 doubles, time K·T³/6 multiplications.
"""

from __future__ import annotations

import numpy as np

from lib.meanfield.margins import margin_loss
from lib.meanfield.mixtures import MeanField, Mixture, simulate_gaussian_mixture
from lib.meanfield.process import solve
from lib.meanfield.sign_retrieval import simulate_sign_retrieval
from lib.records import as_array, as_positive

__all__ = [
    "MeanField",
    "disagreement",
    "gaussian_mixture",
    "gaussian_mixture_runs",
    "simulate_gaussian_mixture",
    "simulate_sign_retrieval",
    "warm_sign_retrieval",
]

NAMES = ("magnetisation", "correlation", "response", "training_loss", "training_error", "test_error")
ROUNDING = 1e-6  # of simulations, whose products are made in single precision


def gaussian_mixture(
    *,
    alpha,
    noise_variance,
    ridge,
    batch_fraction,
    step_size,
    steps,
    initial_variance,
    loss="logistic",
    persistence=None,
    samples=20_000,
    rng=None,
    leave_out=None,
) -> MeanField:
    """Mean-field theory of SGD on the binary Gaussian mixture, for N → ∞ at fixed step size.

    Parameters
    ----------
    alpha : float
        α = M/N.
    noise_variance : float
        Δ, variance within a cloud.
    ridge : float
        λ ≥ 0.
    batch_fraction : float
        b.
    step_size : float
        η, the slides' dt.
    steps : int
        T; time is t = kη.
    initial_variance : float
        R₀ ≥ 0: w(0) ~ N(0, R₀ I).
    loss : str
        "logistic", "squared_hinge" or "square".
    persistence : float, optional
        τ, the mean time a sample stays out of the batch; None is vanilla SGD.
    samples : int
        K, copies of the effective process.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    leave_out : str, optional
        A term to drop, for controls; what remains is wrong. "response": no response of the force. "own
        force": a sample's own past forces do not act on its margin. "noise memory": noise white in time.
        "memory kernel": M_R = 0 in the slides' notation, with λ̃ kept. "centre": both clouds at the origin,
        which is no error but another problem, with a closed form for the square loss.

    Returns
    -------
    MeanField
        Without replicas. The numbers up to step k do not depend on how many steps follow.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value, or the run would need more than 4 GB.

    Examples
    --------
    >>> from lib.meanfield import gaussian_mixture
    >>> theory = gaussian_mixture(alpha=2, noise_variance=0.5, ridge=0.0, batch_fraction=0.3, step_size=0.2,
    ...                           steps=10, initial_variance=0.01, samples=4000, rng=0)
    >>> theory.magnetisation[-1].round(1).item(), theory.test_error[-1].round(2).item()
    (0.5, 0.11)
    """
    physics = {"alpha": alpha, "noise_variance": noise_variance, "ridge": ridge, "step_size": step_size}
    physics |= {"batch_fraction": batch_fraction, "steps": steps, "initial_variance": initial_variance}
    physics |= {"loss": loss, "persistence": persistence}
    found = gaussian_mixture_runs(1, **physics, samples=samples, rng=rng, leave_out=leave_out)
    return MeanField(
        **{name: getattr(found, name)[0] for name in NAMES},
        status=int(found.status[0]),
        message=found.message,
    )


def gaussian_mixture_runs(runs, *, samples=20_000, rng=None, leave_out=None, **physics) -> MeanField:
    """Independent runs of ``gaussian_mixture``: their spread is the Monte Carlo error of the theory.

    Parameters
    ----------
    runs : int
        How many.
    samples : int
        K, copies of the effective process in each run.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; the first runs do not depend on how many follow.
    leave_out : str, optional
        As in ``gaussian_mixture``.
    **physics
        Everything else that ``gaussian_mixture`` takes.

    Returns
    -------
    MeanField
        With leading axis ``runs``.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield import gaussian_mixture_runs
    >>> runs = gaussian_mixture_runs(3, alpha=2, noise_variance=0.5, ridge=0.0, batch_fraction=1.0,
    ...     step_size=0.2, steps=5, initial_variance=0.01, samples=500, rng=0)
    >>> runs.test_error.shape
    (3, 6)
    """
    problem = Mixture(**physics)
    rule, centre = margin_loss(problem.loss), leave_out != "centre"
    names = ("alpha", "noise_variance", "ridge", "batch_fraction", "step_size", "steps", "persistence")
    found = solve(
        lambda generator, K: (
            centre * (1 + problem.noise_variance**0.5 * generator.standard_normal(K)),
            None,
        ),
        lambda r, _: rule.slopes(r),
        lambda r, _: (rule.value(r).mean(), (r < 0).mean()),
        **{name: getattr(problem, name) for name in names},
        start_variance=problem.initial_variance,
        runs=runs,
        samples=samples,
        rng=rng,
        leave_out=leave_out if centre else None,
    )
    norm = np.diagonal(found.correlation, axis1=1, axis2=2)
    return _mean_field(found, problem.test_error(found.magnetisation, norm))


def warm_sign_retrieval(
    *,
    alpha,
    step_size,
    steps,
    warm_start,
    batch_fraction=1.0,
    persistence=None,
    runs=1,
    samples=8000,
    rng=None,
    leave_out=None,
) -> MeanField:
    """Mean-field theory of sign retrieval from a start of finite overlap, for N → ∞ at fixed step size.

    A start without overlap stays there for N → ∞: how it leaves is a finite-size effect that no mean-field
    theory of this kind sees. Monte Carlo noise grows with time, because directions are unstable.

    Parameters
    ----------
    alpha : float
        α = M/N.
    step_size : float
        dt, for the loss ¼(y² − h²)².
    steps : int
        T.
    warm_start : float
        m₀ in (0, 1].
    batch_fraction : float
        b; 1 is gradient descent.
    persistence : float, optional
        τ; None redraws the flags at every step.
    runs : int
        Independent runs, the leading axis.
    samples : int
        K, copies of the effective process.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    leave_out : str, optional
        A term to drop, for controls, as in ``gaussian_mixture``.

    Returns
    -------
    MeanField
        With leading axis ``runs``; the magnetisation is the overlap m, the training loss the mean of
        (y² − h²)²; both errors are NaN.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value, or a run would need more than 4 GB.

    Examples
    --------
    >>> from lib.meanfield import warm_sign_retrieval
    >>> theory = warm_sign_retrieval(alpha=3, step_size=0.02, steps=10, warm_start=0.2, samples=2000, rng=0)
    >>> theory.magnetisation[0, -1].round(1).item()
    0.4
    """
    if as_positive("warm_start", warm_start) > 1:
        raise ValueError(f"warm_start must be at most 1; received {warm_start}. Pass an overlap above 0.")
    found = solve(
        lambda generator, K: 2 * (generator.standard_normal(K),),
        lambda h, teacher: ((h * h - teacher * teacher) * h, 3 * h * h - teacher * teacher),
        lambda h, teacher: (np.square(h * h - teacher * teacher).mean(), np.nan),
        alpha=alpha,
        noise_variance=1.0,
        ridge=0.0,
        batch_fraction=batch_fraction,
        step_size=step_size,
        steps=steps,
        start_overlap=warm_start,
        start_variance=1 - warm_start**2,
        persistence=persistence,
        spherical=True,
        runs=runs,
        samples=samples,
        rng=rng,
        leave_out=leave_out,
    )
    return _mean_field(found, np.full_like(found.magnetisation, np.nan))


def disagreement(first, second) -> np.ndarray:
    """Difference of two means over independent runs, in combined standard errors.

    Parameters
    ----------
    first, second : array_like, shapes (R, ...) and (S, ...)
        The same quantity in R and in S ≥ 2 runs.

    Returns
    -------
    ndarray
        z = (mean − mean)/√(s²/R + s′²/S); 0 where both are the same number in every run, up to rounding.

    Raises
    ------
    ValueError
        With fewer than two runs, or shapes that do not fit.
    TypeError
        When the values are no numbers.

    Examples
    --------
    >>> from lib.meanfield import disagreement
    >>> disagreement([[1.0], [3.0]], [[1.0], [1.0]]).tolist()
    [1.0]
    """
    first, second = as_array("first", first), as_array("second", second)
    if (
        first.ndim == 0
        or second.ndim == 0
        or min(len(first), len(second)) < 2
        or first.shape[1:] != second.shape[1:]
    ):
        raise ValueError(
            f"first and second must hold the same quantity in at least two runs each; received shapes "
            f"{first.shape} and {second.shape}. Put the runs on the leading axis."
        )
    gap = first.mean(0) - second.mean(0)
    error = np.sqrt(first.var(0, ddof=1) / len(first) + second.var(0, ddof=1) / len(second))
    exact = (error <= ROUNDING * np.abs(second).max(0)) & (np.abs(gap) <= ROUNDING * np.abs(second).max(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exact, 0.0, gap / error)


def _mean_field(found, test_error):
    """The process's record with its watched columns named."""
    columns = {"training_loss": found.watched[..., 0], "training_error": found.watched[..., 1]}
    kernels = {name: getattr(found, name) for name in ("magnetisation", "correlation", "response")}
    return MeanField(**kernels, **columns, test_error=test_error, status=found.status, message=found.message)
