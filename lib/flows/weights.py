"""Gradient flow in the weights of a diagonal network, as each source writes it.

Notation (notes, §5.2 and Remark 5.1; slides, "Implicit bias of the gradient flow"). A network has two layers
of weights p, q ∈ ℝᵈ and β = p² − q² (difference of squares) or β = p ⊙ q (product), or one layer and β = p²
(square). Its weights follow minus the gradient of its own loss, in its own time: nothing is converted, the
dual coordinates of ``flows.mirror_flow`` are not used. It exists to be compared with them; it is explicit, so
it says so and stops where a small α makes the flow stiff.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.conventions import Convention
from lib.flows._flows import gradient_flow
from lib.records import Record, as_array, as_data, as_log_alpha


@dataclass(frozen=True, kw_only=True)
class NeuronRun(Record):
    """What ``neuron_flow`` returns.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Instants, in the source's time.
    weights : ndarray, shape (T, 2, d) or (T, 1, d)
        p and q; p alone for one layer. NaN from where the integrator gave up.
    beta : ndarray, shape (T, d)
        The predictor.
    balance : ndarray, shape (T, d)
        w₊w₋ of the house: pq for squares, (p² − q²)/4 for a product. The flow does not change it. NaN for one
        layer, which has no such number.
    status : int
        0 when the last instant was reached.
    message : str
        Where it stopped otherwise, and the remedy.
    """

    times: np.ndarray
    weights: np.ndarray
    beta: np.ndarray
    balance: np.ndarray


def neuron_flow(convention, X, y, *, log_alpha=0.0, times, start=None) -> NeuronRun:
    """Gradient flow of the weights on c·(⟨xᵢ, β⟩ − yᵢ)², mean or sum over i, in the source's own convention.

    Parameters
    ----------
    convention : Convention
        The source: network, loss factor c, mean or sum, what α means.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of what the source calls α.
    times : array_like, shape (T,)
        Increasing instants ≥ 0, in the source's time.
    start : array_like, shape (2, d) or (1, d), optional
        The first weights themselves, in place of those that α gives.

    Returns
    -------
    NeuronRun
        Accurate to about 1e-10 relative. ``status`` is 1 when 20,000 explicit steps do not reach the last
        instant: the flow is stiff, ask ``flows.mirror_flow``.

    Raises
    ------
    ValueError
        When the data, the instants or the start do not fit.
    TypeError
        When ``convention`` is not a ``Convention``.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.conventions import SOURCES
    >>> from lib.flows.weights import neuron_flow
    >>> at = {"log_alpha": np.log(0.5), "times": [0.0, 100.0]}
    >>> neuron_flow(SOURCES["house"], [[1.0, 2.0]], [1.0], **at).beta.round(4).tolist()
    [[0.0, 0.0], [0.1895, 0.4053]]
    """
    if not isinstance(convention, Convention):
        raise TypeError(
            f"convention must be a Convention; received {type(convention).__name__}. "
            "Take one from lib.conventions.SOURCES."
        )
    X, y = as_data(X, y)
    n, d = X.shape
    first = _first_weights(convention, log_alpha, start, d)
    sizes = 2 * convention.loss_factor / (1 if convention.total == "sum" else n)

    def gradient(flat):
        weights = flat.reshape(first.shape)
        pull = sizes * (X.T @ (X @ predictor(convention.network, weights) - y))
        return (_slopes(convention.network, weights) * pull).ravel()

    run = gradient_flow(gradient, first.ravel(), times=times)
    weights = run.x.reshape(len(run.times), *first.shape)
    message = run.message and f"{run.message} For a small α take flows.mirror_flow, which is not explicit."
    return NeuronRun(
        times=run.times,
        weights=weights,
        beta=predictor(convention.network, weights),
        balance=_balance(convention.network, weights),
        status=run.status,
        message=message,
    )


def predictor(network, weights):
    """The β of a network: p² − q², p ⊙ q or p².

    Parameters
    ----------
    network : {"difference of squares", "product", "square"}
        The network.
    weights : ndarray, shape (..., 2, d) or (..., 1, d)
        Its layers.

    Returns
    -------
    ndarray, shape (..., d)
        The predictor.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.flows.weights import predictor
    >>> predictor("difference of squares", np.array([[2.0], [1.0]])).tolist()
    [3.0]
    """
    if network == "product":
        return weights[..., 0, :] * weights[..., 1, :]
    squares = weights**2
    return (
        squares[..., 0, :] - squares[..., 1, :] if network == "difference of squares" else squares[..., 0, :]
    )


def _slopes(network, weights):
    # dβ/dw for each layer
    if network == "product":
        return weights[::-1]
    signs = np.array([[1.0], [-1.0]]) if network == "difference of squares" else 1.0
    return 2 * signs * weights


def _balance(network, weights):
    if network == "product":
        return (weights[..., 0, :] ** 2 - weights[..., 1, :] ** 2) / 4
    if network == "square":
        return np.full(weights[..., 0, :].shape, np.nan)
    return weights[..., 0, :] * weights[..., 1, :]


def _first_weights(convention, log_alpha, start, d):
    layers = 1 if convention.network == "square" else 2
    if start is not None:
        start = as_array("start", start, ndim=2)
        if start.shape != (layers, d):
            raise ValueError(
                f"start must have one row a layer and one column a coordinate, ({layers}, {d}); received "
                f"shape {start.shape}. Pass the first weights."
            )
        return start
    alpha = convention.start_factor * np.exp(as_log_alpha(log_alpha, d))
    other = np.zeros(d) if convention.network == "product" else alpha
    return np.stack([alpha, other][:layers])
