# Every target is a step that also runs alone. Variables reach the harness through harness/settings.py.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARTICLE := $(addprefix suites/,install ingress rate_limit waypoint circuit_breaker)
T ?= $(ARTICLE)

export E2E_CLUSTER := $(or $(CLUSTER),$(E2E_CLUSTER))
export E2E_CLUSTER_NAME := $(or $(CLUSTER_NAME),$(E2E_CLUSTER_NAME))
export E2E_VERSIONS := $(or $(VERSIONS),$(E2E_VERSIONS))
export E2E_KEEP := $(or $(KEEP),$(E2E_KEEP))
export E2E_BUNDLE := $(or $(BUNDLE),$(E2E_BUNDLE))
export E2E_NODE_IMAGE := $(or $(NODE_IMAGE),$(E2E_NODE_IMAGE))
export E2E_CACHE := $(or $(CACHE),$(E2E_CACHE))
export E2E_WORKERS := $(or $(WORKERS),$(E2E_WORKERS))
export E2E_WAYPOINT := $(or $(WAYPOINT),$(E2E_WAYPOINT))
export E2E_KUBECONFIG := $(or $(KUBECONFIG_FILE),$(E2E_KUBECONFIG))
export E2E_CONTEXT := $(or $(CONTEXT),$(E2E_CONTEXT))
export E2E_INSTALL := $(or $(INSTALL),$(E2E_INSTALL))
export E2E_DELAY_FACTOR := $(or $(DELAY_FACTOR),$(E2E_DELAY_FACTOR))

.DEFAULT_GOAL := help

##@ Use

.PHONY: test
test: $(BIN)/.installed-dev ## the harness's own tests: no cluster, no Docker
	$(BIN)/pytest tests

.PHONY: e2e
e2e: $(BIN)/.installed ## the article's flow, end to end (CLUSTER=kind|existing|emulated, T=suites for all, KEEP=always)
	$(BIN)/pytest $(T)

.PHONY: doctor
doctor: $(BIN)/.installed ## what this machine lacks for a run, each with its remedy
	$(BIN)/mesh-e2e doctor

.PHONY: images
images: $(BIN)/.installed ## every image that a version set needs (VERSIONS=name)
	$(BIN)/mesh-e2e images

.PHONY: check-references
check-references: $(BIN)/.installed ## ask the registries whether each image and chart still exists (VERSIONS=name)
	$(BIN)/mesh-e2e check-references

.PHONY: bundle
bundle: $(BIN)/.installed ## charts and images into a folder, for runs without a network (BUNDLE=folder)
	$(BIN)/mesh-e2e bundle $(or $(BUNDLE),bundle)

.PHONY: clean
clean: $(BIN)/.installed ## take away what killed or kept runs left
	$(BIN)/mesh-e2e clean

##@ Measure

.PHONY: bench
bench: $(BIN)/.installed ## seconds of each stage and suite, and what the harness itself costs
	$(BIN)/mesh-e2e bench $(T)

.PHONY: faults
faults: $(BIN)/.installed ## planted faults, one by one: which tests catch them (CLUSTER=emulated|kind)
	$(BIN)/mesh-e2e faults $(if $(THIRD),--third $(THIRD)) $(FAULTS)

##@ Develop

.PHONY: check
check: $(BIN)/.installed-dev ## lint, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests

.PHONY: lock
lock: ## write requirements.lock and requirements-dev.lock anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra emulated --universal --generate-hashes --no-annotate --no-emit-index-url \
	  --quiet --custom-compile-command "make lock" --output-file requirements.lock
	uv pip compile pyproject.toml --extra emulated --group dev --universal --generate-hashes --no-annotate \
	  --no-emit-index-url --quiet --custom-compile-command "make lock" --output-file requirements-dev.lock

.PHONY: help
help: ## this
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*##/ {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

PIP := $(if $(shell command -v uv),uv pip install --quiet --compile-bytecode --python $(BIN)/python,\
  $(BIN)/python -m pip install --quiet --disable-pip-version-check)
OURS = $(PIP) --no-deps --editable . && $(BIN)/python -m compileall -q harness

# Whichever comes first; the development lock holds the other whole.
$(BIN)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement requirements.lock
	$(OURS)
	@touch $@

$(BIN)/.installed-dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement requirements-dev.lock
	$(OURS)
	@touch $@ $(BIN)/.installed
