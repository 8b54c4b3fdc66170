"""The staircase: its optimality conditions, the flow at α = 1e-300, basis pursuit at the end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import bias, flows, problems
from lib.flows.saddles import saddle_path
from lib.potentials import HyperbolicEntropy


def draw(seed, n=8, d=20, dense=True):
    problem = problems.sparse_regression(n, d, 3, rng=seed)
    rng = np.random.default_rng(seed + 50)
    return problem.X, problem.X @ rng.standard_normal(d) if dense else problem.y


def test_one_coordinate_by_hand():
    # dz/dτ = 2 until z = 1 at ½; with x = 3, y = −6: dz/dτ = −18, arrival 1/18 at β = −2
    path = saddle_path([[3.0]], [-6.0])
    assert np.allclose(path.arrival, [0, 1 / 18])
    assert np.allclose(path.beta[:, 0], [0, -2])
    assert path.mirror[1, 0] == -1
    assert path.loss[0] == 9.0


def test_two_orthogonal_coordinates_by_hand():
    # each on its own: z_j' = y_j/n, out at n/|y_j|
    path = saddle_path(np.eye(2), [1.0, -4.0])
    assert np.allclose(path.arrival, [0, 0.5, 2.0])
    assert np.allclose(path.beta, [[0, 0], [0, -4], [1, -4]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_every_place_is_a_constrained_best_fit(seed, dense):
    X, y = draw(seed, dense=dense)
    path = saddle_path(X, y)
    assert path.status == 0
    assert (np.diff(path.arrival) > 0).all()
    assert (np.diff(path.loss) <= 1e-12).all()
    assert np.abs(path.mirror).max() <= 1
    for beta, z in zip(path.beta, path.mirror, strict=True):
        g = X.T @ (X @ beta - y) / len(y)
        size = np.abs(X.T @ y).max() / len(y)
        assert np.all(np.sign(beta[beta != 0]) == z[beta != 0])  # signs, and |z| = 1 there
        assert np.abs(g[beta != 0]).max(initial=0) < 1e-10 * size
        out = (np.abs(z) == 1) & (beta == 0)
        assert np.all(g[out] * z[out] > -1e-10 * size)  # what rests at ±1 is pulled back
    # z moved by the gradient of the place before
    for k in range(len(path.arrival) - 1):
        g = X.T @ (X @ path.beta[k] - y) / len(y)
        moved = path.mirror[k] - g * (path.arrival[k + 1] - path.arrival[k])
        assert np.allclose(path.mirror[k + 1], moved, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_last_place_is_basis_pursuit_with_its_certificate(seed):
    X, y = draw(seed)
    path = saddle_path(X, y)
    assert np.abs(path.beta[-1] - bias.basis_pursuit(X, y).beta).max() < 1e-9
    assert np.linalg.norm(path.mirror[-1] - np.linalg.pinv(X) @ X @ path.mirror[-1]) < 1e-10


@pytest.mark.parametrize("seed", [0, 3])
def test_the_flow_at_1e300_rests_where_the_list_says(seed):
    X, y = draw(seed)
    path = saddle_path(X, y)
    long = np.flatnonzero(np.diff(path.arrival) > 0.1)  # short rests are blurred even at 1e-300
    assert len(long) >= 2
    middle = (path.arrival[long] + path.arrival[long + 1]) / 2
    run = flows.mirror_flow(
        HyperbolicEntropy(-300 * np.log(10)),
        *(X, y),
        times=300 * np.log(10) * middle,
        observe={"path": lambda beta: beta},
    )
    assert np.abs(run.observed["path"][0] - path.beta[long]).max() < 1e-3
    assert np.abs(run.observed["path"][0] - path.beta[long + 1]).max() > 0.05


def test_a_short_list_says_that_it_is_short():
    X, y = draw(1)
    path = saddle_path(X, y, most=2)
    assert path.status == 3
    assert len(path.arrival) == 3
    assert "Raise most" in path.message
    with pytest.raises(RuntimeError):
        path.raise_if_failed()


def test_data_that_nothing_fits_end_at_a_best_fit():
    X = np.random.default_rng(0).standard_normal((10, 3))
    y = np.random.default_rng(1).standard_normal(10)
    path = saddle_path(X, y)
    assert path.status == 0
    assert np.allclose(path.beta[-1], np.linalg.lstsq(X, y)[0])


def test_nothing_to_fit_is_one_place():
    path = saddle_path([[1.0, 2.0]], [0.0])
    assert path.arrival.tolist() == [0.0]
    assert path.status == 0


@pytest.mark.parametrize("wrong", [dict(y=[1.0, 2.0]), dict(X=[[np.nan, 1.0]]), dict(most=0), dict(most=1.5)])
def test_bad_input_is_refused(wrong):
    with pytest.raises((ValueError, TypeError), match="received"):
        saddle_path(**(dict(X=[[1.0, 2.0]], y=[1.0]) | wrong))
