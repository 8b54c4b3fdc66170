"""Sign retrieval on the sphere: recover w* from y = |w*·x|/√N, by GD, SGD or persistent SGD.

Notation (Mignacco, Urbani & Zdeborová 2021; slides "The sign-retrieval problem"). x_μ ~ N(0, I_N), M =
round(αN), |w|² = |w*|² = N, h_μ = w·x_μ/√N, y_μ = |h*_μ|. The loss of a sample is ¼(y² − h²)²; one step is

    w ← w − dt Σ_μ s_μ(k)(h_μ² − y_μ²) h_μ x_μ/√N,      then  w ← w√N/|w|;

the slides' loss (y² − h²)² has the same path at a quarter of the dt, and is what is recorded. The overlap is
m = |w·w*|/N: the sign of w* cannot be known. Flags s as in ``persistence``.

The runs are chaotic: a difference in the last digit decides, thousands of steps later, which of them succeed.
So x, w and the forces are rounded to multiples of 2⁻¹⁰, 2⁻³⁰ and 2⁻²⁶. Every partial sum of a product with
the data is then an exact double, in whatever order a machine adds. Flags are drawn as integers below 2²⁴ and
compared with an integer. So the same seed gives the same successes everywhere.

A run is *still*, and not followed any further, when its loss is below 10⁻¹⁶, or when its batch is full and
its gradient along the sphere is below 10⁻⁷. The record repeats what it was from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.batches import Batches
from lib.ensembles import recorded_steps, run_blocks
from lib.records import Record, as_count, as_positive

__all__ = ["SUCCESS", "SignRetrieval", "side_by_side", "simulate_sign_retrieval", "stability_edge"]

SUCCESS = 0.9999  # an overlap above this is a recovery
CACHE = 2**20  # bytes of data advanced together
DATA, WEIGHTS, FORCES = 2.0**10, 2.0**30, 2.0**26  # steps of the grids, inverse
LARGEST = 2**13  # N and |Σ f x| stay below: grids are chosen for it
STILL = 1e-16  # loss below which nothing moves any more
FLAT = 1e-7  # the same for the gradient along the sphere, of full batches: their rounding is near 1e-8
CHANCES = 2**24  # flags are drawn as integers below it
PART = 150  # samples in one product at most: a few rows times a large matrix are slow as one product
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
        Whether m exceeds 0.9999 at the end of the run. A run that was there and left has not recovered.
    recovery_time : ndarray, shape (R,)
        The recorded instant from which on m exceeds 0.9999 until the end; infinite where it does not.
    reached : ndarray of bool, shape (R,)
        Whether m exceeded 0.9999 at any recorded instant: ``reached & ~recovered`` are the runs that left.
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
    reached: np.ndarray
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
        dt. Above the ``stability_edge`` of its batch a step leads away from w*, even from nearby.
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
    >>> from lib.meanfield.sign_retrieval import simulate_sign_retrieval
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
    >>> from lib.batches import Batches
    >>> from lib.meanfield.sign_retrieval import side_by_side
    >>> gd, sgd = side_by_side(
    ...     [Batches(batch_fraction=1, step_size=0.02), Batches(batch_fraction=0.5, step_size=0.04)],
    ...     dimension=40, alpha=3, drift=4, rng=0)
    >>> gd.times[-1].round(6).item(), sgd.times[-1].round(6).item()
    (4.0, 8.0)
    """
    protocols = _as_protocols(protocols)
    dimension, samples = _as_size(dimension, alpha)
    if warm_start is not None and as_positive("warm_start", warm_start, zero=True) > 1:
        raise ValueError(f"warm_start must be at most 1; received {warm_start}. Pass an overlap.")
    step = protocols[0].batch_fraction * protocols[0].step_size
    steps = max(1, round(as_positive("drift", drift) / step))
    kept = recorded_steps(record, step, steps)
    block = _Block(protocols, dimension, samples, warm_start, kept)
    found = run_blocks(block, rng, replicas, executor=executor)
    return [_result(found, column, kept * p.step_size) for column, p in enumerate(protocols)]


def stability_edge(*, dimension, alpha, batch_fraction=1.0, replicas=1, rng=None) -> np.ndarray:
    """The largest step that does not lead away from w*: 2/λ_max of the batch's curvature along the sphere.

    At w* every sample's force vanishes, and its curvature is 2y² xxᵀ/N. While one batch B is used, a small
    distance to w* is multiplied by 1 − dt H_B at each step, H_B the sum over B, across w*. It grows when dt
    exceeds 2/λ_max(H_B). A batch that lasts for many steps can so throw a run out.

    Parameters
    ----------
    dimension : int
        N.
    alpha : float
        α; M = round(αN) samples.
    batch_fraction : float
        b; each sample is in the batch with this probability.
    replicas : int
        R, data sets with one batch each.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; data and batch are those with which a simulation with this seed starts.

    Returns
    -------
    ndarray, shape (R,)
        2/λ_max of each batch.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.sign_retrieval import stability_edge
    >>> full = stability_edge(dimension=100, alpha=3, replicas=5, rng=0)
    >>> half = stability_edge(dimension=100, alpha=3, batch_fraction=0.5, replicas=5, rng=0)
    >>> (half > full).all()
    np.True_
    """
    dimension, samples = _as_size(dimension, alpha)
    batch = Batches(batch_fraction=batch_fraction, step_size=1.0)
    block = _Block((batch,), dimension, samples, None, np.array([0]))
    return run_blocks(block.edges, rng, replicas)["edge"]


def _as_size(dimension, alpha):
    """N and M."""
    dimension = as_count("dimension", dimension, least=2, most=LARGEST)
    samples = round(as_positive("alpha", alpha) * dimension)
    if samples < 1:
        raise ValueError(f"alpha·dimension must be at least 1; received {alpha} · {dimension}. Enlarge one.")
    return dimension, samples


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
    there = mine["overlap"] > SUCCESS
    recovered, reached = there[:, -1], there.any(1)
    stays = np.logical_and.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    time = np.where(recovered, times[stays.argmax(1)], np.inf)
    lost, left = np.count_nonzero(~recovered), np.count_nonzero(reached & ~recovered)
    message = (
        f"{lost} of {len(recovered)} runs have not recovered w* at t = {times[-1]:g}: stuck or still on "
        "their way. Lengthen the horizon, or add persistence."
    )
    if left:
        message += f" {left} of them were there and left: choose a step below the stability edge."
    status = np.zeros(len(recovered), dtype=int)
    settled = {"recovered": recovered, "recovery_time": time, "reached": reached, "status": status}
    return SignRetrieval(times=times, message=message if lost else "", **settled, **mine)


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
        """All steps of these replicas; every protocol sees the same data and the same random integers."""
        x, teacher, w = self.start(streams)
        x = x.reshape(len(x), _parts(self.samples), -1, self.dimension)  # (R, B, M/B, N)
        root = np.sqrt(float(self.dimension))
        target = np.square(_along(teacher, x) / root)
        found = {name: np.empty((*w.shape[:2], len(self.kept))) for name in LOOKED_AT}
        moving, rows, columns = np.ones(w.shape[:2], dtype=bool), np.arange(len(w)), np.arange(w.shape[1])
        law, drawn = _Law(self.protocols), _integers(streams, x.shape[1:3])
        active = law.first(drawn[0])
        instant = 0
        for k in range(self.kept[-1] + 1):
            h = _along(w, x)  # (R, B, P, M/B), like all that belongs to samples
            h /= root
            excess = h * h
            excess -= target
            if k == self.kept[instant]:
                seen = self.look(x, teacher, w, h, excess, active, law)
                for name, array in found.items():
                    here, there = np.nonzero(moving)
                    array[rows[here], columns[there], instant:] = seen[name][moving][:, None]
                instant += 1
                moving &= ~law.still(seen)
                on, run = moving.any(1), moving.any(0)
                if not on.any():
                    break
                if not (on.all() and run.all()):  # who is still is not followed any further
                    h, excess, active = (array[on][:, :, run] for array in (h, excess, active))
                    w, moving = w[on][:, run], moving[on][:, run]
                    x, teacher, target, rows, drawn = x[on], teacher[on], target[on], rows[on], drawn[:, on]
                    streams = [s for s, moves in zip(streams, on, strict=True) if moves]
                    columns, law = columns[run], law.of(run)
            h *= excess
            h *= active
            w -= law.step_size / root * _sum(_on_grid(h, FORCES), x)
            w = _on_sphere(w)
            if (k + 1) % DRAWN == 0:
                drawn = _integers(streams, x.shape[1:3])
            active = law.next(active, drawn[(k + 1) % DRAWN])
        return found | {"gradient": found["gradient"][..., -1]}

    def edges(self, streams):
        """2/λ_max of one batch of each data set at w*, without the direction of w*."""
        N, found = self.dimension, []
        for stream in streams:
            x, teacher, _ = (array[0] for array in self.start([stream]))
            active = _Law(self.protocols).first(_integers([stream], (1, self.samples))[0, 0, 0, 0])
            x = x[active[0]]
            y = x @ teacher[0] / N**0.5
            weighted = y[:, None] * (x - np.outer(x @ teacher[0], teacher[0]) / N)
            found.append(2 / np.linalg.eigvalsh(2 / N * weighted.T @ weighted)[-1])
        return {"edge": np.array(found)}

    def look(self, x, teacher, w, h, excess, active, law):
        """What is recorded at one instant, each (R, P)."""
        N = self.dimension
        force = h * excess
        full = _sum(_on_grid(force.copy(), FORCES), x) / N**0.5
        batch = _sum(_on_grid(force * active, FORCES), x) / N**0.5
        along = full - w * (full * w).sum(-1, keepdims=True) / N
        return {
            "overlap": np.abs((w * teacher).sum(-1)) / N,
            "loss": np.square(excess).mean((1, 3)),
            "noise": np.sqrt(np.square(batch - law.fraction * full).mean(-1)),
            "gradient": np.sqrt(np.square(along).mean(-1)),
        }


class _Law:
    """How the protocols step and switch, all together: one row each, flags from one integer a sample."""

    def __init__(self, protocols):
        self.protocols = protocols
        rows = [(p.batch_fraction, p.step_size, p.switch_on, 1 - p.switch_off) for p in protocols]
        self.fraction, self.step_size, on, stay = np.array(rows).T[:, :, None]
        chances = np.array([self.fraction, on, stay]).astype(np.float32) * np.float32(CHANCES)
        self.begin, self.on, self.stay = np.ceil(chances).astype(np.uint32)

    def of(self, run):
        """The same for some of the protocols."""
        return _Law([p for p, runs in zip(self.protocols, run, strict=True) if runs])

    def first(self, drawn):
        return drawn < self.begin

    def next(self, active, drawn):
        return drawn < np.where(active, self.stay, self.on)

    def still(self, seen):
        """Who will not move any more: the loss has vanished, or a full batch has no gradient left."""
        flat = (self.fraction[:, 0] == 1) & (seen["gradient"] < FLAT)
        return (seen["loss"] < STILL) | flat


def _parts(samples):
    """How many equal parts of at most PART samples; one where the number of samples has no such divisor."""
    return next((n for n in range(1, samples) if samples % n == 0 and samples // n <= PART), 1)


def _along(w, x):
    """w·x of every sample, (R, B, P, M/B) from (R, P, N) and (R, B, M/B, N)."""
    return w[:, None] @ x.swapaxes(2, 3)


def _sum(force, x):
    """Σ_μ f_μ x_μ, (R, P, N): exact on the grids, hence the same in parts."""
    return (force @ x).sum(1)


def _integers(streams, parts):
    """Integers for the flags of the next steps, (steps, R, B, 1, M/B)."""
    count, size = parts
    drawn = [s.integers(CHANCES, size=(DRAWN, count * size), dtype=np.uint32) for s in streams]
    return np.stack(drawn, axis=1).reshape(DRAWN, len(streams), count, 1, size)
