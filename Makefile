# make run · make test · make lint · make docs · make bench; each sets up what it needs in .venv.
#   make run CONFIG=mine.yaml CORES=8     a configuration of your own, and how many cores to use
#   make run VERBOSE=1                    with Snakemake's own output
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
CORES ?= all
VERBOSE ?=

.PHONY: run test lint docs bench

run: $(VENV)/.core
	@$(BIN)/tuningfork run $(CONFIG) --cores $(CORES) $(if $(VERBOSE),--verbose)

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not byhand" --numprocesses auto --dist loadfile tests/unit tests/dag tests/repository
	$(BIN)/pytest -m "not byhand" --numprocesses 2 --dist loadfile tests/pipeline tests/slurm tests/browser

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python tests/lint/docstrings.py src/tuningfork
	$(BIN)/python tests/lint/sizes.py src/tuningfork

docs: $(VENV)/.core
	$(BIN)/tuningfork config --write .
	$(BIN)/tuningfork columns --write .
	$(BIN)/tuningfork rules --write .

bench: $(VENV)/.bench
	for benchmark in benchmarks/[a-z]*.py; do $(BIN)/python $$benchmark || exit 1; done

$(VENV)/.core: pyproject.toml envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("tuningfork needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	@echo "Installing tuningfork and its dependencies in $(VENV); this takes a few minutes."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[test]'
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[test,bench]'
	touch $@

$(VENV)/.lint: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[lint]'
	touch $@
