# Everything a user or a developer runs, from a clean clone: `make demo`, `make test`, `make help`.
# Needs Python 3.11-3.13, GNU make >= 3.81 and network access to a Python package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MACHINE_PATH := $(PATH)
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.peers
export PATH := $(abspath $(BIN)):$(PATH)
# Tests and workflow start hundreds of processes, each of which would compile the package anew.
export PYTHONDONTWRITEBYTECODE :=

PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo venv test test-slow test-all test-peers test-slurm verification bench-solvers gpu-check lint format lock envs schema clean
.PHONY: lint-format lint-style lint-types lint-imports lint-generated lint-workflow

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "make %-13s %s\n", $$1, $$2}'

demo: $(STAMP) ## run the CPU demonstration and print its summary table
	$(BIN)/snakemake --cores all
	$(BIN)/snakemake --report results/demo/report.html
	@$(BIN)/thermalize show results/demo/tables/summary.csv

venv: $(STAMP) ## make the virtual environment from the lock

test: $(STAMP) ## the fast tests
	$(PYTEST) -m "not slow and not peers and not slurm" -n $(WORKERS) --dist loadfile

test-slow: $(STAMP) ## the slow tests: killed and resumed runs, the workflow end to end
	$(PYTEST) -m "slow and not peers and not slurm" -n $(WORKERS) --dist worksteal

test-all: $(STAMP) ## every test but those against other solvers and through Slurm
	$(PYTEST) -m "not peers and not slurm" -n $(WORKERS) --dist loadfile

test-peers: $(PEERS) ## compare with exponax, jax-cfd, pyqg-jax and neuraloperator, which it installs
	$(PYTEST) -m peers

test-slurm: $(STAMP) ## run the workflow through Slurm on this machine, which it installs where root may
	$(BIN)/python tests/helpers/slurm_install.py
	$(PYTEST) -m slurm tests/slurm

verification: $(STAMP) ## write docs/verification.md from a run of the solvers' tests
	$(BIN)/python docs/verification.py

bench-solvers: $(PEERS) ## time the solvers against exponax, jax-cfd and pyqg-jax; writes docs/performance.md
	$(BIN)/python -m benchmarks.solvers

# With the Python and the torch of the machine, never those of the lock, which are for CPUs; GPU_CHECK_INSTALL=1 fetches what
# else is missing into a folder of its own. Further options: GPU_CHECK="--device cpu --size tiny".
gpu-check: ## compare this machine's GPU with its CPU, in eight minutes
	@PATH="$(MACHINE_PATH)" $(PYTHON) tests/gpu/check.py $(if $(GPU_CHECK_INSTALL),--install) $(GPU_CHECK)

lint: lint-format lint-style lint-types lint-imports lint-generated lint-workflow ## all linters and generated files

lint-format: $(STAMP)
	$(BIN)/ruff format --check .

lint-style: $(STAMP)
	$(BIN)/ruff check .

lint-types: $(STAMP)
	$(BIN)/mypy

lint-imports: $(STAMP)
	$(BIN)/lint-imports --no-logo

lint-generated: $(STAMP)
	$(BIN)/python envs/generate.py --check
	$(BIN)/python docs/generate.py --check

lint-workflow: $(STAMP)
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

format: $(STAMP) ## put code and workflow into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile rules

# Pins that still fit are kept; `make lock LOCK_FLAGS=--upgrade` takes the newest versions. Left out are packages that the
# GPU build of torch brings by itself and what only Windows needs.
lock: | $(BIN)/uv ## resolve requirements.lock anew from pyproject.toml
	cp requirements.lock requirements.lock.new
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-header --no-annotate \
	    --no-emit-index-url --quiet $(LOCK_FLAGS) --output-file requirements.lock.new
	grep -Ev "^(nvidia-|cuda-|triton)|; sys_platform == 'win32'" requirements.lock.new > requirements.lock
	rm requirements.lock.new

$(BIN)/uv:
	$(MAKE) venv

envs: $(STAMP) ## write envs/*.yaml from the lock
	$(BIN)/python envs/generate.py

schema: $(STAMP) ## write docs/config.schema.json and docs/configuration.md from the models
	$(BIN)/python docs/generate.py

clean: ## remove caches and the virtual environment; results stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build src/*.egg-info
	find src tests envs docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(PEERS): requirements-peers.lock $(STAMP)
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-peers.lock
	@touch $@

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null || { \
	    echo "'$(PYTHON)' was not found; install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "thermalize needs Python 3.11, 3.12 or 3.13, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1);" \
	         "install one of them or name it: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV); the first time this takes some minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
