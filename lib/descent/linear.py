"""Linear models trained by gradient descent, SGD and the stochastic flow: simulators, all replicas at once.

Notation (003 is Yang's notes, 2025, §5.1). The loss is L(β) = ‖y − Xβ‖²/2n, or (1/n) Σ ℓ(⟨β, xᵢ⟩ − yᵢ) with a
loss ℓ of ``lib.descent.losses``; the prediction is Xβ itself, ε the step size, m the batch size, λ the
weight decay.
Times are flow time: k·ε after k steps. Exact moments of the same algorithms are in ``lib.regression``; these
runs are what they are compared with, and what a reader's own y goes through. ``y`` may hold one set of labels
a replica, (R, n), and ``start`` one start a replica, (R, p). Every replica has its own random stream, so the
first 64 of 1,000 are those of a run with 64.
"""

from __future__ import annotations

import numpy as np

from lib.batches import batch_factor
from lib.descent.losses import SQUARED, as_loss
from lib.ensembles import Recorder, recorded_steps, streams, strike_out
from lib.potentials import SquaredNorm
from lib.records import Run, as_array, as_coefficients, as_count, as_design, as_positive

BLOCK, NUMBERS_AT_ONCE = 512, 2_000_000  # replicas advanced together, random numbers drawn ahead: 16 MB


def gradient_descent(
    X,
    y,
    *,
    step_size,
    steps,
    loss=SQUARED,
    momentum=0.0,
    weight_decay=0.0,
    start=None,
    record=50,
    observe=None,
) -> Run:
    """Gradient descent, β ← β − ε[(1/n)Xᵀℓ′(Xβ − y) + λβ] + momentum·(β − β_before).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,) or (R, n)
        Labels.
    step_size : float
        ε, below 2(1 + momentum)/(c s_max + λ), with s_max the largest eigenvalue of XᵀX/n and c the
        curvature of the loss, 1 for the squared one.
    steps : int
        Number of steps.
    loss : Loss, optional
        ℓ; by default the squared loss r²/2, with which the gradient is Xᵀ(Xβ − y)/n.
    momentum : float, optional
        Heavy-ball momentum, in [0, 1).
    weight_decay : float, optional
        λ ≥ 0: the penalty λ‖β‖²/2 in the gradient, not in the recorded loss.
    start : array_like, shape (p,) or (R, p), optional
        β(0); 0 by default.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the instants themselves.
    observe : dict of str to callable, optional
        Functions of β (R, p) to record as well.

    Returns
    -------
    Run
        ``loss`` is the mean of ℓ, ‖y − Xβ‖²/2n; ``log_alpha_effective`` is NaN, a linear model has none.

    Raises
    ------
    ValueError
        When the step is beyond stability, or an input is empty, not finite or of the wrong shape.
    TypeError
        When the loss is no ``Loss``.

    Examples
    --------
    >>> from lib.descent.linear import gradient_descent
    >>> run = gradient_descent([[1.0], [1.0]], [2.0, 2.0], step_size=0.5, steps=20)
    >>> round(float(run.beta[0, 0]), 4)
    2.0
    """
    n, several = len(np.asarray(X)), [len(part) for part in (y, start) if np.ndim(part) == 2]
    return stochastic_gradient_descent(
        X,
        y,
        step_size=step_size,
        steps=steps,
        batch_size=n,
        replacement=False,
        loss=loss,
        momentum=momentum,
        weight_decay=weight_decay,
        start=start,
        replicas=max(several, default=1),
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
    loss=SQUARED,
    momentum=0.0,
    weight_decay=0.0,
    start=None,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
) -> Run:
    """Mini-batch SGD (25), β ← β − ε[(1/m) Σ_{i in batch} ℓ′(x_iᵀβ − y_i)x_i + λβ] + momentum·(β − β_before).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,) or (R, n)
        Labels.
    step_size : float
        ε, below 2(1 + momentum)/(c s_max + λ) with c the curvature of the loss: beyond it already the mean
        diverges.
    steps : int
        Number of steps.
    batch_size : int, optional
        m, between 1 and n; n without replacement is gradient descent.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    loss : Loss, optional
        ℓ; by default the squared loss r²/2.
    momentum : float, optional
        Heavy-ball momentum, in [0, 1).
    weight_decay : float, optional
        λ ≥ 0: the penalty λ‖β‖²/2 in the gradient, not in the recorded loss.
    start : array_like, shape (p,) or (R, p), optional
        β(0), one for all replicas or one for each; 0 by default.
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
        ``loss`` is the mean of ℓ, ‖y − Xβ‖²/2n; ``log_alpha_effective`` is NaN, a linear model has none.
        Replicas that leave the finite numbers have status 1.

    Raises
    ------
    ValueError
        When the step is beyond stability, the batch larger than n, or an input is empty, not finite or of
        the wrong shape.
    TypeError
        When the loss is no ``Loss``.

    Examples
    --------
    >>> from lib.descent.linear import stochastic_gradient_descent
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
    loss, decay = as_loss(loss), as_positive("weight_decay", weight_decay, zero=True)
    step_size = _stable_step(X, step_size, 1 + momentum, curvature=loss.curvature, decay=decay)
    whole = batch_size == n and not replacement

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
            gradient = loss.slope(beta @ X.T - y) @ X / n
        else:
            x, labels = X[batch], np.take_along_axis(y, batch, axis=1) if len(y) > 1 else y[0, batch]
            residual = np.einsum("rmp,rp->rm", x, beta) - labels
            gradient = np.einsum("rm,rmp->rp", loss.slope(residual), x) / batch_size
        gradient = gradient + decay * beta if decay else gradient
        return beta - step_size * gradient + momentum * (beta - before), beta

    return _simulate(X, y, (beta, beta), advance, draw, step_size, steps, rng, record, observe, loss)


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
    start : array_like, shape (p,) or (R, p), optional
        β(0), one for all replicas or one for each; 0 by default.
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
    >>> from lib.descent.linear import stochastic_gradient_flow
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
    if np.ndim(start) != 2:
        start = np.zeros(p) if start is None else as_coefficients("start", start, p)
        return X, y, np.tile(start, (replicas, 1))
    start = as_array("start", start)
    if start.shape != (replicas, p):
        raise ValueError(
            f"start must have shape ({p},) or ({replicas}, {p}), one entry for each column of X and one row "
            f"for each replica; received {start.shape}. Match their lengths."
        )
    return X, y, start


def _stable_step(X, step, factor, *, name="step_size", curvature=1.0, decay=0.0):
    step, largest = as_positive(name, step), curvature * np.linalg.norm(X, 2) ** 2 / len(X) + decay
    if step * largest >= 2 * factor:
        raise ValueError(
            f"{name} must be below {2 * factor / largest:.6g}, where gradient descent stops being stable; "
            f"received {step}. Choose a smaller {name}."
        )
    return step


def _simulate(X, y, state, advance, draw, dt, steps, rng, record, observe, loss=SQUARED):
    at = recorded_steps(record, dt, steps)
    scale = max(loss.value(part).mean(-1).max() for part in (-y, state[0] @ X.T - y))
    drawn = [stream.spawn(1)[0] for stream in streams(rng, len(state[0]))]
    parts = []
    for first in range(0, len(drawn), BLOCK):
        rows = slice(first, first + BLOCK)
        labels, own = y[rows] if len(y) > 1 else y, tuple(part[rows] for part in state)
        parts.append(_block(X, labels, own, advance, draw, dt, at, drawn[rows], Recorder(observe), loss))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "observed"}
    seen = [part["observed"] for part in parts]
    found["observed"] = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
    found = strike_out(found, scale, dt, steps, "Choose a smaller step.")
    return Run(times=dt * at, geometry=SquaredNorm(), **found)


def _block(X, y, state, advance, draw, dt, at, drawn, recorder, loss):
    due, last, integral = set(at.tolist()), int(at[-1]), np.zeros(len(drawn))
    ahead = max(1, NUMBERS_AT_ONCE // (len(drawn) * len(X)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(last + 1):
            now = loss.value(state[0] @ X.T - y).mean(-1)
            if k in due:
                recorder.take(state[0], now, integral)
            if k < last:
                if k % ahead == 0:
                    batches = np.stack([draw(stream, min(ahead, last - k)) for stream in drawn], axis=1)
                integral = integral + dt * now
                state = advance(y, state, batches[k % ahead])
    nothing = np.full_like(state[0], np.nan)
    return recorder.result() | {"beta": state[0], "loss_integral": integral, "log_alpha_effective": nothing}
