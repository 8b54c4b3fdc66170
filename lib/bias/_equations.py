"""Xβ = y in rows that are well conditioned, whatever X is: where the solvers of ``lib.bias`` start and end.

Notation. A β' = b with A = M X, b = M y/scale and β' = β/scale, where M combines rows; a multiplier v of
A β' = b is the multiplier Mᵀv of Xβ = y. Rows are scaled by powers of two, which rounds nothing. Where that
is enough M is diagonal; otherwise (dependent or nearly dependent rows, n > d) the rows of A are orthonormal.
Columns keep their scales: the mirror coordinates Aᵀv of a solution do not allow another one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dpocon, dpotrf

from lib.records import CONVERGED, INFEASIBLE, UNCERTIFIED, Solution

__all__: list[str] = []  # for ``lib.bias`` only

EPS = np.finfo(float).eps
RESIDUAL, GAP = 1e-12, 1e-10  # what a certificate must reach


@dataclass(frozen=True)
class Equations:
    """A β' = b: ``AT`` is Aᵀ (d, k); ``back`` is M (k, n), or its diagonal; ``b`` is (k,), or (R, k).

    ``defect`` is the relative distance of y from the range of X, in rows of unit size.
    """

    AT: np.ndarray
    b: np.ndarray
    back: np.ndarray
    scale: float
    defect: float = 0.0

    def misfit(self, beta):
        """Aβ' − b, for one β' or for replicas."""
        return beta @ self.AT - self.b

    def dual(self, v):
        """The multiplier of Xβ = y."""
        return self.back * v if self.back.ndim == 1 else v @ self.back

    def for_each(self, Y):
        """The same left side with the right side of each replica, M y/scale for the rows y of Y (R, n)."""
        return replace(self, b=(Y * self.back if self.back.ndim == 1 else Y @ self.back.T) / self.scale)

    def some(self, replicas):
        """The equations of some of the replicas; all have the same unless ``b`` is one for each."""
        return self if self.b.ndim == 1 else replace(self, b=self.b[replicas])

    def columns(self, keep):
        """The same equations for some of the columns."""
        return Equations(self.AT[keep], self.b, self.back, self.scale, self.defect)


@dataclass(frozen=True)
class Graded(Equations):
    """The same in a basis Q of rows in which the columns of largest α are triangular.

    These columns are nearly free of charge: their mirror coordinates may be 1e-12 beside others of 1e3.
    Here they depend on the first entries of v alone, so that Aᵀv has them to full relative accuracy.
    """

    parent: Equations | None = None
    Q: np.ndarray | None = None

    def misfit(self, beta):
        """Qᵀ(Aβ' − b) with the A that was not rotated, hence not rounded once more."""
        return self.parent.misfit(beta) @ self.Q


def equations(X, y) -> Equations:
    """Scale the rows of Xβ = y, and whiten them if they are ill conditioned."""
    rows = 1 / power_of_two(np.abs(X).max(axis=1))
    RX, Ry = X * rows[:, None], y * rows
    scale = power_of_two(np.abs(Ry).max())
    Ry = Ry / scale
    if len(X) <= X.shape[1]:
        G = RX @ RX.T
        size = np.sqrt(np.where(G.diagonal() > 0, G.diagonal(), 1.0))
        L, info = dpotrf(G / np.outer(size, size), lower=1)
        if info == 0 and dpocon(L, 1.0, uplo="L")[0] > 1e-7:
            return Equations(np.ascontiguousarray(RX.T), Ry, rows, scale)
    return _whitened(RX, Ry, rows, scale)


def _whitened(RX, Ry, rows, scale):
    # The rank is read off with columns of unit size too, so that it does not depend on their scales. Then
    # the rows of M X are orthonormalised in the columns as they are. M X is computed without cancellation:
    # whatever M is, its rows lie in the row space of X to rounding, even when cond(X) is 1e13.
    columns = 1 / power_of_two(np.abs(RX).max(axis=0))
    U, S, _ = np.linalg.svd(RX * columns, full_matrices=False)
    keep = max(RX.shape) * EPS * S[0] < S
    U, S = U[:, keep], S[keep]
    defect = np.linalg.norm(Ry - U @ (U.T @ Ry)) / np.linalg.norm(Ry) if Ry.any() else 0.0
    M = U.T / S[:, None]
    A = M @ RX
    for _ in range(3 if len(A) else 0):
        M = np.linalg.solve(np.linalg.qr(A.T, mode="r").T, M)
        A = accurate_product(M, RX)
        if np.abs(A @ A.T - np.eye(len(A))).max() < 1e-3:
            break
    b = accurate_product(M, Ry[:, None])[:, 0]
    return Equations(np.ascontiguousarray(A.T), b, M * rows, scale, defect)


def graded(equations, a) -> Graded:
    """The equations in the basis that suits a = 2 log α: columns of larger α first, in echelon form."""
    order = np.argsort(-a, kind="stable")
    Q, R = np.linalg.qr(equations.AT[order].T)
    R[np.abs(R) < 1e-14 * np.linalg.norm(R, axis=0)] = 0.0
    AT = np.empty_like(equations.AT)
    AT[order] = R.T
    back = equations.back
    back = Q.T * back if back.ndim == 1 else Q.T @ back
    return Graded(AT, equations.b @ Q, back, equations.scale, equations.defect, equations, Q)


def power_of_two(size):
    """The power of two next above each size (1 for 0): scaling by it rounds nothing."""
    return np.ldexp(1.0, np.clip(np.frexp(size)[1], -1000, 1000))


def accurate_product(M, X, slices=5):
    """M X to full relative accuracy, though its terms cancel: a sum of products that are exact.

    M and X are cut into slices so short that every product of two slices is exact in double precision
    (Ozaki, Ogita, Oishi & Rump 2012); what cancels, cancels between the first of them, without rounding.
    """
    bits = (52 - int(np.ceil(np.log2(M.shape[1])))) // 2
    left, right = _slices(M, bits, 1, slices), _slices(X, bits, 0, slices)
    total = np.zeros((len(M), X.shape[1]))
    for level in range(slices):
        for i in range(level + 1):
            if i < len(left) and level - i < len(right):
                total += left[i] @ right[level - i]
    return total


def _slices(Z, bits, axis, most):
    slices = []
    while len(slices) < most and Z.any():
        unit = np.maximum(power_of_two(np.abs(Z).max(axis=axis, keepdims=True)) * 2.0**-bits, 2.0**-1000)
        slices.append(np.rint(Z / unit) * unit)
        Z = Z - slices[-1]
    return slices


def relative_residual(X, y, beta, start=None):
    """‖Xβ − y‖/‖y‖, and over ‖|X| |β₀|‖ when y = 0; for one β, or replicas with a common y or one each.

    Measured in the rows as they are and in rows of unit size, the larger one: a row of small numbers is an
    equation too.
    """
    reference = y if y.any() or start is None else np.abs(start) @ np.abs(X).T
    r = beta @ X.T - y
    rows = 1 / power_of_two(np.abs(X).max(axis=1))
    worst = np.zeros(r.shape[:-1])
    with np.errstate(all="ignore"):
        for weight in (np.ones(y.shape[-1]), rows):
            size = power_of_two(np.abs(weight * reference).max(axis=-1))[..., None]
            norms = (np.linalg.norm(weight * z / size, axis=-1) for z in (r, reference))
            worst = np.maximum(worst, np.divide(*norms))
    worst = np.where((r == 0).all(axis=-1), 0.0, np.where(np.isfinite(worst), worst, np.inf))
    return worst if worst.ndim else float(worst)


# --- verdicts -------------------------------------------------------------------------------------


def judged(X, y, beta, dual, gap, iterations, start=None):
    residual = relative_residual(X, y, beta, start)
    status, message = CONVERGED, ""
    if not (residual <= RESIDUAL and gap <= GAP):
        status, message = UNCERTIFIED, _uncertified(X, y, beta, residual, gap)
    return Solution(
        beta=beta,
        dual=dual,
        residual=residual,
        gap=gap,
        iterations=iterations,
        status=status,
        message=message,
    )


def _uncertified(X, y, beta, residual, gap):
    short = f"The certificate is not good enough: residual {residual:.1e} of 1e-12, gap {gap:.1e} of 1e-10. "
    with np.errstate(all="ignore"):
        rounding = 2.0**-53 * np.linalg.norm(np.abs(X) @ np.abs(beta)) / np.linalg.norm(y)
    if not np.isfinite(beta).all():
        return short + "The numbers leave floating point: take log_alpha and offset nearer to 0."
    if gap <= GAP and residual <= 30 * rounding:
        return short + "Xβ is a small difference of large terms, rounded; start nearer to the data."
    return short + "Bring the columns of X to one scale, or the entries of log_alpha closer together."


def infeasible(X, distance, message):
    n, d = X.shape
    return Solution(
        beta=np.full(d, np.nan),
        dual=np.full(n, np.nan),
        residual=float(distance),
        gap=np.inf,
        iterations=0,
        status=INFEASIBLE,
        message=message,
    )


def inconsistent(distance):
    return (
        f"Xβ = y has no solution: y is at a relative distance of {distance:.1e} from the range of X. "
        "Drop contradictory rows, or project y onto the range of X."
    )
