.DEFAULT_GOAL := help
SHELL := /bin/sh
RUN := .venv/bin/python -m
DEMO := $(if $(ONCE),--once,)
N ?= 2

help:  ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: setup  ## start a server with 1,000 invented people and walk through the calls (ONCE=1: stop after the walk)
	@$(RUN) tabellion demo --data-dir demo-data $(DEMO)

test: setup-tests  ## run the whole test suite (T=path or -k expression for a part, N=processes)
	@$(RUN) pytest -q -n $(N) $(T)

test-postgres-16: setup-tests  ## the same suite against PostgreSQL 16
	@TABELLION_TEST_POSTGRES=16 $(RUN) pytest -q -n $(N) $(T)

check: setup lint types arch test  ## what CI runs: format, lint, types, import contracts, tests

lint: setup  ## formatter and linter, changing nothing
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .

format: setup  ## let the formatter and the linter mend what they can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

types: setup  ## strict type check
	@.venv/bin/basedpyright

arch: setup  ## import contracts
	@.venv/bin/lint-imports

setup: .venv/.ready  ## install everything into this folder (.venv, .tools)

.venv/.ready: requirements/dev.txt pyproject.toml src/tabellion/__init__.py tools/bootstrap.sh
	@sh tools/bootstrap.sh

install:  ## what a server needs and nothing else, into this folder (.venv, .tools)
	@sh tools/bootstrap.sh run

setup-tests: setup
	@sh tools/debian.sh

lock:  ## resolve the dependencies anew into requirements/
	@sh tools/lock.sh

sbom: setup  ## what a server is made of, as CycloneDX: sbom.json, always the same for the same locked packages
	@sh tools/packages.sh sbom

audit: setup  ## known vulnerabilities of what a server is made of (asks PyPI)
	@sh tools/packages.sh audit

clean:  ## remove what the targets above made, but not the demo's data
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.PHONY: help demo test bench bench-large limits hostile hostile-mail dkim dirty-files chaos-import bench-bulk bench-send bench-templates bench-report chaos-api chaos-send chaos-unsubscribe chaos-webhooks test-postgres-16 check lint format types arch setup install setup-tests lock sbom audit clean

bench: setup  ## one-by-one calls as ratios against baselines in the same run (30 minutes)
	@sh tools/debian.sh wrk
	@sh tools/bootstrap.sh bench
	@.venv/bin/python benchmarks/calls.py --write docs/benchmarks.md

bench-bulk: setup  ## imports as ratios against COPY and one hand-written statement, 1,000,000 rows (10 minutes)
	@sh tools/bootstrap.sh bench
	@.venv/bin/python benchmarks/bulk.py --write docs/benchmarks.md

bench-templates: setup  ## mails rendered in caged processes, as ratios against rendering without a cage
	@.venv/bin/python benchmarks/templates.py --write docs/benchmarks.md

bench-send: setup  ## a campaign to Postfix's smtp-sink, against a bare loop; an audience of 1,000,000; memory (15 minutes)
	@sh tools/debian.sh smtp-sink
	@for part in mails audience memory trigger; do .venv/bin/python benchmarks/send.py $$part --write docs/benchmarks.md || exit 1; done

bench-report: setup-tests  ## the report of a campaign to 1,000,000, kept and counted from its mails, compared with counting one by one (2 minutes)
	@TABELLION_REPORT_RECIPIENTS=1000000 $(RUN) pytest -q -s tests/features/tracking/test_report_figures.py

bench-large: setup  ## 5,000,000 rows: the worker's memory, the calls of another licence meanwhile (5 minutes)
	@.venv/bin/python benchmarks/large.py

limits: setup  ## the limits on a server of two processes, three minutes of 50 clients
	@.venv/bin/python benchmarks/limits.py

hostile: setup  ## 20,000 hostile requests, and 3,000 that schemathesis makes up: no 5xx, and no refused one changes anything
	@TABELLION_HOSTILE=20000 TABELLION_HOSTILE_SEED=$${SEED:-2} TABELLION_SCHEMA_EXAMPLES=30 \
		$(RUN) pytest -q -s tests/contract/test_hostile.py tests/contract/test_schema.py

hostile-mail: setup  ## 20,000 hostile values of mail headers: no header that was not meant, for two parsers
	@TABELLION_HEADERS=20000 $(RUN) pytest -q -s tests/platform/mail/test_hostile_headers.py

dkim: setup  ## 10,000 signed mails, a tenth of them changed on the way, verified by dkimpy and OpenDKIM (1 minute)
	@sh tools/debian.sh opendkim
	@TABELLION_DKIM_MAILS=10000 $(RUN) pytest -q -s tests/platform/mail/test_dkim_verifiers.py

dirty-files: setup  ## 10,000 generated files with mistakes, imported and compared with a model
	@TABELLION_DIRTY_FILES=10000 $(RUN) pytest -q -n 2 tests/contract/test_import_model.py

chaos-import: setup  ## kill -9 of worker (200 times), database (50) and API under an import of 1,000,000 rows
	@TABELLION_RESUMED_WITHIN_S=15 TABELLION_ROWS=1000000 TABELLION_KILLS=200 TABELLION_DATABASE_KILLS=50 $(RUN) pytest -q -s tests/system/test_import_kills.py

chaos-api: setup  ## kill -9 of server processes under write load, 50 times
	@TABELLION_KILLS=50 $(RUN) pytest -q tests/system/test_kill.py

chaos-unsubscribe: setup  ## 10,000 people unsubscribe while their campaign of 20,000 mails is sent: by calls, and by one click
	@TABELLION_LEAVING=10000 $(RUN) pytest -q -s tests/system/test_unsubscribing.py

chaos-send: setup  ## kill -9 under a campaign of 100,000 mails: workers 200 times in the gap, 200 outside, database and API 20; three times (60 minutes)
	@TABELLION_SENDERS=workers TABELLION_RECIPIENTS=100000 TABELLION_KILLS=200 $(RUN) pytest -q -s tests/system/test_send_kills.py

chaos-webhooks: setup  ## 10,000 events to targets that fail, hang and break off; kill -9 of the dispatcher, 100 times
	@TABELLION_EVENTS=10000 TABELLION_KILLS=100 $(RUN) pytest -q -s tests/system/test_webhook_kills.py
