# The front door. Every target works on a fresh clone.
SHELL := /bin/sh
BIN := $(CURDIR)/.venv/bin

.PHONY: help run setup test lint check bench soak clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: setup ## Start the local room and a Codex agent in it; prints the link to open
	@mkdir -p playground && sh scripts/run

setup: ## Make .venv and install the package with all extras
	@sh scripts/setup all

test: ## Run all tests, real programs and browser included
	@sh scripts/setup all,test
	@sh scripts/system-packages
	@$(BIN)/python -m tests.contract.published.install
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

lint: ## Format and lint checks
	@sh scripts/setup all,test
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

check: lint ## Lint, types and layers
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: ## Measure side by side with the published CLI; writes docs/benchmarks.md
	@sh scripts/setup all,test
	@$(BIN)/python -m benchmarks --install-reference --write $(ARGS)

SEED ?= 20260501
KILLS ?= 1000
AT_ONCE ?= 2

soak: ## Kill agent, room server and Codex for real: make soak SEED=1 KILLS=1000 AT_ONCE=2
	@sh scripts/setup all,test
	@$(BIN)/python -m tests.crash.soak $(SEED) $(KILLS) --at-once $(AT_ONCE)

clean: ## Remove what the other targets made in this folder
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis playground
