"""The shape of the book: what is where, what imports what, what a notebook may hold."""

import ast
import hashlib
import importlib
import json
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import companion
import ledger
import pytest
import yaml

from lib import claims

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ledger.notebooks(ROOT)
MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "lib").glob("[!_]*.py")}
KINDS = {"theorem", "identity", "rate", "law", "figure", "answer"}
FORBIDDEN_TAGS = {"nbval-skip", "nbval-ignore-output", "raises-exception"}
LONGEST_FUNCTION = 14

# A module imports only from those before it. Mathematics and evidence know nothing of each other.
MATHEMATICS = [
    *("records", "ensembles", "designs", "problems", "losses", "conventions", "potentials"),
    *("equations", "dual_newton", "sparse", "bias", "recovery", "lasso"),
    *("orders", "modified", "circle", "weak_orders", "objectives", "convergence"),
    *("dual_flow", "flows", "mirror", "neurons", "nearest", "saddles", "starts"),
    *(
        "descent",
        "dual_paths",
        "diffusions",
        "noise",
        "step_sizes",
        "other_noises",
        "first_order",
        "stationary",
    ),
    *("linear", "shrinkage", "sampling", "regression"),
    *(
        "persistence",
        "margins",
        "mixture_statics",
        "mixtures",
        "sign_retrieval",
        "effective_process",
        "clusters",
        "meanfield",
        "fluctuations",
    ),
    *("perceptron", "covariate", "statics", "features", "penalised"),
]
EVIDENCE = ["badges", "claims", "evidence", "digests", "pictures", "figures", "explore"]
MEETING = ["plane"]  # the first picture needs a potential and a figure

notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def code(name):
    """The notebook's code as one tree, cell after cell."""
    return ast.parse("\n".join("".join(cell["source"]) for cell in ledger.code_cells(NOTEBOOKS[name])))


def toc_files():
    """Every page the table of contents names, without suffix."""
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    entries, found = [yaml.safe_load(text)], set()
    while entries:
        entry = entries.pop()
        if isinstance(entry, dict):
            found |= {entry[key] for key in ("root", "file") if key in entry}
            entries += entry.values()
        elif isinstance(entry, list):
            entries += entry
    return found


# --- pages ----------------------------------------------------------------------------------------


def test_every_page_is_in_the_table_of_contents():
    assert companion.missing_pages(ROOT, toc_files()) == []


def test_every_entry_of_the_table_of_contents_is_a_page():
    missing = [
        name for name in toc_files() if not any((ROOT / f"{name}{s}").is_file() for s in (".md", ".ipynb"))
    ]
    assert missing == []


def test_every_public_module_has_its_place_on_an_api_page():
    """A module with an empty ``__all__`` is a workshop of its neighbours and has none."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("api*.md"))
    private = {
        name for name in MODULES if getattr(importlib.import_module(f"lib.{name}"), "__all__", None) == []
    }
    assert sorted(re.findall(r"automodule:: lib\.(\w+)", pages)) == sorted(set(MODULES) - private)


def test_pages_and_outputs_name_no_folder_of_one_machine():
    paths = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    private = re.compile(r"(?<![\w.])/(?:home|root|Users|tmp|work)/\w")
    assert [path.name for path in paths if private.search(path.read_text(encoding="utf-8"))] == []


def test_mathjax_is_the_file_that_was_published():
    """The npm package mathjax 3.2.2, es5/tex-svg-full.js, byte for byte, with its licence beside it."""
    folder = ROOT / "book/_static/mathjax"
    digest = hashlib.sha256((folder / "tex-svg-full.js").read_bytes()).hexdigest()
    assert digest == "a4354ff94fd868aea0cc6eaaa79a57fda0588646fc46ee3700a349ee0a11cbe6"
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_every_make_target_is_phony():
    """`book` and `lib` are folders too: a target of that name which is not phony does nothing."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, flags=re.MULTILINE))
    phony = set(re.search(r"^\.PHONY:(.*)$", text, flags=re.MULTILINE)[1].split())
    assert targets == phony
    assert {"book", "html", "execute", "test", "lab", "bench", "clean"} <= phony


@pytest.mark.parametrize("page", ["README.md", "book/run_change_cite.md", "book/open_questions.md"])
def test_the_examples_on_the_page_run(page, capsys):
    text = (ROOT / page).read_text(encoding="utf-8")
    exec("\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)), {})
    assert "False" not in capsys.readouterr().out


# --- the ledger -----------------------------------------------------------------------------------


def test_the_ledger_is_well_formed():
    """`claims.ledger` refuses missing fields, malformed and repeated ids; the rest is checked here."""
    entries = claims.ledger()
    assert {entry["kind"] for entry in entries} <= KINDS
    chapters = [chapter for chapter, _ in groupby(entry["chapter"] for entry in entries)]
    assert len(chapters) == len(set(chapters)), "claims of one chapter stand together"
    assert {f"notebooks/{chapter}" for chapter in chapters} <= toc_files()
    assert all(re.search(r"[.?!]$", entry[key]) for entry in entries for key in ("statement", "boundary"))


def test_every_claim_is_settled_by_the_stored_outputs():
    found = [record for content in NOTEBOOKS.values() for record in claims.records(content)]
    assert ledger.claim_faults(ledger.with_records(ROOT), found) == []


def test_every_corrected_claim_has_an_erratum():
    errata = (ROOT / "book/errata.md").read_text(encoding="utf-8")
    refuted = [entry["id"] for entry in ledger.with_records(ROOT) if entry["status"] == "refuted"]
    assert [name for name in refuted if f"({name})=" not in errata] == []


# --- notebooks ------------------------------------------------------------------------------------


@notebook
def test_every_cell_was_executed_without_error(name):
    assert ledger.cell_faults(name, NOTEBOOKS[name]) == []


@notebook
def test_no_cell_escapes_the_replay(name):
    tags = {tag for cell in NOTEBOOKS[name]["cells"] for tag in cell["metadata"].get("tags", [])}
    assert tags & FORBIDDEN_TAGS == set()
    marks = ("NBVAL_SKIP", "NBVAL_IGNORE_OUTPUT", "NBVAL_RAISES_EXCEPTION", "PYTEST_VALIDATE_IGNORE_OUTPUT")
    text = json.dumps(NOTEBOOKS[name])
    assert [mark for mark in marks if mark in text] == []


@notebook
def test_cell_ids_are_there_and_differ(name):
    content = NOTEBOOKS[name]
    assert (content["nbformat"], content["nbformat_minor"]) >= (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(ids) == len(set(ids))
    assert content["metadata"]["kernelspec"]["name"] == "python3"


@notebook
def test_functions_in_a_notebook_are_short_and_hold_no_algorithm(name):
    """What is long, loops until something happens, or updates a state step by step belongs into lib."""
    nodes = list(ast.walk(code(name)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [f.name for f in functions if f.end_lineno - f.lineno + 1 > LONGEST_FUNCTION] == []
    assert not any(isinstance(node, ast.While | ast.ClassDef) for node in nodes)
    loops = [node for node in nodes if isinstance(node, ast.For)]
    assert not any(isinstance(node, ast.AugAssign) for loop in loops for node in ast.walk(loop))


def evidence_calls(tree):
    """The calls of ``check`` and ``refute``: the function's name, the claim and the keywords by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"check", "refute"}:
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            yield ast.unparse(node.func).split(".")[-1], ast.unparse(node.args[0]), keywords


@notebook
def test_every_check_says_what_kind_of_evidence_it_is(name):
    calls = list(evidence_calls(code(name)))
    assert [claim for _, claim, given in calls if "evidence" not in given] == []
    assert [claim for what, claim, given in calls if what == "refute" and "effect" not in given] == []


@notebook
def test_no_digit_is_made_of_rounding_noise(name):
    """The decade of a residual differs from machine to machine as easily as its digits."""
    decades = r"10(\.0)?\s*\*\*\s*\(?(np|math)\.(ceil|floor|rint)|ceil\(.{0,8}log10"
    cells = ["".join(cell["source"]) for cell in ledger.code_cells(NOTEBOOKS[name])]
    assert [cell for cell in cells if re.search(decades, cell)] == []


def typed(node, constants):
    """Whether an expression is made of typed numbers alone, directly or through names that are."""
    if isinstance(node, ast.Dict):
        return any(typed(value, constants) for value in node.values)
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    calls = any(isinstance(part, ast.Call) for part in ast.walk(node))
    return not calls and names <= constants


def typed_evidence(tree):
    """The measured, control and claimed values of evidence calls that were typed instead of computed."""
    constants = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and typed(node.value, constants):
            constants |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"check", "refute"}:
            given = [(k.arg, k.value) for k in node.keywords if k.arg in {"measured", "control", "claimed"}]
            given += [("measured", value) for value in node.args[1:2]]
            faults += [
                f"{ast.unparse(node.args[0])}: {what}" for what, value in given if typed(value, constants)
            ]
    return faults


@notebook
def test_evidence_in_a_notebook_is_never_typed(name):
    assert typed_evidence(code(name)) == []


@pytest.mark.parametrize(
    ("call", "faults"),
    [
        ("check('a', run(), 0, 1, control=0.5)", ["'a': control"]),
        ("check('a', run(), 0, 1, control=-0.5 * 3)", ["'a': control"]),
        ("check('a', run(), 0, 1, control={'half': [1.0, 2.0]})", ["'a': control"]),
        ("w = 0.5\nevidence.refute('a', run(), 0, 1, claimed=w)", ["'a': claimed"]),
        ("check('a', [1e-16], 0, 1, control=run(gamma / 2))", ["'a': measured"]),
        ("x = run()\ncheck('a', x, 0, 1, control={'half': x / 2})", []),
    ],
)
def test_a_typed_number_is_seen(call, faults):
    assert typed_evidence(ast.parse(call)) == faults


# --- the library ----------------------------------------------------------------------------------


def imports(tree):
    """Modules of lib that a module imports, and the outside packages."""
    inside, outside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "lib":
            inside |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = (
                [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            )
            inside |= {name.split(".")[1] for name in names if name.startswith("lib.")}
            outside |= {name.split(".")[0] for name in names if not name.startswith("lib.")}
    return inside, outside - set(sys.stdlib_module_names)


def test_every_module_has_its_place_in_the_order():
    assert set(MODULES) <= {*MATHEMATICS, *EVIDENCE, *MEETING}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_from_those_before_it(name):
    inside, outside = imports(MODULES[name])
    if name in MATHEMATICS:
        assert inside <= set(MATHEMATICS[: MATHEMATICS.index(name)])
        assert outside <= {"numpy", "scipy"}
    elif name in EVIDENCE:
        assert inside <= {"records", *EVIDENCE[: EVIDENCE.index(name)]}
    assert not inside & set(MEETING)


@pytest.mark.parametrize(
    "folder", [Path("/"), ROOT, ROOT / "notebooks"], ids=["disk root", "root", "notebooks"]
)
def test_lib_can_be_imported_from_anywhere(folder):
    """From the disk's root `lib` could be the system's folder of that name; it must be ours."""
    found = subprocess.run(
        [sys.executable, "-c", "import lib; print(lib.__file__)"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).parent.name == "lib"
    assert Path(found.stdout.strip()).name == "__init__.py"
