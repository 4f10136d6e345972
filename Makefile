# `make help` says what to type. Every target sets up what it needs; a second run reuses it.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export DAGSTER_DISABLE_TELEMETRY := yes
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-long check lint types imports dbt-parse definitions lock format load clean bench-processor

help: ## Show this list
	@echo "stock_pipeline: type one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Demo options: make demo TRADES=session.parquet (your own session), JSON=out.json (figures as JSON)"
	@echo "Load options: make load TRADES=20000 SYMBOLS=20 SEED=7 NO_FAULTS=1 JSON=out.json"

demo: $(STAMP) ## Run the whole pipeline on a real session, on this machine, in about two minutes
	@$(BIN)/stock-pipeline demo $(if $(TRADES),--trades "$(TRADES)") $(if $(JSON),--json "$(JSON)")

load: $(STAMP) ## Push two million simulated trades through the pipeline while everything that can fail does
	@$(BIN)/stock-pipeline load $(if $(TRADES),--trades $(TRADES)) $(if $(SYMBOLS),--symbols $(SYMBOLS)) $(if $(SEED),--seed $(SEED)) \
	    $(if $(NO_FAULTS),--no-faults) $(if $(JSON),--json "$(JSON)")

test: $(STAMP) ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: $(STAMP) ## Run the property tests with 20,000 new examples each: hours, for the night
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 --dist loadgroup tests/unit tests/integration/test_streaming_state_machine.py

check: lint types imports dbt-parse definitions test ## Everything CI checks, in its order

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(STAMP)
	@$(BIN)/mypy
	@$(BIN)/mypy --strict lambdas/*/app.py

imports: $(STAMP)
	@$(BIN)/lint-imports

bench-processor: $(STAMP) ## Measure the processor's CPU time against other ways to write it (minutes)
	@$(BIN)/python -m bench.processor

dbt-parse: $(STAMP) ## Parse the dbt models for both targets; needs no credentials
	@for target in local athena; do $(BIN)/stock-pipeline dbt-parse --target $$target || exit 1; done

definitions: $(STAMP) ## Load the Dagster definitions as the webserver would
	@$(BIN)/dagster definitions validate -w workspace.yaml

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(STAMP) ## Resolve the dependencies again and write requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	    --extra local --extra stream --extra bench --extra dev pyproject.toml -o requirements.lock

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) .stock-pipeline dbt_project/target dbt_project/logs dist .mypy_cache .ruff_cache .import_linter_cache

# uv installs the locked set in seconds where pip takes minutes; every file is checked against its hash.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"stock_pipeline needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: try make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
