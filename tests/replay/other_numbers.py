"""Imported first in a kernel: a chapter's random numbers become slightly other ones, or of another seed.

``LAST_BITS=seed``: every real random number is multiplied by 1 + kε, ε one unit in the last place and k one
of −2 … 2, taken from the number's own bits and the seed, so that two draws with one seed stay equal. That is
what another processor's exponentials and sums do, and more than any of them. Whole numbers (which sample is
drawn) stay as they are.

``FRESH_SEED=seed``: every seed that a chapter types becomes another one. ``FRESH_DATA=kept`` leaves out the
seeds that data sets are drawn with.
"""

import os
import sys

import numpy as np

REAL = (
    *("random", "uniform", "normal", "standard_normal", "exponential", "standard_exponential"),
    *(
        "gamma",
        "standard_gamma",
        "standard_t",
        "chisquare",
        "beta",
        "laplace",
        "lognormal",
        "multivariate_normal",
    ),
)
DATA = {"lib.problems", "lib.problems.designs"}
original = np.random.default_rng


def last_bits(drawn, seed):
    """The same numbers, each changed by at most two units in its last place."""
    values = np.asarray(drawn)
    if values.dtype.kind != "f":
        return drawn
    bits = values.view(np.uint64 if values.itemsize == 8 else np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed = (bits ^ np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    k = ((mixed >> np.uint64(40)) % np.uint64(5)).astype(values.dtype) - 2
    return values * (1 + k * np.finfo(values.dtype).eps)


def changed(name, seed):
    """The method of a Generator, with the last bits of what it returns, or writes into ``out``, changed."""
    plain = getattr(np.random.Generator, name)

    def method(self, *args, **kwargs):
        drawn = plain(self, *args, **kwargs)
        if kwargs.get("out") is not None:
            kwargs["out"][...] = last_bits(kwargs["out"], seed)
            return kwargs["out"]
        return last_bits(drawn, seed) if isinstance(drawn, np.ndarray) else float(last_bits(drawn, seed))

    return method


if "LAST_BITS" in os.environ:
    seed = int(os.environ["LAST_BITS"])
    Rounded = type("Rounded", (np.random.Generator,), {name: changed(name, seed) for name in REAL})

    def default_rng(given=None):
        """As NumPy's, with other last bits; children that are spawned inherit the class."""
        found = original(given)
        return found if isinstance(found, Rounded) else Rounded(found.bit_generator)

    np.random.default_rng = default_rng

if "FRESH_SEED" in os.environ:
    shift = int(os.environ["FRESH_SEED"])

    def default_rng(given=None):
        """As NumPy's, for another seed."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__") in {"lib.records", "lib.ensembles"}:
            frame = frame.f_back
        kept = os.environ.get("FRESH_DATA") == "kept" and frame.f_globals.get("__name__") in DATA
        whole = np.asarray(given if isinstance(given, int | list | tuple | np.integer) else 0.5)
        fresh = whole.dtype.kind in "iu" and not kept
        return original([*map(int, whole.ravel()), shift] if fresh else given)

    np.random.default_rng = default_rng
