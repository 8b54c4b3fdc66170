"""Discrete time: gradient descent and SGD on the diagonal network, in its weights.

Behind the door: ``mirror``, mirror descent in any geometry; ``linear``, SGD on linear models, and ``losses``,
their losses.
"""

from lib.descent._network import DescentRun, gradient_descent, sample_indices, stochastic_gradient_descent

__all__ = ["DescentRun", "gradient_descent", "sample_indices", "stochastic_gradient_descent"]
