SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The modules of go.work ship; the others stand outside of it and are built on their own.
WORK_MODULES := migrations pkg services/migrator services/trigger
OWN_MODULES  := deploy test tools

# Tools are compiled once per version, which tools/go.mod pins, and shared by all clones of a user.
TOOLS_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ncm/tools/$(shell cat tools/go.mod tools/go.sum | sha256sum | cut -c1-12)
LINT      := $(TOOLS_DIR)/golangci-lint
TALLY     := .build/tally

# Not of tools/go.mod, which its hundreds of modules would swell. This version asks for Go 1.26.0.
RCLONE_VERSION := v1.76.0
RCLONE         := $(dir $(TOOLS_DIR))rclone-$(RCLONE_VERSION)

# TOTALS=FILE adds the counts of each test run to a file, for a sum over several runs.
REPORT   = $(abspath $(TALLY)) -again test $(if $(TOTALS),-totals $(abspath $(TOTALS)))
# Whether tests failed is REPORT's verdict; this tells it of a run that failed without one.
BROKEN   = echo '{"Action":"broken"}'
OWN      = cd $(1) && GOWORK=off
SETTINGS = set -a; . ./.images.env; set +a

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

.PHONY: check
check: build vet lint short ## what needs no containers: build, vet, lint with format, manifests, short tests

.PHONY: build
build: ## compile everything, each module on its own
	@for m in $(WORK_MODULES) $(OWN_MODULES); do (cd $$m && GOWORK=off go build -o /dev/null ./...); done

.PHONY: vet
vet: ## go vet, tests included
	@go vet work
	@for m in $(OWN_MODULES); do (cd $$m && GOWORK=off go vet ./...); done

.PHONY: lint
lint: build $(LINT) ## golangci-lint: defects, import rules, format (after build: a type error hides the rest)
	@$(LINT) run $(WORK_MODULES:%=./%/...)
	@for m in $(OWN_MODULES); do ($(call OWN,$$m) $(LINT) run ./...); done

.PHONY: fmt
fmt: $(LINT) ## format all Go files
	@$(LINT) fmt $(WORK_MODULES) $(OWN_MODULES)

# Outside of CI a test that finds no backend is skipped with its reason; here they are missing on purpose.
.PHONY: short
short: $(TALLY) ## short unit tests with -race, and the manifests' checks, without containers
	@{ \
	  env -u CI -u TEST_DATABASE_URL -u TEST_AMQP_URL go test -race -short -timeout 5m -json work || $(BROKEN); \
	  ($(call OWN,tools) go test -race -json ./...) || $(BROKEN); \
	  ($(call OWN,deploy) go test -short -json ./...) || $(BROKEN); \
	} | $(REPORT)

.PHONY: test
test: images $(TALLY) ## all tests: units with -race on real backends, then e2e on the images
	@$(SETTINGS); { \
	  tools/backends go test -race -timeout 5m -json work || $(BROKEN); \
	  ($(call OWN,tools) go test -race -json ./...) || $(BROKEN); \
	  ($(call OWN,deploy) go test -json ./pack) || $(BROKEN); \
	  ($(call OWN,test) go test -count=1 -p 1 -timeout 10m -json ./...) || $(BROKEN); \
	} | $(REPORT)

.PHONY: unit
unit: backend-images $(TALLY) ## unit tests with -race on a throwaway PostgreSQL and RabbitMQ
	@(tools/backends go test -race -timeout 5m -json work || $(BROKEN)) | $(REPORT)

.PHONY: e2e
e2e: images $(TALLY) ## end-to-end tests on testcontainers; RUN=regexp selects
	@$(SETTINGS); ($(call OWN,test) go test -count=1 -timeout 10m -json $(if $(RUN),-run '$(RUN)') ./e2e/... || $(BROKEN)) | $(REPORT)

.PHONY: faults
faults: backend-images $(TALLY) ## every fault with an answer, on real processes; FULL=1 for all of it, RUN=regexp selects
	@$(SETTINGS); ($(call OWN,test) $(if $(FULL),FAULTS_FULL=1) go test -count=1 -timeout 3h -json $(if $(RUN),-run '$(RUN)') ./faults/... || $(BROKEN)) | $(REPORT)

.PHONY: storm
storm: backend-images ## random faults on three workers, four instances, 20 rounds; SEED=… alone repeats a short round
	@$(SETTINGS); $(call OWN,test) STORM_SEED=$(SEED) STORM_ROUNDS=$(or $(ROUNDS),$(if $(SEED),,20)) go test -count=1 -timeout 6h -v ./storm

.PHONY: bench
bench: backend-images ## throughput beside a bare pipe, as a ratio; PROFILE=real: on servers as recorded; ARGS=-help tells more
	@$(call OWN,test) go build -o ../.build/bench ./cmd/bench
	@.build/bench $(if $(PROFILE),-profile $(PROFILE)) $(ARGS)

.PHONY: bench-rclone
bench-rclone: $(RCLONE) ## rclone beside us, from the same source
	@$(MAKE) bench PROFILE=rclone ARGS="-rclone $(RCLONE) $(ARGS)"

.PHONY: demo
demo: images ## the whole thing on simulators: migrate a source tree, compare every file; ARGS=-small
	@$(call OWN,test) go build -o ../.build/demo ./cmd/demo
	@deploy/compose --profile demo up -d
	@exec deploy/with-settings .build/demo $(ARGS)

.PHONY: demo-down
demo-down: ## remove the demo's containers, networks and volumes
	@deploy/compose --profile demo --profile app down --volumes --remove-orphans

.PHONY: images
images: backend-images ## service images, and the choice of PostgreSQL and RabbitMQ in .images.env
	@deploy/services/build

.PHONY: release
release: ## archives for linux/amd64 and arm64 with checksums, in dist/; one commit gives the same bytes
	@deploy/services/build release

.PHONY: backend-images
backend-images:
	@deploy/images/resolve

.PHONY: settings
settings: ## write the tables of settings in docs/OPERATIONS.md from the programs; make check compares
	@for s in trigger migrator; do (cd services/$$s && go test ./cmd/$$s -run '^TestTheSettingsAreDocumented$$' -update); done

.PHONY: tidy
tidy: ## go work sync and go mod tidy everywhere; CI checks that nothing changes
	@go work sync
	@for m in $(WORK_MODULES) $(OWN_MODULES); do (cd $$m && GOWORK=off go mod tidy); done

.PHONY: clean
clean: ## remove what builds left in this folder
	@rm -rf .build dist .images.env

# A rename at the end, so that two runs side by side never see half a program.
$(LINT):
	@echo "compiling golangci-lint, once per version: some minutes"
	@mkdir -p $(@D)
	@$(call OWN,tools) go build -o $@.$$$$ github.com/golangci/golangci-lint/v2/cmd/golangci-lint && mv $@.$$$$ $@

$(RCLONE):
	@echo "compiling rclone, once per version: some minutes"
	@mkdir -p $@.$$$$ && GOWORK=off GOBIN=$@.$$$$ go install -ldflags=-s github.com/rclone/rclone@$(RCLONE_VERSION) && mv $@.$$$$/rclone $@ && rmdir $@.$$$$

$(TALLY): tools/go.mod $(filter-out %_test.go,$(wildcard tools/tally/*.go))
	@$(call OWN,tools) go build -o $(abspath $@).$$$$ ./tally && mv $(abspath $@).$$$$ $(abspath $@)
