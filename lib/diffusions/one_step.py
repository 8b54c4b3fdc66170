"""The noise of one step of SGD on the diagonal network, beside the noise of its stochastic flow.

Notation (Pesme, Pillaud-Vivien & Flammarion 2021; slides, "SGD to Stochastic Gradient Flow"; 003, §5.2.2).
r = Xβ − y, L = ‖r‖²/4n, D = diag(XᵀX/n). SGD draws a sample i and moves w± by ∓γ w±⊙x_i r_i; the mean of that
is ∓γ w±⊙Xᵀr/n. With −γ and the weights divided out, the noise of a step is x_i r_i − Xᵀr/n, of covariance

    C = n⁻¹ Σ_i r_i² x_i x_iᵀ − (Xᵀr/n)(Xᵀr/n)ᵀ;    in the flow it is    C₀ = (4L/n) XᵀX.

C₀ replaces every r_i² by their mean 4L and leaves out the mean gradient. All of these are functions of β,
with any leading axes: they can be observed along a run.
"""

from __future__ import annotations

import numpy as np

from lib.records import as_array, as_data

__all__ = ["covariance_gap", "excess_kurtosis", "outside_span", "variances"]


def variances(X, y, beta):
    """Variance of the noise in each coordinate: SGD's C_jj, and the flow's 4L D_j.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    beta : array_like, shape (..., d)
        States.

    Returns
    -------
    sampled : ndarray, shape (..., d)
        C_jj = n⁻¹ Σ_i x_ij² r_i² − (Xᵀr/n)_j².
    modelled : ndarray, shape (..., d)
        4L D_j.

    Raises
    ------
    ValueError
        When an array is not finite or the shapes do not match.

    Examples
    --------
    >>> from lib.diffusions.one_step import variances
    >>> sampled, modelled = variances([[1.0, 1.0], [1.0, -1.0]], [1.0, 1.0], [0.0, 0.0])
    >>> sampled.tolist(), modelled.tolist()
    ([0.0, 1.0], [1.0, 1.0])
    """
    X, residual = _residual(X, y, beta)
    sampled = residual**2 @ X**2 / len(X) - (residual @ X / len(X)) ** 2
    return sampled, (residual**2).mean(-1, keepdims=True) * (X**2).mean(0)


def covariance_gap(X, y, beta):
    """How far the two covariances are apart as matrices: ‖C − C₀‖/‖C‖ in the Frobenius norm.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    beta : array_like, shape (..., d)
        States.

    Returns
    -------
    ndarray, shape (...)
        The relative distance; NaN where SGD has no noise.

    Raises
    ------
    ValueError
        When an array is not finite or the shapes do not match.

    Notes
    -----
    Both are XᵀAX with A = diag(r²)/n − rrᵀ/n² and A₀ = (4L/n) I, so the norms are traces of products with the
    n × n matrix XXᵀ.

    Examples
    --------
    >>> from lib.diffusions.one_step import covariance_gap
    >>> float(covariance_gap([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], [0.0, 0.0]))
    1.0
    """
    X, residual = _residual(X, y, beta)
    n, gram = len(X), X @ X.T
    square = residual**2
    outer = residual[..., :, None] * residual[..., None, :] / n**2
    sampled = square[..., :, None] * np.eye(n) / n - outer
    modelled = square.mean(-1)[..., None, None] * np.eye(n) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(_trace(sampled - modelled, gram) / _trace(sampled, gram))


def excess_kurtosis(X, y, beta):
    """Excess kurtosis of one step's noise, coordinate by coordinate: 0 for a Gaussian.

    It is that of n equally likely values x_ij r_i, so at most n − 2; K independent steps from the same state
    have 1/K of it.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    beta : array_like, shape (..., d)
        States.

    Returns
    -------
    ndarray, shape (..., d)
        E ξ⁴/(E ξ²)² − 3 for ξ = x_ij r_i − (Xᵀr/n)_j; NaN where there is no noise.

    Raises
    ------
    ValueError
        When an array is not finite or the shapes do not match.

    Examples
    --------
    >>> from lib.diffusions.one_step import excess_kurtosis
    >>> excess_kurtosis([[1.0], [-1.0]], [1.0, 1.0], [0.0]).tolist()  # a fair coin
    [-2.0]
    """
    X, residual = _residual(X, y, beta)
    X = X / np.maximum(np.abs(X).max(), 1e-300)
    residual = residual / np.maximum(np.abs(residual).max(-1, keepdims=True), 1e-300)
    raw = [residual**k @ X**k / len(X) for k in range(1, 5)]
    mean, second, third, fourth = raw
    variance = second - mean**2
    central = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
    with np.errstate(invalid="ignore", divide="ignore"):
        return central / variance**2 - 3


def outside_span(X, moves, weights):
    """Share of a move of the weights that no combination of the x_i ⊙ w gives: 0 for every step of SGD.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    moves : array_like, shape (R, d)
        Changes of w₊, or of w₋.
    weights : array_like, shape (R, d)
        The weights before.

    Returns
    -------
    ndarray, shape (R,)
        ‖move − its projection‖/‖move‖ on span{x_1 ⊙ w, …, x_n ⊙ w}.

    Raises
    ------
    ValueError
        When an array is not finite or the shapes do not match.

    Examples
    --------
    >>> from lib.diffusions.one_step import outside_span
    >>> outside_span([[1.0, 1.0]], [[1.0, 2.0], [2.0, -1.0]], [[1.0, 2.0], [1.0, 2.0]]).round(12).tolist()
    [0.0, 1.0]
    """
    X = as_array("X", X, ndim=2)
    moves, weights = (as_array(name, v, ndim=2) for name, v in (("moves", moves), ("weights", weights)))
    if moves.shape != weights.shape or moves.shape[1] != X.shape[1]:
        raise ValueError(
            f"moves and weights must both be (R, {X.shape[1]}), as X has {X.shape[1]} columns; received "
            f"{moves.shape} and {weights.shape}. Match their shapes."
        )
    _, size, rows = np.linalg.svd(X, full_matrices=False)
    rows = rows[size > 1e-13 * size[0]]  # an orthonormal basis of the row space, also when rows repeat
    basis, _ = np.linalg.qr((weights[:, None, :] * rows).swapaxes(1, 2))
    inside = np.einsum("rdk,rk->rd", basis, np.einsum("rdk,rd->rk", basis, moves))
    return np.linalg.norm(moves - inside, axis=1) / np.linalg.norm(moves, axis=1)


def _residual(X, y, beta):
    X, y = as_data(X, y)
    beta = as_array("beta", beta)
    if beta.ndim == 0 or beta.shape[-1] != X.shape[1]:
        raise ValueError(
            f"beta must have {X.shape[1]} entries on its last axis, one a column of X; received shape "
            f"{beta.shape}. Pass states (..., d)."
        )
    return X, beta @ X.T - y


def _trace(matrix, gram):
    """‖XᵀAX‖² = tr(A G A G)."""
    product = matrix @ gram
    return np.einsum("...ij,...ji->...", product, product)
