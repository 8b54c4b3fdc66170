"""Backward error analysis: the differential equation that a numerical method really solves.

Behind the door: ``orders``, local and global errors and their order; ``weak_orders``, stochastic modified
equations; ``circle``, SGD on a circle, drawn from the same numbers as its diffusion.
"""

from lib.modified._fields import (
    correction,
    curl,
    inverse_field,
    lie_derivative,
    linear_rate,
    modified_field,
    modified_gradient,
    modified_loss,
    parabola_series,
    polynomial_field,
    truncated,
)

__all__ = [
    "correction",
    "curl",
    "inverse_field",
    "lie_derivative",
    "linear_rate",
    "modified_field",
    "modified_gradient",
    "modified_loss",
    "parabola_series",
    "polynomial_field",
    "truncated",
]
