# demo and test install what they need into .venv with plain python3 and pip; nothing else is assumed.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
SWEEP := norm=none,batch,group model=mlp batch_size=2,8,32,128 lr=0.01,0.1,1 seed=range(3) epochs=5

.PHONY: demo test contract lint bench reference picture clean

demo: .venv/installed  ## train a small-batch ablation on digits and print its tables
	$(BIN)/bnbench sweep --name demo '$(subst $(space),' ',$(SWEEP))'
	$(BIN)/bnbench report demo --baseline norm=none --target 90%

test: .venv/installed-dev  ## run all tests
	$(BIN)/pytest -n 2

contract: .venv/installed-dev  ## hold stacks of large networks to the reference engine for 20 steps, in half an hour
	$(BIN)/pytest -n 2 --whole tests/engine/test_stacked.py -k reference_runs

lint: .venv/installed-dev  ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-bench  ## time whole sweeps beside plain scripts, Lightning and Hydra; QUICK=1 takes three minutes
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

reference: .venv/installed  ## decide all claims at cpu scale, in minutes, and keep scorecard and runs
	$(BIN)/bnbench study run --all --scale cpu
	mkdir -p results/reference
	cp results/study-scorecard-cpu.csv results/study-scorecard-cpu.md results/reference/
	for runs in results/study-*-cpu/runs.csv; do cp $$runs results/reference/$$(basename $$(dirname $$runs)).csv; done

picture: .venv/installed  ## run the README's first two commands and draw what they print into docs/report.svg
	$(BIN)/python docs/picture.py

clean:  ## remove what was installed and built; results and data stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) '.[dev]'
	touch $@

.venv/installed-bench: .venv/installed
	$(INSTALL) '.[bench]'
	touch $@

empty :=
space := $(empty) $(empty)
