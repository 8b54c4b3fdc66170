"""The point chosen: the interpolator that minimises a potential, with the certificate that it is the one.

Notation (003 is Yang's notes, 2025, Theorem 5.3; Pesme, Pillaud-Vivien & Flammarion 2021). X (n, d), y (n,).
For a potential φ and a start β₀, gradient flow on the network whose geometry is φ ends at

    argmin { D_φ(β, β₀) : Xβ = y },     D_φ(β, β₀) = φ(β) − φ(β₀) − ⟨∇φ(β₀), β − β₀⟩,

which without an offset is argmin { φ(β) : Xβ = y }. Its mirror coordinate ∇φ(β) = ∇φ(β₀) + Xᵀν lies over the
row space of X. Every function returns a ``Solution``: the point, its dual variable, and two numbers that
bound how wrong it can be, however it was found.
"""

from __future__ import annotations

import numpy as np

from lib.bias import _any, _newton, _programs
from lib.bias._equations import (
    GAP,
    RESIDUAL,
    equations,
    inconsistent,
    infeasible,
    judged,
    power_of_two,
    relative_residual,
)
from lib.bias._newton import WORTH, exponentials, relative_gap
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm, as_potential
from lib.records import (
    CONVERGED,
    DIVERGED,
    INFEASIBLE,
    UNCERTIFIED,
    Run,
    Solution,
    as_array,
    as_coefficients,
    as_data,
    as_log_alpha,
    as_positive,
)


def minimise(potential, X, y, *, offset=None) -> Solution:
    r"""Minimise a potential under Xβ = y: argmin { φ(β) − ⟨offset, β⟩ : Xβ = y }.

    With offset = ∇φ(β₀) it is the Bregman projection of β₀, the point where the gradient flow from β₀ ends.
    Certified by a relative residual ≤ 1e-12 and a relative duality gap ≤ 1e-10; what reaches neither is
    returned with a status.

    Parameters
    ----------
    potential : HyperbolicEntropy, NegativeEntropy, SquaredNorm or an object with their methods
        The geometry φ. One of the reader's own has ``value(beta)``, ``mirror(beta)`` = ∇φ,
        ``inverse_mirror(z)`` = ∇φ* and ``conjugate(z)``, the last axis holding coordinates; if it likes
        ``metric(z)``, the diagonal of dβ/dz, ``domain`` = (lowest, highest) z, and ``separable = False``
        where coordinates act on each other.
    X : array_like, shape (n, d)
        Inputs of any shape and rank; rows and columns may repeat, vanish, or differ in scale.
    y : array_like, shape (n,)
        Targets.
    offset : array_like, shape (d,), optional
        Mirror coordinates ∇φ(β₀) of the start; 0 unless given.

    Returns
    -------
    Solution
        ``beta`` (d,); ``dual`` (n,) with ∇φ(beta) = offset + Xᵀ dual; ``residual`` ‖Xβ − y‖/‖y‖ (over
        ‖|X| |β₀|‖ when y = 0), or the same in rows of unit size if that is larger; ``gap``, the duality gap
        D_φ(β, ∇φ*(offset + Xᵀdual)) + |dualᵀ(Xβ − y)| over D_φ(β, β₀), which is φ(β) − φ(β₀) without
        offset; ``iterations`` of Newton's method; ``status`` 0, INFEASIBLE (beta is NaN) or UNCERTIFIED.

    Raises
    ------
    ValueError
        When X, y or offset is not finite, or their shapes do not match, or the maps of a potential do not
        fit: ``inverse_mirror(mirror(β)) ≠ β``, value and conjugate not dual, a mirror map that falls.
    TypeError
        When the potential lacks a method, or the arrays are not numbers.

    Notes
    -----
    For the two entropies, damped Newton in the n-dimensional dual, in logarithms of the weights, so that
    α = 1e-300 is no special case; the last digits are restored in the primal. Any other potential goes
    through its maps alone; there the gap is Σ|δz δβ| + |p·(Xβ − y)| over ⟨∇φ(β) − offset, β − β₀⟩, a bound
    without a value of φ in it. The gap is that of the multiplier in well conditioned
    rows; ``dual`` is the same multiplier in the rows of X, and rounding alone may make ∇φ(beta) differ from
    offset + Xᵀ dual by 1e-16 |X|ᵀ|dual|. Where Xβ = y, β ≥ 0 forces zeros the negative entropy has no finite
    multiplier; it is then certified by one that is nearly so, or not at all.

    Examples
    --------
    >>> import numpy as np
    >>> from lib import bias
    >>> from lib.potentials import HyperbolicEntropy
    >>> found = bias.minimise(HyperbolicEntropy(np.log(1e-4)), [[1.0, 2.0]], [1.0])
    >>> found.beta.round(4).tolist(), found.status
    ([0.0001, 0.5], 0)
    """
    potential = as_potential(potential)
    X, y = as_data(X, y)
    d = X.shape[1]
    offset = np.zeros(d) if offset is None else as_coefficients("offset", offset, d)
    if type(potential) is SquaredNorm:
        return _nearest(X, y, offset)
    if type(potential) not in (HyperbolicEntropy, NegativeEntropy):  # a subclass may have maps of its own
        return _any.minimise(potential, X, y, offset)
    return _entropic(X, y, 2 * as_log_alpha(potential.log_alpha, d), _quadruple(offset), potential)


def least_norm(X, y) -> Solution:
    """The interpolator of least Euclidean norm, argmin { ½‖β‖² : Xβ = y }, where a linear model ends.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.

    Returns
    -------
    Solution
        ``beta`` (d,), ``dual`` (n,) with beta = Xᵀ dual; ``residual`` and ``gap`` as in ``minimise``.

    Raises
    ------
    ValueError
        When X or y is not finite, or their shapes do not match.

    Examples
    --------
    >>> from lib import bias
    >>> bias.least_norm([[1.0, 2.0]], [1.0]).beta.round(12).tolist()
    [0.2, 0.4]
    """
    return minimise(SquaredNorm(), X, y)


def basis_pursuit(X, y) -> Solution:
    """An interpolator of least ℓ₁ norm, argmin { ‖β‖₁ : Xβ = y }: the aim of the hyperbolic entropy as α → 0.

    Where several have that norm, a vertex of their set is returned; the entropy tends to another of them.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.

    Returns
    -------
    Solution
        ``beta`` (d,); ``dual`` (n,) with |Xᵀ dual| ≤ 1; ``residual`` as in ``minimise``; ``gap``
        (‖β‖₁ − yᵀ dual)/‖β‖₁; ``iterations`` of the simplex method.

    Raises
    ------
    ValueError
        When X or y is not finite, or their shapes do not match.

    Examples
    --------
    >>> from lib import bias
    >>> bias.basis_pursuit([[1.0, 2.0]], [1.0]).beta.tolist()
    [0.0, 0.5]
    """
    X, y = as_data(X, y)
    eqs = equations(X, y)
    if eqs.defect > RESIDUAL:
        return infeasible(X, eqs.defect, inconsistent(eqs.defect))
    if not y.any():
        return judged(X, y, np.zeros(X.shape[1]), np.zeros(len(y)), 0.0, 0)
    with np.errstate(all="ignore"):
        beta, v, gap, iterations = _programs.pursue(eqs)
        return judged(X, y, beta * eqs.scale, eqs.dual(v), gap, iterations)


def lasso(X, y, penalty, *, nonnegative=False) -> Solution:
    """Minimise ‖Xβ − y‖²/(2n) + penalty·‖β‖₁, over all β or over β ≥ 0.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    penalty : float
        Weight of the ℓ₁ norm, greater than 0.
    nonnegative : bool
        Whether β ≥ 0 is asked for.

    Returns
    -------
    Solution
        ``beta`` (d,); ``dual`` (n,), a multiple θ of y − Xβ with |Xᵀθ| ≤ penalty (Xᵀθ ≤ penalty if
        nonnegative), (y − Xβ)/n at the solution; ``residual``, the worst violation of the optimality
        conditions over max|Xᵀy|/n; ``gap``, the duality gap over ‖y‖²/(2n); ``iterations``, how many columns
        entered the active set.

    Raises
    ------
    ValueError
        When X or y is not finite, their shapes do not match, or the penalty is not greater than 0.
    TypeError
        When the penalty is not a number.

    Examples
    --------
    >>> from lib import bias
    >>> bias.lasso([[1.0, 2.0]], [1.0], 0.5).beta.round(12).tolist()
    [0.0, 0.375]
    """
    X, y = as_data(X, y)
    penalty = as_positive("penalty", penalty)
    size, scale = power_of_two(np.abs(X).max()), power_of_two(np.abs(y).max())
    X, y, penalty = X / size, y / scale, penalty / size / scale
    beta, entered = _programs.active_set(X, y, penalty, bool(nonnegative))
    if not y.any():
        return Solution(beta=beta, dual=np.zeros(len(y)), residual=0.0, gap=0.0, iterations=0)
    theta, gap, residual = _programs.lasso_certificate(X, y, penalty, bool(nonnegative), beta)
    status = CONVERGED if gap <= GAP else UNCERTIFIED
    message = "" if gap <= GAP else f"The duality gap is {gap:.1e}, not 1e-10. Scale the columns of X."
    return Solution(
        beta=beta * (scale / size),
        dual=theta * scale,
        residual=residual,
        gap=gap,
        iterations=entered,
        status=status,
        message=message,
    )


def minimise_many(log_alpha, X, y, *, offset=None) -> Solution:
    """Minimise the hyperbolic entropy under Xβ = y for many α (and starts) at once.

    The same as ``minimise(HyperbolicEntropy(row), X, y, offset=...)`` for each row, several times faster.

    Parameters
    ----------
    log_alpha : array_like, shape (R, d)
        log α of each replica.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    offset : array_like, shape (R, d), optional
        Mirror coordinates of the starts; 0 unless given.

    Returns
    -------
    Solution
        The fields of ``minimise`` with a leading axis R.

    Raises
    ------
    ValueError
        When an array is not finite, or the shapes do not match.

    Examples
    --------
    >>> import numpy as np
    >>> from lib import bias
    >>> log_alpha = np.log([[1e-4, 1e-4], [1e-1, 1e-1]])
    >>> bias.minimise_many(log_alpha, [[1.0, 2.0]], [1.0]).beta.round(4).tolist()
    [[0.0001, 0.5], [0.0669, 0.4666]]
    """
    X, y = as_data(X, y)
    log_alpha = _as_replicas("log_alpha", log_alpha, X.shape[1])
    offset = np.zeros_like(log_alpha) if offset is None else _as_replicas("offset", offset, X.shape[1])
    if len(offset) != len(log_alpha):
        raise ValueError(
            f"offset must have one row for each of the {len(log_alpha)} rows of log_alpha; received "
            f"{len(offset)}. Match their lengths."
        )
    return _entropic_many(X, y, 2 * log_alpha, _quadruple(offset))


def distance_to_minimiser(beta, log_alpha, X, *, offset=None) -> np.ndarray:
    """Relative distance of each state to the minimiser of its own potential under its own predictions.

    ‖β − β°‖/‖β°‖ with β° = argmin { φ(b) − ⟨offset, b⟩ : Xb = Xβ } for the hyperbolic entropy φ of the row's
    log α. It is 0 where ∇φ(β) − offset lies in the row space of X. With log α − 2γD∫L for log α that is the
    stochastic theorem at every instant (003, Theorem 5.5); no solution of Xβ = y is needed.

    Parameters
    ----------
    beta : array_like, shape (R, d)
        States.
    log_alpha : array_like, shape (R, d)
        log α of each state.
    X : array_like, shape (n, d)
        Inputs.
    offset : array_like, shape (R, d), optional
        Mirror coordinates of the starts; 0 unless given.

    Returns
    -------
    numpy.ndarray
        Distances (R,); NaN where β or log α is not finite. Where β° = 0 the distance is absolute.

    Raises
    ------
    ValueError
        When the shapes do not match, X is not finite, or a minimiser could not be certified.

    Examples
    --------
    >>> import numpy as np
    >>> from lib import bias
    >>> log_alpha = np.log([[0.1, 0.1]])
    >>> found = bias.minimise_many(log_alpha, [[1.0, 2.0]], [1.0])
    >>> bool(bias.distance_to_minimiser(found.beta, log_alpha, [[1.0, 2.0]])[0] < 1e-12)
    True
    >>> bias.distance_to_minimiser(found.beta, log_alpha + 1.0, [[1.0, 2.0]]).round(3).tolist()
    [0.205]
    """
    beta, log_alpha = np.asarray(beta, dtype=np.float64), np.asarray(log_alpha, dtype=np.float64)
    X = as_data(X, np.zeros(len(X)))[0]
    if beta.ndim != 2 or beta.shape[1] != X.shape[1] or log_alpha.shape != beta.shape:
        raise ValueError(
            f"beta and log_alpha must both be (R, {X.shape[1]}), one row a state; received {beta.shape} and "
            f"{log_alpha.shape}. Pass run.beta and one log α for each of its numbers."
        )
    offset = np.zeros_like(beta) if offset is None else _as_replicas("offset", offset, X.shape[1])
    if offset.shape != beta.shape:
        raise ValueError(f"offset must be {beta.shape}, as beta; received {offset.shape}. Match their rows.")
    away = np.full(len(beta), np.nan)
    going = np.isfinite(beta).all(axis=1) & np.isfinite(log_alpha).all(axis=1)
    if going.any():
        part = beta[going]
        found = _entropic_many(X, part @ X.T, 2 * log_alpha[going], _quadruple(offset[going]))
        if failed := np.count_nonzero(found.status):
            raise ValueError(
                f"each state needs a certified minimiser; {failed} of {len(part)} have none. {found.message}"
            )
        size = np.linalg.norm(found.beta, axis=1)
        away[going] = np.linalg.norm(part - found.beta, axis=1) / np.where(size > 0, size, 1.0)
    return away


def limit(run, X, y) -> Solution:
    """Where the gradient flow from the present state of a run ends, for each replica.

    It is argmin { D_φ(β, β_T) : Xβ = y } with the state β_T and the potential φ of ``run.geometry``; where
    that is an entropy, with the effective α of the run. For the stochastic gradient flow that is also the
    limit of the run itself, up to what the loss integral still misses: its mirror coordinate stays in the
    row space of X (003, Theorem 5.5).

    Parameters
    ----------
    run : Run
        What a simulator returned.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.

    Returns
    -------
    Solution
        The fields of ``minimise`` with a leading axis R. A replica that failed keeps its status, with NaN.

    Raises
    ------
    ValueError
        When X or y is not finite, or their shapes do not match each other or the run's.
    TypeError
        When ``run`` is not a Run, or has no geometry.

    Examples
    --------
    >>> import numpy as np
    >>> from lib import bias, records
    >>> from lib.potentials import HyperbolicEntropy
    >>> start = records.Run(
    ...     times=np.zeros(1), loss=np.ones((1, 1)), beta=np.zeros((1, 2)), loss_integral=np.zeros(1),
    ...     log_alpha_effective=np.full((1, 2), np.log(0.1)), status=np.zeros(1, dtype=int),
    ...     geometry=HyperbolicEntropy,
    ... )
    >>> bias.limit(start, [[1.0, 2.0]], [1.0]).beta.round(4).tolist()
    [[0.0669, 0.4666]]
    """
    if not isinstance(run, Run):
        raise TypeError(f"run must be a Run; received {type(run).__name__}. Pass what a simulator returned.")
    X, y = as_data(X, y)
    R, d = run.beta.shape
    if X.shape[1] != d:
        raise ValueError(
            f"X must have the run's {d} columns; received {X.shape[1]}. Pass the data of the run."
        )
    if run.geometry is None:
        raise TypeError(
            "run must know in which geometry it moves; received one whose geometry is None. Pass what a "
            "simulator returned, or give its potential: dataclasses.replace(run, geometry=...)."
        )
    status = np.broadcast_to(np.asarray(run.status), (R,)).copy()
    finite = np.isfinite(run.beta).all(axis=1)
    if run.geometry is HyperbolicEntropy:
        finite &= np.isfinite(run.log_alpha_effective).all(axis=1)
    status[(status == CONVERGED) & ~finite] = DIVERGED
    going = status == CONVERGED
    found = _empty(R, *X.shape, status)
    if not going.any():
        return Solution(**found, message=_failures(status))
    finish = _finish_signed if run.geometry is HyperbolicEntropy else _finish_each
    part = finish(run, going, X, y)
    for name in found:
        found[name][going] = part[name]
    return Solution(**found, message=_failures(found["status"]))


def _finish_signed(run, going, X, y):
    """Minimisers from β_T in the hyperbolic entropy of each replica's own α, all at once."""
    log_alpha = run.log_alpha_effective[going]
    offset = [HyperbolicEntropy(a).mirror(beta) for a, beta in zip(log_alpha, run.beta[going], strict=True)]
    return vars(minimise_many(log_alpha, X, y, offset=offset))


def _finish_each(run, going, X, y):
    """Minimisers from β_T in any other geometry, one after the other."""
    ends = []
    for beta in run.beta[going]:
        if run.geometry is NegativeEntropy:  # its flow from β_T is that of a start at α² = β_T
            log_alpha = np.log(np.maximum(beta, np.finfo(float).tiny)) / 2
            ends.append(minimise(NegativeEntropy(log_alpha), X, y))
        else:
            ends.append(minimise(run.geometry, X, y, offset=run.geometry.mirror(beta)))
    names = ("beta", "dual", "residual", "gap", "iterations", "status")
    return {name: np.array([getattr(end, name) for end in ends]) for name in names}


# --- one problem ----------------------------------------------------------------------------------


def _quadruple(offset):
    return 4 * np.clip(offset, -1e300, 1e300)


@np.errstate(all="ignore")
def _nearest(X, y, offset):
    eqs = equations(X, y)
    if eqs.defect > RESIDUAL:
        return infeasible(X, eqs.defect, inconsistent(eqs.defect))
    beta, dual, gap, iterations = _newton.project(eqs, offset)
    return judged(X, y, beta, dual, gap, iterations, offset)


@np.errstate(all="ignore")
def _entropic(X, y, a, c, potential, eqs=None, v=None):
    signed = isinstance(potential, HyperbolicEntropy)
    eqs = equations(X, y) if eqs is None else eqs
    if eqs.defect > RESIDUAL:
        return infeasible(X, eqs.defect, inconsistent(eqs.defect))
    start = exponentials(a, c, signed, 0.0)[0]
    found = _newton.solve(eqs, a, c, signed, lambda beta: relative_residual(X, y, beta, start), v)
    beta, dual, gap, iterations = found
    solution = judged(X, y, beta, dual / 4, gap, iterations, start)
    if solution.status == CONVERGED or signed:
        return solution
    return _programs.unreachable(X, eqs) or solution


# --- replicas -------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _entropic_many(X, y, a, c):
    """y is (n,), or (R, n) with a right side in the range of X for each replica."""
    own = np.broadcast_to(y, (len(a), X.shape[0]))
    eqs = equations(X, own[np.argmax(np.abs(own).max(axis=1))])
    eqs = eqs.for_each(y) if y.ndim == 2 else eqs
    R, (n, d) = len(a), X.shape
    if eqs.defect > RESIDUAL:
        found = _empty(R, n, d, np.full(R, INFEASIBLE))
        found["residual"][:] = eqs.defect
        return Solution(**found, message=inconsistent(eqs.defect))
    beta, V, iterations, v = _newton.solve_many(eqs, a, c)
    gap = relative_gap(eqs, beta / eqs.scale, V, a - np.log(eqs.scale), c, True)
    residual = relative_residual(X, y, beta, exponentials(a, c, True, 0.0)[0])
    found = {
        "beta": beta,
        "dual": eqs.dual(V) / 4,
        "residual": residual,
        "gap": gap,
        "iterations": iterations,
        "status": np.zeros(R, dtype=int),
    }
    for i in np.flatnonzero(~((residual <= WORTH * RESIDUAL) & (gap <= WORTH * GAP))):
        single = _entropic(X, own[i], a[i], c[i], HyperbolicEntropy(0.0), eqs.some(i), v)
        for name, values in found.items():
            values[i] = getattr(single, name)
    return Solution(**found, message=_failures(found["status"]))


def _empty(R, n, d, status):
    return {
        "beta": np.full((R, d), np.nan),
        "dual": np.full((R, n), np.nan),
        "residual": np.full(R, np.inf),
        "gap": np.full(R, np.inf),
        "iterations": np.zeros(R, dtype=int),
        "status": status,
    }


def _as_replicas(name, value, d):
    value = as_array(name, value, ndim=2)
    if value.shape[1] != d or len(value) == 0:
        raise ValueError(
            f"{name} must have one row a replica and {d} columns; received shape {value.shape}. "
            "Pass an array (R, d)."
        )
    return value


# --- verdicts -------------------------------------------------------------------------------------


def _failures(status):
    failed = np.flatnonzero(status)
    if len(failed) == 0:
        return ""
    return (
        f"{len(failed)} of {len(status)} replicas have no certified limit (the first is {failed[0]}, status "
        f"{status[failed[0]]}). Look at ``status``: 1 diverged, 2 infeasible, 3 uncertified; leave them out."
    )
