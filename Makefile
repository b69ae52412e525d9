# All commands of the project. `make` alone lists them.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
WHEELS := .make/wheels
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PACKAGES := $(shell sed 's/\#.*//' system-packages.txt)
INSTALL := pip install --quiet --disable-pip-version-check
LOCKED := --require-hashes --only-binary :all:
# The modules of docs/ that print pages.
PRINTED := schemas examples vectors rules readers bound commands configuration control limits doctor tested planted mutants
COMPILE := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-emit-index-url

.PHONY: help setup demo play pictures test check docs figures sim sim-postgres sim-replay sim-bite crash rot bench \
	bench-compare deb apt-repo test-debian12 test-debian13 test-brokers fuzz mutants traces lock clean

help: ## list these commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

setup: .make/system-packages $(VENV)/.installed ## install system packages, and the project in .venv

.make/system-packages: system-packages.txt
	@missing=$$(for p in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; \
	done); \
	if [ -n "$$missing" ]; then \
	  echo "installing:" $$missing; \
	  if [ -n "$(SUDO)" ] && ! command -v sudo >/dev/null; then \
	    echo "installing packages needs root, or sudo"; exit 1; \
	  fi; \
	  $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends $$missing; \
	fi
	@mkdir -p $(@D) && touch $@

# The wheels stay in .make/wheels: tests/system/test_install.py installs each product from them.
$(VENV)/.installed: requirements/build.lock requirements/dev.lock pyproject.toml .make/system-packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(INSTALL) $(LOCKED) -r requirements/build.lock
	@rm -rf $(WHEELS)
	$(BIN)/pip wheel --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --no-build-isolation --wheel-dir $(WHEELS) -r requirements/dev.lock
	$(BIN)/$(INSTALL) --no-index --no-deps $(WHEELS)/*.whl
	$(BIN)/$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup ## play one lunch with real parts, from card to central and back (a minute)
	@$(BIN)/python -m demo.lunch

play: setup ## a town to play with in a browser: cards, a wallet, and plugs to pull (Ctrl-C ends it)
	@$(BIN)/python -m demo.play

pictures: setup ## play that lunch and that town, and put their pictures into docs
	@$(BIN)/python -m demo.lunch --pictures docs/operate/screen
	@$(BIN)/python -m demo.play_picture docs/start/play.png

test: setup check ## run all checks, all tests in random order, and a minute of new seeds
	@$(BIN)/python -m tests.halves
	@$(BIN)/python -m tests.simulation --seeds 100000 --seconds 60

check: setup ## check style, types, imports, house rules and printed pages
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.house_rules
	@for page in $(PRINTED); do $(BIN)/python -m docs.$$page --check || exit 1; done
	@$(BIN)/python -m docs.links

docs: setup ## print the pages that are made from the code again
	@for page in $(PRINTED); do $(BIN)/python -m docs.$$page || exit 1; done

figures: setup ## print size and language figures of revisions: make figures REVISIONS="4881452 ."
	@$(BIN)/python -m tests.figures $(REVISIONS)

sim: setup ## simulate faults, many seeds: make sim SEEDS=1000 STEPS=600 (FIRST=seed)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),100) --steps $(or $(STEPS),600) \
	  $(if $(FIRST),--first $(FIRST))

# The server's files are in memory, where the machine has such a folder: the kills are of processes.
sim-postgres: setup ## the same with the central on a PostgreSQL that is killed (20 minutes and more)
	@TMPDIR=$(or $(wildcard /dev/shm),/tmp) $(BIN)/python -m tests.simulation --postgres \
	  --seeds $(or $(SEEDS),200) --steps $(or $(STEPS),600) --first $(or $(FIRST),1)

sim-replay: setup ## repeat one simulated run: make sim-replay RUN=17:600:4,90-93 (POSTGRES=1)
	@$(BIN)/python -m tests.simulation $(if $(POSTGRES),--postgres) --replay $(RUN)

sim-bite: setup ## plant known bugs and show with which seed the simulator finds each (a minute)
	@$(BIN)/python -m tests.simulation.bugs

crash: setup ## cut the power at every write; as root also on a real ext4 (some minutes)
	@$(BIN)/python -m tests.crash

rot: setup ## damage a killed terminal's files, FAULTS=1000 of each kind, write the page (some minutes)
	@$(BIN)/python -m tests.rot --faults $(or $(FAULTS),1000) --write

bench: setup ## measure times and sizes, write the performance page (some minutes)
	@$(BIN)/python -m bench --write --save .make/bench.json

bench-compare: setup ## measure again and compare with the last make bench
	@$(BIN)/python -m bench --compare .make/bench.json

deb: ## build the Debian packages in a new Debian 13, and try and test them (ONLY="build")
	@$(SUDO) $(PYTHON) -m tests.debian13.packages $(ONLY)

apt-repo: ## write the packages of make deb into the folder .make/apt, signed: make apt-repo KEY=…
	@packaging/apt-repo.sh .make/deb $(or $(FOLDER),.make/apt) $(or $(KEY),$(error KEY is missing: your key of gpg))

test-debian13: ## run make demo and make test in a new Debian 13, as root and as a user (ONLY="demo")
	@$(SUDO) $(PYTHON) -m tests.debian13 trixie $(ONLY)

test-debian12: ## the same in a new Debian 12
	@$(SUDO) $(PYTHON) -m tests.debian13 bookworm $(ONLY)

test-brokers: setup $(VENV)-brokers/.installed tests/brokers/node_modules ## test with the brokers amqtt and aedes (needs npm)
	@$(BIN)/pytest tests/brokers/other_brokers.py

fuzz: setup $(VENV)-fuzz/.installed ## send random bytes to the readers' code for SECONDS=300
	@mkdir -p .make/fuzz
	@$(VENV)-fuzz/bin/python -m tests.fuzz -max_total_time=$(or $(SECONDS),300) -max_len=400 \
	  -print_final_stats=1 -artifact_prefix=.make/ .make/fuzz

$(VENV)-fuzz/.installed: requirements/fuzz.lock $(VENV)/.installed
	$(PYTHON) -m venv $(VENV)-fuzz
	$(VENV)-fuzz/bin/$(INSTALL) --no-index --no-deps $(WHEELS)/*.whl
	$(VENV)-fuzz/bin/$(INSTALL) $(LOCKED) -r requirements/fuzz.lock
	$(VENV)-fuzz/bin/$(INSTALL) $(LOCKED) -r requirements/build.lock
	$(VENV)-fuzz/bin/$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

mutants: setup $(VENV)-mutants/.installed ## change the program in one place each time, and count what tests notice (hours; SAMPLE=30 ROOMS="domain")
	@$(VENV)-mutants/bin/python -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) \
	  $(if $(SEED),--seed $(SEED)) $(ROOMS)

# Not all of its packages have wheels: what has none is built here, with its hash checked.
$(VENV)-mutants/.installed: requirements/mutants.lock $(VENV)/.installed
	$(PYTHON) -m venv $(VENV)-mutants
	$(VENV)-mutants/bin/$(INSTALL) --no-index --no-deps $(WHEELS)/*.whl
	$(VENV)-mutants/bin/$(INSTALL) $(LOCKED) -r requirements/build.lock
	$(VENV)-mutants/bin/$(INSTALL) --require-hashes --no-build-isolation -r requirements/mutants.lock
	$(VENV)-mutants/bin/$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)-brokers/.installed: requirements/brokers.lock .make/system-packages
	$(PYTHON) -m venv $(VENV)-brokers
	$(VENV)-brokers/bin/$(INSTALL) $(LOCKED) -r requirements/brokers.lock
	@touch $@

tests/brokers/node_modules: tests/brokers/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: apt-get install nodejs npm"; exit 1; }
	cd tests/brokers && npm ci --silent --no-audit --no-fund
	@touch $@

traces: setup ## record tests/traces/ again from the simulated readers
	@$(BIN)/python -m tests.parts.record_traces

lock: ## resolve requirements/*.lock again (needs uv)
	$(COMPILE) requirements/build.in -o requirements/build.lock
	$(COMPILE) --extra terminal --extra screen --extra central --extra dev pyproject.toml -o requirements/dev.lock
	$(COMPILE) -c requirements/dev.lock --extra terminal --extra screen pyproject.toml -o requirements/terminal.lock
	$(COMPILE) requirements/brokers.in -o requirements/brokers.lock
	$(COMPILE) requirements/fuzz.in -o requirements/fuzz.lock
	$(COMPILE) -c requirements/dev.lock requirements/mutants.in -o requirements/mutants.lock
	cd tests/brokers && npm install --package-lock-only --omit-lockfile-registry-resolved \
	  --no-audit --no-fund

clean: ## remove all that these commands installed or cached here
	@[ ! -e .make/debian ] || $(SUDO) rm -rf .make/debian
	rm -rf $(VENV) $(VENV)-brokers $(VENV)-fuzz $(VENV)-mutants tests/brokers/node_modules .make
