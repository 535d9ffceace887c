# Every target makes what it needs: a virtual environment in .venv with the package in it.
PYTHON ?= python3
BIN := .venv/bin
# The CPU build of torch; elsewhere than where a plain pip finds it, see README.
TORCH ?= torch==2.13.0
export OMP_NUM_THREADS ?= 2

.PHONY: demo test lint bench clean

.venv/runtime: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/lab: .venv/runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,dev]'
	touch $@

demo: .venv/runtime
	$(BIN)/python examples/demo.py out/demo

lint: .venv/lab
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

bench: .venv/lab
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist out
