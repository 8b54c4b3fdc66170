"""The noise of one step of SGD: its covariance, its shape and its span, each against brute force."""

import numpy as np
import pytest

from lib import descent
from lib.diffusions import one_step
from lib.problems import sparse_regression

PROBLEM = sparse_regression(12, 30, 3, rng=0)
X, Y = PROBLEM.X, PROBLEM.y
BETA = np.random.default_rng(1).standard_normal((4, 30))


def draws(beta, X=X, y=Y):
    """The n equally likely gradients of one sample, x_i r_i, less their mean."""
    gradients = X * (X @ beta - y)[:, None]
    return gradients - gradients.mean(0)


def covariances(beta, X=X, y=Y):
    xi = draws(beta, X, y)
    model = np.mean((X @ beta - y) ** 2) * X.T @ X / len(X)
    return xi.T @ xi / len(X), model


def test_variances_are_those_of_the_samples():
    sampled, modelled = one_step.variances(X, Y, BETA)
    for k, beta in enumerate(BETA):
        ours, theirs = covariances(beta)
        np.testing.assert_allclose(sampled[k], ours.diagonal(), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(modelled[k], theirs.diagonal(), rtol=1e-12)


def test_the_gap_is_the_frobenius_distance_of_the_matrices():
    expected = []
    for beta in BETA:
        ours, theirs = covariances(beta)
        expected.append(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))
    np.testing.assert_allclose(one_step.covariance_gap(X, Y, BETA), expected, rtol=1e-10)


def test_the_kurtosis_is_that_of_the_samples():
    for k, beta in enumerate(BETA):
        xi = draws(beta)
        expected = (xi**4).mean(0) / (xi**2).mean(0) ** 2 - 3
        np.testing.assert_allclose(one_step.excess_kurtosis(X, Y, BETA)[k], expected, rtol=1e-9, atol=1e-9)


def test_the_kurtosis_does_not_depend_on_units():
    small = one_step.excess_kurtosis(1e-90 * X, 1e-100 * Y, 1e-10 * BETA)
    np.testing.assert_allclose(small, one_step.excess_kurtosis(X, Y, BETA), rtol=1e-8, atol=1e-9)


def test_expected_variances_at_zero():
    # x ~ N(0, I), k ones: E C_jj and E 4LD_j on the support, and off it
    n, k = 20, 3
    found = [
        one_step.variances(p.X, p.y, np.zeros(p.d))
        for p in (sparse_regression(n, 30, k, rng=seed) for seed in range(1500))
    ]
    sampled, modelled = np.swapaxes(found, 0, 1)
    for columns, ours, theirs in (
        (slice(k), (1 - 1 / n) * (k + 1), k + 2 / n),
        (slice(k, None), (1 - 1 / n) * k, k),
    ):
        for values, expected in ((sampled, ours), (modelled, theirs)):
            mean = values[:, columns].mean(1)
            assert abs(mean.mean() - expected) < 4 * mean.std(ddof=1) / len(mean) ** 0.5


def test_steps_of_sgd_stay_in_the_span_and_others_do_not():
    start = {"log_alpha": np.log(0.3), "step_size": 0.02, "replicas": 5, "rng": 2}
    before, after = (descent.stochastic_gradient_descent(X, Y, steps=k, **start) for k in (20, 21))
    weights, new = (np.exp(run.log_alpha_effective - 2 * run.offset) for run in (before, after))
    assert one_step.outside_span(X, new - weights, weights).max() < 1e-11
    other = weights * np.random.default_rng(9).standard_normal(weights.shape)
    assert one_step.outside_span(X, other, weights).min() > 0.1
    assert one_step.outside_span(X, new - weights, weights[:, ::-1]).min() > 0.1


def test_repeated_rows_do_not_widen_the_span():
    doubled = np.vstack([X, X])
    moves = np.random.default_rng(3).standard_normal((3, 30))
    weights = np.exp(np.random.default_rng(4).standard_normal((3, 30)))
    ours, theirs = (one_step.outside_span(rows, moves, weights) for rows in (doubled, X))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_leading_axes_are_kept():
    states = np.zeros((2, 3, 30))
    assert one_step.variances(X, Y, states)[0].shape == (2, 3, 30)
    assert one_step.covariance_gap(X, Y, states).shape == (2, 3)
    assert one_step.excess_kurtosis(X, Y, states).shape == (2, 3, 30)


@pytest.mark.parametrize("function", [one_step.variances, one_step.covariance_gap, one_step.excess_kurtosis])
def test_states_of_another_size_are_refused(function):
    with pytest.raises(ValueError, match="30 entries"):
        function(X, Y, np.zeros(29))


def test_moves_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="Match their shapes"):
        one_step.outside_span(X, np.ones((2, 30)), np.ones((1, 30)))
