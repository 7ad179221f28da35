# Everything a newcomer needs: `make demo` and `make test`. Nothing is written outside the
# repository but what Cargo, pip and npm keep in their caches.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup data static build demo serve bench test lint unit browser exports fmt clean

DATA_DIR ?=
EXIT ?=
LISTEN ?= 127.0.0.1:7878
BENCH ?= --all
DATASETS := .deps/datasets
BIN := target/release
EXPORTS := .deps/exports
CARGO_FLAGS := --release --locked
# How tests are started: Rust's test programs tell how long a test took only if this is set.
TIMES := target."cfg(all())".runner = "env RUSTC_BOOTSTRAP=1"
# Installs a folder's packages by its lock file, if that is newer.
NPM_CI = { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-fund --no-audit --loglevel=error; }

help: ## Lists the targets.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## Installs libtorch into .deps (a LIBTORCH of your own is respected).
	@scripts/need.sh cargo python3 node npm c++
	@python3 scripts/setup_libtorch.py

data: ## Fetches FashionMNIST into .deps/datasets; DATA_DIR=/path takes a folder you have.
	@scripts/need.sh python3
	@python3 scripts/fetch_fashion_mnist.py $(if $(DATA_DIR),--data-dir '$(DATA_DIR)')

static: ## Builds the pages' scripts and styles.
	@scripts/need.sh node npm
	@cd static && $(NPM_CI) && npm run --silent build

build: setup static ## Builds the binaries.
	cargo build $(CARGO_FLAGS) --workspace

demo: build data ## A real search from form to network; EXIT=1 ends the server after the table.
	@$(BIN)/skein demo --datasets $(DATASETS) $(if $(EXIT),--exit)

serve: build data ## Starts the server; LISTEN=host:port and the SKEIN_* variables apply.
	@SKEIN_DATASETS=$${SKEIN_DATASETS:-$(DATASETS)} $(BIN)/skein serve --listen $${SKEIN_LISTEN:-$(LISTEN)}

bench: setup ## Measures search iterations of every space; BENCH="--space … --optimizer …" chooses one.
	@cargo build $(CARGO_FLAGS) -q -p skein-engine
	@$(BIN)/skein-worker bench $(BENCH)

lint: setup static ## Formatting, clippy, documentation, types of the scripts.
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps --quiet
	cd static && npm run --silent check

unit: build ## Unit and integration tests.
	@scripts/find_nginx.sh >/dev/null
	@scripts/find_slurm.sh
	@scripts/timed.sh target/logs/unit.log cargo test $(CARGO_FLAGS) --workspace --lib --bins --tests --no-fail-fast \
		--config '$(TIMES)' -- -Z unstable-options --report-time

browser: build ## Walks through the pages in a real browser.
	@scripts/find_chromium.sh >/dev/null
	@cd tests/e2e && $(NPM_CI)
	@CHROMIUM=$$(scripts/find_chromium.sh) scripts/timed.sh target/logs/browser.log npm --prefix tests/e2e test --silent

# Not a part of `make test`: with PyTorch's Python packages 4.8 GB are installed. They are in an
# environment of their own, by a lock file with digests.
exports: setup ## Runs exported networks in PyTorch and in ONNX Runtime and compares what they compute.
	@scripts/need.sh cargo python3
	@[ $(EXPORTS)/done -nt tests/export/requirements.txt ] || { \
		python3 -m venv $(EXPORTS) && \
		$(EXPORTS)/bin/pip install --disable-pip-version-check --quiet --require-hashes \
			-r tests/export/requirements.txt && touch $(EXPORTS)/done; }
	@cargo run $(CARGO_FLAGS) -q -p skein-core --example export -- target/exported
	@$(EXPORTS)/bin/python tests/export/check.py target/exported
	@rm -rf target/packages
	@SKEIN_KEEP_PACKAGES=$(CURDIR)/target/packages cargo test $(CARGO_FLAGS) -q -p skein-engine --test worker -- package::
	@$(EXPORTS)/bin/python tests/export/packages.py target/packages

test: lint unit browser ## All of them; this is what CI runs.
	@scripts/slowest.sh target/logs/unit.log target/logs/browser.log

fmt: ## Formats the code.
	cargo fmt --all

clean: ## Removes what was built; .deps stays (rm -rf .deps removes that too).
	cargo clean
	rm -rf static/dist static/node_modules tests/e2e/node_modules tests/e2e/shots
