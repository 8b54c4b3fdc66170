"""Step sizes of the stochastic flow: the formulas by hand, the interval against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from lib.diffusions import step_sizes
from lib.problems import sparse_regression

PROBLEM = sparse_regression(40, 100, 5, rng=1)
LOG = np.log(0.1)


def test_the_theorems_step_by_hand():
    # ‖β₁‖₁ = 5: here the least-ℓ₁ interpolator is the planted one
    largest = np.linalg.eigvalsh(PROBLEM.X.T @ PROBLEM.X / 40)[-1]
    for p in (0.5, 0.1):
        by_hand = 1 / (np.log(4 / p) * largest * 5 * np.log(5 / 0.01))
        ours = step_sizes.theorem_scale(PROBLEM.X, PROBLEM.y, log_alpha=LOG, failure=p)
        assert ours == pytest.approx(by_hand, rel=1e-9)


def test_a_large_start_counts_by_its_norm():
    largest = np.linalg.eigvalsh(PROBLEM.X.T @ PROBLEM.X / 40)[-1]
    ours = step_sizes.theorem_scale(PROBLEM.X, PROBLEM.y, log_alpha=np.log(3.0), failure=0.5)
    assert ours == pytest.approx(1 / (np.log(8) * largest * 900), rel=1e-9)


def test_the_smallest_alpha_counts():
    log_alpha = np.full(100, LOG)
    log_alpha[7] = np.log(0.01)
    ours = step_sizes.theorem_scale(PROBLEM.X, PROBLEM.y, log_alpha=log_alpha, failure=0.5)
    theirs = step_sizes.theorem_scale(PROBLEM.X, PROBLEM.y, log_alpha=np.log(0.01), failure=0.5)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_the_energy_scale_by_hand():
    by_hand = 1 / (PROBLEM.D * np.sqrt(PROBLEM.beta_star**2 + 4 * 0.1**4)).sum()
    ours = step_sizes.energy_scale(PROBLEM.X, PROBLEM.beta_star, log_alpha=LOG)
    assert ours == pytest.approx(by_hand, rel=1e-12)
    tiny = step_sizes.energy_scale(PROBLEM.X, PROBLEM.beta_star, log_alpha=-400.0)
    assert tiny == pytest.approx(1 / PROBLEM.D[:5].sum(), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.data())
def test_the_interval_is_the_inverted_binomial_test(runs, data):
    failures = data.draw(st.integers(0, runs))
    low, high = step_sizes.failure_interval(failures, runs)
    if failures:
        assert binom.sf(failures - 1, runs, low) == pytest.approx(0.025, rel=1e-6)
    else:
        assert low == 0
    if failures < runs:
        assert binom.cdf(failures, runs, high) == pytest.approx(0.025, rel=1e-6)
    else:
        assert high == 1


@pytest.mark.parametrize("failure", [0.0, -0.1, 0.6])
def test_a_probability_out_of_range_is_refused(failure):
    with pytest.raises(ValueError, match="above 0 and at most"):
        step_sizes.theorem_scale(PROBLEM.X, PROBLEM.y, log_alpha=LOG, failure=failure)


def test_what_has_no_scale_is_refused():
    with pytest.raises(ValueError, match="must not be zero"):
        step_sizes.theorem_scale(PROBLEM.X, np.zeros(40), log_alpha=LOG, failure=0.1)
    with pytest.raises(RuntimeError):
        step_sizes.theorem_scale([[1.0], [1.0]], [1.0, 2.0], log_alpha=LOG, failure=0.1)


def test_counts_out_of_range_are_refused():
    with pytest.raises(ValueError, match="failures"):
        step_sizes.failure_interval(5, 4)
    with pytest.raises(TypeError, match="runs"):
        step_sizes.failure_interval(1, 4.5)


@pytest.mark.parametrize("runs", [6, 9, 32, 63, 64, 200])
def test_the_interval_of_the_median_is_the_sign_test(runs):
    """A median below the low end would leave at most k − 1 runs below it: the most that 2.5 % allow."""
    low, high = step_sizes.median_interval(np.random.default_rng(0).permutation(runs) + 1.0)
    assert low + high == runs + 1
    assert binom.cdf(low - 1, runs, 0.5) <= 0.025 < binom.cdf(low, runs, 0.5)


def test_the_interval_of_the_median_covers_it():
    drawn = np.random.default_rng(1).exponential(size=(2000, 25))
    ends = np.array([step_sizes.median_interval(row) for row in drawn])
    share = ((ends[:, 0] <= np.log(2)) & (np.log(2) <= ends[:, 1])).mean()
    assert 0.945 < share < 0.975  # by ranks 0.957, ± 0.005


def test_too_few_runs_for_a_median_are_refused():
    with pytest.raises(ValueError, match="at least 6"):
        step_sizes.median_interval(np.arange(5.0))
    with pytest.raises(ValueError, match="finite"):
        step_sizes.median_interval([np.nan] * 8)
