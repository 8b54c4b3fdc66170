"""The benchmarks compare equals: here that the peers agree, in milliseconds; nothing is timed."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import descent, lasso, meanfield, mirror, solvers
from benchmarks.timing import MISSING, Contender, Row, compare, line
from lib import bias
from lib.bias import minimise
from lib.descent import sample_indices, stochastic_gradient_descent
from lib.diffusions.stationary import label_noise_law
from lib.potentials import HyperbolicEntropy
from lib.problems import sparse_regression

PROBLEM = sparse_regression(10, 25, 3, rng=0)


@pytest.mark.parametrize("solver", [solvers.trust_exact, solvers.slsqp, solvers.lbfgs])
def test_solvers_agree_with_the_certified_minimiser(solver):
    chosen = minimise(HyperbolicEntropy(-2.0), PROBLEM.X, PROBLEM.y).beta
    # L-BFGS stops where the dual no longer decreases: at the square root of rounding
    np.testing.assert_allclose(solver(PROBLEM.X, PROBLEM.y, -2.0), chosen, atol=1e-6)


def test_the_published_loop_makes_the_same_steps():
    physics = {"log_alpha": descent.LOG_ALPHA, "step_size": descent.STEP_SIZE, "steps": 200}
    run = stochastic_gradient_descent(PROBLEM.X, PROBLEM.y, **physics, rng=0)
    index = sample_indices(PROBLEM.n, 200, rng=0)[0, :, 0]
    beta, integral = descent.published_loop(PROBLEM.X, PROBLEM.y, index, True)
    np.testing.assert_allclose(beta, run.beta[0], rtol=1e-10)
    np.testing.assert_allclose(integral, run.loss_integral[0], rtol=1e-12)


def test_theory_and_networks_do_the_same_work():
    curve, runs = meanfield.theory(steps=5, samples=4000), meanfield.networks(steps=5)
    off = curve.magnetisation - runs.magnetisation.mean(0)
    # one theory run of 4,000 effective samples is worth as much as about four networks
    error = runs.magnetisation.std(0, ddof=1) * (1 / 18 + 1 / 4) ** 0.5
    assert (abs(off) <= 4 * error + 1e-3).all()


@pytest.mark.parametrize("alpha", [0.1, 1e-4])
def test_the_flow_in_the_weights_ends_at_the_certified_minimiser(alpha):
    chosen = minimise(HyperbolicEntropy(np.log(alpha)), PROBLEM.X, PROBLEM.y).beta
    end = mirror.lsoda_on_weights(PROBLEM.X, PROBLEM.y, np.log(alpha))
    assert end.reached
    np.testing.assert_allclose(end.beta, chosen, atol=1e-6)  # the residual is 1e-8
    ours, peer = mirror.field(PROBLEM, alpha)
    assert "FAILS" not in ours.accuracy + peer.accuracy


def test_a_missing_peer_is_said_to_be_missing():
    ours, peer = Contender("ours", lambda: None), Contender("other", None)
    (row,) = compare("X", ours, [peer], {"other": 1.0}, rounds=1, seconds=0)
    assert MISSING in line(row)
    assert "met" not in line(row)


def test_a_target_is_met_or_missed():
    row = Row("X", "1 s", "other", "2 s", ratio=0.5, target=0.4)
    assert "MISSED" in line(row)
    assert "met" in line(replace(row, target=0.6))


@pytest.mark.filterwarnings("ignore:Objective did not converge")
def test_lasso_peers_agree_and_a_wrong_point_has_a_gap():
    penalty = 0.1
    found = bias.lasso(PROBLEM.X, PROBLEM.y, penalty).beta
    theirs = lasso.scikit_learn(PROBLEM.X, PROBLEM.y, penalty)
    np.testing.assert_allclose(theirs, found, atol=1e-6)
    assert lasso.gap(PROBLEM, penalty, found) < 1e-14
    assert lasso.gap(PROBLEM, penalty, 1.01 * found) > 1e-7


def test_the_timed_flow_with_label_noise_averages_to_its_lasso():
    delta = np.sqrt(0.2 / (2 * lasso.STEP_SIZE))
    physics = {"step_size": lasso.STEP_SIZE, "label_noise": delta, "positive": False}
    law = label_noise_law(PROBLEM.X, PROBLEM.y, **physics)
    mean = lasso.label_noise(PROBLEM, law, 600.0, delta)
    error = np.sqrt(np.square(law.mean_spread).sum() / 600.0)
    assert np.linalg.norm(mean - law.beta) < 3 * error < 0.5 * np.linalg.norm(law.beta)
