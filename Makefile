# demo and test install what they need into VENV with plain python3 and pip; nothing else is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
SWEEP := norm=none,batch,group model=mlp batch_size=2,8,32,128 lr=0.01,0.1,1 seed=range(3) epochs=5
# what differs from one Python to the next: syntax trees, paths, pickles, processes, tables, words of the program
QUICK_TESTS := tests/config tests/stats tests/launch tests/test_components.py tests/test_global_state.py \
	tests/test_user_cache.py tests/test_spec.py tests/test_plugins.py tests/cli/test_output.py
# programs that tests start, and test files, are not to be read from their source each time
unexport PYTHONDONTWRITEBYTECODE
TRANSFORMERS := transformer_batch transformer_few transformer_gradients transformer_placement transformer_tanh transformer_warmup
# what people read: documents, help texts, messages and docstrings; tests hold wrong words on purpose
SPELLED := README.md CONTRIBUTING.md Makefile .ci docs bnbench conf benchmarks

.PHONY: demo test quick long whole lint schema bench calibration reference atlas soak picture clean

demo: $(VENV)/installed  ## train a small-batch ablation on digits and print its tables; the last line names their page
	$(BIN)/bnbench sweep --name demo '$(subst $(space),' ',$(SWEEP))'
	$(BIN)/bnbench report demo --baseline norm=none --target 90%
	$(BIN)/bnbench report demo --baseline norm=none --target 90% --out results/demo-report.html

test: $(VENV)/installed-dev  ## run the tests that prove every behaviour once, in ten minutes of two quiet cores
	$(BIN)/pytest -n 2 --dist worksteal --budget

quick: $(VENV)/installed-dev  ## the part of the tests that other Pythons are held to, in minutes; VENV and PYTHON say which
	$(BIN)/pytest -n 2 --dist worksteal $(QUICK_TESTS)

long: $(VENV)/installed-dev  ## run what is left of the tests: walks from end to end, and further members of a kind
	$(BIN)/pytest -n 2 --dist worksteal --budget --long

whole: $(VENV)/installed-dev  ## run all tests, with all norms in all networks, and the largest for 20 steps
	$(BIN)/pytest -n 2 --dist worksteal --whole

lint: $(VENV)/installed-dev  ## style, types, layers, spelling and the links of the documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell $(SPELLED)
	$(BIN)/python docs/links.py

schema: $(VENV)/installed  ## write what the program says without torch and docs/reference.md, after a change of options, defaults or docstrings
	$(BIN)/python -m bnbench.schema_writer
	$(BIN)/python docs/reference.py

bench: $(VENV)/installed-bench  ## time whole sweeps beside plain scripts, Lightning and Hydra; QUICK=1 takes three minutes
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

calibration: $(VENV)/installed  ## how often verdicts are wrong, by simulation and on real runs: the tables of docs/statistics.md
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.real_runs

reference: $(VENV)/installed  ## decide all claims at cpu scale, in minutes, and keep scorecard and runs
	$(BIN)/bnbench study run --all --scale cpu --out results/study-scorecard-cpu.html
	$(BIN)/bnbench study run $(TRANSFORMERS) --scale cpu
	mkdir -p results/reference
	cp results/study-scorecard-cpu.csv results/study-scorecard-cpu.md results/reference/
	for end in csv md; do newest=$$(ls -t results/study-scorecard-cpu-transformer_*.$$end | grep -v -- -earlier- | head -n 1) && \
		cp "$$newest" results/reference/study-scorecard-cpu-transformers.$$end; done
	for runs in results/study-*-cpu/runs.csv; do cp $$runs results/reference/$$(basename $$(dirname $$runs)).csv; done

atlas: $(VENV)/installed  ## compare all norms with batch, for an hour at most; the same call goes on; ATLAS='--scale smoke' tries it
	$(BIN)/python -m benchmarks.atlas $(ATLAS)

soak: $(VENV)/installed  ## kill sweeps at random moments, ask again and look for what is lost; SOAK='--kills 20 --seed 3' is shorter
	$(BIN)/python -m benchmarks.soak $(SOAK)

picture: $(VENV)/installed  ## run the README's first two commands and draw what they print and its page into docs/
	$(BIN)/python docs/picture.py

clean:  ## remove what was installed and built; results and data stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[dev]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(INSTALL) '.[bench]'
	touch $@

empty :=
space := $(empty) $(empty)
