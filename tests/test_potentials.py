"""Properties of the geometries: inverse maps, convexity, Fenchel–Young, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm, level_radius

LOG_ALPHAS = st.floats(np.log(1e-300), np.log(1e6))
BETAS = arrays(np.float64, 4, elements=st.floats(-1e3, 1e3).filter(lambda b: b == 0 or abs(b) > 1e-6))
MODERATE = st.floats(-3.0, 3.0)  # log α where φ itself is a number of ordinary size


def geometries(log_alpha):
    return [HyperbolicEntropy(log_alpha), NegativeEntropy(log_alpha), SquaredNorm()]


def inside(potential, beta):
    return np.abs(beta) + 1e-3 if isinstance(potential, NegativeEntropy) else beta


@given(LOG_ALPHAS, BETAS)
@settings(max_examples=200, deadline=None)
def test_inverse_mirror_undoes_mirror(log_alpha, beta):
    # |4z| reaches 1400 at α = 1e-300, so exp(4z) carries up to 1400 roundings: 1e-12 relative.
    for potential in geometries(log_alpha):
        point = inside(potential, beta)
        assert potential.inverse_mirror(potential.mirror(point)) == pytest.approx(
            point, rel=1e-12, abs=1e-300
        )


@given(MODERATE, BETAS)
@settings(max_examples=100, deadline=None)
def test_fenchel_young_is_an_equality_at_the_mirror_point(log_alpha, beta):
    for potential in geometries(log_alpha):
        point = inside(potential, beta)
        z = potential.mirror(point)
        value, conjugate, pairing = potential.value(point), potential.conjugate(z), (point * z).sum()
        assert value + conjugate == pytest.approx(
            pairing, abs=1e-11 * (abs(value) + abs(conjugate) + abs(pairing))
        )


@given(MODERATE, BETAS, BETAS)
@settings(max_examples=100, deadline=None)
def test_fenchel_young_is_an_inequality_elsewhere(log_alpha, beta, other):
    for potential in geometries(log_alpha):
        point, z = inside(potential, beta), potential.mirror(inside(potential, other))
        bound = potential.value(point) + potential.conjugate(z)
        assert bound >= (point * z).sum() - 1e-9 * (1 + abs(bound))


@given(MODERATE, BETAS, BETAS, st.floats(0.05, 0.95))
@settings(max_examples=100, deadline=None)
def test_convex_along_segments(log_alpha, beta, other, weight):
    for potential in geometries(log_alpha):
        a, b = inside(potential, beta), inside(potential, other)
        chord = weight * potential.value(a) + (1 - weight) * potential.value(b)
        assert potential.value(weight * a + (1 - weight) * b) <= chord + 1e-9 * (1 + abs(chord))


@given(MODERATE, BETAS)
@settings(max_examples=100, deadline=None)
def test_mirror_is_the_gradient_of_value(log_alpha, beta):
    # Central difference with step 1e-5·(1+|β|): the curvature is at most 1/α², error below 1e-4 of the scale.
    for potential in geometries(log_alpha):
        point = inside(potential, beta) + 1.0 if isinstance(potential, NegativeEntropy) else beta
        step = 1e-5 * (1 + np.abs(point))
        for j in range(4):
            shift = np.eye(4)[j] * step[j]
            slope = (potential.value(point + shift) - potential.value(point - shift)) / (2 * step[j])
            curvature = (potential.mirror(point + shift) - potential.mirror(point - shift))[j]
            scale = abs(potential.value(point)) / step[j] * 1e-15 + abs(curvature)
            assert slope == pytest.approx(potential.mirror(point)[j], abs=1e-8 + 4 * scale)


def test_large_alpha_is_squared_l2_with_weights_one_over_alpha_squared():
    # φ + ½Σα² → ‖β/α‖²/16 (squared: "‖·‖₂" in the sources is loose); next term relative β²/α⁴ = 1e-8.
    beta, alpha = np.array([1.0, -2.0, 0.5]), np.array([100.0, 200.0, 300.0])
    phi = HyperbolicEntropy(np.log(alpha))
    excess = phi.value(beta) + 0.5 * (alpha**2).sum()
    # The subtraction cancels ½Σα² = 7e4 down to 1e-5: ten digits are lost.
    assert excess == pytest.approx((beta**2 / alpha**2).sum() / 16, rel=1e-4)


def test_small_alpha_is_l1():
    # φ/(½ log 1/α) → ‖β‖₁, with a relative error of order 1/log(1/α).
    beta = np.array([1.0, -2.0, 0.0])
    values = [HyperbolicEntropy(-ell).value(beta) / (ell / 2) for ell in (50.0, 500.0)]
    errors = [abs(value - 3.0) for value in values]
    assert errors[1] < 0.02
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.05)


@pytest.mark.parametrize(
    "potential", [HyperbolicEntropy(np.log(0.05)), HyperbolicEntropy(1.0), SquaredNorm()]
)
def test_level_radius_lands_on_the_level(potential):
    directions = np.random.default_rng(1).standard_normal((20, 3))
    level = float(potential.value(np.array([0.3, -0.5, 0.0])))
    points = level_radius(potential, level, directions)[:, None] * directions
    assert potential.value(points) == pytest.approx(level, rel=1e-13)
    with pytest.raises(ValueError, match="level must be above"):
        level_radius(potential, float(potential.value(np.zeros(3))), directions)
    with pytest.raises(ValueError, match="directions must not be 0"):
        level_radius(potential, level, np.zeros((1, 3)))


def test_replicas_are_a_leading_axis():
    beta = np.random.default_rng(0).standard_normal((3, 2, 4))
    for potential in [HyperbolicEntropy(np.array([0.0, -1.0, -2.0, 1.0])), SquaredNorm()]:
        assert potential.value(beta).shape == (3, 2)
        assert potential.mirror(beta)[1, 0] == pytest.approx(potential.mirror(beta[1, 0]), rel=1e-15)


def test_alpha_of_1e_minus_300_is_a_number_like_any_other():
    phi = HyperbolicEntropy(np.log(1e-300))
    z = phi.mirror([1.0, 0.0, -1e-200])
    assert np.isfinite(z).all()
    assert phi.inverse_mirror(z) == pytest.approx([1.0, 0.0, -1e-200], rel=1e-12)


def test_bad_input_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="log_alpha must be finite"):
        HyperbolicEntropy(np.nan)
    with pytest.raises(ValueError, match="one entry for each of the 3 coordinates"):
        HyperbolicEntropy([0.0, 0.0]).value([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no negative entry"):
        NegativeEntropy(0.0).value([-1.0])
    with pytest.raises(ValueError, match="must be positive"):
        NegativeEntropy(0.0).mirror([0.0])
    with pytest.raises(TypeError, match="array of numbers"):
        SquaredNorm().value("three")
    with pytest.raises(ValueError, match="coordinates on its last axis"):
        HyperbolicEntropy(0.0).value(1.0)
