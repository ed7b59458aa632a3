# inferbook: `make demo` shows it, `make test` checks it.
SHELL   := /bin/bash
GO      ?= go
# How long each fuzz target runs: a number of inputs, which takes a few seconds.
# A time, such as 60s, finds more; at its end the Go tool sometimes reports a failure
# that is none, "context deadline exceeded".
FUZZFOR ?= 3000x
BIN     := bin/inferbook
export CGO_ENABLED := 1
# NVIDIA's own header marks half of its functions as deprecated.
export CGO_CFLAGS := -O2 -g -Wno-deprecated-declarations

.PHONY: help demo test check bench example golden install build setup fmt vet lint fuzz race theory proofs calibration

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: build ## from nothing: a notebook, a curve, a cost, a report (about two minutes)
	@$(BIN) demo demo

test: setup fmt vet lint race theory fuzz ## gofmt, vet, staticcheck, tests under the race detector, each fuzz target for a few seconds

check: test demo ## what CI runs: the tests and the demo

bench: setup ## speed, as ratios and rates that a person can compare
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 20m ./...

calibration: build ## the simulated engine against published runs, figure by figure
	@$(BIN) sim published --rows
	@$(BIN) sim published

example: build ## make experiments.db.example again; the same bytes each time
	$(BIN) demo --example experiments.db.example >/dev/null

golden: setup ## write the expected outputs of the tests again; look at the difference
	$(GO) test ./analysis ./cmd/... ./reports/... -update

install: setup ## go install
	$(GO) install ./cmd/inferbook

build: setup
	@mkdir -p bin
	$(GO) build -o $(BIN) ./cmd/inferbook

# The SQLite library is C: without a C compiler the program would build and then
# fail at run time, so it is installed, or the command that installs it is named.
setup:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or newer from https://go.dev/dl" >&2; exit 1; }
	@command -v $${CC:-gcc} >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing a C compiler (gcc, libc6-dev) for SQLite" >&2; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc libc6-dev >/dev/null; \
	  else \
	    echo "a C compiler is missing, which SQLite needs; install it with: sudo apt-get install -y gcc libc6-dev" >&2; exit 1; \
	  fi; }

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not formatted by gofmt: $$bad" >&2; exit 1; }

vet:
	$(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...

# SQLite takes three times as long to compile at -O2, and the tests do not gain by it.
race: export CGO_CFLAGS := -O1 -w
race:
	$(GO) test -race -shuffle=on ./...

# Tests of 10⁵ requests and of a hundred simulated load levels take minutes under the
# race detector, and skip there. `make proofs` draws as many samples as their figures are quoted for.
PROOF := -short
theory proofs: export CGO_CFLAGS := -O1 -w
proofs: PROOF := -count=1 -v
proofs: theory ## how well intervals cover, how often equals are told apart, how often healthy runs are accused
theory:
	$(GO) test $(PROOF) ./runner ./runner/capacity ./cmd/inferbook -run 'TestWaitsAreThoseOfTheory|TestWindowIsUnbiased|TestStallIsNotOmitted|TestAnHourOfLoad|TestThousandsCancelled|TestCapacityIsThatOfTheory|TestSearchFindsTheCapacity|TestREADME|TestGateDecides|TestEngines|TestHealthyRuns|TestScripts/(sim-ca|noise|diff|compare|why)'
	$(GO) test $(PROOF) ./runner/sim/published ./runner/sim/calibrate
	$(GO) test $(PROOF) ./analysis ./analysis/interval ./analysis/compare

# Every fuzz target of every package, one after the other. The fuzzers are built
# apart from everything else, C included, so that is compiled as fast as can be.
fuzz: export CGO_CFLAGS := -O0 -w
fuzz:
	@set -e; for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go 2>/dev/null | cut -c6-); do \
	    echo "fuzz $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZFOR) -fuzzminimizetime 10x $$pkg >/tmp/fuzz.$$$$ 2>&1 || { cat /tmp/fuzz.$$$$; exit 1; }; \
	  done; done; rm -f /tmp/fuzz.$$$$
