"""Data sets: X (n, d), y (n,), and the planted β* where there is one.

Behind the door: ``designs``, how the rows of X are drawn.
"""

from lib.problems._problems import FourierProblem, Problem, fourier_features, from_arrays, sparse_regression

__all__ = ["FourierProblem", "Problem", "fourier_features", "from_arrays", "sparse_regression"]
