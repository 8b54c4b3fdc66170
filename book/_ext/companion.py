"""What this book needs of Sphinx beyond its extensions: verdicts from the run, offline pages, refusals.

- refuses notebooks with cells not executed or errors in their outputs, and pages in no table of contents;
- writes book/_generated/scoreboard.md from the ledger and the notebooks' records before anything is read, and
  claims.json beside the built pages afterwards; a claim that is not settled makes the build fail, but only
  after the pages were written, so that the scoreboard can be looked at;
- ``{claim}`` followed by an id in backticks is that claim's verdict, linked to its row;
- ``{runtime}`` followed by a notebook's name is how long it took when it was last executed;
- ``{explorer}`` with a notebook's name shows that notebook's explorer on another page;
- refuses formulas MathJax could not set;
- takes out the scripts the theme would load from other hosts;
- lets docstrings be plain text with formulas: bars and lone asterisks are no markup.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import ClassVar

import formulas
import ledger
import scoreboard
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

from lib.evidence import badges, claims

SCOREBOARD = "book/scoreboard"
MARKS = re.compile(
    r"(``.+?``|`[^`]+`|(?<!\w)\*\*[^\s*][^*]*\*\*(?!\w)|(?<!\w)\*[^\s*][^*]*\*(?!\w))"  # code or emphasis
    r"|([|*])"  # a bar, or an asterisk alone
)
logger = logging.getLogger(__name__)


def missing_pages(root, known) -> list[str]:
    """Pages in book/ and notebooks/ which are not among the ``known`` documents (paths without suffix)."""
    root = Path(root)
    pages = [path for folder in ("book", "notebooks") for path in sorted((root / folder).rglob("*"))]
    pages = [path for path in pages if path.suffix in {".md", ".ipynb"}]
    names = [path.relative_to(root).with_suffix("").as_posix() for path in pages]
    hidden = ("_generated", "_ext", ".ipynb_checkpoints")
    return [
        name for name in names if name not in known and not any(part in name.split("/") for part in hidden)
    ]


def refuse(faults):
    """Stop the build with every fault on its own line; no fault, no stop."""
    if faults:
        raise ExtensionError("\n  ".join([f"{len(faults)} fault(s) in the book:", *faults]))


def prepare(app):
    """Before reading: refuse what cannot be built, write the scoreboard, remember the verdicts."""
    found = ledger.notebooks(app.srcdir)
    faults = [fault for name, notebook in found.items() for fault in ledger.cell_faults(name, notebook)]
    refuse(faults)
    entries = ledger.with_records(app.srcdir)
    app.companion_entries = {entry["id"]: entry for entry in entries}
    script = Path(app.srcdir, "book/_static", app.config.mathjax_path).read_text(encoding="utf-8")
    app.companion_macros = formulas.defined(script)
    titles = {name: scoreboard.title(notebook) for name, notebook in found.items()}
    page = Path(app.srcdir, "book/_generated/scoreboard.md")
    text = scoreboard.render(entries, titles)
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")


def check_formulas(app, doctree):
    """While reading: a warning, which stops the build, at each formula that MathJax could not set."""
    for node in doctree.findall(lambda node: isinstance(node, (nodes.math, nodes.math_block))):
        for fault in formulas.faults(node.astext(), app.companion_macros):
            logger.warning("formula %r: %s", node.astext()[:60], fault, location=node)


def check_pages(app, env):
    """After reading: refuse pages in no table of contents."""
    missing = missing_pages(app.srcdir, env.found_docs)
    refuse([f"{page} is in no table of contents: add it to _toc.yml" for page in missing])


def finish(app, exception):
    """After writing: claims.json at the root of the site; the exit code is 1 if a claim is not settled."""
    if exception is not None:
        return
    entries = list(app.companion_entries.values())
    public = [{key: value for key, value in entry.items() if key != "notebooks"} for entry in entries]
    text = json.dumps(public, indent=1, ensure_ascii=False) + "\n"
    Path(app.outdir, "claims.json").write_text(text, encoding="utf-8")
    found = [
        record for notebook in ledger.notebooks(app.srcdir).values() for record in claims.records(notebook)
    ]
    for fault in ledger.claim_faults(entries, found):
        logger.error(fault)
        app.statuscode = 1


class RuntimeRole(SphinxRole):
    """How long a notebook took when it was last executed here."""

    def run(self):
        times = Path(self.env.app.srcdir, "book/_generated/runtimes.json")
        seconds = json.loads(times.read_text(encoding="utf-8")) if times.exists() else {}
        if not Path(self.env.app.srcdir, "notebooks", f"{self.text}.ipynb").exists():
            logger.warning("no notebook %r", self.text, location=self.get_location())
        known = f"{seconds[self.text]:.0f} s" if self.text in seconds else "not timed"
        return [nodes.inline(text=known)], []


class ClaimRole(SphinxRole):
    """The verdict of a claim in a line of text, linked to its row on the scoreboard."""

    def run(self):
        entry = self.env.app.companion_entries.get(self.text)
        if entry is None:
            logger.warning("no claim %r in book/claims.toml", self.text, location=self.get_location())
            return [nodes.literal(text=self.text)], []
        kinds = [record.get("evidence", "independent") for record in entry["records"]]
        glyph, word = badges.word(entry["status"], kinds)
        text = nodes.inline(text=f"{glyph} {word}", classes=["claim-badge", entry["status"]])
        target = f"claim-{self.text}"
        builder = self.env.app.builder
        return [make_refnode(builder, self.env.docname, SCOREBOARD, target, text, entry["statement"])], []


class ExplorerDirective(SphinxDirective):
    """The explorer of a notebook, on another page; ``number`` counts from 1 when the notebook has several."""

    required_arguments = 1
    option_spec: ClassVar = {"number": directives.positive_int}

    def run(self):
        name, number = self.arguments[0], self.options.get("number", 1)
        found = ledger.explorers(ledger.notebooks(self.env.srcdir).get(name, {"cells": []}))
        if len(found) < number:
            raise self.error(f"notebooks/{name}.ipynb shows no explorer of number {number}")
        return [nodes.raw("", found[number - 1], format="html")]


def offline(app, pagename, templatename, context, doctree):
    """Drop the launcher of live code, which comes from another host, and settle the theme's mode."""
    files = context.get("script_files", [])
    files[:] = [
        script
        for script in files
        if "THEBE_JS_URL" not in (getattr(script, "attributes", {}).get("body") or "")
        and "sphinx-thebe.js" not in str(getattr(script, "filename", script))
    ]
    context["default_mode"] = "auto"


def plain(app, what, name, obj, options, lines):
    """Escape the bars of |x| and a lone asterisk in docstrings, which are text and not markup."""
    example = False
    for k, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and line.strip() != "")
        if not example:
            lines[k] = MARKS.sub(lambda match: match[1] or "\\" + match[2], line)


def setup(app):
    """Connect everything."""
    app.add_role("claim", ClaimRole())
    app.add_role("runtime", RuntimeRole())
    app.add_directive("explorer", ExplorerDirective)
    app.connect("builder-inited", prepare)
    app.connect("doctree-read", check_formulas)
    app.connect("env-check-consistency", check_pages)
    app.connect("autodoc-process-docstring", plain, priority=100)  # before numpydoc takes the sections apart
    app.connect("html-page-context", offline, priority=900)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
