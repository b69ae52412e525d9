# Everything the project needs on a machine is installed by these targets.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PACKAGES := $(shell sed 's/\#.*//' system-packages.txt)

.PHONY: help setup system-packages demo sim sim-replay sim-bite crash bench bench-compare test test-brokers fuzz traces check docs lock clean

help: ## what can be done here
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

setup: .make/system-packages $(VENV)/.installed ## system packages, virtual environment, the package

.make/system-packages: system-packages.txt
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing:" $$missing; \
	  $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; fi
	@mkdir -p $(@D) && touch $@

$(VENV)/.installed: requirements/build.lock requirements/dev.lock pyproject.toml .make/system-packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/build.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup ## one lunch from card to central and back, with real parts (about a minute)
	@$(BIN)/python -m demo.lunch

sim: setup ## both ledgers under attack: make sim SEEDS=1000 STEPS=600 (FIRST=seed)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),100) --steps $(or $(STEPS),600) $(if $(FIRST),--first $(FIRST))

sim-replay: setup ## one run again: make sim-replay RUN=17:600:4,90-93
	@$(BIN)/python -m tests.simulation --replay $(RUN)

sim-bite: setup ## planted bugs, and how soon the simulator finds each (some minutes)
	@$(BIN)/python -m tests.simulation.bugs

crash: setup ## every cut of a terminal's life, and, as root, sixty of a real ext4 (some minutes)
	@$(BIN)/python -m tests.crash

bench: setup ## what it costs, each figure beside its floor; writes docs/PERFORMANCE.md (some minutes)
	@$(BIN)/python -m bench --write --save .make/bench.json

bench-compare: setup ## the same, beside the run before
	@$(BIN)/python -m bench --compare .make/bench.json

test: setup check ## all checks, all tests in random order, and a minute of seeds that nobody has seen
	@$(BIN)/pytest
	@$(BIN)/python -m tests.simulation --seeds 100000 --seconds 60

test-brokers: setup $(VENV)-brokers/.installed tests/brokers/node_modules ## the same day at two other brokers: amqtt and aedes (needs nodejs and npm)
	@$(BIN)/pytest tests/brokers/other_brokers.py

fuzz: setup $(VENV)-fuzz/.installed ## any bytes to the readers' code for SECONDS (300), chosen by what they reach
	@mkdir -p .make/fuzz
	@$(VENV)-fuzz/bin/python -m tests.fuzz -max_total_time=$(or $(SECONDS),300) -max_len=400 -print_final_stats=1 -artifact_prefix=.make/ .make/fuzz

$(VENV)-fuzz/.installed: requirements/fuzz.lock requirements/dev.lock pyproject.toml .make/system-packages
	$(PYTHON) -m venv $(VENV)-fuzz
	$(VENV)-fuzz/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/build.lock
	$(VENV)-fuzz/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements/dev.lock
	$(VENV)-fuzz/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/fuzz.lock
	$(VENV)-fuzz/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)-brokers/.installed: requirements/brokers.lock .make/system-packages
	$(PYTHON) -m venv $(VENV)-brokers
	$(VENV)-brokers/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/brokers.lock
	@touch $@

tests/brokers/node_modules: tests/brokers/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: apt-get install nodejs npm"; exit 1; }
	cd tests/brokers && npm ci --silent --no-audit --no-fund
	@touch $@

traces: setup ## record tests/traces/ anew at the far ends of the tests
	@$(BIN)/python -m tests.parts.record_traces

check: setup ## style, types, who imports whom, house rules, documents that are printed
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.house_rules
	@$(BIN)/python -m docs.schemas --check
	@$(BIN)/python -m docs.bound --check
	@$(BIN)/python -m docs.readers --check

docs: setup ## print docs/protocol/ and the table of docs/READERS.md anew
	@$(BIN)/python -m docs.schemas
	@$(BIN)/python -m docs.readers
	@$(BIN)/python -m docs.examples

lock: ## resolve requirements/*.lock anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url requirements/build.in -o requirements/build.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --extra dev pyproject.toml -o requirements/dev.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url requirements/brokers.in -o requirements/brokers.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url requirements/fuzz.in -o requirements/fuzz.lock
	cd tests/brokers && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

clean: ## remove what setup made here
	rm -rf $(VENV) $(VENV)-brokers $(VENV)-fuzz tests/brokers/node_modules .make
