# One place for every chore. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3.11
BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
# tests at once, in one Spark
WORKERS ?= 2

.PHONY: help setup demo test test-fast check format lock zip wheel docs clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml scripts/setup.sh scripts/archive_classes.py lib/promoloop/java.py
	@bash scripts/setup.sh "$(PYTHON)"
	@touch $(READY)

setup: $(READY) ## Make .venv from requirements.lock, fetch three jars, archive Java's classes; once

demo: $(READY) ## Run the whole loop on the embedded shop; ends with a summary and a report
	$(BIN)/promoloop run

test: $(READY) zip ## All tests (10 to 12 minutes on 2 cores)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal

test-fast: $(READY) ## Tests without a Spark session (under a minute)
	$(PY) -m pytest -m "not spark and not slow and not cluster and not browser"

check: $(READY) ## Lint, types, import directions, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PY) scripts/write_table_docs.py --check

format: $(READY) ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Rewrite requirements.lock (needs uv)
	uv pip compile pyproject.toml --all-extras --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock" -o requirements.lock

zip: dist/promoloop.zip ## Build dist/promoloop.zip for spark-submit --py-files

dist/promoloop.zip: $(READY) $(shell find lib jobs conf expectations -type f -not -name '*.pyc') scripts/build_zip.py
	@$(PY) scripts/build_zip.py $@

wheel: $(READY) ## Build the wheel for pip and Databricks
	$(PY) -m pip wheel --no-deps -w dist .

docs: $(READY) ## Rewrite what is generated: docs/tables.md, expectations/compiled
	$(PY) scripts/write_table_docs.py
	$(PY) scripts/compile_expectations.py

clean: ## Remove what runs left behind (keeps .venv and .jars)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
