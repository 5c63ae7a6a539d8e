# The verbs of the house. Each does all of its own set-up on a fresh Debian 12 with Python 3.11.
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
SPEED ?= 60
STORY ?= demo
VIEW ?=
SPEAK ?=

.PHONY: demo test test-long test-interop check season bench lock wheel clean

$(READY): requirements-dev.lock pyproject.toml deploy/setup-checkout.sh
	sh deploy/setup-checkout.sh $(VENV)
	@touch $@

demo: $(READY)          ## run the whole job on the simulated substation; SPEED=1 is real time, SPEAK=zh or en
	$(PY) -m hil_tests.demo --speed $(SPEED) --story $(STORY) $(VIEW) $(if $(SPEAK),--lang $(SPEAK))

test: $(READY)          ## every test of the default run
	sh deploy/system-packages.sh mosquitto mbpoll
	$(PY) -m pytest -m "not long and not interop"

test-long: $(READY)     ## the long forms
	sh deploy/system-packages.sh mosquitto mbpoll
	$(PY) -m pytest -m "long and not interop" --timeout 3600

test-interop: $(READY)  ## our drivers against peers that others wrote; prints the table of what was tried
	sh deploy/system-packages.sh mbpoll libmodbus-dev gcc g++ pkg-config socat openssl make
	command -v npm >/dev/null || sh deploy/system-packages.sh nodejs npm
	$(PY) -m hil_tests.interop.peers
	$(PY) -m pytest -m interop hil_tests/interop --timeout 300

check: $(READY)         ## style, types and the direction of imports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

season: $(READY)        ## 1 Nov to 31 Mar of measured weather through the very decide; table and out/season.png
	$(PY) -m hil_tests.season

bench: $(READY)         ## speed and memory, as ratios beside a peer or a limit
	sh deploy/system-packages.sh mosquitto libmodbus-dev gcc pkg-config
	$(PY) -m hil_tests.benchmarks

lock: $(READY)          ## renew the lock files after a change of dependencies
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements-dev.lock

wheel: $(READY)         ## dist/substation_edge-*.whl, with the data of config/ in it
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean:
	rm -rf $(VENV) dist build out
