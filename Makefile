# Countersign's commands; `make` alone lists them. They need GNU make, a POSIX shell and Python 3.11 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
PORT ?= 8000
PYTHON ?=
WORKERS ?= auto

VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run.stamp
DEV := $(VENV)/.dev.stamp
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

##@ Running
.PHONY: run
run: $(RUN) ## run it here with the demonstration company (PORT=8000); Ctrl-C stops it
	@PORT='$(PORT)' exec $(BIN)/python -m demo

##@ Testing
.PHONY: test test-services test-faults liar-and-clerk test-peers test-browser bench
test: $(DEV) ## the whole suite, in parallel; needs no services
	@$(BIN)/python -m pytest -n $(WORKERS) -q

test-services: $(DEV) ## the same tests on PostgreSQL, with Redis and a Celery worker
	@sh tests/services/run.sh

test-faults: $(DEV) ## provisioning while workers are killed, servers go away and targets lie
	@SUITE=tests.faults sh tests/services/run.sh

liar-and-clerk: $(DEV) ## one leaver, ten targets, three of which do not do as they were told
	@SUITE=tests.faults.liar_and_clerk sh tests/services/run.sh

test-peers: $(DEV) ## logins with others' software
	@sh tests/peers/run.sh

test-browser: $(DEV) ## the demonstration, driven in Chromium
	@sh tests/browser/run.sh

bench: $(DEV) ## speed, as ratios measured in pairs
	@$(BIN)/python -m bench

##@ Checking
.PHONY: check lint types contracts
check: lint types contracts ## the three below

lint: $(DEV) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV) ## mypy
	@$(BIN)/mypy

contracts: $(DEV) ## which room may import which
	@$(BIN)/lint-imports

##@ Keeping
.PHONY: lock clean help
lock: $(DEV) ## write both lock files anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --upgrade pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --upgrade --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove the environment and what tools cached; var/ stays
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## list these targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The environment. A stamp is newer than its lock file once everything in it is installed.
$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "Making $(VENV) with $$("$$python" --version) …"; \
			"$$python" -m venv --clear $(VENV) && exit 0; \
			rm -rf $(VENV); exit 1; \
		fi; \
	done; \
	echo "make: no Python 3.11 or newer with its venv module was found; install one, or name it: make PYTHON=/path/to/python3.11" >&2; \
	exit 1

$(RUN): requirements.lock | $(BIN)/python
	@echo "Installing what $< names into $(VENV); the first time takes a minute or two …"
	@$(PIP) -r $<
	@touch $@

$(DEV): requirements-dev.lock | $(BIN)/python
	@echo "Installing what $< names into $(VENV); the first time takes a minute or two …"
	@$(PIP) -r $<
	@touch $@ $(RUN)
