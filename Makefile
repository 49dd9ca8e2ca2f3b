PYTHON ?= python3
BIN := .venv/bin
EXTENSION := python/sandlock/_core.abi3.so
EXTENSION_SOURCES := go.mod go.sum $(shell find bindings pkg -type f ! -name '*_test.go' ! -path '*/__pycache__/*')

.DEFAULT_GOAL := help
.PHONY: help build demo test pytest-here pytest-unprivileged fuzz soak mutants sanitize audit bench docs fmt lint wheels matrix kernels clean

FUZZTIME ?= 20

# Hundreds of interpreters are started by the tests, and would compile all that they import.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: .venv/built $(EXTENSION) ## make .venv with the package in it, its extension compiled in place

demo: build ## list every file that a real program opens, from a Python handler
	$(BIN)/python examples/audit_openat.py

test: lint ## run every check and test, as the current user and as an unprivileged one
	go test -race ./...
	$(MAKE) --no-print-directory --jobs=2 pytest-here pytest-unprivileged
	$(BIN)/python tests/run_fuzz.py $(FUZZTIME)

pytest-here:
	env -u MAKEFLAGS $(BIN)/pytest

pytest-unprivileged: # printed when it has ended, between the other's lines
	mkdir -p build
	env -u MAKEFLAGS $(BIN)/python tests/run_unprivileged.py >build/unprivileged.log 2>&1; \
	status=$$?; cat build/unprivileged.log; exit $$status

fuzz: build ## run each fuzz target of the Go packages for FUZZTIME=20 seconds; ARGS="WORD" picks some
	$(BIN)/python tests/run_fuzz.py $(FUZZTIME) $(ARGS)

soak: build .venv/tools ## answer ten million calls of a thousand sandboxes, with faults; ARGS="--help" lists the options
	$(BIN)/python -m tests.soak $(ARGS)

mutants: build .venv/tools ## switch off one protection at a time, and see that a test fails; ARGS="WORD" picks some
	$(BIN)/python -m tests.mutants $(ARGS)

HARNESS := pkg/launch/testdata/harness.c
HARNESS_FLAGS := -g -O1 -Wall -Wextra -Werror -fno-stack-protector -Ipkg/launch

sanitize: ## run the C code under AddressSanitizer, UBSan and valgrind, and the Go tests around it with -asan
	mkdir -p build/sanitize
	gcc $(HARNESS_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all -o build/sanitize/asan $(HARNESS)
	timeout 300 build/sanitize/asan
	gcc $(HARNESS_FLAGS) -fsanitize=undefined -fsanitize-undefined-trap-on-error -o build/sanitize/ubsan $(HARNESS)
	timeout 300 build/sanitize/ubsan
	gcc $(HARNESS_FLAGS) -o build/sanitize/plain $(HARNESS)
	timeout 300 valgrind --quiet --error-exitcode=99 build/sanitize/plain direct
	go test -asan ./pkg/launch ./bindings/core

audit: build .venv/audit ## look for known vulnerabilities in what sandlock is built of and with; needs vuln.go.dev and pypi.org
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...
	$(BIN)/pip-audit --local --strict --skip-editable

bench: build .venv/tools ## print the measured costs; ARGS="--help" lists the rows and what else there is
	$(BIN)/python -m tests.bench $(ARGS)

docs: .venv/docs ## build the pages of docs into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

fmt: .venv/tools ## format the sources
	gofmt -w bindings pkg tests
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lint: build .venv/tools ## check the sources without running them
	test -z "$$(gofmt -l bindings pkg tests | tee /dev/stderr)"
	go vet ./...
	go tool staticcheck ./...
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

wheels: .venv/wheels ## build the sdist and the wheels of all architectures into dist/
	$(BIN)/python -m bindings.build.wheels

matrix: wheels .venv/tools ## run the tests with every CPython of this machine, against the wheel
	$(BIN)/python tests/run_interpreters.py $(ARGS)

kernels: build .venv/tools ## run the tests with another kernel, in an emulated machine; ARGS="KERNEL.deb... [-- PYTEST...]"
	$(BIN)/python tests/run_kernels.py $(ARGS)

clean: ## remove everything that was built
	rm -rf .venv build dist site $(EXTENSION) .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/built: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --group build
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

.venv/tools: .venv/built
	$(BIN)/pip install --quiet --group test --group lint
	touch $@

.venv/audit: .venv/tools
	$(BIN)/pip install --quiet --group audit
	touch $@

.venv/wheels: .venv/built
	$(BIN)/pip install --quiet --group wheels
	touch $@

.venv/docs: .venv/built
	$(BIN)/pip install --quiet --group docs
	touch $@

$(EXTENSION): $(EXTENSION_SOURCES) | .venv/built
	$(BIN)/python -m bindings.build
