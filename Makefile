# Everything runs in .venv, which is made from uv.lock on first use.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-modern test-slow lint bench requirements clean

BIN := .venv/bin
# Python of the lane of dependencies: 3.13 where glibc allows, else 3.10; LANE=3.10 overrides.
PYTHON := $(shell LANE=$(LANE) .ci/lane 2>/dev/null)
STAMP := .venv/.synced-$(PYTHON)

# Size of the demonstration: about five minutes on two cores.
DEMO_DIR ?= mtfx_demo
DEMO_PROFILE ?= video
DEMO_IMPRESSIONS ?= 100000
DEMO_BACKBONE ?= mmoe
DEMO_BATCH_SIZE ?= 512
DEMO_EPOCHS ?= 3
DEMO_TASKS ?= click,long_view,like,follow,comment,forward,watch_time_ms
DEMO_USERS ?= 500
DEMO_SESSIONS ?= 3000
DEMO_EVAL_SESSIONS ?= 1000
DEMO_STEPS ?= 3000
# So small a log can judge no policy: what it learns is pushed all the same, to show the serving.
DEMO_RETURN_DROP ?= 100

# Test files run side by side; each process takes 2 GB and imports TensorFlow once.
TEST_WORKERS ?= 2

# Benchmarks take these sizes; larger ones give steadier figures.
BENCH_ARGUMENTS ?= --small

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Make the environment in .venv.

$(STAMP): pyproject.toml uv.lock
	@.ci/setup

demo: $(STAMP) ## Synthesize a small data set and run both pipelines on it.
	$(BIN)/mtfx synthesize --profile $(DEMO_PROFILE) --impressions $(DEMO_IMPRESSIONS) \
		--seed 1 --output-dir $(DEMO_DIR)/data
	$(BIN)/mtfx ranking --dataset synthetic-$(DEMO_PROFILE) --data-dir $(DEMO_DIR)/data \
		--output-dir $(DEMO_DIR)/run --backbone $(DEMO_BACKBONE) --model-size small \
		--tasks $(DEMO_TASKS) --epochs $(DEMO_EPOCHS) --batch-size $(DEMO_BATCH_SIZE) --seed 1
	$(BIN)/mtfx fusion --run-dir $(DEMO_DIR)/run --method bcq --explore-around bo \
		--exploration noise --push best --users $(DEMO_USERS) --sessions $(DEMO_SESSIONS) \
		--eval-sessions $(DEMO_EVAL_SESSIONS) --train-steps $(DEMO_STEPS) --set "hidden_units=(64,64)" \
		--max-return-drop $(DEMO_RETURN_DROP) --seed 1

test: $(STAMP) ## Run the default tests (eight to ten minutes on two cores).
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

test-modern: ## Run the default tests on Python 3.13, in a Debian 13 made for it where glibc is too old.
	@.ci/test-modern

test-slow: $(STAMP) ## Run the tests marked slow, every documented command among them.
	$(BIN)/python .ci/slow_tests.py --side-by-side $(TEST_WORKERS)

lint: $(STAMP) ## Check format, style, types, Dockerfile, hooks and requirements.txt.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/hadolint Dockerfile serving/Dockerfile
	$(BIN)/shellcheck --severity=warning $(filter-out %.py,$(wildcard .ci/*))
	$(BIN)/pre-commit validate-config
	@.ci/requirements --check

requirements: $(STAMP) ## Export requirements.txt from uv.lock.
	@.ci/requirements

bench: $(STAMP) ## Measure speed in small sizes.
	@set -e; for benchmark in benchmarks/*.py; do \
		case $$benchmark in */__init__.py|*/d3rlpy_steps.py) continue ;; esac; \
		echo "== $$benchmark"; \
		$(BIN)/python -m "benchmarks.$$(basename $$benchmark .py)" $(BENCH_ARGUMENTS); \
	done

clean: ## Remove the environment and caches.
	rm -rf .venv .bootstrap .bootstrap.log .pytest_cache .ruff_cache .hypothesis
