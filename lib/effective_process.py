"""The effective process of dynamical mean-field theory: one causal sweep, no fixed point, no damping.

Notation (Mignacco, Krzakala, Urbani & Zdeborová 2020; for discrete steps Gerbelot et al. 2022). In the limit
N → ∞ at fixed step η the margins of the M = αN samples become independent copies of one process,

    r_k  = m_k a + √Δ h_k,                 a the sample's component along the signal,
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
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

__all__ = []

BEYOND = 1e6  # a run whose loss exceeds this many times the loss at the start has left
JITTER = 1e-8  # relative, of the pivots of the noise's covariance: without it a full batch overflows
TERMS = ("response", "own force", "noise memory", "memory kernel", "centre")


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
def sweep(
    rng,
    signal,
    *,
    slopes,
    watch,
    alpha,
    noise_variance,
    ridge,
    step_size,
    steps,
    batches,
    start_overlap=0.0,
    start_variance=0.0,
    spherical=False,
    leave_out=None,
    jitter=JITTER,
):
    """Order parameters and averages of ``watch(r)`` at every step; the step at which numbers end, or None.

    ``signal(rng)`` draws a (K,); ``slopes(r, a)`` returns l′ and l″. ``leave_out`` names a term to drop,
    which is wrong on purpose, for controls. ``spherical`` keeps C_kk = 1 by division after each step.
    """
    kernels, root = Kernels(steps), np.sqrt(noise_variance)
    a = signal(rng)
    K = len(a)
    e, active = rng.standard_normal(K), batches.first(rng.random(K, dtype=np.float32))
    f, pushes, fresh = np.empty((steps, K)), np.empty((steps, K)), np.empty((steps, K))
    tangents = [np.empty((steps - j, K)) for j in range(steps)]  # tangents[j][k − j] is F_kj
    m, G, R = kernels.m, kernels.G, kernels.R
    m[0], G[0] = start_overlap, 1.0
    seen = []
    for k in range(steps + 1):
        h = np.sqrt(start_variance) * G[k] * e + R[k, :k] @ pushes[:k]
        r = m[k] * a + root * h
        seen.append(watch(r, a))
        lost = not seen[-1][0] <= BEYOND * max(seen[0][0], 1.0)
        if lost or k == steps:
            break
        slope, curvature = slopes(r, a)
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
