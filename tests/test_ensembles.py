"""Replicas: the numbers belong to the seed and the replica, not to workers, blocks or chunks."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from lib import descent, diffusions, ensembles

DATA = np.random.default_rng(1)
X = DATA.standard_normal((6, 15))
Y = X[:, :2].sum(1)

SIMULATORS = {
    "sgd": partial(descent.stochastic_gradient_descent, X, Y, log_alpha=-2.0, step_size=0.02, steps=300),
    "batches": partial(
        descent.stochastic_gradient_descent,
        *(X, Y),
        log_alpha=-2.0,
        step_size=0.02,
        steps=300,
        batch_size=3,
        replacement=False,
        label_noise=0.3,
    ),
    "flow": partial(
        diffusions.stochastic_gradient_flow, X, Y, log_alpha=-2.0, step_size=0.02, dt=0.02, horizon=6
    ),
    "exact": partial(
        diffusions.stochastic_gradient_flow,
        *(X, Y),
        log_alpha=-2.0,
        step_size=0.02,
        dt=0.02,
        horizon=6,
        covariance="exact",
    ),
    "neurons": partial(
        diffusions.neuron_euler_maruyama, X, Y, log_alpha=-2.0, step_size=0.02, dt=0.02, horizon=6
    ),
    "label": partial(
        diffusions.label_noise_flow, X, Y, log_alpha=-2.0, step_size=0.02, label_noise=1.0, dt=0.02, horizon=6
    ),
}
ALL = pytest.mark.parametrize("simulate", SIMULATORS.values(), ids=SIMULATORS)


def norm(beta):
    return abs(beta).sum(-1)


@ALL
def test_the_first_64_replicas_of_100_are_those_of_64(simulate):
    few, many = simulate(replicas=64, rng=3), simulate(replicas=100, rng=3)
    for name in ("beta", "loss", "loss_integral", "log_alpha_effective"):
        assert np.array_equal(getattr(few, name), getattr(many, name)[:64])


@ALL
def test_one_replica_is_the_row_of_many(simulate):
    # to rounding: products of other shapes round otherwise, and 300 steps let it grow to 1e-13
    one, many = simulate(replicas=1, rng=3), simulate(replicas=10, rng=3)
    assert np.allclose(one.beta[0], many.beta[0], rtol=1e-10, atol=1e-12)
    assert not np.allclose(many.beta[0], many.beta[1], rtol=1e-4)


@ALL
def test_workers_do_not_change_a_digit(simulate):
    here = simulate(replicas=130, rng=3)
    with ThreadPoolExecutor(2) as executor:
        threads = simulate(replicas=130, rng=3, executor=executor)
    assert np.array_equal(here.beta, threads.beta)
    assert np.array_equal(here.loss, threads.loss)


def test_processes_give_the_same_numbers_and_refuse_nameless_functions():
    simulate = partial(SIMULATORS["sgd"], replicas=70, rng=3)
    with ProcessPoolExecutor(1) as executor:
        there = simulate(observe={"norm": norm}, executor=executor)
        with pytest.raises(TypeError, match="def at the top of a module"):
            simulate(observe={"norm": lambda beta: beta}, executor=executor)
    here = simulate(observe={"norm": norm})
    assert np.array_equal(here.beta, there.beta)
    assert np.array_equal(here.observed["norm"], there.observed["norm"])


def test_an_error_in_a_worker_is_not_mistaken_for_a_sending_error():
    def fails(beta):
        raise AttributeError("mine")

    with ThreadPoolExecutor(1) as executor, pytest.raises(AttributeError, match=r"^mine$"):
        SIMULATORS["sgd"](observe={"norm": fails}, executor=executor)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_how_many_numbers_are_drawn_at_once_does_not_matter(chunk, monkeypatch):
    whole = [SIMULATORS[name](replicas=3, rng=0).beta for name in ("flow", "sgd", "batches")]
    monkeypatch.setattr("lib.diffusions._paths.CHUNK", chunk * 6)
    monkeypatch.setattr("lib.descent._network.CHUNK", chunk)
    again = [SIMULATORS[name](replicas=3, rng=0).beta for name in ("flow", "sgd", "batches")]
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_a_generator_moves_on_and_a_seed_does_not():
    generator = np.random.default_rng(0)
    first, second = (ensembles.streams(generator, 2)[0].random() for _ in range(2))
    assert first != second
    assert first == ensembles.streams(0, 1)[0].random()


def test_recorded_steps_are_both_ends_and_nearest():
    assert ensembles.recorded_steps(5, 0.1, 100).tolist() == [0, 25, 50, 75, 100]
    assert ensembles.recorded_steps(50, 0.1, 3).tolist() == [0, 1, 2, 3]
    assert ensembles.recorded_steps([0.0, 0.26, 10.0], 0.1, 100).tolist() == [0, 3, 100]


@pytest.mark.parametrize(
    "record", [1, 0, -3, 2.5, [1.0, 0.5], [-1.0, 2.0], [0.0, 11.0], [], [0.0, np.nan], [[0.0]], True, "all"]
)
def test_recorded_instants_are_checked(record):
    with pytest.raises((ValueError, TypeError), match="received"):
        ensembles.recorded_steps(record, 0.1, 100)


def test_every_field_belongs_to_the_last_recorded_instant():
    short, long = SIMULATORS["flow"](record=[1.0, 3.0], rng=0), SIMULATORS["flow"](rng=0)
    assert short.times.tolist() == [1.0, 3.0]
    assert short.loss.shape == (1, 2)
    assert short.loss_integral < long.loss_integral
    assert np.isclose(short.loss[0, -1], ((X @ short.beta[0] - Y) ** 2).sum() / 24, rtol=1e-10)


def test_observers_get_their_own_copy():
    def spoil(beta):
        beta[:] = 0
        return beta

    run = SIMULATORS["sgd"](observe={"spoiled": spoil, "path": lambda beta: beta}, rng=0)
    assert np.array_equal(run.beta, SIMULATORS["sgd"](rng=0).beta)
    assert np.array_equal(run.observed["path"][:, -1], run.beta)
    assert run.observed["path"].shape == (1, 50, 15)
    assert not np.array_equal(run.observed["path"][:, 1], run.beta)


@pytest.mark.parametrize("observe", [{"sum": np.sum}, {"path": 3}, [1], "beta"])
def test_observers_are_checked(observe):
    with pytest.raises((ValueError, TypeError), match="observe"):
        SIMULATORS["sgd"](observe=observe, replicas=2)


def test_the_recorder_keeps_what_it_has_seen():
    recorder, loss, integral = ensembles.Recorder(None), np.ones(2), np.zeros(2)
    for _ in range(2):
        recorder.take(np.ones((2, 3)), loss, integral)
        loss *= 0.5  # simulators reuse their buffers
        integral += 1
    assert recorder.result()["loss"].tolist() == [[1.0, 0.5]] * 2
    assert recorder.result()["integral"].tolist() == [[0.0, 1.0]] * 2


def test_an_executor_without_submit_is_refused():
    with pytest.raises(TypeError, match="submit"):
        SIMULATORS["sgd"](executor=4)


@pytest.mark.parametrize(
    ("loss", "integral", "lost"),
    [
        ([1.0, 0.5, 0.1], [0.0, 0.1, 0.2], 0),
        ([1.0, np.inf, 0.1], [0.0, 0.1, 0.2], 2),
        ([1.0, 2e6, 0.1], [0.0, 0.1, 0.2], 2),
        ([1.0, 0.5, 0.1], [0.0, 0.1, 1e6], 1),  # an excursion between instants
        ([1.0, 0.5, np.nan], [0.0, 0.1, 0.2], 1),
        ([1.0, 0.5, 0.1], [np.nan, np.nan, np.nan], 0),
    ],
)
def test_a_diverged_replica_is_blank_from_the_first_sign_on(loss, integral, lost):
    found = {
        "loss": np.array([loss]),
        "integral": np.array([integral]),
        "beta": np.ones((1, 2)),
        "observed": {"path": np.ones((1, 3, 2))},
    }
    struck = ensembles.strike_out(found, 1.0, 0.1, 10, "Do less.")
    assert np.isnan(struck["loss"]).sum() == lost
    assert np.isnan(struck["observed"]["path"]).sum() == 2 * lost
    assert (
        np.isnan(struck["beta"]).all() == bool(lost) == bool(struck["status"][0]) == bool(struck["message"])
    )
