# What a person or CI asks of this repository. Every target sets up what it needs by itself.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

RUNTIME := regctl syft cosign buildctl temporal
TESTING := olareg registry buildkitd fulcio timestamp-server temporal-test-server comparable-version
CHECKS := check-types check-imports check-unused check-format
# Settings of the demo, such as UPSTREAM=docker.io or DEMO_REGISTRY_PORT=5050, may stand behind `make demo`.
export UPSTREAM DEMO_UPSTREAM_PORT DEMO_REGISTRY_PORT DEMO_TEMPORAL_PORT DEMO_UI_PORT DEMO_BUILDKIT

.PHONY: help setup hooks build check $(CHECKS) test test-fast demo demo-run logs down bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: node_modules/.package-lock.json ## install packages, and the outside programs into .tools/bin
	node tools/system.mjs java mvn runc openssl
	node tools/setup.mjs $(RUNTIME) $(TESTING)

hooks: ## have git run the fast checks before each commit of this clone
	@other=$$(git config core.hooksPath || true); if [[ -n $$other && $$other != .githooks ]]; then \
	  echo "git's core.hooksPath is $$other already; call .githooks/pre-commit from there" >&2; exit 1; fi
	git config --local core.hooksPath .githooks

build: node_modules/.package-lock.json ## compile to dist/ and bundle the workflows
	node tools/build.mjs

check: node_modules/.package-lock.json ## format, lint, types, import rules, unused code
	@$(MAKE) --no-print-directory -j $(CHECKS)

$(CHECKS): check-%:
	@npm run --silent check:$*

test: setup build ## all tests with coverage gates
	node tools/test.mjs

test-fast: build ## the tests that need no registry and no builder, in a minute or two
	node tools/setup.mjs temporal temporal-test-server
	node tools/test.mjs --fast

demo: ## a local stack with real images, reconciled; it stays up
	node demo/demo.mjs up

demo-run: ## reconcile the demo again: nothing changes
	node demo/demo.mjs again

logs: ## follow the logs of the demo's stack
	node demo/demo.mjs logs

down: ## end the demo and remove what it left
	node demo/demo.mjs down

bench: build ## compare with regsync (and skopeo) in one run
	node tools/setup.mjs regctl syft temporal olareg regsync
	node bench/run.mjs

clean: ## remove what was built here, but for packages and programs
	rm -rf dist dist.* coverage

node_modules/.package-lock.json: package-lock.json
	npm ci --no-audit --no-fund
	@touch $@
