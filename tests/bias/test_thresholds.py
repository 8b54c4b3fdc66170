"""How small is small: printed thresholds, the two laws, and the numbers of Fig. 3."""

import numpy as np
import pytest

from lib import bias, problems
from lib.bias import thresholds
from lib.potentials import HyperbolicEntropy

P = problems.sparse_regression(40, 100, 5, rng=1)
L2 = bias.least_norm(P.X, P.y).beta


def chosen(log10_alpha, data=P):
    return bias.minimise(HyperbolicEntropy(log10_alpha * np.log(10)), data.X, data.y).beta


@pytest.mark.parametrize(
    ("log10_alpha", "l1", "l2"),
    [  # claim d2, six digits: computed elsewhere, by another solver
        (-4, 3.211354e-4, 0.6496582),
        (-3, 5.378600e-3, 0.6482363),
        (-2, 9.418252e-2, 0.6249218),
        (-1, 1.584597, 0.3262136),
        (-0.5, 4.387520, 3.682892e-2),
        (0, 5.747598, 3.033e-5),
        (0.5, 5.785865, 3.194e-9),
    ],
)
def test_figure_three(log10_alpha, l1, l2):
    beta = chosen(log10_alpha)
    assert np.isclose(np.abs(beta).sum() - 5, l1, rtol=1e-6)
    shown = 1e-6 if l2 > 1e-3 else 2e-4  # as many digits as were printed
    assert np.isclose(np.linalg.norm(beta) - np.linalg.norm(L2), l2, rtol=shown)


@pytest.mark.parametrize(
    ("epsilon", "small", "large"),
    [(0.01, -868.59, 25.4), (0.1, -86.86, 8.56), (0.5, -17.37, 4.88), (1.0, -8.69, 4.36)],
)
def test_thresholds_as_printed(epsilon, small, large):
    assert np.isclose(thresholds.small_start(epsilon, 5.0, 100) / np.log(10), small, atol=0.006)
    assert np.isclose(np.exp(thresholds.large_start(epsilon, np.linalg.norm(L2), 100)), large, atol=0.06)


def test_either_term_of_the_small_threshold_can_decide():
    # large norm: the power decides; small norm: the exponential
    assert np.isclose(thresholds.small_start(1.0, 1e6, 10), -1.5 * np.log(4e6))
    assert np.isclose(thresholds.small_start(1.0, 0.1, 10), -100.0)


@pytest.mark.parametrize("seed", [1, 10, 11])
def test_small_start_exponent_is_the_slope(seed):
    data = problems.sparse_regression(40, 100, 5, rng=seed)
    upper, lower = (np.abs(chosen(k, data)).sum() - 5 for k in (-5, -7))
    assert np.isclose(
        thresholds.small_start_exponent(data.X, data.beta_star), np.log10(upper / lower) / 2, atol=0.02
    )


def test_exponent_by_hand():
    # x = (1, 2): support 2, η = ½, ρ = ½; x = (1, 4): ρ = ¼; equal columns: no unique solution
    assert np.isclose(thresholds.small_start_exponent([[1.0, 4.0]], [0.0, 0.25]), 1.5)
    assert np.isnan(thresholds.small_start_exponent([[1.0, 1.0]], [0.0, 1.0]))
    assert np.isclose(thresholds.small_start_exponent([[1.0, -4.0]], [0.0, -0.25]), 1.5)


def test_exponent_with_two_signs_by_hand():
    # η = (1, −1); the third column meets it at ½. With equal signs it would meet 3/2: no certificate
    assert np.isclose(
        thresholds.small_start_exponent([[1.0, 0.0, 1.0], [0.0, 1.0, 0.5]], [1.0, -1.0, 0.0]), 1.0
    )
    assert np.isnan(thresholds.small_start_exponent([[1.0, 0.0, 1.0], [0.0, 1.0, 0.5]], [1.0, 1.0, 0.0]))


@pytest.mark.parametrize("alpha", [3.0, 10.0, 30.0])
def test_large_start_coefficient_is_the_limit(alpha):
    beta = chosen(np.log10(alpha))
    gap = beta - L2
    excess = gap @ gap / (np.linalg.norm(beta) + np.linalg.norm(L2))
    law = thresholds.large_start_coefficient(P.X, P.y) * alpha**-8
    assert np.isclose(excess, law, rtol=0.06 * alpha**-4 + 1e-6)  # the next order is α⁻⁴ relative


@pytest.mark.parametrize(
    "call",
    [
        lambda: thresholds.small_start(100.0, 5.0, 100),
        lambda: thresholds.small_start(0.0, 5.0, 100),
        lambda: thresholds.small_start(0.1, -5.0, 100),
        lambda: thresholds.small_start(0.1, 5.0, 0),
        lambda: thresholds.large_start(np.nan, 5.0, 100),
        lambda: thresholds.large_start(200.0, 5.0, 100),
        lambda: thresholds.small_start_exponent([[1.0, 2.0]], [0.0, 0.0]),
        lambda: thresholds.small_start_exponent([[1.0, 2.0]], [1.0]),
        lambda: thresholds.large_start_coefficient([[1.0, 2.0]], [0.0]),
        lambda: thresholds.large_start_coefficient([[1.0, 2.0]], [np.inf]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises((ValueError, TypeError), match="received"):
        call()
