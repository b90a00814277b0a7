# Run `make` or `make help` for the list of targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup fmt lint types tests test test-all fuzz demo sweep bench bench-smoke export-matrix docs site site-serve clean ci sbom lowest

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

setup: $(STAMP) ## Make the environment (.venv) and install everything for development

fmt: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## Check format, lint and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell src tests docs benchmarks recipes README.md CONTRIBUTING.md CHANGELOG.md

types: setup ## Check types
	$(BIN)/mypy

tests: setup ## Run the fast tests
	$(BIN)/python -m pytest

test: lint types tests ## Lint, types and the fast tests: what a change must pass

test-all: lint types ## The same with the slow tests
	$(BIN)/python -m pytest -m 'not gpu'

MINUTES ?= 20
fuzz: setup ## Read damaged and foreign files for MINUTES (20); the counts go to tests/fuzz/results.json
	$(BIN)/python tests/fuzz/long.py --minutes $(MINUTES) --write

sbom: setup ## List all dependencies with their licenses: docs/dependencies.md and docs/sbom.json
	$(BIN)/python docs/supply.py

lowest: ## Run the fast tests with the lowest versions that pyproject.toml allows; needs uv
	PYTHON=$(PYTHON) bash tests/lowest.sh

sweep: setup ## Insert, run and remove a gate in every convolutional family of timm
	$(BIN)/python benchmarks/sweep.py

demo: setup ## Compare none, das and se on generated images; says where the report lies
	$(BIN)/foveate compare scenes --out demo --resume

bench: setup ## Measure the gate on 2 threads into benchmarks/results: time, memory, scaling; 12 minutes
	$(BIN)/foveate bench gate memory scaling --dtype float32,bfloat16 --threads 2 --seconds 0.5 --repeat 2

bench-smoke: setup ## Run the benchmark on toy sizes: shows that it works, its numbers mean nothing
	$(BIN)/foveate bench gate op memory scaling --quick --threads 1

export-matrix: setup ## Export every attention to every runtime; hours, goes on where it stopped
	$(BIN)/python benchmarks/export_matrix.py

docs: setup ## Regenerate the tables and pictures of the README
	$(BIN)/python docs/build.py

site: setup ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

site-serve: setup ## Show the documentation site while it is written
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

clean: ## Remove caches and the demo's results, not the environment
	rm -rf demo build dist site .pytest_cache .mypy_cache .ruff_cache

ci: test ## What the continuous integration runs
