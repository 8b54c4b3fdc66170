"""Many replicas of one experiment: blocks, random streams, executors, and what is recorded on the way.

A simulator advances a block of up to 64 replicas at once. Every replica owns one random stream, the child of
the seed with its own number, and draws from it alone. So the numbers depend neither on how many workers share
the blocks nor on how many replicas come after: the first 64 replicas of 1,000 are those of a run with 64.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from lib.records import CONVERGED, DIVERGED, as_array, as_count, as_generator, as_observers, as_times

BLOCK = 64  # replicas advanced together: their arrays stay in a core's cache


def streams(rng, replicas: int) -> list[np.random.Generator]:
    """One generator a replica, in the order in which simulators hand them out.

    Parameters
    ----------
    rng : int, SeedSequence or numpy Generator
        Seed; a Generator is advanced, so that a second call gives other streams.
    replicas : int
        How many.

    Returns
    -------
    list of numpy Generator
        The children of the seed; the first 64 of 1,000 are those of 64.

    Raises
    ------
    ValueError
        When ``replicas`` is below 1.
    TypeError
        When ``rng`` is not a seed.

    Examples
    --------
    >>> from lib.ensembles import streams
    >>> streams(0, 100)[2].random() == streams(0, 3)[2].random()
    True
    """
    return as_generator(rng).spawn(as_count("replicas", replicas))


def run_blocks(task: Callable, rng, replicas: int, *, executor: Executor | None = None) -> dict:
    """Give the replicas' streams to ``task`` in blocks of 64 and join what it returns.

    Parameters
    ----------
    task : callable
        From a list of streams, one a replica, to a dict of arrays with the replicas as leading axis; dicts of
        such arrays may be nested. For a process pool it must be picklable.
    rng : int, SeedSequence or numpy Generator
        Seed.
    replicas : int
        How many.
    executor : concurrent.futures.Executor, optional
        Where blocks run: threads, processes, a Dask or MPI cluster. Without one, here, one after the other.

    Returns
    -------
    dict
        As ``task`` returns, with all replicas.

    Raises
    ------
    TypeError
        When the executor is none, or cannot send the task to its workers.

    Examples
    --------
    >>> from lib.ensembles import run_blocks
    >>> means = run_blocks(lambda block: {"x": [s.normal() for s in block]}, 0, 100)
    >>> means["x"].shape
    (100,)
    """
    drawn = streams(rng, replicas)
    blocks = [drawn[first : first + BLOCK] for first in range(0, len(drawn), BLOCK)]
    if executor is None:
        return _join([task(block) for block in blocks])
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor must have the method submit of concurrent.futures; received "
            f"{type(executor).__name__}. Pass for example ProcessPoolExecutor()."
        )
    try:
        futures = [executor.submit(task, block) for block in blocks]
        return _join([future.result() for future in futures])
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if not isinstance(error, pickle.PicklingError) and "pickle" not in str(error):
            raise  # the task's own
        raise TypeError(
            f"The executor could not send the run to its workers ({error}). Processes need functions with "
            "a name: write observe with def at the top of a module, or use a ThreadPoolExecutor."
        ) from error


def recorded_steps(record, step: float, steps: int) -> np.ndarray:
    """Numbers of the steps to record, from how many instants or which.

    Parameters
    ----------
    record : int or array_like, shape (T,)
        How many equally spaced instants, both ends included, or the increasing instants themselves; an
        instant is moved to the nearest step, and two at the same step are recorded once.
    step : float
        Time of one step.
    steps : int
        Steps of the whole run.

    Returns
    -------
    ndarray of int
        Increasing, from 0 to ``steps``; the run ends at the last of them.

    Raises
    ------
    ValueError
        When instants do not increase, are negative or beyond the end.

    Examples
    --------
    >>> from lib.ensembles import recorded_steps
    >>> recorded_steps(3, 0.1, 10).tolist(), recorded_steps([0.0, 0.31], 0.1, 10).tolist()
    ([0, 5, 10], [0, 3])
    """
    if np.ndim(record) == 0:
        return np.unique(np.rint(np.linspace(0, steps, as_count("record", record, least=2))).astype(int))
    times = as_times("record", as_array("record", record, ndim=1))
    end = step * steps
    if len(times) == 0 or (np.diff(times) <= 0).any() or times[-1] > end + step / 2:
        raise ValueError(
            f"record must be increasing instants between 0 and {end:.6g}; received {times}. "
            "Sort and cut them."
        )
    return np.unique(np.rint(times / step).astype(int))


class Recorder:
    """What a block has seen at the recorded instants.

    Parameters
    ----------
    observe : dict of str to callable, or None
        Functions of β (R, d).

    Raises
    ------
    ValueError
        When an observation's leading axis is not the replicas.
    TypeError
        When ``observe`` maps to something else than functions.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.ensembles import Recorder
    >>> recorder = Recorder({"norm": lambda beta: abs(beta).sum(-1)})
    >>> recorder.take(np.ones((2, 3)), np.zeros(2), np.zeros(2))
    >>> recorder.result()["observed"]["norm"].shape
    (2, 1)
    """

    def __init__(self, observe):
        self.observe = as_observers(observe)
        self.seen = {name: [] for name in self.observe}
        self.loss, self.integral = [], []

    def take(self, beta, loss, integral):
        """Record one instant.

        Parameters
        ----------
        beta : ndarray, shape (R, d)
            State; observers get a copy.
        loss : ndarray, shape (R,)
            Training loss.
        integral : ndarray, shape (R,)
            ∫L dt so far.
        """
        self.loss.append(loss.copy())
        self.integral.append(integral.copy())
        for name, function in self.observe.items():
            value = np.array(function(beta.copy()), dtype=np.float64)
            if value.shape[:1] != beta.shape[:1]:
                raise ValueError(
                    f"observe[{name!r}] must keep the replicas as leading axis; from beta {beta.shape} it "
                    f"made {value.shape}. Sum over the last axis, for example."
                )
            self.seen[name].append(value)

    def result(self) -> dict:
        """Everything recorded.

        Returns
        -------
        dict
            ``loss`` and ``integral`` (R, T), ``observed``: name to (R, T, ...).
        """
        return {
            "loss": np.stack(self.loss, axis=1),
            "integral": np.stack(self.integral, axis=1),
            "observed": {name: np.stack(values, axis=1) for name, values in self.seen.items()},
        }


def strike_out(found: dict, scale: float, step: float, steps: int, remedy: str) -> dict:
    """Write NaN over replicas that diverged, from the first sign of it on, and say so.

    A replica diverges when its loss is not finite or exceeds 10⁶ times the scale; an excursion between two
    recorded instants is seen in ∫L, which then exceeds (10⁶ + 100·steps)·step·scale.

    Parameters
    ----------
    found : dict
        Arrays with leading axis R, among them ``loss`` and ``integral`` (R, T), nested in ``observed`` too;
        ``integral`` may be NaN where it is not kept.
    scale : float
        Size of the loss of a run that goes well: the larger of loss at 0 and noise.
    step : float
        Time of one step.
    steps : int
        Steps of the run.
    remedy : str
        A sentence saying what to change.

    Returns
    -------
    dict
        The same arrays without ``integral``, with ``status`` (R,) and ``message``.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.ensembles import strike_out
    >>> found = {"loss": np.array([[1.0, 1e9]]), "integral": np.zeros((1, 2)), "observed": {}}
    >>> strike_out(found, 1.0, 0.1, 10, "Choose a smaller step.")["message"]
    '1 of 1 replicas diverged; NaN from there on. Choose a smaller step.'
    """
    found = dict(found)
    with np.errstate(invalid="ignore"):
        wild = ~(found["loss"] <= 1e6 * scale) | (found.pop("integral") > (1e6 + 100 * steps) * step * scale)
    wild = np.logical_or.accumulate(wild, axis=1)
    lost = wild[:, -1]
    for name, value in found.items():
        if name == "observed":
            found[name] = {key: _blank(array, wild) for key, array in value.items()}
        else:
            found[name] = _blank(value, wild if name == "loss" else lost)
    found["status"] = np.where(lost, DIVERGED, CONVERGED)
    count = np.count_nonzero(lost)
    found["message"] = (
        f"{count} of {len(lost)} replicas diverged; NaN from there on. {remedy}" if count else ""
    )
    return found


def _join(parts):
    first = parts[0]
    if isinstance(first, dict):
        return {name: _join([part[name] for part in parts]) for name in first}
    return np.concatenate(parts)


def _blank(array, rows):
    array = array.copy()
    array[rows] = np.nan
    return array
