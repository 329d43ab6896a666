# make run    set everything up and play a game       make test   set everything up and check everything
# The constraints go with every install: they pin what is known to work together, and torch to a build that is not gigabytes of CUDA.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
FILE ?= scenarios/diplomacy.yaml
ARGS ?=

.PHONY: run test clean
run: $(VENV)/.stamp
	$(PY) -m sandbox run $(FILE) $(ARGS)

test: $(VENV)/.stamp
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q

# The stamp is written last, so that a set-up that was cut short is made again.
$(VENV)/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.11")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
