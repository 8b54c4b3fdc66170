"""Converters: both conventions run on the same index sequence, or as the same flow, end at the same β."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lib import conventions, problems
from lib.conventions import SOURCES, sgd_path

PROBLEM = problems.sparse_regression(10, 25, 3, rng=1)
INDICES = np.random.default_rng(0).integers(0, 10, 3000)
LOG_ALPHA, STEP = np.log(0.1), 0.02


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def path(source, log_alpha, step_size):
    return replay(source, log_alpha, step_size).beta


def replay(source, log_alpha, step_size):
    convention = SOURCES[source]
    return sgd_path(
        convention, PROBLEM.X, PROBLEM.y, log_alpha=log_alpha, step_size=step_size, indices=INDICES
    )


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_source_follows_the_house_path(source):
    # The change of variables is linear: what remains is the rounding of 3,000 steps.
    own = SOURCES[source].from_house(log_alpha=LOG_ALPHA, step_size=STEP, n=10)
    assert relative(path(source, own.log_alpha, own.step_size), path("house", LOG_ALPHA, STEP)) < 1e-12


@pytest.mark.parametrize(
    ("source", "start", "step"),
    [
        ("slides, loss", 0.5, 1.0),  # the slides' α taken for ours
        ("slides, loss", 1.0, 0.5),  # their step taken for ours
        ("slides, recursion", np.sqrt(0.5), 1.0),
        ("notes (33)", 1.0, 0.5),
    ],
)
def test_a_forgotten_factor_is_seen(source, start, step):
    own = SOURCES[source].from_house(log_alpha=LOG_ALPHA, step_size=STEP, n=10)
    wrong = path(source, own.log_alpha + np.log(start), own.step_size * step)
    assert relative(wrong, path("house", LOG_ALPHA, STEP)) > 1e-2


def test_the_product_of_the_weights_moves_by_the_same_factor_in_every_convention():
    house = replay("house", LOG_ALPHA, STEP)
    for name, source in SOURCES.items():
        own = source.from_house(log_alpha=LOG_ALPHA, step_size=STEP, n=10)
        path = replay(name, own.log_alpha, own.step_size)
        assert path.log_product == pytest.approx(house.log_product, rel=1e-10)
        assert path.squares == pytest.approx(house.squares, rel=1e-10)
    assert (house.log_product < -house.squares).all()


def source_flow(convention, log_alpha, time):
    """The source's own gradient flow in its own weights, by a generic integrator."""
    X, y, n, d = PROBLEM.X, PROBLEM.y, PROBLEM.n, PROBLEM.d
    start = convention.start_factor * np.exp(log_alpha) * np.ones(d)
    product = convention.network == "product"
    factor = 2 * convention.loss_factor / (1 if convention.total == "sum" else n)

    def velocity(_, w):
        p, q = np.split(w, 2)
        gradient = factor * X.T @ (X @ (p * q if product else p**2 - q**2) - y)
        return np.concatenate(
            [-gradient * q, -gradient * p] if product else [-2 * gradient * p, 2 * gradient * q]
        )

    w0 = np.concatenate([start, np.zeros(d) if product else start])
    p, q = np.split(solve_ivp(velocity, (0, time), w0, method="DOP853", rtol=1e-11, atol=1e-14).y[:, -1], 2)
    return p * q if product else p**2 - q**2


@pytest.mark.parametrize("source", ["slides, loss", "slides, recursion", "even2023", "notes (33)"])
def test_flows_agree_at_converted_times(source):
    # 10 × the integrator's relative tolerance, on a horizon where the flow amplifies errors by about 10.
    house = source_flow(SOURCES["house"], LOG_ALPHA, 3.0)
    own = SOURCES[source].from_house(log_alpha=LOG_ALPHA, time=3.0, n=10)
    assert relative(source_flow(SOURCES[source], own.log_alpha, own.time), house) < 1e-9
    if SOURCES[source].clock(10) != 1.0:
        assert relative(source_flow(SOURCES[source], own.log_alpha, 3.0), house) > 1e-3


def test_stochastic_flows_agree_when_they_share_the_brownian_motion():
    # Euler–Maruyama on (u, v) and on w± = (u ± v)/2 with the same increments: the slides' coefficient
    # 2√(γL/n) belongs to w± with the ¼ loss; for u ⊙ v with the ¼ loss it is √(γL/n).
    X, y, n, d = PROBLEM.X, PROBLEM.y, PROBLEM.n, PROBLEM.d
    rng, h, gamma = np.random.default_rng(3), 0.01, 0.02
    own = SOURCES["slides, loss"].from_house(log_alpha=LOG_ALPHA, step_size=gamma, time=h)
    w, u, v = np.full((2, d), 0.1), np.full(d, np.exp(own.log_alpha)), np.zeros(d)
    u_wrong, v_wrong = u.copy(), v.copy()
    for _ in range(200):
        B = rng.standard_normal(n)  # scaled by √h below: house clock for w, the slides' clock for u, v
        signs = np.array([[1.0], [-1.0]])
        r = X @ (w[0] ** 2 - w[1] ** 2) - y
        drive = -h * X.T @ r / n + 2 * np.sqrt(gamma * (r @ r / (4 * n)) / n * h) * (X.T @ B)
        w = w + signs * w * drive
        for factor, (p, q) in ((1.0, (u, v)), (2.0, (u_wrong, v_wrong))):
            r = X @ (p * q) - y
            loss = r @ r / (4 * n)
            noise = factor * np.sqrt(own.step_size * loss / n * own.time) * (X.T @ B)
            drive = -own.time * X.T @ r / (2 * n) + noise
            p[:], q[:] = p + q * drive, q + p * drive
    beta = w[0] ** 2 - w[1] ** 2
    assert relative(u * v, beta) < 1e-12
    assert relative(u_wrong * v_wrong, beta) > 1e-2


def test_there_and_back():
    for source in SOURCES.values():
        house = source.to_house(log_alpha=[0.0, -700.0], step_size=0.3, time=[1.0, 2.0], n=7)
        back = source.from_house(log_alpha=house.log_alpha, step_size=house.step_size, time=house.time, n=7)
        assert back.log_alpha == pytest.approx([0.0, -700.0], abs=1e-12)
        assert back.step_size == pytest.approx(0.3, rel=1e-15)
        assert back.time == pytest.approx([1.0, 2.0], rel=1e-15)


def test_bad_input_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="n must be given"):
        SOURCES["notes (33)"].to_house(step_size=0.1)
    with pytest.raises(ValueError, match="network must be one of"):
        conventions.Convention("mine", "relu", 1.0)
    with pytest.raises(ValueError, match="total must be"):
        conventions.Convention("mine", "square", 1.0, total="median")
    with pytest.raises(ValueError, match="loss_factor must be finite and greater than 0; received 0"):
        conventions.Convention("mine", "square", 0.0)
    with pytest.raises(ValueError, match="indices must be whole numbers from 0 to 9"):
        sgd_path(SOURCES["house"], PROBLEM.X, PROBLEM.y, log_alpha=0.0, step_size=0.1, indices=[10])
