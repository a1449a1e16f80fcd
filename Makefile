# Every target does all of its own set-up, is safe to run twice, and is quick the second time.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= explain,export,tune
TORCH ?=
# One stamp for each choice of PyTorch, and one for what only developers need.
STAMP := $(VENV)/.installed$(addprefix -,$(TORCH))
DEV_STAMP := $(VENV)/.developed$(addprefix -,$(TORCH))
PIP := $(BIN)/python -m pip --disable-pip-version-check
# pip shows its progress the first time, and is quiet when everything is there already.
QUIET = $$(test -e $(BIN)/pellucid && echo --quiet)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
SIZE_CUDA := Installing into $(VENV): about 6.4 GB on disk, 5 of them for NVIDIA cards. Without such a card: make install TORCH=cpu (about 1.4 GB)
SIZE_CPU := Installing into $(VENV), with PyTorch for CPUs: about 1.4 GB on disk.
SIZE_OTHER := Installing into $(VENV): about 1.4 GB on disk.
CHECKED := src tests $(wildcard benchmarks lessons/conf.py)

.PHONY: help install develop demo test lint format wheel wheel-test bench picture clean lessons

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Make the environment in .venv (PYTHON=python3.12 chooses Python, TORCH=cpu the small PyTorch)
	@:

$(STAMP): pyproject.toml constraints.txt
	@case '$(TORCH)' in ''|cpu) ;; *) echo "TORCH is cpu, or is left out; given: $(TORCH)."; exit 2;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Pellucid needs Python 3.11 or newer; $(PYTHON) is older. Try: make install PYTHON=python3.12"; exit 1; }
	@if [ '$(TORCH)' = cpu ] && [ -d "$$(echo $(VENV)/lib/python3*/site-packages/nvidia)" ]; then \
		echo "$(VENV) has PyTorch for NVIDIA cards. Remove it first: make clean"; exit 1; fi
	@if [ ! -x $(BIN)/python ]; then \
		if [ '$(TORCH)' = cpu ]; then echo "$(SIZE_CPU)"; \
		elif [ "$$(uname -s)" = Linux ]; then echo "$(SIZE_CUDA)"; \
		else echo "$(SIZE_OTHER)"; fi; \
		$(PYTHON) -m venv $(VENV) || { echo "The environment could not be made; on Debian: apt install python3-venv"; exit 1; }; \
	fi
	@if [ '$(TORCH)' = cpu ]; then $(PIP) install $(QUIET) -c constraints.txt --no-deps --index-url $(TORCH_CPU_INDEX) torch; fi
	@$(PIP) install $(QUIET) -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(STAMP)

develop: $(DEV_STAMP) ## Add to the environment what tests, lint and lessons need (about 0.7 GB)
	@:

$(DEV_STAMP): $(STAMP)
	@if [ '$(TORCH)' = cpu ]; then \
		$(PIP) install --quiet -c constraints.txt --no-deps --index-url $(TORCH_CPU_INDEX) torchvision; fi
	@$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $(DEV_STAMP)

demo: install ## Train a small network on real handwritten digits, and write a report to look at
	@$(BIN)/pellucid train digits --network convnet --epochs 12

test: develop lint ## Everything that is checked: lint, formatting, types, imports, tests, coverage, the README
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: develop ## Lint, formatting, types, direction of imports, dependencies
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check --quiet $(CHECKED)
	@$(BIN)/pyrefly check --summary=none
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/deptry src

format: develop ## Lay the code out
	@$(BIN)/ruff check --fix $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

lessons: develop ## Run the lessons and build them into build/lessons
	@$(BIN)/python -m sphinx -W -q -E -b html lessons build/lessons
	@echo build/lessons/index.html

wheel: develop ## Build dist/pellucid-*.whl
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	@ls dist/*.whl

wheel-test: wheel ## Try the wheel in an environment of its own: help, train, predict
	@sh tests/wheel_alone.sh $(PYTHON) dist/pellucid-*.whl

NAME ?= all
PAIRS ?= 1
bench: develop ## Time ours beside peers (NAME=mnist-99 PAIRS=3 for one of them); needs PELLUCID_DATA
	@$(BIN)/python benchmarks/speed.py $(NAME) --pairs $(PAIRS) --table

picture: install ## Draw the picture of the README again
	@rm -rf build/picture && mkdir -p build
	@$(BIN)/pellucid train digits --network convnet --quiet --out build/picture >/dev/null
	@cp build/picture/pictures/predictions.png docs/pictures/predictions.png

clean: ## Remove what can be made again, the environment included; runs/ stays
	@rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
