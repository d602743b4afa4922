# make demo: see it work. make test: all checks. make sandbox: try it by hand.
# make bench: what it costs, compared with what people use instead.
# They need Go, Python 3 and make, and install everything else, pinned, into
# .tools/ of this checkout. Only live, live-stacksets, verify and publish
# need an AWS account. Only invoke and test-sam-local need a container engine.
#
# $(STEP) NAME TITLE COMMAND... runs a command, shows its title and how long it
# takes, and keeps what it prints in .tools/log/NAME.log.

VENV  := .tools/venv
TOOLS := $(VENV)/.installed
BENCH_VENV := .tools/bench-venv
# This machine's architecture: the sandbox runs what it builds.
ARCH  := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
# Without Lambda's old protocol, and without HTTP/2, which no call needs. The SDK's code
# is not inlined, nor the parts of Go's library that read and write for it: calls to AWS
# would not be faster, and the zip is a twelfth smaller.
TAGS  := lambda.norpc,nethttpomithttp2
SMALL := -trimpath -tags=$(TAGS) $(foreach packages,github.com/aws/... net/... crypto/tls crypto/x509 encoding/...,-gcflags=$(packages)=-l)
# Everything but the race detector compiles as the release does, so that each
# package is compiled once for all.
SAME  := CGO_ENABLED=0 GOFLAGS='$(SMALL)'
# The same bytes from any directory, small, and without the builder's libc.
BUILD := CGO_ENABLED=0 GOFLAGS='$(SMALL) -buildvcs=false "-ldflags=-s -w -buildid="' SAM_CLI_TELEMETRY=0

# What goes to AWS, and the lists of what is in it.
SHIPPED := .aws-sam/release
SHIPPED_X86_64 := .aws-sam/release-x86_64
# The functions: functions/provider is built into ProviderFunction, and so on.
FUNCTIONS := $(notdir $(wildcard functions/*))
sbom_of    = .aws-sam/$(1).cdx.json
RELEASE_TOOLS := internal/release/tools.mod
# What runs on this machine. It is not in the folder of a plain `sam build`.
LOCAL := .aws-sam/local/$(ARCH)

TEMPLATES := template.yaml $(wildcard examples/*.yaml)
STACKSETS := $(wildcard stacksets/*.yaml)

SHELL := /bin/bash
STEP  := @internal/make/step
# Go's tests, with what failed and why at the end, and a line for each package
# or test on the way.
GOTESTSUM := .tools/bin/gotestsum
TESTS := $(GOTESTSUM) --format-icons=text --hide-summary=skipped
# No vet: `make vet` runs it once, and each set of tests would run it again.
# A test that hangs is stopped after ten times what a busy core of a slow machine needs.
GOTEST := -vet=off -timeout 2h
# Go's programs collect their garbage a quarter as often: a fifth less work for the
# cores. The one that needs most of all, staticcheck, has 1.7 GB then.
export GOGC := 400
# A program under the race detector waits at its end for a race that is not reported
# yet, by default for a second. There are two dozen such programs.
export GORACE := atexit_sleep_ms=100

# The Go that go.mod names, not the one that the machine has: an older one would bring
# its known vulnerabilities into the bootstrap.
export GOTOOLCHAIN := auto
# Python keeps what it has compiled, also where the environment forbids it: the
# AWS CLI starts twice as fast.
export PYTHONDONTWRITEBYTECODE :=

# How long each target is fuzzed: a time, or a count such as 20000x.
FUZZTIME ?= 10m

# A real S3 and what is tried on it: test-time programs, none of them linked or shipped.
S3TOOLS := internal/sandbox/minio/tools

.PHONY: demo recording policy verify test units races e2e wire test-s3 test-snippets test-stacksets live live-stacksets faults costs bench bench-counts bench-own bench-programs fuzz build build-local build-container invoke test-sam-local build-x86_64 publish release reproducible sbom audit sandbox tools lint vet staticcheck templates format oracle compile clean

# Go compiles while the rest is installed.
demo: ## show the provider at work in a local AWS
	@$(MAKE) --no-print-directory -j2 build-local
	@.tools/bin/demo

# What README shows: the demo in 80 columns. A step that does not hold leaves the picture as it was.
recording: ## docs/demo.svg, from a run of the demo
	@$(MAKE) --no-print-directory -j2 build-local
	$(STEP) recording "Record the demo" bash -c '.tools/bin/demo -recording > .tools/demo.ansi \
		&& $(VENV)/bin/python internal/sandbox/demo/svg.py 80 "make demo" < .tools/demo.ansi > .tools/demo.svg && mv .tools/demo.svg docs/demo.svg'

# FILE is JSON or YAML, of the properties alone or of a template; - is standard input.
# PARAMETERS="NAME=VALUE NAME=VALUE" gives values to the template's parameters, and to
# its resources where a property refers to one. A value ends at a space that NAME=
# follows, so that it may have other spaces. On standard output is the JSON alone.
# What make's own command line sets is in the environment: the shell does not read it.
PROPERTIES :=
PARAMETERS :=
policy: .tools/bin/inspect ## the policies that PROPERTIES=FILE would make: offline
	@.tools/bin/inspect policy "$$PROPERTIES" "$$PARAMETERS"

# By the code with which the rotator proves a new key. No key, secret, user or policy is changed.
SECRET :=
verify: .tools/bin/inspect ## prove the current key of SECRET=NAME, with your own AWS credentials
	@.tools/bin/inspect verify "$$SECRET"

.tools/bin/inspect: go.mod go.sum $(shell find internal -name '*.go' ! -name '*_test.go' ! -path 'internal/sandbox*' ! -path 'internal/bench*')
	@internal/make/step inspect "Compile the command" env $(SAME) go build -o $@ ./internal/inspect >&2

# The end-to-end tests wait a good deal, so they run next to the others, and begin
# as soon as what they need is there. Never more than two steps run at a time:
# each uses the cores that there are.
test: ## everything that CI checks
	@rm -f .tools/log/*.failed .tools/log/*.earlier; started=$$SECONDS; status=0; \
		$(MAKE) --no-print-directory -j2 -k $(GOTESTSUM) build-local oracle format vet staticcheck || status=$$?; \
		$(MAKE) --no-print-directory -j2 -k PLAYS=1000 ONE_IN=17 WIRE_ONE_IN=3 e2e races units faults templates audit || status=$$?; \
		internal/make/verdict $$((SECONDS - started)) $$status

# The race detector is for what runs at the same time: not for packages that
# only compute, nor for those that drive other processes. Of what SAMPLED play it
# is shown some cases (accesstest.OneIn); all of them run without it.
RACELESS := internal/(bench.*|confinement|iamtest|keyring|name|notice|numbered|order|pages|plan|policy|reasons|release.*|sandbox.*|spec|stacksets)$$
SAMPLED  := internal/(probe|provision|resource|sweep)$$
races: $(GOTESTSUM) ## the tests of what runs at once, under the race detector
	$(STEP) races "Test under the race detector what runs at once" $(TESTS) --format pkgname -- -race $(GOTEST) $$(go list ./... | grep -vE '$(RACELESS)') ./internal/sandbox/bridge

units: $(GOTESTSUM) oracle ## the tests of what only computes, and every case of what was sampled
	$(STEP) units "Test without it what only computes, and every case" env $(SAME) $(TESTS) --format pkgname -- $(GOTEST) $$(go list ./... | grep -E '$(RACELESS)|$(SAMPLED)' | grep -v /sandbox)

# `test` plays one case in three of a bootstrap that is killed, or whose call fails.
WIRE_ONE_IN = 1
wire: $(GOTESTSUM) $(LOCAL)/template.yaml ## every case of a bootstrap that is killed, or whose call fails
	$(STEP) wire "Kill the bootstrap at every call" env $(SAME) $(TESTS) --format testname -- -count=1 $(GOTEST) -run Wire ./internal/sandbox

e2e: $(GOTESTSUM) $(LOCAL)/template.yaml oracle ## the end-to-end tests, on the sandbox
	$(STEP) e2e "Test end to end, on the sandbox" env WIRE_ONE_IN=$(WIRE_ONE_IN) $(SAME) $(TESTS) --format testname -- -count=1 $(GOTEST) ./internal/sandbox/...

# Not in `make test`, because MinIO takes minutes to compile where Go has not cached it.
test-s3: $(GOTESTSUM) .tools/bin/minio .tools/bin/rclone $(TOOLS) ## the issued policies and keys on a real S3, by the clients of docs/clients.md
	$(STEP) test-s3 "Test the issued keys on a real S3" env $(SAME) $(TESTS) --format testname -- -tags=s3,$(TAGS) -count=1 $(GOTEST) ./internal/sandbox/minio

# Not in `make test`, because it installs the CDK, with 217 MB.
test-snippets: $(GOTESTSUM) $(LOCAL)/template.yaml .tools/snippets/.installed .tools/bin/hcl ## the snippets of docs/cdk-terraform.md, by their own tools
	$(STEP) test-snippets "Test the snippets for CDK and Terraform" env $(SAME) $(TESTS) --format testname -- -tags=snippets,$(TAGS) -count=1 $(GOTEST) ./internal/sandbox/snippets

# Not in `make test`, because it publishes: the functions are compiled for both processors.
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
# one case in seventeen of a fault at every call; CI also takes all of them.
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
bench: bench-programs ## how long events take and what they need, compared with an empty function and Python: docs/benchmark.md
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

# Compared with another commit: make bench-own BASE=main
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

# On the command line: VERSION=1.0.0 REGIONS="eu-west-1 us-east-1". The code buckets
# (stacksets/code-bucket.yaml) must exist. Their names are PREFIX-ACCOUNT-REGION-an.
VERSION :=
REGIONS :=
PREFIX  := cloney-code
DRY_RUN :=
publish: build build-x86_64 ## the release into the code bucket of each region, and dist/provider-VERSION.yaml for stack sets
	@$(SAME) go run ./internal/release/publish -version='$(VERSION)' -regions='$(REGIONS)' -prefix='$(PREFIX)' -dry-run='$(DRY_RUN)' \
		-commit="$(COMMIT)" -arm64=$(SHIPPED) -x86_64=$(SHIPPED_X86_64)

# On the command line: VERSION=0.1.0. CHANGELOG.md must have a heading for it.
COMMIT = $$(git describe --always --dirty --abbrev=40 --exclude='*' 2> /dev/null || echo unknown)
FOLDER = $(SAME) go run ./internal/release/folder -version='$(VERSION)' -commit="$(COMMIT)"
release: export VULNDB := https://vuln.go.dev
release: ## a version in the folder dist/VERSION, which the AWS CLI alone deploys: template, code, SBOMs, checksums
	@$(FOLDER) -check
	@$(MAKE) --no-print-directory reproducible sbom audit
	@$(FOLDER) -arm64=$(SHIPPED) -x86_64=$(SHIPPED_X86_64) $(foreach function,$(FUNCTIONS),$(call sbom_of,$(function)))

# Without SAM, in another directory, with nothing compiled before.
reproducible: build build-x86_64 ## build the functions again, for both processors, and compare the bytes
	@set -e; again=$$(mktemp -d); trap 'rm -rf "$$again"' EXIT; \
	cp -R functions internal go.mod go.sum "$$again"; \
	for shipped in arm64:$(SHIPPED) amd64:$(SHIPPED_X86_64); do for function in $(FUNCTIONS); do \
		cd "$$again/functions/$$function"; bootstrap="$(CURDIR)/$${shipped#*:}/$${function^}Function/bootstrap"; \
		GOOS=linux GOARCH=$${shipped%%:*} GOCACHE="$$again/cache" $(BUILD) go build -o "$$again/bootstrap" .; \
		cmp "$$again/bootstrap" "$$bootstrap"; echo "$$function for $${shipped%%:*}: built twice, the same bytes: $$(sha256sum < "$$bootstrap" | cut -d' ' -f1)"; \
	done; done

# It reads the files that are shipped. The tool's own go.mod keeps it out of ours.
sbom: build ## the modules in each bootstrap, as CycloneDX
	@set -e; for function in $(FUNCTIONS); do sbom=$(call sbom_of,$$function); \
		go tool -modfile=$(RELEASE_TOOLS) cyclonedx-gomod bin -version "$(or $(VERSION),$$(git describe --tags --always --dirty))" -json -std -noserial -notimestamp -output $$sbom $(SHIPPED)/$${function^}Function/bootstrap; \
		echo "$$sbom: $$(grep -c '"type": "library"' $$sbom) components"; \
	done

# It uses the copy of Go's database that tools.mod pins, so that the same commit also
# passes tomorrow. For newer reports: VULNDB=https://vuln.go.dev, as make release does.
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

# SAM_FLAGS has more options for SAM, such as SAM_FLAGS=--skip-pull-image.
# On standard output is the answer alone.
invoke: ## one EVENT, by `sam local invoke` in a container, with a running `make sandbox` for AWS
	@$(MAKE) --no-print-directory tools compile >&2
	@.tools/bin/invoke "$(EVENT)" $(SAM_FLAGS)

test-sam-local: $(GOTESTSUM) build-container ## every event through the real SAM CLI and a real container engine
	$(STEP) test-sam-local "Test every event by sam local invoke" env SAM_FLAGS="$(SAM_FLAGS)" $(SAME) $(TESTS) --format testname -- -tags=samlocal,$(TAGS) -count=1 $(GOTEST) -v ./internal/sandbox/invoke

# What sam build and the commands compile, before SAM is there: it installs meanwhile.
compile: export COMPILE := $(BUILD) go build -o .tools/bin/ ./functions/... && $(SAME) go build -o .tools/bin/ ./internal/inspect ./internal/sandbox/demo ./internal/sandbox/serve ./internal/sandbox/invoke
compile: ## the programs of this checkout
	$(STEP) compile "Compile" bash -c "$$COMPILE"

# make invoke finds it at any port.
PORT := 4599
sandbox: ## a local AWS on 127.0.0.1:4599, or PORT, until Ctrl-C, with the provider deployed
	@$(MAKE) --no-print-directory -j2 build-local
	@.tools/bin/serve -port=$(PORT)

tools: $(TOOLS)
	@:
$(TOOLS): internal/sandbox/requirements.txt
	$(STEP) tools "Install the AWS CLI, SAM CLI, moto and cfn-lint into $(VENV), once" internal/make/install $(VENV) $<
	@touch $@

lint: format vet staticcheck templates

format:
	$(STEP) format "Look at the format of the code" bash -c 'unformatted=$$(gofmt -l functions internal) || exit 1; test -z "$$unformatted" || { echo "not formatted by gofmt: $$unformatted"; exit 1; }'

vet:
	$(STEP) vet "Vet" env $(SAME) go vet -tags=bench,s3,samlocal,snippets,stacksets,$(TAGS) ./...

staticcheck:
	$(STEP) staticcheck "Check statically" env $(SAME) go tool staticcheck -tags=bench,s3,samlocal,snippets,stacksets,$(TAGS) ./...

# cfn-lint reads the SAM template, the plain CloudFormation that AWS makes of it, and
# the published template (SAMPLE has a made-up account and checksums): it finds other
# mistakes in each. It checks what stack sets deploy for every region that it knows.
# schema/ is its rule for the properties of Custom::CloneyS3Credentials.
SAMPLE = --version=0.0.0 --commit=unknown --account=111122223333 --prefix=cloney-code \
	$(foreach function,ProviderFunction RotatorFunction,$(foreach architecture,arm64 x86_64,--zip=$(function):$(architecture):$(shell printf '%064d' 0)))
templates: $(TOOLS)
	$(STEP) templates "Lint the templates" env AWS_DEFAULT_REGION=us-east-1 bash -c '$(VENV)/bin/python internal/sandbox/translate.py template.yaml s3://bucket > .tools/translated.json \
		&& $(VENV)/bin/python internal/release/published/published.py $(SAMPLE) < .tools/translated.json > .tools/published.yaml \
		&& $(VENV)/bin/cfn-lint --append-rules schema -- $(TEMPLATES) .tools/translated.json \
		&& $(VENV)/bin/cfn-lint --append-rules schema --regions ALL_REGIONS -- .tools/published.yaml $(STACKSETS) && echo "$(words $(TEMPLATES) $(STACKSETS)) templates, the first one translated and published too"'

oracle: .tools/oracle/.installed .tools/oracle/oracle.mjs .tools/oracle/collators.mjs

# The IAM oracle is a separate process at test time, never linked or shipped.
.tools/oracle/.installed: internal/sandbox/oracle/package-lock.json $(TOOLS)
	@mkdir -p .tools/oracle
	@cp internal/sandbox/oracle/package.json internal/sandbox/oracle/package-lock.json .tools/oracle/
	$(STEP) oracle "Install the second evaluator of policies" env PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm --prefix .tools/oracle ci --silent --no-audit --no-fund
	@touch $@

# Next to its modules, where Node looks for them.
.tools/oracle/%.mjs: internal/sandbox/oracle/%.mjs
	@mkdir -p .tools/oracle
	@cp $< $@

# What the snippets are checked with runs at test time alone, and is never linked or shipped.
.tools/snippets/.installed: internal/sandbox/snippets/package-lock.json $(TOOLS)
	@mkdir -p .tools/snippets
	@cp internal/sandbox/snippets/package.json internal/sandbox/snippets/package-lock.json .tools/snippets/
	$(STEP) snippets "Install the CDK and TypeScript into .tools/snippets, once" env PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm --prefix .tools/snippets ci --silent --no-audit --no-fund
	@touch $@

.tools/bin/hcl: $(wildcard internal/sandbox/snippets/hcl/*)
	@mkdir -p .tools/bin
	$(STEP) hcl "Build the reader of Terraform's language into .tools/bin, once" go build -C internal/sandbox/snippets/hcl -o $(CURDIR)/$@ .

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
