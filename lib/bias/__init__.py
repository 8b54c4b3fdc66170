"""The point chosen: the interpolator that minimises a potential, with the certificate that it is the one.

Behind the door: ``support``, when the sparse truth is found; ``thresholds``, how small a start is small;
``penalty``, the weighted Lasso that label noise solves; ``nearest``, the solution nearest to the start in the
weights. Workshops: equations, Newton's method in the dual, linear programs.
"""

from lib.bias._minimise import (
    basis_pursuit,
    distance_to_minimiser,
    lasso,
    least_norm,
    limit,
    minimise,
    minimise_many,
)

__all__ = [
    "basis_pursuit",
    "distance_to_minimiser",
    "lasso",
    "least_norm",
    "limit",
    "minimise",
    "minimise_many",
]
