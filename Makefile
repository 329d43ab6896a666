# make run    set everything up and play a game       make test   set everything up and check everything
# make nightly    set everything up and check what takes hours: kills at random instants, differential play
# The constraints go with every install: they pin what is known to work together, and torch to a build that is not gigabytes of CUDA.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
FILE ?= scenarios/diplomacy.yaml
ARGS ?=
TESTERS ?= 2

.PHONY: run test nightly export-libraries view-tests clean
run: $(VENV)/.stamp
	$(PY) -m sandbox run $(FILE) $(ARGS)

test: $(VENV)/.stamp
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q -n $(TESTERS) --dist loadfile

nightly: $(VENV)/.stamp
	$(PY) -m tests.benchmarks.kills --count 200
	$(PY) -m tests.benchmarks.kills --hosts --count 20
	$(PY) -m tests.benchmarks.kills --operations 1
	$(PY) -m tests.benchmarks.kills --full 1
	$(PY) -m tests.benchmarks.workers
	$(PY) -m scenarios.diplomacy.differential --phases 20000
	$(PY) -m sandbox bench
	$(PY) -m tests.benchmarks.refusals --headers 10000

# Exports read by the libraries they are made for, which bring much along: in an environment of their own.
export-libraries: $(VENV)-export/.stamp
	EXPORT_KILLS=1 $(VENV)-export/bin/python -m pytest -q -rs tests/sandbox/test_export_libraries.py tests/sandbox/test_export_kills.py

# Pages in a real browser: needs Chromium and its driver (Debian: apt-get install chromium chromium-driver).
view-tests: $(VENV)/.stamp
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev,browser]'
	$(PY) -m pytest -q -rs tests/analysis/test_view.py tests/analysis/test_view_browser.py

# The stamp is written last, so that a set-up that was cut short is made again.
$(VENV)/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.11")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)-export/.stamp: pyproject.toml constraints.txt
	test -x $(VENV)-export/bin/python || $(PYTHON) -m venv $(VENV)-export
	$(VENV)-export/bin/python -m pip install --quiet -c constraints.txt -e '.[dev,export,libraries]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-export build dist *.egg-info
