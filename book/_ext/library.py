"""Write the pages of the library into a staged copy of the book: one a door, from what `lib` says of itself.

    python book/_ext/library.py STAGE

`lib.__doc__` lists the doors, a folder's first lines say what is behind each; every file whose name has no
underscore gets a section. The pages join the table of contents below book/api.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import lib

PARENT = "      - file: book/api\n"


def behind(door) -> list[str]:
    """The public files behind a door, by their module names; a door that is one file has none."""
    module = importlib.import_module(f"lib.{door}")
    folders = [Path(folder) for folder in getattr(module, "__path__", [])]
    return [f"lib.{door}.{path.stem}" for folder in folders for path in sorted(folder.glob("[!_]*.py"))]


def members(module, *options) -> str:
    """A module and the names it shows, each in full."""
    return "\n".join([f"```{{eval-rst}}\n.. automodule:: {module}", *options, "```"])


def page(door) -> str:
    """The page of one door: what it shows, the notation of the files it comes from, what is behind it."""
    module = importlib.import_module(f"lib.{door}")
    shown = [getattr(module, name) for name in getattr(module, "__all__", ())]
    sources = dict.fromkeys(getattr(value, "__module__", module.__name__) for value in shown)
    folder = hasattr(module, "__path__")
    parts = [f"(api-{door})=\n# {door}"]
    parts.append(members(module.__name__, "   :members:", *["   :imported-members:"] * folder))
    if folder:
        workshops = [name for name in sources if name.startswith(f"lib.{door}._")]
        parts += [members(name, "   :no-index:") for name in workshops]
    for name in behind(door):
        parts.append(f"## {name.removeprefix('lib.')}\n\n{members(name, '   :members:')}")
    return "\n\n".join(parts) + "\n"


def table() -> str:
    """The doors with their first lines, linked to their pages."""
    rows = []
    for door in lib.DOORS:
        first = importlib.import_module(f"lib.{door}").__doc__.splitlines()[0]
        rows.append(f"| {{ref}}`{door} <api-{door}>` | {first} |")
    return "\n".join(["| door | what is behind it |", "|---|---|", *rows]) + "\n"


def write(stage):
    """The pages, the table, and the entries of the table of contents."""
    stage = Path(stage)
    folder = stage / "book" / "library"
    folder.mkdir(exist_ok=True)
    for door in lib.DOORS:
        (folder / f"{door}.md").write_text(page(door), encoding="utf-8")
    (stage / "book/_generated").mkdir(exist_ok=True)
    (stage / "book/_generated/doors.md").write_text(table(), encoding="utf-8")
    toc = stage / "_toc.yml"
    entries = "".join(f"          - file: book/library/{door}\n" for door in lib.DOORS)
    text = toc.read_text(encoding="utf-8")
    toc.write_text(text.replace(PARENT, f"{PARENT}        sections:\n{entries}"), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1])
