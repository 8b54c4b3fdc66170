"""Dynamical mean-field theory of SGD: what high-dimensional learning curves look like while they are learnt.

Behind the door: ``process``, the effective process of one margin; ``mixtures``, ``clusters`` and
``sign_retrieval``, the networks themselves; ``mixture_statics``, where training ends; ``margins``, the
losses;
``fluctuations``, the temperature of the noise and the distance of two replicas.
"""

from lib.meanfield._theory import (
    MeanField,
    disagreement,
    gaussian_mixture,
    gaussian_mixture_runs,
    simulate_gaussian_mixture,
    simulate_sign_retrieval,
    warm_sign_retrieval,
)

__all__ = [
    "MeanField",
    "disagreement",
    "gaussian_mixture",
    "gaussian_mixture_runs",
    "simulate_gaussian_mixture",
    "simulate_sign_retrieval",
    "warm_sign_retrieval",
]
