"""Discrete time: gradient descent and SGD on the diagonal network, in the weights, where they live.

Notation (Pesme, Pillaud-Vivien & Flammarion 2021; 003, §5.2.2). β = w₊² − w₋², w±(0) = α, r = Xβ − y,
L(β) = ‖r‖²/4n, D = diag(XᵀX/n), γ the step size. A step is w± ← w±(1 ∓ γg), with g = Xᵀr/n for gradient
descent and the mean of x_i r_i over the batch for SGD. Hence w₊w₋ ← w₊w₋(1 − γ²g²): α shrinks to
√|w₊w₋|, and log(w₊/w₋) is −2Σ artanh(γg), which does not lie in range Xᵀ: discrete SGD is not exact in dual
coordinates, and the weights are stored as they are (w₊ ± w₋ would lose the small one of the two).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from lib.batches import batch_factor
from lib.ensembles import Recorder, recorded_steps, run_blocks, streams, strike_out
from lib.potentials import HyperbolicEntropy
from lib.records import Run, as_array, as_count, as_data, as_log_alpha, as_observers, as_positive

CHUNK = 64  # steps between two looks at underflow; the samples of eight times as many are drawn at once
ONE = np.ones(())  # an array already: a Python float would be converted anew at every step
REMEDY = "Choose a smaller step_size."


@dataclass(frozen=True, kw_only=True)
class DescentRun(Run):
    """A ``Run`` of the discrete algorithms, with the candidates for the effective α side by side.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Recorded instants in flow time, k·γ.
    loss : ndarray, shape (R, T)
        L at those instants.
    beta : ndarray, shape (R, d)
        State at the last of them.
    loss_integral : ndarray, shape (R,)
        ∫L dt to there, by the left-point rule at every step.
    log_alpha_effective : ndarray, shape (R, d)
        ½ log|w₊w₋|.
    observed : dict of str to ndarray, shapes (R, T, ...)
        What ``observe`` asked for.
    loss_integral_tail : ndarray, shape (R,), or None
        Not computed here.
    geometry : class of potentials
        The hyperbolic entropy, with α = ``exp(log_alpha_effective)``.
    status : ndarray of int, shape (R,)
        0 where the replica is finite to the end.
    message : str
        What happened to the others, and the remedy.
    offset : ndarray, shape (R, d)
        ¼ log|w₊/w₋| at the end. With it and ``log_alpha_effective``, ``bias.minimise`` gives the limit of the
        gradient flow from there, which finishes a run that has nearly converged.
    log_alpha_formula : ndarray, shape (R, d)
        log α − 2γcD∫L dt − 2(γ/m)D∫δ² dt: the formula of the stochastic flow (003, Theorem 5.5). m is the
        batch size and c the variance of a batch's mean, in units of one sample's: 1 for m = 1, 1/m with
        replacement, (n − m)/(m(n − 1)) without; 0 for gradient descent.
    log_alpha_covariance : ndarray, shape (R, d)
        log α − ½γ² Σ_k E[g_k² | β_k], exact covariance: for m = 1, E[g²]_j = n⁻¹ Σ_i x_ij²(r_i² + 4δ²). A
        batch has c·n⁻¹Σ_i x_ij² r_i² + (1 − c)(Xᵀr/n)_j² + (4δ²/m)D_j.
    sign_flips : ndarray of int, shape (R,)
        Coordinates with w₊w₋ < 0 at the end, which no flow can produce; there |w₊w₋| is meant everywhere.
    """

    offset: np.ndarray
    log_alpha_formula: np.ndarray
    log_alpha_covariance: np.ndarray
    sign_flips: np.ndarray


def gradient_descent(X, y, *, log_alpha, step_size, steps, record=50, observe=None) -> DescentRun:
    """Gradient descent on the weights of β = w₊² − w₋²: w± ← w±(1 ∓ γXᵀr/n), from w± = α.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights.
    step_size : float
        γ; flow time is k·γ after k steps.
    steps : int
        Number of steps.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants (moved
        to the nearest step); the run ends at the last.
    observe : dict of str to callable, optional
        Functions of β (1, d) to record as well.

    Returns
    -------
    DescentRun
        One replica; status 1 when it diverged.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.descent import gradient_descent
    >>> run = gradient_descent([[1.0, 2.0]], [1.0], log_alpha=np.log(0.1), step_size=0.05, steps=2000)
    >>> run.beta.round(1).tolist()
    [[0.1, 0.5]]
    """
    n = len(as_data(X, y)[0])
    return stochastic_gradient_descent(
        X,
        y,
        log_alpha=log_alpha,
        step_size=step_size,
        steps=steps,
        batch_size=n,
        replacement=False,
        record=record,
        observe=observe,
    )


def stochastic_gradient_descent(
    X,
    y,
    *,
    log_alpha,
    step_size,
    steps,
    batch_size=1,
    replacement=True,
    label_noise=0.0,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
    integrate_loss=True,
) -> DescentRun:
    """SGD on the weights of β = w₊² − w₋²: w± ← w±(1 ∓ γg), g the mean of x_i r_i over a batch, w± = α at 0.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights.
    step_size : float
        γ; flow time is k·γ after k steps.
    steps : int
        Number of steps.
    batch_size : int, optional
        m, between 1 and n.
    replacement : bool, optional
        Whether one sample may occur twice in a batch; ``batch_size=n`` without it is gradient descent.
    label_noise : float or callable, optional
        δ ≥ 0, or a function of the step number 0, 1, …: a sample's label is y_i ± 2δ, the sign drawn anew
        for every sample of every step.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed of the samples and signs.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants (moved
        to the nearest step); the run ends at the last.
    observe : dict of str to callable, optional
        Functions of β (R, d), a block of replicas at a time, to record as well.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run; the numbers do not depend on it.
    integrate_loss : bool, optional
        Whether to evaluate all n residuals at every step. Without it ``loss_integral`` and the two
        candidates are NaN, and batches of one cost half.

    Returns
    -------
    DescentRun
        ``loss_integral`` is γ times the sum of L over all steps; ``log_alpha_effective`` is ½ log|w₊w₋|, kept
        in logarithms also where the weights underflow. Replicas that diverged have status 1 and NaN.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.descent import stochastic_gradient_descent
    >>> X, y = np.eye(2, 3), [1.0, -1.0]
    >>> run = stochastic_gradient_descent(X, y, log_alpha=-2.0, step_size=0.1, steps=2000, replicas=3, rng=0)
    >>> bool((abs(run.beta[:, :2] - y) < 1e-6).all())
    True
    """
    X, y = as_data(X, y)
    n, d = X.shape
    step_size, steps = as_positive("step_size", step_size), as_count("steps", steps)
    batch_size = as_count("batch_size", batch_size, most=n)
    noise = _noise(label_noise, steps)
    plan = _Plan(
        X=X,
        y=y,
        log_alpha=as_log_alpha(log_alpha, d),
        step_size=step_size,
        at=recorded_steps(record, step_size, steps),
        batch_size=batch_size,
        replacement=bool(replacement),
        noise=noise,
        integrate_loss=bool(integrate_loss),
        observe=as_observers(observe),
    )
    found = run_blocks(partial(_block, plan), rng, replicas, executor=executor)
    scale = max(y @ y / (4 * n), noise.max() ** 2)
    found = strike_out(found, scale, step_size, steps, REMEDY)
    return DescentRun(times=step_size * plan.at, geometry=HyperbolicEntropy, **found)


def sample_indices(n, steps, *, batch_size=1, replacement=True, replicas=1, rng=None) -> np.ndarray:
    """The samples that ``stochastic_gradient_descent`` draws with the same arguments.

    Parameters
    ----------
    n : int
        Number of samples.
    steps : int
        Number of steps.
    batch_size : int, optional
        m, between 1 and n.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.

    Returns
    -------
    ndarray of int, shape (R, steps, m)
        Indices from 0 to n − 1.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.descent import sample_indices
    >>> sample_indices(10, 500, replicas=2, rng=0).shape
    (2, 500, 1)
    """
    n, steps = as_count("n", n), as_count("steps", steps)
    batch_size = as_count("batch_size", batch_size, most=n)
    sources = [_split(stream)[0] for stream in streams(rng, replicas)]
    return np.stack([_draw(source, steps, n, batch_size, replacement) for source in sources])


@dataclass(frozen=True)
class _Plan:
    X: np.ndarray
    y: np.ndarray
    log_alpha: np.ndarray
    step_size: float
    at: np.ndarray
    batch_size: int
    replacement: bool
    noise: np.ndarray
    integrate_loss: bool
    observe: dict


def _block(plan, drawn):
    """Run one block of replicas: their state at the recorded instants and what is left at the end."""
    weights, recorder = _Weights(plan, len(drawn)), Recorder(plan.observe)
    sources, due = [_split(stream) for stream in drawn], set(plan.at.tolist())
    last, chunk = int(plan.at[-1]), 8 * CHUNK if plan.batch_size == 1 else CHUNK
    with np.errstate(all="ignore"):
        for first in range(0, last, chunk):
            batches = zip(*_batches(plan, sources, first, min(chunk, last - first)), strict=True)
            for k, (batch, label) in enumerate(batches, first):
                weights.read()
                if k in due:
                    recorder.take(weights.beta, weights.loss(), weights.loss_integral())
                weights.step(batch, label)
                if k % CHUNK == 0:
                    weights.rescale()
        weights.read()
        recorder.take(weights.beta, weights.loss(), weights.loss_integral())
        return weights.result() | recorder.result()


class _Weights:
    """(w₊, w₋) of a block as an array (2, R, d), with what a step needs and what is summed on the way.

    X and y are stored times √γ, so that γ x_i r_i is the product of two of them: an operation saved.
    """

    def __init__(self, plan, replicas):
        n, d = plan.X.shape
        self.plan, root = plan, np.sqrt(plan.step_size)
        self.X, self.y = root * plan.X, np.tile(root * plan.y, (replicas, 1))
        self.XT = np.ascontiguousarray(self.X.T)
        # weights below 1e-200 are stored as w·e^{−shift}: their squares do not count, their logarithms do
        self.shift = np.tile(np.minimum(0.0, plan.log_alpha + 200 * np.log(10)), (2, replicas, 1))
        self.w = np.exp(plan.log_alpha - self.shift)
        self.factor = np.empty_like(self.w)  # also the squares: one buffer less in the cache
        self.plus, self.minus = self.factor
        self.beta, self.move = np.empty((2, replicas, d))
        self.residual, self.square = np.empty((2, replicas, n))
        self.squares, self.gradients = np.zeros((replicas, n)), np.zeros((replicas, d))
        self.variance = batch_factor(n, plan.batch_size, replacement=plan.replacement)

    def read(self):
        """β, and all residuals if the step needs them."""
        np.square(self.w, out=self.factor)
        np.subtract(self.plus, self.minus, out=self.beta)
        if self.plan.integrate_loss or self.plan.batch_size > 1:
            self.fit()

    def fit(self):
        np.dot(self.beta, self.XT, out=self.residual)
        np.subtract(self.residual, self.y, out=self.residual)

    def loss(self):
        self.fit()
        return np.vecdot(self.residual, self.residual) / (4 * self.plan.step_size * len(self.X))

    def loss_integral(self):
        if not self.plan.integrate_loss:
            return np.full(len(self.beta), np.nan)
        return self.squares.sum(1) / (4 * len(self.X))

    def step(self, batch, label):
        """One step; ``batch`` and ``label`` as in ``_batches``."""
        if self.plan.integrate_loss:
            np.square(self.residual, out=self.square)
            np.add(self.squares, self.square, out=self.squares)
            if self.variance < 1:
                mean = (self.residual @ self.X) / len(self.X)
                self.gradients += mean * mean
        if self.plan.batch_size == 1:
            self.X.take(batch, 0, self.move, "clip")
            residual = np.vecdot(self.move, self.beta) - label
            np.multiply(self.move, residual[:, None], out=self.move)
        else:
            np.dot((batch * self.residual - label) / self.plan.batch_size, self.X, out=self.move)
        np.subtract(ONE, self.move, out=self.plus)
        np.add(ONE, self.move, out=self.minus)
        np.multiply(self.w, self.factor, out=self.w)

    def rescale(self):
        size = np.abs(self.w)
        if size.min() < 1e-200 or self.shift.any():
            for rows, exponent in ((size < 1e-200, -50), ((self.shift < 0) & (size > 1e-140), 50)):
                self.w[rows] *= 10.0**-exponent
                self.shift[rows] += exponent * np.log(10)

    def result(self):
        plan, n = self.plan, len(self.plan.X)
        log_plus, log_minus = np.log(np.abs(self.w)) + self.shift
        S, noise = self.loss_integral(), (plan.noise[: plan.at[-1]] ** 2).sum() / plan.batch_size
        D = (plan.X**2).mean(0)
        sampled = self.variance * self.squares @ plan.X**2 / (n * plan.step_size)
        drift = sampled + (1 - self.variance) * self.gradients / plan.step_size**2 + 4 * noise * D
        if not plan.integrate_loss:
            drift = np.full_like(drift, np.nan)
        exposure = self.variance * S + plan.step_size * noise
        return {
            "beta": self.beta,
            "loss_integral": S,
            "log_alpha_effective": (log_plus + log_minus) / 2,
            "offset": (log_plus - log_minus) / 4,
            "log_alpha_formula": plan.log_alpha - 2 * plan.step_size * D * exposure[:, None],
            "log_alpha_covariance": plan.log_alpha - plan.step_size**2 * drift / 2,
            "sign_flips": (np.sign(self.w).prod(0) < 0).sum(-1).astype(float),
        }


def _noise(label_noise, steps):
    """δ at every step, (steps,): evaluated here, so that workers need no function."""
    if callable(label_noise):
        values = as_array("label_noise", [label_noise(k) for k in range(steps)], ndim=1)
        if (values < 0).any():
            raise ValueError(
                f"label_noise must be at least 0 at every step; received {values.min()}. Return its size."
            )
        return values
    return np.full(steps, as_positive("label_noise", label_noise, zero=True))


def _split(stream):
    # samples and signs have a stream each, so that the samples are the same with and without label noise
    return stream.spawn(2)


def _draw(source, steps, n, batch_size, replacement):
    if batch_size == n and not replacement:
        return np.tile(np.arange(n), (steps, 1))
    if replacement or batch_size == 1:
        return source.integers(n, size=(steps, batch_size))
    return source.random((steps, n)).argpartition(batch_size - 1, axis=1)[:, :batch_size]


def _batches(plan, sources, first, count):
    """The next steps' samples and labels, times √γ.

    For batches of one the index and the noisy label, (count, R) each; else how often each sample is drawn
    and the sum of its labels' noise, (count, R, n) each.
    """
    n, m, root = len(plan.X), plan.batch_size, np.sqrt(plan.step_size)
    index = np.stack([_draw(source, count, n, m, plan.replacement) for source, _ in sources], axis=1)
    delta, noise = plan.noise[first : first + count, None, None], np.zeros((count, 1, 1))
    if delta.any():
        signs = [2 * sign.integers(2, size=(count, m)) - 1 for _, sign in sources]
        noise = 2 * root * delta * np.stack(signs, axis=1)
    if m == 1:
        return index[..., 0], (root * plan.y[index] + noise)[..., 0]
    shape = (count, len(sources), n)
    cell = (index + n * np.arange(count * len(sources)).reshape(count, -1, 1)).ravel()
    times = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    if delta.any():
        noise = np.bincount(cell, noise.ravel(), minlength=np.prod(shape)).reshape(shape)
    return times, noise
