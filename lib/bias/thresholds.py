"""How small is small: the thresholds of the notes' Theorem 5.4, and how fast the two ends are approached.

Notation (notes, Theorem 5.4 and Fig. 3; Woodworth et al. 2020). β_α minimises φ_α under Xβ = y, β_ℓ1 and β_ℓ2
are the solutions of least norm, w± = α uniform. For 0 < ε < d,

    α ≤ min{ (2(1 + ε)‖β_ℓ1‖₁)^{−(2 + ε)/2ε}, e^{−d/(ε‖β_ℓ1‖₁)} }  ⟹  ‖β_α‖₁ ≤ (1 + ε)‖β_ℓ1‖₁
    α ≥ √(2(1 + ε)(1 + 2/ε)‖β_ℓ2‖₂)                              ⟹  ‖β_α‖₂² ≤ (1 + ε)‖β_ℓ2‖₂².

Everything is in log α: the first threshold is far below the floating-point numbers.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from lib.records import as_array, as_count, as_data, as_positive


def small_start(epsilon, least_l1, d) -> float:
    """Log of the α below which Theorem 5.4 promises ‖β_α‖₁ ≤ (1 + ε)‖β_ℓ1‖₁.

    Parameters
    ----------
    epsilon : float
        The ε, between 0 and d.
    least_l1 : float
        ‖β_ℓ1‖₁.
    d : int
        Number of coordinates.

    Returns
    -------
    float
        log α, as printed in the notes.

    Raises
    ------
    ValueError
        When ε is not between 0 and d, or the norm is not positive.

    Examples
    --------
    >>> from lib.bias.thresholds import small_start
    >>> round(small_start(0.01, 5.0, 100) / 2.302585092994046, 2)  # as a power of ten
    -868.59
    """
    d = as_count("d", d)
    epsilon, least_l1 = _as_epsilon(epsilon, d), as_positive("least_l1", least_l1)
    power = -(2 + epsilon) / (2 * epsilon) * np.log(2 * (1 + epsilon) * least_l1)
    return float(min(power, -d / (epsilon * least_l1)))


def large_start(epsilon, least_l2, d) -> float:
    """Log of the α above which Theorem 5.4 promises ‖β_α‖₂² ≤ (1 + ε)‖β_ℓ2‖₂².

    Parameters
    ----------
    epsilon : float
        The ε, between 0 and d.
    least_l2 : float
        ‖β_ℓ2‖₂.
    d : int
        Number of coordinates.

    Returns
    -------
    float
        log α, as printed in the notes.

    Raises
    ------
    ValueError
        When ε is not between 0 and d, or the norm is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.bias.thresholds import large_start
    >>> round(float(np.exp(large_start(0.01, 1.58632, 100))), 1)
    25.4
    """
    epsilon, least_l2 = _as_epsilon(epsilon, as_count("d", d)), as_positive("least_l2", least_l2)
    return float(np.log(2 * (1 + epsilon) * (1 + 2 / epsilon) * least_l2) / 2)


def small_start_exponent(X, beta) -> float:
    """The exponent p with ‖β_α‖₁ − ‖β‖₁ ∝ α^p as α → 0, at a unique sparse least-ℓ₁ solution β.

    Off the support |β_α| ∝ α^{2(1 − |xⱼᵀη|)}, where η is the dual certificate (xⱼᵀη = sign βⱼ on the support)
    that keeps ρ = max |xⱼᵀη| off the support least: p = 2(1 − ρ), by one linear program.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    beta : array_like, shape (d,)
        The least-ℓ₁ solution, its zeros exact.

    Returns
    -------
    float
        p, between 0 and 2. NaN when no certificate has ρ < 1: then β is not the unique least-ℓ₁ solution.

    Raises
    ------
    ValueError
        When shapes do not match, or β is 0.

    Examples
    --------
    >>> from lib.bias.thresholds import small_start_exponent
    >>> round(small_start_exponent([[1.0, 2.0]], [0.0, 0.5]), 9)  # ρ = ½
    1.0
    """
    beta = as_array("beta", beta, ndim=1)
    X, _ = as_data(X, np.zeros(len(X)))
    if X.shape[1] != len(beta) or not beta.any():
        raise ValueError(
            f"beta must have one entry for each of the {X.shape[1]} columns of X, not all 0; received shape "
            f"{beta.shape} with {np.count_nonzero(beta)} entries that are not 0. Pass the least-ℓ₁ solution."
        )
    n, on = len(X), beta != 0
    off = X[:, ~on].T
    one = np.ones((len(off), 1))
    found = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.vstack([np.hstack([off, -one]), np.hstack([-off, -one])]),
        b_ub=np.zeros(2 * len(off)),
        A_eq=np.hstack([X[:, on].T, np.zeros((on.sum(), 1))]),
        b_eq=np.sign(beta[on]),
        bounds=[(None, None)] * n + [(0, None)],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status != 0 or found.fun >= 1 - 1e-9:
        return float("nan")
    return float(2 * (1 - found.fun))


def large_start_coefficient(X, y) -> float:
    """The C in ‖β_α‖₂ − ‖β_ℓ2‖₂ = C α⁻⁸ + O(α⁻¹²) as α → ∞, for a uniform start.

    ∇φ_α(β) = β/8α² − β³/192α⁶ + … has to stay in the row space of X, so β_α = β_ℓ2 + P β_ℓ2³/24α⁴ + … with P
    the projection on the null space, and C = ‖P β_ℓ2³‖²/(2·24²‖β_ℓ2‖).

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets, not 0.

    Returns
    -------
    float
        C.

    Raises
    ------
    ValueError
        When X or y is not finite, shapes do not match, or y is 0.

    Examples
    --------
    >>> from lib.bias.thresholds import large_start_coefficient
    >>> round(large_start_coefficient([[1.0, 2.0]], [1.0]) * 1e6, 4)
    0.8944
    """
    X, y = as_data(X, y)
    if not y.any():
        raise ValueError("y must not be 0: then every start ends at 0; received zeros. Pass other targets.")
    least = np.linalg.pinv(X) @ y
    cube = least**3
    left = cube - np.linalg.pinv(X) @ (X @ cube)
    return float(left @ left / (2 * 24**2 * np.linalg.norm(least)))


def _as_epsilon(epsilon, d):
    epsilon = as_positive("epsilon", epsilon)
    if epsilon >= d:
        raise ValueError(
            f"epsilon must be below d = {d}; received {epsilon}. Theorem 5.4 says nothing there."
        )
    return epsilon
