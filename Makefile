# make run · make test · make lint · make docs · make bench; each sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
CORES ?= all
# Frozen stage parameters replace Snakemake's own guesses about what has changed (docs/run.md).
SNAKEMAKE := $(BIN)/snakemake --rerun-triggers mtime params input --rerun-incomplete

.PHONY: run test lint docs bench

run: $(VENV)/.core
	$(if $(CONFIG),$(BIN)/tuningfork check $(CONFIG))
	$(SNAKEMAKE) --cores $(CORES) --notemp --keep-going $(if $(CONFIG),--configfile $(CONFIG))

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not byhand" --numprocesses auto --dist loadfile tests/unit tests/dag
	$(BIN)/pytest -m "not byhand" tests/browser tests/pipeline tests/slurm

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(VENV)/.core
	$(BIN)/tuningfork config --write .
	$(BIN)/tuningfork columns --write .

bench: $(VENV)/.bench
	for benchmark in benchmarks/[a-z]*.py; do $(BIN)/python $$benchmark || exit 1; done

$(VENV)/.core: pyproject.toml envs/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("tuningfork needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[test]'
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[test,bench]'
	touch $@

$(VENV)/.lint: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[lint]'
	touch $@
