r"""Formulas that MathJax could not set, found while building; the browser test sees the rest.

MathJax runs in the reader's browser, so a mistyped formula passes the build and shows as red text. What can
be seen without it: braces, environments and \left \right that do not match, macros its file does not define.
"""

from __future__ import annotations

import re
from itertools import accumulate

ESCAPED = re.compile(r"\\[\\{}%$&#_]")
MACRO = re.compile(r"\\([A-Za-z]+)")
ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([^}]*)\}")
DEFINED = re.compile(r"""[{,]["']?(?:\\\\)?([A-Za-z]+)\*?["']?:""")  # a key in one of MathJax's tables


def defined(script: str) -> set[str]:
    """The names MathJax's file has in its tables, macros and environments among them."""
    return set(DEFINED.findall(script))


def faults(tex: str, known: set[str]) -> list[str]:
    """What is wrong with a formula, as sentences."""
    macros = MACRO.findall(ESCAPED.sub(" ", tex))
    environments = ENVIRONMENT.findall(tex)
    names = {*macros, *(name.rstrip("*") for _, name in environments)}
    found = [f"unknown to MathJax: {name}" for name in sorted(names - known - {"begin", "end"})]
    depths = list(accumulate(1 if mark == "{" else -1 for mark in re.findall(r"[{}]", ESCAPED.sub(" ", tex))))
    if depths and (min(depths) < 0 or depths[-1] != 0):
        found.append("braces do not match")
    if macros.count("left") != macros.count("right"):
        found.append(r"\left and \right do not match")
    stack = []
    for side, name in environments:
        if side == "begin":
            stack.append(name)
        elif not stack or stack.pop() != name:
            return [*found, f"environment {name} ends without its beginning"]
    return found + [f"environment {name} does not end" for name in stack]
