# Every target does all of its own set-up, is safe to run twice, and is quick the second time.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
CHECKED := src tests $(wildcard benchmarks lessons/conf.py)

.PHONY: help install demo test lint format wheel wheel-test bench picture clean lessons

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Make the environment in .venv (Python 3.11 or newer; PYTHON=... chooses one)
	@:

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Pellucid needs Python 3.11 or newer; $(PYTHON) is older. Try: make install PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) and installing what is pinned; the first time takes minutes."; \
		$(PYTHON) -m venv $(VENV) || { echo "The environment could not be made; on Debian: apt install python3-venv"; exit 1; }; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: install ## Train a small network on real handwritten digits, and write a report to look at
	@$(BIN)/pellucid train digits --network convnet --epochs 12

test: install lint ## Everything that is checked: lint, formatting, types, imports, tests, coverage, the README
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: install ## Lint, formatting, types, direction of imports, dependencies
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check --quiet $(CHECKED)
	@$(BIN)/pyrefly check --summary=none
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/deptry src

format: install ## Lay the code out
	@$(BIN)/ruff check --fix $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

lessons: install ## Run the lessons and build them into build/lessons
	@$(BIN)/python -m sphinx -W -q -E -b html lessons build/lessons
	@echo build/lessons/index.html

wheel: install ## Build dist/pellucid-*.whl
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	@ls dist/*.whl

wheel-test: wheel ## Try the wheel in an environment of its own: help, train, predict
	@sh tests/wheel_alone.sh $(PYTHON) dist/pellucid-*.whl

NAME ?= all
PAIRS ?= 1
bench: install ## Time ours beside peers (NAME=mnist-99 PAIRS=3 for one of them); needs PELLUCID_DATA
	@$(BIN)/python benchmarks/speed.py $(NAME) --pairs $(PAIRS) --table

picture: install ## Draw the picture of the README again
	@rm -rf build/picture && mkdir -p build
	@$(BIN)/pellucid train digits --network convnet --quiet --out build/picture >/dev/null
	@cp build/picture/pictures/predictions.png docs/pictures/predictions.png

clean: ## Remove what can be made again, the environment included; runs/ stays
	@rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
