"""Gradient flow in the sources' own weights: closed forms, the hidden mirror flow, saddles, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import flows
from lib.conventions import SOURCES, Convention
from lib.flows.weights import neuron_flow, predictor
from lib.potentials import HyperbolicEntropy, NegativeEntropy

RNG = np.random.default_rng(2)
X = RNG.standard_normal((10, 25))
Y = X[:, :2].sum(1)
TALK = Convention("talk", "square", 0.25)
TIMES = np.array([0.5, 2.0, 8.0])


def shadow(potential):
    run = flows.mirror_flow(potential, X, Y, times=TIMES, observe={"path": lambda beta: beta})
    return run.observed["path"][0]


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_one_coordinate_has_a_closed_form():
    # β = w², one sample x = 1, y = 1, ¼ loss: dw/dt = −w(w² − 1), w² = 1/(1 + (1/α² − 1)e^{−2t})
    run = neuron_flow(TALK, [[1.0]], [1.0], log_alpha=np.log(0.1), times=TIMES)
    assert np.allclose(run.beta[:, 0], 1 / (1 + 99 * np.exp(-2 * TIMES)), rtol=1e-10)
    assert np.isnan(run.balance).all()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("alpha", [1.0, 0.05])
def test_every_source_casts_the_same_shadow(source, alpha):
    # 1e-7: the mirror flow's relative tolerance is 1e-9 a step
    own = SOURCES[source].from_house(log_alpha=np.log(alpha), time=TIMES, n=10)
    run = neuron_flow(SOURCES[source], X, Y, log_alpha=own.log_alpha, times=own.time)
    assert rel(run.beta, shadow(HyperbolicEntropy(np.log(alpha)))) < 1e-7
    assert np.abs(run.balance / alpha**2 - 1).max() < 1e-9


def test_unequal_starts_too():
    log_alpha = np.random.default_rng(0).uniform(-3, 0, 25)
    run = neuron_flow(SOURCES["house"], X, Y, log_alpha=log_alpha, times=TIMES)
    assert rel(run.beta, shadow(HyperbolicEntropy(log_alpha))) < 1e-7


def test_a_square_is_the_mirror_flow_of_the_entropy():
    run = neuron_flow(TALK, X, Y, log_alpha=np.log(0.2), times=TIMES)
    assert rel(run.beta, shadow(NegativeEntropy(np.log(0.2)))) < 1e-7
    both = neuron_flow(SOURCES["slides, loss"], X, Y, start=np.full((2, 25), 0.2), times=2 * TIMES)
    assert np.abs(both.weights[:, 0] - both.weights[:, 1]).max() < 1e-14  # rounding of sums
    assert rel(both.beta, run.beta) < 1e-9


@pytest.mark.parametrize("convention", [TALK, SOURCES["house"], SOURCES["slides, loss"]])
def test_weights_at_zero_never_move(convention):
    layers = 1 if convention is TALK else 2
    run = neuron_flow(convention, X, Y, start=np.zeros((layers, 25)), times=[0.0, 100.0])
    assert np.abs(run.weights).max() == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SOURCES)))
def test_the_balance_is_kept_from_any_start(seed, source):
    rng = np.random.default_rng(seed)
    A, start = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    run = neuron_flow(SOURCES[source], A, rng.standard_normal(3), start=start, times=[0.0, 0.3, 1.0])
    assert np.abs(run.balance - run.balance[0]).max() < 1e-9 * max(1.0, np.abs(run.balance[0]).max())
    assert np.allclose(run.beta, predictor(SOURCES[source].network, run.weights))


def test_a_stiff_flow_says_where_to_go(monkeypatch):
    monkeypatch.setattr("lib.flows._flows.MOST_STEPS", 1000)  # the same in a twentieth of the time
    run = neuron_flow(SOURCES["house"], X[:4, :9], Y[:4], log_alpha=np.log(1e-3), times=[1.0, 1e9])
    assert run.status == 1
    assert "mirror_flow" in run.message
    assert np.isfinite(run.beta[0]).all()
    assert np.isnan(run.beta[1]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        dict(convention="house"),
        dict(start=np.zeros((1, 2))),
        dict(start=[0.0, 0.0]),
        dict(start=[[np.nan, 0.0], [0.0, 0.0]]),
        dict(log_alpha=np.nan),
        dict(log_alpha=[0.0, 0.0, 0.0]),
        dict(times=[1.0, 0.5]),
        dict(y=[1.0, 2.0]),
    ],
)
def test_bad_input_is_refused(wrong):
    good = dict(convention=SOURCES["house"], X=[[1.0, 2.0]], y=[1.0], log_alpha=0.0, times=[1.0])
    with pytest.raises((ValueError, TypeError), match="received"):
        neuron_flow(**(good | wrong))
