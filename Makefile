# What a fresh machine needs: python3 (3.11 or newer) and make. All else comes from the lock files, into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check install
SAMPLE := DRAINWATCH_CONFIG=samples/drainwatch.toml

# What `make bench` measures, in this order; the longest last.
BENCHES := parse ingest pairs space search asking latency idle overload

.DEFAULT_GOAL := help
.PHONY: help setup run test soak check format bench clean

# The tests whose bounds are the seconds of the design: no other test takes from their time.
ALONE := $(addprefix tests/system/test_,outage.py spool.py two_workers.py)

# The tests that `make soak` makes long (tests/system/soak.py).
LONG := $(addprefix tests/system/test_,kills.py two_workers.py rolling.py outage.py mutated_posts.py) \
	$(addprefix tests/parsers/test_mutated_,bodies.py lines.py) \
	$(addprefix tests/service/,api/test_stream.py api/test_contract.py store/test_filter_sql.py store/test_events.py)

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1 -- /p' Makefile

setup: $(VENV)/.locked ## what `make run` needs, in .venv

run: $(VENV)/.locked ## drainwatch on an embedded Postgres, with the samples posted to it; Ctrl-C ends it
	@exec env -u DATABASE_URL -u DRAINWATCH_URL $(SAMPLE) $(BIN)/drainwatch demo

# A file at a time on each of two cores, in the order that conftest.py gives them; then, by themselves, those that hold to the
# seconds of the design. Processes begin from compiled code, also where Python is told to leave none behind.
test: $(VENV)/.locked-dev ## every test, against real Postgres
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m compileall -q parsers service migrations
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ALONE:%=--ignore=%) tests
	@$(BIN)/python -m pytest $(ALONE)
endif

soak: $(VENV)/.locked-dev ## kills, outages, mutated bodies and streams at length: 20 minutes
	@SOAK=1 $(BIN)/python -m pytest -rP --durations=0 --durations-min=1 $(LONG) $(ARGS)

check: $(VENV)/.locked-dev ## lint, format, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.locked-dev ## what ruff can mend by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.locked-dev ## the figures of the design, measured here, and a table of them
	@export PYTHONPATH=.:tests:tests/system:tests/bench FIGURES=$$(mktemp); \
	for script in $(BENCHES); do echo "== $$script"; $(BIN)/python tests/bench/$$script.py || echo "$$script ended with $$?"; done; \
	echo; $(BIN)/python tests/bench/figures.py $$FIGURES; rm $$FIGURES

clean: ## removes .venv; what `make run` has kept stays in .drainwatch
	rm -rf $(VENV)

# -- the virtual environment: made again where a lock file is newer ---------------------------------------------------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); drainwatch needs Python 3.11 or newer (make PYTHON=python3.12 …)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	    rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# The project itself without its dependencies, which are there, and without a build environment, which would be fetched
# from outside the lock.
$(VENV)/.locked: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "setting up $(VENV) …"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.locked-dev: requirements-dev.lock $(VENV)/.locked
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
