# `make demo` and `make test` need Python 3.10 or newer and git, and bring everything else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AIRFLOW := .venv-airflow

# Else each process that the tests start would compile the package once more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo leads screenshot test unit services coverage test-long test-airflow test-all mutants package lint format bench docs requirements clean help

help:
	@echo "make demo      load a year of leads from a local API, and show them"
	@echo "make leads     load your own leads, and make a page of them"
	@echo "make test      run all tests"
	@echo "make unit      run those that need no service"
	@echo "make services  run the others"
	@echo "make coverage  run as unit does, and demand that each line of the package is run"
	@echo "make test-long run all tests, those that draw at random with their full numbers"
	@echo "make test-airflow  run the example for Airflow; needs redis-server"
	@echo "make test-all  run them with each Python here, with the oldest and newest dependencies"
	@echo "make mutants   break the package in small ways, and show what no test notices"
	@echo "make lint      check format, style, types, spelling, dependencies and workflows"
	@echo "make format    fix what can be fixed automatically"
	@echo "make bench     measure speed and memory"
	@echo "make docs      regenerate the tables and plugin definitions"
	@echo "make screenshot  take the picture of README (needs Chromium)"
	@echo "make package   build the package and inspect it"
	@echo "make requirements  pin the newest versions of all dependencies"
	@echo "make clean     take away what the others made"

# pip is used once, to get uv; the versions in requirements-dev.txt are pinned with hashes.
$(READY): requirements-dev.txt pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements-dev.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --editable .
	touch $(READY)

demo: $(READY)
	@$(BIN)/python -m demo

leads: $(READY)
	@$(BIN)/python -m demo.leads

screenshot: $(READY)
	@$(BIN)/python -m demo.screenshot

# Many tests wait more than they compute, so there are more workers than most machines have cores.
# One more for unit tests, beside which no databases and targets run.
PYTEST := $(BIN)/python -m pytest --dist worksteal

test: $(READY)
	$(BIN)/python -m demo.browser
	$(PYTEST) -n 4

unit: $(READY)
	$(PYTEST) -n 5 tests/unit tests/process

services: $(READY)
	$(BIN)/python -m demo.browser
	$(PYTEST) -n 4 tests/services

coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --dist worksteal -n 5 tests/unit tests/process
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-long: $(READY)
	$(BIN)/python -m demo.browser
	LONG_TESTS=1 $(PYTEST) -n 4

# Airflow pins much that the tap does not, so it has an environment of its own.
$(AIRFLOW)/.ready: examples/airflow/requirements.txt $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(AIRFLOW)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(AIRFLOW)/bin/python \
		examples/airflow/requirements.txt
	touch $@

test-airflow: $(AIRFLOW)/.ready
	$(BIN)/python -m pytest tests/services/airflow

test-all: $(READY)
	UV="$(CURDIR)/$(BIN)/uv" scripts/test-all.sh

# Which changes are drawn, how many, and of which modules: `make mutants SEED=7 ONLY=output/`.
SEED := 1
SAMPLE := 100
ONLY :=

mutants: $(READY)
	$(BIN)/uv run --quiet --no-project scripts/mutants.py --python $(BIN)/python \
		--seed $(SEED) --sample $(SAMPLE) --only "$(ONLY)"

package: $(READY)
	UV="$(CURDIR)/$(BIN)/uv" scripts/package.sh dist

SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry --no-ansi tap_calltouch
	$(BIN)/typos
	$(BIN)/zizmor --offline --quiet .github
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.meltano meltano.yml examples/meltano.yml

format: $(READY)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks

docs: $(READY)
	$(BIN)/python -m docs

requirements: $(READY)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
		--custom-compile-command "make requirements" --group dev --output-file requirements-dev.txt \
		pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
		--custom-compile-command "make requirements" \
		--output-file examples/airflow/requirements.txt examples/airflow/requirements.in

clean:
	rm -rf $(VENV) .venv-* .meltano .demo .bench .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		build dist plugins
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
