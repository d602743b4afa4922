# make demo: see it work. make test: all checks. make sandbox: try it by hand.
# Everything that they need beside Go, Python 3 and make is installed, pinned,
# into .tools/ of this checkout. Nothing needs an AWS account, and a container
# engine only what is called sam-local or invoke.

VENV  := .tools/venv
TOOLS := $(VENV)/.installed
# Of this machine: the sandbox runs what it builds.
ARCH  := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
# Lint compiles as the release does, so that neither waits for what the other has made.
SAME  := CGO_ENABLED=0 GOFLAGS=-trimpath
# The same bytes from any directory, small, and without the builder's libc.
BUILD := CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false -tags=lambda.norpc "-ldflags=-s -w -buildid="' SAM_CLI_TELEMETRY=0

# What goes to AWS, and what is told of it.
SHIPPED := .aws-sam/release/ProviderFunction/bootstrap
SBOM    := .aws-sam/bootstrap.cdx.json
RELEASE_TOOLS := internal/release/tools.mod

TEMPLATES := template.yaml $(wildcard examples/*.yaml)

SHELL := /bin/bash

# The Go that go.mod names, not whichever the machine has: an older one brings
# its known vulnerabilities into the bootstrap.
export GOTOOLCHAIN := auto

# How long each target is fuzzed: a time, or a count such as 20000x.
FUZZTIME ?= 10m

# A real S3 and what is tried on it: test-time programs, none of them linked or shipped.
S3TOOLS := internal/sandbox/minio/tools

.PHONY: demo test units e2e test-s3 live faults fuzz build build-local build-container invoke test-sam-local release reproducible sbom audit sandbox tools lint oracle clean

demo: build-local ## show the provider at work in a local AWS
	@go run ./internal/sandbox/demo

# The end-to-end tests wait a good deal, so they run beside the others.
test: lint oracle audit ## everything that CI checks
	@$(MAKE) --no-print-directory -j2 -O e2e units

# The race detector is for what runs at the same time: not for packages that
# only compute, nor for those that drive other processes.
RACELESS := internal/(confinement|iamtest|policy|sandbox.*)$$
units: oracle ## all but the end-to-end tests
	go test -timeout 9m $$(go list ./... | grep -E '$(RACELESS)' | grep -v /sandbox)
	go test -race -timeout 9m $$(go list ./... | grep -vE '$(RACELESS)')
	@$(MAKE) --no-print-directory faults

e2e: build-local oracle ## the end-to-end tests, on the sandbox
	go test -timeout 9m -parallel 6 ./internal/sandbox/...

# Beside `make test`, because MinIO takes minutes to compile where Go has not cached it.
test-s3: .tools/bin/minio .tools/bin/rclone $(TOOLS) ## the issued policies and keys on a real S3, by the clients of docs/clients.md
	go test -tags=s3 -count=1 -timeout 4m ./internal/sandbox/minio

# With the credentials of an administrator, where the provider is deployed.
live: $(TOOLS) ## the life of a migration's credentials in your own AWS account: what only AWS can show
	CLONEY_LIVE=yes go test -v -count=1 -timeout 90m ./internal/sandbox/live

# Each takes a few cases of it along under the race detector; here are all.
faults: ## a fault at every call of every event, and pairs of them
	@go test -v -run Fault ./internal/faults | grep -v '^=== \|^---\|^PASS'; exit $${PIPESTATUS[0]}

# What makes a new path shorter may take a second of it, not Go's sixty.
fuzz: ## every fuzz target in turn, each for FUZZTIME
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z]*' internal | sort | while IFS=: read -r file target; do \
		echo "$${target#func }"; \
		go test -run='^$$' -fuzz="^$${target#func }\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=1s "./$$(dirname $$file)" || exit 1; \
	done

build: $(TOOLS) ## the bootstrap for AWS, by the template's own architecture
	$(BUILD) $(VENV)/bin/sam build --build-dir .aws-sam/release

# What a release is: the bootstrap, what is in it, and that both can be trusted.
release: reproducible sbom ## all of it, before a release
	@$(MAKE) --no-print-directory audit VULNDB=https://vuln.go.dev
	@sha256sum $(SHIPPED) $(SBOM)

# Without SAM, from another directory, with nothing compiled before.
reproducible: build ## the same bytes once more
	@set -e; again=$$(mktemp -d); trap 'rm -rf "$$again"' EXIT; \
	cp -R functions internal go.mod go.sum "$$again"; cd "$$again/functions/provider"; \
	GOOS=linux GOARCH=arm64 GOCACHE="$$again/cache" $(BUILD) go build -o "$$again/bootstrap" .; \
	cmp "$$again/bootstrap" "$(CURDIR)/$(SHIPPED)" && echo "built twice, the same bytes: $$(sha256sum < $(CURDIR)/$(SHIPPED) | cut -d' ' -f1)"

# Of the very file that is shipped. Its own go.mod keeps the tool out of ours.
sbom: build ## the modules in the bootstrap, as CycloneDX
	@go tool -modfile=$(RELEASE_TOOLS) cyclonedx-gomod bin -version "$$(git describe --tags --always --dirty)" -json -std -noserial -notimestamp -output $(SBOM) $(SHIPPED)
	@echo "$(SBOM): $$(grep -c '"type": "library"' $(SBOM)) components"

# Looked up in the copy of Go's database that tools.mod pins, so that the same
# commit passes tomorrow too. What came to light since: VULNDB=https://vuln.go.dev
VULNDB ?= file://$(CURDIR)/.tools/vulndb
audit: .tools/vulndb/index/db.json ## known vulnerabilities that the functions can reach
	@go tool -modfile=$(RELEASE_TOOLS) govulncheck -db $(VULNDB) -tags lambda.norpc ./functions/... \
		|| { echo "audit: NOT PASSED: it found something, or could not ask $(VULNDB)" >&2; exit 1; }

.tools/vulndb/index/db.json: $(RELEASE_TOOLS)
	@go mod download -modfile=$(RELEASE_TOOLS) golang.org/x/vulndb
	@go run ./internal/release/vulndb "$$(go list -m -modfile=$(RELEASE_TOOLS) -f '{{.Dir}}' golang.org/x/vulndb)/data/osv" .tools/vulndb

build-local: $(TOOLS) ## the bootstrap for this machine
	@$(BUILD) $(VENV)/bin/sam build --parameter-overrides Architecture=$(ARCH) > .tools/build.log 2>&1 || { cat .tools/build.log; exit 1; }

# For a container of this architecture: beside what a running sandbox was started
# from, and what release makes. Only where something has changed.
LOCAL := .aws-sam/local/$(ARCH)
build-container: $(LOCAL)/template.yaml $(LOCAL).reach/reach
	@:
$(LOCAL)/template.yaml: template.yaml go.mod go.sum $(shell find functions internal ! -path 'internal/sandbox*' \( -type d -o -name '*.go' ! -name '*_test.go' \)) | $(TOOLS)
	@$(BUILD) $(VENV)/bin/sam build --build-dir $(LOCAL) --parameter-overrides Architecture=$(ARCH)
	@touch $@
$(LOCAL).reach/reach: $(wildcard internal/sandbox/invoke/reach/*.go)
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(subst x86_64,amd64,$(ARCH)) go build -o $@ ./internal/sandbox/invoke/reach

# SAM's options besides, such as SAM_FLAGS=--skip-pull-image.
invoke: $(TOOLS) ## one EVENT, by `sam local invoke` in a container, with a running `make sandbox` for AWS
	@go run ./internal/sandbox/invoke "$(EVENT)" $(SAM_FLAGS)

test-sam-local: build-local build-container ## every event through the real SAM CLI and a real container engine
	SAM_FLAGS="$(SAM_FLAGS)" go test -tags=samlocal -count=1 -timeout 30m -v ./internal/sandbox/invoke

sandbox: build-local ## a local AWS on 127.0.0.1:4599 until Ctrl-C, with the provider deployed
	@go run ./internal/sandbox/serve

tools: $(TOOLS)
$(TOOLS): internal/sandbox/requirements.txt
	@echo "Installing the AWS CLI, SAM CLI, moto and cfn-lint into $(VENV) (once, about a minute) ..."
	@python3 -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps --requirement $<
	@$(VENV)/bin/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	@touch $@

lint: $(TOOLS)
	@test -z "$$(gofmt -l functions internal)" || { gofmt -l functions internal; echo "^ not gofmt'ed"; exit 1; }
	$(SAME) go vet -tags=s3,samlocal ./...
	$(SAME) go tool staticcheck -tags=s3,samlocal ./...
	$(VENV)/bin/cfn-lint $(TEMPLATES)
	@for t in $(TEMPLATES); do AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate --lint --template-file $$t || exit 1; done

oracle: .tools/oracle/node_modules .tools/oracle/oracle.mjs

# The IAM oracle is a separate process at test time, never linked or shipped.
.tools/oracle/node_modules: internal/sandbox/oracle/package-lock.json $(TOOLS)
	@mkdir -p .tools/oracle
	@cp internal/sandbox/oracle/package.json internal/sandbox/oracle/package-lock.json .tools/oracle/
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm --prefix .tools/oracle ci --silent --no-audit --no-fund
	@touch $@

# Beside its modules, where Node looks for them.
.tools/oracle/oracle.mjs: internal/sandbox/oracle/oracle.mjs
	@mkdir -p .tools/oracle
	@cp $< $@

.tools/bin/minio: $(S3TOOLS)/minio.txt
	@echo "Building MinIO into .tools/bin (once; some minutes) ..."
	@GOBIN=$(CURDIR)/.tools/bin go install -ldflags='-s -w' $$(cat $<)
	@touch $@

# One go build makes both: rclone is the name of the stamp.
.tools/bin/rclone: $(wildcard $(S3TOOLS)/go.* $(S3TOOLS)/*/main.go)
	@echo "Building rclone into .tools/bin (once; about a minute) ..."
	@mkdir -p .tools/bin
	@go build -C $(S3TOOLS) -ldflags='-s -w' -o $(CURDIR)/.tools/bin/ ./minioadmin ./rclone
	@touch $@

clean:
	rm -rf .tools .aws-sam
