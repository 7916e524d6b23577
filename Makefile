# Two commands to know: `make demo` and `make test`. Both create the environment first (Python >= 3.11 and make, nothing else).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread per test process: two of them share the usual two cores.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test test-all lint install clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	$(BIN)/askscan demo

install: $(VENV)/.dev-installed

test: $(VENV)/.dev-installed
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -q

test-all: $(VENV)/.dev-installed
	$(TEST_ENV) $(BIN)/python -m pytest -q -m 'not gpu or gpu'

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "askscan needs Python >= 3.11; $(PYTHON) is older. Try: make demo PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev-installed: $(VENV)/.installed
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo
