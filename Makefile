# Everything a fresh machine needs: Python 3.11 or newer, make, a C library.
PYTHON ?= python3
BIN := .venv/bin
ENV := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contracts unit search cluster bench bench-table bench-core traces-validate clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(ENV) ## serve examples/quickstart through a real Envoy and show it (ONCE=1: check the answers and exit)
	@$(BIN)/python -m contour.testing.demo $(if $(ONCE),--once)

test: lint types contracts unit ## everything that must pass: lint, types, import contracts, all tests

lint: $(ENV) ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: stubs ## mypy, strict
	$(BIN)/mypy

contracts: $(ENV) ## which package may import which
	$(BIN)/lint-imports

unit: $(ENV) ## all tests
	$(BIN)/python -m contour.testing.cluster --build
	$(BIN)/pytest -q -n 2 --dist loadgroup

# What is found becomes a test of its own, or the property is put right.
TIMES ?= 20
search: $(ENV) ## run the property tests TIMES=20 times, each time with other random cases
	@for time in $$(seq $(TIMES)); do $(BIN)/pytest -q -n 2 -m hypothesis --hypothesis-profile default || exit 1; done

bench: $(ENV) ## measure with a real API server and Envoy (N=1000, SCENARIOS=S1,S2, CONTROLLER='COMMAND …', JSON=file)
	@$(BIN)/python -m contour.testing.cluster --build > /dev/null
	@$(BIN)/python -m bench.cluster --hosts $(or $(N),1000) $(if $(SCENARIOS),--scenarios $(SCENARIOS)) \
		$(if $(CONTROLLER),--controller '$(CONTROLLER)') $(if $(CRDS),--crds $(CRDS)) $(if $(JSON),--json $(JSON))

# Sizes one after the other, each so many times; some 15 minutes a time on a machine that does nothing else.
RUNS ?= 3
SIZES ?= 1000 10000
bench-table: $(ENV) ## `make bench` at both sizes, RUNS=3 times each: the table of docs/performance.md, in Markdown
	@$(BIN)/python -m contour.testing.cluster --build > /dev/null
	@mkdir -p .cache/bench && rm -f .cache/bench/*.json
	@for run in $$(seq $(RUNS)); do for size in $(SIZES); do \
		$(BIN)/python -m bench.cluster --hosts $$size --json .cache/bench/$$size-$$run.json >&2 || exit 1; \
	done; done
	@$(BIN)/python -m bench.cluster.report .cache/bench/*.json

bench-core: $(ENV) ## measure builds and edits without a cluster; prints JSON and a table
	$(BIN)/python -m bench.core

traces-validate: $(ENV) ## every recorded trace in the scoped shape through Envoy's validator (minutes)
	$(BIN)/pytest -q tests/traces --all-traces

cluster: $(ENV) ## start a Kubernetes API server by hand and print its kubeconfig (CONTROLLERS=1: with its controllers)
	@$(BIN)/python -m contour.testing.cluster $(if $(CONTROLLERS),--controllers)

stubs: $(ENV) tools/stubs.py src/contour/envoy/pb.py
	$(BIN)/python tools/stubs.py
	@touch stubs

$(ENV): pyproject.toml requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

clean: ## remove what the targets made
	rm -rf .venv .cache stubs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
