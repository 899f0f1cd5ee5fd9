# Everything needs only Python >= 3.11 and make; the rest is installed into .venv, at the versions of uv.lock.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
ARGS ?=
# uv trusts the certificates that it brings along, unless told otherwise: none of them has signed what a proxy that inspects TLS shows.
export UV_SYSTEM_CERTS ?= true
# pip reads its own configuration and uv does not, so what pip is told of certificates and of a proxy, uv hears from here; what the
# environment says goes first. The index stays as uv.lock has it: with another, `--locked` would refuse the lock.
PIP_VALUE = sed -nE "s/^:env:\.$(1)='(.*)'$$/1\1/p; s/^install\.$(1)='(.*)'$$/2\1/p; s/^global\.$(1)='(.*)'$$/3\1/p" | sort | sed -n '1s/^.//p'
UV_SYNC = told=$$($(BIN)/python -m pip config list 2>/dev/null); \
	cert=$$(echo "$$told" | $(call PIP_VALUE,cert)); proxy=$$(echo "$$told" | $(call PIP_VALUE,proxy)); \
	[ -z "$$cert" ] || export SSL_CERT_FILE="$${SSL_CERT_FILE:-$$cert}"; \
	[ -z "$$proxy" ] || export ALL_PROXY="$${ALL_PROXY:-$$proxy}"; \
	$(BIN)/uv sync --locked --inexact
NOT_INSTALLED := echo "A package could not be fetched or installed. Behind a proxy: HTTPS_PROXY names it, and where it inspects TLS (UnknownIssuer) its certificate belongs to the system's, or into the file that SSL_CERT_FILE names. If no wheel fits this machine: CPython 3.11 to 3.14 on Linux (glibc) or macOS needs no compiler, others do."

.DEFAULT_GOAL := help
.PHONY: help install install-service demo test test-quick fuzz desync chaos races promises mutants check audit format bench bench-peers screenshot clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed ## Make .venv with all locked dependencies

.venv/uv:
	@[ "$$($(PYTHON) -c 'print(1)' 2>/dev/null)" = 1 ] || { echo "PYTHON is '$(PYTHON)', which runs no Python here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "This is $$($(PYTHON) --version 2>&1); Python 3.11 or newer is needed. Name one with: make PYTHON=python3.12 …"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version); later runs start at once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# What the service needs: enough for the demo, and half as much to fetch as the tools of its developers.
.venv/service: pyproject.toml uv.lock | .venv/uv
	@$(UV_SYNC) --no-dev || { $(NOT_INSTALLED); exit 1; }
	@touch $@

.venv/installed: .venv/service
	@$(UV_SYNC) || { $(NOT_INSTALLED); exit 1; }
	@touch $@

install-service: .venv/service ## Make .venv with what the service needs, without its developers' tools

demo: .venv/service ## Walk the loop in the terminal and serve it with a login page and a phone (ARGS=--once ends after the walk)
	@$(BIN)/otp-service demo $(ARGS)

# One worker more than cores: many tests wait. A file stays with one worker, for its tests share servers.
PARALLEL := $(BIN)/pytest -n 3 --dist loadfile

test: install ## Run all tests (ARGS, when given, goes to one run of pytest)
	@$(if $(ARGS),$(BIN)/pytest $(ARGS),$(PARALLEL) -m "not alone" && $(BIN)/pytest -m alone)

test-quick: install ## Run the tests that take no more than seconds
	@$(PARALLEL) -m "not slow and not alone" $(ARGS)

fuzz: install ## Play requests drawn from the OpenAPI document for ten minutes (or FUZZ_SECONDS)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(BIN)/pytest tests/attacks/test_fuzzing.py $(ARGS)

desync: install ## Play odd messages, cut at random places, to the servers and through the proxies for ten minutes (or DESYNC_SECONDS)
	@DESYNC_SECONDS=$${DESYNC_SECONDS:-600} $(BIN)/pytest tests/attacks/test_desync.py tests/attacks/test_desync_proxies.py $(ARGS)

chaos: install ## Kill and freeze servers, Redis and Twilio under load for ten minutes (or CHAOS_SECONDS; CHAOS_SEED replays a round)
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} $(BIN)/pytest tests/chaos/test_chaos.py -s -k no_fault_breaks $(ARGS)

races: install ## Race guesses and right codes on two processes for two hundred rounds (or RACE_ROUNDS)
	@RACE_ROUNDS=$${RACE_ROUNDS:-200} $(BIN)/pytest tests/attacks/test_races.py -m slow $(ARGS)

promises: install ## Try two thousand orders of issues, checks, deliveries and confirmations (or PROMISES_RUNS)
	@PROMISES_RUNS=$${PROMISES_RUNS:-2000} $(BIN)/pytest tests/store/test_promises_machine.py $(ARGS)

mutants: install ## Break codes, phone, guard, verifying and auth in every way, and see the tests notice (half an hour at most)
	@$(UV_SYNC) --quiet --group mutants
	@timeout 1800 nice $(BIN)/mutmut run --max-children 1 >mutants.log; $(BIN)/python .ci/mutants.py $$?

check: install ## Lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

audit: install ## Look for known vulnerabilities in what is locked, and for dangerous code in service/
	@$(BIN)/bandit -q -c pyproject.toml -r service
	@$(BIN)/python .ci/audit.py

format: install ## Format and fix what ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Each saves into tests/bench/results, which git ignores; ARGS=--quick gives an impression in a third of the time.
BENCHES := verify pairs lag hung growth open_loop start round_trips memory multiplexer
QUICK_TOO := verify lag hung growth open_loop start

bench: install ## Measure everything beside its reference, in a quarter of an hour (needs wrk; ARGS=--quick for an impression)
	@command -v wrk >/dev/null || { echo "wrk plays the checks; on Debian: apt-get install wrk"; exit 1; }
	@$(UV_SYNC) --quiet --group bench
	@for bench in $(BENCHES); do echo "== $$bench"; case " $(QUICK_TOO) " in *" $$bench "*) args="$(ARGS)";; *) args=;; esac; \
		PYTHONPATH=.:tests/bench $(BIN)/python tests/bench/bench_$$bench.py $$args || exit 1; done
	@PYTHONPATH=.:tests/bench $(BIN)/python tests/bench/report.py

bench-peers: install ## Measure the check of two peers from their registries beside ours (fetches them)
	@PYTHONPATH=.:tests/bench $(BIN)/python tests/bench/bench_peers.py $(ARGS)

screenshot: install ## Take the picture of the demo in README.md again (needs Chromium)
	@PYTHONPATH=. $(BIN)/python docs/screenshot.py

clean: ## Remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants mutants.log
