# Short-cuts; every line also works without make. They use the Python of .venv if it is there.
PYTHON := $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
BIN := $(dir $(PYTHON))

.PHONY: help check test sim fuzz envelopes snapshots bench bench-relay relay-kills relay-idle relay-soak relay-hostile screenshots check-caddy check-cluster check-image check-compose check-ci serve-two clean

help:         ## list these targets
	@grep -E '^[a-z-]+: .*##' Makefile | sed -E 's/: +## /\t/' | expand -t 14

check:        ## lint, format, types, imports and the quick tests; about a minute
	$(PYTHON) -m tests.check tests/unit tests/arch tests/contract

test:         ## everything: what CI runs
	$(PYTHON) -m tests.check

sim:          ## the seeded worlds alone
	$(PYTHON) -m pytest tests/sim -q

fuzz:         ## fuzz every decoder and all that receives, guided by coverage (needs the `fuzz` extra; 15 minutes)
	$(PYTHON) -m tests.fuzz guided $(FUZZ)
	$(PYTHON) -m pytest tests/property -q --hypothesis-profile=long -n auto

envelopes:    ## a million random and mutated envelopes for each receiver
	$(PYTHON) -m tests.fuzz envelopes

snapshots:    ## write the screens of tests/tui anew; look at the difference before it is committed
	ZAP2_UPDATE_SNAPSHOTS=1 $(PYTHON) -m pytest tests/tui/test_snapshots.py -q

bench:        ## how fast it is: cryptography, relay, vault, start
	$(PYTHON) -m bench.crypto_bench
	$(PYTHON) -m bench.relay_bench
	$(PYTHON) -m bench.vault_bench
	$(PYTHON) -m bench.startup_bench
	$(PYTHON) -m bench.tui_bench

bench-relay:  ## the relay alone: processor time, drain and memory, beside a bare server
	$(PYTHON) -m bench.relay_bench

relay-kills:  ## a hundred times kill -9 under load, and what is lost
	$(PYTHON) -m bench.relay_kills

relay-idle:   ## 5,000 idle connections: memory, processor time, and what others notice of them
	$(PYTHON) -m bench.relay_idle

relay-soak:   ## a quarter of an hour of people who come and go: memory by minute, and what is lost
	$(PYTHON) -m bench.relay_soak

relay-hostile: ## every kind of attack, and what it does to the others' latency
	$(PYTHON) -m bench.relay_hostile

screenshots:  ## draw the pictures of docs/images from the real screens
	$(PYTHON) -m bench.screenshots

check-caddy:  ## a message through Caddy and a relay on this machine, its certificate checked (needs caddy)
	ZAP2="$(PYTHON) -m zap2" deploy/check-caddy

check-cluster: ## two relays, PostgreSQL, Redis and Caddy on this machine, each of them lost once (needs caddy)
	PYTHON=$(PYTHON) deploy/check-cluster

check-image:  ## build the relay's image, run it and check it (needs docker or podman)
	$$(command -v docker || echo podman) build -t zap2:check . && deploy/check-image zap2:check

check-compose: ## bring both compose files up, talk through them and take parts away (needs docker compose and the images)
	PYTHON=$(PYTHON) deploy/check-compose

check-ci:     ## run the steps of CI's jobs JOBS as its file has them, in a fresh clone each (without JOBS: list them)
	$(PYTHON) -m tests.workflow $(JOBS)

serve-two:    ## a relay and two people side by side in tmux
	PYTHON=$(PYTHON) bench/serve-two

clean:        ## remove what builds and tools left here
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz .import_linter_cache
