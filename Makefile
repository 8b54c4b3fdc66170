# Needs Python 3.11 or newer and make; everything else goes into .venv. Another interpreter: make PYTHON=python3.12 book
PYTHON ?= python3
BIN := .venv/bin
STAGE := _build/stage
JOBS ?= 2
SEEDS ?= 101 102

# One thread a process: two kernels share two cores, and sums are made in the same order everywhere.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Only this environment's kernel and settings, whatever else the machine has.
export JUPYTER_PREFER_ENV_PATH := 1

NBVAL := --nbval --nbval-current-env --nbval-sanitize-with=notebooks/nbval.cfg

.PHONY: help install book html execute test lint replay replay-elsewhere fresh-seeds lab bench clean

help:
	@echo "make book     execute a copy of every notebook, build the book, print the path to open"
	@echo "make html     build the book from the stored outputs, in seconds"
	@echo "make execute  execute the notebooks in place: the only target that rewrites stored outputs"
	@echo "make test     lint, unit tests, every notebook replayed against its stored outputs"
	@echo "make lint     ruff alone; make replay: the notebooks alone"
	@echo "make replay-elsewhere   the notebooks in other processors' arithmetic, and with other last bits"
	@echo "make fresh-seeds SEEDS='101 102'   which verdicts change with other random numbers"
	@echo "make lab      the notebooks, live"
	@echo "make bench    side by side with what one would use otherwise; make bench ONLY='descent bias' for some of it"
	@echo "make clean    remove what was built; the environment stays"

install: .venv/.installed

.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than Python 3.11: name a newer one, as in make PYTHON=python3.12 book"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# The book is built from a copy, so that neither execution nor generated pages touch the sources.
define stage
rm -rf $(STAGE) _build/html _build/.doctrees
mkdir -p $(STAGE)
cp -R _config.yml _toc.yml book notebooks $(STAGE)
$(BIN)/python book/_ext/library.py $(STAGE)
endef

define site
$(BIN)/jupyter-book build $(STAGE) --path-output . -W -n --keep-going --quiet
$(BIN)/python book/_ext/check_html.py _build/html
@echo "Open file://$(CURDIR)/_build/html/index.html"
endef

book: install
	$(stage)
	$(BIN)/python book/_ext/execute.py --jobs $(JOBS) $(STAGE)/notebooks
	$(site)

html: install
	$(stage)
	$(site)

execute: install
	$(BIN)/python book/_ext/execute.py --jobs $(JOBS) notebooks

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(NBVAL) tests notebooks

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

replay: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(NBVAL) notebooks

replay-elsewhere: install
	$(BIN)/python tests/replay/elsewhere.py --jobs $(JOBS)

fresh-seeds: install
	$(BIN)/python tests/replay/fresh_seeds.py --jobs $(JOBS) $(if $(KEEP_DATA),--keep-data) $(SEEDS)

lab: install
	$(BIN)/jupyter lab --notebook-dir notebooks

bench: .venv/.benchmarks
	$(BIN)/python -m benchmarks $(ONLY)

.venv/.benchmarks: .venv/.installed benchmarks/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt && touch $@ || \
	  echo "Not every peer could be installed; those that are missing are left out."

clean:
	rm -rf _build book/_generated .pytest_cache .ruff_cache .hypothesis
