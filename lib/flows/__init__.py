"""Deterministic continuous time: gradient flow of any function, mirror flow of least squares in the dual.

Behind the door: ``convergence`` and ``objectives``, how fast gradient flow converges; ``saddles``, the path
of a vanishing start; ``weights``, the flow in the weights of each source's network. Workshop: the dual flow.
"""

from lib.flows._flows import (
    GradientFlowRun,
    bounded_inverse,
    gradient_flow,
    mirror_flow,
    remaining_loss_integral,
)

__all__ = ["GradientFlowRun", "bounded_inverse", "gradient_flow", "mirror_flow", "remaining_loss_integral"]
