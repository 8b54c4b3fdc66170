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
import library
import pytest
import yaml

import lib
from lib.evidence import claims

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ledger.notebooks(ROOT)
HOUSE = ROOT / "lib"
MODULES = {
    ".".join(path.relative_to(HOUSE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(HOUSE.rglob("*.py"))
}
FACES = {name.removesuffix(".__init__"): tree for name, tree in MODULES.items() if name.endswith(".__init__")}
KINDS = {"theorem", "identity", "rate", "law", "figure", "answer"}
FORBIDDEN_TAGS = {"nbval-skip", "nbval-ignore-output", "raises-exception"}
LONGEST_FUNCTION = 14

FLOORS = [line.split() for line in re.findall(r"(?m)^    floor \d +(.*)$", lib.__doc__.replace(",", ""))]
MATHEMATICS = [door for floor in FLOORS for door in floor]
SIDE = [
    "evidence",
    "figures",
    "explore",
]  # in this order; they know no mathematics, and it knows nothing of them

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


def test_every_door_has_its_page_and_every_public_file_its_place_on_it():
    pages = "".join(library.page(door) for door in lib.DOORS)
    public = {
        name.removesuffix(".__init__") for name in MODULES if "._" not in name or name.endswith("__init__")
    }
    named = re.findall(r"automodule:: lib\.([\w.]+)\n   :members:", pages)
    assert sorted(named) == sorted(public - {"__init__"})


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
    """Modules of lib that a module imports, without "lib.", and the outside packages."""
    inside, outside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            within = node.module == "lib" or node.module in {f"lib.{name}" for name in FACES}
            names = [f"{node.module}.{a.name}" for a in node.names] if within else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        inside |= {name.removeprefix("lib.") for name in names if name.startswith("lib.")}
        outside |= {name.split(".")[0] for name in names if name.split(".")[0] != "lib"}
    return inside, outside - set(sys.stdlib_module_names)


def door(name):
    return name.split(".")[0]


def below(name):
    """The doors a door may import from."""
    if name in MATHEMATICS:
        floor = next(k for k, doors in enumerate(FLOORS) if name in doors)
        return {other for doors in FLOORS[:floor] for other in doors}
    return {"records", *SIDE[: SIDE.index(name)]} if name in SIDE else set(lib.DOORS)


def test_the_house_has_the_doors_that_its_first_page_names():
    assert sorted({door(name) for name in MODULES} - {"__init__"}) == sorted(lib.DOORS)
    assert [*MATHEMATICS, *SIDE, "pages"] == [*lib.DOORS]
    assert len([path for path in HOUSE.iterdir() if path.name != "__pycache__"]) <= 20
    assert set(dir(lib)) >= set(lib.DOORS)
    with pytest.raises(AttributeError, match="lib has no door 'cellar'"):
        lib.cellar  # noqa: B018


def test_a_door_opens_only_when_it_is_asked_for():
    code = "import sys, lib; lib.bias; print('matplotlib' in sys.modules, 'lib.meanfield' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"__init__"}))
def test_a_module_imports_only_from_the_floors_below(name):
    inside, outside = imports(MODULES[name])
    assert {door(other) for other in inside} - {door(name)} <= below(door(name))
    others = {other for other in inside if door(other) != door(name)}
    assert [other for other in others if "._" in other] == [], "a workshop belongs to its own folder"
    if door(name) in MATHEMATICS:
        assert outside <= {"numpy", "scipy"}


@pytest.mark.parametrize("name", sorted(set(FACES) - {"__init__"}))
def test_the_face_of_a_folder_is_thin(name):
    path = HOUSE / name / "__init__.py"
    kinds = (ast.Expr, ast.ImportFrom, ast.Assign)
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    assert all(isinstance(node, kinds) for node in FACES[name].body)
    files = {file.stem for file in path.parent.glob("*.py")}
    assert not files & set(getattr(importlib.import_module(f"lib.{name}"), "__all__", ())), (
        "it would be hidden"
    )


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
