"""Recovery: the slack value against both solvers, its power law, the transition, and the statistics."""

import numpy as np
import pytest
from scipy import stats

from lib import bias, problems
from lib.bias import support
from lib.potentials import NegativeEntropy


def draws(n, d, k, count):
    return [problems.sparse_regression(n, d, k, rng=seed) for seed in range(count)]


def test_the_slack_value_decides_what_basis_pursuit_finds():
    found, values = [], []
    for problem in draws(12, 40, 3, 40):
        values.append(support.slack(problem.X, problem.beta_star))
        beta = bias.basis_pursuit(problem.X, problem.y).raise_if_failed().beta
        found.append(problem.squared_distance(beta) < 1e-12)
    assert (np.array(found) == (np.array(values) < 1)).all()
    assert 5 < np.sum(found) < 35


@pytest.mark.parametrize(("nonnegative", "n"), [(False, 20), (True, 14)])
def test_the_slack_value_is_the_power_of_alpha(nonnegative, n):
    log_alpha = np.log([1e-7, 1e-8])
    powers, predicted = [], []
    for problem in draws(n, 40, 3, 12):
        if nonnegative:
            betas = [bias.minimise(NegativeEntropy(a), problem.X, problem.y).beta for a in log_alpha]
        else:
            betas = bias.minimise_many(np.tile(log_alpha[:, None], (1, 40)), problem.X, problem.y).beta
        powers.append(np.log10(problem.squared_distance(betas) ** 0.5) @ [1.0, -1.0])
        predicted.append(2 - 2 * support.slack(problem.X, problem.beta_star, nonnegative=nonnegative))
    # next order: powers of α from the second largest |x_jᵀp|, and rounding where the distance is near 1e-13
    kept = np.array(predicted) < 1.4
    assert kept.sum() >= 6
    np.testing.assert_allclose(np.array(powers)[kept], np.array(predicted)[kept], atol=0.05)
    assert np.ptp(predicted) > 0.3


def test_the_slack_value_in_the_corners():
    X = np.random.default_rng(0).standard_normal((4, 6))
    assert support.slack(X[:, :3], [1.0, 1.0, -1.0]) == -np.inf  # nothing off the support
    assert support.slack(X, np.ones(6)) == np.inf  # more nonzeros than equations
    assert support.slack(np.hstack([X[:, :1], X]), [1.0, 1.0, 0, 0, 0, 0, 0]) == np.inf  # a column twice
    both, one = (support.slack(X, [1.0, 0, 0, 0, 0, 0], nonnegative=flag) for flag in (False, True))
    assert one < both


def test_the_statistical_dimension_is_the_expected_distance_to_the_cone():
    """δ = min E dist²(g, τ·subdifferential): the expectation by simulation, on a grid of τ."""
    d, k, g = 60, 6, np.random.default_rng(0).standard_normal((20_000, 60))
    for nonnegative in (False, True):
        size = g if nonnegative else np.abs(g)
        expected = min(
            ((g[:, :k] - tau) ** 2).sum(1).mean() + (np.maximum(size[:, k:] - tau, 0) ** 2).sum(1).mean()
            for tau in np.linspace(0, 3, 61)
        )
        np.testing.assert_allclose(
            support.statistical_dimension(d, k, nonnegative=nonnegative), expected, rtol=2e-2
        )
    assert support.statistical_dimension(10, 10) == pytest.approx(10)


def test_distances_do_not_depend_on_how_many_follow():
    few = support.distances(15, 30, 2, np.log([0.1, 1e-4]), draws=2, rng=3)
    many = support.distances(15, 30, 2, np.log([0.1, 1e-4]), draws=4, rng=3)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:2])
    assert (few[1][:, 0] > few[1][:, 1]).all()
    pursuit, none = support.distances(15, 30, 2, [], draws=2, rng=3)
    np.testing.assert_array_equal(pursuit, few[0])
    assert none.shape == (2, 0)


def test_the_interval_has_its_coverage():
    n, level = 17, 0.9
    low, high = support.proportion_interval(np.arange(n + 1), n, level=level)
    for p in np.linspace(0.01, 0.99, 50):
        chance = stats.binom(n, p).pmf(np.arange(n + 1))
        assert chance[(low <= p) & (p <= high)].sum() >= level
    # and is no wider than it must be: at its own ends a tail has (1 − level)/2 exactly
    np.testing.assert_allclose(stats.binom(n, low[5]).sf(4), 0.05)
    np.testing.assert_allclose(stats.binom(n, high[5]).cdf(5), 0.05)


def test_the_crossing_and_its_error_are_right_on_average():
    rng, x = np.random.default_rng(1), np.arange(0, 20, 2.0)
    chance = 1 / (1 + np.exp(-(x - 9.3) / 1.5))
    fits = np.array([support.half_way(x, rng.binomial(30, chance), 30) for _ in range(200)])
    assert abs(fits[:, 0].mean() - 9.3) < 4 * fits[:, 0].std() / 200**0.5
    assert fits[:, 1].mean() == pytest.approx(fits[:, 0].std(), rel=0.2)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: support.slack([[1.0, 2.0]], [0.0, 0.0]), "entry other than 0"),
        (lambda: support.slack([[1.0, 2.0]], [-1.0, 0.0], nonnegative=True), "none below 0"),
        (lambda: support.slack([[1.0, np.nan]], [1.0, 0.0]), "finite"),
        (lambda: support.statistical_dimension(10, 11), "sparsity"),
        (lambda: support.proportion_interval(5, 4), "Count again"),
        (lambda: support.half_way([1, 2, 3], [0, 0, 0], 5), "both sides"),
        (lambda: support.distances(5, 10, 0, [0.0], draws=1), "sparsity"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert str(caught.value).endswith(".")
