# The two commands of the README: `make run` shows the product at work, `make test` proves it.
# Variables: ONCE=1 (make run ends after the tour), DATA=DIR, API_PORT=N, DEVICE_PORT=N, PYTHON=python3.11.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test lint types bench clean

setup:
	@PYTHON="$(PYTHON)" bash tools/setup.sh

run: setup
	@$(BIN)/python -m tools.tour $(if $(ONCE),--once) $(if $(DATA),--data "$(DATA)") \
	  $(if $(API_PORT),--api-port $(API_PORT)) $(if $(DEVICE_PORT),--device-port $(DEVICE_PORT))

test: lint types
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff format --check --quiet . || { echo "make test: some files are not formatted; run .venv/bin/ruff format ." >&2; exit 1; }
	$(BIN)/ruff check --quiet .

types: setup
	$(BIN)/mypy wire transport resources ota agent staging tools benchmarks tests

bench: setup
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf .venv run build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
