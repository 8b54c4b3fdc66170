"""Every public docstring is complete, and its example runs.

Public is what a module lists in ``__all__``, or without such a list every name that has no underscore.
"""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest
from numpydoc.validate import validate

ROOT = Path(__file__).parents[2]
PATHS = [
    path.relative_to(ROOT / "lib") for path in (ROOT / "lib").rglob("*.py") if path.parent != ROOT / "lib"
]
PATHS += [path.relative_to(ROOT / "lib") for path in (ROOT / "lib").glob("[!_]*.py")]
NAMES = sorted(".".join(path.with_suffix("").parts) for path in PATHS if path.name != "__init__.py")
MODULES = {name: importlib.import_module(f"lib.{name}") for name in NAMES}

# numpydoc's codes: sections known and in order, a summary that ends with a period, parameters and returns
# with type and description. Not asked for: where the quotes stand, capital letters before a formula.
CODES = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "SS01", "SS03", "SS04"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR09", "PR10"),
    *("RT01", "RT03", "RT05", "YD01", "EX01"),
}
CLASS = {"EX01", "PR03"}  # a result is seen in the examples of what returns it, its fields are given by name


def public(module):
    """The functions and classes a module defines, and the classes' own methods: (qualified name, codes)."""
    for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]):
        value = getattr(module, name)
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield f"{module.__name__}.{name}", CODES
        elif inspect.isclass(value):
            yield f"{module.__name__}.{name}", CODES - CLASS
            for member, found in vars(value).items():
                function = getattr(found, "fget", getattr(found, "func", found))
                own = inspect.isfunction(function) and function.__module__ == module.__name__
                if own and not member.startswith("_"):
                    yield f"{module.__name__}.{name}.{member}", CODES - CLASS


PUBLIC = dict(pair for module in MODULES.values() for pair in public(module))


@pytest.mark.parametrize("name", NAMES)
def test_a_module_says_what_it_is_about(name):
    assert len(MODULES[name].__doc__.splitlines()) >= 3


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_docstring_is_complete(name):
    faults = [f"{code}: {text}" for code, text in validate(name)["errors"] if code in PUBLIC[name]]
    assert faults == []


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_module_run(name):
    assert doctest.testmod(MODULES[name], optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
