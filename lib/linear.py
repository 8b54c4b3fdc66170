"""Linear models trained by gradient descent, SGD and the stochastic flow: simulators, all replicas at once.

Notation (003 is Yang's notes, 2025, §5.1). The loss is L(β) = ‖y − Xβ‖²/2n, the prediction Xβ itself, ε the
step size, m the batch size. Times are flow time: k·ε after k steps. Exact moments of the same algorithms are
in ``lib.regression``; these runs are what they are compared with, and what a reader's own y goes through.
``y`` may hold one set of labels a replica, (R, n). Every replica has its own random stream, so the first 64
of 1,000 are those of a run with 64.
"""

from __future__ import annotations

import numpy as np

from lib.ensembles import Recorder, recorded_steps, streams, strike_out
from lib.records import (
    Run,
    as_array,
    as_coefficients,
    as_count,
    as_design,
    as_positive,
)
from lib.weak_orders import batch_factor

BLOCK, NUMBERS_AT_ONCE = 512, 2_000_000  # replicas advanced together, random numbers drawn ahead: 16 MB


def gradient_descent(X, y, *, step_size, steps, momentum=0.0, start=None, record=50, observe=None) -> Run:
    """Gradient descent, β ← β + (ε/n)Xᵀ(y − Xβ) + momentum·(β − β_before).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,) or (R, n)
        Labels.
    step_size : float
        ε, below 2(1 + momentum)/s_max with s_max the largest eigenvalue of XᵀX/n.
    steps : int
        Number of steps.
    momentum : float, optional
        Heavy-ball momentum, in [0, 1).
    start : array_like, shape (p,), optional
        β(0); 0 by default.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the instants themselves.
    observe : dict of str to callable, optional
        Functions of β (R, p) to record as well.

    Returns
    -------
    Run
        ``loss`` is ‖y − Xβ‖²/2n; ``log_alpha_effective`` is NaN, a linear model has none.

    Raises
    ------
    ValueError
        When the step is beyond stability, or an input is empty, not finite or of the wrong shape.

    Examples
    --------
    >>> from lib.linear import gradient_descent
    >>> run = gradient_descent([[1.0], [1.0]], [2.0, 2.0], step_size=0.5, steps=20)
    >>> round(float(run.beta[0, 0]), 4)
    2.0
    """
    n = len(np.asarray(X))
    return stochastic_gradient_descent(
        X,
        y,
        step_size=step_size,
        steps=steps,
        batch_size=n,
        replacement=False,
        momentum=momentum,
        start=start,
        replicas=len(y) if np.ndim(y) == 2 else 1,
        rng=0,  # the whole batch: nothing is drawn
        record=record,
        observe=observe,
    )


def stochastic_gradient_descent(
    X,
    y,
    *,
    step_size,
    steps,
    batch_size=1,
    replacement=True,
    momentum=0.0,
    start=None,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
) -> Run:
    """Mini-batch SGD (25), β ← β + (ε/m) Σ_{i in batch} (y_i − x_iᵀβ)x_i + momentum·(β − β_before).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,) or (R, n)
        Labels.
    step_size : float
        ε, below 2(1 + momentum)/s_max: beyond it already the mean diverges.
    steps : int
        Number of steps.
    batch_size : int, optional
        m, between 1 and n; n without replacement is gradient descent.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    momentum : float, optional
        Heavy-ball momentum, in [0, 1).
    start : array_like, shape (p,), optional
        β(0); 0 by default.
    replicas : int, optional
        R.
    rng : int or numpy Generator, optional
        Seed of the batches.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the instants themselves.
    observe : dict of str to callable, optional
        Functions of β (R, p) to record as well.

    Returns
    -------
    Run
        ``loss`` is ‖y − Xβ‖²/2n; ``log_alpha_effective`` is NaN, a linear model has none. Replicas that leave
        the finite numbers have status 1.

    Raises
    ------
    ValueError
        When the step is beyond stability, the batch larger than n, or an input is empty, not finite or of
        the wrong shape.

    Examples
    --------
    >>> from lib.linear import stochastic_gradient_descent
    >>> X, y = [[1.0], [2.0]], [2.0, 4.0]
    >>> run = stochastic_gradient_descent(X, y, step_size=0.2, steps=100, replicas=3, rng=0)
    >>> bool((abs(run.beta - 2) < 1e-4).all())
    True
    """
    X, y, beta = _start(X, y, start, replicas)
    n = len(X)
    steps, batch_size = as_count("steps", steps, least=0), as_count("batch_size", batch_size, most=n)
    momentum = as_positive("momentum", momentum, zero=True)
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1; received {momentum}. Choose a smaller momentum.")
    step_size, whole = _stable_step(X, step_size, 1 + momentum), batch_size == n and not replacement

    def draw(stream, count):
        # the samples that descent.sample_indices gives for the same seed
        if whole:
            return np.empty((count, 0))
        if replacement or batch_size == 1:
            return stream.integers(n, size=(count, batch_size))
        return stream.random((count, n)).argpartition(batch_size - 1, axis=1)[:, :batch_size]

    def advance(y, state, batch):
        beta, before = state
        if whole:
            gradient = (beta @ X.T - y) @ X / n
        else:
            x, labels = X[batch], np.take_along_axis(y, batch, axis=1) if len(y) > 1 else y[0, batch]
            residual = np.einsum("rmp,rp->rm", x, beta) - labels
            gradient = np.einsum("rm,rmp->rp", residual, x) / batch_size
        return beta - step_size * gradient + momentum * (beta - before), beta

    return _simulate(X, y, (beta, beta), advance, draw, step_size, steps, rng, record, observe)


def stochastic_gradient_flow(
    X,
    y,
    *,
    step_size,
    dt,
    horizon,
    batch_size=1,
    replacement=True,
    start=None,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
) -> Run:
    """Stochastic gradient flow (27) by Euler–Maruyama, its noise drawn in ℝⁿ.

    The noise is (εc/n)^½ Xᵀ(r ⊙ (dB − mean dB)) with r = y − Xβ and c = 1/m, which has covariance Q_ε dt
    without a matrix square root. With dt = ε it has SGD's first two moments whatever the truth about the
    flow: take dt ≤ ε/8.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,) or (R, n)
        Labels.
    step_size : float
        ε of the diffusion coefficient.
    dt : float
        Integration step, below 2/s_max.
    horizon : float
        Final time, at least 0; rounded to a whole number of integration steps.
    batch_size : int, optional
        m, between 1 and n.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    start : array_like, shape (p,), optional
        β(0); 0 by default.
    replicas : int, optional
        R.
    rng : int or numpy Generator, optional
        Seed of the noise.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the instants themselves.
    observe : dict of str to callable, optional
        Functions of β (R, p) to record as well.

    Returns
    -------
    Run
        ``loss`` is ‖y − Xβ‖²/2n; ``log_alpha_effective`` is NaN, a linear model has none. Replicas that leave
        the finite numbers have status 1.

    Raises
    ------
    ValueError
        When dt is beyond stability, the batch larger than n, or an input is empty, not finite or of the
        wrong shape.

    Examples
    --------
    >>> from lib.linear import stochastic_gradient_flow
    >>> run = stochastic_gradient_flow([[1.0], [1.0]], [2.0, 2.0], step_size=0.1, dt=0.01, horizon=1.0)
    >>> run.beta.shape
    (1, 1)
    """
    X, y, beta = _start(X, y, start, replicas)
    n = len(X)
    share = batch_factor(n, batch_size, replacement=replacement)
    dt, horizon = _stable_step(X, dt, 1.0, name="dt"), as_positive("horizon", horizon, zero=True)
    scale = np.sqrt(dt * as_positive("step_size", step_size) * share / n)

    def draw(stream, count):
        return stream.standard_normal((count, n))

    def advance(y, state, noise):
        residual = y - state[0] @ X.T
        centred = noise - noise.mean(-1, keepdims=True)
        return (state[0] + (dt / n * residual + scale * residual * centred) @ X,)

    return _simulate(X, y, (beta,), advance, draw, dt, round(horizon / dt), rng, record, observe)


def _start(X, y, start, replicas):
    X, y = as_design(X), as_array("y", y, ndim=(1, 2))
    n, p = X.shape
    replicas = as_count("replicas", replicas)
    y = y[None] if y.ndim == 1 else y
    if y.shape[1] != n or len(y) not in (1, replicas):
        raise ValueError(
            f"y must have shape ({n},) or ({replicas}, {n}), one entry for each row of X and one row "
            f"for each replica; received {y.shape}. Match their lengths."
        )
    start = np.zeros(p) if start is None else as_coefficients("start", start, p)
    return X, y, np.tile(start, (replicas, 1))


def _stable_step(X, step, factor, *, name="step_size"):
    step, largest = as_positive(name, step), np.linalg.norm(X, 2) ** 2 / len(X)
    if step * largest >= 2 * factor:
        raise ValueError(
            f"{name} must be below {2 * factor / largest:.6g}, where gradient descent stops being stable; "
            f"received {step}. Choose a smaller {name}."
        )
    return step


def _simulate(X, y, state, advance, draw, dt, steps, rng, record, observe):
    at, n = recorded_steps(record, dt, steps), len(X)
    scale = max(np.square(part).sum(-1).max() / (2 * n) for part in (y, y - state[0] @ X.T))
    drawn = [stream.spawn(1)[0] for stream in streams(rng, len(state[0]))]
    parts = []
    for first in range(0, len(drawn), BLOCK):
        rows = slice(first, first + BLOCK)
        labels, own = y[rows] if len(y) > 1 else y, tuple(part[rows] for part in state)
        parts.append(_block(X, labels, own, advance, draw, dt, at, drawn[rows], Recorder(observe)))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "observed"}
    seen = [part["observed"] for part in parts]
    found["observed"] = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
    return Run(times=dt * at, **strike_out(found, scale, dt, steps, "Choose a smaller step."))


def _block(X, y, state, advance, draw, dt, at, drawn, recorder):
    due, last, integral = set(at.tolist()), int(at[-1]), np.zeros(len(drawn))
    ahead = max(1, NUMBERS_AT_ONCE // (len(drawn) * len(X)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(last + 1):
            loss = ((y - state[0] @ X.T) ** 2).sum(-1) / (2 * len(X))
            if k in due:
                recorder.take(state[0], loss, integral)
            if k < last:
                if k % ahead == 0:
                    batches = np.stack([draw(stream, min(ahead, last - k)) for stream in drawn], axis=1)
                integral = integral + dt * loss
                state = advance(y, state, batches[k % ahead])
    nothing = np.full_like(state[0], np.nan)
    return recorder.result() | {"beta": state[0], "loss_integral": integral, "log_alpha_effective": nothing}
