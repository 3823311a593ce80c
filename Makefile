# One verb a line; `make help` lists them. Set VENV=... to keep the environment elsewhere.
PYTHON ?= python3.11
VENV ?= .venv
# The lock that the environment was made from; else the CPU one. `make setup LOCK=requirements/gpu.lock` switches.
LOCK ?= $(or $(patsubst $(VENV)/ready-%,requirements/%,$(firstword $(wildcard $(VENV)/ready-*))),requirements/cpu.lock)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
RESOLVE := --quiet --upgrade --no-header --no-annotate --python-version 3.11 --override requirements/overrides.txt
# A test process a core; tests/conftest.py says which tests stay together.
PARALLEL := --numprocesses logical --dist loadscope --no-loadscope-reorder
READY := $(VENV)/ready-$(notdir $(LOCK))
EDITABLE := $(VENV)/editable

export PATH := $(abspath $(VENV))/bin:$(PATH)
export HF_HUB_DISABLE_TELEMETRY := 1
export DVC_NO_ANALYTICS := 1
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup repro test quick check fix bench lock clean

help:  ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

setup: $(EDITABLE)  ## make the environment; redone only when the lock changes

repro: setup  ## rebuild what is stale, from questions to the report
	@orca2 check
	dvc repro

test: setup check  ## lint, types, layers, then the whole test suite
	pytest $(PARALLEL)

quick: setup  ## the tests that start no engine and are not slow
	pytest $(PARALLEL) -m "not engine and not slow"

check: setup  ## lint, types, layers
	@ruff check --quiet .
	@ruff format --quiet --check .
	@mypy --no-error-summary
	@lint-imports --no-logo > /dev/null || lint-imports --no-logo

fix: setup  ## mend what the linter can mend
	ruff check --fix .
	ruff format .

bench: repro  ## measure every claim; results are printed as ratios of one run
	pip install --quiet --no-deps --upgrade --target $(VENV)/peers -r requirements/bench.lock
	for script in benchmarks/*.py; do PYTHONPATH=$(VENV)/peers python "$$script"; done

lock: setup  ## resolve requirements/*.in into the two locks
	uv pip compile $(RESOLVE) --override requirements/cpu-overrides.txt requirements/cpu.in -o requirements/cpu.lock
	sed -i 's/^\(torch==[0-9.]*\)$$/\1+cpu/' requirements/cpu.lock
	uv pip compile $(RESOLVE) --python-platform x86_64-manylinux_2_28 requirements/gpu.in -o requirements/gpu.lock

clean:  ## remove the environment and caches; artifacts and the answer store stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# What pyproject.toml says of the package itself: seconds.
$(EDITABLE): $(READY) pyproject.toml
	@pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(READY): $(LOCK)
	@command -v git > /dev/null || { echo "error: git is missing: install it (Debian: apt install git)"; exit 1; }
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11, or set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11: set PYTHON=/path/to/python3.11"; exit 1; }
	@command -v gcc > /dev/null && command -v g++ > /dev/null || { echo "error: gcc or g++ is missing: install them (Debian: apt install gcc g++)"; exit 1; }
	@echo "setting up $(VENV) from $(LOCK): some minutes, once"
	@$(PYTHON) -m venv --clear $(VENV)
	@pip install --quiet --upgrade $$(grep -E '^(pip|setuptools|wheel)==' $(LOCK))
	@if torch=$$(grep -E '^torch==.*\+cpu' $(LOCK)); then \
	  pip install --quiet --no-deps "$$torch" 2> $(VENV)/torch.log \
	  || pip install --quiet --no-deps --index-url $(TORCH_CPU_INDEX) "$$torch" \
	  || { cat $(VENV)/torch.log; echo "error: no CPU build of $$torch was found"; exit 1; }; fi
	@pip install --quiet --no-deps -r $(LOCK)
	@touch $@
