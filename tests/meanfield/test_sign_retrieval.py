"""Sign retrieval: the recursion, exact products, recovery, and who recovers alone."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

from lib.batches import Batches
from lib.meanfield.sign_retrieval import (
    DATA,
    FLAT,
    FORCES,
    WEIGHTS,
    _Block,
    _parts,
    _result,
    side_by_side,
    simulate_sign_retrieval,
    stability_edge,
)

PHYSICS = {"dimension": 40, "alpha": 3, "step_size": 0.04, "horizon": 2.0}
GD = Batches(batch_fraction=1, step_size=0.04)
SGD = Batches(batch_fraction=0.5, step_size=0.08)
SLOW = Batches(batch_fraction=0.5, step_size=0.08, persistence=8.0)


def test_a_run_follows_the_recursion_written_by_hand():
    """No grid, no blocks, one sample after the other."""
    run = simulate_sign_retrieval(**PHYSICS | {"batch_fraction": 0.5, "persistence": 1.0}, rng=0, record=51)
    stream = np.random.default_rng(0).spawn(1)[0]
    x = np.rint(stream.standard_normal((120, 40)) * DATA) / DATA
    teacher, w = stream.standard_normal(40), stream.standard_normal(40)
    teacher, w = (v * (40 / (v @ v)) ** 0.5 for v in (teacher, w))
    y = np.abs(x @ teacher) / 40**0.5
    active = stream.random(120, dtype=np.float32) < 0.5
    for k in range(51):
        h = x @ w / 40**0.5
        assert run.overlap[0, k] == pytest.approx(abs(w @ teacher) / 40, abs=1e-6)
        assert run.loss[0, k] == pytest.approx(np.mean((y**2 - h**2) ** 2), rel=1e-6)
        force = sum(s * (a**2 - b**2) * a * row for s, a, b, row in zip(active, h, y, x, strict=True))
        w = w - 0.04 * force / 40**0.5
        w *= (40 / (w @ w)) ** 0.5
        u = stream.random(120, dtype=np.float32)
        active = np.where(active, u < np.float32(0.96), u < np.float32(0.04))


def test_products_are_exact_in_any_order():
    """Sums of multiples of a grid, far below 2⁵³ steps of it: shuffled columns give the same bits."""
    rng = np.random.default_rng(1)
    block = _Block((SLOW,), 300, 900, None, np.array([0]))
    x, _, w = block.start([rng])
    h = w @ x.swapaxes(1, 2)
    order = rng.permutation(300)
    np.testing.assert_array_equal(h, w[..., order] @ x[..., order].swapaxes(1, 2))
    force = np.rint((h / 300**0.5) ** 3 * FORCES) / FORCES
    order = rng.permutation(900)
    np.testing.assert_array_equal(force @ x, force[..., order] @ x[:, order])
    largest = np.abs(force).sum(-1).max() * np.abs(x).max()
    assert largest * FORCES * DATA < 2**53
    assert np.abs(w).sum(-1).max() * np.abs(x).max() * WEIGHTS * DATA < 2**53


def test_side_by_side_gives_what_each_gives_alone():
    together = side_by_side([GD, SGD, SLOW], dimension=40, alpha=3, drift=2.0, replicas=3, rng=2)
    alone = simulate_sign_retrieval(
        dimension=40,
        alpha=3,
        step_size=0.08,
        horizon=4.0,
        batch_fraction=0.5,
        persistence=8.0,
        replicas=3,
        rng=2,
    )
    np.testing.assert_array_equal(together[2].overlap, alone.overlap)
    np.testing.assert_array_equal(together[2].times, alone.times)
    assert np.abs(together[1].overlap - alone.overlap).max() > 0.01


def test_one_mean_step_of_persistence_is_vanilla():
    same = Batches(batch_fraction=0.5, step_size=0.08, persistence=0.16)
    vanilla, other = side_by_side([SGD, same], dimension=40, alpha=3, drift=2.0, replicas=2, rng=3)
    np.testing.assert_array_equal(vanilla.overlap, other.overlap)


def test_replicas_do_not_depend_on_how_many_follow_nor_on_who_has_arrived():
    few, many = (
        simulate_sign_retrieval(**PHYSICS | {"horizon": 40.0}, warm_start=0.8, replicas=n, rng=4)
        for n in (2, 9)
    )
    np.testing.assert_array_equal(few.overlap, many.overlap[:2])
    assert many.recovered.any()


def test_recovery_from_a_warm_start_and_its_time():
    run = simulate_sign_retrieval(**PHYSICS | {"alpha": 5, "horizon": 30.0}, warm_start=0.95, rng=5)
    assert run.recovered.all()
    k = np.flatnonzero(run.overlap[0] > 0.9999)[0]
    assert run.recovery_time[0] == run.times[k]
    assert run.reached.all()
    assert run.loss[0, -1] < 1e-14
    assert run.overlap[0, 0] == pytest.approx(0.95, abs=1e-6)
    assert run.gradient[0] < 1e-6
    assert run.message == ""


def test_a_run_that_was_there_and_left_has_not_recovered():
    """Three runs by hand: there to the end, there and gone, gone and back."""
    overlap = np.array([[0.5, 1.0, 1.0, 1.0], [0.5, 1.0, 1.0, 0.9], [1.0, 0.9, 0.9, 1.0]])[:, None]
    found = {name: overlap for name in ("overlap", "loss", "noise")} | {"gradient": overlap[..., -1]}
    run = _result(found, 0, np.arange(4.0))
    assert run.recovered.tolist() == [True, False, True]
    assert run.reached.all()
    assert run.recovery_time.tolist() == [1.0, np.inf, 3.0]
    assert "1 of them were there and left" in run.message


def test_beyond_the_edge_of_half_a_batch_runs_leave_the_planted_vector():
    """From m = 0.999: a step above 2/λ_max of the batch drives some runs out, half of that step none."""
    edge = stability_edge(dimension=100, alpha=3, batch_fraction=0.5, replicas=12, rng=3)
    physics = {"dimension": 100, "alpha": 3, "horizon": 80.0, "batch_fraction": 0.5, "persistence": 8.0}
    small, large = (
        simulate_sign_retrieval(**physics, step_size=dt, warm_start=0.999, replicas=12, rng=3, record=81)
        for dt in (0.04, 1.4 * np.median(edge))
    )
    assert small.recovered.all()
    assert not large.recovered.all()


def test_the_stability_edge_is_that_of_the_batch_the_simulation_starts_with():
    """λ_max of the linear step at w*, by finite differences of the force, without writing the curvature."""
    N, b = 30, 0.5
    found = stability_edge(dimension=N, alpha=3, batch_fraction=b, replicas=2, rng=7)
    for stream, edge in zip(np.random.default_rng(7).spawn(2), found, strict=True):
        x = np.rint(stream.standard_normal((90, N)) * DATA) / DATA
        w = stream.standard_normal(N)
        w *= (N / (w @ w)) ** 0.5
        stream.standard_normal(N)
        x = x[stream.random(90, dtype=np.float32) < b]
        y = np.abs(x @ w) / N**0.5

        def push(v, x=x, y=y, w=w):
            v = v - w * (v @ w) / N
            h = x @ (w + 1e-6 * v) / N**0.5
            force = ((h**2 - y**2) * h) @ x / N**0.5 / 1e-6
            return force - w * (force @ w) / N

        largest = eigsh(LinearOperator((N, N), matvec=push, dtype=float), k=1, return_eigenvectors=False)[0]
        assert edge == pytest.approx(2 / largest, rel=1e-4)


def test_who_is_still_stays_as_it_was():
    """Followed further, a full batch with gradient below 1e-7 moves its overlap by less than 1e-5."""
    physics = {"dimension": 60, "alpha": 3, "step_size": 0.02, "replicas": 6, "rng": 1, "record": 21}
    run = simulate_sign_retrieval(**physics, horizon=400)
    still = run.gradient < FLAT
    assert still.sum() >= 4
    longer = simulate_sign_retrieval(**physics | {"record": [0, 1000]}, horizon=1000)
    np.testing.assert_allclose(longer.overlap[still, -1], run.overlap[still, -1], atol=1e-5)


@pytest.mark.parametrize(("samples", "parts"), [(900, 6), (150, 1), (192, 2), (907, 1), (1, 1)])
def test_samples_go_in_equal_parts(samples, parts):
    assert _parts(samples) == parts


def test_gradient_descent_ends_in_a_minimum_that_is_not_the_teacher():
    run = simulate_sign_retrieval(**PHYSICS | {"dimension": 100, "horizon": 200.0}, replicas=6, rng=0)
    stuck = ~run.recovered
    assert stuck.sum() >= 4
    assert run.gradient[stuck].max() < 1e-3
    assert run.loss[stuck, -1].min() > 0.05
    assert f"{stuck.sum()} of 6 runs have not recovered" in run.message
    assert "Lengthen the horizon, or add persistence" in run.message
    assert np.isinf(run.recovery_time[stuck]).all()


def test_persistence_recovers_what_gradient_descent_does_not():
    """N = 100, 12 data sets: with the same law for both, 6 more have a probability below 2 %."""
    descent, slow = side_by_side(
        [GD, SLOW], dimension=100, alpha=3, drift=150.0, replicas=12, rng=0, record=21
    )
    assert slow.recovered.sum() - descent.recovered.sum() >= 6


def test_noise_dies_with_the_loss():
    run = simulate_sign_retrieval(
        dimension=100, alpha=3, step_size=0.08, horizon=60, batch_fraction=0.5, warm_start=0.95, rng=6
    )
    falling = (run.loss[0] > 1e-12) & (run.loss[0] < 1e-2)
    ratio = run.noise[0, falling] / run.loss[0, falling] ** 0.5
    assert ratio.std() / ratio.mean() < 0.2


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"dimension": 1}, ValueError, "dimension must be between 2 and 8192"),
        ({"alpha": 0.001}, ValueError, "alpha·dimension must be at least 1"),
        ({"horizon": -1.0}, ValueError, "horizon must be finite and greater than 0"),
        ({"warm_start": 1.1}, ValueError, "warm_start must be at most 1; received 1.1"),
        ({"batch_fraction": 2.0}, ValueError, "batch_fraction must be at most 1"),
        ({"step_size": "0.1"}, TypeError, "step_size must be a single number"),
        ({"persistence": 0.001, "batch_fraction": 0.5}, ValueError, "persistence must be at least 0.04"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(wrong, error, sentence):
    with pytest.raises(error, match=sentence):
        simulate_sign_retrieval(**PHYSICS | wrong)


def test_protocols_of_different_drift_are_refused():
    with pytest.raises(ValueError, match="protocols must have one batch_fraction·step_size"):
        side_by_side([GD, Batches(batch_fraction=0.5, step_size=0.04)], dimension=10, alpha=3, drift=1)
    with pytest.raises(TypeError, match="protocols must be a list of Batches"):
        side_by_side([], dimension=10, alpha=3, drift=1)


def test_the_edge_refuses_a_bad_batch():
    with pytest.raises(ValueError, match="batch_fraction must be at most 1"):
        stability_edge(dimension=10, alpha=3, batch_fraction=2.0)
