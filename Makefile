# make run    set everything up and play a game       make test   set everything up and check everything
# make nightly    set everything up and check what takes hours: kills at random instants, differential play
# The constraints go with every install: they pin what is known to work together, and torch to a build that is not gigabytes of CUDA.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
FILE ?= scenarios/diplomacy.yaml
ARGS ?=

.PHONY: run test nightly clean
run: $(VENV)/.stamp
	$(PY) -m sandbox run $(FILE) $(ARGS)

test: $(VENV)/.stamp
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q

nightly: $(VENV)/.stamp
	$(PY) -m tests.benchmarks.kills --count 200
	$(PY) -m tests.benchmarks.kills --hosts --count 20
	$(PY) -m tests.benchmarks.kills --operations 1
	$(PY) -m tests.benchmarks.kills --full 1
	$(PY) -m scenarios.diplomacy.differential --phases 20000
	$(PY) -m sandbox bench

# The stamp is written last, so that a set-up that was cut short is made again.
$(VENV)/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.11")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
