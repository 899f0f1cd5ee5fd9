# Needs only Python >= 3.11 and make. Everything else is installed into .venv, at the versions of uv.lock.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
ARGS ?=
# By default uv trusts only the certificates in its own package. Behind a proxy that inspects TLS, the system's are needed.
export UV_SYSTEM_CERTS ?= true
# If it is set, each of some hundred processes of the tests compiles what it imports.
unexport PYTHONDONTWRITEBYTECODE
# uv does not read pip's configuration, so pip's certificate and proxy settings are passed to it here, unless the environment sets
# them. The index stays the one in uv.lock: with another one, `--locked` would refuse the lock.
PIP_VALUE = sed -nE "s/^:env:\.$(1)='(.*)'$$/1\1/p; s/^install\.$(1)='(.*)'$$/2\1/p; s/^global\.$(1)='(.*)'$$/3\1/p" | sort | sed -n '1s/^.//p'
UV_SYNC = told=$$($(BIN)/python -m pip config list 2>/dev/null); \
	cert=$$(echo "$$told" | $(call PIP_VALUE,cert)); proxy=$$(echo "$$told" | $(call PIP_VALUE,proxy)); \
	[ -z "$$cert" ] || export SSL_CERT_FILE="$${SSL_CERT_FILE:-$$cert}"; \
	[ -z "$$proxy" ] || export ALL_PROXY="$${ALL_PROXY:-$$proxy}"; \
	$(BIN)/uv sync --locked --inexact
NOT_INSTALLED := echo "A package could not be fetched or installed. Behind a proxy, set HTTPS_PROXY. If the proxy inspects TLS (UnknownIssuer), add its certificate to the system's, or to the file that SSL_CERT_FILE names. If no wheel fits this machine: CPython 3.11 to 3.14 on Linux (glibc) or macOS needs no compiler, others do."

.DEFAULT_GOAL := help
.PHONY: help install install-service demo test test-quick fuzz desync chaos recount faults soak races promises mutants check audit format bench bench-peers screenshot clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

install: .venv/installed ## Install the service and all tools into .venv

.venv/uv:
	@[ "$$($(PYTHON) -c 'print(1)' 2>/dev/null)" = 1 ] || { echo "PYTHON is '$(PYTHON)', which does not run Python here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "This is $$($(PYTHON) --version 2>&1); Python 3.11 or newer is needed. Use another one with: make PYTHON=python3.12 …"; exit 1; }
	@echo "Creating .venv with $$($(PYTHON) --version); this is done only once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# What the service needs to run. It is enough for the demo, and half of the download that the tools need.
.venv/service: pyproject.toml uv.lock | .venv/uv
	@$(UV_SYNC) --no-dev || { $(NOT_INSTALLED); exit 1; }
	@touch $@

.venv/installed: .venv/service
	@$(UV_SYNC) || { $(NOT_INSTALLED); exit 1; }
	@touch $@

install-service: .venv/service ## Install only what the service needs to run

demo: .venv/service ## Show the whole loop, then serve it (ARGS=--once: exit then)
	@$(BIN)/otp-service demo $(ARGS)

# More workers than cores, because many tests wait; slow ones also start many processes. Tests of one file share servers, so
# they run in one worker. Files run by name: by default those with few tests, which are often the longest, would come last.
PARALLEL := $(BIN)/pytest --dist loadfile --no-loadscope-reorder

# A test that fails beside others runs a second time, by itself, and is named. Only if it fails again the run has failed:
# many tests wait for processes, and a busy machine can keep one waiting for longer than any reasonable deadline.
TWICE = { $(1) $(2) || { [ $$? = 1 ] && echo "FAILED beside others; a second time, alone:" && \
	$(BIN)/pytest --last-failed --last-failed-no-failures none -v $(2); }; }

test: install ## Run all tests, or those that ARGS selects
	@$(if $(ARGS),$(BIN)/pytest $(ARGS),$(call TWICE,$(PARALLEL) -n 4,-m "not alone") && $(call TWICE,$(BIN)/pytest,-m alone))

test-quick: install ## Run only the fast tests
	@$(PARALLEL) -n 5 -m "not slow and not alone" $(ARGS)

fuzz: install ## Send generated requests for ten minutes (FUZZ_SECONDS)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(BIN)/pytest tests/attacks/test_fuzzing.py $(ARGS)

desync: install ## Send ambiguous requests for ten minutes (DESYNC_SECONDS)
	@DESYNC_SECONDS=$${DESYNC_SECONDS:-600} $(BIN)/pytest tests/attacks/test_desync.py tests/attacks/test_desync_proxies.py $(ARGS)

chaos: install ## Kill processes under load for ten minutes (CHAOS_SECONDS)
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} $(BIN)/pytest tests/chaos/test_chaos.py -s -k no_fault_breaks $(ARGS)

faults: install ## Kill, freeze and cut off real engines (FAULTS, FAULT_RATE)
	@FAULT_RATE=$${FAULT_RATE:-40} $(BIN)/pytest tests/failover/test_faults.py tests/failover/test_price.py -s -m slow $(ARGS); \
		status=$$?; $(BIN)/python -m tests.failover.table; exit $$status

soak: install ## Work for an hour; print what grows (SOAK_SECONDS)
	@SOAK_SECONDS=$${SOAK_SECONDS:-3600} $(BIN)/pytest tests/failover/test_soak.py -s -m slow $(ARGS)

recount: install ## Recount the report of 20,000 journeys (RECOUNT_JOURNEYS)
	@RECOUNT_JOURNEYS=$${RECOUNT_JOURNEYS:-20000} $(BIN)/pytest tests/chaos/test_recount.py -s $(ARGS)

races: install ## Race guesses and right codes for 200 rounds (RACE_ROUNDS)
	@RACE_ROUNDS=$${RACE_ROUNDS:-200} $(BIN)/pytest tests/attacks/test_races.py -m slow $(ARGS)

promises: install ## Test the promises in 2,000 random orders (PROMISES_RUNS)
	@PROMISES_RUNS=$${PROMISES_RUNS:-2000} $(BIN)/pytest tests/store/test_promises_machine.py $(ARGS)

mutants: install ## Break the rules one place at a time, and list what no test sees
	@$(UV_SYNC) --quiet --group mutants
	@timeout 1800 nice $(BIN)/mutmut run --max-children 1 >mutants.log; $(BIN)/python .ci/mutants.py $$?
	@timeout 1800 nice $(BIN)/python -m tests.store.lua_mutation

check: install ## Check lint, format, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

audit: install ## Look for known vulnerabilities and for dangerous code
	@$(BIN)/bandit -q -c pyproject.toml -r service
	@$(BIN)/python .ci/audit.py

format: install ## Format the code, and apply ruff's fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Each benchmark writes to tests/bench/results, which git ignores. ARGS=--quick takes a third of the time.
BENCHES := verify wait pairs lag hung growth open_loop start round_trips memory redis_client dashboard
QUICK_TOO := verify wait lag hung growth open_loop start dashboard

bench: install ## Measure everything, in 15 minutes (wrk, Chromium; ARGS=--quick)
	@command -v wrk >/dev/null || { echo "The benchmarks need wrk; on Debian: apt-get install wrk"; exit 1; }
	@$(UV_SYNC) --quiet --group bench
	@for bench in $(BENCHES); do echo "== $$bench"; case " $(QUICK_TOO) " in *" $$bench "*) args="$(ARGS)";; *) args=;; esac; \
		PYTHONPATH=.:tests/bench $(BIN)/python tests/bench/bench_$$bench.py $$args || exit 1; done
	@PYTHONPATH=.:tests/bench $(BIN)/python tests/bench/report.py

bench-peers: install ## Compare a check with two other services (downloads them)
	@PYTHONPATH=.:tests/bench $(BIN)/python tests/bench/bench_peers.py $(ARGS)

screenshot: install ## Make the screenshots of the documents again (needs Chromium)
	@PYTHONPATH=. $(BIN)/python docs/screenshot.py

clean: ## Remove .venv and all caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants mutants.log
