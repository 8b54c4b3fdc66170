"""Sign retrieval on the sphere: recover w* from y = |w*·x|/√N, by GD, SGD or persistent SGD.

Notation (Mignacco, Urbani & Zdeborová 2021; slides "The sign-retrieval problem"). x_μ ~ N(0, I_N), M =
round(αN), |w|² = |w*|² = N, h_μ = w·x_μ/√N, y_μ = |h*_μ|. The loss of a sample is ¼(y² − h²)²; one step is

    w ← w − dt Σ_μ s_μ(k)(h_μ² − y_μ²) h_μ x_μ/√N,      then  w ← w√N/|w|;

the slides' loss (y² − h²)² has the same path at a quarter of the dt, and is what is recorded. The overlap is
m = |w·w*|/N: the sign of w* cannot be known. Flags s as in ``persistence``.

The runs are chaotic: a difference in the last digit decides, thousands of steps later, which of them succeed.
So x, w and the forces are rounded to multiples of 2⁻¹⁰, 2⁻³⁰ and 2⁻²⁶. Every partial sum of a product with
the data is then an exact double, in whatever order a machine adds: the same seed gives the same successes
everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.ensembles import recorded_steps, run_blocks
from lib.persistence import Batches
from lib.records import Record, as_count, as_positive

__all__ = ["SUCCESS", "SignRetrieval", "side_by_side", "simulate_sign_retrieval"]

SUCCESS = 0.9999  # an overlap above this is a recovery
CACHE = 2**20  # bytes of data advanced together
DATA, WEIGHTS, FORCES = 2.0**10, 2.0**30, 2.0**26  # steps of the grids, inverse
LARGEST = 2**13  # N and |Σ f x| stay below: grids are chosen for it
STILL = 1e-16  # loss below which nothing moves any more: the record repeats it from there on
DRAWN = 32  # steps whose uniform numbers are drawn at once
LOOKED_AT = ("overlap", "loss", "noise", "gradient")


@dataclass(frozen=True, kw_only=True)
class SignRetrieval(Record):
    """What the simulator returns.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Recorded instants, k·dt.
    overlap : ndarray, shape (R, T)
        m = |w·w*|/N.
    loss : ndarray, shape (R, T)
        Mean over all samples of (y² − h²)².
    noise : ndarray, shape (R, T)
        |g_B − b g|/√N, the batch's gradient against b times the full one: what the batches add.
    recovered : ndarray of bool, shape (R,)
        Whether m exceeded 0.9999 at a recorded instant.
    recovery_time : ndarray, shape (R,)
        The first such instant; infinite where there is none.
    gradient : ndarray, shape (R,)
        Length of the full gradient along the sphere, over √N, at the end: near 0 where GD is stuck.
    status : ndarray of int, shape (R,)
        0: on the sphere nothing diverges, and a run that is stuck is an answer, not a failure.
    message : str
        How many runs did not recover, and what that means.
    """

    times: np.ndarray
    overlap: np.ndarray
    loss: np.ndarray
    noise: np.ndarray
    recovered: np.ndarray
    recovery_time: np.ndarray
    gradient: np.ndarray


def simulate_sign_retrieval(
    *,
    dimension,
    alpha,
    step_size,
    horizon,
    batch_fraction=1.0,
    persistence=None,
    warm_start=None,
    replicas=1,
    rng=None,
    record=201,
    executor=None,
) -> SignRetrieval:
    """GD, SGD or persistent SGD on the loss ¼(y² − h²)², y = |w*·x|/√N, on the sphere |w|² = N.

    Every replica draws its own data, w*, start and batches. Drift is proportional to the batch: compare
    algorithms at equal ``batch_fraction·horizon``.

    Parameters
    ----------
    dimension : int
        N.
    alpha : float
        α; M = round(αN) samples.
    step_size : float
        dt; below 0.055 for the full batch at α = 3, else the step does not settle even at w*.
    horizon : float
        End of the run; the number of steps is horizon/dt, rounded.
    batch_fraction : float
        b; 1 is gradient descent.
    persistence : float, optional
        τ, the mean time a sample stays out of the batch; None redraws the flags at every step.
    warm_start : float, optional
        Overlap of the start with w*, in [0, 1]; None starts uniformly on the sphere.
    replicas : int
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run; the numbers do not depend on it.

    Returns
    -------
    SignRetrieval
        The same on every machine, for the same seed.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.sign_retrieval import simulate_sign_retrieval
    >>> run = simulate_sign_retrieval(dimension=50, alpha=4, step_size=0.02, horizon=20, warm_start=0.9,
    ...                               rng=0)
    >>> run.recovered.tolist(), run.overlap.shape
    ([True], (1, 201))
    """
    (found,) = side_by_side(
        [Batches(batch_fraction=batch_fraction, step_size=step_size, persistence=persistence)],
        dimension=dimension,
        alpha=alpha,
        drift=as_positive("horizon", horizon) * batch_fraction,
        warm_start=warm_start,
        replicas=replicas,
        rng=rng,
        record=record,
        executor=executor,
    )
    return found


def side_by_side(
    protocols,
    *,
    dimension,
    alpha,
    drift,
    warm_start=None,
    replicas=1,
    rng=None,
    record=201,
    executor=None,
) -> list[SignRetrieval]:
    """Several protocols on the same data, from the same starts, with the same uniform numbers.

    Replica r has one data set and one start; every protocol runs on it, for the same number of steps.

    Parameters
    ----------
    protocols : sequence of Batches
        Each with its own step; ``batch_fraction·step_size``, the drift of one step, has to be the same.
    dimension : int
        N.
    alpha : float
        α; M = round(αN) samples.
    drift : float
        Integrated drift, b times the horizon: GD runs to this time, a protocol with b = ½ to twice as much.
    warm_start : float, optional
        Overlap of the start with w*; None starts uniformly on the sphere.
    replicas : int
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or increasing values of the drift.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run.

    Returns
    -------
    list of SignRetrieval
        One for each protocol; alone it would give the same numbers.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value, or the protocols' drifts differ.

    Examples
    --------
    >>> from lib.persistence import Batches
    >>> from lib.sign_retrieval import side_by_side
    >>> gd, sgd = side_by_side(
    ...     [Batches(batch_fraction=1, step_size=0.02), Batches(batch_fraction=0.5, step_size=0.04)],
    ...     dimension=40, alpha=3, drift=4, rng=0)
    >>> gd.times[-1].round(6).item(), sgd.times[-1].round(6).item()
    (4.0, 8.0)
    """
    protocols = _as_protocols(protocols)
    dimension = as_count("dimension", dimension, least=2, most=LARGEST)
    samples = round(as_positive("alpha", alpha) * dimension)
    if samples < 1:
        raise ValueError(f"alpha·dimension must be at least 1; received {alpha} · {dimension}. Enlarge one.")
    if warm_start is not None and as_positive("warm_start", warm_start, zero=True) > 1:
        raise ValueError(f"warm_start must be at most 1; received {warm_start}. Pass an overlap.")
    step = protocols[0].batch_fraction * protocols[0].step_size
    steps = max(1, round(as_positive("drift", drift) / step))
    kept = recorded_steps(record, step, steps)
    block = _Block(protocols, dimension, samples, warm_start, kept)
    found = run_blocks(block, rng, replicas, executor=executor)
    return [_result(found, column, kept * p.step_size) for column, p in enumerate(protocols)]


def _as_protocols(protocols):
    if (
        not isinstance(protocols, Sequence)
        or not protocols
        or not all(isinstance(p, Batches) for p in protocols)
    ):
        raise TypeError(f"protocols must be a list of Batches; received {protocols!r:.60}. Pass some.")
    drifts = [p.batch_fraction * p.step_size for p in protocols]
    if max(drifts) > min(drifts) * (1 + 1e-9):
        raise ValueError(
            "protocols must have one batch_fraction·step_size, else a step means different drifts; received "
            f"{', '.join(f'{d:g}' for d in drifts)}. Choose step_size = drift/batch_fraction."
        )
    return tuple(protocols)


def _result(found, column, times):
    """One protocol's record."""
    mine = {name: array[:, column] for name, array in found.items()}
    reached = mine["overlap"] > SUCCESS
    recovered = reached.any(1)
    time = np.where(recovered, times[reached.argmax(1)], np.inf)
    stuck = np.count_nonzero(~recovered)
    message = (
        f"{stuck} of {len(recovered)} runs did not recover w* by t = {times[-1]:g}: stuck or still on their "
        "way. Lengthen the horizon, or add persistence."
    )
    status = np.zeros(len(recovered), dtype=int)
    settled = {"recovered": recovered, "recovery_time": time, "status": status}
    return SignRetrieval(times=times, message=message if stuck else "", **settled, **mine)


def _on_grid(values, inverse_step):
    """Round to multiples of the grid, in place."""
    values *= inverse_step
    np.rint(values, out=values)
    values /= inverse_step
    return values


def _on_sphere(w):
    """Scale rows to length √N, on the grid."""
    w *= (w.shape[-1] / np.square(w).sum(-1, keepdims=True)) ** 0.5
    return _on_grid(w, WEIGHTS)


@dataclass(frozen=True)
class _Block:
    """Advances a block of replicas, as many data sets at once as fit into the cache."""

    protocols: tuple[Batches, ...]
    dimension: int
    samples: int
    warm_start: float | None
    kept: np.ndarray

    def __call__(self, streams):
        count = max(1, CACHE // (8 * self.samples * self.dimension))
        parts = [self.advance(streams[k : k + count]) for k in range(0, len(streams), count)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def start(self, streams):
        """Data (R, M, N), teacher (R, 1, N) and one start a protocol (R, P, N)."""
        N, M = self.dimension, self.samples
        x = _on_grid(np.stack([s.standard_normal((M, N)) for s in streams]), DATA)
        teacher = _on_sphere(np.stack([s.standard_normal((1, N)) for s in streams]))
        w = np.stack([s.standard_normal((1, N)) for s in streams])
        if self.warm_start is not None:
            w -= teacher * (w * teacher).sum(-1, keepdims=True) / N
            w *= (N / np.square(w).sum(-1, keepdims=True)) ** 0.5
            w = self.warm_start * teacher + (1 - self.warm_start**2) ** 0.5 * w
        return x, teacher, np.repeat(_on_sphere(w), len(self.protocols), axis=1)

    def advance(self, streams):
        """All steps of these replicas; every protocol sees the same data and the same uniform numbers."""
        root, shape = self.dimension**0.5, (len(streams), len(self.protocols))
        x, teacher, w = self.start(streams)
        target = np.square(teacher @ x.swapaxes(1, 2) / root)
        steps = np.array([p.step_size for p in self.protocols])[:, None] / root
        switches, moving = _Switches(self.protocols), np.arange(len(streams))
        uniform = _uniform(streams, self.samples)
        active = switches.first(uniform[0])
        found = {name: np.empty((*shape, len(self.kept))) for name in LOOKED_AT}
        instant = 0
        for k in range(self.kept[-1] + 1):
            h = w @ x.swapaxes(1, 2)
            h /= root
            excess = h * h
            excess -= target
            if k == self.kept[instant]:
                seen = self.look(x, teacher, w, h, excess, active)
                for name, array in found.items():
                    array[moving, :, instant:] = seen[name][..., None]
                instant += 1
                on = (seen["loss"] > STILL).any(1)
                if not on.any():
                    break
                if not on.all():  # what has arrived stays as it is
                    x, teacher, target, w, h, excess, active = (
                        array[on] for array in (x, teacher, target, w, h, excess, active)
                    )
                    uniform = uniform[:, on]
                    moving, streams = moving[on], [s for s, moves in zip(streams, on, strict=True) if moves]
            h *= excess
            h *= active
            w -= steps * (_on_grid(h, FORCES) @ x)
            w = _on_sphere(w)
            if (k + 1) % DRAWN == 0:
                uniform = _uniform(streams, self.samples)
            active = switches.next(active, uniform[(k + 1) % DRAWN])
        return found | {"gradient": found["gradient"][..., -1]}

    def look(self, x, teacher, w, h, excess, active):
        """What is recorded at one instant, each (R, P)."""
        N = self.dimension
        b = np.array([p.batch_fraction for p in self.protocols])[:, None]
        force = h * excess
        full = _on_grid(force.copy(), FORCES) @ x / N**0.5
        batch = _on_grid(force * active, FORCES) @ x / N**0.5
        along = full - w * (full * w).sum(-1, keepdims=True) / N
        return {
            "overlap": np.abs((w * teacher).sum(-1)) / N,
            "loss": np.square(excess).mean(-1),
            "noise": np.sqrt(np.square(batch - b * full).mean(-1)),
            "gradient": np.sqrt(np.square(along).mean(-1)),
        }


class _Switches:
    """The flags of all protocols together, from one uniform number a sample."""

    def __init__(self, protocols):
        rows = [(p.batch_fraction, p.switch_on, 1 - p.switch_off) for p in protocols]
        self.fraction, self.on, self.stay = np.array(rows, dtype=np.float32).T[:, :, None]

    def first(self, uniform):
        return uniform < self.fraction

    def next(self, active, uniform):
        return uniform < np.where(active, self.stay, self.on)


def _uniform(streams, count):
    """Numbers for the next steps, (steps, R, 1, M)."""
    return np.stack([s.random((DRAWN, 1, count), dtype=np.float32) for s in streams], axis=1)
