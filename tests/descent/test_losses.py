"""Losses: slopes against differences of values, curvatures against the largest second difference."""

import numpy as np
import pytest

from lib.descent import losses
from lib.descent.losses import CAUCHY, LOG_COSH, SQUARED, Loss, rastrigin

R = np.linspace(-6, 6, 4001)
ALL = pytest.mark.parametrize(
    "loss", [SQUARED, LOG_COSH, CAUCHY, rastrigin(0.7), rastrigin(2.0, 3.0)], ids=repr
)


@ALL
def test_the_slope_is_the_derivative_of_the_value(loss):
    h = 1e-5
    difference = (loss.value(R + h) - loss.value(R - h)) / (2 * h)
    # h²·|ℓ‴|/6 < 1e-8 (third derivative of rastrigin(0.7): 174), rounding 1e-16·20/h
    np.testing.assert_allclose(loss.slope(R), difference, atol=1e-8)


@ALL
def test_the_curvature_is_the_largest_second_derivative(loss):
    h = 1e-5
    second = (loss.slope(R + h) - loss.slope(R - h)) / (2 * h)
    assert second.max() == pytest.approx(loss.curvature, rel=1e-4)


@ALL
def test_zero_is_the_only_root_of_the_value(loss):
    assert loss.value(0.0) == pytest.approx(0, abs=1e-16)
    assert (loss.value(R[np.abs(R) > 1e-9]) > 0).all()


@pytest.mark.parametrize(("loss", "roots"), [(SQUARED, 1), (LOG_COSH, 1), (CAUCHY, 1), (rastrigin(0.5), 9)])
def test_how_often_the_slope_changes_sign(loss, roots):
    slope = loss.slope(np.linspace(-6, 6, 4000))  # 0 is between two points
    changes = np.count_nonzero(np.diff(np.sign(slope)))
    assert changes == 1 if roots == 1 else changes >= roots


def test_only_cauchy_and_rastrigin_are_not_convex():
    def convex(loss):
        return bool((np.diff(loss.slope(R)) > 0).all())

    assert [convex(loss) for loss in (SQUARED, LOG_COSH, CAUCHY, rastrigin(0.5))] == [
        True,
        True,
        False,
        False,
    ]


def test_dips_begin_where_the_docstring_says():
    # slope(r) = 0 away from 0 needs −sin(2πr)/r = 1/(2πh); the left side is at most 0.217·2π
    fine = np.linspace(1e-3, 1, 100_001)

    def touches(height):
        return bool((rastrigin(height).slope(fine) < 0).any())

    assert [touches(height) for height in (0.10, 0.12)] == [False, True]


def test_log_cosh_and_cauchy_far_away():
    np.testing.assert_allclose(LOG_COSH.value(np.array([1e4, -1e4])), 1e4 - np.log(2), rtol=1e-14)
    assert LOG_COSH.slope(-1e4) == -1
    assert CAUCHY.slope(1e8) == pytest.approx(1e-8)


def test_bad_losses_are_refused_with_a_sentence():
    with pytest.raises(TypeError, match="slope must be a function of the residual; received 3"):
        Loss(np.square, 3, 1.0)
    with pytest.raises(ValueError, match="curvature must be finite and greater than 0; received inf"):
        Loss(lambda r: r**4, lambda r: 4 * r**3, np.inf)
    with pytest.raises(ValueError, match="height must be finite and greater than 0"):
        rastrigin(0.0)
    with pytest.raises(TypeError, match="loss must be a Loss; received 'squared'"):
        losses.as_loss("squared")
