"""Two Gaussian clouds and a linear classifier: SGD simulated at finite size, over replicas.

Notation (Mignacco, Krzakala, Urbani & Zdeborová 2020; slides "Binary Gaussian mixtures classification"). N
coordinates, M = round(αN) samples, a centre v with |v|² = N exactly. With the label y = ±1 multiplied into
the sample, x_μ = v/√N + √Δ z_μ, z_μ ~ N(0, I). The margin is r_μ = w·x_μ/√N, and one step of size η is

    w ← (1 − ηλ)w − η Σ_μ s_μ(k) l′(r_μ) x_μ/√N,        w(0) ~ N(0, R₀ I):

the energy is a SUM over samples, neither divided by M nor by b. Flags s as in ``persistence``; time t = kη.
Every run carries a twin on the same data and the same batches, nudged by a tiny field; what is carried is
the difference to first order, V ← (the linearised step) − η√Δ σ_k with fresh random signs σ_k. Averaged over
the signs, V_k·σ_l/N is the response R_kl of ``meanfield``. ``twin_runs`` adds twins in a constant field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from lib.batches import Batches
from lib.ensembles import run_blocks
from lib.meanfield.margins import margin_loss
from lib.records import CONVERGED, DIVERGED, Record, as_count, as_positive

__all__ = ["MeanField", "Mixture", "TwinRuns", "simulate_gaussian_mixture", "twin_runs"]

CACHE = 2**21  # bytes of data advanced together
BEYOND = 1e6  # a run whose loss exceeds this many times the loss at the start has left
REMEDY = "Choose a smaller step_size, or a larger ridge."


@dataclass(frozen=True, kw_only=True)
class MeanField(Record):
    """Order parameters along SGD; a leading axis R where there are replicas or independent runs.

    Parameters
    ----------
    magnetisation : ndarray, shape (T + 1,)
        m_k = w_k·v/N; for sign retrieval the overlap w_k·w*/N.
    correlation : ndarray, shape (T + 1, T + 1)
        C_kl = w_k·w_l/N, with the part along v.
    response : ndarray, shape (T + 1, T + 1)
        R_kl, the change of w_k per unit of a field added to Σ√Δ z s l′/√N at step l: zero for l ≥ k, and
        R_{k+1,k} = −η√Δ. The response to a field H with w ← w + ηH is −R/√Δ. Of one simulated run a noisy
        estimate without bias: average over replicas.
    training_loss : ndarray, shape (T + 1,)
        Mean of l over all samples, in the batch or not; for sign retrieval of (y² − h²)².
    training_error : ndarray, shape (T + 1,)
        Share of the samples with negative margin; NaN for sign retrieval.
    test_error : ndarray, shape (T + 1,)
        ½ erfc(m_k/√(2ΔC_kk)), the probability of misclassifying a new sample; NaN for sign retrieval.
    status : int or ndarray of int, shape (R,)
        0 where every number is finite.
    message : str
        What happened otherwise, and the remedy.
    """

    magnetisation: np.ndarray
    correlation: np.ndarray
    response: np.ndarray
    training_loss: np.ndarray
    training_error: np.ndarray
    test_error: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TwinRuns(MeanField):
    """A ``MeanField`` of simulated runs, with twins in a constant field.

    Parameters
    ----------
    magnetisation, training_loss, training_error, test_error : ndarray, shape (R, T + 1)
        As in ``MeanField``.
    correlation, response : ndarray, shape (R, T + 1, T + 1)
        As in ``MeanField``.
    status : ndarray of int, shape (R,)
        0 where every number is finite.
    message : str
        What happened otherwise, and the remedy.
    switch_on : tuple of int, length S
        Steps from which each twin's field acts.
    susceptibility : ndarray, shape (R, S, T + 1)
        χ(k, l) = σ·dw_k/N per unit of a field H = σ that acts from step l on, with random signs σ, one set
        a twin: without bias the mean over coordinates of dw_j/dH_j.
    """

    switch_on: tuple[int, ...]
    susceptibility: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """The physics of the problem, validated; shared by simulation and theory.

    Parameters
    ----------
    alpha : float
        α = M/N.
    noise_variance : float
        Δ.
    ridge : float
        λ ≥ 0.
    batch_fraction : float
        b.
    step_size : float
        η.
    steps : int
        T.
    initial_variance : float
        R₀ ≥ 0.
    loss : str
        "logistic", "squared_hinge" or "square".
    persistence : float, optional
        τ; None is vanilla SGD.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.mixtures import Mixture
    >>> Mixture(alpha=2, noise_variance=0.5, ridge=0, batch_fraction=1, step_size=0.2, steps=50,
    ...         initial_variance=0.01).batches.switch_off
    0.0
    """

    alpha: float
    noise_variance: float
    ridge: float
    batch_fraction: float
    step_size: float
    steps: int
    initial_variance: float
    loss: str = "logistic"
    persistence: float | None = None

    def __post_init__(self):
        for name in ("alpha", "noise_variance", "step_size"):
            as_positive(name, getattr(self, name))
        for name in ("ridge", "initial_variance"):
            as_positive(name, getattr(self, name), zero=True)
        as_count("steps", self.steps)
        margin_loss(self.loss)
        _ = self.batches

    @property
    def batches(self) -> Batches:
        """The protocol."""
        return Batches(
            batch_fraction=self.batch_fraction, step_size=self.step_size, persistence=self.persistence
        )

    def test_error(self, magnetisation, norm) -> np.ndarray:
        """Probability that a new sample is misclassified.

        Parameters
        ----------
        magnetisation : ndarray
            m.
        norm : ndarray
            |w|²/N, with the part along v.

        Returns
        -------
        ndarray
            ½ erfc(m/√(2Δ|w|²/N)); ½ for w = 0.
        """
        spread = np.sqrt(2.0 * self.noise_variance * norm)
        ratio = np.divide(magnetisation, spread, out=np.zeros_like(spread), where=spread != 0)
        return 0.5 * erfc(ratio)


def simulate_gaussian_mixture(
    *,
    dimension,
    replicas,
    alpha,
    noise_variance,
    ridge,
    batch_fraction,
    step_size,
    steps,
    initial_variance,
    loss="logistic",
    persistence=None,
    rng=None,
    executor=None,
) -> MeanField:
    """SGD on the binary Gaussian mixture in N dimensions: w ← (1 − ηλ)w − ηΣ_μ s_μ l′(r_μ)x_μ/√N.

    Every replica draws its own data, start and batches.

    Parameters
    ----------
    dimension : int
        N.
    replicas : int
        R.
    alpha : float
        α; M = round(αN) samples.
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
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run; the numbers do not depend on it.

    Returns
    -------
    MeanField
        With leading axis R. Products with the data are made in single precision.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.mixtures import simulate_gaussian_mixture
    >>> run = simulate_gaussian_mixture(dimension=400, replicas=4, alpha=2, noise_variance=0.5, ridge=0.0,
    ...     batch_fraction=0.3, step_size=0.2, steps=10, initial_variance=0.01, rng=0)
    >>> run.correlation.shape, run.magnetisation.mean(0)[-1].round(1).item()
    ((4, 11, 11), 0.5)
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
    found = _simulate(problem, dimension, replicas, rng, executor)
    del found["susceptibility"]
    return MeanField(**found)


def twin_runs(switch_on, *, dimension, replicas, rng=None, executor=None, **physics) -> TwinRuns:
    """SGD on the mixture as in ``simulate_gaussian_mixture``, with twins in a constant field.

    Parameters
    ----------
    switch_on : sequence of int
        One twin for each: the step from which its field acts.
    dimension : int
        N.
    replicas : int
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run.
    **physics
        Everything else that ``simulate_gaussian_mixture`` takes.

    Returns
    -------
    TwinRuns
        The same runs as without twins, and the twins' susceptibilities.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.mixtures import twin_runs
    >>> runs = twin_runs([5], dimension=100, replicas=2, alpha=2, noise_variance=0.5, ridge=0.0,
    ...     batch_fraction=0.3, step_size=0.2, steps=8, initial_variance=0.01, rng=0)
    >>> runs.susceptibility[0, 0].round(2)[[5, 6]].tolist()
    [0.0, 0.2]
    """
    problem = Mixture(**physics)
    switch_on = tuple(as_count("switch_on", k, least=0, most=problem.steps - 1) for k in switch_on)
    found = _simulate(problem, dimension, replicas, rng, executor, switch_on)
    return TwinRuns(**found, switch_on=switch_on)


def _simulate(problem, dimension, replicas, rng, executor, switch_on=()):
    dimension = as_count("dimension", dimension)
    if round(problem.alpha * dimension) < 1:
        raise ValueError(
            f"alpha·dimension must give at least one sample; received {problem.alpha} · {dimension}. "
            "Enlarge one."
        )
    found = run_blocks(_Block(problem, dimension, switch_on), rng, replicas, executor=executor)
    lost = np.count_nonzero(found["status"] != CONVERGED)
    told = f"{lost} of {len(found['status'])} replicas diverged; NaN from there on. {REMEDY}"
    return found | {"message": told if lost else ""}


@dataclass(frozen=True)
class _Block:
    """Advances a block of replicas, as many at once as fit into the cache."""

    problem: Mixture
    dimension: int
    switch_on: tuple[int, ...]

    def __call__(self, streams):
        size = round(self.problem.alpha * self.dimension) * self.dimension * 4
        count = max(1, CACHE // size)
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is struck out and reported
            parts = [self.advance(streams[k : k + count]) for k in range(0, len(streams), count)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def start(self, streams):
        """Data (R, M, N); state (R, 2 + S, N): w, then the differences to its twins; their signs."""
        p, N, R = self.problem, self.dimension, len(streams)
        x = np.stack([s.standard_normal((round(p.alpha * N), N), dtype=np.float32) for s in streams])
        x *= np.float32(p.noise_variance**0.5)
        x += np.float32(N**-0.5)  # the centre v = (1, …, 1)
        state = np.zeros((R, 2 + len(self.switch_on), N))
        state[:, 0] = np.stack([s.standard_normal(N) for s in streams]) * p.initial_variance**0.5
        shape = p.steps + 1 + len(self.switch_on), N
        signs = np.stack([s.spawn(1)[0].integers(0, 2, shape) for s in streams]) * 2.0 - 1.0
        return x, state, signs

    def advance(self, streams):
        """All steps of these replicas, then their order parameters."""
        p, root, rule = self.problem, self.dimension**0.5, margin_loss(self.problem.loss)
        x, state, signs = self.start(streams)
        (R, M, _), T, from_step = x.shape, p.steps, np.array(self.switch_on)
        path, watched = np.empty((R, T + 1, *state.shape[1:])), np.empty((2, R, T + 1))
        active = p.batches.first(_uniform(streams, M))
        for k in range(T + 1):
            path[:, k] = state
            fields = state.astype(np.float32) @ x.swapaxes(1, 2) / np.float32(root)
            margin, twins = fields[:, 0], fields[:, 1:]
            watched[:, :, k] = rule.value(margin).mean(1, dtype=np.float64), (margin < 0).mean(1)
            slope, curvature = rule.slopes(margin)
            force = np.concatenate([(active * slope)[:, None], (active * curvature)[:, None] * twins], axis=1)
            state = (1 - p.step_size * p.ridge) * state - p.step_size / root * (force @ x)
            state[:, 1] -= p.step_size * p.noise_variance**0.5 * signs[:, k]
            state[:, 2:] += p.step_size * signs[:, T + 1 :] * (k >= from_step)[:, None]
            active = p.batches.next(active, _uniform(streams, M))
        return _order_parameters(p, path, signs, *watched)


def _uniform(streams, count):
    return np.stack([s.random(count, dtype=np.float32) for s in streams])


def _order_parameters(problem, path, signs, loss, error):
    """What ``MeanField`` holds, from the whole path of w and of its twins' differences."""
    w, twin, T, N = path[:, :, 0], path[:, :, 1], problem.steps + 1, path.shape[-1]
    m = w.mean(-1)
    correlation = w @ w.swapaxes(1, 2) / N
    response = np.tril(twin @ signs[:, :T].swapaxes(1, 2) / N, -1)
    susceptibility = np.einsum("rksn,rsn->rsk", path[:, :, 2:], signs[:, T:]) / N
    norm = np.diagonal(correlation, axis1=1, axis2=2)
    found = {"magnetisation": m, "training_loss": loss, "training_error": error}
    found["test_error"] = problem.test_error(m, norm)
    wild = np.logical_or.accumulate(~(loss <= BEYOND * np.maximum(loss[:, :1], 1.0)), axis=1)
    found = {name: np.where(wild, np.nan, array) for name, array in found.items()}
    both = wild[:, :, None] | wild[:, None, :]
    found |= {
        "correlation": np.where(both, np.nan, correlation),
        "response": np.where(both, np.nan, response),
    }
    found["susceptibility"] = np.where(wild[:, None], np.nan, susceptibility)
    return found | {"status": np.where(wild[:, -1], DIVERGED, CONVERGED)}
