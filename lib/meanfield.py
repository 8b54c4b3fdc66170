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

from lib.effective_process import TERMS, sweep
from lib.ensembles import streams
from lib.margins import margin_loss
from lib.mixtures import REMEDY, MeanField, Mixture, simulate_gaussian_mixture
from lib.persistence import Batches
from lib.records import CONVERGED, DIVERGED, as_array, as_count, as_generator, as_positive
from lib.sign_retrieval import simulate_sign_retrieval

__all__ = [
    "MeanField",
    "disagreement",
    "gaussian_mixture",
    "gaussian_mixture_runs",
    "simulate_gaussian_mixture",
    "simulate_sign_retrieval",
    "warm_sign_retrieval",
]

MOST_BYTES = 4e9
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
    problem = Mixture(
        alpha=alpha,
        noise_variance=noise_variance,
        ridge=ridge,
        batch_fraction=batch_fraction,
        step_size=step_size,
        steps=steps,
        initial_variance=initial_variance,
        loss=loss,
        persistence=persistence,
    )
    samples = _as_samples(samples, steps)
    rule = margin_loss(loss)
    kernels, seen, ended = sweep(
        as_generator(rng),
        lambda generator: _along_centre(generator.standard_normal(samples), noise_variance, leave_out),
        slopes=lambda r, a: rule.slopes(r),
        watch=lambda r, a: (rule.value(r).mean(), (r < 0).mean()),
        alpha=alpha,
        noise_variance=noise_variance,
        ridge=ridge,
        step_size=step_size,
        steps=steps,
        batches=problem.batches,
        start_variance=initial_variance,
        leave_out=_as_term(leave_out),
    )
    found = _order_parameters(kernels, seen, ended, alpha, initial_variance)
    norm = np.diagonal(found["correlation"])
    return MeanField(**found, test_error=problem.test_error(found["magnetisation"], norm))


def gaussian_mixture_runs(runs, *, rng=None, **physics) -> MeanField:
    """Independent runs of ``gaussian_mixture``: their spread is the Monte Carlo error of the theory.

    Parameters
    ----------
    runs : int
        How many.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; the first runs do not depend on how many follow.
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
    return _stack([gaussian_mixture(**physics, rng=stream) for stream in streams(rng, runs)])


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
    batches = Batches(batch_fraction=batch_fraction, step_size=step_size, persistence=persistence)
    samples = _as_samples(samples, as_count("steps", steps))
    start = {"start_overlap": warm_start, "start_variance": 1 - warm_start**2}
    found = []
    for stream in streams(rng, runs):
        kernels, seen, ended = sweep(
            stream,
            lambda generator: generator.standard_normal(samples),
            slopes=lambda h, a: ((h * h - a * a) * h, 3 * h * h - a * a),
            watch=lambda h, a: (np.square(h * h - a * a).mean(), np.nan),
            alpha=as_positive("alpha", alpha),
            noise_variance=1.0,
            ridge=0.0,
            step_size=step_size,
            steps=steps,
            batches=batches,
            spherical=True,
            leave_out=_as_term(leave_out),
            **start,
        )
        run = _order_parameters(kernels, seen, ended, alpha, start["start_variance"])
        found.append(MeanField(**run, test_error=np.full(steps + 1, np.nan)))
    return _stack(found)


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


def _along_centre(normal, noise_variance, leave_out):
    """Component of the samples along v: 1 + √Δ z."""
    return np.zeros_like(normal) if leave_out == "centre" else 1 + noise_variance**0.5 * normal


def _as_samples(samples, steps):
    samples = as_count("samples", samples, least=2)
    needed = 8.0 * samples * (steps * (steps + 1) / 2 + 3 * steps)
    if needed > MOST_BYTES:
        raise ValueError(
            f"samples and steps must need at most {MOST_BYTES / 1e9:g} GB, that is 4·samples·steps² bytes; "
            f"received samples = {samples}, steps = {steps}: {needed / 1e9:.1f} GB. Average independent runs "
            "with fewer samples instead."
        )
    return samples


def _as_term(leave_out):
    if leave_out is not None and leave_out not in TERMS:
        raise ValueError(
            f"leave_out must be one of {', '.join(TERMS)}, or None; received {leave_out!r}. Choose one."
        )
    return leave_out


def _order_parameters(kernels, seen, ended, alpha, start_variance):
    """Fields of ``MeanField``, NaN from the step on at which the numbers ended."""
    T = kernels.steps + 1
    columns = np.full((T, 2), np.nan)
    columns[: len(seen)] = seen
    with np.errstate(invalid="ignore", over="ignore"):
        correlation = kernels.covariance(start_variance, alpha)
    found = {"magnetisation": kernels.m, "correlation": correlation, "response": kernels.R}
    found |= {"training_loss": columns[:, 0], "training_error": columns[:, 1]}
    if ended is None:
        return found
    for array in found.values():
        array[ended:] = np.nan
    for name in ("correlation", "response"):
        found[name][:, ended:] = np.nan
    message = f"The averages diverged at step {ended} of {kernels.steps}; NaN from there on. {REMEDY}"
    return found | {"status": DIVERGED, "message": message}


def _stack(runs):
    """Records of single runs as one record with a leading axis."""
    names = ("magnetisation", "correlation", "response", "training_loss", "training_error", "test_error")
    status = np.array([run.status for run in runs])
    lost = np.count_nonzero(status != CONVERGED)
    message = next((run.message for run in runs if run.message), "")
    return MeanField(
        **{name: np.stack([getattr(run, name) for run in runs]) for name in names},
        status=status,
        message=f"{lost} of {len(runs)} runs: {message}" if lost else "",
    )
