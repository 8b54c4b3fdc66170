"""Converters between the parametrisations, loss scalings and clocks of the sources.

House convention: β = w₊² − w₋², w±(0) = α, loss L = (1/n) Σᵢ ¼(⟨xᵢ, β⟩ − yᵢ)², step γ, flow time t.
A source is described by its network, the factor of α in its first weights, its loss factor c in
c(⟨xᵢ, β⟩ − yᵢ)², and whether it takes the mean or the sum over samples. With w± = (u ± v)/2,

    u ⊙ v,  u₀ = a, v₀ = 0:   α = a/2,  γ_house = 2cγ,  t_house = 2ct
    w₊² − w₋²,  w± = a:       α = a,    γ_house = 4cγ,  t_house = 4ct
    w ⊙ w,  w = a:            α = a,    γ_house = 4cγ,  t_house = 4ct

and a sum over samples multiplies γ and t by n. The map is linear, so it is exact for the flow, for GD and
SGD, and for the stochastic flow driven by the same Brownian motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.records import as_array, as_count, as_data, as_log_alpha, as_positive

NETWORKS = ("difference of squares", "product", "square")


@dataclass(frozen=True)
class House:
    """House values of what a source calls α, γ and t.

    Parameters
    ----------
    log_alpha : float or ndarray, shape (d,)
        log α of the initial weights.
    step_size : float
        Step γ.
    time : float or ndarray
        Flow time t.
    """

    log_alpha: float | np.ndarray
    step_size: float
    time: float | np.ndarray


@dataclass(frozen=True)
class Convention:
    """How one source writes the diagonal network, and the way from there to the house and back.

    Parameters
    ----------
    source : str
        Where it is printed.
    network : {"difference of squares", "product", "square"}
        w₊² − w₋² with w±(0) = kα; u ⊙ v with u(0) = kα, v(0) = 0; or w ⊙ w with w(0) = kα.
    loss_factor : float
        The c in c(⟨xᵢ, β⟩ − yᵢ)².
    start_factor : float
        The k above.
    total : {"mean", "sum"}
        What is taken over samples.

    Raises
    ------
    ValueError
        When the network or the total is unknown, or a factor is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.conventions import SOURCES
    >>> house = SOURCES["slides, loss"].to_house(log_alpha=np.log(0.1), step_size=0.02, time=4.0)
    >>> round(float(np.exp(house.log_alpha)), 6), house.step_size, float(house.time)
    (0.05, 0.01, 2.0)
    """

    source: str
    network: str
    loss_factor: float
    start_factor: float = 1.0
    total: str = "mean"

    def __post_init__(self):
        if self.network not in NETWORKS:
            raise ValueError(
                f"network must be one of {NETWORKS}; received {self.network!r}. Choose one of them."
            )
        if self.total not in ("mean", "sum"):
            raise ValueError(f"total must be 'mean' or 'sum'; received {self.total!r}. Choose one of them.")
        as_positive("loss_factor", self.loss_factor)
        as_positive("start_factor", self.start_factor)

    @property
    def start_scale(self) -> float:
        """The house α as a multiple of the source's."""
        return self.start_factor / (2.0 if self.network == "product" else 1.0)

    def clock(self, n=None) -> float:
        """House step and time as a multiple of the source's.

        Parameters
        ----------
        n : int, optional
            Number of samples; needed only by a source that sums over them.

        Returns
        -------
        float
            4c, or 2c for a product, times n for a sum.

        Raises
        ------
        ValueError
            When the source sums and n is missing.
        """
        factor = (2.0 if self.network == "product" else 4.0) * self.loss_factor
        if self.total == "mean":
            return factor
        if n is None:
            raise ValueError(
                f"n must be given: {self.source} sums over the samples. Pass the number of rows of X."
            )
        return factor * as_count("n", n)

    def to_house(self, *, log_alpha=0.0, step_size=1.0, time=0.0, n=None) -> House:
        """House values of the source's α, γ, t.

        Parameters
        ----------
        log_alpha : float or array_like, shape (d,)
            log of what the source calls α.
        step_size : float
            What it calls γ.
        time : float or array_like
            What it calls t.
        n : int, optional
            Number of samples; needed only by a source that sums over them.

        Returns
        -------
        House
            The house values.
        """
        clock = self.clock(n)
        log_alpha = as_array("log_alpha", log_alpha, ndim=(0, 1)) + np.log(self.start_scale)
        return House(
            log_alpha, clock * as_positive("step_size", step_size), clock * as_array("time", time)[()]
        )

    def from_house(self, *, log_alpha=0.0, step_size=1.0, time=0.0, n=None) -> House:
        """What the source calls α, γ, t for given house values: the inverse of ``to_house``.

        Parameters
        ----------
        log_alpha : float or array_like, shape (d,)
            House log α.
        step_size : float
            House γ.
        time : float or array_like
            House t.
        n : int, optional
            Number of samples; needed only by a source that sums over them.

        Returns
        -------
        House
            The source's values, under the same names.
        """
        clock = self.clock(n)
        log_alpha = as_array("log_alpha", log_alpha, ndim=(0, 1)) - np.log(self.start_scale)
        return House(
            log_alpha, as_positive("step_size", step_size) / clock, as_array("time", time)[()] / clock
        )


SOURCES: dict[str, Convention] = {
    "house": Convention("house; Pesme et al. (2021); notes §5.2.2", "difference of squares", 0.25),
    "slides, loss": Convention("slides of S. Pesme, loss as printed", "product", 0.25),
    "slides, recursion": Convention("slides of S. Pesme, SGD recursion as printed", "product", 0.5),
    "even2023": Convention(
        "u ⊙ v with u₀ = √2 α (Even et al. 2023)", "product", 0.5, start_factor=np.sqrt(2.0)
    ),
    "notes (33)": Convention(
        "notes, eq. (33); Woodworth et al. (2020)", "difference of squares", 1.0, total="sum"
    ),
}


@dataclass(frozen=True)
class Path:
    """What one path of SGD leaves behind.

    Parameters
    ----------
    beta : ndarray, shape (d,)
        Predictor after the last step.
    log_product : ndarray, shape (d,)
        Σ log|1 − g²| over the steps, g what a step multiplies the weights by: log w₊w₋ has moved by this.
    squares : ndarray, shape (d,)
        Σ g², the second-order part of −Σ log|1 − g²|.
    """

    beta: np.ndarray
    log_product: np.ndarray
    squares: np.ndarray


def sgd_path(convention, X, y, *, log_alpha, step_size, indices):
    """One SGD path in a source's own weights, on a given sequence of samples.

    The weights move by −γ ∇ of the sample's loss c(⟨xᵢ, β⟩ − yᵢ)² (times n for a source that sums); α and γ
    are the source's. One path, one step at a time: it exists to check the converters, not to be fast.

    Parameters
    ----------
    convention : Convention
        The source.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    log_alpha : float or array_like, shape (d,)
        log of what the source calls α.
    step_size : float
        What it calls γ.
    indices : array_like of int, shape (steps,)
        The sample of each step.

    Returns
    -------
    Path
        β after the last step, and the sums that tell how the product w₊w₋ = (u² − v²)/4 has moved.

    Raises
    ------
    ValueError
        When the data or an argument is out of range.

    Examples
    --------
    >>> from lib.conventions import SOURCES, sgd_path
    >>> house, X = SOURCES["house"], [[1.0, 0.0]]
    >>> sgd_path(house, X, [1.0], log_alpha=0.0, step_size=0.1, indices=[0] * 200).beta.round(6).tolist()
    [1.0, 0.0]
    """
    X, y = as_data(X, y)
    n, d = X.shape
    start = convention.start_factor * np.exp(as_log_alpha(log_alpha, d))
    indices = np.asarray(indices)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or ((indices < 0) | (indices >= n)).any():
        raise ValueError(
            f"indices must be whole numbers from 0 to {n - 1}; received {indices!r}. Draw them anew."
        )
    p = start
    q = {"difference of squares": start, "product": np.zeros(d), "square": np.zeros(d)}[convention.network]
    product = convention.network == "product"
    # dβ/dw is 2w± for squares and the other weight for a product: there a step is half as long.
    factor = convention.loss_factor * as_positive("step_size", step_size) * (2 if product else 4)
    factor *= n if convention.total == "sum" else 1
    log_product, squares = np.zeros((2, d))
    for i in indices:
        g = factor * (X[i] @ _predictor(convention.network, p, q) - y[i]) * X[i]
        p, q = (p - g * q, q - g * p) if product else (p - g * p, q + g * q)
        log_product += np.log(np.abs(1 - g * g))
        squares += g * g
    return Path(_predictor(convention.network, p, q), log_product, squares)


def _predictor(network, p, q):
    return p * q if network == "product" else p**2 - q**2
