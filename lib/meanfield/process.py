"""The effective process of dynamical mean-field theory: one causal sweep, no fixed point, no damping.

Notation (Mignacco, Krzakala, Urbani & Zdeborová 2020; for discrete steps Gerbelot et al. 2022). Weights move
by w ← (1 − ηλ)w − η Σ_μ s_μ l′(r_μ) x_μ/√N with r_μ = w·x_μ/√N, and the coordinates of a sample are Gaussian
of variance Δ, except along one direction v with |v|² = N. In the limit N → ∞ at fixed step η the
preactivations of the M = αN samples become independent copies of one process,

    r_k  = m_k a + √Δ h_k,                 a = v·x_μ/√N, the sample's component along v,
    f_k  = s_k l′(r_k),
    h_k  = √R₀ G_k e + Σ_{l<k} R_kl (u_l + f_l),     e ~ N(0, 1), u Gaussian with E[u_k u_l] = α⟨f_k f_l⟩,
    F_kl = √Δ s_k l″(r_k) [δ_kl + Σ_{l≤j<k} R_kj F_jl],      Rf_kl = α⟨F_kl⟩,

and the averages ⟨·⟩ over copies move the order parameters:

    m_{k+1}   = (1 − ηλ) m_k − ηα⟨a f_k⟩,
    G_{k+1}   = (1 − ηλ) G_k − η√Δ Σ_{j≤k} Rf_kj G_j,
    R_{k+1,l} = (1 − ηλ) R_kl − η√Δ [δ_kl + Σ_{l<j≤k} Rf_kj R_jl],
    C_kl      = m_k m_l + R₀G_kG_l + α Σ_{j<k, i<l} R_kj ⟨f_j f_i⟩ R_li.

Step k + 1 needs averages up to step k only, so K copies are carried forward together, once. In the slides'
form of the same process λ̃_k = λ + √Δ Rf_kk, and the memory kernel M_R(k, j) is −√Δ Rf_kj.

A problem is three functions: what a sample is, how it pushes, what to watch. ``meanfield`` has two of them
ready; ``clusters`` brings a third, whose loss is not convex, and ``solve`` is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from lib.batches import Batches
from lib.ensembles import streams
from lib.records import CONVERGED, DIVERGED, Record, as_count, as_positive

__all__ = ["Process", "solve"]

MOST_BYTES = 4e9
REMEDY = "Choose a smaller step_size, or a larger ridge."
BEYOND = 1e6  # a run whose loss exceeds this many times the loss at the start has left
JITTER = 1e-8  # relative, of the pivots of the noise's covariance: without it a full batch overflows
TERMS = ("response", "own force", "noise memory", "memory kernel")


@dataclass(frozen=True, kw_only=True)
class Process(Record):
    """Order parameters of independent runs, on a leading axis R, and what was watched.

    Parameters
    ----------
    magnetisation : ndarray, shape (R, T + 1)
        m_k.
    correlation : ndarray, shape (R, T + 1, T + 1)
        C_kl, with the part along v.
    response : ndarray, shape (R, T + 1, T + 1)
        R_kl, zero for l ≥ k.
    watched : ndarray, shape (R, T + 1, q)
        What ``watch`` returned.
    status : ndarray of int, shape (R,)
        0 where every number is finite.
    message : str
        What happened otherwise, and the remedy.
    """

    magnetisation: np.ndarray
    correlation: np.ndarray
    response: np.ndarray
    watched: np.ndarray


def solve(
    draw,
    slopes,
    watch,
    *,
    alpha,
    noise_variance,
    ridge,
    batch_fraction,
    step_size,
    steps,
    start_overlap=0.0,
    start_variance=0.0,
    persistence=None,
    spherical=False,
    runs=1,
    samples=20_000,
    rng=None,
    leave_out=None,
    jitter=JITTER,
) -> Process:
    """Mean-field theory of SGD for a problem of your own, N → ∞ at fixed step size.

    Parameters
    ----------
    draw : callable
        ``draw(generator, K)`` returns a, shape (K,), the components along v, and the marks: whatever
        the loss has to know of a sample (its label, the teacher's answer), or None.
    slopes : callable
        ``slopes(r, marks)`` returns l′(r) and l″(r), shape (K,) each.
    watch : callable
        ``watch(r, marks)`` returns q averages over the samples; the first is the loss, by which a run that
        has left is recognised.
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
    start_overlap : float
        m₀.
    start_variance : float
        R₀, the variance of w(0) across v.
    persistence : float, optional
        τ; None is vanilla SGD.
    spherical : bool
        Whether w is divided by |w|/√N after every step.
    runs : int
        R; the spread of the runs is the Monte Carlo error.
    samples : int
        K, copies of the process in each run.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; the first runs do not depend on how many follow.
    leave_out : str, optional
        A term to drop, for controls; what remains is wrong. "response": no response of the force. "own
        force": a sample's own past forces do not act on it. "noise memory": noise white in time. "memory
        kernel": M_R = 0 in the slides' notation, with λ̃ kept.
    jitter : float
        Relative size of the smallest pivot of the noise's covariance.

    Returns
    -------
    Process
        The numbers up to step k do not depend on how many steps follow.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value, or a run would need more than 4 GB.

    Examples
    --------
    A single cloud at the origin, whose samples push with the logistic loss: nothing is learned along v.

    >>> import numpy as np
    >>> from lib.meanfield.process import solve
    >>> from lib.meanfield.margins import margin_loss
    >>> rule = margin_loss("logistic")
    >>> found = solve(lambda rng, K: (rng.standard_normal(K), None), lambda r, _: rule.slopes(r),
    ...     lambda r, _: [rule.value(r).mean()], alpha=2, noise_variance=1.0, ridge=0.1, batch_fraction=0.5,
    ...     step_size=0.2, steps=10, start_overlap=1.0, samples=2000, rng=0)
    >>> found.watched.shape, bool(found.magnetisation[0, -1] < 0.9)
    ((1, 11, 1), True)
    """
    for name, given in (("draw", draw), ("slopes", slopes), ("watch", watch)):
        if not callable(given):
            raise TypeError(f"{name} must be a function; received {given!r:.60}. See the docstring.")
    physics = {"alpha": as_positive("alpha", alpha), "ridge": as_positive("ridge", ridge, zero=True)}
    physics |= {"noise_variance": as_positive("noise_variance", noise_variance), "step_size": step_size}
    batches = Batches(batch_fraction=batch_fraction, step_size=step_size, persistence=persistence)
    variance = as_positive("start_variance", start_variance, zero=True)
    if leave_out is not None and leave_out not in TERMS:
        raise ValueError(
            f"leave_out must be one of {', '.join(TERMS)}, or None; received {leave_out!r}. Choose one."
        )
    steps, samples = as_count("steps", steps), _as_samples(samples, steps)
    found = []
    for stream in streams(rng, as_count("runs", runs)):
        a, marks = draw(stream, samples)
        kernels, seen, ended = _sweep(
            stream,
            np.asarray(a, dtype=float),
            slopes=lambda r, marks=marks: slopes(r, marks),
            watch=lambda r, marks=marks: watch(r, marks),
            steps=steps,
            batches=batches,
            start_overlap=start_overlap,
            start_variance=variance,
            spherical=spherical,
            leave_out=leave_out,
            jitter=jitter,
            **physics,
        )
        found.append(_order_parameters(kernels, seen, ended, alpha, variance))
    ends = [run.pop("ended") for run in found]
    lost = [end for end in ends if end is not None]
    told = (
        f"The averages diverged at step {min(lost)} of {steps}; NaN from there on. {REMEDY}" if lost else ""
    )
    return Process(
        **{name: np.stack([run[name] for run in found]) for name in found[0]},
        status=np.where([end is None for end in ends], CONVERGED, DIVERGED),
        message=f"{len(lost)} of {runs} runs: {told}" if lost and runs > 1 else told,
    )


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


def _order_parameters(kernels, seen, ended, alpha, start_variance):
    """Fields of ``Process`` for one run, NaN from the step on at which the numbers ended."""
    watched = np.full((kernels.steps + 1, seen.shape[1]), np.nan)
    watched[: len(seen)] = seen
    with np.errstate(invalid="ignore", over="ignore"):
        correlation = kernels.covariance(start_variance, alpha)
    found = {"magnetisation": kernels.m, "correlation": correlation, "response": kernels.R}
    found |= {"watched": watched}
    if ended is not None:
        for array in found.values():
            array[ended:] = np.nan
        for name in ("correlation", "response"):
            found[name][:, ended:] = np.nan
    return found | {"ended": ended}


@dataclass
class Kernels:
    """Order parameters, filled row by row."""

    steps: int
    m: np.ndarray = field(init=False)

    def __post_init__(self):
        T = self.steps + 1
        self.m, self.G = np.zeros(T), np.zeros(T)
        self.R, self.Rf, self.Cf, self.L = (np.zeros((T, T)) for _ in range(4))

    def covariance(self, start_variance, alpha, rows=None):
        """C_kl of the rows asked for, all by default."""
        rows = slice(None) if rows is None else rows
        m, G, R = self.m[rows], self.G[rows], self.R[rows]
        return np.outer(m, m) + start_variance * np.outer(G, G) + alpha * R @ self.Cf @ R.T


@np.errstate(over="ignore", invalid="ignore")  # what diverges ends the sweep and is reported
def _sweep(
    rng,
    a,
    *,
    slopes,
    watch,
    alpha,
    noise_variance,
    ridge,
    step_size,
    steps,
    batches,
    start_overlap,
    start_variance,
    spherical,
    leave_out,
    jitter,
):
    """Kernels, what ``watch(r)`` returned at every step, and the step at which numbers end, or None."""
    kernels, root, K = Kernels(steps), np.sqrt(noise_variance), len(a)
    e, active = rng.standard_normal(K), batches.first(rng.random(K, dtype=np.float32))
    f, pushes, fresh = np.empty((steps, K)), np.empty((steps, K)), np.empty((steps, K))
    tangents = [np.empty((steps - j, K)) for j in range(steps)]  # tangents[j][k − j] is F_kj
    m, G, R = kernels.m, kernels.G, kernels.R
    m[0], G[0] = start_overlap, 1.0
    seen = []
    for k in range(steps + 1):
        h = np.sqrt(start_variance) * G[k] * e + R[k, :k] @ pushes[:k]
        r = m[k] * a + root * h
        seen.append(np.atleast_1d(watch(r)))
        lost = not seen[-1][0] <= BEYOND * max(seen[0][0], 1.0)
        if lost or k == steps:
            break
        slope, curvature = slopes(r)
        f[k] = active * slope
        _tangent_row(kernels, tangents, root * active * curvature, k, alpha, leave_out)
        fresh[k] = rng.standard_normal(K)
        pushes[k] = _noise(kernels, f, fresh, k, alpha, leave_out, jitter)
        if leave_out != "own force":
            pushes[k] += f[k]
        _advance(kernels, k, alpha * (a @ f[k]) / K, step_size, ridge, root)
        if spherical:
            row = slice(k + 1, k + 2)
            length = np.sqrt(kernels.covariance(start_variance, alpha, row)[0, 0])
            m[k + 1], G[k + 1], R[k + 1] = m[k + 1] / length, G[k + 1] / length, R[k + 1] / length
        active = batches.next(active, rng.random(K, dtype=np.float32))
    return kernels, np.array(seen), len(seen) - 1 if lost else None


def _tangent_row(kernels, tangents, curvature, k, alpha, leave_out):
    """F_kj of every copy for all j ≤ k, and their averages Rf_kj."""
    for j in range(k):
        row = np.matmul(kernels.R[k, j:k], tangents[j][: k - j], out=tangents[j][k - j])
        row *= curvature
        kernels.Rf[k, j] = alpha * row.mean()
    tangents[k][0] = curvature
    kernels.Rf[k, k] = alpha * curvature.mean()
    if leave_out == "response":
        kernels.Rf[k] = 0.0
    elif leave_out == "memory kernel":
        kernels.Rf[k, :k] = 0.0


def _noise(kernels, f, fresh, k, alpha, leave_out, jitter):
    """u_k, correlated with the same copy's earlier noise: one more row of a Cholesky factor."""
    Cf, L = kernels.Cf, kernels.L
    Cf[k, : k + 1] = Cf[: k + 1, k] = f[: k + 1] @ f[k] / f.shape[1]
    variance = alpha * Cf[k, k]
    if leave_out == "noise memory":
        return np.sqrt(variance) * fresh[k]
    if k:
        L[k, :k] = solve_triangular(L[:k, :k], alpha * Cf[k, :k], lower=True, check_finite=False)
    pivot = variance * (1 + jitter) - L[k, :k] @ L[k, :k]
    L[k, k] = np.sqrt(max(pivot, jitter * variance, np.finfo(float).tiny))
    return L[k, : k + 1] @ fresh[: k + 1]


def _advance(kernels, k, drift, step_size, ridge, root):
    """m, G and R at step k + 1."""
    m, G, R, Rf = kernels.m, kernels.G, kernels.R, kernels.Rf
    shrink, now = 1 - step_size * ridge, slice(0, k + 1)
    m[k + 1] = shrink * m[k] - step_size * drift
    G[k + 1] = shrink * G[k] - step_size * root * (Rf[k, now] @ G[now])
    R[k + 1] = shrink * R[k] - step_size * root * (Rf[k, now] @ R[now])
    R[k + 1, k] -= step_size * root
