"""Three other diffusions for SGD on the diagonal network: Langevin's, and two whose noise forgets the data.

Notation (002, "Bonus 0: other SDE modelisations"; otherwise that of ``lib.diffusions``). β = w₊² − w₋²,
w±(0) = α, r = Xβ − y, L(β) = ‖r‖²/4n, g = Xᵀr/n, so that ∇L = ±w±⊙g. The stochastic gradient flow has noise
that lives in the span of the rows of X and dies with the loss. Langevin's does neither, the others only die:

    Langevin          dw± = ∓w±⊙g dt + √(2T) dB±,             B± in ℝᵈ, independent, T the temperature
    without structure dw± = ∓w±⊙g dt ± 2√(γL/n) w±⊙dB,        B in ℝᵈ: no Xᵀ
    additive          dw± = ∓w±⊙g dt + 2√(γL/n) dB±,          neither w± nor Xᵀ: T = 2γL/n

Langevin: w₊w₋ is a martingale, its drifts −g and +g cancel; near the zero-loss set L settles at nT/2. Without
structure, by Itô's formula, with M = 2∫√(γL/n) dB in ℝᵈ and s = ∫L dt,

    log w± = log α ± (Xᵀν + M) − 2γs/n,    dν = −(r/n) dt:

w₊w₋ = α²e^{−4γs/n} shrinks by 1/n where the stochastic gradient flow has D_j = (XᵀX/n)_jj, and the mirror
coordinate ∇φ(β) = ½(Xᵀν + M) leaves the range of Xᵀ by ½M.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from lib.ensembles import Recorder, recorded_steps, run_blocks, strike_out
from lib.potentials import HyperbolicEntropy, scaled_sinh
from lib.records import Run, as_array, as_data, as_log_alpha, as_observers, as_positive

__all__ = ["LangevinRun", "UnstructuredRun", "additive_noise_flow", "langevin", "unstructured_noise_flow"]

CHUNK = 4096  # normal numbers drawn at once from one replica's stream
REMEDY = "Choose a smaller dt."


@dataclass(frozen=True, kw_only=True)
class LangevinRun(Run):
    """A ``Run`` of Langevin's equation, or of the one with additive noise that dies with the loss.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Recorded instants in flow time.
    loss : ndarray, shape (R, T)
        L at those instants.
    beta : ndarray, shape (R, d)
        State at the last of them.
    loss_integral : ndarray, shape (R,)
        ∫L dt to there, by the left-point rule at every step.
    log_alpha_effective : ndarray, shape (R, d)
        ½ log|w₊w₋| at the end.
    observed : dict of str to ndarray, shapes (R, T, ...)
        What ``observe`` asked for.
    loss_integral_tail : ndarray, shape (R,), or None
        Not computed: at T > 0 the integral diverges.
    geometry : class of potentials
        The hyperbolic entropy, with α = ``exp(log_alpha_effective)``.
    status : ndarray of int, shape (R,)
        0 where the replica is finite to the end.
    message : str
        What happened to the others, and the remedy.
    product : ndarray, shape (R, d)
        w₊w₋ at the end, with its sign: its mean is α² at every time.
    """

    product: np.ndarray


@dataclass(frozen=True, kw_only=True)
class UnstructuredRun(Run):
    """A ``Run`` of the flow whose noise has no structure.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Recorded instants in flow time.
    loss : ndarray, shape (R, T)
        L at those instants.
    beta : ndarray, shape (R, d)
        State at the last of them.
    loss_integral : ndarray, shape (R,)
        s = ∫L dt to there, by the left-point rule at every step.
    log_alpha_effective : ndarray, shape (R, d)
        log α_s = log α − 2a²γs/n, a the amplitude.
    observed : dict of str to ndarray, shapes (R, T, ...)
        What ``observe`` asked for.
    loss_integral_tail : ndarray, shape (R,), or None
        Not computed.
    geometry : class of potentials
        The hyperbolic entropy, with α = ``exp(log_alpha_effective)``.
    status : ndarray of int, shape (R,)
        0 where the replica is finite to the end.
    message : str
        What happened to the others, and the remedy.
    offset : ndarray, shape (R, d)
        ½M. At every time β is argmin { D_φ(β', β₀) : Xβ' = Xβ } at α_s with ∇φ(β₀) = ½M: with it and
        ``log_alpha_effective``, ``bias.minimise_many`` gives the limit of a run that has converged.
    dual : ndarray, shape (R, n)
        ν at the end.
    quadratic_variation : ndarray, shape (R,)
        Σ‖ΔM‖² / (4γ Σ_j a_j² s/n), near 1. NaN without noise.
    """

    offset: np.ndarray
    dual: np.ndarray
    quadratic_variation: np.ndarray


def langevin(
    X,
    y,
    *,
    log_alpha,
    temperature,
    dt,
    horizon,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
) -> LangevinRun:
    """Overdamped Langevin dw = −∇L dt + √(2T) dB on the 2d weights of β = w₊² − w₋², from w± = α.

    A step is w± ← w± e^{∓dt·g} + √(T dt/2)(ξ_k + ξ_{k+1}), ξ standard normal. At T = 0 the first factor is
    mirror descent: w₊w₋ = α² for every dt, and the limit is that of the gradient flow. Halves of two
    successive ξ instead of one whole make the stationary law exact for quadratic L, for every stable dt
    (Leimkuhler & Matthews 2013); with one whole, E L is too large by a share of order dt.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights, above −700: they are stored as they are.
    temperature : float
        T ≥ 0; 1/η of 002.
    dt : float
        Integration step.
    horizon : float
        Flow time, cut into equal steps no longer than dt.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants (moved
        to the nearest step); the run ends at the last.
    observe : dict of str to callable, optional
        Functions of β (R, d), a block of replicas at a time, to record as well.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run; the numbers do not depend on it.

    Returns
    -------
    LangevinRun
        With ``product``. Replicas that diverged have status 1 and NaN.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Notes
    -----
    There is no stationary law: the zero-loss set is unbounded and e^{−L/T} has no finite integral. Across
    that set the n residuals equilibrate, so E L = nT/2; along it the weights diffuse for ever, and a dt that
    was stable at the start need not remain so.

    Examples
    --------
    >>> from lib.diffusions.controls import langevin
    >>> options = dict(log_alpha=0.0, temperature=1e-4, dt=0.05, horizon=200, record=400, replicas=64, rng=0)
    >>> run = langevin([[1.0, 2.0]], [1.0], **options)
    >>> round(float(run.loss[:, 40:].mean() / (1 * 1e-4 / 2)), 1)
    1.0
    """
    plan = _stored_weights(_plan(X, y, log_alpha, dt, horizon, record, observe))
    temperature = as_positive("temperature", temperature, zero=True)
    return LangevinRun(
        **_run(_Langevin, plan, (temperature,), temperature * len(plan.y), rng, replicas, executor)
    )


def additive_noise_flow(
    X,
    y,
    *,
    log_alpha,
    step_size,
    dt,
    horizon,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
) -> LangevinRun:
    """The flow dw± = ∓w±⊙g dt + 2√(γL/n) dB±: noise that dies with the loss and forgets both w± and Xᵀ.

    It is Langevin's equation at the temperature 2γL/n of the moment. A step is
    w± ← w± e^{∓dt·g} + 2√(γL dt/n) ξ, with L at the left point and ξ standard normal.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights, above −700: they are stored as they are.
    step_size : float
        γ, in the noise.
    dt : float
        Integration step.
    horizon : float
        Flow time, cut into equal steps no longer than dt.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants (moved
        to the nearest step); the run ends at the last.
    observe : dict of str to callable, optional
        Functions of β (R, d), a block of replicas at a time, to record as well.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run; the numbers do not depend on it.

    Returns
    -------
    LangevinRun
        With ``product``. Replicas that diverged have status 1 and NaN.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> from lib.diffusions.controls import additive_noise_flow
    >>> options = dict(log_alpha=-1.0, step_size=0.05, dt=0.05, horizon=200, replicas=8, rng=0)
    >>> bool((additive_noise_flow([[1.0, 2.0]], [1.0], **options).loss[:, -1] < 1e-9).all())
    True
    """
    plan = _stored_weights(_plan(X, y, log_alpha, dt, horizon, record, observe))
    physics = (as_positive("step_size", step_size),)
    return LangevinRun(**_run(_Additive, plan, physics, 0.0, rng, replicas, executor))


def unstructured_noise_flow(
    X,
    y,
    *,
    log_alpha,
    step_size,
    dt,
    horizon,
    amplitude=1.0,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
) -> UnstructuredRun:
    """The "wrong" equation dw± = ∓w±⊙g dt ± 2a√(γL/n) w±⊙dB with B in ℝᵈ: right size in L, no Xᵀ.

    Euler–Maruyama on (ν, M, s), weights in logarithms: log w± = log α ± (Xᵀν + M) − 2a²γs/n. Exact for every
    dt and on every path: signs, w₊w₋ = α²e^{−4a²γs/n}, and that β is the Bregman projection, at α_s, of the
    random point with mirror coordinate ½M.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights.
    step_size : float
        γ, in the noise.
    dt : float
        Integration step.
    horizon : float
        Flow time, cut into equal steps no longer than dt.
    amplitude : float or array_like, shape (d,), optional
        a ≥ 0: 1 is the equation of 002; √(nD) gives each weight the variance it has in the stochastic
        gradient flow, and with it the same α_s.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the increasing instants (moved
        to the nearest step); the run ends at the last.
    observe : dict of str to callable, optional
        Functions of β (R, d), a block of replicas at a time, to record as well.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run; the numbers do not depend on it.

    Returns
    -------
    UnstructuredRun
        With ``offset``, ``dual`` and ``quadratic_variation``. Replicas that diverged have status 1 and NaN.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> from lib import bias
    >>> from lib.diffusions.controls import unstructured_noise_flow
    >>> X, y = [[1.0, 2.0]], [1.0]
    >>> run = unstructured_noise_flow(X, y, log_alpha=-2.0, step_size=0.1, dt=0.1, horizon=200, rng=0)
    >>> end = bias.minimise_many(run.log_alpha_effective, X, y, offset=run.offset)
    >>> bool(np.allclose(run.beta, end.beta, rtol=0, atol=1e-12))
    True
    """
    plan = _plan(X, y, log_alpha, dt, horizon, record, observe)
    step_size = as_positive("step_size", step_size)
    d = plan.X.shape[1]
    amplitude = as_array("amplitude", amplitude, ndim=(0, 1))
    if amplitude.shape not in ((), (d,)) or (amplitude < 0).any():
        raise ValueError(
            f"amplitude must be at least 0, one number or one for each of the {d} coordinates; received "
            f"shape {amplitude.shape}, smallest {amplitude.min(initial=np.inf)}. 1.0 is as printed."
        )
    physics = step_size, np.broadcast_to(amplitude, (d,))
    return UnstructuredRun(**_run(_Unstructured, plan, physics, 0.0, rng, replicas, executor))


@dataclass(frozen=True)
class _Plan:
    X: np.ndarray
    y: np.ndarray
    log_alpha: np.ndarray
    dt: float
    steps: int
    at: np.ndarray
    observe: dict


def _plan(X, y, log_alpha, dt, horizon, record, observe):
    X, y = as_data(X, y)
    dt, horizon = as_positive("dt", dt), as_positive("horizon", horizon)
    if dt > horizon:
        raise ValueError(f"dt must not exceed the horizon {horizon}; received {dt}. Choose a smaller dt.")
    steps = int(np.ceil(horizon / dt * (1 - 1e-12)))
    return _Plan(
        X=X,
        y=y,
        log_alpha=as_log_alpha(log_alpha, X.shape[1]),
        dt=horizon / steps,
        steps=steps,
        at=recorded_steps(record, horizon / steps, steps),
        observe=as_observers(observe),
    )


def _stored_weights(plan):
    """The plan, or a sentence when its weights cannot be stored as numbers."""
    if plan.log_alpha.min() < -700:
        raise ValueError(
            f"log_alpha must be above -700 for weights stored as numbers; received {plan.log_alpha.min()}. "
            "Choose a larger start."
        )
    return plan


def _run(kind, plan, physics, level, rng, replicas, executor):
    found = run_blocks(partial(_block, kind, plan, physics), rng, replicas, executor=executor)
    scale = max(plan.y @ plan.y / (4 * len(plan.y)), level)
    found = strike_out(found, scale, plan.dt, plan.steps, REMEDY)
    return {"times": plan.dt * plan.at, "geometry": HyperbolicEntropy} | found


def _block(kind, plan, physics, drawn):
    """Run one block of replicas: their state at the recorded instants and what is left at the end."""
    with np.errstate(all="ignore"):
        path, recorder = kind(plan, len(drawn), *physics), Recorder(plan.observe)
        last, due = int(plan.at[-1]), set(plan.at.tolist())
        chunk = max(8, CHUNK // path.width)
        for first in range(0, last, chunk):
            count = min(chunk, last - first)
            normals = np.stack([stream.standard_normal((count, path.width)) for stream in drawn], axis=1)
            for k, normal in enumerate(normals, first):
                if k in due:
                    recorder.take(path.beta, path.loss, path.loss_integral)
                path.loss_integral += plan.dt * path.loss
                path.step(normal)
                path.fit()
        recorder.take(path.beta, path.loss, path.loss_integral)
        return path.result() | recorder.result()


class _Path:
    """β, r and L of a block at its present state."""

    def __init__(self, plan, replicas):
        self.plan, self.replicas, self.n = plan, replicas, len(plan.y)
        self.XT = np.ascontiguousarray(plan.X.T)
        self.loss_integral = np.zeros(replicas)

    def fit(self):
        self.beta = self.predictor()
        self.residual = self.beta @ self.XT - self.plan.y
        self.loss = np.vecdot(self.residual, self.residual) / (4 * self.n)


class _Langevin(_Path):
    def __init__(self, plan, replicas, temperature):
        super().__init__(plan, replicas)
        d = plan.X.shape[1]
        self.width, self.size = 2 * d, np.sqrt(temperature * plan.dt / 2)
        self.w = np.tile(np.exp(plan.log_alpha), (2, replicas, 1))
        self.before = np.zeros((2, replicas, d))  # the half of the noise that both its steps share
        self.fit()

    def predictor(self):
        return (self.w[0] - self.w[1]) * (self.w[0] + self.w[1])

    def descend(self):
        """w± ← w± e^{∓dt·g}."""
        shrink = np.exp(self.residual @ ((-self.plan.dt / self.n) * self.plan.X))
        self.w[0] *= shrink
        self.w[1] /= shrink

    def step(self, normal):
        now = self.size * normal.reshape(self.replicas, 2, -1).swapaxes(0, 1)
        self.descend()
        self.w += self.before + now
        self.before = now

    def result(self):
        product = self.w[0] * self.w[1]
        return {
            "beta": self.beta,
            "loss_integral": self.loss_integral,
            "log_alpha_effective": np.log(np.abs(product)) / 2,
            "product": product,
        }


class _Additive(_Langevin):
    def __init__(self, plan, replicas, step_size):
        super().__init__(plan, replicas, 0.0)
        self.step_size = step_size

    def step(self, normal):
        """L at the left point; w₊ and w₋ have their own noise."""
        size = 2 * np.sqrt(self.step_size * self.loss * self.plan.dt / self.n)
        self.descend()
        self.w += size[:, None] * normal.reshape(self.replicas, 2, -1).swapaxes(0, 1)


class _Unstructured(_Path):
    def __init__(self, plan, replicas, step_size, amplitude):
        super().__init__(plan, replicas)
        n, d = plan.X.shape
        self.width, self.step_size, self.amplitude = d, step_size, amplitude
        self.twice, self.exponent = 2 * plan.X, -4 * step_size / n * amplitude**2
        self.nu, self.M = np.zeros((replicas, n)), np.zeros((replicas, d))
        self.s, self.variation = np.zeros((2, replicas))
        # e^{2 log α_s + z} − e^{2 log α_s − z} cancels when α² exceeds β by far; ‖β‖ is at least ‖y‖/‖X‖
        small = np.linalg.norm(plan.y) / max(np.linalg.norm(plan.X, 2), 1e-300)
        self.cancels = np.exp(min(2 * plan.log_alpha.max(), 700.0)) > 100 * small
        self.fit()

    def log_square(self):
        """2 log α_s."""
        return 2 * self.plan.log_alpha + self.exponent * self.s[:, None]

    def predictor(self):
        log_square, z = self.log_square(), self.nu @ self.twice
        z += self.M
        z += self.M
        if self.cancels:
            return scaled_sinh(log_square, z)
        return np.exp(log_square + z) - np.exp(log_square - z)

    def step(self, normal):
        """Euler–Maruyama: L at the left point, in the noise and in s."""
        size = 2 * np.sqrt(self.step_size * self.loss * self.plan.dt / self.n)
        kick = size[:, None] * normal
        kick *= self.amplitude
        self.variation += np.vecdot(kick, kick)
        self.M += kick
        self.nu -= (self.plan.dt / self.n) * self.residual
        self.s += self.plan.dt * self.loss

    def result(self):
        expected = 4 * self.step_size * (self.amplitude**2).sum() * self.s / self.n
        return {
            "beta": self.beta,
            "loss_integral": self.loss_integral,
            "log_alpha_effective": self.log_square() / 2,
            "offset": self.M / 2,
            "dual": self.nu,
            "quadratic_variation": self.variation / expected,
        }
