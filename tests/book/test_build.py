"""What the book's extension refuses, on small notebooks made for it; and what it writes.

The whole chain, with a real build and its warnings, is `make book`.
"""

import json
from pathlib import Path

import check_html
import companion
import execute
import formulas
import ledger
import nbformat
import pytest
import scoreboard
from sphinx.errors import ExtensionError

from lib.evidence import claims

MATHJAX = "_static/mathjax/tex-svg-full.js"
RECORD = {
    "id": "good",
    "measured": 0.5,
    "error": 0.01,
    "expected": 0.5,
    "tolerance": 0.04,
    "relation": "equals",
    "miss": 0.0,
    "control": {"measured": 1.0, "miss": 0.5, "rejected": True, "name": "half of *it*"},
    "passed": True,
    "refuted": False,
    "error_kind": "s.e.",
    "cases": 3,
    "note": "",
}


def cell(source="1 + 1", count=1, outputs=()):
    return {
        "cell_type": "code",
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
        "metadata": {},
    }


def checked(**changes):
    """A cell whose output carries a record."""
    data = {"text/plain": "sentence", claims.MIME: RECORD | changes}
    return cell(outputs=[{"output_type": "display_data", "data": data, "metadata": {}}])


def book(folder, cells, ids=("good",)):
    """A folder with a ledger of these ids and a notebook of these cells."""
    entry = (
        '[[claim]]\nid = "{}"\nchapter = "toy"\nstatement = "S"\nsource = "T"\nkind = "law"\nboundary = "-"\n'
    )
    (folder / "book").mkdir()
    (folder / "notebooks").mkdir()
    (folder / "book/claims.toml").write_text("\n".join(entry.format(name) for name in ids))
    title = {"cell_type": "markdown", "source": ["(toy)=\n", "# Toy\n"], "metadata": {}}
    (folder / "notebooks/toy.ipynb").write_text(json.dumps({"cells": [title, *cells]}))
    return folder


def faults(folder):
    found = [record for notebook in ledger.notebooks(folder).values() for record in claims.records(notebook)]
    return ledger.claim_faults(ledger.with_records(folder), found)


def test_a_settled_claim_has_no_fault(tmp_path):
    assert faults(book(tmp_path, [checked()])) == []


@pytest.mark.parametrize(
    ("cells", "ids", "sentence"),
    [
        ([cell()], ["good"], "claim good is in the ledger but no notebook checks it"),
        ([checked(), checked(id="new")], ["good"], "a notebook checks new, which is not in the ledger"),
        ([checked(passed=False)], ["good"], "claim good fails"),
        ([checked(), checked(passed=False)], ["good"], "claim good fails"),
        (
            [checked(control=RECORD["control"] | {"rejected": False})],
            ["good"],
            "claim good has a check that accepts its own control, so it says nothing",
        ),
        (
            [checked(), checked(passed=False, refuted=True)],
            ["good"],
            "claim good is confirmed in one place and corrected in another",
        ),
    ],
)
def test_a_claim_that_is_not_settled_is_a_fault(tmp_path, cells, ids, sentence):
    assert faults(book(tmp_path, cells, ids)) == [sentence]


def test_a_claim_is_checked_in_its_chapter(tmp_path):
    folder = book(tmp_path, [checked()])
    (folder / "notebooks/toy.ipynb").rename(folder / "notebooks/other.ipynb")
    assert faults(folder) == ["claim good is checked, but not in its chapter toy"]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (cell(count=None), "toy.ipynb, code cell 2 was not executed: run make execute"),
        (
            cell(outputs=[{"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}]),
            "toy.ipynb, code cell 2 stores an error, ValueError: no",
        ),
    ],
)
def test_a_cell_not_executed_or_with_an_error_stops_the_build(broken, sentence):
    found = ledger.cell_faults("toy", {"cells": [cell(), broken, cell(source="", count=None)]})
    assert found == [sentence]
    with pytest.raises(ExtensionError, match="code cell 2"):
        companion.refuse(found)


def test_a_page_in_no_table_of_contents_is_found(tmp_path):
    folder = book(tmp_path, [])
    for name in ("index.md", "lost.md", "_generated/scoreboard.md", "_ext/note.md"):
        (folder / "book" / name).parent.mkdir(exist_ok=True)
        (folder / "book" / name).write_text("# Page\n")
    assert companion.missing_pages(folder, {"book/index"}) == ["book/lost", "notebooks/toy"]


def test_the_scoreboard_counts_in_words_and_escapes_plain_text(tmp_path):
    folder = book(tmp_path, [checked()])
    page = scoreboard.render(ledger.with_records(folder), {"toy": "Toy"})
    assert page.startswith("**1 claims: one holds as its source states it, none is false as printed")
    assert '<tr id="claim-good" class="holds">' in page
    assert 'data-h="Measured"' in page
    assert r"half of \*it\*" in page
    assert '<a href="../notebooks/toy.html#check-good">' in page


def test_explorers_are_found_in_order():
    html = ['<div class="lib-explorer">', "1</div>"]
    outputs = [
        {"output_type": "execute_result", "data": {"text/html": text}} for text in (html, ["<p>"], html[:1])
    ]
    assert ledger.explorers({"cells": [cell(outputs=outputs)]}) == ["".join(html), html[0]]


def test_bars_and_lone_asterisks_in_docstrings_are_text():
    lines = ["The *miss* |m − e| of `*args`, **not** β* .", ">>> a | b * c", "1 | 2", "", "x*|y|"]
    companion.plain(None, "function", "f", None, None, lines)
    assert lines[0] == r"The *miss* \|m − e\| of `*args`, **not** β\* ."
    assert lines[1:] == [">>> a | b * c", "1 | 2", "", r"x\*\|y\|"]


MACROS = formulas.defined((Path(companion.__file__).parents[1] / MATHJAX).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("tex", "fault"),
    [
        (
            r"\operatorname*{argmin}_{X\beta=y} \phi_\alpha(\beta), \quad \lVert r\rVert^2 \ge \tfrac12\|r\|",
            None,
        ),
        (r"\begin{aligned} a &= \left\{\{x\}\right. \\ b &= \mathbb R^n \end{aligned}", None),
        (r"\begin{cases} \text{a} & 1 \end{cases} \Big[\odot\Big] \widehat\Sigma \mathcal{O}(h^2)", None),
        (r"\undefinedmacro x", "unknown to MathJax: undefinedmacro"),
        (r"\begin{alinged} x \end{alinged}", "unknown to MathJax: alinged"),
        (r"\frac{1}{2", "braces do not match"),
        (r"x}{", "braces do not match"),
        (r"\left( x", r"\left and \right do not match"),
        (r"\begin{cases} x", "environment cases does not end"),
        (r"x \end{cases}", "environment cases ends without its beginning"),
    ],
)
def test_a_formula_mathjax_could_not_set_is_found(tex, fault):
    assert formulas.faults(tex, MACROS) == ([] if fault is None else [fault])


def test_what_differs_between_executions_is_left_out():
    widget = {"text/html": "<p>", "text/plain": "", execute.WIDGET_VIEW: {"model_id": "random"}}
    notebook = nbformat.v4.new_notebook(
        metadata={"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}},
        cells=[nbformat.v4.new_code_cell("f()", outputs=[nbformat.v4.new_output("display_data", widget)])],
    )
    cleaned = execute.without_noise(notebook)
    assert "widgets" not in cleaned.metadata
    assert cleaned.metadata.language_info == {"name": "python"}
    assert set(cleaned.cells[0].outputs[0].data) == {"text/html", "text/plain"}


# --- the check of the built pages ------------------------------------------------------------------

GOOD = '<p id="a"><a href="#a">up</a> <a href="other.html#b">other</a> <a href="https://x.org/">out</a></p>'


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (GOOD, None),
        ('<img src="p.svg" alt="Two curves fall."><script src="s.js"></script>', None),
        ('<script src="https://cdn.org/s.js"></script>', "loads https://cdn.org/s.js"),
        ('<link rel="stylesheet" href="//cdn.org/s.css">', "loads //cdn.org/s.css"),
        ('<p style="background: url(https://x.org/p.png)">', "loads https://x.org/p.png"),
        ('<style>@import "https://x.org/s.css";</style>', "loads https://x.org/s.css"),
        ('<img src="p.svg">', "picture without a real alternative text: ''"),
        (
            '<img src="p.svg" alt="../_images/p 1.svg">',
            "picture without a real alternative text: '../_images/p 1.svg'",
        ),
        ('<a href="#nowhere">x</a>', "#nowhere has no such target"),
        ('<a href="other.html#c">x</a>', "other.html#c has no such target"),
        ('<a href="gone.html">x</a>', "gone.html is no file"),
        ('<a href="folder/">x</a>', "folder/ is no file"),
        ('<a href="/index.html">x</a>', "/index.html does not work from a folder on disk"),
    ],
)
def test_a_fault_of_a_built_page_is_found(tmp_path, body, fault):
    (tmp_path / "folder").mkdir()
    for name in ("p.svg", "s.js"):
        (tmp_path / name).write_text("")
    (tmp_path / "other.html").write_text('<p id="b">other</p>')
    (tmp_path / "index.html").write_text(body)
    assert check_html.faults(tmp_path) == ([] if fault is None else [f"index.html: {fault}"])


def test_a_style_sheet_that_loads_from_elsewhere_and_an_empty_site_are_found(tmp_path):
    assert check_html.faults(tmp_path) == [f"{tmp_path}: no pages"]
    (tmp_path / "index.html").write_text("<p>page</p>")
    (tmp_path / "s.css").write_text("@font-face { src: url('https://x.org/f.woff2'); }")
    assert check_html.faults(tmp_path) == ["s.css: loads https://x.org/f.woff2"]


def test_run_times_are_kept_beside_the_pages(tmp_path):
    notebooks = tmp_path / "notebooks"
    execute.remember({notebooks / "a.ipynb": 3.14, notebooks / "b.ipynb": 1.0})
    execute.remember({notebooks / "b.ipynb": 2.0})
    kept = json.loads((tmp_path / "book/_generated/runtimes.json").read_text(encoding="utf-8"))
    assert kept == {"a": 3.1, "b": 2.0}
