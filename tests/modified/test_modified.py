"""Modified equations: the series, the fields for a reader's callable, and the measured orders."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.modified import (
    correction,
    curl,
    inverse_field,
    lie_derivative,
    linear_rate,
    modified_field,
    modified_gradient,
    modified_loss,
    parabola_series,
    polynomial_field,
    truncated,
)
from lib.modified.orders import euler, fit_order, global_errors, local_errors, reference_flow
from lib.records import RunFailed

COUNTS = 2 ** np.arange(3, 9)
STEPS = 1 / COUNTS
CUBIC = polynomial_field([0, 1, 0, -1], 4)  # f = x − x³


def cubic(x):
    return x - x**3


def gradient(x):  # F = x²/2 + xy²/2 + y⁴/4 + y²
    a, b = x[..., 0], x[..., 1]
    return np.stack([a + b**2 / 2, a * b + b**3 + 2 * b], axis=-1)


def loss(x):
    a, b = x[..., 0], x[..., 1]
    return a**2 / 2 + a * b**2 / 2 + b**4 / 4 + b**2


def hessian(x):
    a, b = x[..., 0], x[..., 1]
    return np.stack([np.stack([1 + 0 * a, b], axis=-1), np.stack([b, a + 3 * b**2 + 2], axis=-1)], axis=-2)


def descent(x):
    return -gradient(x)


def descent_jacobian(x):
    return -hessian(x)


START = [0.8, 0.6]


# --- the series -----------------------------------------------------------------------------------


def test_series_of_x_squared_and_of_the_linear_field_are_the_known_rationals():
    leading = [Fraction(s) for s in ("1", "-1", "3/2", "-8/3", "31/6", "-157/15", "649/30")]
    assert polynomial_field([0, 0, 1], 6) == [[0] * (k + 2) + [c] for k, c in enumerate(leading)]
    third = Fraction(1, 3)
    assert polynomial_field([0, third], 5) == [
        [0, Fraction((-1) ** k, k + 1) * third ** (k + 1)] for k in range(6)
    ]


def test_the_far_series_of_x_squared_is_that_of_the_recursion():
    assert parabola_series(8) == [g[-1] for g in polynomial_field([0, 0, 1], 8)]
    assert parabola_series(0) == [1]


def test_series_of_the_cubic_field_is_the_known_one():
    g1, g2, g3 = (
        [Fraction(s) for s in row.split()]
        for row in (
            "0 -1/2 0 2 0 -3/2",
            "0 1/3 0 -17/6 0 6 0 -7/2",
            "0 -1/4 0 7/2 0 -14 0 41/2 0 -39/4",
        )
    )
    assert CUBIC[:4] == [[0, 1, 0, -1], g1, g2, g3]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.fractions(-3, 3, max_denominator=6), min_size=1, max_size=4))
def test_first_two_coefficients_are_those_of_the_closed_formula(f):
    # g₁ = −½ f′f and g₂ = f″f²/12 + f′²f/3, exactly
    def value(p, x):
        return sum(c * x**k for k, c in enumerate(p))

    def prime(p):
        return [k * c for k, c in enumerate(p)][1:] or [Fraction(0)]

    _, g1, g2 = polynomial_field(f, 2)
    for x in (Fraction(1), Fraction(-2), Fraction(1, 3), Fraction(5)):
        a, b, c = value(f, x), value(prime(f), x), value(prime(prime(f)), x)
        assert value(g1, x) == -a * b / 2
        assert value(g2, x) == c * a**2 / 12 + b**2 * a / 3


@settings(deadline=None, max_examples=20)
@given(st.lists(st.fractions(-2, 2, max_denominator=4), min_size=2, max_size=3), st.integers(1, 4))
def test_flow_of_the_series_is_euler_map_power_by_power(f, order):
    # Σ_i hⁱ/i! D_g^{i−1} g has no power of h from 2 to order + 1: the defining property, by another route
    def add(p, q):
        return [sum(pair) for pair in zip(p + [0] * len(q), q + [0] * len(p), strict=True)]

    g = polynomial_field(f, order)
    total = [[Fraction(0)] for _ in range(order + 2)]
    current = dict(enumerate(g))
    for i in range(1, order + 2):
        for power, p in current.items():
            if i + power <= order + 1:
                total[i + power] = add(total[i + power], [c / factorial(i) for c in p])
        following = {}
        for a, ga in enumerate(g):
            for b, u in current.items():
                following[a + b] = add(following.get(a + b, []), lie_derivative(ga, u))
        current = following
    assert all(c == 0 for p in total[2:] for c in p)


def test_truncated_field_is_the_sum_of_its_terms():
    assert truncated(CUBIC[:2], 0.5)(2.0) == pytest.approx(-6 + 0.5 * (-1 + 16 - 48), rel=1e-14)


def test_rates_of_figure_1():
    # λ = 5, h = 0.1: the numbers of the notes' Fig. 1; closed forms, hence 1e-14
    series = polynomial_field([0, 5], 5)
    rates = [truncated(series[: k + 1], 0.1)(1.0) for k in range(6)]
    np.testing.assert_allclose(
        rates, [5, 3.75, 25 / 6, 4.010416666666667, 4.072916666666667, 4.046875], rtol=1e-14
    )
    assert linear_rate(5, 0.1) == pytest.approx(4.054651081081644, rel=1e-14)
    assert euler(lambda x: 5 * x, 1.0, 0.1, 10)[-1] == pytest.approx(57.6650390625, rel=1e-14)


@pytest.mark.parametrize("product", [0.5, -0.3, -0.9])
def test_linear_rate_passes_through_twenty_euler_points(product):
    rate, step = product / 0.25, 0.25
    points = euler(lambda x: rate * x, 1.0, step, 20)
    exact = np.exp(linear_rate(rate, step) * step * np.arange(21))
    np.testing.assert_allclose(points, exact, rtol=1e-13)  # rounding of 20 products


@pytest.mark.parametrize("rate", [-10.0, -15.0, -1e300])
def test_linear_rate_refuses_steps_that_cross_the_rest_point(rate):
    with pytest.raises(ValueError, match=r"greater than −1; received -.*no modified equation exists"):
        linear_rate(rate, 0.1)


# --- measured orders ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_global_error_against_order_k_shrinks_like_h_to_the_k_plus_1(order):
    error = global_errors(cubic, lambda h: truncated(CUBIC[: order + 1], h), 0.3, 1.0, COUNTS)
    fit = fit_order(STEPS, error, order + 1, scale=0.3)
    assert fit.status == 0, fit.message
    assert fit.order == pytest.approx(order + 1, abs=0.05)  # the next term leaves ≤ 0.02 at these steps
    expected = [2.3415e-4, 1.1902e-7, 2.7722e-10, 9.08e-13][order]
    assert abs(error[-1]) == pytest.approx(
        expected, rel=2e-3 if order < 3 else 2e-2
    )  # k = 3 is near rounding


@pytest.mark.parametrize("order", [0, 1, 2])
def test_local_error_shrinks_one_order_faster(order):
    error = local_errors(cubic, lambda h: truncated(CUBIC[: order + 1], h), 0.3, STEPS)
    fit = fit_order(STEPS, error, order + 2, scale=0.3)
    assert fit.status == 0, fit.message
    assert fit.order == pytest.approx(order + 2, abs=0.05)


@pytest.mark.parametrize("coefficient", [0.5, -1.0, -0.25])
def test_wrong_first_coefficient_loses_the_second_order(coefficient):
    wrong = [CUBIC[0], [Fraction(coefficient) / Fraction(-1, 2) * c for c in CUBIC[1]]]
    right = global_errors(cubic, lambda h: truncated(CUBIC[:2], h), 0.3, 1.0, COUNTS)
    error = global_errors(cubic, lambda h: truncated(wrong, h), 0.3, 1.0, COUNTS)
    assert fit_order(STEPS, error, 1).order == pytest.approx(1, abs=0.05)
    assert abs(error[-1]) > 500 * abs(right[-1])  # measured ≥ 980


def test_third_order_term_of_the_local_error_is_a_third_and_a_twelfth():
    # −(f′²f/3 + f″f²/12), where the notes display −f′²f/4; the next term is O(h)
    x, h = 0.3, 1e-3
    f, f1, f2 = x - x**3, 1 - 3 * x**2, -6 * x
    measured = local_errors(cubic, lambda s: truncated(CUBIC[:2], s), x, [h])[0] / h**3
    assert measured == pytest.approx(-(f1**2 * f / 3 + f2 * f**2 / 12), rel=2e-3)
    assert measured != pytest.approx(-(f1**2) * f / 4, rel=1e-2)


@pytest.mark.parametrize(("order", "expected"), [(0, 8.924e-4), (1, 5.655e-6), (2, 5.086e-8)])
def test_gradient_descent_in_the_plane_follows_the_modified_field(order, expected):
    def family(h):
        return modified_field(descent, descent_jacobian, h, order=order)

    error = global_errors(descent, family, START, 1.0, COUNTS)
    fit = fit_order(STEPS, error, order + 1)
    assert fit.status == 0, fit.message
    assert fit.order == pytest.approx(order + 1, abs=0.05)
    assert fit.errors[-1] == pytest.approx(expected, rel=1e-3)  # four printed digits


@pytest.mark.parametrize(("coefficient", "ratio"), [(0.5, 100), (-0.25, 100)])
def test_another_coefficient_than_a_quarter_stays_at_first_order(coefficient, ratio):
    def family(h, c=0.25):
        return lambda x: -modified_gradient(gradient, hessian, h, coefficient=c)(x)

    right = global_errors(descent, family, START, 1.0, COUNTS)
    wrong = global_errors(descent, lambda h: family(h, coefficient), START, 1.0, COUNTS)
    assert fit_order(STEPS, right, 2).order == pytest.approx(2, abs=0.05)
    assert fit_order(STEPS, wrong, 1).order <= 1.05
    assert np.linalg.norm(wrong[-1]) > ratio * np.linalg.norm(right[-1])


def test_implicit_euler_flips_the_odd_terms():
    def family(h, order=1):
        return modified_field(descent, descent_jacobian, h, order=order, implicit=True)

    for order in (1, 2):
        error = global_errors(
            descent, lambda h, k=order: family(h, k), START, 1.0, COUNTS, jacobian=descent_jacobian
        )
        assert fit_order(STEPS, error, order + 1).status == 0
    x, h = np.array(START), 0.1
    g1, g2 = (correction(descent, descent_jacobian, k)(x) for k in (1, 2))
    np.testing.assert_allclose(family(h, 2)(x), descent(x) - h * g1 + h**2 * g2, rtol=1e-13)


def test_two_modified_equations_of_the_same_order():
    def family(h):
        return inverse_field(descent, descent_jacobian, h)

    assert fit_order(STEPS, global_errors(descent, family, START, 1.0, COUNTS), 2).status == 0
    gap = [
        np.linalg.norm(
            family(h)(np.array(START)) - modified_field(descent, descent_jacobian, h)(np.array(START))
        )
        for h in STEPS
    ]
    assert fit_order(STEPS, gap, 2).status == 0  # different fields, and the difference is O(h²)


# --- a reader's callable --------------------------------------------------------------------------


def test_first_order_field_of_descent_is_minus_the_gradient_of_the_modified_loss():
    x = np.random.default_rng(0).normal(size=(20, 2))
    field = modified_field(descent, descent_jacobian, 0.2)(x)
    np.testing.assert_allclose(field, -modified_gradient(gradient, hessian, 0.2)(x), rtol=1e-13)
    value, h = modified_loss(loss, gradient, 0.2), 1e-6
    slope = np.stack([(value(x + h * e) - value(x - h * e)) / (2 * h) for e in np.eye(2)], axis=-1)
    np.testing.assert_allclose(field, -slope, rtol=1e-6, atol=1e-6)  # central difference, spacing 1e-6


def test_second_derivative_by_differences_equals_the_readers_own():
    def second(x, u):  # third derivative of F applied to (u, u), with a minus
        b = x[..., 1]
        return -np.stack([u[..., 1] ** 2, 2 * u[..., 0] * u[..., 1] + 6 * b * u[..., 1] ** 2], axis=-1)

    x = np.random.default_rng(1).normal(size=(20, 2))
    by_difference = correction(descent, descent_jacobian, 2)(x)
    exact = correction(descent, descent_jacobian, 2, second_derivative=second)(x)
    np.testing.assert_allclose(by_difference, exact, rtol=1e-9, atol=1e-9)  # five points at 1e-3: about 1e-11


def test_field_of_a_callable_equals_the_polynomial_series():
    x = np.linspace(-1, 1, 9)[:, None]
    field = modified_field(cubic, lambda z: (1 - 3 * z**2)[..., None], 0.2, order=2)
    np.testing.assert_allclose(field(x), truncated(CUBIC[:3], 0.2)(x), rtol=1e-9, atol=1e-10)


def test_field_vanishes_with_f_even_at_second_order():
    field = modified_field(descent, descent_jacobian, 0.3, order=2)
    assert (field(np.zeros(2)) == 0).all()


def test_second_order_field_of_descent_is_no_gradient():
    assert abs(curl(correction(descent, descent_jacobian, 1), START)) < 1e-8
    assert curl(correction(descent, descent_jacobian, 2), START) == pytest.approx(-0.129520, abs=1e-5)


def test_second_order_field_of_a_quadratic_is_a_gradient():
    H = np.array([[2.0, 0.5], [0.5, 1.0]])
    g2 = correction(lambda x: -x @ H, lambda x: np.broadcast_to(-H, (*x.shape, 2)), 2)
    assert abs(curl(g2, START)) < 1e-8


# --- fitting a slope ------------------------------------------------------------------------------


def test_fit_leaves_out_rounding_and_says_when_too_little_is_left():
    error = np.array([1e-3, 1e-9, 1e-15, 1e-17])
    fit = fit_order([1.0, 0.1, 0.01, 0.001], error, 6)
    assert len(fit.errors) == 2
    assert fit.status != 0
    assert "rounding floor" in fit.message


def test_fit_rejects_another_order_and_slopes_that_move_away():
    h = np.array([0.4, 0.2, 0.1, 0.05])
    assert fit_order(h, h**2 + h**3 / 10, 2).status == 0
    assert "are not 1" in fit_order(h, h**2, 1).message
    receding = np.cumprod([1, 2**-2.0, 2**-2.01, 2**-2.05])
    assert "move away" in fit_order(h, receding, 2).message
    with pytest.raises(RunFailed):
        fit_order(h, h**2, 1).raise_if_failed()


def test_fit_uses_the_norm_because_one_component_can_pass_through_zero():
    h = 2.0 ** -np.arange(2, 8)
    error = np.stack([h - 2 * h**2, h], axis=1) * h[:, None]  # the first component is 0 at h = ½
    assert fit_order(h, error, 2).status == 0


def test_reference_flow_is_exact_to_rounding():
    times = np.array([0.0, 0.5, 3.0])
    x = reference_flow(lambda x: -(x**3), [1.0, 2.0], times)
    exact = np.stack([1 / np.sqrt(1 + 2 * times), 1 / np.sqrt(0.25 + 2 * times)], axis=1)
    np.testing.assert_allclose(x, exact, rtol=1e-13)
    with np.errstate(all="ignore"), pytest.raises(RunFailed, match="did not reach t = 2"):
        reference_flow(lambda x: x**2, 1.0, [2.0])  # escapes at t = 1


# --- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: polynomial_field([], 1), "must not be empty"),
        (lambda: polynomial_field([1, float("nan")], 1), "finite rational numbers"),
        (lambda: polynomial_field([1, None], 1), "finite rational numbers"),
        (lambda: parabola_series(-1), "order must be at least 0; received -1"),
        (lambda: polynomial_field([1], -1), "order must be at least 0; received -1"),
        (lambda: truncated(CUBIC, 0.0), "step must be finite and greater than 0; received 0.0"),
        (lambda: linear_rate(1.0, -0.1), "step must be finite and greater than 0; received -0.1"),
        (lambda: linear_rate(np.nan, 0.1), "rate must be finite"),
        (lambda: modified_field(cubic, cubic, 0.1, order=3), "order must be between 0 and 2; received 3"),
        (lambda: correction(cubic, cubic, 0), "order must be between 1 and 2; received 0"),
        (lambda: inverse_field(lambda x: -x, lambda x: -np.eye(1), 2.0)([1.0]), "must be invertible"),
        (lambda: modified_loss(loss, gradient, -1), "step_size must be finite and greater than 0"),
        (lambda: curl(descent, [1.0, 2.0, 3.0]), "a point of the plane"),
        (lambda: euler(cubic, 0.3, 0.1, -1), "steps must be at least 0"),
        (lambda: euler(cubic, np.inf, 0.1, 1), "x0 must be finite"),
        (lambda: reference_flow(cubic, 0.3, [1.0, 0.5]), "non-negative and increasing"),
        (lambda: global_errors(cubic, lambda h: cubic, 0.3, -1.0, [2]), "horizon must be finite"),
        (lambda: fit_order([0.1, 0.2], [1.0, 2.0], 1), "positive, decreasing"),
        (lambda: fit_order([0.1], [1.0, 2.0], 1), "one for each error"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
