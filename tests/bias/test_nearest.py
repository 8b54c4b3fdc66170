"""The weights nearest to the start: duality, brute force over the weights, both limits, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from lib import bias, problems
from lib.bias.nearest import NearestWeights, nearest_weights

P = problems.sparse_regression(40, 100, 5, rng=1)


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def distance(alpha, beta):
    """min (w₊ − α)² + (w₋ − α)² over w₊² − w₋² = β > 0, by search over w₋."""

    def cost(w):
        return (np.sqrt(w * w + beta) - alpha) ** 2 + (w - alpha) ** 2

    return minimize_scalar(cost, bounds=(0, alpha), method="bounded", options={"xatol": 1e-12}).fun


@pytest.mark.parametrize("alpha", [0.05, 1.0, 7.0])
@pytest.mark.parametrize("beta", [1e-3, 0.5, 3.0, 40.0])
def test_the_value_is_the_least_distance(alpha, beta):
    h = NearestWeights(np.log(alpha))
    assert np.isclose(h.value([beta]), distance(alpha, beta), rtol=1e-8, atol=1e-14)
    assert np.isclose(h.value([-beta]), h.value([beta]))


@given(st.floats(-0.999, 0.999), st.floats(-8, 8))
def test_conjugates_and_mirrors(z, log_alpha):
    h, z = NearestWeights(log_alpha), np.array([z])
    beta = h.inverse_mirror(z)
    scale = h.value(beta) + h.conjugate(z)
    assert np.allclose(h.mirror(beta), z, rtol=1e-9, atol=1e-300)
    assert np.isclose(h.value(beta) + h.conjugate(z), (beta * z).sum(), rtol=1e-9, atol=1e-12 * scale)


def test_the_weights_behind_lambda():
    # λ = ½ from α = 1: w₊ = 2, w₋ = ⅔
    h = NearestWeights(0.0)
    assert np.isclose(h.inverse_mirror([0.5])[0], 4 - 4 / 9)
    assert np.isclose(h.value([4 - 4 / 9]), 1 + 1 / 9)


@pytest.mark.parametrize(
    ("u0", "expected"), [(1.5, (0.1931, 0.4034)), (0.5, (0.0986, 0.4507)), (0.1, (0.0075, 0.4962))]
)
def test_toy_numbers(u0, expected):
    # claim d12; for u ⊙ v from u₀ the house α is u₀/2
    found = nearest_weights(np.log(u0 / 2), [[1.0, 2.0]], [1.0])
    assert np.abs(found.beta - expected).max() < 6e-5
    assert found.residual < 1e-15


@pytest.mark.parametrize("alpha", [1e3, 10.0, 1.0, 0.1, 1e-2, 1e-4])
def test_certified_over_the_range(alpha):
    found = nearest_weights(np.log(alpha), P.X, P.y)
    assert found.status == 0
    assert found.residual < 1e-13
    assert found.gap < 1e-11
    z = NearestWeights(np.log(alpha)).mirror(found.beta)
    assert np.linalg.norm(z - np.linalg.pinv(P.X) @ P.X @ z) < 1e-9 * np.linalg.norm(z)


def test_both_ends():
    assert rel(nearest_weights(np.log(1e3), P.X, P.y).beta, bias.least_norm(P.X, P.y).beta) < 1e-10
    small = nearest_weights(np.log(2e-5), P.X, P.y).beta
    assert rel(small, P.beta_star) < 1e-8  # of order α²
    assert rel(nearest_weights(np.log(2e-2), P.X, P.y).beta, P.beta_star) > 1e-4


def test_no_weights_are_nearer():
    # any other solution costs more: β + null space
    h, best = NearestWeights(np.log(0.3)), nearest_weights(np.log(0.3), P.X, P.y).beta
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0):
        step = rng.standard_normal(100)
        step -= np.linalg.pinv(P.X) @ (P.X @ step)
        assert h.value(best + size * step) > h.value(best)


def test_unequal_starts_and_no_data():
    log_alpha = np.random.default_rng(1).uniform(-2, 1, 100)
    assert nearest_weights(log_alpha, P.X, P.y).status == 0
    assert np.abs(nearest_weights(0.0, P.X, np.zeros(40)).beta).max() == 0


def test_no_solution_is_status():
    found = nearest_weights(0.0, [[1.0, 2.0], [1.0, 2.0]], [1.0, 2.0])
    assert found.status == 2
    assert np.isnan(found.beta).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: nearest_weights(np.log(1e-9), P.X, P.y),
        lambda: nearest_weights(np.nan, P.X, P.y),
        lambda: nearest_weights(np.zeros(3), P.X, P.y),
        lambda: nearest_weights(0.0, P.X, P.y[:3]),
        lambda: NearestWeights(0.0).inverse_mirror([1.0]),
        lambda: NearestWeights(0.0).value(3.0),
        lambda: NearestWeights(np.inf),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError, match="received"):
        call()
