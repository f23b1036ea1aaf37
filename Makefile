# kvmfleet.sriov: `make help` lists the targets.
#
# Everything made here goes below build/ and .venv/; what is worth keeping between checkouts (kernels, images, caches)
# goes below ~/.cache/kvmfleet-sriov/, keyed by content and safe to delete.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
PYTHON39 := $(shell tools/find_python 3.9)
OLDEST := build/venv39
GATES := build/gates
BIN := .venv/bin
SRC := build/src/ansible_collections/kvmfleet/sriov
TYPED := $(SRC)/plugins $(wildcard lab bench tools tests)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections
export PYTHONUNBUFFERED := 1
ifdef FRESH
export KVMFLEET_FRESH := $(FRESH)
endif

.PHONY: help setup venv pin src collection ruff mypy generate generated import-lint ansible-lint yamllint changelog lint format \
	importer docs reuse release sanity sanity-newer newer unit unit-python39 python39 unit-changed unit-slow test-fast \
	mutants test-mutants fuzz lab-build conformance kernel-check kernel-bisect test-kernels evidence faults test-faults molecule test try demo bench clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

setup: ## install the operating system packages that the lab and kernel builds need (Debian 12, root)
	@tools/setup

venv: .venv/.ready ## make the Python environment from requirements/dev.txt
.venv/.ready: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@tools/environment .venv $< $(PYTHON)

pin: ## resolve requirements/dev.in anew and pin the result
	@tools/pin

src: $(SRC) # the path that Ansible imports the collection by, leading to this checkout
$(SRC):
	@mkdir -p $(@D) && ln -sfn $(CURDIR) $@

collection: venv ## build the collection's tarball and install it into build/collections
	@tools/collection

ruff: venv src
	$(BIN)/ruff check
	$(BIN)/ruff format --check

mypy: venv src
	$(BIN)/mypy $(TYPED)

generate: venv src ## write what follows from tables of the code: specs, documentation, JSON Schema, reference
	@PYTHONPATH=build/src:. $(BIN)/python -m tools.generate

generated: venv src # as a stage: whether that is stale
	@PYTHONPATH=build/src:. $(BIN)/python -m tools.generate --check

import-lint: venv src ## the order of the rooms of plugins/module_utils: layers, no circles, planning without I/O
	@PYTHONPATH=build/src $(BIN)/lint-imports .config/importlinter.ini --no-cache

ansible-lint: collection
	$(BIN)/ansible-lint

yamllint: venv
	$(BIN)/yamllint --strict .

changelog: venv
	$(BIN)/antsibull-changelog lint

lint: venv src ## ruff, mypy, import-linter, generated parts, ansible-lint (production), yamllint, antsibull-changelog
	@$(BIN)/python -m tools.stages ruff mypy import-lint generated ansible-lint yamllint changelog

format: venv ## format the Python code
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

$(GATES)/.ready: requirements/gates.txt # apart from .venv, as galaxy-importer pins what others do not
	@tools/environment $(GATES) $< $(PYTHON)

importer: collection $(GATES)/.ready ## galaxy-importer on the tarball, as a Galaxy server runs it
	@tools/importer

docs: collection $(GATES)/.ready ## antsibull-docs lint, and a site of guides and plugins: build/docs/html
	@tools/docs

reuse: $(GATES)/.ready ## whether each file has its licence
	@$(GATES)/bin/reuse lint --quiet || { $(GATES)/bin/reuse lint --lines; exit 1; }

sanity: venv ## ansible-test sanity, offline, on a copy of the checkout
	@tests/sanity/run

sanity-newer: venv ## the same on newer releases of ansible-core, where it was not recorded yet; FRESH=1: all
	@$(BIN)/python -m tools.cores --record $(if $(FRESH),--fresh)

newer: venv # as a stage: what the record says of them, and files that were edited since
	@$(BIN)/python -m tools.cores $(if $(KVMFLEET_FRESH),--fresh)

unit: venv src ## unit tests, the conformance cases on the fake tree among them
	@$(BIN)/python -m tools.unit_tests

unit-python39: $(OLDEST)/.ready src ## unit tests of the engine on Python 3.9, the oldest of managed hosts
	@$(OLDEST)/bin/python -m pytest -q -n 2 -m "not slow and not heavy" tests/unit/plugins/module_utils \
		--ignore tests/unit/plugins/module_utils/_document/test_yaml_text.py # it asks Ansible, which has no such Python

python39: venv src $(if $(PYTHON39),$(OLDEST)/.ready) # as a stage: a part of them, or only the grammar where it is missing
	@$(BIN)/python -m tools.oldest_python $(if $(PYTHON39),$(OLDEST)/bin/python)

$(OLDEST)/.ready: requirements/python39.txt
	@test -n "$(PYTHON39)" || { echo "there is no Python 3.9 here: neither python3.9 on the PATH nor one of pyenv"; exit 1; }
	@tools/environment $(OLDEST) $< "$(PYTHON39)"

unit-changed: venv src ## unit tests that a change since the last run that passed can turn, by the import graph
	@$(BIN)/python -m tools.unit_tests --changed

unit-slow: venv src ## unit tests that run ansible-playbook or molecule, on this machine only
	@$(BIN)/pytest -q -n 2 -rfEs -m slow --durations=20

fuzz: venv src ## 100,000 inputs nobody meant, over all readers, with a fixed seed: minutes
	@PYTHONPATH=build/src:. $(BIN)/python -m tests.fuzz.run

test-mutants: venv src ## planted faults without a valid result: the named test must turn red; ONLY= FRESH=1 (all: 22 min)
	@$(BIN)/python -m tools.mutants $(if $(FRESH),--fresh) $${ONLY:+"$$ONLY"}

mutants: venv src # as a stage: those without a valid result, and a tenth of the rest; FRESH=1: all
	@$(BIN)/python -m tools.mutants --stage $(if $(KVMFLEET_FRESH),--fresh)

test-fast: venv src ## ruff, mypy, import-linter, unit tests of what changed and of what rests on it, no QEMU: a minute
	@$(BIN)/python -m tools.stages ruff+mypy+import-lint+generated unit-changed

lab-build: setup collection # as a stage, before those that boot hosts
	@$(BIN)/python -m lab build --headers

conformance: setup collection ## the engine's cases, and those of the kernel that are due, on real kernels; FRESH=1: all
	@$(BIN)/python -m lab conformance $(if $(KVMFLEET_FRESH),--fresh)

kernel-check: setup venv ## whether the kernel series is clean (checkpatch.pl --strict) and applies exactly
	@$(BIN)/python -m lab kernel-check

kernel-bisect: setup venv ## build the series after each patch from the first changed one on; FRESH=1: all (over an hour)
	@$(BIN)/python -m lab kernel-bisect $(if $(FRESH),--fresh)

test-kernels: setup collection ## conformance cases without a valid result; BASE= FLAVOUR= ONLY= FRESH=1 (all: two hours)
	@$(BIN)/python -m lab test-kernels $(if $(BASE),--base $(BASE)) $(FLAVOUR:%=--flavour %) $(ONLY:%=--only %) \
		$(if $(FRESH),--fresh)

evidence: venv ## what the record says of the series and the cases as they are; fails when it is stale
	@$(BIN)/python -m lab evidence

test-faults: setup collection ## faults of live updates, deployments and tried kernels without a valid result; LEVEL=local|lab ONLY= FRESH=1 (all: two hours)
	@status=0; export PYTHONPATH=build/src:.; \
	if [[ "$(LEVEL)" != lab ]]; then $(BIN)/python -m tests.faults.run $(ONLY:%=--only %) $(if $(FRESH),--fresh) || status=$$?; fi; \
	if [[ "$(LEVEL)" != local ]]; then $(BIN)/python -m lab faults $(ONLY:%=--only %) $(if $(FRESH),--fresh) || status=$$?; fi; \
	exit $$status

faults: venv src # as a stage: what the record says of them, and some of each phase
	@PYTHONPATH=build/src:. $(BIN)/python -m tests.faults.run --sample

molecule: setup collection ## all molecule scenarios on one lab boot
	@$(BIN)/python -m lab molecule

test: setup venv src ## everything; what passed on identical inputs is not run again (FRESH=1 runs all)
	@status=0; $(BIN)/python -m tools.stages ruff+mypy+import-lint+generated unit mutants faults python39+kernel-check+evidence ansible-lint+sanity \
		yamllint+changelog+importer+docs+reuse$(if $(wildcard tests/sanity/EVIDENCE.json),+newer) unit-slow --then lab-build conformance+molecule || status=$$?; \
	for fleet in kernels test; do \
		if [[ -d build/lab/$$fleet ]]; then $(BIN)/python -m lab down $$fleet >build/test/down-$$fleet.log 2>&1; fi; \
	done; \
	exit $$status

try: venv src ## declare, refuse, find drift and live-update on three played hosts: no root, no VM, a minute; KEEP=1 keeps them
	@PYTHONPATH=build/src:. $(BIN)/python -m lab try $(if $(KEEP),--keep)

release: venv src ## version, changelog, tarball, checksums, commit and tag in this checkout; VERSION=1.2.3 REPOSITORY=URL
	@$(BIN)/python -m tools.release "$(VERSION)" "$(REPOSITORY)"

demo: setup collection ## from nothing to the live update of an emulated fleet; report in build/demo/
	@$(BIN)/python -m lab demo

bench: setup collection ## measure stock, series and floor side by side; ONLY=key: one key; results in build/bench/
	@$(BIN)/python -m bench $(ONLY:%=--only %)

clean: ## remove what was built in this checkout (caches in ~/.cache/kvmfleet-sriov stay)
	rm -rf build .ansible .mypy_cache .ruff_cache .pytest_cache .hypothesis
