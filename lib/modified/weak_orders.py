"""How far a stochastic modified equation is from SGD: exact moments on least squares, no Monte Carlo.

Notation (Yang's notes 2025, §4; Li, Tai & E 2017, 2019). f = (1/n) Σ f_i, η the step of SGD, b the batch
size, Σ(x) = (1/n) Σ (∇f_i − ∇f)(∇f_i − ∇f)ᵀ. The equations compared are

    dX = −∇(f + c η |∇f|²) dt + (s η κ Σ)^{1/2} dW,      κ = ``batch_factor``,

with drift c and noise s: order 2 is (¼, 1), the notes' (18) is (0, 1), gradient flow is (0, 0). Only σσᵀ
enters these laws, so any square root of Σ gives the same numbers. Least squares has f_i(β) = ½(y_i − x_iᵀβ)²,
hence f = ‖y − Xβ‖²/2n, and its first two moments close.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy import stats
from scipy.linalg import expm

from lib.batches import batch_factor
from lib.records import as_array, as_count, as_data, as_positive

# --- one step -------------------------------------------------------------------------------------


def gradient_covariance(gradients) -> np.ndarray:
    """Σ = (1/n) Σ (∇f_i − ∇f)(∇f_i − ∇f)ᵀ at one point.

    Parameters
    ----------
    gradients : array_like, shape (n, d)
        ∇f_i, one a row.

    Returns
    -------
    ndarray, shape (d, d)
        Covariance of the gradient of one sample drawn at random.

    Examples
    --------
    >>> from lib.modified.weak_orders import gradient_covariance
    >>> gradient_covariance([[1.0], [-1.0]]).tolist()
    [[1.0]]
    """
    gradients = as_array("gradients", gradients, ndim=2)
    centred = gradients - gradients.mean(0)
    return centred.T @ centred / len(gradients)


def enumerated_covariance(gradients, batch_size: int, *, replacement=True) -> np.ndarray:
    """Covariance of the batch gradient, by going through all batches.

    Parameters
    ----------
    gradients : array_like, shape (n, d)
        ∇f_i, one a row.
    batch_size : int
        b, between 1 and n; nᵇ batches with replacement, n over b without.
    replacement : bool, optional
        Whether a sample may enter a batch twice.

    Returns
    -------
    ndarray, shape (d, d)
        What ``batch_factor(n, b) * gradient_covariance(gradients)`` should equal.

    Raises
    ------
    ValueError
        When there are more than a million batches.

    Examples
    --------
    >>> from lib.modified.weak_orders import enumerated_covariance
    >>> enumerated_covariance([[1.0], [-1.0]], 2).tolist()
    [[0.5]]
    """
    gradients = as_array("gradients", gradients, ndim=2)
    n = len(gradients)
    batch_size = as_count("batch_size", batch_size, most=n)
    _refuse_many(n**batch_size if replacement else stats.binom(n, 0.5).pmf(batch_size) * 2**n)
    indices = range(n)
    batches = product(indices, repeat=batch_size) if replacement else combinations(indices, batch_size)
    return gradient_covariance([gradients[list(batch)].mean(0) for batch in batches])


# --- least squares: the first two moments ---------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """First two moments of a random β, and the mean of the loss ‖y − Xβ‖²/2n.

    Parameters
    ----------
    mean : ndarray, shape (p,)
        E β.
    second : ndarray, shape (p, p)
        E ββᵀ.
    covariance : ndarray, shape (p, p)
        E ββᵀ − Eβ Eβᵀ.
    loss : float
        E f(β).

    Examples
    --------
    >>> from lib.modified.weak_orders import sgd_moments
    >>> sgd_moments([[1.0], [1.0]], [1.0, -1.0], [0.0], 0.5, 1).loss
    0.625
    """

    mean: np.ndarray
    second: np.ndarray
    covariance: np.ndarray
    loss: float


def sgd_moments(
    X, y, beta, step_size: float, steps: int, *, batch_size=1, replacement=True, centred=True
) -> Moments:
    r"""Exact moments of SGD on least squares.

    With z = (β, 1) and ∇f_i ↔ G_i z, G = mean G_i, the matrix M = E zzᵀ obeys

        M ← (I − ηG) M (I − ηG)ᵀ + η² κ (mean G_i M G_iᵀ − G M Gᵀ).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,)
        Responses.
    beta : array_like, shape (p,)
        Start.
    step_size : float
        η > 0.
    steps : int
        N ≥ 0.
    batch_size : int, optional
        b, between 1 and n.
    replacement : bool, optional
        Within a batch; batches are independent of each other.
    centred : bool, optional
        False forgets to subtract G M Gᵀ: a wrong recursion, kept for comparison.

    Returns
    -------
    Moments
        Of β after N steps.

    Examples
    --------
    >>> from lib.modified.weak_orders import sgd_moments
    >>> sgd_moments([[1.0], [1.0]], [1.0, -1.0], [0.0], 0.5, 1).covariance.tolist()
    [[0.25]]
    """
    problem = _Quadratic(X, y, batch_size, replacement, centred)
    A = np.eye(problem.size) - as_positive("step_size", step_size) * problem.G
    return problem.iterate(beta, A, step_size**2, as_count("steps", steps, least=0))


def sde_moments(
    X,
    y,
    beta,
    step_size: float,
    time: float,
    *,
    drift=0.25,
    noise=1.0,
    batch_size=1,
    replacement=True,
    centred=True,
) -> Moments:
    """Exact moments of dX = −∇(f + c η|∇f|²) dt + (s η κ Σ)^{1/2} dW on least squares.

    M' = B M + M Bᵀ + s η κ (mean G_i M G_iᵀ − G M Gᵀ), B = −(I + 2 c η Ĥ) G, solved by one matrix
    exponential of size (p + 1)²: for p up to about 15.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,)
        Responses.
    beta : array_like, shape (p,)
        Start.
    step_size : float
        η > 0.
    time : float
        t ≥ 0 in the flow's units; N steps of SGD take Nη.
    drift : float, optional
        c: ¼ for order 2, 0 for order 1.
    noise : float, optional
        s: 1; 0 removes the noise.
    batch_size : int, optional
        b, between 1 and n.
    replacement : bool, optional
        Within a batch.
    centred : bool, optional
        False uses the second moment of the gradients in place of Σ: a wrong equation, kept for comparison.

    Returns
    -------
    Moments
        Of X at time t.

    Examples
    --------
    >>> from lib.modified.weak_orders import sde_moments
    >>> m = sde_moments([[1.0], [1.0]], [1.0, -1.0], [1.0], 0.1, 1.0, drift=0, noise=0)
    >>> round(float(m.mean[0]), 6)
    0.367879
    """
    problem = _Quadratic(X, y, batch_size, replacement, centred)
    step_size, time = as_positive("step_size", step_size), as_positive("time", time, zero=True)
    B, eye = problem.drift(step_size, drift), np.eye(problem.size)
    generator = np.kron(B, eye) + np.kron(eye, B) + noise * step_size * problem.kronecker_noise()
    M = expm(time * generator) @ problem.start(beta).ravel()
    return problem.moments(M.reshape(problem.size, problem.size))


def euler_maruyama_moments(
    X,
    y,
    beta,
    step_size: float,
    steps: int,
    *,
    dt=None,
    drift=0.0,
    noise=1.0,
    batch_size=1,
    replacement=True,
    centred=True,
) -> Moments:
    """Exact moments of the Euler–Maruyama method applied to the equation of ``sde_moments``.

    With dt = η and drift 0 each step has SGD's mean and covariance, so the moments are SGD's to the last
    digit: a simulation at that step confirms any claim about SGD and says nothing about the equation.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,)
        Responses.
    beta : array_like, shape (p,)
        Start.
    step_size : float
        η in the equation.
    steps : int
        Number of steps of length dt.
    dt : float, optional
        Step of the method; η by default.
    drift, noise : float, optional
        As in ``sde_moments``, except that the drift is that of order 1 by default.
    batch_size : int, optional
        b, between 1 and n.
    replacement, centred : bool, optional
        As in ``sde_moments``.

    Returns
    -------
    Moments
        After ``steps`` steps, at time ``steps * dt``.

    Examples
    --------
    >>> from lib.modified.weak_orders import euler_maruyama_moments
    >>> euler_maruyama_moments([[1.0], [1.0]], [1.0, -1.0], [0.0], 0.5, 1).covariance.tolist()
    [[0.25]]
    """
    problem = _Quadratic(X, y, batch_size, replacement, centred)
    step_size = as_positive("step_size", step_size)
    dt = step_size if dt is None else as_positive("dt", dt)
    A = np.eye(problem.size) + dt * problem.drift(step_size, drift)
    return problem.iterate(beta, A, dt * noise * step_size, as_count("steps", steps, least=0))


def enumerated_moments(X, y, beta, step_size: float, steps: int) -> Moments:
    """Moments of SGD with batch size 1, by going through all n^N index sequences.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    y : array_like, shape (n,)
        Responses.
    beta : array_like, shape (p,)
        Start.
    step_size : float
        η > 0.
    steps : int
        N, with n^N at most a million.

    Returns
    -------
    Moments
        What ``sgd_moments`` should equal.

    Raises
    ------
    ValueError
        When there are more than a million sequences.

    Examples
    --------
    >>> from lib.modified.weak_orders import enumerated_moments
    >>> enumerated_moments([[1.0], [1.0]], [1.0, -1.0], [0.0], 0.5, 1).covariance.tolist()
    [[0.25]]
    """
    problem = _Quadratic(X, y, 1, True, True)
    step_size, steps = as_positive("step_size", step_size), as_count("steps", steps, least=0)
    _refuse_many(len(problem.samples) ** steps)
    paths = problem.vector(beta)[None]
    for _ in range(steps):
        moved = [paths - step_size * paths @ G.T for G in problem.samples]
        paths = np.concatenate(moved)
    return problem.moments(paths.T @ paths / len(paths))


class _Quadratic:
    """Least squares in homogeneous coordinates z = (β, 1): every gradient is linear, ∇f_i ↔ G_i z."""

    def __init__(self, X, y, batch_size, replacement, centred):
        self.X, self.y = as_data(X, y)
        n, p = self.X.shape
        self.size, self.centred = p + 1, centred
        self.factor = batch_factor(n, batch_size, replacement=replacement)
        self.samples = np.zeros((n, p + 1, p + 1))
        self.samples[:, :p, :p] = self.X[:, :, None] * self.X[:, None, :]
        self.samples[:, :p, p] = -self.X * self.y[:, None]
        self.G = self.samples.mean(0)

    def vector(self, beta):
        beta = as_array("beta", beta, ndim=1)
        if len(beta) != self.size - 1:
            raise ValueError(
                f"beta must have one entry for each of the {self.size - 1} columns of X; received "
                f"{len(beta)}. Match their lengths."
            )
        return np.append(beta, 1.0)

    def start(self, beta):
        z = self.vector(beta)
        return np.outer(z, z)

    def drift(self, step_size, c):
        H = np.zeros_like(self.G)
        H[:-1, :-1] = self.G[:-1, :-1]
        return -(np.eye(self.size) + 2 * c * step_size * H) @ self.G

    def noise(self, M):
        mean_of_squares = np.einsum("nij,jk,nlk->il", self.samples, M, self.samples) / len(self.samples)
        return self.factor * (mean_of_squares - self.centred * self.G @ M @ self.G.T)

    def kronecker_noise(self):
        mean_of_squares = sum(np.kron(G, G) for G in self.samples) / len(self.samples)
        return self.factor * (mean_of_squares - self.centred * np.kron(self.G, self.G))

    def iterate(self, beta, A, noise_scale, steps):
        M = self.start(beta)
        for _ in range(steps):
            M = A @ M @ A.T + noise_scale * self.noise(M)
        return self.moments(M)

    def moments(self, M):
        mean, second = M[:-1, -1], M[:-1, :-1]
        residual = np.column_stack([self.X, -self.y])
        loss = float(np.einsum("ij,jk,ik->", residual, M, residual)) / (2 * len(self.y))
        return Moments(mean, second, second - np.outer(mean, mean), loss)


# --- where smooth test functions are needed -------------------------------------------------------


def step_function_error(steps: int) -> float:
    """E 1{x_N ≥ 0} − E 1{X_T ≥ 0} for f_i(x) = ±x and the start 0: a bounded test function with order ½ only.

    SGD is a simple random walk and the equation is Brownian motion, so the gap is half the chance that the
    walk is at 0: ½ C(N, N/2) 2^{−N} ≈ 0.399/√N for even N.

    Parameters
    ----------
    steps : int
        N ≥ 1.

    Returns
    -------
    float
        From the binomial distribution.

    Examples
    --------
    >>> from lib.modified.weak_orders import step_function_error
    >>> round(step_function_error(1024), 7)
    0.0124639
    """
    steps = as_count("steps", steps)
    return float(stats.binom(steps, 0.5).sf(np.ceil(steps / 2) - 1)) - 0.5


def _refuse_many(count):
    if count > 1e6:
        raise ValueError(
            f"the enumeration must go through at most a million cases; received about {count:.3g}. "
            "Lower n, the batch size or the steps."
        )
