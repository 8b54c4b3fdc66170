"""Least squares by gradient flow, ridge and SGD: estimators and their risks, in closed form.

Behind the door: ``shrinkage``, the filters and their sharp constants; ``sampling``, what drawing samples
adds.
"""

from lib.regression._estimators import (
    bayes_risk_gradient_flow,
    bayes_risk_ridge,
    gradient_flow,
    ridge,
    risk_gradient_flow,
    risk_ridge,
    risk_stochastic_flow,
    risk_stochastic_gradient_descent,
    signal_time,
)

__all__ = [
    "bayes_risk_gradient_flow",
    "bayes_risk_ridge",
    "gradient_flow",
    "ridge",
    "risk_gradient_flow",
    "risk_ridge",
    "risk_stochastic_flow",
    "risk_stochastic_gradient_descent",
    "signal_time",
]
