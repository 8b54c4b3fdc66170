"""Gradient-flow convergence: exact flows, bounds that are attained, and a flow without a limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from lib.flows.convergence import (
    convex_bound,
    envelope_bound,
    linear_bound,
    lojasiewicz_constant,
    power_worst_case,
    spiral,
    spiral_flow,
    spiral_time,
    spiral_valley,
    worst_huber,
)
from lib.flows.objectives import (
    huber,
    log_sum_exp,
    logistic,
    power,
    quadratic,
    softplus,
    wavy_parabola,
    with_minimum,
)
from lib.modified.orders import euler, reference_flow
from lib.records import RunFailed


def sample_problems():
    rng = np.random.default_rng(11)
    A, b = rng.standard_normal((12, 3)), rng.standard_normal(12)
    B = rng.standard_normal((40, 3))
    return log_sum_exp(A, b), logistic(B, np.sign(B @ [1, -1, 0.5] + rng.standard_normal(40)))


LSE, LOGISTIC = sample_problems()
EXACT = {
    "power 1.5": (power(1.5, 0.7), [1.3]),
    "power 3": (power(3.0, 2.0), [1.3, -0.4]),
    "power 4": (power(4.0), [2.0]),
    "power 2": (power(2.0, 0.5), [2.0]),
    "huber": (huber(3.0, 0.4), [1.7, -0.05]),
    "quadratic": (quadratic([0.5, 4.0]), [1.0, -2.0]),
    "softplus": (softplus(), [-1.0, 3.0]),
}
OTHERS = {"log-sum-exp": (LSE, [2.0, -1.0, 1.5]), "logistic": (LOGISTIC, [-3.0, 2.0, 1.0])}


# --- functions and their flows --------------------------------------------------------------------


@pytest.mark.parametrize("name", [*EXACT, *OTHERS])
def test_gradients_are_those_of_the_values(name):
    objective, x0 = {**EXACT, **OTHERS}[name]
    x = np.random.default_rng(0).normal(size=(5, len(x0)))
    h = 1e-6
    slope = [(objective.value(x + h * e) - objective.value(x - h * e)) / (2 * h) for e in np.eye(len(x0))]
    np.testing.assert_allclose(objective.gradient(x), np.stack(slope, axis=-1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", EXACT)
def test_exact_flows_agree_with_the_integrator(name):
    objective, x0 = EXACT[name]
    times = np.linspace(0.1, 1.5, 8)
    numeric = solve_ivp(
        lambda t, x: -objective.gradient(x),
        (0, 1.5),
        x0,
        "DOP853",
        times,
        rtol=1e-12,
        atol=1e-14,
        max_step=0.01,
    ).y.T
    # max_step for the kink of Huber; power 1.5 is stopped before its extinction
    np.testing.assert_allclose(objective.flow(x0, times), numeric, atol=1e-9 if name != "huber" else 1e-6)


@settings(deadline=None)
@given(st.floats(1.01, 8), st.floats(0.05, 3), st.floats(0.1, 5), st.floats(0, 5), st.floats(0, 5))
def test_flows_are_semigroups(p, a, x0, s, t):
    for objective in (power(p, a), huber(a, p), softplus()):
        at_once = objective.flow([x0], [s + t])[0]
        in_two = objective.flow(objective.flow([x0], [s])[0], [t])[0]
        np.testing.assert_allclose(at_once, in_two, rtol=1e-9, atol=1e-9)


def test_powers_below_2_are_extinct_at_a_finite_time():
    p, a, x0 = 1.5, 0.7, 1.3
    end = x0 ** (2 - p) / ((2 - p) * a)
    x = power(p, a).flow([x0], [0.99 * end, end * 1.0001, 2 * end])[:, 0]
    assert x[0] > 0
    assert (x[1:] == 0).all()


def test_softplus_values_of_the_reference_times():
    x = softplus().flow([-1.0], [1, 10, 100, 1000])
    expected = [0.878857241609, 0.127229587764, 0.010491520651, 0.001007082204]
    np.testing.assert_allclose(softplus().value(x), expected, atol=1e-12)
    assert softplus().flow([-1.0], [1e6])[0, 0] == pytest.approx(np.log(1e6), rel=1e-5)  # no overflow


def test_minima_are_found_to_rounding():
    assert LSE.minimum == pytest.approx(2.341431795146499, abs=1e-14)
    assert LOGISTIC.minimum == pytest.approx(0.2812709750840797, abs=1e-14)
    with pytest.raises(RunFailed, match="No minimiser found"):
        log_sum_exp([[1.0], [2.0]], [0.0, 0.0])
    with pytest.raises(RunFailed, match="Check that one exists"):
        logistic([[1.0], [-2.0]], [1.0, -1.0])  # separated by 0


# --- the bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in {**EXACT, **OTHERS} if n != "softplus"])
def test_convex_bound_holds_and_the_lyapunov_function_falls(name):
    objective, x0 = {**EXACT, **OTHERS}[name]
    times = np.geomspace(0.01, 40, 200)
    if objective.flow is not None:
        x = objective.flow(x0, times)
    else:
        x = reference_flow(lambda z: -objective.gradient(z), x0, times)
    gap, away = objective.value(x) - objective.minimum, np.linalg.norm(x - objective.minimiser, axis=1)
    radius = np.linalg.norm(np.array(x0) - objective.minimiser)
    assert (gap <= convex_bound(radius, times) * (1 + 1e-8)).all()
    assert (np.diff(objective.value(x)) <= 1e-10).all()
    assert (np.diff(away**2 / 2 + times * gap) <= 1e-9).all()


@settings(deadline=None)
@given(st.floats(0.1, 10), st.floats(0.05, 20), st.floats(0.1, 100))
def test_the_worst_huber_attains_the_bound(radius, time, smoothness):
    F = worst_huber(radius, time, smoothness)
    value = F.value(F.flow([radius], [time]))[0]
    assert value == pytest.approx(convex_bound(radius, time, smoothness=smoothness), rel=1e-12)


def test_bounds_at_the_reference_numbers():
    assert convex_bound(1.7, 2.3, smoothness=3.0) == pytest.approx(0.2929054054054054, rel=1e-14)
    assert convex_bound(1.7, 2.3) == pytest.approx(0.314130, abs=1e-6)
    assert convex_bound(1.7, 2.3, constant=2) == pytest.approx(0.628261, abs=1e-6)
    F = worst_huber(1.7, 2.3, 3.0)
    assert F.value(F.flow([1.7], [2.3]))[0] > 1.16 * convex_bound(1.7, 2.3, constant=5)


@pytest.mark.parametrize(("step", "steps"), [(0.25, 12), (1 / 3, 5), (0.01, 40)])
def test_gradient_descent_attains_the_same_bound(step, steps):
    F = worst_huber(1.7, step * steps, 3.0)
    x = euler(lambda x: -F.gradient(x), [1.7], step, steps)[-1]
    assert F.value(x) == pytest.approx(convex_bound(1.7, step * steps, smoothness=3.0), rel=1e-12)


@pytest.mark.parametrize("p", [1.01, 1.1, 1.5, 2, 3, 4, 10])
def test_power_worst_case_is_the_maximum_over_scales(p):
    ratio = [2 * power(p, a).value(power(p, a).flow([1.0], [1.0]))[0] for a in np.linspace(0.3, 0.8, 501)]
    assert max(ratio) == pytest.approx(power_worst_case(p), abs=1e-6)  # the grid misses a maximum by ≤ 1e-6
    known = {1.01: 0.4931, 1.1: 0.43780, 1.5: 0.28125, 2: np.exp(-1) / 2, 3: 8 / 81, 4: 1 / 16, 10: 0.013375}
    assert power_worst_case(p) == pytest.approx(known[p], abs=5e-5)


def test_envelope_bounds_a_function_without_minimiser():
    times = [1, 10, 100, 1000]
    bound = [envelope_bound(softplus(), [-1.0], t) for t in times]
    np.testing.assert_allclose(bound, [0.943147, 0.348968, 0.079641, 0.014563], atol=1e-6)
    assert (softplus().value(softplus().flow([-1.0], times)) < bound).all()


def test_lojasiewicz_constant_of_the_wavy_parabola():
    m = lojasiewicz_constant(wavy_parabola(), 0.01, 6.0)
    assert m == pytest.approx(0.17553098588, abs=1e-10)
    times = np.linspace(0, 3, 301)
    gap = wavy_parabola().value(reference_flow(lambda x: -wavy_parabola().gradient(x), [2.5], times))
    assert (gap / linear_bound(gap[0], m, times)).max() <= 1
    assert (gap / linear_bound(gap[0], 2 * m, times)).max() == pytest.approx(1.102, abs=1e-3)
    assert (gap / linear_bound(gap[0], 1.5 * m, times)).max() == pytest.approx(1.036, abs=1e-3)


def test_quadratics_attain_the_linear_bound():
    F, times = quadratic([0.7]), np.linspace(0, 5, 11)
    gap = F.value(F.flow([2.0], times))
    np.testing.assert_allclose(gap, linear_bound(gap[0], 0.7, times), rtol=1e-13)


# --- the flow without a limit ---------------------------------------------------------------------


def test_the_spiral_is_a_trajectory():
    angle = np.linspace(1.2, 20, 400)
    x, h = spiral(angle), 1e-6
    tangent, downhill = spiral(angle + h) - spiral(angle - h), -spiral_valley().gradient(x)
    cosine = (tangent * downhill).sum(-1) / np.linalg.norm(tangent, axis=1) / np.linalg.norm(downhill, axis=1)
    np.testing.assert_allclose(cosine, 1, atol=1e-9)
    speed = np.linalg.norm(downhill, axis=1) / np.linalg.norm(tangent / (2 * h), axis=1)  # dθ/dt
    pace = [spiral_time(a - 1e-4, a + 1e-4) / 2e-4 for a in angle]
    np.testing.assert_allclose(speed * pace, 1, rtol=1e-5)


@pytest.mark.parametrize("cutoff", [0.0, 0.25, 0.6])
def test_the_gradient_of_the_valley_and_its_bound(cutoff):
    F, rng, h = spiral_valley(cutoff=cutoff), np.random.default_rng(0), 1e-5
    x = rng.uniform(-1.2, 1.2, (400, 2))
    slope = np.stack([(F.value(x + h * e) - F.value(x - h * e)) / (2 * h) for e in np.eye(2)], axis=-1)
    np.testing.assert_allclose(F.gradient(x), slope, atol=1e-7)
    assert (F.value(x) >= 0).all()
    assert F.gradient(np.zeros(2)).tolist() == [0.0, 0.0]
    assert F.value([1.0, 0.0]) == 0


def test_the_cutoff_changes_nothing_beyond_it_and_removes_the_jump_at_the_origin():
    published, smooth = spiral_valley(), spiral_valley(cutoff=0.25)
    x = spiral(np.linspace(1.1, 9, 50))
    np.testing.assert_array_equal(published.gradient(x), smooth.gradient(x))
    np.testing.assert_array_equal(published.value(x), smooth.value(x))
    s, angle = 5e-3, 1 + np.pi / 2
    cross = s * np.array([np.cos(angle), np.sin(angle)])
    jump = [24 * (F.value(-cross) - F.value(cross)) / s**4 for F in (published, smooth)]
    np.testing.assert_allclose(jump, [192 / np.e, 0], rtol=1e-3, atol=1e-12)


def test_other_starts_wind_around_the_circle_too():
    for start in ([0.3, 0.1], [-0.5, 0.2]):
        times = np.geomspace(1, 1e10, 60)
        x = spiral_flow(start, times).T
        turned = np.unwrap(np.arctan2(x[1], x[0]))
        assert turned[-1] - turned[0] > 2 * np.pi
        assert (np.diff(turned)[-20:] > 0).all()


def test_the_stiff_integrator_starts_like_the_explicit_one():
    times = [0.5, 2.0, 5.0]
    explicit = reference_flow(lambda z: -spiral_valley().gradient(z), [-0.5, 0.2], times)
    np.testing.assert_allclose(spiral_flow([-0.5, 0.2], times), explicit, atol=1e-7)  # LSODA at rtol 1e-9


# --- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: power(1.0), "exponent must be greater than 1"),
        (lambda: power(3.0, -1.0), "scale must be finite and greater than 0"),
        (lambda: huber(0.0, 1.0), "smoothness must be finite and greater than 0"),
        (lambda: quadratic([-1.0]), "curvatures must not be negative"),
        (lambda: quadratic([1.0]).flow([1.0], [-1.0]), "times must be at least 0"),
        (lambda: logistic([[1.0], [1.0]], [0.0, 1.0]), "labels −1 and 1"),
        (lambda: convex_bound(1.0, -1.0), "time must be at least 0; received -1.0"),
        (lambda: worst_huber(1.0, 0.0, 1.0), "time must be finite and greater than 0"),
        (lambda: power_worst_case(0.5), "exponent must be greater than 1"),
        (lambda: envelope_bound(softplus(), [0.0], 0.0), "time must be finite and greater than 0"),
        (lambda: lojasiewicz_constant(wavy_parabola(), 2.0, 1.0), "low must be smaller than high"),
        (lambda: spiral_valley(cutoff=1.0), "cutoff must be below 1, where the spiral winds; received 1.0"),
        (lambda: spiral(0.5), "angle must be greater than 1; received 0.5"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_minimum_can_be_asked_of_any_convex_function():
    F = with_minimum(lambda x: (x**4 + x).sum(-1), lambda x: 4 * x**3 + 1, [0.0])
    assert F.minimiser[0] == pytest.approx(-(0.25 ** (1 / 3)), rel=1e-12)
