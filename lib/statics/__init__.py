"""Learning curves at infinite time: what a penalised fit knows after n = αd samples of structured data.

Behind the door: ``perceptron``, the best possible error and uniform bounds; ``features``, data through a
layer of features; ``penalised``, the fit itself, on samples. Workshop: the covariate model's fixed point.
"""

from lib.statics._curves import BestPenalty, LearningCurve, best_penalty, covariate_model
from lib.statics.perceptron import bayes_optimal, rademacher_bound, rademacher_lower_bound

__all__ = [
    "BestPenalty",
    "LearningCurve",
    "bayes_optimal",
    "best_penalty",
    "covariate_model",
    "rademacher_bound",
    "rademacher_lower_bound",
]
