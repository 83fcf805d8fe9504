# The commands of a developer. Each sets up what it needs; `make help` lists them.

PYTHON ?= python3
COMMA := ,
PIP_TOOLS := pip-tools==7.6.2
REDOC := redoc@2.5.4

# The benchmark's load comes from wrk; where that is not installed, from a package.
LOAD := $(if $(shell command -v wrk),,$(COMMA)load)

# The tools for Node, and the benchmark's peer that runs on it, where that is installed.
NODE_MODULES := $(if $(shell command -v npm),tests/node/node_modules/.package-lock.json)
NODE_PEER := $(if $(shell command -v npm),tests/benchmarks/peers/node/node_modules/.package-lock.json)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --no-input --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help serve test test-live test-slow test-field test-cluster test-rules fuzz clients clients-test coverage bench bench-scale bench-costs bench-hostile \
    docs release format lint lint-format lint-code lint-security lint-packages lint-types lint-roster lint-changes lint-definition check migration \
    constraints clean
.DELETE_ON_ERROR:

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: .venv/installed ## migrate the database, load the development data, serve
	@exec $(BIN)/roster serve

# Tests also wait, for databases and for processes that they start: one more of them than there are cores. What has been
# compiled is kept, whatever the shell says, as each of those processes would compile it anew.
test: PROCESSES = $(shell $(PYTHON) -c 'import os; print(1 + len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)))')
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/installed-test .venv/installed-openapi-core ## run the suite, on SQLite and PostgreSQL; it fails for a declared status that it does not see
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal -m 'not live and not slow and not field and not cluster and not clients' --prove

test-live: .venv/installed-test ## run the tests that start browsers, servers, commands and other programs, some minutes
	$(BIN)/python -m pytest --numprocesses auto -m 'live and not slow'

test-slow: .venv/installed-test .venv/installed-openapi-core $(NODE_PEER) ## run the tests that take minutes: requests made up by schemathesis, pairs of writers, random actions
	$(BIN)/python -m pytest --numprocesses auto -m slow

test-field: .venv/installed-test ## run the tests with poolers, standbys, frozen and full parts around the server, some minutes
	$(BIN)/python -m pytest --numprocesses auto -m field

SECONDS ?= 600
DATABASE ?= sqlite
fuzz: .venv/installed-test ## fuzz a live server for SECONDS, 600, on DATABASE, sqlite or postgresql; SEED repeats a run
	$(BIN)/python -m tests.fuzzing --seconds $(SECONDS) --database $(DATABASE) $(if $(SEED),--seed $(SEED))

test-cluster: .venv/installed-test .venv/installed-patroni ## run a cluster of six hosts under load, and let one after the other fail, some minutes; needs root
	$(BIN)/python -m pytest -rP -m cluster

test-rules: .venv/installed-test ## hold the server against a model of its rules for RULES_MINUTES, 5 on each database
	RULES_MINUTES=$${RULES_MINUTES:-5} $(BIN)/python -m pytest --numprocesses 2 -rP tests/test_model_of_rules.py

clients: .venv/installed-clients $(NODE_MODULES) ## generate a client in Python, TypeScript, Go and Java into build/clients
	@mkdir -p build
	$(BIN)/roster spec > build/openapi.yaml
	$(BIN)/python -m tests.clients.generate build/openapi.yaml build/clients

clients-test: .venv/installed-clients .venv/installed-test $(NODE_MODULES) ## compile each client at its strictest, and let it tell a story to a live server
	$(BIN)/python -m pytest --numprocesses auto -m clients

coverage: .venv/installed-test ## run the suite, and fail where code or branches are not run; takes half as long again
	$(BIN)/python -m pytest --numprocesses auto -m 'not slow and not field and not cluster and not clients' --cov

bench: .venv/installed-bench $(NODE_PEER) ## measure Roster beside its peers; BENCH=--help tells what can be chosen
	$(BIN)/python -m tests.benchmarks $(BENCH)

bench-scale: .venv/installed-test ## compare requests with few rows and with millions, some 15 minutes
	$(BIN)/python -m tests.benchmarks.scale

bench-costs: .venv/installed-test ## measure what a request of each kind costs Roster, PostgreSQL and Redis, some minutes
	$(BIN)/python -m tests.benchmarks.costs

bench-hostile: .venv/installed-test ## measure what the costliest requests cost that one can make up, some minutes
	$(BIN)/python -m tests.benchmarks.hostile

format: .venv/installed-lint ## format the code, and repair what the linter can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: lint-format lint-code lint-security lint-types lint-roster lint-changes lint-definition lint-packages ## check the format, the code, the types, the definition and the packages

check: .venv/installed-lint ## do all of lint, though a part of it fails
	@$(MAKE) --no-print-directory --keep-going lint

lint-format: .venv/installed-lint
	$(BIN)/ruff format --check .

lint-code: .venv/installed-lint
	$(BIN)/ruff check .

lint-security: .venv/installed-lint
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml roster handlers models

lint-types: .venv/installed-lint
	$(BIN)/mypy

lint-roster: .venv/installed-lint
	$(BIN)/roster check

lint-changes: .venv/installed-lint
	$(BIN)/roster changes

lint-definition: .venv/installed-lint $(NODE_MODULES)
	$(BIN)/python -m tests.lint_definition

# It tells where no database of vulnerabilities can be reached, and fails for those that it finds.
lint-packages: .venv/installed-lint
	$(BIN)/python -m tests.audit_dependencies

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund --silent
	@touch $@

docs: .venv/installed ## write the reference, one page with all in it, to build/docs/index.html
	@command -v npm >/dev/null || { echo "The reference needs Node: there is no npm to fetch $(REDOC) with." >&2; exit 1; }
	@mkdir -p build/docs
	@test -f build/$(REDOC).tgz || { cd build && mv "$$(npm pack --silent $(REDOC))" $(REDOC).tgz; }
	@tar -xOf build/$(REDOC).tgz package/bundles/redoc.standalone.js > build/redoc.standalone.js
	$(BIN)/roster reference build/redoc.standalone.js > build/docs/index.html

release: .venv/installed ## keep the definition of this version, with which later ones are compared
	$(BIN)/roster release

# It compares the models with a new database that has all migrations.
migration: .venv/installed-lint ## write the next migration from the models: make migration m="add projects"
	@test -n "$(m)" || { echo 'Say what it does: make migration m="add projects"' >&2; exit 1; }
	@mkdir -p build && rm -f build/migration.db*
	DATABASE_URL=sqlite:///build/migration.db $(BIN)/roster db upgrade
	DATABASE_URL=sqlite:///build/migration.db $(BIN)/alembic revision --autogenerate --message "$(m)"

PIP_COMPILE = CUSTOM_COMPILE_COMMAND="make constraints" $(BIN)/pip-compile --quiet --strip-extras \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
# The image's packages, with the hash of each file that may be installed.
HASHED = $(PIP_COMPILE) --allow-unsafe --generate-hashes --constraint constraints.txt

constraints: $(BIN)/python ## pin the newest versions anew in constraints.txt, and those of the image by their hashes
	$(PIP) install $(PIP_TOOLS)
	$(PIP_COMPILE) --upgrade --all-extras --output-file constraints.txt pyproject.toml
	$(HASHED) --upgrade --output-file ops/image/requirements.txt pyproject.toml
	$(HASHED) --upgrade --build-deps-for wheel --only-build-deps --output-file ops/image/build.txt pyproject.toml

clean: ## remove what the other commands made, but no database
	rm -rf .venv build dist tests/node/node_modules tests/benchmarks/peers/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .coverage .coverage.*
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	    echo "Roster needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is none of them: make PYTHON=python3.12 ..." >&2; \
	    exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: EXTRAS :=
.venv/installed-test: EXTRAS := [test$(LOAD)]
.venv/installed-bench: EXTRAS := [bench$(LOAD)]
.venv/installed-lint: EXTRAS := [test,lint]
.venv/installed-clients: EXTRAS := [clients]

.venv/installed .venv/installed-test .venv/installed-bench .venv/installed-lint .venv/installed-clients: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.$(EXTRAS)'
	@touch $@

# The second validator, whose packages are of other versions than the server's.
.venv/installed-openapi-core: tests/proof/requirements.txt | $(BIN)/python
	@$(BIN)/python -m venv --without-pip .venv/openapi-core
	$(PIP) --python .venv/openapi-core/bin/python install --requirement $<
	@touch $@

# For the Python of the system, which every user may run.
.venv/installed-patroni: tests/cluster/requirements.txt | $(BIN)/python
	$(PIP) --python /usr/bin/python3 install --target .venv/patroni --upgrade --requirement $<
	@touch $@
