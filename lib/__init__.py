"""Which of the solutions that fit does the algorithm pick, and what does noise change?

The house follows the one picture of the book:

    problem (X, y)  ×  geometry (potential)  ×  algorithm (flow, descent, diffusion)  →  the point chosen

Its doors, floor by floor; a door imports only from the floors below it. Each opens when it is asked for:
``from lib import problems, potentials, bias``, or ``import lib`` and ``lib.bias``.

    floor 0   records
    floor 1   ensembles, potentials, problems, conventions
    floor 2   batches, bias, flows, statics
    floor 3   modified, descent, diffusions, regression, meanfield
    side      evidence, figures, explore
    top       pages

Beside the mathematics stand ``evidence``, ``figures`` and ``explore``, which know nothing of it. What a
folder holds behind its door is said in its first lines; files whose name begins with ``_`` are workshops of
their folder.
"""

import importlib
import re

DOORS = tuple(re.findall(r"\w+", " ".join(re.findall(r"(?m)^    (?:floor \d|side|top) +(.*)$", __doc__))))


def __getattr__(name):
    if name in DOORS:
        return importlib.import_module(f"lib.{name}")
    raise AttributeError(f"lib has no door {name!r}; it has {', '.join(DOORS)}")


def __dir__():
    return [*DOORS]
