# `make demo` and `make test` need Python 3.11 or newer and nothing else; a second run installs nothing again.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= auto

BIN := $(VENV)/bin
QUICKSTART := notebooks/01_quickstart.ipynb
PYTEST := $(BIN)/python -m pytest
FAST := -n $(WORKERS) --dist worksteal -m "not slow and not browser and not oracle"

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-fast test-thorough lint types unit notebooks browser refresh screenshot clean

help:
	@echo "make demo        install into $(VENV), run the quickstart, print its test accuracy"
	@echo "make lab         open the quickstart in JupyterLab"
	@echo "make test        install what the tests need and run all of them"
	@echo "make test-fast   only the tests that take seconds, without the comparisons with Keras"
	@echo "make test-thorough  thousands of random examples where the others try dozens; takes hours"
	@echo "make refresh     run the notebooks and save their outputs in them"
	@echo "make screenshot  take the README's picture again"
	@echo "make clean       remove what these commands made"

demo: $(VENV)/.notebook
	$(BIN)/python tests/tools/run_notebook.py $(QUICKSTART) --html build --accuracy-at-least 0.97

lab: $(VENV)/.notebook
	$(BIN)/jupyter lab $(QUICKSTART)

test: lint types unit notebooks browser

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/basedpyright --pythonpath $(BIN)/python

unit: $(VENV)/.test
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not browser"

test-fast: $(VENV)/.test
	$(PYTEST) $(FAST)

test-thorough: $(VENV)/.test
	$(PYTEST) -n $(WORKERS) --dist worksteal -m hypothesis --hypothesis-profile=thorough

notebooks: $(VENV)/.test
	$(PYTEST) --nbval-lax --nbval-cell-timeout=300 notebooks

browser: $(VENV)/.test
	$(BIN)/python tests/tools/chromium.py --install
	$(PYTEST) -m browser tests/browser

refresh: $(VENV)/.notebook
	$(BIN)/python tests/tools/run_notebook.py notebooks/*.ipynb --in-place

screenshot: $(VENV)/.test
	$(BIN)/python tests/tools/chromium.py --install
	$(BIN)/python -m tests.browser.make_screenshot notebooks/images/quickstart.png

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "kerasmagic needs Python 3.11 or newer; say which one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.notebook: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[notebook]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.notebook

clean:
	rm -rf .venv .venv-* build dist artifacts .pytest_cache .ruff_cache .hypothesis
	find kerasmagic tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
