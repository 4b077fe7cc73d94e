# `make demo` and `make test` need Python 3.11+, make and a Python package index, and nothing else
# but, for tests of cells in clouds, Debian's apt: a Kubernetes control plane is built of its packages.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench soak up down lock

help: ## Show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Create .venv from requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("controlplane needs Python 3.11 or later, not " + sys.version.split()[0] + ": set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## Start a fleet, create a namespace, complete a workflow through its mTLS endpoint
	$(BIN)/controlplane demo

# Real servers on a busy machine are late at times: the tests that fail are run once more, alone.
test: install ## Run every check and every test
	$(BIN)/python -m tests.kubernetes.binaries
	$(BIN)/pytest -n 2 --dist loadgroup --max-worker-restart 0 --durations 15 || \
	  { [ $$? -eq 1 ] && echo "Once more, alone:" && $(BIN)/pytest -v @.pytest_cache/failed; }

check: install ## Format, lint, types and import contracts (no servers)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Format the code and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: install ## Measure what durability and the API cost, each against a baseline in the same run
	$(BIN)/python -m tests.benchmarks.provisioning
	$(BIN)/python -m tests.benchmarks.api
	$(BIN)/python -m tests.benchmarks.rollouts
	$(BIN)/python -m tests.benchmarks.forwarding
	$(BIN)/python -m tests.benchmarks.failover

soak: install ## Load, faults under it, many namespaces and many changes: half an hour, each counted
	$(BIN)/python -m tests.load.faults 30
	$(BIN)/python -m tests.load.namespaces 500
	$(BIN)/python -m tests.load.changes 5000

up: install ## Start the embedded fleet
	$(BIN)/controlplane up

down: install ## Stop the embedded fleet
	$(BIN)/controlplane down

lock: install ## Compile requirements.lock anew: names, versions, hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --group dev --upgrade -o requirements.lock pyproject.toml
