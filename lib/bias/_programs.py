"""What linear programs and active sets do for ``lib.bias``: basis pursuit, the Lasso, an empty orthant.

Notation. A β = b the equations of ``lib.bias._equations``, v their multiplier, t = Aᵀv. The linear program is
solved by SciPy's HiGHS, whose tolerances are absolute and no better than 1e-10: what it finds is polished on
its support, and judged by a certificate computed here.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf
from scipy.optimize import linprog

from lib.bias._equations import GAP, RESIDUAL, infeasible

__all__: list[str] = []  # for ``lib.bias`` only

TRUSTED = 1e-6  # a distance below this, found by a linear program, may be rounding
REFINEMENTS, MAGNIFIED = 3, 2.0**20  # rounds, and the factor of each: a power of two rounds nothing
TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


# --- basis pursuit --------------------------------------------------------------------------------


def pursue(eqs):
    """β of least ‖β‖₁ under Aβ = b, v with |Aᵀv| ≤ 1, the relative gap, and the simplex iterations.

    Where rows nearly depend, the rounding of y makes entries of β smaller than the program's tolerances, and
    it may get their signs wrong: no polish on that support helps. Then what is left is magnified and solved
    as a program of its own, until the certificate is reached.
    """
    d, k = eqs.AT.shape
    beta, v, iterations = _program(eqs, np.zeros(d), np.zeros(k), 1.0)
    if beta is None:
        return np.full(d, np.nan), np.zeros(k), np.inf, iterations
    best = _polished(eqs, beta, v)
    for _ in range(REFINEMENTS):
        if best[0] <= 1:
            break
        beta, v, more = _program(eqs, *best[1:], MAGNIFIED)
        iterations += more
        if beta is None:
            break
        best = min(best, _polished(eqs, beta, v), key=lambda found: found[0])
    _, beta, v = best
    return beta, v, pursuit_gap(eqs, beta, v), iterations


def _program(eqs, beta, v, magnified):
    """β and v corrected by the linear program of what they lack, ``magnified``, and its simplex iterations.

    With z the change of (β₊, β₋): min (1 ∓ Aᵀv)ᵀz under [A, −A] z = b − Aβ and z ≥ −(β₊, β₋), all data
    multiplied, so that a tolerance of 1e-10 is one of 1e-10/magnified (Gleixner, Steffy & Wolter 2016).
    From β = 0 and v = 0 it is the program of basis pursuit itself. β is None where HiGHS gives up.
    """
    A, t, d = eqs.AT.T, eqs.AT @ v, len(beta)
    found = linprog(
        magnified * np.maximum(np.append(1 - t, 1 + t), 0.0),
        A_eq=np.hstack([A, -A]),
        b_eq=-magnified * eqs.misfit(beta),
        bounds=[(-magnified * max(x, 0.0), None) for x in np.append(beta, -beta)],
        method="highs-ds",
        options=TOLERANCES,
    )
    if found.x is None:
        return None, v, int(found.nit)
    z = found.x / magnified
    return beta + (z[:d] - z[d:]), v + found.eqlin.marginals / magnified, int(found.nit)


def _polished(eqs, beta, v):
    """The best pair of the corrected β and v, after its score: at most 1 where it is certified."""
    best = np.inf, None, None
    for exact in _primal(eqs, beta):
        for moved in _dual(eqs, exact, v):
            residual = np.abs(eqs.misfit(exact)).max() / np.abs(eqs.b).max()
            score = max(pursuit_gap(eqs, exact, moved) / GAP, residual / RESIDUAL)
            if score < best[0]:
                best = score, exact, moved
    return best


def _primal(eqs, beta):
    """The program's β, and β corrected to Aβ = b: on its support, or by the least that does it anywhere."""
    yield beta
    support = np.abs(beta) > 1e-10 * np.abs(beta).max()
    for columns in (support, np.ones_like(support)):
        exact = np.where(columns, beta, 0.0)
        for _ in range(3):
            exact[columns] -= np.linalg.lstsq(eqs.AT[columns].T, eqs.misfit(exact), rcond=1e-15)[0]
        yield exact


def _dual(eqs, beta, v):
    """The program's v, and v moved so that Aᵀv = ±1 where it must, or nearly is; always |Aᵀv| ≤ 1."""
    t = eqs.AT @ v
    tight = beta != 0, (beta != 0) | (np.abs(t) > 1 - 1e-6)
    for columns in (np.zeros(len(t), dtype=bool), *tight):
        target = np.where(beta != 0, np.sign(beta), np.sign(t))[columns]
        moved = v
        for _ in range(2 if columns.any() else 0):
            short = target - eqs.AT[columns] @ moved
            moved = moved + np.linalg.lstsq(eqs.AT[columns], short, rcond=1e-12)[0]
        yield moved / max(1.0, np.abs(eqs.AT @ moved).max())


def pursuit_gap(eqs, beta, v):
    """(‖β‖₁ − bᵀv)/‖β‖₁ as Σ (|β| − tβ) + |vᵀ(Aβ − b)|, both terms ≥ 0."""
    gap = (np.abs(beta) - beta * (eqs.AT @ v)).sum() + abs(v @ eqs.misfit(beta))
    return max(0.0, float(gap / np.abs(beta).sum())) if beta.any() else 0.0


# --- the Lasso ------------------------------------------------------------------------------------


def active_set(X, y, penalty, nonnegative):
    """β minimising ‖Xβ − y‖²/2n + penalty ‖β‖₁, by an active set, and the number of columns that entered.

    Lawson & Hanson (1974, ch. 23) with signs: the column that violates its condition most enters; the
    minimiser on the active columns, their signs held, is approached until a coefficient reaches 0 and leaves.
    """
    n, d = X.shape
    beta, active, signs = np.zeros(d), [], np.zeros(d)
    norms = np.where((size := np.linalg.norm(X, axis=0)) > 0, size, 1.0)
    barred = np.zeros(d, dtype=bool)  # left as soon as they had entered: rounding
    for entered in range(20 * min(n, d) + 100):  # noqa: B007 (counts what entered)
        g = X.T @ (y - X @ beta) / n
        excess = ((g if nonnegative else np.abs(g)) - penalty) / norms
        excess[active] = excess[barred] = -np.inf
        j = int(excess.argmax())
        if excess[j] <= 1e-14 * (np.abs(g) / norms).max():
            break
        signs[j] = np.sign(g[j])
        before = beta.copy()
        active = _settle(X, y, penalty, beta, [*active, j], signs)
        barred = barred & (beta == before).all()
        barred[j] |= j not in active
    return beta, entered


def _settle(X, y, penalty, beta, active, signs):
    """Move β, in place, to the minimiser on the active columns; return those that did not reach 0."""
    while active:
        B, s = X[:, active], signs[active]
        direction, step = _direction(B, y, len(y) * penalty, beta[active], s)
        shrinks = s * direction < 0
        steps = np.where(shrinks, -beta[active] / np.where(shrinks, direction, 1.0), np.inf)
        first = steps.min()
        if step == 0:
            return active[:-1]
        if first >= step:
            beta[active] += step * direction
            break
        beta[active] += first * direction
        leaving = steps <= first
        beta[np.asarray(active)[leaving]] = 0.0
        active = [j for j, leaves in zip(active, leaving, strict=True) if not leaves]
    return active


def _direction(B, y, weight, beta, signs):
    """Towards the minimiser (step 1); where the newest column depends on the others, along the null space.

    There the step is without end, or 0 where it would not lower ‖β‖₁: the column does not enter.
    """
    G, excess = B.T @ B, B.shape[1] - len(B)
    size = np.sqrt(G.diagonal())
    L, info = dpotrf(G / np.outer(size, size), lower=1)
    if excess > 0 or info != 0 or L[-1, -1] < 1e-7:
        others = np.linalg.lstsq(B[:, :-1], B[:, -1], rcond=None)[0]
        if excess > 0 or np.linalg.norm(B[:, :-1] @ others - B[:, -1]) <= 1e-10 * size[-1]:
            null = np.append(-others, 1.0) * signs[-1]
            return null, np.inf if signs @ null < 0 else 0.0
    Q, R = np.linalg.qr(B)
    rhs = Q.T @ (y - B @ beta) - solve_triangular(R, weight * signs, trans=1)
    return solve_triangular(R, rhs), 1.0


def lasso_certificate(X, y, penalty, nonnegative, beta):
    """A feasible dual θ, the gap over ‖y‖²/2n, and the worst violation of the conditions over max|Xᵀy|/n."""
    n = len(y)
    r = y - X @ beta
    g = X.T @ r / n
    over = max(g.max() if nonnegative else np.abs(g).max(), penalty)
    theta = r * (penalty / over)
    gap = np.square(r - theta).sum() / (2 * n) + (penalty * np.abs(beta) - beta * (X.T @ theta) / n).sum()
    on = np.abs(g - penalty * np.sign(beta))[beta != 0].max(initial=0.0)
    slope = np.abs(X.T @ y / n).max()
    return theta / n, float(gap / (y @ y / (2 * n))), float(max(on, over - penalty) / slope) if slope else 0.0


# --- the orthant ----------------------------------------------------------------------------------


def unreachable(X, eqs):
    """The verdict that no β ≥ 0 solves Xβ = y, or None.

    By Farkas' lemma it is so exactly when some p has Aᵀp ≤ 0 < bᵀp, and bᵀp/(‖p‖ ‖b‖) bounds from below how
    near to b any Aβ comes.
    """
    if not eqs.b.any():
        return None
    sizes = np.linalg.norm(eqs.AT, axis=1, keepdims=True)
    A, b = eqs.AT / np.where(sizes > 0, sizes, 1.0), eqs.b / np.linalg.norm(eqs.b)
    found = linprog(-b, A_ub=A, b_ub=np.zeros(len(A)), bounds=(-1, 1), method="highs", options=TOLERANCES)
    distance = 0.0 if found.x is None or not found.x.any() else b @ found.x / np.linalg.norm(found.x)
    if distance <= TRUSTED:
        return None
    return infeasible(
        X,
        distance,
        f"No β ≥ 0 solves Xβ = y: y is at a relative distance of at least {distance:.1e} from every such Xβ, "
        "in whitened rows. Use HyperbolicEntropy for a signed predictor.",
    )
