# Every target makes what it needs: a virtual environment in .venv with the package in it.
PYTHON ?= python3
BIN := .venv/bin
# The CPU build of torch; elsewhere than where a plain pip finds it, see README.
TORCH ?= torch==2.13.0
export OMP_NUM_THREADS ?= 2

.PHONY: demo test lint parity bench web clean

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

# The least covered files and the total are printed after the tests; counting costs a tenth of their time.
test: lint
	$(BIN)/python -m pytest --cov --cov-report=
	$(BIN)/coverage report --skip-covered --sort=-cover | tail -n 12

# Which test covers which part of the two originals.
parity: .venv/lab
	$(BIN)/python -m tests.parity

# The page of `openhmr serve`, from web/ into the package: needs node 20 and npm.
web:
	npm --prefix web ci --ignore-scripts --no-audit --no-fund
	npm --prefix web run --silent check
	npm --prefix web run --silent build

bench: .venv/lab
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist out
