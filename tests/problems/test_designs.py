"""The named designs: moments, dependence, and that the two first ones are what they were."""

import numpy as np
import pytest

from lib.problems import sparse_regression
from lib.problems.designs import CORRELATION, DESIGNS, sample_design

ROWS = 40_000


@pytest.mark.parametrize("design", sorted(set(DESIGNS) - {"scaled", "student"}))
def test_mean_square_is_one(design):
    X = sample_design(design, ROWS, 3, rng=0)
    error = (X**2).std() / ROWS**0.5
    assert np.abs((X**2).mean(0) - 1).max() <= 5 * error


def test_student_has_the_quartile_of_three_degrees():
    # The variance of a sample of t₃ converges too slowly to be a test; its quartile is 0.7649 before scaling.
    X = sample_design("student", ROWS, 3, rng=0)
    assert np.quantile(np.abs(X), 0.5) * np.sqrt(3) == pytest.approx(0.7649, abs=0.01)


def test_neighbouring_columns_are_correlated_and_distant_ones_less():
    X = sample_design("correlated", ROWS, 6, rng=0)
    expected = CORRELATION ** np.abs(np.subtract.outer(range(6), range(6)))
    assert np.abs(X.T @ X / ROWS - expected).max() <= 5 * np.sqrt(2 / ROWS)


def test_uniform_is_positive_and_has_the_mean_it_should():
    X = sample_design("uniform", ROWS, 3, rng=0)
    assert X.min() >= 0
    assert X.max() <= 3**0.5
    assert np.abs(X.mean(0) - 3**0.5 / 2).max() <= 5 * 0.5 / ROWS**0.5


def test_scaled_columns_span_two_decades_of_mean_square():
    X = sample_design("scaled", 400, 500, rng=0)
    exponents = np.log10((X**2).mean(0)) / 2
    assert np.abs(exponents).max() <= 0.5 + 0.05
    assert exponents.std() == pytest.approx(1 / 12**0.5, abs=0.03)


def test_gaussian_and_signs_are_the_numbers_they_always_were():
    assert np.array_equal(
        sample_design("gaussian", 4, 3, rng=7), np.random.default_rng(7).standard_normal((4, 3))
    )
    expected = np.random.default_rng(7).choice([-1.0, 1.0], size=(4, 3))
    assert np.array_equal(sample_design("signs", 4, 3, rng=7), expected)


@pytest.mark.parametrize("design", sorted(DESIGNS))
def test_problems_use_the_design_and_the_seed(design):
    problem = sparse_regression(5, 8, 2, rng=3, design=design)
    assert np.array_equal(problem.X, sample_design(design, 5, 8, rng=3))
    assert not np.array_equal(problem.X, sample_design(design, 5, 8, rng=4))


def test_refusals():
    with pytest.raises(ValueError, match=r"design must be one of .*; received 'cauchy'"):
        sample_design("cauchy", 3, 3)
    with pytest.raises(ValueError, match="n must be at least 1; received 0"):
        sample_design("gaussian", 0, 3)
    with pytest.raises(TypeError, match="d must be a whole number"):
        sample_design("gaussian", 3, 2.5)
