"""The derivative of the limit in γ: against finite differences, against runs, and in cases known by hand."""

import numpy as np
import pytest

from lib import bias, descent, diffusions, problems
from lib.batches import batch_factor
from lib.diffusions.first_order import first_order
from lib.potentials import HyperbolicEntropy

LOG_ALPHA = np.log(0.1)


@pytest.fixture(scope="module")
def problem():
    return problems.sparse_regression(20, 40, 3, rng=1)


@pytest.fixture(scope="module")
def found(problem):
    return first_order(problem.X, problem.y, log_alpha=LOG_ALPHA).raise_if_failed()


def limit(problem, log_alpha):
    return bias.minimise(HyperbolicEntropy(log_alpha), problem.X, problem.y).raise_if_failed().beta


def difference(problem, exponent, step=1e-5):
    """Central difference of the solver's limit when log α moves by −γe."""
    ends = [limit(problem, LOG_ALPHA - sign * step * exponent) for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * step)


def test_sgd_and_flow_are_the_derivative_of_the_solver(problem, found):
    sampled = found.squares @ problem.X**2 / (2 * problem.n)
    mean = 2 * problem.D * found.squares.sum() / (4 * problem.n)
    for derivative, exponent in ((found.sgd, sampled), (found.flow, mean)):
        miss = np.linalg.norm(difference(problem, exponent) - derivative) / np.linalg.norm(derivative)
        assert miss < 1e-6  # central difference at 1e-5, limits to 1e-12


def test_energy_identity_sees_the_quadrature(found):
    assert found.energy_gap < 1e-6


def test_limits_do_not_leave_the_solutions(problem, found):
    for derivative in (found.sgd, found.flow, found.descent):
        assert np.abs(problem.X @ derivative).max() < 1e-10 * np.abs(derivative).max()


def richardson(problem, found, run, gamma):
    """Mean derivative of the limit along the predicted direction from γ and γ/2, and its standard error."""
    means, errors = [], []
    for step in (gamma, gamma / 2):
        ends = bias.limit(run(step), problem.X, problem.y).raise_if_failed().beta
        along = (ends - found.beta) @ found.sgd / step
        means.append(along.mean())
        errors.append(along.std(ddof=1) / len(along) ** 0.5 if len(along) > 1 else 0.0)
    return 2 * means[1] - means[0], np.hypot(2 * errors[1], errors[0])


@pytest.mark.parametrize(("batch_size", "replacement"), [(1, True), (5, True), (5, False)])
def test_sgd_itself_moves_as_predicted(problem, found, batch_size, replacement):
    def run(gamma):
        return descent.stochastic_gradient_descent(
            problem.X,
            problem.y,
            log_alpha=LOG_ALPHA,
            step_size=gamma,
            steps=round(60 / gamma),
            batch_size=batch_size,
            replacement=replacement,
            replicas=128,
            rng=5,
            record=2,
        )

    measured, error = richardson(problem, found, run, 0.02)
    predicted = found.batches(batch_size, replacement=replacement) @ found.sgd
    assert abs(measured - predicted) <= 4 * error
    wrong = batch_factor(problem.n, batch_size, replacement=replacement) * found.flow @ found.sgd
    assert abs(measured - wrong) > 4 * error  # the theorem's covariance is told apart


def test_gradient_descent_itself_moves_as_predicted(problem, found):
    def run(gamma):
        return descent.gradient_descent(
            problem.X, problem.y, log_alpha=LOG_ALPHA, step_size=gamma, steps=round(100 / gamma), record=2
        )

    measured, _ = richardson(problem, found, run, 0.005)
    assert measured == pytest.approx(found.descent @ found.sgd, rel=2e-2)  # what is left is O(γ²)


def test_the_stochastic_flow_moves_as_predicted(problem, found):
    def run(gamma):
        return diffusions.stochastic_gradient_flow(
            problem.X,
            problem.y,
            log_alpha=LOG_ALPHA,
            step_size=gamma,
            dt=0.02,
            horizon=60.0,
            replicas=128,
            rng=6,
            record=2,
        )

    measured, error = richardson(problem, found, run, 0.02)
    assert abs(measured - found.flow @ found.sgd) <= 4 * error


def test_the_flow_with_the_exact_covariance_moves_like_sgd(problem, found):
    def run(gamma):
        return diffusions.stochastic_gradient_flow(
            problem.X,
            problem.y,
            log_alpha=LOG_ALPHA,
            step_size=gamma,
            dt=0.01,
            horizon=60.0,
            covariance="exact",
            replicas=64,
            rng=7,
            record=2,
        )

    measured, error = richardson(problem, found, run, 0.02)
    assert abs(measured - found.sgd @ found.sgd) <= 4 * error
    assert abs(measured - found.flow @ found.sgd) > 4 * error


def test_on_signs_sgd_and_the_flow_agree():
    problem = problems.sparse_regression(12, 24, 2, rng=0, design="signs")
    found = first_order(problem.X, problem.y, log_alpha=LOG_ALPHA)
    assert np.linalg.norm(found.sgd - found.flow) < 1e-6 * np.linalg.norm(found.flow)


def test_one_sample_has_no_noise_of_sampling():
    found = first_order([[1.0, 2.0, -1.0]], [1.0], log_alpha=LOG_ALPHA)
    assert np.allclose(found.sgd, found.descent, rtol=1e-10)
    assert np.allclose(found.batches(1), found.descent, rtol=1e-10)


def test_a_vector_of_starts_is_one_number_repeated(problem, found):
    repeated = first_order(problem.X, problem.y, log_alpha=np.full(problem.d, LOG_ALPHA))
    assert np.array_equal(repeated.sgd, found.sgd)


def test_dependent_rows_change_nothing(problem, found):
    X, y = np.vstack([problem.X, problem.X]), np.concatenate([problem.y, problem.y])
    twice = first_order(X, y, log_alpha=LOG_ALPHA).raise_if_failed()
    assert np.linalg.norm(twice.sgd - found.sgd) < 1e-5 * np.linalg.norm(found.sgd)


def test_zero_targets_stay_where_they_are(problem):
    found = first_order(problem.X, np.zeros(problem.n), log_alpha=LOG_ALPHA)
    assert not found.sgd.any()
    assert found.status == 0


def test_distance_slopes_are_those_of_the_distance(problem, found):
    slopes = found.distance_slopes(problem.beta_star)
    assert list(slopes) == ["SGD", "gradient descent", "stochastic flow"]
    step = 1e-7
    for derivative, slope in zip((found.sgd, found.descent, found.flow), slopes.values(), strict=True):
        ends = [problem.squared_distance(found.beta + sign * step * derivative) for sign in (1, -1)]
        assert np.log(ends[0] / ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_failure_is_data_and_bad_input_a_sentence(problem, found):
    failed = first_order([[1.0, 0.0], [1.0, 0.0]], [1.0, 2.0], log_alpha=LOG_ALPHA)
    assert failed.status == 2
    assert np.isnan(failed.sgd).all()
    with pytest.raises(ValueError, match=r"log_alpha must be at least log\(1e-8\)"):
        first_order(problem.X, problem.y, log_alpha=-50.0)
    with pytest.raises(ValueError, match="target must differ from beta"):
        found.distance_slopes(found.beta)
    with pytest.raises(ValueError, match="target must have one entry"):
        found.distance_slopes([1.0])
    with pytest.raises(ValueError, match="batch_size must be between 1 and 20"):
        found.batches(21)
