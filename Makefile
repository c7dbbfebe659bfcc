# Everything a person needs to run here; `make help` lists it. The tools live in .venv, which `make setup` makes.
PYTHON ?= python3
RUN := .venv/bin/python -m
export PYTHON
# Airflow is run in many processes, and each would compile thousands of modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-matrix check bench scale torture mutants sandbox lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

setup: ## install everything into .venv (Python >= 3.11 and make are enough)
	@scripts/install.sh

demo: setup ## the sandbox, Airflow and the example DAGs: a warehouse, and clients booked from a file
	@$(RUN) scripts.demo

test: setup ## all tests; make test ARGS="-k paging" runs some
	@$(RUN) pytest --numprocesses 2 --dist worksteal $(ARGS)

test-matrix: setup ## all tests with each supported Airflow and Python; ARGS="lowest" or ARGS="3.1-py3.13 -k paging" runs less
	@scripts/matrix.sh $(ARGS)

check: setup ## the linters: ruff, its format, pydoclint, codespell, mypy --strict on the package
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) flake8 altegio_provider
	@git ls-files -z -- '*.py' '*.md' '*.cfg' '*.toml' '*.sql' '*.sh' '*.yaml' Makefile | xargs -0 .venv/bin/codespell
	@$(RUN) mypy

bench: ## speed and memory beside others (15 minutes); make bench ARGS=limit: at the API's limit (7)
	@VENV=.venv-bench scripts/install.sh bench
	@.venv-bench/bin/python -m benchmarks $(ARGS)

scale: ## the topology of docker-compose.yaml as processes: many workers, one limit, one of them killed
	@VENV=.venv-scale scripts/install.sh compose
	@.venv-scale/bin/python scripts/scale.py

torture: setup ## imports that are killed again and again, in full; some minutes
	@ALTEGIO_TORTURE=1 $(RUN) pytest tests/airflow/test_torture.py $(ARGS)

mutants: ## change the code in small ways and list what no test sees (hours); make mutants ARGS="ledger" runs one group
	@scripts/mutants.sh $(ARGS)

sandbox: setup ## the imitated API on http://127.0.0.1:8089, until Ctrl-C
	@$(RUN) altegio_provider.sandbox $(ARGS)

lock: setup ## write constraints.txt with today's versions, and constraints-lowest.txt with the lower bounds
	@scripts/lock.sh

clean: ## remove .venv and all caches
	@rm -rf .venv .venv-scale .venv-mutants .mutants .matrix .demo .scale .hypothesis .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
