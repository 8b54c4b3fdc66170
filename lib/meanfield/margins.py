"""Losses of a margin u = y·h, with slope and curvature: what SGD and its mean-field theory need of a loss.

logistic        l(u) = log(1 + e^{−u})
squared_hinge   l(u) = ½(1 − u)₊²
square          l(u) = ½(1 − u)²
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

__all__ = ["LOSSES", "Margin", "margin_loss"]


@dataclass(frozen=True)
class Margin:
    """A loss l of the margin.

    Parameters
    ----------
    value : callable
        u ↦ l(u), elementwise.
    slopes : callable
        u ↦ (l′(u), l″(u)).

    Examples
    --------
    >>> from lib.meanfield.margins import LOSSES
    >>> slope, curvature = LOSSES["square"].slopes(0.25)
    >>> slope, float(curvature)
    (-0.75, 1.0)
    """

    value: Callable
    slopes: Callable


def _logistic_slopes(u):
    wrong = expit(-u)
    return -wrong, wrong * (1.0 - wrong)


def _hinge_slopes(u):
    inside = np.asarray(u < 1.0, dtype=u.dtype)
    return (u - 1.0) * inside, inside


LOSSES = {
    "logistic": Margin(lambda u: np.logaddexp(0.0, -u), _logistic_slopes),
    "squared_hinge": Margin(lambda u: 0.5 * np.square(np.maximum(1.0 - u, 0.0)), _hinge_slopes),
    "square": Margin(lambda u: 0.5 * np.square(1.0 - u), lambda u: (u - 1.0, np.ones_like(u))),
}


def margin_loss(name) -> Margin:
    """Look up a loss by name.

    Parameters
    ----------
    name : str
        "logistic", "squared_hinge" or "square".

    Returns
    -------
    Margin
        Value, slope and curvature.

    Raises
    ------
    ValueError
        For a name that is none of these.

    Examples
    --------
    >>> from lib.meanfield.margins import margin_loss
    >>> float(margin_loss("logistic").value(0.0).round(4))
    0.6931
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}; received {name!r}. Choose one.")
    return LOSSES[name]
