# make demo: see it work. make test: all checks. make sandbox: try it by hand.
# make bench: what it costs, beside what people use instead.
# Everything that they need beside Go, Python 3 and make is installed, pinned,
# into .tools/ of this checkout. Only live, live-stacksets and publish need an
# AWS account, and only what is called sam-local or invoke a container engine.
#
# $(STEP) NAME TITLE COMMAND... runs a command, says what is done and for how
# long, and keeps what it printed in .tools/log/NAME.log.

VENV  := .tools/venv
TOOLS := $(VENV)/.installed
BENCH_VENV := .tools/bench-venv
# Of this machine: the sandbox runs what it builds.
ARCH  := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
# Without Lambda's former protocol, and without HTTP/2, which no call needs. The SDK's
# code, and what of Go's own reads and writes for it, is not inlined: calls of AWS gain
# nothing by it, and the zip is a twelfth smaller.
TAGS  := lambda.norpc,nethttpomithttp2
SMALL := -trimpath -tags=$(TAGS) $(foreach packages,github.com/aws/... net/... crypto/tls crypto/x509 encoding/...,-gcflags=$(packages)=-l)
# Everything but the race detector compiles as the release does, so that each
# package is compiled once for all.
SAME  := CGO_ENABLED=0 GOFLAGS='$(SMALL)'
# The same bytes from any directory, small, and without the builder's libc.
BUILD := CGO_ENABLED=0 GOFLAGS='$(SMALL) -buildvcs=false "-ldflags=-s -w -buildid="' SAM_CLI_TELEMETRY=0

# What goes to AWS, and what is told of it.
SHIPPED := .aws-sam/release
SHIPPED_X86_64 := .aws-sam/release-x86_64
# The functions: functions/provider is built into ProviderFunction, and so on.
FUNCTIONS := $(notdir $(wildcard functions/*))
sbom_of    = .aws-sam/$(1).cdx.json
RELEASE_TOOLS := internal/release/tools.mod
# What runs on this machine: beside what a plain `sam build` makes.
LOCAL := .aws-sam/local/$(ARCH)

TEMPLATES := template.yaml $(wildcard examples/*.yaml)
STACKSETS := $(wildcard stacksets/*.yaml)

SHELL := /bin/bash
STEP  := @internal/make/step
# Go's tests, with what failed and why at the end, and a line for each package
# or test on the way.
GOTESTSUM := .tools/bin/gotestsum
TESTS := $(GOTESTSUM) --format-icons=text --hide-summary=skipped
# No vet: `make vet` does it once, before each set of tests it would be done again.
# A test that hangs is ended after ten times what a busy core of a slow machine needs.
GOTEST := -vet=off -timeout 2h
# Go's programs collect their garbage a quarter as often: a fifth less work for the
# cores. The one that needs most of all, staticcheck, has 1.7 GB then.
export GOGC := 400
# At its end a program under the race detector waits for a race that is still to be
# told, by itself for a second: there are two dozen.
export GORACE := atexit_sleep_ms=100

# The Go that go.mod names, not whichever the machine has: an older one brings
# its known vulnerabilities into the bootstrap.
export GOTOOLCHAIN := auto
# Python keeps what it has compiled, also where the environment forbids it: the
# AWS CLI starts twice as fast.
export PYTHONDONTWRITEBYTECODE :=

# How long each target is fuzzed: a time, or a count such as 20000x.
FUZZTIME ?= 10m

# A real S3 and what is tried on it: test-time programs, none of them linked or shipped.
S3TOOLS := internal/sandbox/minio/tools

.PHONY: demo test units races e2e test-s3 test-stacksets live live-stacksets faults costs bench bench-counts bench-own bench-programs fuzz build build-local build-container invoke test-sam-local build-x86_64 publish release reproducible sbom audit sandbox tools lint vet staticcheck templates format oracle compile clean

# Go compiles while the rest is installed.
demo: ## show the provider at work in a local AWS
	@$(MAKE) --no-print-directory -j2 build-local
	@.tools/bin/demo

# The end-to-end tests wait a good deal, so they run beside the others, and begin
# as soon as what they need is there. Never more than two steps run at a time:
# each uses the cores that there are.
test: ## everything that CI checks
	@rm -f .tools/log/*.failed .tools/log/*.earlier; started=$$SECONDS; status=0; \
		$(MAKE) --no-print-directory -j2 -k $(GOTESTSUM) build-local oracle format vet staticcheck || status=$$?; \
		$(MAKE) --no-print-directory -j2 -k PLAYS=1500 ONE_IN=11 e2e races units faults templates audit || status=$$?; \
		internal/make/verdict $$((SECONDS - started)) $$status

# The race detector is for what runs at the same time: not for packages that
# only compute, nor for those that drive other processes. Of what SAMPLED play it
# is shown some cases (accesstest.OneIn); all of them run without it.
RACELESS := internal/(bench.*|confinement|iamtest|keyring|order|plan|policy|release.*|sandbox.*|stacksets)$$
SAMPLED  := internal/(probe|provision|resource|sweep)$$
races: $(GOTESTSUM) ## the tests of what runs at once, under the race detector
	$(STEP) races "Test under the race detector what runs at once" $(TESTS) --format pkgname -- -race $(GOTEST) $$(go list ./... | grep -vE '$(RACELESS)') ./internal/sandbox/bridge

units: $(GOTESTSUM) oracle ## the tests of what only computes, and every case of what was sampled
	$(STEP) units "Test without it what only computes, and every case" env $(SAME) $(TESTS) --format pkgname -- $(GOTEST) $$(go list ./... | grep -E '$(RACELESS)|$(SAMPLED)' | grep -v /sandbox)

e2e: $(GOTESTSUM) $(LOCAL)/template.yaml oracle ## the end-to-end tests, on the sandbox
	$(STEP) e2e "Test end to end, on the sandbox" env $(SAME) $(TESTS) --format testname -- -count=1 $(GOTEST) ./internal/sandbox/...

# Beside `make test`, because MinIO takes minutes to compile where Go has not cached it.
test-s3: $(GOTESTSUM) .tools/bin/minio .tools/bin/rclone $(TOOLS) ## the issued policies and keys on a real S3, by the clients of docs/clients.md
	$(STEP) test-s3 "Test the issued keys on a real S3" env $(SAME) $(TESTS) --format testname -- -tags=s3,$(TAGS) -count=1 $(GOTEST) ./internal/sandbox/minio

# Beside `make test`, because it publishes: the functions are compiled for both processors.
test-stacksets: $(GOTESTSUM) $(LOCAL)/template.yaml compile ## every command of docs/stacksets.md, in a local AWS with an organization
	$(STEP) test-stacksets "Test every command of docs/stacksets.md" env $(TESTS) --format testname -- -tags=stacksets,$(TAGS) -count=1 $(GOTEST) -v ./internal/sandbox/stacksets

# With the credentials of an administrator, where the provider is deployed.
live: $(TOOLS) ## the life of a migration's credentials in your own AWS account: what only AWS can show
	CLONEY_LIVE=yes go test -v -count=1 -timeout 90m ./internal/sandbox/live

# Where docs/stacksets.md has been followed as far as "Read all keys", with its
# profiles management and hub. Export HUB, NEW, ROOT and AWS_DEFAULT_REGION as it
# does: NEW is an account in ROOT that no set has reached, HUB's profile may assume
# the reader's role.
live-stacksets: $(TOOLS) ## what only AWS can show of docs/stacksets.md, in your own organization: with HUB, NEW, ROOT and AWS_DEFAULT_REGION set
	CLONEY_LIVE_ORGANIZATION=yes go test -tags=stacksets,$(TAGS) -v -count=1 -timeout 4h -run TestThePage ./internal/sandbox/stacksets

# `races` plays a few of these cases; here are all. `test` draws fewer lives, and takes
# one case in eleven of a fault at every call; CI takes all of them beside it.
PLAYS  = 100000
ONE_IN = 1
faults: $(GOTESTSUM) ## a fault at every call of every event, pairs of them, and events that overlap
	$(STEP) faults "Play a fault at every call" env $(SAME) $(TESTS) --format standard-verbose -- -count=1 $(GOTEST) -run 'Fault|Plays' ./internal/faults -args -plays $(PLAYS) -one-in $(ONE_IN)
	@grep 'broken promises' .tools/log/faults.log

costs: ## how many calls of AWS each event makes, and how many wait for each other
	@go test -count=1 -run WhatAnEventCosts -v ./internal/provision | sed -n 's/^ *cost_test.go:[0-9]*: //p'

# How often each thing is measured. CROWD processes of the provider run at once, each
# with some 15 MB of memory.
RUNS  := 20
CROWD := 200
bench: bench-programs ## how long events take and what they need, beside an empty function and Python: docs/benchmark.md
	@$(SAME) .tools/bench/bench -runs=$(RUNS) -crowd=$(CROWD)

bench-counts: $(GOTESTSUM) bench-programs ## what of it is the same on every machine: calls, chains, writes and sizes
	$(STEP) bench-counts "Count calls and bytes" env $(SAME) .tools/bench/bench -counts
	$(STEP) bench-python "Test what is compared with" env $(SAME) $(TESTS) --format testname -- -tags=bench,$(TAGS) -count=1 $(GOTEST) ./internal/bench/python

# What is measured, and what measures. The releases are there for their sizes.
bench-programs: export BENCH := $(BUILD) go build -o .tools/bench/ ./internal/bench/empty ./internal/bench/idle && $(SAME) go build -o .tools/bench/ ./internal/bench
bench-programs: build-local build build-x86_64 $(BENCH_VENV)/.installed
	$(STEP) bench-programs "Compile the benchmark" bash -c "$$BENCH"

# Python's compiled files are there before the first start, as in a Lambda layer.
$(BENCH_VENV)/.installed: internal/bench/python/requirements.txt
	$(STEP) bench-venv "Install boto3 and crhelper into $(BENCH_VENV), once" bash -c "internal/make/install $(BENCH_VENV) $< && $(BENCH_VENV)/bin/python -m compileall -q $(BENCH_VENV)/lib internal/bench/python"
	@touch $@

# Beside another commit: make bench-own BASE=main
BASE :=
BENCHMARKS := ./internal/resource ./internal/plan ./internal/policy ./internal/reply
BENCHSTAT := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
bench-own: ## our own time of a Create by Go benchmarks, compared with that of commit BASE
	@$(SAME) internal/make/benchown '$(BASE)' $(BENCHSTAT) $(BENCHMARKS)

# What makes a new path shorter may take a second of it, not Go's sixty.
fuzz: ## every fuzz target in turn, each for FUZZTIME
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z]*' internal | sort | while IFS=: read -r file target; do \
		echo "$${target#func }"; \
		go test -run='^$$' -fuzz="^$${target#func }\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=1s "./$$(dirname $$file)" || exit 1; \
	done

build: $(TOOLS) ## the bootstraps for AWS, by the template's own architecture
	$(STEP) build "Build the functions for AWS, by sam build" env $(BUILD) $(VENV)/bin/sam build --build-dir $(SHIPPED)

build-x86_64: $(TOOLS) ## the same for the other processor
	$(STEP) build-x86_64 "Build the functions for x86_64, by sam build" env $(BUILD) $(VENV)/bin/sam build --build-dir $(SHIPPED_X86_64) --parameter-overrides Architecture=x86_64

# Say on the command line: VERSION=1.0.0 REGIONS="eu-west-1 us-east-1". The code
# buckets (stacksets/code-bucket.yaml) are there and called PREFIX-ACCOUNT-REGION-an.
VERSION :=
REGIONS :=
PREFIX  := cloney-code
DRY_RUN :=
publish: build build-x86_64 ## the release into the code bucket of each region, and dist/provider-VERSION.yaml for stack sets
	@$(SAME) go run ./internal/release/publish -version='$(VERSION)' -regions='$(REGIONS)' -prefix='$(PREFIX)' -dry-run='$(DRY_RUN)' \
		-commit="$$(git describe --always --dirty --abbrev=40 --exclude='*' 2> /dev/null || echo unknown)" -arm64=$(SHIPPED) -x86_64=$(SHIPPED_X86_64)

# What a release is: the bootstraps, what is in them, and that both can be trusted.
release: reproducible sbom ## all of it, before a release
	@$(MAKE) --no-print-directory audit VULNDB=https://vuln.go.dev
	@sha256sum $(SHIPPED)/*/bootstrap $(foreach function,$(FUNCTIONS),$(call sbom_of,$(function)))

# Without SAM, from another directory, with nothing compiled before.
reproducible: build ## the same bytes once more
	@set -e; again=$$(mktemp -d); trap 'rm -rf "$$again"' EXIT; \
	cp -R functions internal go.mod go.sum "$$again"; \
	for function in $(FUNCTIONS); do \
		cd "$$again/functions/$$function"; shipped="$(CURDIR)/$(SHIPPED)/$${function^}Function/bootstrap"; \
		GOOS=linux GOARCH=arm64 GOCACHE="$$again/cache" $(BUILD) go build -o "$$again/bootstrap" .; \
		cmp "$$again/bootstrap" "$$shipped"; echo "$$function: built twice, the same bytes: $$(sha256sum < "$$shipped" | cut -d' ' -f1)"; \
	done

# Of the very files that are shipped. Its own go.mod keeps the tool out of ours.
sbom: build ## the modules in each bootstrap, as CycloneDX
	@set -e; for function in $(FUNCTIONS); do sbom=$(call sbom_of,$$function); \
		go tool -modfile=$(RELEASE_TOOLS) cyclonedx-gomod bin -version "$$(git describe --tags --always --dirty)" -json -std -noserial -notimestamp -output $$sbom $(SHIPPED)/$${function^}Function/bootstrap; \
		echo "$$sbom: $$(grep -c '"type": "library"' $$sbom) components"; \
	done

# Looked up in the copy of Go's database that tools.mod pins, so that the same
# commit passes tomorrow too. What came to light since: VULNDB=https://vuln.go.dev
VULNDB ?= file://$(CURDIR)/.tools/vulndb
audit: .tools/vulndb/index/db.json ## known vulnerabilities that the functions can reach
	$(STEP) audit "Look for known vulnerabilities, in $(VULNDB)" env $(SAME) go tool -modfile=$(RELEASE_TOOLS) govulncheck -db $(VULNDB) -tags $(TAGS) ./functions/...

.tools/vulndb/index/db.json: $(RELEASE_TOOLS)
	$(STEP) vulndb "Read Go's list of vulnerabilities" bash -c "go mod download -modfile=$(RELEASE_TOOLS) golang.org/x/vulndb \
		&& $(SAME) go run ./internal/release/vulndb \"\$$(go list -m -modfile=$(RELEASE_TOOLS) -f '{{.Dir}}' golang.org/x/vulndb)/data/osv\" .tools/vulndb"

# For this machine, or a container of its architecture. Only where something has
# changed.
build-local: compile $(LOCAL)/template.yaml ## the bootstraps for this machine
$(LOCAL)/template.yaml: template.yaml go.mod go.sum $(shell find functions internal ! -path 'internal/sandbox*' ! -path 'internal/bench*' \( -type d -o -name '*.go' ! -name '*_test.go' \)) | $(TOOLS)
	$(STEP) build-local "Build the functions for $(ARCH), by sam build" env $(BUILD) $(VENV)/bin/sam build --build-dir $(LOCAL) --parameter-overrides Architecture=$(ARCH)
	@touch $@

build-container: $(LOCAL)/template.yaml $(LOCAL).reach/reach
	@:
$(LOCAL).reach/reach: $(wildcard internal/sandbox/invoke/reach/*.go)
	@$(SAME) GOOS=linux GOARCH=$(subst x86_64,amd64,$(ARCH)) go build -o $@ ./internal/sandbox/invoke/reach

# SAM's options besides, such as SAM_FLAGS=--skip-pull-image.
# On standard output is the answer alone.
invoke: ## one EVENT, by `sam local invoke` in a container, with a running `make sandbox` for AWS
	@$(MAKE) --no-print-directory tools compile >&2
	@.tools/bin/invoke "$(EVENT)" $(SAM_FLAGS)

test-sam-local: $(GOTESTSUM) build-container ## every event through the real SAM CLI and a real container engine
	$(STEP) test-sam-local "Test every event by sam local invoke" env SAM_FLAGS="$(SAM_FLAGS)" $(SAME) $(TESTS) --format testname -- -tags=samlocal,$(TAGS) -count=1 $(GOTEST) -v ./internal/sandbox/invoke

# What sam build and the commands compile, before SAM is there: it installs meanwhile.
compile: export COMPILE := $(BUILD) go build -o .tools/bin/ ./functions/... && $(SAME) go build -o .tools/bin/ ./internal/sandbox/demo ./internal/sandbox/serve ./internal/sandbox/invoke
compile: ## the programs of this checkout
	$(STEP) compile "Compile" bash -c "$$COMPILE"

sandbox: ## a local AWS on 127.0.0.1:4599 until Ctrl-C, with the provider deployed
	@$(MAKE) --no-print-directory -j2 build-local
	@.tools/bin/serve

tools: $(TOOLS)
	@:
$(TOOLS): internal/sandbox/requirements.txt
	$(STEP) tools "Install the AWS CLI, SAM CLI, moto and cfn-lint into $(VENV), once" internal/make/install $(VENV) $<
	@touch $@

lint: format vet staticcheck templates

format:
	$(STEP) format "Look at the format of the code" bash -c 'unformatted=$$(gofmt -l functions internal) || exit 1; test -z "$$unformatted" || { echo "not formatted by gofmt: $$unformatted"; exit 1; }'

vet:
	$(STEP) vet "Vet" env $(SAME) go vet -tags=bench,s3,samlocal,stacksets,$(TAGS) ./...

staticcheck:
	$(STEP) staticcheck "Check statically" env $(SAME) go tool staticcheck -tags=bench,s3,samlocal,stacksets,$(TAGS) ./...

# The SAM template as it is written, as the plain CloudFormation that AWS makes of
# it, and as it would be published (SAMPLE has a made-up account and checksums):
# each shows cfn-lint what the others do not. What stack sets deploy is judged for
# every region of every partition that cfn-lint knows.
SAMPLE = --version=0.0.0 --commit=unknown --account=111122223333 --prefix=cloney-code \
	$(foreach function,ProviderFunction RotatorFunction,$(foreach architecture,arm64 x86_64,--zip=$(function):$(architecture):$(shell printf '%064d' 0)))
templates: $(TOOLS)
	$(STEP) templates "Lint the templates" env AWS_DEFAULT_REGION=us-east-1 bash -c '$(VENV)/bin/python internal/sandbox/translate.py template.yaml s3://bucket > .tools/translated.json \
		&& $(VENV)/bin/python internal/release/published/published.py $(SAMPLE) < .tools/translated.json > .tools/published.yaml \
		&& $(VENV)/bin/cfn-lint $(TEMPLATES) .tools/translated.json \
		&& $(VENV)/bin/cfn-lint --regions ALL_REGIONS -- .tools/published.yaml $(STACKSETS) && echo "$(words $(TEMPLATES) $(STACKSETS)) templates, the first one translated and published too"'

oracle: .tools/oracle/.installed .tools/oracle/oracle.mjs .tools/oracle/collators.mjs

# The IAM oracle is a separate process at test time, never linked or shipped.
.tools/oracle/.installed: internal/sandbox/oracle/package-lock.json $(TOOLS)
	@mkdir -p .tools/oracle
	@cp internal/sandbox/oracle/package.json internal/sandbox/oracle/package-lock.json .tools/oracle/
	$(STEP) oracle "Install the second evaluator of policies" env PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm --prefix .tools/oracle ci --silent --no-audit --no-fund
	@touch $@

# Beside its modules, where Node looks for them.
.tools/oracle/%.mjs: internal/sandbox/oracle/%.mjs
	@mkdir -p .tools/oracle
	@cp $< $@

$(GOTESTSUM): internal/make/tools.mod
	$(STEP) gotestsum "Compile gotestsum" env $(SAME) go build -modfile=$< -o $@ gotest.tools/gotestsum
	@touch $@

.tools/bin/minio: $(S3TOOLS)/minio.txt
	$(STEP) minio "Build MinIO into .tools/bin, once; some minutes" env GOBIN=$(CURDIR)/.tools/bin go install -ldflags='-s -w' $$(cat $<)
	@touch $@

# One go build makes both: rclone is the name of the stamp.
.tools/bin/rclone: $(wildcard $(S3TOOLS)/go.* $(S3TOOLS)/*/main.go)
	@mkdir -p .tools/bin
	$(STEP) rclone "Build rclone into .tools/bin, once; about a minute" go build -C $(S3TOOLS) -ldflags='-s -w' -o $(CURDIR)/.tools/bin/ ./minioadmin ./rclone
	@touch $@

clean:
	rm -rf .tools .aws-sam
