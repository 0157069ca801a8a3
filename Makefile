# Targets a newcomer needs: `make demo`, `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
ARGS ?=

.PHONY: help setup test soak check format lock demo bench realapi clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.stamp  ## make .venv with the locked versions

$(VENV)/.stamp: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

lock:  ## resolve the dependencies again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra agent --extra aggregator --group dev \
		pyproject.toml --output-file requirements.lock $(ARGS)

test: setup  ## run every test but the long ones
	$(BIN)/python -m pytest -m "not soak" -n auto --dist worksteal $(ARGS)

soak: setup  ## run the long tests
	$(BIN)/python -m pytest -m soak $(ARGS)

realapi: setup  ## run the agent's tests against a real Kubernetes API server (needs Go)
	$(BIN)/python -m tests.realapi $(ARGS)

check: setup  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: setup  ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: setup  ## run the product with three sample clusters; ARGS=--once to feed, ask and exit
	$(BIN)/python -m demo $(ARGS)

bench: setup  ## run the benchmarks with their floors
	$(BIN)/python -m bench $(ARGS)

clean:  ## remove what setup and the tools made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
