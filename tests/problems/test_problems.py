"""Data sets: the sources' recipe, a reader's own arrays, and what is refused."""

import numpy as np
import pytest

from lib import problems


def test_the_reference_problem_has_the_measured_constants():
    # Printed digits of the recipe n = 40, d = 100, sparsity 5, seed 1.
    problem = problems.sparse_regression(40, 100, 5, rng=1)
    assert np.linalg.eigvalsh(problem.X.T @ problem.X / 40)[-1] == pytest.approx(5.728, abs=5e-4)
    assert problem.D.min() == pytest.approx(0.41, abs=5e-3)
    assert problem.D.max() == pytest.approx(1.58, abs=5e-3)
    assert np.linalg.norm(np.linalg.pinv(problem.X) @ problem.y) == pytest.approx(1.58632, abs=5e-6)


def test_planted_predictor_fits_exactly():
    problem = problems.sparse_regression(7, 12, 3, rng=0, design="signs")
    assert problem.loss(problem.beta_star) == 0
    assert problem.squared_distance(np.zeros((4, 12))).tolist() == [3.0] * 4
    assert set(np.unique(problem.X)) == {-1.0, 1.0}
    assert problem.D.tolist() == [1.0] * 12


def test_loss_is_a_quarter_of_the_mean_square():
    problem = problems.from_arrays([[1.0, 0.0], [0.0, 2.0]], [2.0, 2.0])
    assert problem.loss([0.0, 0.0]) == 1.0
    assert problem.loss(np.zeros((3, 2))).shape == (3,)


class Frame:
    """What NumPy sees of a data frame."""

    def __init__(self, rows):
        self.rows = rows

    def __array__(self, dtype=None, copy=None):
        return np.array(self.rows, dtype=dtype)


def test_lists_frames_and_columns_are_welcome():
    problem = problems.from_arrays(Frame([[1, 3], [2, 4]]), Frame([[1], [2]]))
    assert problem.X.dtype == np.float64
    assert problem.y.shape == (2,)
    assert problem.beta_star is None


@pytest.mark.parametrize(
    ("X", "y", "error", "sentence"),
    [
        ([[1.0, np.nan]], [1.0], ValueError, r"X must be finite.*index \(0, 1\)"),
        ([[1.0]], [np.inf], ValueError, "y must be finite"),
        (np.zeros((0, 3)), [], ValueError, "at least one row"),
        (np.zeros((3, 0)), [1, 2, 3], ValueError, "at least one row and one column"),
        ([[1.0], [2.0]], [1.0], ValueError, "received 1 for 2 rows"),
        ([1.0, 2.0], [1.0], ValueError, r"received shape \(2,\)"),
        ([["a"]], [1.0], TypeError, "array of numbers"),
    ],
)
def test_bad_data_is_refused_with_a_sentence(X, y, error, sentence):
    with pytest.raises(error, match=sentence):
        problems.from_arrays(X, y)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((0, 3, 1), ValueError, "n must be at least 1; received 0"),
        ((3, 3, 4), ValueError, "sparsity must be between 0 and 3; received 4"),
        ((3.0, 3, 1), TypeError, "n must be a whole number"),
    ],
)
def test_bad_sizes_are_refused_with_a_sentence(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        problems.sparse_regression(*arguments)


def test_other_refusals():
    with pytest.raises(ValueError, match="design must be one of"):
        problems.sparse_regression(3, 3, 1, design="cauchy")
    with pytest.raises(TypeError, match="rng must be a seed"):
        problems.sparse_regression(3, 3, 1, rng="today")
    with pytest.raises(ValueError, match="no planted predictor"):
        problems.from_arrays([[1.0]], [1.0]).squared_distance([1.0])
    with pytest.raises(ValueError, match="one entry for each of the 1 columns"):
        problems.Problem([[1.0]], [1.0], [1.0, 2.0])


# --- Fourier features -----------------------------------------------------------------------------


def polynomial(x, beta, decay):
    """The function, written term by term."""
    total = 0.0 * x
    for k, b in enumerate(beta):
        i, wave = k // 2 + 1, np.sin if k % 2 else np.cos
        total = total + b * wave(2 * np.pi * i * x) / i**decay
    return total


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_fourier_features_are_those_of_the_slides(decay):
    beta = np.random.default_rng(1).standard_normal(8)
    problem = problems.fourier_features(5, 8, coefficients=beta, decay=decay, rng=2)
    assert isinstance(problem, problems.Problem)
    assert problem.points.shape == (5,)
    assert ((problem.points >= 0) & (problem.points < 1)).all()
    np.testing.assert_allclose(problem.y, polynomial(problem.points, beta, decay), atol=1e-13)
    np.testing.assert_array_equal(problem.X, problem.features(problem.points))
    assert problem.features(np.zeros((2, 3))).shape == (2, 3, 8)
    assert problem.features(0.3).shape == (8,)


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.7])
def test_test_error_is_the_mean_square_on_a_grid(decay):
    rng = np.random.default_rng(3)
    truth, guesses = rng.standard_normal(12), rng.standard_normal((4, 12))
    problem = problems.fourier_features(5, 12, coefficients=truth, decay=decay, rng=rng)
    grid = np.arange(40) / 40  # more than 12 equal steps of a period: the mean is the integral
    target = polynomial(grid, truth, decay)
    missed = [((polynomial(grid, b, decay) - target) ** 2).mean() for b in guesses]
    np.testing.assert_allclose(problem.test_error(guesses), missed / (target**2).mean(), rtol=1e-12)
    assert problem.test_error(truth) == 0
    assert problem.test_error(np.zeros(12)) == 1


def test_fourier_points_are_uniform_and_seeded():
    one, two = (problems.fourier_features(2000, 2, coefficients=[1, 0], rng=5).points for _ in range(2))
    np.testing.assert_array_equal(one, two)
    # mean ± 1/√(12·2000) = 0.0065, four of them
    assert abs(one.mean() - 0.5) < 0.026


@pytest.mark.parametrize(
    ("sizes", "change", "error", "sentence"),
    [
        ((0, 4), {}, ValueError, "n must be at least 1; received 0"),
        ((3, 5), {}, ValueError, "d must be even.*received 5. Take 6"),
        ((3, 4.0), {}, TypeError, "d must be a whole number"),
        ((3, 4), {"decay": -1.0}, ValueError, "decay must be finite and at least 0; received -1"),
        ((3, 4), {"coefficients": [1, 2]}, ValueError, "coefficients must have one entry.*received 2"),
        ((3, 4), {"coefficients": np.zeros(4)}, ValueError, "coefficients must not all be 0"),
        ((3, 4), {"coefficients": [1, np.nan, 0, 0]}, ValueError, "coefficients must be finite"),
    ],
)
def test_bad_fourier_input_gets_a_sentence(sizes, change, error, sentence):
    with pytest.raises(error, match=sentence):
        problems.fourier_features(*sizes, **({"coefficients": np.ones(4)} | change))
