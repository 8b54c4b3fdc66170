"""Stochastic continuous time on the diagonal network: the stochastic gradient flow and label-noise flow.

Notation (Pesme, Pillaud-Vivien & Flammarion 2021; 003, Theorem 5.5; 000 for label noise). β = w₊² − w₋²,
w±(0) = α, r = Xβ − y, L(β) = ‖r‖²/4n, D = diag(XᵀX/n), γ the step size whose noise is modelled, B Brownian
motion in ℝⁿ. In the weights dw± = ∓w±⊙Xᵀr/n dt ± 2√(γL/n) w±⊙XᵀdB. By Itô's formula, in n + 1 numbers a path,

    log w± = log α ± Xᵀν − 2γDs,    dν = −(r/n) dt + 2√(γL/n) dB,    ds = L dt,    ν(0) = 0, s(0) = 0.

Euler–Maruyama is applied to (ν, s), and β is formed in logarithms. So for every dt, and on every path,
w± > 0, w₊w₋ = α_s² with α_s = α e^{−2γDs}, and ∇φ_{α_s}(β) = ½Xᵀν lies in the range of Xᵀ: β(t) minimises
φ_{α_s} under Xβ = Xβ(t), to rounding. Label noise δ replaces L by L + δ² in the noise and in s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lib.diffusions._paths import Dual, Neurons, Plan, run_block
from lib.ensembles import recorded_steps, run_blocks, strike_out
from lib.potentials import HyperbolicEntropy, NegativeEntropy
from lib.records import (
    Run,
    as_array,
    as_coefficients,
    as_count,
    as_data,
    as_log_alpha,
    as_observers,
    as_positive,
)

REMEDY = "Choose a smaller dt, or a smaller step_size."


@dataclass(frozen=True, kw_only=True)
class DiffusionRun(Run):
    """A ``Run`` of a diffusion in dual coordinates, with what its tests need.

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
        log α_s = log α − 2γD∫(L + δ²)dt; with the exact covariance its own exponent.
    observed : dict of str to ndarray, shapes (R, T, ...)
        What ``observe`` asked for.
    loss_integral_tail : ndarray, shape (R,)
        Estimate of what ``loss_integral`` still misses; infinite while there is label noise.
    geometry : class of potentials
        The hyperbolic entropy, or for β = w² the negative entropy.
    status : ndarray of int, shape (R,)
        0 where the replica is finite to the end.
    message : str
        What happened to the others, and the remedy.
    dual : ndarray, shape (R, n)
        ν at the end.
    quadratic_variation : ndarray, shape (R,)
        Σ‖Δν + (r/n)dt‖² / 4γ∫(L + δ²)dt, near 1: the size of the noise that was added, over the size the
        theorem asks for. NaN without noise.
    energy_defect : ndarray, shape (R,), or None
        With ``interpolator`` β̃, V(0) − V(T) − ∫[2L − γ(L + δ²) Σ_j D_j(√(β̃_j² + 4α_s⁴) + √(β_j² + 4α_s⁴))],
        V = φ_{α_s}(β̃) + φ*_{α_s}(½Xᵀν) − ½νᵀy. A martingale: its mean is 0, up to the time step, if noise
        and shrinking of α fit together.
    energy_noise : ndarray, shape (R,), or None
        The part of that integral that carries γ; ``energy_defect − energy_noise`` is the defect without it.
    beta_mean : ndarray, shape (R, d), or None
        Label-noise flow: time mean of β by the left-point rule.
    log_w : ndarray, shape (R, d) or (R, 2, d), or None
        Label-noise flow: log w at the end; log w₊ and log w₋ of the two-signed network. Euler–Maruyama on the
        weights: log|w₊| and log|w₋|, the weights' own.
    brownian : ndarray, shape (R, n), or None
        Label-noise flow: B at the end.
    """

    dual: np.ndarray
    quadratic_variation: np.ndarray
    energy_defect: np.ndarray | None = None
    energy_noise: np.ndarray | None = None
    beta_mean: np.ndarray | None = None
    log_w: np.ndarray | None = None
    brownian: np.ndarray | None = None


def stochastic_gradient_flow(
    X,
    y,
    *,
    log_alpha,
    step_size,
    dt,
    horizon,
    label_noise=0.0,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
    covariance="mean",
    noise_scale=1.0,
    exponent_scale=1.0,
    interpolator=None,
) -> DiffusionRun:
    """Stochastic gradient flow dw± = ∓w±⊙Xᵀr/n dt ± 2√(γL/n) w±⊙XᵀdB, in dual coordinates.

    Exact for every dt and on every path: signs, w₊w₋ = α²e^{−4γDs}, and that β(t) minimises φ_{α_s} among the
    points with its predictions. Of order √dt on a path and dt in means: the path (ν, s) itself.

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
        Integration step; dt = γ is a good first choice.
    horizon : float
        Flow time, cut into equal steps no longer than dt.
    label_noise : float or callable, optional
        δ ≥ 0, or a function of time: L becomes L + δ² in the noise and in s.
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
    covariance : {"mean", "exact"}, optional
        "mean" is the theorem's noise. "exact" has one size for each sample, dν = −(r/n)dt + √(γ/n) r⊙dB, and
        log w± = log α ± Xᵀν − ½γ n⁻¹ ∫Σ_i x_i²(r_i² + 4δ²)dt: the uncentred second moment of SGD's gradient.
        It, and not the centred covariance of 003 (18), has SGD's limit to first order in γ: without the
        correction of order γ in the drift that the centred one needs, centring adds an error of its own.
    noise_scale : float, optional
        Multiplies the noise and not the exponent: 1 is the theorem's, any other value a wrong control.
    exponent_scale : float, optional
        Multiplies the exponent 2γDs (or its exact form) and not the noise: 1 is Itô's formula, ½ is half its
        term, 0 the Stratonovich reading of the equation. Any value but 1 is a wrong control.
    interpolator : array_like, shape (d,), optional
        A β̃ with Xβ̃ = y; with it the result has ``energy_defect``, at twice the cost.

    Returns
    -------
    DiffusionRun
        ``loss_integral_tail`` is an estimate (see ``flows.remaining_loss_integral``), infinite while there is
        label noise. Replicas that diverged have status 1 and NaN.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.diffusions import stochastic_gradient_flow
    >>> X, y = [[1.0, 2.0]], [1.0]
    >>> run = stochastic_gradient_flow(X, y, log_alpha=-2.0, step_size=0.1, dt=0.1, horizon=50, rng=0)
    >>> s = -(run.log_alpha_effective[0] + 2.0) / (2 * 0.1 * np.array([1.0, 4.0]))
    >>> bool(np.allclose(s, run.loss_integral, rtol=1e-12))
    True
    """
    if covariance not in ("mean", "exact"):
        raise ValueError(f'covariance must be "mean" or "exact"; received {covariance!r}. Choose one.')
    plan = _plan(X, y, log_alpha, step_size, dt, horizon, label_noise, record, observe)
    noise_scale = as_positive("noise_scale", noise_scale, zero=True)
    exponent_scale = as_positive("exponent_scale", exponent_scale, zero=True)
    if interpolator is not None:
        interpolator = as_coefficients("interpolator", interpolator, plan.X.shape[1])
        left = np.linalg.norm(plan.X @ interpolator - plan.y)
        if left > 1e-8 * max(np.linalg.norm(plan.y), 1e-300):
            raise ValueError(
                f"interpolator must satisfy Xβ̃ = y; received one that leaves {left:.1e}. "
                "Pass beta_star, or bias.least_norm(X, y).beta."
            )
    exact = covariance == "exact"
    scales = {"noise_scale": noise_scale, "exponent_scale": exponent_scale}
    plan = replace(plan, exact=exact, interpolator=interpolator, **scales)
    return _run(Dual, plan, rng, replicas, executor)


def neuron_euler_maruyama(
    X,
    y,
    *,
    log_alpha,
    step_size,
    dt,
    horizon,
    label_noise=0.0,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
    substeps=1,
    noise_scale=1.0,
    noise_point=0.0,
) -> DiffusionRun:
    """Euler–Maruyama on the weights, with the noise of ``stochastic_gradient_flow``: a test of the theorem.

    Nothing of the theorem is put in: w₊w₋ = α_s² and β = argmin φ_{α_s} come out, with an error of order √dt,
    about 1e-3 at usual steps, and weights may change sign. To compute, use ``stochastic_gradient_flow``.

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
    label_noise : float or callable, optional
        δ ≥ 0, or a function of time.
    replicas : int, optional
        R.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; the same seed gives the Brownian path of ``stochastic_gradient_flow``.
    record : int or array_like, optional
        How many equally spaced instants to record, both ends included, or the instants.
    observe : dict of str to callable, optional
        Functions of β (R, d) to record as well.
    executor : concurrent.futures.Executor, optional
        Where blocks of 64 replicas run.
    substeps : int, optional
        The path B is drawn at dt/substeps and summed to the steps: runs that share the seed and dt/substeps
        follow one path with different steps.
    noise_scale : float, optional
        Multiplies the noise: 1 is the theorem's.
    noise_point : float, optional
        Where in the step the size of the noise is taken, between 0 and 1, by one predictor: 0, its beginning,
        is Itô's integral. With the point p the same equation has w₊w₋ = α²e^{−4(1 − 2p)γDs}: ¼ is half Itô's
        term, ½ Heun's scheme for the Stratonovich reading.

    Returns
    -------
    DiffusionRun
        ``log_w`` (R, 2, d) is log|w₊| and log|w₋|. ``log_alpha_effective`` is the theorem's
        log α − 2γD∫(L + δ²), not the weights' own ½ log|w₊w₋|.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> from lib.diffusions import neuron_euler_maruyama
    >>> X, y = [[1.0, 2.0]], [1.0]
    >>> run = neuron_euler_maruyama(X, y, log_alpha=-2.0, step_size=0.1, dt=0.1, horizon=50, rng=0)
    >>> run.beta.shape
    (1, 2)
    """
    plan = _plan(X, y, log_alpha, step_size, dt, horizon, label_noise, record, observe)
    if plan.log_alpha.min() < -700:
        raise ValueError(
            f"log_alpha must be above -700 for weights stored as numbers; received {plan.log_alpha.min()}. "
            "Use stochastic_gradient_flow."
        )
    noise_point = as_positive("noise_point", noise_point, zero=True)
    if noise_point > 1:
        raise ValueError(f"noise_point must be at most 1; received {noise_point}. 0 is Itô's integral.")
    plan = replace(
        plan,
        substeps=as_count("substeps", substeps),
        noise_scale=as_positive("noise_scale", noise_scale, zero=True),
        noise_point=noise_point,
    )
    return _run(Neurons, plan, rng, replicas, executor)


def label_noise_flow(
    X,
    y,
    *,
    log_alpha,
    step_size,
    label_noise,
    dt,
    horizon,
    positive=True,
    replicas=1,
    rng=None,
    record=50,
    observe=None,
    executor=None,
) -> DiffusionRun:
    """Flow with noise of constant size, dw = −w⊙Xᵀr/n dt + 2δ√(γ/n) w⊙XᵀdB for β = w², the model of 000.

    log w = log α + Xᵀν − 2γδ²Dt with dν = −(r/n)dt + 2δ√(γ/n)dB, so that at every T, dt and on every path

        (log w_T − log α)/T = −Xᵀ(Xβ̄ − y)/n − 2γδ²D + 2δ√(γ/n) XᵀB_T/T,   β̄ the time mean of β:

    β̄ tends to the Lasso with penalty 2γδ² Σ_j D_j|β_j| (loss ‖Xβ − y‖²/2n).

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights.
    step_size : float
        γ.
    label_noise : float
        δ ≥ 0, constant.
    dt : float
        Integration step.
    horizon : float
        T, cut into equal steps no longer than dt.
    positive : bool, optional
        True is β = w², False the two-signed β = w₊² − w₋².
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
    DiffusionRun
        With ``beta_mean``, ``log_w`` (finite where w underflows) and ``brownian``.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong shape or value.

    Examples
    --------
    >>> from lib.diffusions import label_noise_flow
    >>> options = dict(log_alpha=0.0, step_size=0.01, label_noise=1.0, dt=0.05, horizon=2000, rng=0)
    >>> run = label_noise_flow([[1.0]], [1.0], **options)  # the Lasso solution is 1 − 2γδ² = 0.98
    >>> run.beta_mean.round(1).tolist()
    [[1.0]]
    """
    label_noise = as_positive("label_noise", label_noise, zero=True)
    plan = _plan(X, y, log_alpha, step_size, dt, horizon, label_noise, record, observe)
    plan = replace(plan, sampling=False, positive=bool(positive))
    return _run(Dual, plan, rng, replicas, executor)


def _plan(X, y, log_alpha, step_size, dt, horizon, label_noise, record, observe):
    X, y = as_data(X, y)
    dt, horizon = as_positive("dt", dt), as_positive("horizon", horizon)
    if dt > horizon:
        raise ValueError(f"dt must not exceed the horizon {horizon}; received {dt}. Choose a smaller dt.")
    steps = int(np.ceil(horizon / dt * (1 - 1e-12)))
    dt = horizon / steps
    if callable(label_noise):
        noise = as_array("label_noise", [label_noise(k * dt) for k in range(steps)], ndim=1)
        if (noise < 0).any():
            raise ValueError(
                f"label_noise must be at least 0 at every time; received {noise.min()}. Return its size."
            )
    else:
        noise = np.full(steps, as_positive("label_noise", label_noise, zero=True))
    return Plan(
        X=X,
        y=y,
        log_alpha=as_log_alpha(log_alpha, X.shape[1]),
        step_size=as_positive("step_size", step_size),
        dt=dt,
        at=recorded_steps(record, dt, steps),
        noise=noise**2,
        observe=as_observers(observe),
    )


def _run(kind, plan, rng, replicas, executor):
    found = run_blocks(partial(run_block, kind, plan), rng, replicas, executor=executor)
    n, steps = len(plan.y), len(plan.noise)
    start = np.exp(np.minimum(2 * plan.log_alpha, 700)) if plan.positive else np.zeros(plan.X.shape[1])
    size = max(plan.y @ plan.y, np.sum((plan.X @ start - plan.y) ** 2)) / (4 * n)
    found = strike_out(found, max(size, plan.noise.max()), plan.dt, steps, REMEDY)
    geometry = NegativeEntropy if plan.positive else HyperbolicEntropy
    return DiffusionRun(times=plan.dt * plan.at, geometry=geometry, **found)
