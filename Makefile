# `make help` says what to type. Every target sets up what it needs; a second run reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TERRAFORM ?= terraform
STATE_REGION ?= us-east-1
IMAGE_TAG ?= $(shell git rev-parse HEAD 2>/dev/null)

# the scripts beside Terraform call the same one
export TERRAFORM
export DAGSTER_DISABLE_TELEMETRY := yes
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help demo up status gameday test-fast test test-all test-long check lint types imports dbt-parse definitions lock format dist site load lambdas terraform aws-calls plans providers deploy plan apply drift destroy image rollout ui smoke backend module-readmes bench-processor bench-compaction bench-rewriting bench-session bench-serve bench-import check-engines check-stream check-instance check-daemon restore-drill bench-queries clean

help: ## Show this list
	@echo "stock_pipeline: type one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Demo options: make demo TRADES=session.parquet (your own session), JSON=out.json (figures as JSON)"
	@echo "Load options: make load TRADES=20000 SYMBOLS=20 SEED=7 NO_FAULTS=1 JSON=out.json"

demo: $(STAMP) ## Run the whole pipeline on a real session, on this machine, in about two minutes
	@$(BIN)/stock-pipeline demo $(if $(TRADES),--trades "$(TRADES)") $(if $(JSON),--json "$(JSON)")

up: $(STAMP) ## Run the pipeline on this machine until Ctrl-C, with Dagster's UI (PORT=3000)
	@$(BIN)/stock-pipeline up $(if $(PORT),--port $(PORT))

status: $(STAMP) ## Show on one screen how it is doing (ENV=dev or prod: a deployment)
	@$(BIN)/stock-pipeline status $(if $(ENV),--env $(ENV))

load: $(STAMP) ## Push two million simulated trades through while everything that can fail does
	@$(BIN)/stock-pipeline load $(if $(TRADES),--trades $(TRADES)) $(if $(SYMBOLS),--symbols $(SYMBOLS)) $(if $(SEED),--seed $(SEED)) \
	    $(if $(NO_FAULTS),--no-faults) $(if $(JSON),--json "$(JSON)")

test-fast: $(STAMP) ## Run unit and contract tests without the slow ones, after every few lines: about a minute
	@$(BIN)/python -m pytest -n 2 -m "not slow" tests/unit tests/contract

test: $(STAMP) ## Run the tests, without those of whole systems: eight minutes
	@$(BIN)/python -m pytest -n 2 -m "not system"

test-all: $(STAMP) ## Run all tests, as CI does: a quarter of an hour
	@$(BIN)/python -m pytest -n 2

gameday: $(STAMP) ## Break each part on this machine and see which alarm tells; writes docs/alarms.md (minutes)
	@$(BIN)/python -W ignore -m tests.gameday

test-long: $(STAMP) ## Run the property tests with 20,000 new examples each: hours, for the night
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 -o timeout=0 tests/unit tests/integration/test_streaming_state_machine.py

check: lint types imports dbt-parse definitions test-all ## Everything CI checks, in its order

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/zizmor --quiet --offline --min-severity low .github

types: $(STAMP)
	@$(BIN)/mypy
	@for file in lambdas/*/app.py lambdas/build.py; do $(BIN)/mypy --strict $$file || exit 1; done

imports: $(STAMP)
	@$(BIN)/lint-imports

bench-processor: $(STAMP) ## Measure the processor against other ways to write it (minutes)
	@$(BIN)/python -m bench.processor

bench-compaction: $(STAMP) ## Measure compaction against other tools (40 minutes; DAYS="20000000x1440": another session)
	@$(BIN)/python -m bench.compaction $(if $(DAYS),--days $(DAYS))

bench-import: $(STAMP) ## Measure how many rows a second import writes on one core (a minute)
	@POLARS_MAX_THREADS=1 $(BIN)/python -m bench.import_files

bench-rewriting: $(STAMP) ## Say how often a day's schedule processes each row of a session (seconds)
	@$(BIN)/python -m bench.rewriting

bench-session: $(STAMP) ## Measure where the CPU of a session's job goes, part by part (two minutes)
	@$(BIN)/python -m bench.session $(if $(ROUNDS),--rounds $(ROUNDS))

bench-serve: $(STAMP) ## Measure what the page's server follows and answers on one core, and how far behind it is (four minutes)
	@POLARS_MAX_THREADS=1 $(BIN)/python -m bench.serving
	@POLARS_MAX_THREADS=1 $(BIN)/python -m bench.freshness

bench-queries: $(STAMP) ## Measure what the example queries fetch, of raw and of compacted trades (20 minutes)
	@test -x ../shared/athena-trino/run || { echo "bench-queries needs ../shared/athena-trino; docs/performance.md says how to run it in an account" >&2; exit 1; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	    ../shared/athena-trino/run --keep-dir "$$folder" -- $(BIN)/python -u -m bench.queries --log "$$folder/aws.log" $(if $(DAYS),--days $(DAYS))

dbt-parse: $(STAMP) ## Parse the dbt models for both targets; needs no credentials
	@for target in local athena; do $(BIN)/stock-pipeline dbt-parse --target $$target || exit 1; done

check-engines: $(STAMP) ## Compact, build and ask on Athena's stand-in and on this machine; compare every value
	@$(BIN)/python -m tests.check_all

check-stream: $(STAMP) ## Hold the websocket producer under 5,000 messages a second, for ten minutes
	@$(BIN)/python -m tests.check_stream $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS))

check-instance: $(STAMP) ## Run Dagster as in an account, on a Postgres of its own (root gets a user `pgserver`)
	@$(BIN)/python -m pytest tests/integration/check_production_instance.py

restore-drill: $(STAMP) ## Lose and restore the table, a session, the bucket, the catalog, databases and a release here (JSON=out.json)
	@$(BIN)/python -m tests.check_restore $(if $(JSON),--json "$(JSON)")

check-daemon: $(STAMP) ## Kill runs and Dagster's daemon at their worst moments, and see that the next tick makes it good (five minutes)
	@$(BIN)/python -m pytest tests/e2e/check_daemon.py

definitions: $(STAMP) ## Load the Dagster definitions as the webserver would
	@$(BIN)/dagster definitions validate -w workspace.yaml

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

terraform: $(STAMP) ## Check the Terraform of dev and prod (TERRAFORM=path, if not on PATH)
	@$(TERRAFORM) fmt -check -recursive infra bootstrap
	@for root in infra bootstrap; do \
	    $(TERRAFORM) -chdir=$$root init -backend=false -input=false >/dev/null && $(TERRAFORM) -chdir=$$root validate || exit 1; done
	@for environment in dev prod; do $(TERRAFORM) -chdir=infra test -var-file=envs/$$environment.tfvars || exit 1; done
	@$(TERRAFORM) -chdir=bootstrap test

aws-calls: $(STAMP) ## Run the tests and write which calls of AWS they made, for the check of permissions
	@ADD_AWS_CALLS=1 $(BIN)/python -m pytest -n 2

plans: $(STAMP) ## Write what Terraform plans where the tests read it, tests/data/terraform (CHECK=1: compare)
	@$(TERRAFORM) -chdir=infra init -backend=false -input=false >/dev/null
	@TERRAFORM=$(TERRAFORM) $(BIN)/python infra/plans.py $(if $(CHECK),--check)

deploy: lambdas ## Deploy to the account: make deploy ENV=dev STATE_BUCKET=your-state (prod asks; CONFIRM=prod answers)
	@$(MAKE) --no-print-directory backend
	@$(MAKE) --no-print-directory image
	@$(MAKE) --no-print-directory plan
	@if [ "$(ENV)" = prod ] && [ "$(CONFIRM)" != prod ]; then printf 'Type prod to apply this plan: ' && read -r answer && \
	    test "$$answer" = prod || { echo "make: nothing was applied" >&2; exit 1; }; fi
	@$(MAKE) --no-print-directory apply
	@$(MAKE) --no-print-directory image rollout

plan: backend
	@image=$$(infra/dagster/image-variables "$(IMAGE_TAG)") && \
	    $(TERRAFORM) -chdir=infra plan -input=false $(if $(LOCK),-lock=$(LOCK)) -var-file=envs/$(ENV).tfvars $$image -out=deploy.tfplan

apply: backend
	@$(TERRAFORM) -chdir=infra apply -input=false deploy.tfplan
	@mkdir -p .stock-pipeline/deployed
	@$(TERRAFORM) -chdir=infra output -json settings > .stock-pipeline/deployed/$(ENV).json.new
	@mv .stock-pipeline/deployed/$(ENV).json.new .stock-pipeline/deployed/$(ENV).json

drift: backend ## Say what somebody changed in the account by hand: make drift ENV=dev STATE_BUCKET=your-state
	@$(TERRAFORM) -chdir=infra plan -input=false -lock=false -refresh-only -var-file=envs/$(ENV).tfvars -out=drift.tfplan >/dev/null
	@$(TERRAFORM) -chdir=infra show -json drift.tfplan > infra/drift.tfplan.json
	@$(PYTHON) infra/drift.py infra/drift.tfplan.json

destroy: backend ## Take it down: make destroy ENV=dev STATE_BUCKET=your-state (data included; prod refuses)
	@$(TERRAFORM) -chdir=infra destroy -var-file=envs/$(ENV).tfvars

# Both read the outputs of the state that `make backend` chose last.
image: # Dagster's image into the account's repository; nothing where Dagster does not run
	@infra/dagster/push-image "$(ENV)" "$(IMAGE_TAG)" "$(IMAGE_ARCHIVE)"

rollout: # wait until Dagster's services run what was applied
	@infra/dagster/check-rollout

ui: ## Open Dagster's UI of an account on this machine: make ui ENV=prod (PORT=3000)
	@test -n "$(ENV)" || { echo "make: ENV takes the environment, as in make ui ENV=prod" >&2; exit 1; }
	@infra/dagster/open-ui "$(ENV)" $(PORT)

smoke: $(STAMP) ## Follow one marked trade through a deployment: make smoke ENV=dev
	@$(BIN)/stock-pipeline smoke --env $(ENV)

# No environment of Python is needed from here to `rollout`: nothing that is installed runs beside credentials.
backend:
	@case "$(ENV)" in dev|prod) ;; *) echo "make: ENV takes dev or prod, as in make deploy ENV=dev" >&2; exit 1;; esac
	@test -n "$(STATE_BUCKET)" || { echo "make: STATE_BUCKET takes the bucket of the state; docs/deploy.md says how to make one" >&2; exit 1; }
	@cp infra/backend/s3.tf infra/backend.tf
	@$(TERRAFORM) -chdir=infra init -input=false -reconfigure -backend-config=bucket=$(STATE_BUCKET) \
	    -backend-config=key=stock-pipeline/$(ENV).tfstate -backend-config=region=$(STATE_REGION) >/dev/null

providers: ## Write the providers' lock files, where the registry is reachable: for Linux and macOS
	@for root in infra bootstrap; do $(TERRAFORM) -chdir=$$root init -backend=false -input=false >/dev/null && \
	    $(TERRAFORM) -chdir=$$root providers lock -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64 || exit 1; done

module-readmes: $(STAMP) ## Write the tables in the Terraform modules' READMEs
	@$(BIN)/python infra/module_readmes.py

lock: $(STAMP) ## Resolve the dependencies again and write requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --no-header --no-annotate \
	    --extra local --extra serve --extra stream --extra files --extra deploy --group bench --group dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
	    --no-header --no-annotate --constraint requirements.lock \
	    --extra deploy --extra stream pyproject.toml -o infra/dagster/requirements.txt
	@grep -o '^lwcharts==[^ ]*' requirements.lock | $(BIN)/uv pip compile --quiet --universal --python-version 3.13 \
	    --generate-hashes --no-header --no-annotate --no-deps - -o infra/dagster/chart.txt
	@for file in lambdas/requirements-*.in; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate \
	    --constraint requirements.lock $$file -o $${file%.in}.txt || exit 1; done

lambdas: $(STAMP) ## Build the Lambda packages: one zip a function, for python3.13 on arm64
	@$(BIN)/python lambdas/build.py $(if $(PYTHON_VERSION),--python $(PYTHON_VERSION)) \
	    $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

dist: $(STAMP) ## Build the package: dist/*.whl, which works without a checkout
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist
	@ls dist/*.whl

site: $(STAMP) ## Build the docs as a site with the models' documentation: dist/site (MkDocs is fetched)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/uvx --quiet --from mkdocs==1.6.1 --with mkdocs-material==9.8.1 mkdocs build --quiet --strict
	@$(BIN)/stock-pipeline dbt-parse --target local
	@cd dbt_project && ../$(BIN)/dbt --quiet docs generate --static --empty-catalog --no-compile --target local \
	    --project-dir . --profiles-dir . --target-path target/local --log-path target/local
	@mkdir -p dist/site/dbt && cp dbt_project/target/local/static_index.html dist/site/dbt/index.html

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) .stock-pipeline dbt_project/target dbt_project/logs dist .mypy_cache .ruff_cache .import_linter_cache

# uv installs the locked set in seconds where pip takes minutes; every file is checked against its hash.
$(STAMP): requirements.lock requirements-uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"stock_pipeline needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: try make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
