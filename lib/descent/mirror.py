"""Mirror descent and stochastic mirror descent on least squares, in the n dual coordinates, with their rates.

Notation (slides, "Second simplest: Mirror descent"; 003, §5.2.1). L(β) = ‖r‖²/4n, r = Xβ − y, φ a potential
of ``lib.potentials``, z = ∇φ(β), γ the step size. A step is z ← z − γ∇L(β), with Xᵀr/2n for the whole batch
and the mean of x_i r_i/2 over a batch otherwise. Both leave z − ∇φ(β₀) in range Xᵀ: z = offset + Xᵀμ, and
only the n numbers μ are stepped. So whatever the batches, an end with Xβ = y is
argmin { D_φ(β, β₀) : Xβ = y }, the Bregman projection of the start; ``bias.minimise`` finds it with the same
offset. H = diag(dβ/dz) is the metric, K = XHXᵀ/n: near the end r ← (1 − γK/2) r, so steps must stay below
4/λ_max(K), and the loss of the mirror flow falls like e^{−λ_min(K) t}.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from lib import bias
from lib.ensembles import Recorder, recorded_steps, streams, strike_out
from lib.flows import bounded_inverse
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm
from lib.records import (
    CONVERGED,
    DIVERGED,
    UNCERTIFIED,
    Run,
    as_array,
    as_count,
    as_data,
    as_design,
    as_positive,
)

__all__ = ["divergence", "in_weights", "metric", "mirror_descent", "rates", "stochastic_mirror_descent"]

BLOCK, NUMBERS_AT_ONCE = 256, 1_000_000  # replicas advanced together; how often samples are drawn, ahead
SETTLED = 1e-6  # a loss below this share of the first one: the run is on its way to an end


def metric(potential, beta):
    """Diagonal of dβ/dz = ∇²φ*(∇φ(β)): 4√(β² + 4α⁴), 4β or 1, the speed at which each coordinate learns.

    Parameters
    ----------
    potential : HyperbolicEntropy, NegativeEntropy or SquaredNorm
        The geometry φ.
    beta : array_like, shape (..., d)
        Predictor, in the domain of φ.

    Returns
    -------
    ndarray, shape (..., d)
        The metric, nowhere negative.

    Raises
    ------
    TypeError
        When the potential is none of the three.
    ValueError
        When β is not finite, or negative where the potential needs β ≥ 0.

    Examples
    --------
    >>> from lib.descent.mirror import metric
    >>> from lib.potentials import HyperbolicEntropy
    >>> metric(HyperbolicEntropy(0.0), [0.0, 1.5]).tolist()
    [8.0, 10.0]
    """
    beta = as_array("beta", beta)
    if isinstance(potential, SquaredNorm):
        return np.ones_like(beta)
    if isinstance(potential, NegativeEntropy):
        potential.value(beta)  # its own sentence for a negative entry
        return 4 * beta
    if isinstance(potential, HyperbolicEntropy):
        return 4 * np.hypot(beta, 2 * np.exp(2 * potential.log_alpha))
    raise TypeError(
        "potential must be a HyperbolicEntropy, NegativeEntropy or SquaredNorm; received "
        f"{type(potential).__name__}. Take one from lib.potentials."
    )


def divergence(potential, beta, start):
    """Bregman divergence D_φ(β, β₀) = φ(β) − φ(β₀) − ⟨∇φ(β₀), β − β₀⟩.

    A difference of numbers of the size of φ: small divergences are known to 1e-16 of that size only.

    Parameters
    ----------
    potential : HyperbolicEntropy, NegativeEntropy or SquaredNorm
        The geometry φ.
    beta : array_like, shape (..., d)
        First argument β.
    start : array_like, shape (..., d)
        Second argument β₀, inside the domain of φ; the two broadcast.

    Returns
    -------
    ndarray, shape (...)
        The divergence, 0 exactly where β = β₀.

    Raises
    ------
    ValueError
        When an argument is not finite, or outside the potential's domain.

    Examples
    --------
    >>> from lib.descent.mirror import divergence
    >>> from lib.potentials import SquaredNorm
    >>> float(divergence(SquaredNorm(), [3.0, 4.0], [0.0, 0.0]))
    12.5
    """
    beta, start = as_array("beta", beta), as_array("start", start)
    return potential.value(beta) - potential.value(start) - (potential.mirror(start) * (beta - start)).sum(-1)


def rates(potential, X, beta) -> tuple[float, float]:
    """Smallest and largest eigenvalue of K = X diag(dβ/dz) Xᵀ/n, the smallest on the range of X.

    With β the end of the run: the loss of the mirror flow falls like e^{−smallest·t}, mirror descent is
    stable for steps below 4/largest, and one step of size γ multiplies the loss by max(1 − γλ/2)² over both.

    Parameters
    ----------
    potential : HyperbolicEntropy, NegativeEntropy or SquaredNorm
        The geometry φ.
    X : array_like, shape (n, d)
        Inputs.
    beta : array_like, shape (d,)
        Where.

    Returns
    -------
    smallest, largest : float
        The eigenvalues, per unit of flow time.

    Raises
    ------
    ValueError
        When an argument is not finite, or the shapes do not match.
    TypeError
        When the potential is none of the three.

    Examples
    --------
    >>> from lib.descent.mirror import rates
    >>> from lib.potentials import SquaredNorm
    >>> rates(SquaredNorm(), [[2.0, 0.0], [0.0, 4.0]], [0.0, 0.0])
    (2.0, 8.0)
    """
    X = as_design(X)
    weights = np.broadcast_to(metric(potential, as_array("beta", beta, ndim=1)), X.shape[1:])
    size = np.linalg.svd(X * np.sqrt(weights), compute_uv=False) ** 2 / len(X)
    # the metric may be tiny, but where it is positive it does not change the rank
    rank = np.linalg.matrix_rank(X[:, weights > 0]) if (weights > 0).any() else 0
    return float(size[rank - 1] if rank else 0.0), float(size[0])


def mirror_descent(
    potential, X, y, *, step_size, steps, momentum=0.0, offset=None, record=50, observe=None
) -> Run:
    """Mirror descent ∇φ(β) ← ∇φ(β) − γXᵀ(Xβ − y)/2n, from ∇φ(β) = offset.

    Parameters
    ----------
    potential : HyperbolicEntropy, NegativeEntropy or SquaredNorm
        The geometry φ.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets; where Xβ = y has no solution, the loss tends to its least value instead of 0.
    step_size : float
        γ; flow time is k·γ after k steps.
    steps : int
        Number of steps.
    momentum : float, optional
        Heavy-ball momentum of ∇φ(β), in [0, 1).
    offset : array_like, shape (d,) or (R, d), optional
        Mirror coordinates of the start, ``potential.mirror(beta_0)``, one row a replica; 0 by default.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants.
    observe : dict of str to callable, optional
        Functions of β (R, d) to record as well.

    Returns
    -------
    Run
        One replica for each row of ``offset``; status as in ``stochastic_mirror_descent``.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.descent.mirror import mirror_descent
    >>> from lib.potentials import HyperbolicEntropy
    >>> phi = HyperbolicEntropy(np.log(0.1))
    >>> mirror_descent(phi, [[1.0, 2.0]], [1.0], step_size=0.2, steps=500).beta.round(4).tolist()
    [[0.0669, 0.4666]]
    """
    return stochastic_mirror_descent(
        potential,
        X,
        y,
        step_size=step_size,
        steps=steps,
        batch_size=len(as_data(X, y)[0]),
        replacement=False,
        momentum=momentum,
        offset=offset,
        replicas=len(offset) if np.ndim(offset) == 2 else 1,
        rng=0,  # the whole batch: nothing is drawn
        record=record,
        observe=observe,
    )


def stochastic_mirror_descent(
    potential,
    X,
    y,
    *,
    step_size,
    steps,
    batch_size=1,
    replacement=True,
    indices=None,
    momentum=0.0,
    offset=None,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
) -> Run:
    """Stochastic mirror descent ∇φ(β) ← ∇φ(β) − γ·mean of x_i(x_iᵀβ − y_i)/2 over a batch.

    Parameters
    ----------
    potential : HyperbolicEntropy, NegativeEntropy or SquaredNorm
        The geometry φ.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets; where Xβ = y has no solution, the path keeps moving.
    step_size : float
        γ; flow time is k·γ after k steps.
    steps : int
        Number of steps.
    batch_size : int, optional
        m, between 1 and n; n without replacement is mirror descent.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    indices : array_like of int, shape (period, m), optional
        The batches themselves, the same for all replicas, repeated until the end: any order, also one that
        nobody would draw. ``batch_size``, ``replacement`` and ``rng`` are then not used.
    momentum : float, optional
        Heavy-ball momentum of ∇φ(β), in [0, 1).
    offset : array_like, shape (d,) or (R, d), optional
        Mirror coordinates of the start, ``potential.mirror(beta_0)``; 0 by default.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed of the samples, which are those of ``descent.sample_indices`` for the same seed.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants.
    observe : dict of str to callable, optional
        Functions of β (R, d) to record as well.

    Returns
    -------
    Run
        ``loss`` is ‖Xβ − y‖²/4n, ``log_alpha_effective`` the potential's log α (NaN without one), which noise
        does not change. Status 1 and NaN for replicas that diverged; status 3 for those that stay finite but
        keep their loss because the step is unstable at the solution.

    Raises
    ------
    ValueError
        When an argument has a wrong shape or value; for ``SquaredNorm``, whose stability does not depend on
        the solution, also when the step is beyond 4(1 + momentum)/λ_max(XXᵀ/n).
    TypeError
        When an argument has a wrong type.

    Notes
    -----
    The dual coordinates μ are kept, ∇φ(β) = offset + Xᵀμ is formed anew at every step: it stays in the row
    space to the rounding of one product, however many steps there are, for any α down to 1e-300.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.descent.mirror import stochastic_mirror_descent
    >>> from lib.potentials import NegativeEntropy
    >>> X, y = [[1.0, 2.0], [1.0, 2.0]], [1.0, 1.0]
    >>> run = stochastic_mirror_descent(
    ...     NegativeEntropy(0.0), X, y, step_size=0.1, steps=500, replicas=3, rng=0)
    >>> run.beta.round(3).tolist()
    [[0.5, 0.25], [0.5, 0.25], [0.5, 0.25]]
    """
    X, y = as_data(X, y)
    n, d = X.shape
    metric(potential, np.ones(d))  # its own sentence for what is no potential
    steps, replicas = as_count("steps", steps), as_count("replicas", replicas)
    step_size, momentum = as_positive("step_size", step_size), as_positive("momentum", momentum, zero=True)
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1; received {momentum}. Choose a smaller momentum.")
    if isinstance(potential, SquaredNorm):
        _refuse_unstable(X, step_size, momentum)
    offset = _as_offset(offset, replicas, d)
    batches, batch_size = _batches(n, batch_size, replacement, indices)
    predict = bounded_inverse(potential, offset)
    at, drawn = recorded_steps(record, step_size, steps), [s.spawn(2)[0] for s in streams(rng, replicas)]
    advance = partial(_step, X, y, step_size / (2 * batch_size), momentum)
    parts = []
    for first in range(0, replicas, BLOCK):
        rows = slice(first, first + BLOCK)
        start = offset if len(offset) == 1 else offset[rows]
        parts.append(_block(X, y, start, predict, advance, batches, at, drawn[rows], observe, step_size))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "observed"}
    seen = [part["observed"] for part in parts]
    found["observed"] = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
    scale = max(found["loss"][:, 0].max(), y @ y / (4 * n))
    found = strike_out(found, scale, step_size, steps, "Choose a smaller step_size.")
    level = np.broadcast_to(getattr(potential, "log_alpha", np.nan), (replicas, d)).astype(float)
    limit = partial(_limit, potential, X, y, offset, 1 + momentum)
    _judge(found, step_size, limit)
    return Run(times=step_size * at, log_alpha_effective=level, geometry=potential, **found)


# --- the door -------------------------------------------------------------------------------------


def in_weights(potential, X, y, *, start, step_size, steps, samples=None):
    """Ends of mirror descent stepped in all d coordinates z = ∇φ(β): the definition, and nothing else.

    ``mirror_descent`` steps n coefficients of the rows of X, which assumes what the theorem uses: that z
    never leaves ∇φ(β₀) + span(xᵢ). This function does not, so that it can contradict it.

    Parameters
    ----------
    potential : object
        One of ``lib.potentials``, or anything with ``mirror`` and ``inverse_mirror``.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    start : array_like, shape (R, d)
        One start a run, in the domain of φ.
    step_size : float
        γ > 0.
    steps : int
        Number of steps.
    samples : array_like of int, shape (steps, R), optional
        The sample that each run draws at each step; without it every step takes all of them.

    Returns
    -------
    ndarray, shape (R, d)
        β after the last step, NaN where a run left the finite numbers.

    Raises
    ------
    ValueError
        When shapes do not fit or the step is not positive.

    Examples
    --------
    >>> from lib.descent.mirror import in_weights
    >>> from lib.potentials import SquaredNorm
    >>> start = [[0.3, 0.02]]
    >>> in_weights(SquaredNorm(), [[1.0, 2.0]], [1.0], start=start, step_size=0.3, steps=60).round(4).tolist()
    [[0.432, 0.284]]
    """
    X, y = as_data(X, y)
    start, step = as_array("start", start, ndim=2), as_positive("step_size", step_size)
    steps = as_count("steps", steps)
    if samples is not None and np.shape(samples) != (steps, len(start)):
        raise ValueError(
            f"samples must have the shape (steps, runs), {(steps, len(start))}; received {np.shape(samples)}."
        )
    z = potential.mirror(start)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for k in range(steps):
            beta = potential.inverse_mirror(z)
            if samples is None:
                gradient = (beta @ X.T - y) @ X / (2 * len(X))
            else:
                rows = X[samples[k]]
                gradient = (np.vecdot(rows, beta) - y[samples[k]])[:, None] * rows / 2
            z = z - step * gradient
        return potential.inverse_mirror(z)


def _refuse_unstable(X, step_size, momentum):
    largest = np.linalg.norm(X, 2) ** 2 / len(X)
    if step_size * largest >= 4 * (1 + momentum):
        raise ValueError(
            f"step_size must be below {4 * (1 + momentum) / largest:.6g}, where mirror descent with this "
            f"potential stops being stable; received {step_size}. Choose a smaller step_size."
        )


def _as_offset(offset, replicas, d):
    offset = np.zeros((1, d)) if offset is None else np.atleast_2d(as_array("offset", offset, ndim=(1, 2)))
    if offset.shape[1] != d or len(offset) not in (1, replicas):
        raise ValueError(
            f"offset must have shape ({d},) or ({replicas}, {d}), one entry a column of X and one row a "
            f"replica; received {offset.shape}. Pass potential.mirror(beta_0)."
        )
    return offset


def _batches(n, batch_size, replacement, indices):
    """(stream, first, count) ↦ how often each sample is drawn, (count, n), or 1 for all; and m."""
    if indices is not None:
        given = as_array("indices", indices, ndim=2)
        if given.size == 0 or (given != np.rint(given)).any() or given.min() < 0 or given.max() >= n:
            raise ValueError(
                f"indices must be whole numbers from 0 to {n - 1}, one batch a row; received shape "
                f"{given.shape}, values {given.min(initial=0):g} to {given.max(initial=0):g}. Count from 0."
            )
        table = _counts(given.astype(int), n)
        return lambda _, first, count: table[np.arange(first, first + count) % len(table)], given.shape[1]
    m = as_count("batch_size", batch_size, most=n)
    if m == n and not replacement:
        return lambda _, first, count: np.ones((count, n)), m

    def draw(stream, _, count):
        if replacement or m == 1:
            return _counts(stream.integers(n, size=(count, m)), n)
        return _counts(stream.random((count, n)).argpartition(m - 1, axis=1)[:, :m], n)

    return draw, m


def _counts(index, n):
    cell = index + n * np.arange(len(index))[:, None]
    return np.bincount(cell.ravel(), minlength=n * len(index)).reshape(len(index), n).astype(float)


# --- the run --------------------------------------------------------------------------------------


def _step(X, y, gain, momentum, dual, before, residual, times):
    return dual - gain * times * residual + momentum * (dual - before), dual


def _block(X, y, offset, predict, advance, batches, at, drawn, observe, step_size):
    """One block of replicas, from μ = 0 to the last recorded step."""
    n, last, due, recorder = len(X), int(at[-1]), set(at.tolist()), Recorder(observe)
    dual = before = np.zeros((len(drawn), n))
    integral, ahead = np.zeros(len(drawn)), max(1, NUMBERS_AT_ONCE // (len(drawn) * n))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for k in range(last + 1):
            beta = predict(offset + dual @ X)
            residual = beta @ X.T - y
            loss = np.vecdot(residual, residual) / (4 * n)
            if k in due:
                recorder.take(beta, loss, integral)
            if k < last:
                if k % ahead == 0:
                    times = np.stack([batches(s, k, min(ahead, last - k)) for s in drawn], axis=1)
                integral = integral + step_size * loss
                dual, before = advance(dual, before, residual, times[k % ahead])
    return recorder.result() | {"beta": beta, "loss_integral": integral}


# --- the verdict ----------------------------------------------------------------------------------


def _limit(potential, X, y, offset, factor, replica):
    """The largest stable step at the solution that a replica would choose; infinite if there is none."""
    start = offset[min(replica, len(offset) - 1)]
    found = bias.minimise(potential, X, y, offset=start)
    if found.status != CONVERGED:
        return np.inf
    largest = rates(potential, X, found.beta)[1]
    return 4 * factor / largest if largest > 0 else np.inf


def _judge(found, step_size, limit):
    """Give status 3 to what stays finite but cannot settle, and put the stable step into the message."""
    status, loss = found["status"], found["loss"]
    lost = np.flatnonzero(status == DIVERGED)
    restless = [k for k in np.flatnonzero(status == CONVERGED) if loss[k, -1] > SETTLED * loss[k, 0]]
    stuck = [k for k in restless if step_size >= limit(k)]
    status[stuck] = UNCERTIFIED
    if len(lost) + len(stuck) == 0:
        return
    most = limit(lost[0] if len(lost) else stuck[0])
    count = f"of {len(status)} replicas"
    what = f"{len(lost)} {count} diverged; NaN from there on. " if len(lost) else ""
    what += f"{len(stuck)} {count} keep moving and never settle. " if stuck else ""
    found["message"] = what + (
        f"Choose a step_size below {most:.3g}, the limit of stability at the solution; it was {step_size:g}."
        if step_size >= most
        else f"The step {step_size:g} is below {most:.3g}, the limit of stability at the solution, but too "
        "large on the way there, or for single samples. Choose a smaller step_size."
    )
