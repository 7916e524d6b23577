# Two commands to know: `make demo` and `make test`. Both create the environment first (Python >= 3.11 and make, nothing else).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread per test process: two of them share the usual two cores.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# A room that no training of ours has seen, and what docs/answer.jpg asks about it.
DOCS_ROOM := build/docs-room
DOCS_QUESTIONS := "What color is the couch?" "What is on top of the coffee table?" "What color is the door?"

.PHONY: demo test test-all fuzz lint install docs-pictures clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	$(BIN)/askscan demo

install: $(VENV)/.dev-installed

test: $(VENV)/.dev-installed
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -q

test-all: $(VENV)/.dev-installed
	$(TEST_ENV) $(BIN)/python -m pytest -q -m ''

fuzz: $(VENV)/.dev-installed
	$(TEST_ENV) $(BIN)/python -m tests.fuzz.run --count $(or $(COUNT),5000) --seed $(or $(SEED),1)

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs-pictures: $(VENV)/.installed
	@rm -rf docs/answer.jpg $(DOCS_ROOM)
	$(BIN)/askscan rooms $(DOCS_ROOM) --scenes 1 --val 0 --seed 880002
	$(BIN)/askscan ask scene0000_00 $(DOCS_QUESTIONS) --data $(DOCS_ROOM) --picture docs/answer.jpg > docs/answer.txt
	@cat docs/answer.txt

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found; askscan needs Python >= 3.11. Try: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "askscan needs Python >= 3.11; $(PYTHON) is older. Try: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12"; exit 2; }
	@echo "Installing into $(VENV): about 2 GB, more where torch brings CUDA; a few minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev-installed: $(VENV)/.installed
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build demo
