.DEFAULT_GOAL := help
SHELL := /bin/bash
export PYTHONSAFEPATH := 1
# two thread pools on two cores are slower than one; processes are the unit of parallelism
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 1
export PRODROME_DATA ?= ../shared/data

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
# files with one long test begin first, not last as xdist would have it: else one core ends alone
BY_FILE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup run test nightly check format bench clean

help: ## print every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

# torch first and pinned: any other requirement that mentions torch would fetch gigabytes
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev --editable .
	touch $@

# numba keeps what it compiled; the first score of a fresh installation should not wait for it. What was kept
# of older sources may name classes that have moved, and cannot be read
$(VENV)/.warm: $(VENV)/.installed $(wildcard models/*.py models/*/*.py)
	find models -name '*.nb[ic]' -delete
	$(BIN)/python -m models.warm
	touch $@

setup: $(VENV)/.warm ## install everything into .venv, and compile what scoring needs

run: setup ## live ward board on simulated stays, or DATA=path to a CinC 2019 zip or folder
	$(BIN)/prodrome run $(if $(DATA),--data $(DATA))

test: setup browser ## every test; real records where PRODROME_DATA has them
	$(BIN)/pytest $(BY_FILE) tests/oracle tests/property tests/unit
	$(BIN)/pytest $(BY_FILE) tests/browser tests/integration

nightly: setup ## the tests of whole data sets that take minutes each
	$(BIN)/pytest -m nightly

check: setup ## formatting, lint, types and import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## every benchmark, with its table
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# Chromium for the browser tests; a system that has one keeps its own
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium)

clean: ## remove what make installed or the service wrote
	rm -rf $(VENV) var artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
