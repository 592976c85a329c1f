# Every target prepares what it needs. `make help` lists them.

# The newest-enough Python: python3 if it is one, else the first that is. Override: make PYTHON=…
ifndef PYTHON
PYTHON := $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && exit; \
	done; echo python3)
endif

IN_VENV := .venv/bin/python
UV_COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements'

.PHONY: help run test test-sqlite test-long check fix faults bench bench-notices bench-proxies bench-sign-in bench-pages bench-scale load drills lighthouse land-migrations map messages requirements prepare-run prepare-dev \
	prepare-bench
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: prepare-run ## Start the portal; PORT and DATA_DIR may be set (make run PORT=8001 DATA_DIR=var-2)
	@exec $(IN_VENV) -m config.launcher

test: prepare-dev ## Run the tests on SQLite and PostgreSQL (make test ARGS="-k promise")
	@exec $(IN_VENV) -m tests $(ARGS)

test-sqlite: prepare-dev ## Run all tests on SQLite, also those that `make test` runs on PostgreSQL only
	@TEST_DATABASE_URL= TEST_REDIS_URL= exec $(IN_VENV) -m pytest -n logical --dist worksteal $(ARGS)

test-long: prepare-dev ## Run the long forms of tests: more kills, more examples, every look (30 to 60 minutes)
	@exec $(IN_VENV) -m tests -m "long or hypothesis" $(ARGS)

faults: prepare-dev ## Kill workers by the hundred: no notice is lost, none comes twice (10 minutes)
	@$(IN_VENV) -m tests.faults --shape scaled --kills 230
	@$(IN_VENV) -m tests.faults --shape embedded --kills 40

bench: prepare-dev prepare-bench ## Measure verification beside its peers, into benchmarks/RESULTS.md (10 minutes)
	@exec $(IN_VENV) -m benchmarks.verify $(ARGS)

bench-proxies: prepare-dev ## Measure what it costs five proxies to ask, into benchmarks/proxies/RESULTS.md (3 minutes)
	@exec $(IN_VENV) -m benchmarks.proxies $(ARGS)

bench-sign-in: prepare-dev ## Measure what a storm of sign-ins costs verification (2 minutes)
	@exec $(IN_VENV) -m benchmarks.sign_in

bench-pages: prepare-dev ## Measure what pages cost a verification in the same process (1 minute)
	@exec $(IN_VENV) -m benchmarks.pages_beside

bench-scale: prepare-dev ## Measure every page over five million events, into benchmarks/scale/RESULTS.md (20 minutes)
	@exec $(IN_VENV) -m benchmarks.scale $(ARGS)

load: prepare-dev ## A mixed load of 200 requests a second for ten minutes, in both shapes (make load ARGS="--seconds 60")
	@exec $(IN_VENV) -m benchmarks.operations.load $(ARGS)

drills: prepare-dev ## Make what the portal depends on fail under load, into docs/operations/drills.md (15 minutes)
	@exec $(IN_VENV) -m benchmarks.operations.drills $(ARGS)

bench-notices: prepare-dev ## Measure how fast 10,000 people are told of 100,000 tokens
	@exec $(IN_VENV) -m benchmarks.notices

lighthouse: prepare-dev ## Ask Lighthouse about the main pages, print its scores, fail below what is promised
	@exec $(IN_VENV) -m tests.lighthouse

check: prepare-dev ## Look at format, lint, types, templates, imports, migrations and settings
	@exec $(IN_VENV) scripts/check.py

fix: prepare-dev ## Repair what tools can repair
	@exec $(IN_VENV) scripts/fix.py

land-migrations: prepare-dev ## List new migrations as landed: from then on they are not edited
	@exec $(IN_VENV) scripts/migrations.py --land

map: prepare-dev ## Draw the map of docs/architecture.md from the import contracts
	@exec $(IN_VENV) scripts/map.py

messages: prepare-dev ## Bring the catalogues of all languages up to date with the code, and compile them
	@exec $(IN_VENV) scripts/messages.py

requirements: prepare-dev ## Pin the newest versions that the .in files allow (then run: make test)
	$(UV_COMPILE) --upgrade requirements.in -o requirements.txt
	$(UV_COMPILE) --upgrade requirements-extras.in -o requirements-extras.txt
	$(UV_COMPILE) --upgrade requirements-dev.in -o requirements-dev.txt
	$(UV_COMPILE) --upgrade --no-deps requirements-older-client.in -o requirements-older-client.txt
	$(UV_COMPILE) --upgrade benchmarks/requirements.in -o benchmarks/requirements.txt

prepare-run prepare-dev prepare-bench: prepare-%:
	@command -v $(PYTHON) >/dev/null || { echo "Permatoken needs Python 3.11 or later: $(PYTHON) is not on the PATH." >&2; exit 1; }
	@$(PYTHON) scripts/prepare.py $*
