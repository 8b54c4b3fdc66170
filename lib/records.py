"""What simulators and solvers return, and the checks at the door that all of them share.

Failure is data: a record carries ``status`` (0 = fine) and ``message``, a sentence with the remedy.
Bad input is not failure: it is refused before any work, by a ``ValueError`` or ``TypeError`` whose
sentence names the value received, the condition it breaks, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np

__all__ = ["CONVERGED", "DIVERGED", "INFEASIBLE", "UNCERTIFIED", "Record", "Run", "RunFailed", "Solution"]

CONVERGED = 0  # a solver's certificate holds; a simulator's run is finite to its end
DIVERGED = 1  # a simulator's run left the finite numbers, or its loss grew beyond recall
INFEASIBLE = 2  # no solution exists (Xβ = y is inconsistent)
UNCERTIFIED = 3  # a solver stopped with a certificate that is not good enough


class RunFailed(RuntimeError):
    """A record with a non-zero status was asked to raise."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every result has: a status, and a sentence saying what to do about it.

    Parameters
    ----------
    status : int or ndarray of int, shape (R,)
        0 where all is well; otherwise one of the constants of this module.
    message : str
        Empty when every status is 0; otherwise what happened and the remedy.
    """

    status: int | np.ndarray = CONVERGED
    message: str = ""

    def raise_if_failed(self):
        """Return the record itself, or raise if any status is not 0.

        Returns
        -------
        Record
            The same record, so that the call can be chained.

        Raises
        ------
        RunFailed
            With the record's message, when any status is not 0.

        Examples
        --------
        >>> from lib.records import Record
        >>> Record().raise_if_failed().status
        0
        """
        if np.any(np.asarray(self.status) != CONVERGED):
            raise RunFailed(self.message)
        return self


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """What a simulator returns; R replicas, T recorded instants, d coordinates.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Recorded instants in flow time; ``k · step_size`` for a discrete algorithm.
    loss : ndarray, shape (R, T)
        Training loss L(β) = ‖Xβ − y‖²/4n at those instants.
    beta : ndarray, shape (R, d)
        State at the last instant: never silently the limit.
    loss_integral : ndarray, shape (R,)
        ∫L dt over the whole run, by the left-point rule at every step of the simulator.
    log_alpha_effective : ndarray, shape (R, d)
        log of the effective initialisation reached at the end.
    observed : dict of str to ndarray, shapes (R, T, ...)
        What ``observe`` asked for.
    loss_integral_tail : ndarray, shape (R,)
        Estimate of what ``loss_integral`` still misses at the end of the run, from the decay rate of L.
    geometry : potential or class of potentials, optional
        In which geometry the run moves: a potential, or the class of an entropy whose α is
        ``log_alpha_effective``. ``bias.limit`` finishes a run in it, and refuses one without.
    status : ndarray of int, shape (R,)
        0 where the replica is finite to the end.
    message : str
        What happened to the others, and the remedy.
    """

    times: np.ndarray
    loss: np.ndarray
    beta: np.ndarray
    loss_integral: np.ndarray
    log_alpha_effective: np.ndarray
    observed: Mapping[str, np.ndarray] = field(default_factory=dict)
    loss_integral_tail: np.ndarray | None = None
    geometry: object | None = None


@dataclass(frozen=True, kw_only=True)
class Solution(Record):
    """What a solver returns: the point and the certificate that it is the right one.

    Parameters
    ----------
    beta : ndarray, shape (d,) or (R, d)
        The minimiser; NaN when there is none.
    dual : ndarray, shape (n,) or (R, n)
        Dual variable; its meaning is stated by the solver.
    residual : float or ndarray, shape (R,)
        Relative residual ‖Xβ − y‖/‖y‖ (0 when y = 0); KKT residual for the Lasso.
    gap : float or ndarray, shape (R,)
        Relative duality gap: an upper bound on how far the objective is from its minimum.
    iterations : int or ndarray, shape (R,)
        Iterations used.
    status : int or ndarray, shape (R,)
        0 where the certificate holds.
    message : str
        What is wrong otherwise, and the remedy.
    """

    beta: np.ndarray
    dual: np.ndarray
    residual: float | np.ndarray
    gap: float | np.ndarray
    iterations: int | np.ndarray


# --- the door -------------------------------------------------------------------------------------


def as_array(name, value, *, ndim=None) -> np.ndarray:
    """A finite float64 array, or a sentence; ``ndim`` is the allowed number of dimensions, or a tuple."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be an array of numbers; received {_show(value)}. Convert it first."
        ) from error
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        dims = " or ".join(str(k) for k in allowed)
        raise ValueError(f"{name} must have {dims} dimension(s); received shape {array.shape}. Reshape it.")
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))
        raise ValueError(
            f"{name} must be finite; received {len(bad)} NaN or infinite value(s), the first at index "
            f"{tuple(int(k) for k in bad[0])}. Remove or impute them."
        )
    return array


def as_design(X) -> np.ndarray:
    """X (n, d), finite and non-empty, or a sentence."""
    X = as_array("X", X, ndim=2)
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"X must have at least one row and one column; received shape {X.shape}. Pass some data."
        )
    return X


def as_data(X, y) -> tuple[np.ndarray, np.ndarray]:
    """X (n, d) and y (n,), finite, non-empty and of matching length, or a sentence."""
    X, y = as_design(X), as_array("y", y, ndim=1)
    if len(y) != len(X):
        raise ValueError(
            f"y must have one entry for each row of X; received {len(y)} for {len(X)} rows. "
            "Match their lengths."
        )
    return X, y


def as_coefficients(name, value, p) -> np.ndarray:
    """An array of shape (p,), or a sentence."""
    value = as_array(name, value, ndim=1)
    if len(value) != p:
        raise ValueError(
            f"{name} must have one entry for each of the {p} columns of X; received {len(value)}. "
            "Match their lengths."
        )
    return value


def as_log_alpha(log_alpha, d: int) -> np.ndarray:
    """log α as an array of shape (d,), from a number or one number a coordinate, or a sentence."""
    log_alpha = as_array("log_alpha", log_alpha, ndim=(0, 1))
    if log_alpha.ndim == 1 and log_alpha.shape != (d,):
        raise ValueError(
            f"log_alpha must be a number or have one entry for each of the {d} coordinates; received shape "
            f"{log_alpha.shape}. Pass log(α), a float or an array ({d},)."
        )
    return np.broadcast_to(log_alpha, (d,)).copy()


def as_positive(name, value, *, zero=False) -> float:
    """A finite positive float (or zero, if allowed), or a sentence."""
    if isinstance(value, bool) or not isinstance(value, (Real, np.ndarray)) or np.ndim(value) != 0:
        raise TypeError(f"{name} must be a single number; received {_show(value)}. Pass a float.")
    value = float(value)
    if not np.isfinite(value) or value < 0 or (value == 0 and not zero):
        condition = "finite and at least 0" if zero else "finite and greater than 0"
        raise ValueError(f"{name} must be {condition}; received {value}. Choose another {name}.")
    return value


def as_times(name, value) -> np.ndarray:
    """A number or an array (T,), finite and nowhere negative, or a sentence."""
    value = as_array(name, value, ndim=(0, 1))
    if (value < 0).any():
        raise ValueError(f"{name} must be at least 0; received {value.min()}. Choose another {name}.")
    return value


def as_count(name, value, *, least=1, most=None) -> int:
    """An integer between ``least`` and ``most``, or a sentence."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number; received {_show(value)}. Pass an int.")
    if value < least or (most is not None and value > most):
        condition = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {condition}; received {value}. Choose another {name}.")
    return int(value)


def as_generator(rng) -> np.random.Generator:
    """Whatever ``numpy.random.default_rng`` takes, or a sentence."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"rng must be a seed, a SeedSequence or a numpy Generator; received {_show(rng)}. Pass an int."
        ) from error


def as_observers(observe) -> dict[str, Callable]:
    """A dict of name to function of β (R, d), or a sentence; None is no observer."""
    if observe is None:
        return {}
    if not isinstance(observe, Mapping) or not all(callable(f) for f in observe.values()):
        raise TypeError(
            f"observe must map names to functions of beta (R, d); received {_show(observe)}. "
            'Pass for example {"path": lambda beta: beta}.'
        )
    return dict(observe)


def _show(value) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
