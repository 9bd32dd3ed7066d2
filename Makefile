# Every target is a step that also runs alone. Variables reach the harness through harness/settings.py.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARTICLE := $(addprefix suites/,install ingress rate_limit waypoint circuit_breaker)
TESTS = $(or $(strip $(T)),$(ARTICLE))
# The harness's own tests use every core; PYTHONDONTWRITEBYTECODE would make each Python they start compile all modules.
PYTEST_TESTS = PYTHONDONTWRITEBYTECODE= $(BIN)/pytest tests --numprocesses=logical --maxprocesses=8 --dist=worksteal

# The settings of harness/settings.py (docs/settings.md): NAME=… here is E2E_NAME there. A test compares this list.
SETTINGS := CLUSTER CLUSTER_NAME KEEP VERSIONS UPGRADE_TO EG_CHART EG_IMAGE ISTIO_HUB ISTIO_TAG ISTIO_CHARTS ENVOY_IMAGE \
  WAYPOINT KIND_BIN KUBECTL_BIN HELM_BIN TOOLS TOOLS_FILE TOOLS_MIRROR \
  WORKERS NODE_IMAGE BUNDLE PREPARED LB CACHE REGISTRY REGISTRY_CA REGISTRY_PLAIN_HTTP REGISTRY_SECRET KUBECONFIG_FILE CONTEXT \
  NAMESPACE REPLICAS INSTALL DISRUPTIVE CONFORMANCE_IMAGES CONFORMANCE_BINARY RUNS KEEP_RUNS KEEP_DAYS STATE \
  DELAY_FACTOR PATIENCE GATHER FAULT RECORD ENFORCE ORACLES
$(foreach name,$(SETTINGS),$(eval export E2E_$(name) := $$(or $$(strip $$($(name))),$$(E2E_$(name)))))
export E2E_MAKE := $(MAKEOVERRIDES)

.DEFAULT_GOAL := help

##@ Use

.PHONY: test
test: $(BIN)/.installed-dev ## the harness's own tests: no cluster, no Docker
	$(PYTEST_TESTS) $(ARGS)

.PHONY: e2e
e2e: $(BIN)/.installed ## the article's flow, end to end (CLUSTER=kind|existing|emulated, T=suites for all, KEEP=always, ARGS='-k page')
	$(BIN)/pytest $(TESTS) $(ARGS)

.PHONY: doctor
doctor: $(BIN)/.installed ## what this machine lacks for a run, each with its remedy
	$(BIN)/mesh-e2e doctor

.PHONY: tools
tools: $(BIN)/.installed ## kind, helm and kubectl: PATH's when they fit, else fetched into .tools/ (TOOLS_MIRROR=url)
	$(BIN)/mesh-e2e tools

.PHONY: images
images: $(BIN)/.installed ## every image that a version set needs (VERSIONS=name)
	$(BIN)/mesh-e2e images

.PHONY: check-references
check-references: $(BIN)/.installed ## ask the registries whether each image and chart still exists (VERSIONS=name)
	$(BIN)/mesh-e2e check-references

.PHONY: bundle
bundle: $(BIN)/.installed ## charts and images into a folder, for runs without a network (BUNDLE=folder)
	$(BIN)/mesh-e2e bundle $(or $(BUNDLE),bundle)

.PHONY: mirror
mirror: $(BIN)/.installed ## all charts and images of a version set into a registry (REGISTRY=host/prefix, BUNDLE=, FROM=)
	$(BIN)/mesh-e2e mirror $(if $(FROM),--from $(FROM))

.PHONY: clean
clean: $(BIN)/.installed ## take away what killed or kept runs left
	$(BIN)/mesh-e2e clean

.PHONY: matrix
matrix: $(BIN)/.installed ## run the version matrix, one cell after another (ARGS='--istio 1.29,1.30 --eg 1.8,1.9')
	$(BIN)/mesh-e2e matrix run $(ARGS)

.PHONY: conformance
conformance: $(BIN)/.installed ## the Gateway API's own conformance suite, outside and inside the mesh (CONFORMANCE_BINARY=file, ARGS='--only inside')
	$(BIN)/mesh-e2e conformance $(ARGS)

.PHONY: report
report: $(BIN)/.installed ## one page of HTML from runs: matrix, claims, evidence, changes (FOLDERS="runs/… matrix/…", OUT=file)
	$(BIN)/mesh-e2e report $(FOLDERS) $(if $(OUT),--out $(OUT))

##@ Measure

.PHONY: bench
bench: $(BIN)/.installed ## seconds of each stage and suite, and what the harness itself costs
	$(BIN)/mesh-e2e bench $(TESTS)

.PHONY: reproduce
reproduce: $(BIN)/.installed ## a folder to attach to an upstream issue: versions, manifests, commands, expected and seen (TEST=, RUN=)
	$(BIN)/mesh-e2e reproduce $(or $(RUN),runs/latest) '$(TEST)'

.PHONY: faults
faults: $(BIN)/.installed ## planted faults, one by one: which tests catch them (CLUSTER=emulated|kind)
	$(BIN)/mesh-e2e faults $(if $(THIRD),--third $(THIRD)) $(FAULTS)

.PHONY: record
record: $(BIN)/.installed ## refresh tests/recordings/<versions> from a running cluster (CLUSTER=kind that was kept, or existing), or from a run (RUN=folder)
	$(BIN)/mesh-e2e record $(if $(RUN),--run $(RUN))

.PHONY: support
support: $(BIN)/.installed ## the support table of all runs: support.md and support.json in the folder of runs
	$(BIN)/mesh-e2e support

##@ Develop

.PHONY: check
check: $(BIN)/.installed-dev ## lint, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST_TESTS)

PURE := causes evidence logs proxy objects oracles history core/test_http_exchange.py
.PHONY: coverage
coverage: $(BIN)/.installed-dev ## branch coverage of the pure packages by their own tests alone
	$(BIN)/coverage run -m pytest -q $(addprefix tests/,$(PURE))
	$(BIN)/coverage report

.PHONY: lock
lock: ## write requirements.lock and requirements-dev.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra emulated --universal --generate-hashes --no-annotate --no-emit-index-url \
	  --quiet --custom-compile-command "make lock" --output-file requirements.lock
	uv pip compile pyproject.toml --extra emulated --group dev --universal --generate-hashes --no-annotate \
	  --no-emit-index-url --quiet --custom-compile-command "make lock" --output-file requirements-dev.lock

.PHONY: help
help: ## this
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*##/ {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Python 3.11 or newer: checked each time, so that a venv with an older Python is replaced.
FITS := import sys; sys.exit(sys.version_info < (3, 11))
VENV_FITS := $(shell $(BIN)/python -ISc '$(FITS)' 2>/dev/null && echo yes)

# --clear empties the folder, so only one that is a venv is cleared. A half made one (no python3-venv) does not stay.
$(BIN)/.python: $(if $(VENV_FITS),,FORCE)
	@if ! $(BIN)/python -ISc '$(FITS)' 2>/dev/null; then \
	  command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on PATH: install Python 3.11 or newer, or make PYTHON=path" >&2; exit 2; }; \
	  $(PYTHON) -c '$(FITS)' || { newer=$$(for one in python3.{14,13,12,11}; do $$one -ISc '$(FITS)' 2>/dev/null && echo $$one && break; done); \
	    echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), mesh-e2e needs Python 3.11 or newer: make PYTHON=$${newer:-python3.13} $(MAKECMDGOALS)" >&2; exit 2; }; \
	  there=; clear=; [ -e $(VENV) ] && there=yes; [ -e $(VENV)/pyvenv.cfg ] && clear=--clear; \
	  $(PYTHON) -m venv $$clear $(VENV) || { [ "$$there" ] && [ -z "$$clear" ] || rm -rf $(VENV); exit 2; }; \
	fi
	@touch $@

.PHONY: FORCE
FORCE:

PIP := $(if $(shell command -v uv),uv pip install --quiet --compile-bytecode --python $(BIN)/python,\
  $(BIN)/python -m pip install --quiet --disable-pip-version-check)

# $(call install,lock): what pip says goes to a log, so that an unreachable index has a message of its own.
define install
	@echo "installing packages into $(VENV) (about a minute)" >&2
	@{ $(PIP) --require-hashes --requirement $(1) && $(PIP) --no-deps --editable . && \
	  $(BIN)/python -m compileall -q harness; } >$(VENV)/install.log 2>&1 || { \
	  grep -E '^(ERROR|error|WARNING: Retrying|  (Caused|×)|  (├|╰))|[Cc]aused by' $(VENV)/install.log | tail -4 >&2; \
	  if grep -qiE 'connection broken|connection refused|timed out|ProxyError|resolve|dns error|error sending request|Failed to fetch' $(VENV)/install.log; \
	  then echo "make: the package index does not answer: is the network there, and are the proxy and the index (PIP_INDEX_URL, UV_DEFAULT_INDEX) right? All of it: $(VENV)/install.log" >&2; \
	  else echo "make: the packages of $(1) cannot be installed; the full log: $(VENV)/install.log" >&2; fi; exit 2; }
endef

# Whichever comes first; the development lock holds the other whole.
$(BIN)/.installed: requirements.lock pyproject.toml $(BIN)/.python
	$(call install,requirements.lock)
	@touch $@

$(BIN)/.installed-dev: requirements-dev.lock pyproject.toml $(BIN)/.python
	$(call install,requirements-dev.lock)
	@touch $@ $(BIN)/.installed
